/* SPDX-License-Identifier: ISC */
/*
 * t_tally - counters with a limit, by one thread and by many.
 */

#include "base/tally.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

START_TEST(counts_to_the_limit)
{
	struct tally *t = tally_new();

	ck_assert(!tally_take(t, SPAN("a"), 0));
	ck_assert(tally_take(t, SPAN("a"), 2));
	ck_assert(tally_take(t, SPAN("a"), 2));
	ck_assert(!tally_take(t, SPAN("a"), 2));
	ck_assert(tally_take(t, SPAN("b"), 2));
	tally_give(t, SPAN("a"));
	ck_assert(tally_take(t, SPAN("a"), 2));
	ck_assert(!tally_take(t, SPAN("a"), 2));
	ck_assert(tally_take(t, SPAN("a"), 3));
	tally_free(t);
	tally_free(NULL);
}
END_TEST

START_TEST(keys_are_bytes)
{
	struct tally *t = tally_new();

	ck_assert(tally_take(t, (struct span){"a\0b", 3}, 1));
	ck_assert(tally_take(t, (struct span){"a\0c", 3}, 1));
	ck_assert(tally_take(t, SPAN("a"), 1));
	ck_assert(!tally_take(t, (struct span){"a\0b", 3}, 1));
	tally_give(t, (struct span){"a\0b", 3});
	ck_assert(tally_take(t, (struct span){"a\0b", 3}, 1));
	tally_free(t);
}
END_TEST

START_TEST(giving_what_was_not_taken_is_a_bug)
{
	struct tally *t = tally_new();

	if (tally_take(t, SPAN("a"), 1))
		tally_give(t, SPAN("a"));
	tally_give(t, SPAN("a"));
}
END_TEST

enum { THREADS = 4, ROUNDS = 5000, LIMIT = 2 };

static atomic_int inside;
static atomic_int too_many;

static void *take_and_give(void *arg)
{
	struct tally *t = arg;

	for (int i = 0; i < ROUNDS; i++) {
		if (!tally_take(t, SPAN("key"), LIMIT))
			continue;
		if (atomic_fetch_add(&inside, 1) >= LIMIT)
			atomic_fetch_add(&too_many, 1);
		atomic_fetch_sub(&inside, 1);
		tally_give(t, SPAN("key"));
	}
	return NULL;
}

START_TEST(threads_share_it)
{
	struct tally *t = tally_new();
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, take_and_give, t), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	ck_assert_int_eq(atomic_load(&too_many), 0);
	ck_assert(tally_take(t, SPAN("key"), 1));
	tally_free(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("tally");
	TCase *tc = tcase_create("tally");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, counts_to_the_limit);
	tcase_add_test(tc, keys_are_bytes);
	tcase_add_test_raise_signal(tc, giving_what_was_not_taken_is_a_bug,
				    SIGABRT);
	tcase_add_test(tc, threads_share_it);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
