/* SPDX-License-Identifier: ISC */
/*
 * t_log - what a line looks like, and the ring of the last ones.
 */

#include "base/log.h"

#include <check.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

static int saved_stderr;
static FILE *capture;

/* Standard error becomes a file until release_stderr(). */
static void catch_stderr(void)
{
	capture = tmpfile();
	ck_assert_ptr_nonnull(capture);
	saved_stderr = dup(STDERR_FILENO);
	ck_assert_int_ge(dup2(fileno(capture), STDERR_FILENO), 0);
}

static void release_stderr(char *out, size_t size)
{
	size_t len;

	ck_assert_int_ge(dup2(saved_stderr, STDERR_FILENO), 0);
	close(saved_stderr);
	rewind(capture);
	len = fread(out, 1, size - 1, capture);
	out[len] = '\0';
	fclose(capture);
}

#define HEAD_LOGFMT "time=2026-11-23T17:41:05.123Z level=info "
#define HEAD_JSON "{\"time\":\"2026-11-23T17:41:05.123Z\",\"level\":\"info\","

static void set_up(void)
{
	clock_set_test(0, INT64_C(1795455665123));
	log_set_level(LOG_INFO);
	log_set_format(LOG_LOGFMT);
}

START_TEST(logfmt_lines)
{
	char out[4096];

	catch_stderr();
	log_fact(LOG_INFO, 32, "delivered", F_STR("rcpt", "<a@b>"),
		 F_INT("attempts", -1), F_SECONDS("queued_s", 1234),
		 F_STR("absent", NULL));
	log_fact(LOG_INFO, 0, "values", F_STR("empty", ""), F_STR("eq", "a=b"),
		 F_STR("quote", "say \"x\""), F_STR("ctl", "a\r\n\x01"),
		 F_STR("back", "a\\b"), F_STR("utf", "\xc3\xa9"),
		 F_STR("bad", "\xe9"), F_SECONDS("neg", -1500));
	log_text(LOG_INFO, "note", "%d of %s", 3, "them");
	release_stderr(out, sizeof(out));
	ck_assert_str_eq(
		out, HEAD_LOGFMT
		"msg=0000000000010 event=delivered rcpt=<a@b> attempts=-1 "
		"queued_s=1.234\n" HEAD_LOGFMT
		"event=values empty=\"\" eq=\"a=b\" quote=\"say \\\"x\\\"\" "
		"ctl=\"a\\r\\n\\x01\" back=\"a\\x5cb\" utf=\"\xc3\xa9\" "
		"bad=\"\\xe9\" neg=-1.500\n" HEAD_LOGFMT
		"event=note text=\"3 of them\"\n");
}
END_TEST

START_TEST(json_lines)
{
	char out[4096];

	log_set_format(LOG_JSON);
	catch_stderr();
	log_fact(LOG_INFO, 32, "delivered", F_STR("rcpt", "<a@b>"),
		 F_INT("attempts", 1), F_SECONDS("queued_s", 50));
	log_fact(LOG_INFO, 0, "values", F_STR("empty", ""),
		 F_STR("quote", "\"\\\""), F_STR("ctl", "\r\n\t\x01\x7f"),
		 F_STR("utf", "\xc3\xa9\xc2\x85"), F_STR("bad", "\xe9!\xc3"),
		 F_SPAN("nul", ((struct span){"a\0b", 3})));
	release_stderr(out, sizeof(out));
	ck_assert_str_eq(
		out, HEAD_JSON
		"\"msg\":\"0000000000010\",\"event\":\"delivered\","
		"\"rcpt\":\"<a@b>\",\"attempts\":1,"
		"\"queued_s\":0.050}\n" HEAD_JSON
		"\"event\":\"values\",\"empty\":\"\",\"quote\":"
		"\"\\\"\\\\\\\"\","
		"\"ctl\":\"\\r\\n\\t\\u0001\\u007f\","
		"\"utf\":\"\xc3\xa9\\u0085\",\"bad\":\"\\\\xe9!\\\\xc3\","
		"\"nul\":\"a\\u0000b\"}\n");
}
END_TEST

START_TEST(level_decides_what_is_written)
{
	char out[4096];
	enum log_level level;

	catch_stderr();
	log_set_level(LOG_WARN);
	log_text(LOG_INFO, "hidden", "x");
	log_text(LOG_ERROR, "shown", "x");
	release_stderr(out, sizeof(out));
	ck_assert_ptr_null(strstr(out, "hidden"));
	ck_assert_ptr_nonnull(strstr(out, "level=error event=shown"));
	ck_assert(!log_enabled(LOG_INFO) && log_enabled(LOG_WARN));
	ck_assert(log_level_parse("debug", &level) && level == LOG_DEBUG);
	ck_assert(!log_level_parse("loud", &level) && level == LOG_DEBUG);
	ck_assert_str_eq(log_level_word(LOG_ERROR), "error");

	catch_stderr();
	log_dump(STDERR_FILENO);
	release_stderr(out, sizeof(out));
	ck_assert_ptr_nonnull(strstr(out, "event=hidden"));
	ck_assert_ptr_nonnull(strstr(out, "event=shown"));
}
END_TEST

static unsigned count_lines(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

START_TEST(ring_keeps_the_last_lines)
{
	static char out[100000];

	for (int i = 1; i <= 100; i++)
		log_fact(LOG_DEBUG, 0, "tick", F_INT("i", i));
	catch_stderr();
	log_dump(STDERR_FILENO);
	release_stderr(out, sizeof(out));
	ck_assert_uint_eq(count_lines(out), 64);
	ck_assert_ptr_null(strstr(out, "i=36\n"));
	ck_assert_ptr_nonnull(strstr(out, "i=37\n"));
	ck_assert_ptr_nonnull(strstr(out, "i=100\n"));
}
END_TEST

START_TEST(long_values_are_cut)
{
	static char huge[50000], out[200000];

	memset(huge, '\x01', sizeof(huge) - 1);
	log_set_format(LOG_JSON);
	catch_stderr();
	log_fact(LOG_INFO, 0, "a", F_STR("reply", huge), F_STR("two", huge),
		 F_STR("last", "here"));
	log_dump(STDERR_FILENO);
	release_stderr(out, sizeof(out));
	ck_assert_uint_eq(count_lines(out), 2);
	*strchr(out, '\n') = '\0';
	ck_assert_uint_lt(strlen(out), 16390);
	ck_assert_ptr_nonnull(strstr(out, "\\u0001\",\"last\":\"here\"}"));
	ck_assert_ptr_null(strstr(out, "two"));
}
END_TEST

static void *log_many(void *arg)
{
	(void)arg;
	for (int i = 0; i < 500; i++)
		log_fact(LOG_INFO, 0, "many", F_INT("i", i),
			 F_STR("end", "here"));
	return NULL;
}

START_TEST(threads_do_not_mix_lines)
{
	static char out[1000000];
	pthread_t threads[3];
	char *line, *next;
	unsigned n = 0;

	catch_stderr();
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, log_many, NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		pthread_join(threads[i], NULL);
	release_stderr(out, sizeof(out));
	for (line = out; *line; line = next + 1, n++) {
		next = strchr(line, '\n');
		ck_assert_ptr_nonnull(next);
		*next = '\0';
		ck_assert(strncmp(line, "time=", 5) == 0);
		ck_assert_str_eq(next - strlen(" end=here"), " end=here");
	}
	ck_assert_uint_eq(n, 1500);
}
END_TEST

START_TEST(a_bug_is_reported_with_the_last_lines)
{
	static char out[100000];
	int status = 0;
	pid_t child;

	catch_stderr();
	child = fork();
	if (child == 0) {
		log_text(LOG_DEBUG, "before", "the end");
		BUG_ON(out[0] == '\0');
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	release_stderr(out, sizeof(out));
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	ck_assert_ptr_nonnull(strstr(out, "bug: out[0] == '\\0' at "));
	ck_assert_ptr_nonnull(strstr(out, "t_log.c:"));
	ck_assert_ptr_nonnull(strstr(out, "event=before"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("log");
	TCase *tc = tcase_create("log");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, logfmt_lines);
	tcase_add_test(tc, json_lines);
	tcase_add_test(tc, level_decides_what_is_written);
	tcase_add_test(tc, ring_keeps_the_last_lines);
	tcase_add_test(tc, long_values_are_cut);
	tcase_add_test(tc, threads_do_not_mix_lines);
	tcase_add_test(tc, a_bug_is_reported_with_the_last_lines);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
