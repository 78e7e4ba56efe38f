/* SPDX-License-Identifier: ISC */
/*
 * t_clock - the two clocks and how times are written.
 */

#include "base/clock.h"

#include <check.h>

START_TEST(clocks_run)
{
	int64_t mono_ms = clock_mono_ms();

	ck_assert(clock_mono_ms() >= mono_ms);
	ck_assert(clock_wall_ms() > INT64_C(1600000000000));
}
END_TEST

START_TEST(clocks_stand_still_for_tests)
{
	clock_set_test(5, 7);
	ck_assert(clock_mono_ms() == 5);
	ck_assert(clock_wall_ms() == 7);
	clock_set_test(-1, -1);
	ck_assert(clock_wall_ms() > INT64_C(1600000000000));
}
END_TEST

START_TEST(times_print)
{
	static const struct {
		int64_t ms;
		const char *rfc3339, *rfc5322;
	} rows[] = {
		{0, "1970-01-01T00:00:00.000Z",
		 "Thu, 1 Jan 1970 00:00:00 +0000"},
		{INT64_C(1795455665123), "2026-11-23T17:41:05.123Z",
		 "Mon, 23 Nov 2026 17:41:05 +0000"},
		{INT64_C(951782400000), "2000-02-29T00:00:00.000Z",
		 "Tue, 29 Feb 2000 00:00:00 +0000"},
		{-1, "1969-12-31T23:59:59.999Z",
		 "Wed, 31 Dec 1969 23:59:59 +0000"},
		{INT64_MAX, "9999-12-31T23:59:59.999Z",
		 "Fri, 31 Dec 9999 23:59:59 +0000"},
	};
	char rfc3339[CLOCK_RFC3339_MAX], rfc5322[CLOCK_RFC5322_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		clock_rfc3339(rfc3339, rows[i].ms);
		clock_rfc5322(rfc5322, rows[i].ms);
		ck_assert_str_eq(rfc3339, rows[i].rfc3339);
		ck_assert_str_eq(rfc5322, rows[i].rfc5322);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("clock");
	TCase *tc = tcase_create("clock");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, clocks_run);
	tcase_add_test(tc, clocks_stand_still_for_tests);
	tcase_add_test(tc, times_print);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
