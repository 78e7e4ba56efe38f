/* SPDX-License-Identifier: ISC */
/*
 * t_secret - secrets from files and programs: what is taken, what is refused
 * and with which words, and when they are fetched again.
 */
#include "daemon/secret.h"

#include <check.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

static char dir[256];
static struct mailbox *mail;

struct heard {
	unsigned times;
	struct secret *secret;           /* owned */
	struct err err;
};

static void path_of(char out[300], const char *name)
{
	snprintf(out, 300, "%s/%s", dir, name);
}

static void write_bytes(const char *name, const char *at, size_t len,
			mode_t mode)
{
	char path[300], fresh[310];

	/* Moved in place: a program that is being written can't be run. */
	path_of(path, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	FILE *fp = fopen(fresh, "w");
	ck_assert_ptr_nonnull(fp);
	ck_assert_uint_eq(fwrite(at, 1, len, fp), len);
	ck_assert_int_eq(fclose(fp), 0);
	ck_assert_int_eq(chmod(fresh, mode), 0);
	ck_assert_int_eq(rename(fresh, path), 0);
}

static void write_file(const char *name, const char *text)
{
	write_bytes(name, text, strlen(text), 0600);
}

static void write_program(const char *text)
{
	char *all = xasprintf("#!/bin/sh\ncd %s\n%s\n", dir, text);

	write_bytes("program", all, strlen(all), 0700);
	free(all);
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e;

	snprintf(dir, sizeof(dir), "%s/t_secret.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	ck_assert_int_eq(mailbox_open(&mail, &e), ST_OK);
}

static void tear_down(void)
{
	static const char *const names[] = {"file", "program", "runs"};
	char path[300];

	while (mailbox_run(mail) > 0)
		;
	mailbox_close(mail);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		path_of(path, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static void on_secret(void *arg, struct secret *s, const struct err *e)
{
	struct heard *h = arg;

	h->times++;
	secret_unref(h->secret);
	h->secret = s;
	if (!s)
		h->err = *e;
}

static void ask(struct vault *v, struct heard *h)
{
	unsigned before = h->times;
	struct wish *w = vault_ask(v, mail, on_secret, h);

	ck_assert_ptr_nonnull(w);
	ck_assert_uint_eq(h->times, before);
	while (h->times == before)
		mailbox_wait(mail, 1000);
	ck_assert_uint_eq(h->times, before + 1);
}

static struct vault *file_vault(void)
{
	char path[300];

	path_of(path, "file");
	return vault_new(&(struct vault_conf){.file = path, .command = ""});
}

static struct vault *program_vault(const char *arguments, int64_t timeout_ms)
{
	char *command = xasprintf("%s/program %s", dir, arguments);
	struct vault *v = vault_new(&(struct vault_conf){
		.file = "",
		.command = command,
		.timeout_ms = timeout_ms,
	});

	free(command);
	return v;
}

static void expect(struct vault *v, struct heard *h, const char *text)
{
	ask(v, h);
	ck_assert_msg(h->secret != NULL, "%s", h->err.text);
	ck_assert_str_eq(secret_text(h->secret), text);
}

static void expect_error(struct vault *v, struct heard *h, const char *words)
{
	ask(v, h);
	ck_assert_ptr_null(h->secret);
	ck_assert_int_eq(h->err.status, ST_TEMP);
	ck_assert_msg(strstr(h->err.text, words) != NULL, "%s", h->err.text);
}

static void done(struct vault *v, struct heard *h)
{
	secret_unref(h->secret);
	vault_unref(v);
}

START_TEST(file_is_read)
{
	struct vault *v = file_vault();
	struct heard h = {.times = 0};

	write_file("file", "sesame");
	expect(v, &h, "sesame");
	write_file("file", "open  sesame \r\n\n");
	expect(v, &h, "open  sesame ");
	expect(v, &h, "open  sesame ");
	done(v, &h);
}
END_TEST

START_TEST(file_of_old_is_read_again_when_it_changes)
{
	struct vault *v = file_vault();
	struct heard h = {.times = 0};

	/* Seen from so much later, its time is to be relied on. */
	clock_set_test(clock_mono_ms(), clock_wall_ms() + 60000);
	write_file("file", "one\n");
	expect(v, &h, "one");
	expect(v, &h, "one");
	write_file("file", "two\n");
	expect(v, &h, "two");
	vault_refused(v, h.secret);
	expect(v, &h, "two");
	clock_set_test(-1, -1);
	done(v, &h);
}
END_TEST

/* Whatever the moment, an answer is the secret. */
START_TEST(file_of_old_is_refused_while_it_is_looked_at)
{
	struct vault *v = file_vault();
	struct heard h = {.times = 0};

	clock_set_test(clock_mono_ms(), clock_wall_ms() + 60000);
	write_file("file", "one\n");
	for (int i = 0; i < 200; i++) {
		expect(v, &h, "one");
		unsigned before = h.times;

		ck_assert_ptr_nonnull(vault_ask(v, mail, on_secret, &h));
		for (int spins = i * 2000; spins > 0; spins--)
			atomic_signal_fence(memory_order_seq_cst);
		vault_refused(v, h.secret);
		while (h.times == before)
			mailbox_wait(mail, 1000);
		ck_assert_msg(h.secret != NULL, "%s", h.err.text);
	}
	clock_set_test(-1, -1);
	done(v, &h);
}
END_TEST

START_TEST(file_is_refused)
{
	static const char nul[] = {'a', '\0', 'b'};
	static char large[SECRET_MAX + 2];
	struct vault *v = file_vault();
	struct heard h = {.times = 0};
	char path[300];

	expect_error(v, &h, "No such file");
	write_file("file", "");
	expect_error(v, &h, "gave nothing");
	write_file("file", "\n\n");
	expect_error(v, &h, "gave nothing");
	write_file("file", "secret-a\nsecret-b\n");
	expect_error(v, &h, "more than one line");
	ck_assert_ptr_null(strstr(h.err.text, "secret-"));
	write_bytes("file", nul, sizeof(nul), 0600);
	expect_error(v, &h, "more than one line, or no text");
	memset(large, 'x', sizeof(large));
	write_bytes("file", large, sizeof(large), 0600);
	expect_error(v, &h, "too large");
	write_bytes("file", large, SECRET_MAX, 0600);
	ask(v, &h);
	ck_assert_uint_eq(strlen(secret_text(h.secret)), SECRET_MAX);
	path_of(path, "file");
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	expect_error(v, &h, "is no file");
	ck_assert_int_eq(rmdir(path), 0);
	done(v, &h);
}
END_TEST

START_TEST(program_is_run_once)
{
	struct vault *v = program_vault("for  me", 0);
	struct heard h = {.times = 0};
	int64_t now = clock_mono_ms();

	write_program("echo x >>runs\necho \"token-$1-$2-$(wc -l <runs)\"\n"
		      "echo noise >&2");
	clock_set_test(now, clock_wall_ms());
	expect(v, &h, "token-for-me-1");
	clock_set_test(now + 44 * 60000, clock_wall_ms());
	expect(v, &h, "token-for-me-1");
	clock_set_test(now + 46 * 60000, clock_wall_ms());
	expect(v, &h, "token-for-me-2");
	clock_set_test(-1, -1);
	done(v, &h);
}
END_TEST

START_TEST(program_is_run_again_when_refused)
{
	struct vault *v = program_vault("", 0);
	struct heard h = {.times = 0};

	write_program("echo x >>runs\necho token-$(wc -l <runs)");
	expect(v, &h, "token-1");
	struct secret *first = secret_ref(h.secret);
	vault_refused(v, first);
	expect(v, &h, "token-2");
	/* Somebody else's refusal of the old one says nothing of this. */
	vault_refused(v, first);
	expect(v, &h, "token-2");
	secret_unref(first);
	done(v, &h);
}
END_TEST

START_TEST(program_fails)
{
	struct vault *v = program_vault("", 0);
	struct heard h = {.times = 0};

	expect_error(v, &h, "No such file");
	write_program("echo token-1\necho 'server is down' >&2\n"
		      "echo second line >&2\nexit 1");
	expect_error(v, &h, "auth_command: server is down");
	ck_assert_ptr_null(strstr(h.err.text, "second"));
	ck_assert_ptr_null(strstr(h.err.text, "token-"));
	write_program("exit 7");
	expect_error(v, &h, "ended with status 7");
	write_program("kill -9 $$");
	expect_error(v, &h, "ended by signal 9");
	write_program("exit 0");
	expect_error(v, &h, "gave nothing");
	write_program("echo a\necho b");
	expect_error(v, &h, "more than one line");
	write_program("head -c 100000 /dev/zero | tr '\\0' x");
	expect_error(v, &h, "");
	/* A pipe that is full does not stop it. */
	write_program("head -c 1000000 /dev/zero >&2\necho token");
	expect(v, &h, "token");
	done(v, &h);
}
END_TEST

START_TEST(program_hangs)
{
	struct vault *v = program_vault("", 200);
	struct heard h = {.times = 0};

	write_program("sleep 1000");
	expect_error(v, &h, "did not end in time");
	write_program("exec >&- 2>&-\nsleep 1000");
	expect_error(v, &h, "did not end in time");
	done(v, &h);
}
END_TEST

START_TEST(program_has_a_clean_world)
{
	struct vault *v = program_vault("", 0);
	struct heard h = {.times = 0};

	/* No descriptor but the standard ones and that of ls. */
	write_program("echo fds-$(ls /proc/self/fd | wc -l)-$(cat)");
	expect(v, &h, "fds-4-");
	done(v, &h);
}
END_TEST

START_TEST(askers_share_a_run)
{
	struct vault *v = program_vault("", 0);
	struct heard list[4] = {{.times = 0}};

	write_program("echo x >>runs\nsleep 0.2\necho t-$(wc -l <runs)");
	for (size_t i = 0; i < ARRAY_LEN(list); i++)
		ck_assert_ptr_nonnull(
			vault_ask(v, mail, on_secret, &list[i]));
	while (!list[3].times)
		mailbox_wait(mail, 1000);
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		while (!list[i].times)
			mailbox_wait(mail, 1000);
		ck_assert_str_eq(secret_text(list[i].secret), "t-1");
		secret_unref(list[i].secret);
	}
	vault_unref(v);
}
END_TEST

START_TEST(wishes_are_cancelled)
{
	struct vault *v = program_vault("", 0);
	struct heard h = {.times = 0}, never = {.times = 0};

	/* While it runs; beside one that stays. */
	write_program("sleep 0.2\necho token");
	struct wish *w = vault_ask(v, mail, on_secret, &never);
	struct wish *stays = vault_ask(v, mail, on_secret, &h);
	ck_assert_ptr_nonnull(stays);
	wish_cancel(w);
	while (!h.times)
		mailbox_wait(mail, 1000);
	/* The answer waits in the mailbox. */
	w = vault_ask(v, mail, on_secret, &never);
	wish_cancel(w);
	mailbox_run(mail);
	ck_assert_uint_eq(never.times, 0);
	wish_cancel(NULL);
	done(v, &h);
}
END_TEST

START_TEST(vault_goes_while_a_program_runs)
{
	struct vault *v = program_vault("", 0);
	struct heard never = {.times = 0};
	int64_t began = clock_mono_ms();

	write_program("sleep 1000");
	wish_cancel(vault_ask(v, mail, on_secret, &never));
	vault_unref(v);
	ck_assert_uint_eq(never.times, 0);
	ck_assert_int_lt(clock_mono_ms() - began, 25000);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("secret");
	TCase *tc = tcase_create("vault");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc, file_is_read);
	tcase_add_test(tc, file_of_old_is_read_again_when_it_changes);
	tcase_add_test(tc, file_of_old_is_refused_while_it_is_looked_at);
	tcase_add_test(tc, file_is_refused);
	tcase_add_test(tc, program_is_run_once);
	tcase_add_test(tc, program_is_run_again_when_refused);
	tcase_add_test(tc, program_fails);
	tcase_add_test(tc, program_hangs);
	tcase_add_test(tc, program_has_a_clean_world);
	tcase_add_test(tc, askers_share_a_run);
	tcase_add_test(tc, wishes_are_cancelled);
	tcase_add_test(tc, vault_goes_while_a_program_runs);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
