/* SPDX-License-Identifier: ISC */
/* t_underway - what an earlier run has left, and what it has not. */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "queue/underway.h"
#include "tests/unit/queue/help.h"

static char *dir;

static struct underway *open_it(void)
{
	struct underway *u;
	struct err e;

	ck_assert_int_eq(underway_open(&u, dir, &e), ST_OK);
	return u;
}

static uint32_t say(struct underway *u, uint64_t id)
{
	const struct underway_what what = {id, 2, 5, underway_lane("out")};
	uint32_t slot = underway_enter(u);

	ck_assert_uint_ne(slot, UNDERWAY_NONE);
	underway_say(u, slot, &what);
	return slot;
}

static unsigned count_left(const struct underway *u)
{
	struct underway_what what;
	unsigned n = 0;

	for (uint32_t i = underway_left(u, 0, &what); i != UNDERWAY_NONE;
	     i = underway_left(u, i + 1, &what))
		n++;
	return n;
}

START_TEST(what_was_said_is_left)
{
	struct underway *u = open_it();
	struct underway_what what;
	uint32_t kept, slot;

	ck_assert_uint_eq(count_left(u), 0);
	ck_assert_uint_ne(underway_enter(u), UNDERWAY_NONE);
	kept = say(u, 7);
	underway_leave(u, say(u, 8));
	underway_close(u);

	u = open_it();
	slot = underway_left(u, 0, &what);
	ck_assert_uint_eq(slot, kept);
	ck_assert_uint_eq(what.id, 7);
	ck_assert_uint_eq(what.first, 2);
	ck_assert_uint_eq(what.last, 5);
	ck_assert_uint_eq(what.lane, underway_lane("out"));
	ck_assert_uint_ne(what.lane, underway_lane("in"));
	ck_assert_uint_eq(underway_left(u, slot + 1, &what), UNDERWAY_NONE);
	/* It is nobody else's until it was dealt with. */
	for (unsigned i = 0; i < 50000; i++) {
		uint32_t other = underway_enter(u);

		ck_assert_uint_ne(other, kept);
		underway_leave(u, other);
	}
	underway_leave(u, slot);
	underway_close(u);
	u = open_it();
	ck_assert_uint_eq(count_left(u), 0);
	underway_close(u);
}
END_TEST

START_TEST(all_are_taken)
{
	struct underway *u = open_it();
	uint32_t first = underway_enter(u), slot;
	unsigned n = 1;

	while ((slot = underway_enter(u)) != UNDERWAY_NONE) {
		ck_assert_uint_ne(slot, first);
		n++;
	}
	ck_assert_uint_gt(n, 10000);
	underway_leave(u, first);
	ck_assert_uint_eq(underway_enter(u), first);
	underway_close(u);
}
END_TEST

static void damage(off_t at)
{
	char *name = xasprintf("%s/underway", dir);
	FILE *f = fopen(name, "r+");

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, (long)at, SEEK_SET), 0);
	fputc('#', f);
	ck_assert_int_eq(fclose(f), 0);
	free(name);
}

START_TEST(damage_is_passed_by)
{
	struct underway *u = open_it();
	uint32_t torn = say(u, 7);

	(void)say(u, 8);
	underway_close(u);
	damage((off_t)torn * 32 + 9);
	u = open_it();
	ck_assert_uint_eq(count_left(u), 1);
	underway_close(u);
	damage(3); /* another form */
	u = open_it();
	ck_assert_uint_eq(count_left(u), 0);
	underway_close(u);
}
END_TEST

START_TEST(nowhere)
{
	struct underway *u = NULL;
	struct err e;

	ck_assert_int_ne(underway_open(&u, "/nonexistent", &e), ST_OK);
	ck_assert_ptr_null(u);
}
END_TEST

static void set_up(void)
{
	dir = make_dir();
}

static void tear_down(void)
{
	remove_dir(dir);
}

int main(void)
{
	Suite *s = suite_create("underway");
	TCase *tc = tcase_create("underway");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, what_was_said_is_left);
	tcase_add_test(tc, all_are_taken);
	tcase_add_test(tc, damage_is_passed_by);
	tcase_add_test(tc, nowhere);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
