/* SPDX-License-Identifier: ISC */
/*
 * t_login - passwords that are right, wrong or of nobody, in a file that
 * changes.
 */
#include "daemon/login.h"

#include <check.h>
#include <crypt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

static char dir[64];
static char *file;
static struct login *login;
static struct mailbox *mail;
static unsigned answers;

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e;

	snprintf(dir, sizeof(dir), "%.40s/t_login-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	file = xasprintf("%s/users", dir);
	log_set_level(LOG_ERROR);
	answers = 0;
	ck_assert_int_eq(mailbox_open(&mail, &e), ST_OK);
	ck_assert_int_eq(login_start(&login, &e), ST_OK);
}

static void tear_down(void)
{
	login_stop(login);
	mailbox_close(mail);
	(void)!unlink(file);
	rmdir(dir);
	free(file);
}

/* A new file each time, as an editor writes it. */
static void write_file(const char *text)
{
	char *next = xasprintf("%s.new", file);
	FILE *f = fopen(next, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	fclose(f);
	ck_assert_int_eq(rename(next, file), 0);
	free(next);
}

/* Cheap, for tests. */
static char *hash(const char *prefix, unsigned long cost, const char *password)
{
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	struct crypt_data *data = xcalloc(1, sizeof(*data));
	char *made;

	ck_assert_ptr_nonnull(crypt_gensalt_rn(prefix, cost, NULL, 0, setting,
					       sizeof(setting)));
	made = xstrdup(crypt_r(password, setting, data));
	free(data);
	return made;
}

static void answered(struct note *note)
{
	(void)note;
	answers++;
}

static struct login_question *ask(const char *user, const char *password)
{
	struct login_question *q = login_question(file, user, password);

	q->reply_to = mail;
	q->done.run = answered;
	return q;
}

static void wait_answers(unsigned n)
{
	while (answers < n)
		mailbox_wait(mail, -1);
}

static void check_outcome(const char *user, const char *password,
			  enum login_outcome wanted)
{
	struct login_question *q = ask(user, password);

	ck_assert(login_put(login, q));
	wait_answers(answers + 1);
	ck_assert_msg(q->outcome == wanted, "%s %s: %d", user, password,
		      q->outcome);
	/* Wiped, whatever came out. */
	ck_assert_str_eq(q->password, "");
	login_question_free(q);
}

START_TEST(methods)
{
	static const struct {
		const char *prefix;
		unsigned long cost;
	} table[] = {{"$y$", 1}, {"$6$", 1000}, {"$2b$", 4}, {"$5$", 1000}};

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		char *h = hash(table[i].prefix, table[i].cost, "s3cret");
		char *text = xasprintf("alice:%s\n", h);

		write_file(text);
		check_outcome("alice", "s3cret", LOGIN_RIGHT);
		check_outcome("alice", "s3cre", LOGIN_WRONG);
		check_outcome("alice", "", LOGIN_WRONG);
		check_outcome("alice", h, LOGIN_WRONG);
		check_outcome("bob", "s3cret", LOGIN_WRONG);
		check_outcome("", "s3cret", LOGIN_WRONG);
		check_outcome("alic", "s3cret", LOGIN_WRONG);
		check_outcome("Alice", "s3cret", LOGIN_WRONG);
		free(text);
		free(h);
	}
}
END_TEST

START_TEST(lines)
{
	char *a = hash("$y$", 1, "a"), *b = hash("$6$", 1000, "b");
	char *text = xasprintf("# users of the relay\n"
			       "\n"
			       "#carol:%s\n"
			       "no colon here\n"
			       ":%s\n"
			       "dave:\n"
			       "erin:*\n"
			       "frank:!%s\n"
			       "alice:%s  \r\n"
			       "bob@example.com:%s",
			       a, a, a, a, b);

	write_file(text);
	check_outcome("alice", "a", LOGIN_RIGHT);
	check_outcome("bob@example.com", "b", LOGIN_RIGHT);
	check_outcome("#carol", "a", LOGIN_WRONG);
	check_outcome("carol", "a", LOGIN_WRONG);
	check_outcome("", "a", LOGIN_WRONG);
	check_outcome("dave", "", LOGIN_WRONG);
	check_outcome("erin", "*", LOGIN_WRONG);
	check_outcome("erin", "*0", LOGIN_WRONG);
	check_outcome("frank", "a", LOGIN_WRONG);
	free(text);
	free(b);
	free(a);
}
END_TEST

START_TEST(no_users)
{
	write_file("");
	check_outcome("alice", "", LOGIN_WRONG);
	write_file("alice:nothash\n");
	check_outcome("alice", "nothash", LOGIN_WRONG);
}
END_TEST

/* A line too long for us is one bad line, not two. */
START_TEST(long_line)
{
	char *a = hash("$y$", 1, "a");
	char *text = xasprintf("%02000d\nx%01021d:y:%s\nalice:%s\n", 0, 0, a,
			       a);

	write_file(text);
	check_outcome("alice", "a", LOGIN_RIGHT);
	check_outcome("y", "a", LOGIN_WRONG);
	free(text);
	free(a);
}
END_TEST

START_TEST(the_file_changes)
{
	char *a = hash("$y$", 1, "a"), *b = hash("$y$", 1, "b");
	char *first = xasprintf("alice:%s\n", a);
	char *second = xasprintf("alice:%s\n", b);

	check_outcome("alice", "a", LOGIN_UNKNOWN);
	write_file(first);
	check_outcome("alice", "a", LOGIN_RIGHT);
	write_file(second);
	check_outcome("alice", "a", LOGIN_WRONG);
	check_outcome("alice", "b", LOGIN_RIGHT);
	ck_assert_int_eq(unlink(file), 0);
	check_outcome("alice", "b", LOGIN_UNKNOWN);
	write_file(first);
	check_outcome("alice", "a", LOGIN_RIGHT);
	free(second);
	free(first);
	free(b);
	free(a);
}
END_TEST

/* Who asks for too much is told at once; what was taken is answered. */
START_TEST(there_is_a_limit)
{
	char *a = hash("$y$", 1, "a");
	char *text = xasprintf("alice:%s\n", a);
	struct login_question *q[2000];
	unsigned n = 0;

	write_file(text);
	while (n < ARRAY_LEN(q)) {
		q[n] = ask("alice", "a");
		if (!login_put(login, q[n]))
			break;
		n++;
	}
	ck_assert_uint_lt(n, ARRAY_LEN(q));
	login_question_free(q[n]);
	wait_answers(n);
	ck_assert_uint_eq(answers, n);
	for (unsigned i = 0; i < n; i++) {
		ck_assert_int_eq(q[i]->outcome, LOGIN_RIGHT);
		login_question_free(q[i]);
	}
	check_outcome("alice", "a", LOGIN_RIGHT);
	free(text);
	free(a);
}
END_TEST

/* Nobody is let in by a question that was given up. */
START_TEST(dropped)
{
	char *a = hash("$y$", 1, "a");
	char *text = xasprintf("alice:%s\n", a);
	struct login_question *q = ask("alice", "a");

	write_file(text);
	atomic_store(&q->dropped, true);
	ck_assert(login_put(login, q));
	wait_answers(1);
	ck_assert_int_ne(q->outcome, LOGIN_RIGHT);
	ck_assert_str_eq(q->password, "");
	login_question_free(q);
	free(text);
	free(a);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("login");
	TCase *tc = tcase_create("login");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, methods);
	tcase_add_test(tc, lines);
	tcase_add_test(tc, no_users);
	tcase_add_test(tc, long_line);
	tcase_add_test(tc, the_file_changes);
	tcase_add_test(tc, there_is_a_limit);
	tcase_add_test(tc, dropped);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
