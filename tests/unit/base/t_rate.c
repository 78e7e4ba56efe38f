/* SPDX-License-Identifier: ISC */
/*
 * t_rate - events of a minute, counted by one thread and by many.
 */

#include "base/rate.h"

#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { MINUTE_MS = 60000, KEYS_MAX = 100 };

START_TEST(counts_to_the_limit)
{
	struct rate *r = rate_new(KEYS_MAX);

	ck_assert(rate_take(r, SPAN("a"), 2, 1000));
	ck_assert(rate_take(r, SPAN("a"), 2, 1001));
	ck_assert(!rate_take(r, SPAN("a"), 2, 1002));
	ck_assert(rate_take(r, SPAN("a"), 3, 1002));
	ck_assert(!rate_take(r, SPAN("a"), 2, 1003));
	ck_assert(rate_take(r, SPAN("b"), 1, 1003));
	ck_assert(!rate_take(r, SPAN("b"), 1, 1003));
	rate_free(r);
	rate_free(NULL);
}
END_TEST

START_TEST(no_limit_counts_nothing)
{
	struct rate *r = rate_new(KEYS_MAX);

	for (int i = 0; i < 1000; i++)
		ck_assert(rate_take(r, SPAN("a"), 0, 0));
	ck_assert_uint_eq(rate_keys(r), 0);
	ck_assert(rate_take(r, SPAN("a"), 1, 0));
	rate_free(r);
}
END_TEST

/* It begins with the first event, and what was refused does not prolong it. */
START_TEST(a_minute_ends)
{
	struct rate *r = rate_new(KEYS_MAX);

	ck_assert(rate_take(r, SPAN("a"), 1, 5));
	ck_assert(!rate_take(r, SPAN("a"), 1, 5 + MINUTE_MS - 1));
	ck_assert(rate_take(r, SPAN("a"), 1, 5 + MINUTE_MS));
	ck_assert(!rate_take(r, SPAN("a"), 1, 5 + MINUTE_MS));
	ck_assert(!rate_take(r, SPAN("a"), 1, 4 + 2 * MINUTE_MS));
	ck_assert(rate_take(r, SPAN("a"), 1, 5 + 2 * MINUTE_MS));
	rate_free(r);
}
END_TEST

static bool take_number(struct rate *r, int n, int64_t now_ms)
{
	char key[16];
	int len = snprintf(key, sizeof(key), "%d", n);

	return rate_take(r, (struct span){key, (size_t)len}, 1, now_ms);
}

START_TEST(ended_minutes_take_no_memory)
{
	struct rate *r = rate_new(KEYS_MAX);

	for (int i = 0; i < 50; i++)
		ck_assert(take_number(r, i, i));
	ck_assert_uint_eq(rate_keys(r), 50);
	/* The first 25 have ended, and so does one in the middle that began
	 * anew meanwhile. */
	ck_assert(take_number(r, 0, MINUTE_MS + 24));
	ck_assert_uint_eq(rate_keys(r), 26);
	ck_assert(!take_number(r, 30, MINUTE_MS + 24));
	ck_assert(take_number(r, 99, 2 * MINUTE_MS));
	ck_assert_uint_eq(rate_keys(r), 2);
	ck_assert(!take_number(r, 0, 2 * MINUTE_MS));
	rate_free(r);
}
END_TEST

/* Of more keys than there is room for, those that began first are forgotten. */
START_TEST(many_keys_are_bounded)
{
	struct rate *r = rate_new(KEYS_MAX);

	for (int i = 0; i < 10 * KEYS_MAX; i++)
		ck_assert(take_number(r, i, i));
	ck_assert_uint_eq(rate_keys(r), KEYS_MAX);
	for (int i = 9 * KEYS_MAX; i < 10 * KEYS_MAX; i++)
		ck_assert(!take_number(r, i, 10 * KEYS_MAX));
	ck_assert(take_number(r, 0, 10 * KEYS_MAX));
	ck_assert_uint_eq(rate_keys(r), KEYS_MAX);
	rate_free(r);
}
END_TEST

enum { THREADS = 4, ROUNDS = 5000, LIMIT = 12345 };

static atomic_int taken;

static void *take_many(void *arg)
{
	struct rate *r = arg;

	for (int i = 0; i < ROUNDS; i++)
		if (rate_take(r, SPAN("key"), LIMIT, 1))
			atomic_fetch_add(&taken, 1);
	return NULL;
}

START_TEST(threads_share_it)
{
	struct rate *r = rate_new(1);
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, take_many,
						r),
				 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(atomic_load(&taken), LIMIT);
	rate_free(r);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("rate");
	TCase *tc = tcase_create("rate");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, counts_to_the_limit);
	tcase_add_test(tc, no_limit_counts_nothing);
	tcase_add_test(tc, a_minute_ends);
	tcase_add_test(tc, ended_minutes_take_no_memory);
	tcase_add_test(tc, many_keys_are_bounded);
	tcase_add_test(tc, threads_share_it);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
