/* SPDX-License-Identifier: ISC */
/*
 * t_watch - which directories lead to a file, when its stamp differs, and that
 * a change is noticed.
 */
#include "daemon/watch.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>

#include "base/bytes.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[32][256];
	static unsigned at;

	at = (at + 1) % ARRAY_LEN(path);
	snprintf(path[at], sizeof(path[at]), "%s/%s", dir, name);
	return path[at];
}

static void write_file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void make_dir(const char *name)
{
	ck_assert_int_eq(mkdir(in_dir(name), 0700), 0);
}

static void make_link(const char *target, const char *name)
{
	ck_assert_int_eq(symlink(target, in_dir(name)), 0);
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	char real[4096];

	snprintf(dir, sizeof(dir), "%s/t_watch.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	/* Links on the way to it are none of the test's. */
	ck_assert_ptr_nonnull(realpath(dir, real));
	ck_assert_uint_lt(strlen(real), sizeof(dir));
	memcpy(dir, real, strlen(real) + 1);
}

static void tear_down(void)
{
	char *command = xasprintf("rm -r '%s'", dir);

	ck_assert_int_eq(system(command), 0);
	free(command);
}

/* ------- ways */

struct ways {
	char text[1024]; /* "a b" of directories inside dir; "." is itself */
};

static void note_way(void *arg, const char *directory)
{
	struct ways *w = arg;
	size_t len = strlen(w->text);
	const char *name = directory + strlen(dir);

	if (strncmp(directory, dir, strlen(dir)) != 0)
		name = directory;
	else
		name = *name == '/' ? name + 1 : ".";
	snprintf(w->text + len, sizeof(w->text) - len, "%s%s",
		 len > 0 ? " " : "", name);
}

static const char *ways_of(const char *file)
{
	static struct ways w;

	w.text[0] = '\0';
	watch_ways(file, note_way, &w);
	return w.text;
}

START_TEST(test_ways)
{
	make_dir("live");
	make_dir("archive");
	write_file("archive/1.pem", "x");
	make_link("../archive/1.pem", "live/relay.pem");
	make_dir("live/..1");
	write_file("live/..1/k.pem", "x");
	make_link("..1", "live/..data");
	make_link("..data/k.pem", "live/k.pem");
	make_link("round", "round");
	make_link(in_dir("archive/1.pem"), "absolute");

	ck_assert_str_eq(ways_of(in_dir("archive/1.pem")), "archive");
	ck_assert_str_eq(ways_of(in_dir("live/../archive/./1.pem")), "archive");
	ck_assert_str_eq(ways_of(in_dir("live/relay.pem")), "live archive");
	ck_assert_str_eq(ways_of(in_dir("live/k.pem")), "live live live/..1");
	ck_assert_str_eq(ways_of(in_dir("absolute")), ". archive");
	/* What is missing may come. */
	ck_assert_str_eq(ways_of(in_dir("live/none.pem")), "live");
	ck_assert_str_eq(ways_of(in_dir("none/none.pem")), ".");
	/* Ends; each link is one more directory to watch. */
	ck_assert_uint_gt(strlen(ways_of(in_dir("round"))), 0);
}
END_TEST

/* ------- stamps */

START_TEST(test_stamp)
{
	const char *const files[] = {in_dir("a"), in_dir("b")};
	uint64_t before, after;

	write_file("a", "1");
	before = watch_stamp(files, 2);
	ck_assert(before == watch_stamp(files, 2));
	write_file("b", "1");
	after = watch_stamp(files, 2);
	ck_assert(before != after);
	before = after;
	write_file("next", "1");
	ck_assert_int_eq(rename(in_dir("next"), in_dir("b")), 0);
	after = watch_stamp(files, 2);
	ck_assert(before != after);
	before = after;
	ck_assert_int_eq(unlink(in_dir("a")), 0);
	ck_assert(before != watch_stamp(files, 2));
}
END_TEST

/* ------- events */

static void on_seen(void *arg)
{
	event_base_loopbreak(arg);
}

START_TEST(test_seen)
{
	struct event_base *base = event_base_new();
	const char *const file = in_dir("live/relay.pem");
	struct watch *w;
	struct err e;

	make_dir("live");
	make_dir("archive");
	write_file("archive/1.pem", "x");
	make_link("../archive/1.pem", "live/relay.pem");
	ck_assert_int_eq(watch_new(&w, base, on_seen, base, &e), ST_OK);
	watch_follow(w, &file, 1);

	/* The runner ends a test that is never called. */
	write_file("archive/1.pem", "y");
	ck_assert_int_eq(event_base_dispatch(base), 0);
	make_dir("elsewhere");
	write_file("elsewhere/2.pem", "z");
	make_link("../elsewhere/2.pem", "live/next");
	ck_assert_int_eq(rename(in_dir("live/next"), file), 0);
	ck_assert_int_eq(event_base_dispatch(base), 0);
	/* A directory that was not known before. */
	write_file("elsewhere/2.pem", "zz");
	ck_assert_int_eq(event_base_dispatch(base), 0);

	watch_free(w);
	event_base_free(base);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("watch");
	TCase *c = tcase_create("watch");
	SRunner *r;
	int failed;

	tcase_add_checked_fixture(c, set_up, tear_down);
	tcase_set_timeout(c, 60);
	tcase_add_test(c, test_ways);
	tcase_add_test(c, test_stamp);
	tcase_add_test(c, test_seen);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
