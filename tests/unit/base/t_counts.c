/* SPDX-License-Identifier: ISC */
/* t_counts - numbers under keys, from many threads; histograms. */
#include <check.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/counts.h"
#include "base/histogram.h"

enum { THREADS = 4, ROUNDS = 10000 };

static char seen[256];

static void see(void *arg, struct span key, uint64_t n)
{
	size_t len = strlen(seen);

	(void)arg;
	snprintf(seen + len, sizeof(seen) - len, "%.*s=%llu ", (int)key.len,
		 key.at, (unsigned long long)n);
}

START_TEST(keys_in_order)
{
	struct counts *c = counts_new();

	seen[0] = '\0';
	counts_add(c, SPAN("b"), 1);
	counts_add(c, SPAN("ab"), 3);
	counts_add(c, SPAN("a"), 2);
	counts_add(c, SPAN("b"), 5);
	counts_each(c, see, NULL);
	ck_assert_str_eq(seen, "a=2 ab=3 b=6 ");
	counts_free(c);
	counts_free(NULL);
}
END_TEST

static void sum(void *arg, struct span key, uint64_t n)
{
	uint64_t *sums = arg;

	sums[key.len == 0 ? 1 : 0] += n;
}

START_TEST(keys_are_bounded)
{
	struct counts *c = counts_new();
	uint64_t sums[2] = {0, 0};
	char key[16];

	for (unsigned i = 0; i < COUNTS_MAX + 10; i++) {
		snprintf(key, sizeof(key), "%u", i);
		counts_add(c, span_of(key), 1);
	}
	counts_add(c, SPAN("0"), 1);
	counts_each(c, sum, sums);
	ck_assert_uint_eq(sums[0], COUNTS_MAX + 1);
	ck_assert_uint_eq(sums[1], 10);
	counts_free(c);
}
END_TEST

struct both {
	struct counts *counts;
	struct histogram histogram;
};

static void *work(void *arg)
{
	struct both *b = arg;

	for (unsigned i = 0; i < ROUNDS; i++) {
		counts_add(b->counts, SPAN("k"), 1);
		histogram_see(&b->histogram, 0.5);
	}
	return NULL;
}

START_TEST(many_threads)
{
	static const double bounds[] = {0.1, 1};
	struct both b = {.counts = counts_new()};
	uint64_t sums[2] = {0, 0};
	pthread_t threads[THREADS];

	histogram_init(&b.histogram, bounds, ARRAY_LEN(bounds));
	for (unsigned i = 0; i < THREADS; i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, work, &b),
				 0);
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	counts_each(b.counts, sum, sums);
	ck_assert_uint_eq(sums[0], THREADS * ROUNDS);
	ck_assert_uint_eq(histogram_at_most(&b.histogram, 0), 0);
	ck_assert_uint_eq(histogram_at_most(&b.histogram, 1),
			  THREADS * ROUNDS);
	counts_free(b.counts);
}
END_TEST

START_TEST(values_and_bounds)
{
	static const double bounds[] = {1, 2, 5};
	static const double values[] = {0, 1, 1.5, 2, 5, 5.25};
	static const uint64_t at_most[] = {2, 4, 5, 6};
	struct histogram h;

	histogram_init(&h, bounds, ARRAY_LEN(bounds));
	for (size_t i = 0; i < ARRAY_LEN(values); i++)
		histogram_see(&h, values[i]);
	for (size_t i = 0; i < ARRAY_LEN(at_most); i++)
		ck_assert_uint_eq(histogram_at_most(&h, i), at_most[i]);
	ck_assert_double_eq(histogram_sum(&h), 14.75);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("counts");
	TCase *tc = tcase_create("counts");
	SRunner *r;
	int failed;

	tcase_add_test(tc, keys_in_order);
	tcase_add_test(tc, keys_are_bounded);
	tcase_add_test(tc, many_threads);
	tcase_add_test(tc, values_and_bounds);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
