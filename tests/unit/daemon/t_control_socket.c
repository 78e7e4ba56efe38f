/* SPDX-License-Identifier: ISC */
/*
 * t_control_socket - who gets the control socket, and with which mode.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/control.h"

static char dir[256];
static struct conf_control conf;

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/t_control.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	conf.socket = xasprintf("%s/s", dir);
	conf.group = (char *)"";
	log_set_level(LOG_ERROR);
}

static void teardown(void)
{
	unlink(conf.socket);
	free(conf.socket);
	ck_assert_int_eq(rmdir(dir), 0);
}

static int bind_it(void)
{
	struct err e;
	int fd;

	ck_assert_msg(control_bind(&fd, &conf, &e) == ST_OK, "%s", e.text);
	return fd;
}

static void expect_refused(void)
{
	struct err e;
	int fd;

	ck_assert(control_bind(&fd, &conf, &e) != ST_OK);
	ck_assert(e.text[0] != '\0');
}

START_TEST(others_have_no_right)
{
	mode_t mask = umask(0);
	int fd = bind_it();
	struct stat st;

	ck_assert_int_eq(stat(conf.socket, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0660);
	/* The mask is as it was. */
	ck_assert_int_eq(umask(mask), 0);
	close(fd);
}
END_TEST

START_TEST(the_living_keep_it)
{
	int fd = bind_it();

	expect_refused();
	close(fd);
}
END_TEST

START_TEST(the_dead_lose_it)
{
	close(bind_it());
	close(bind_it());
}
END_TEST

START_TEST(what_is_no_socket_stays)
{
	FILE *f = fopen(conf.socket, "w");

	ck_assert_ptr_nonnull(f);
	fclose(f);
	expect_refused();
	ck_assert_int_eq(access(conf.socket, F_OK), 0);
}
END_TEST

START_TEST(a_missing_group_is_no_reason_to_stop)
{
	conf.group = (char *)"no-such-group";
	close(bind_it());
}
END_TEST

START_TEST(bad_places_are_refused)
{
	char *whole = conf.socket;
	char path[200];

	memset(path, 'x', sizeof(path));
	path[0] = '/';
	path[sizeof(path) - 1] = '\0';
	conf.socket = path;
	expect_refused();
	conf.socket = (char *)"/nonexistent/s";
	expect_refused();
	conf.socket = whole;
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control_socket");
	TCase *tc = tcase_create("control_socket");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, others_have_no_right);
	tcase_add_test(tc, the_living_keep_it);
	tcase_add_test(tc, the_dead_lose_it);
	tcase_add_test(tc, what_is_no_socket_stays);
	tcase_add_test(tc, a_missing_group_is_no_reason_to_stop);
	tcase_add_test(tc, bad_places_are_refused);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
