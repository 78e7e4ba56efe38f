/* SPDX-License-Identifier: ISC */
/* The heap of lanes against a search of all of them. */
#include "daemon/agenda.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/lane.h"

enum { LANES = 67, STEPS = 2000, TIMES = 50 };

static struct agenda agenda;
static struct lane *lanes[LANES];

static void setup(void)
{
	for (size_t i = 0; i < LANES; i++)
		lanes[i] = lane_new("out");
}

static void teardown(void)
{
	for (size_t i = 0; i < LANES; i++)
		lane_free(lanes[i]);
	agenda_release(&agenda);
}

static void check_first(void)
{
	const struct lane *first = agenda_first(&agenda);
	size_t n = 0, late = 0;

	for (size_t i = 0; i < LANES; i++) {
		if (lanes[i]->agenda_place == 0)
			continue;
		n++;
		late += lanes[i]->look_mono_ms < first->look_mono_ms;
	}
	ck_assert_uint_eq(late, 0);
	ck_assert_uint_eq(n, agenda.n);
	ck_assert((first == NULL) == (n == 0));
}

START_TEST(test_earliest_is_first)
{
	uint32_t random = 1;

	for (size_t step = 0; step < STEPS; step++) {
		random = random * 1103515245 + 12345;
		struct lane *l = lanes[random / 7 % LANES];
		int64_t time = random / 65536 % TIMES;
		int64_t old = l->look_mono_ms;
		bool was_in = l->agenda_place > 0;

		switch (random / 16384 % 4) {
		case 0:
			agenda_remove(&agenda, l);
			ck_assert_uint_eq(l->agenda_place, 0);
			break;
		case 1:
			agenda_hurry(&agenda, l, time);
			ck_assert_int_eq(l->look_mono_ms,
					 was_in && old < time ? old : time);
			break;
		default:
			agenda_put(&agenda, l, time);
			ck_assert_int_eq(l->look_mono_ms, time);
			break;
		}
		check_first();
	}
}
END_TEST

START_TEST(test_comes_out_in_order)
{
	int64_t last = -1;
	struct lane *l;

	for (size_t i = 0; i < LANES; i++)
		agenda_put(&agenda, lanes[i], (int64_t)(i * 37 % LANES));
	while ((l = agenda_first(&agenda))) {
		ck_assert_int_eq(l->look_mono_ms, last + 1);
		last = l->look_mono_ms;
		agenda_remove(&agenda, l);
	}
	ck_assert_int_eq(last, LANES - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("agenda");
	TCase *tc = tcase_create("agenda");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_earliest_is_first);
	tcase_add_test(tc, test_comes_out_in_order);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
