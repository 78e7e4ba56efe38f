/* SPDX-License-Identifier: ISC */
/*
 * t_drift - jumps of the wall clock, and those that are none.
 */
#include "daemon/drift.h"

#include <check.h>
#include <stdlib.h>

enum { DAY_MS = 24 * 60 * 60 * 1000 };

static struct drift drift;
static int64_t mono_ms, wall_ms;

static void setup(void)
{
	drift = (struct drift){0};
	mono_ms = 77777;
	wall_ms = 1800000000000;
	ck_assert_int_eq(drift_look(&drift, mono_ms, wall_ms), 0);
}

/* A second later, with the wall clock set by so much. */
static int64_t later(int64_t by_ms)
{
	mono_ms += 1000;
	wall_ms += 1000 + by_ms;
	return drift_look(&drift, mono_ms, wall_ms);
}

START_TEST(test_time_passes)
{
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(later(0), 0);
	/* A clock that is being kept right. */
	for (int i = 0; i < 1000; i++)
		ck_assert_int_eq(later(i % 2 ? 60000 : -40000), 0);
	ck_assert_int_eq(drift.skipped_ms, 0);
}
END_TEST

START_TEST(test_ahead_and_right_again)
{
	ck_assert_int_eq(later(DAY_MS), DAY_MS);
	ck_assert_int_eq(drift.skipped_ms, DAY_MS);
	ck_assert_int_eq(later(0), 0);
	ck_assert_int_eq(later(-DAY_MS), -DAY_MS);
	ck_assert_int_eq(drift.skipped_ms, 0);
}
END_TEST

START_TEST(test_back_is_no_age)
{
	ck_assert_int_eq(later(-DAY_MS), -DAY_MS);
	ck_assert_int_eq(drift.skipped_ms, 0);
	ck_assert_int_eq(later(DAY_MS), DAY_MS);
	ck_assert_int_eq(drift.skipped_ms, DAY_MS);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("drift");
	TCase *tc = tcase_create("drift");

	tcase_add_checked_fixture(tc, setup, NULL);
	tcase_add_test(tc, test_time_passes);
	tcase_add_test(tc, test_ahead_and_right_again);
	tcase_add_test(tc, test_back_is_no_age);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
