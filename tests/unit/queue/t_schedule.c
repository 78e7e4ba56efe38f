/* SPDX-License-Identifier: ISC */
/*
 * t_schedule.c - pauses and ramps.
 */
#include <check.h>

#include "queue/schedule.h"

static const int64_t list_ms[] = {60000, 120000, 3600000};

static int64_t pause_ms(uint32_t attempts, uint32_t random)
{
	return retry_pause_ms(list_ms, ARRAY_LEN(list_ms), attempts, random);
}

START_TEST(pauses_follow_the_list)
{
	const uint32_t middle = UINT32_MAX / 2 + 1;

	ck_assert_int_eq(pause_ms(1, middle), 60000);
	ck_assert_int_eq(pause_ms(0, middle), 60000);
	ck_assert_int_eq(pause_ms(2, middle), 120000);
	ck_assert_int_eq(pause_ms(3, middle), 3600000);
	ck_assert_int_eq(pause_ms(4, middle), 3600000);
	ck_assert_int_eq(pause_ms(UINT32_MAX, middle), 3600000);
}
END_TEST

START_TEST(jitter_is_a_tenth)
{
	const int64_t year_ms = INT64_C(365) * 86400 * 1000;
	const int64_t none_ms = 0;

	ck_assert_int_eq(pause_ms(1, 0), 54000);
	ck_assert_int_eq(pause_ms(1, UINT32_MAX), 66000);
	for (uint32_t r = 1; r < UINT32_MAX / 2; r *= 3) {
		ck_assert_int_ge(pause_ms(1, r), 54000);
		ck_assert_int_le(pause_ms(1, r), 66000);
	}
	ck_assert_int_eq(retry_pause_ms(&year_ms, 1, 1, UINT32_MAX),
			 year_ms + year_ms / 10);
	ck_assert_int_eq(retry_pause_ms(&none_ms, 1, 1, UINT32_MAX), 0);
}
END_TEST

START_TEST(a_ramp_doubles)
{
	struct ramp r = {.window = 0};

	ck_assert_uint_eq(ramp_window(&r, 20), 20);
	ramp_succeeded(&r, 20);
	ck_assert_uint_eq(ramp_window(&r, 20), 20);
	ramp_start(&r);
	for (unsigned want = 1; want <= 16; want *= 2) {
		ck_assert_uint_eq(ramp_window(&r, 20), want);
		ramp_succeeded(&r, 20);
	}
	ck_assert_uint_eq(ramp_window(&r, 20), 20);
	ck_assert_uint_eq(r.window, 0);
}
END_TEST

START_TEST(a_ramp_stays_within_its_limit)
{
	struct ramp r;

	ramp_start(&r);
	ck_assert_uint_eq(ramp_window(&r, 1), 1);
	ramp_succeeded(&r, 1);
	ck_assert_uint_eq(ramp_window(&r, 1), 1);
	/* The limit was lowered meanwhile. */
	r.window = 8;
	ck_assert_uint_eq(ramp_window(&r, 3), 3);
	r.window = 1U << 31;
	ramp_succeeded(&r, UINT32_MAX);
	ck_assert_uint_eq(ramp_window(&r, UINT32_MAX), UINT32_MAX);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("schedule");
	TCase *t = tcase_create("schedule");
	SRunner *runner;
	int failed;

	tcase_add_test(t, pauses_follow_the_list);
	tcase_add_test(t, jitter_is_a_tenth);
	tcase_add_test(t, a_ramp_doubles);
	tcase_add_test(t, a_ramp_stays_within_its_limit);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
