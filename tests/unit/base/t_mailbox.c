/* SPDX-License-Identifier: ISC */
/*
 * t_mailbox - notes from many threads to one.
 */

#include "base/mailbox.h"

#include <check.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct letter {
	struct note note;
	unsigned from, number; /* written before it is posted */
};

enum { WRITERS = 4, LETTERS = 5000 };

static unsigned next_from[WRITERS]; /* the reader's */
static bool out_of_order;

static void on_letter(struct note *note)
{
	struct letter *l = CONTAINER_OF(note, struct letter, note);

	if (l->number != next_from[l->from]++)
		out_of_order = true;
	free(l);
}

static void post(struct mailbox *m, unsigned from, unsigned number)
{
	struct letter *l = xcalloc(1, sizeof(*l));

	*l = (struct letter){
		.note.run = on_letter, .from = from, .number = number};
	mailbox_post(m, &l->note);
}

static bool is_readable(struct mailbox *m)
{
	struct pollfd p = {.fd = mailbox_fd(m), .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static struct mailbox *open_mailbox(void)
{
	struct mailbox *m = NULL;
	struct err e;

	ck_assert_int_eq(mailbox_open(&m, &e), ST_OK);
	return m;
}

START_TEST(runs_in_order)
{
	struct mailbox *m = open_mailbox();

	ck_assert(!is_readable(m));
	ck_assert_uint_eq(mailbox_run(m), 0);
	for (unsigned i = 0; i < 3; i++)
		post(m, 0, i);
	ck_assert(is_readable(m));
	ck_assert_uint_eq(mailbox_run(m), 3);
	ck_assert(!out_of_order);
	ck_assert_uint_eq(next_from[0], 3);
	ck_assert(!is_readable(m));
	ck_assert_uint_eq(mailbox_wait(m, 1), 0);
	post(m, 0, 3);
	ck_assert_uint_eq(mailbox_wait(m, -1), 1);
	mailbox_close(m);
	mailbox_close(NULL);
}
END_TEST

/* Nobody is woken for them, and they are not forgotten. */
START_TEST(what_came_before_the_wait_is_there)
{
	struct mailbox *m = open_mailbox();

	for (unsigned i = 0; i < 2; i++) {
		post(m, 1, 2 * i);
		post(m, 1, 2 * i + 1);
		ck_assert_uint_eq(mailbox_wait(m, -1), 2);
	}
	ck_assert_uint_eq(mailbox_wait(m, 1), 0);
	post(m, 1, 4);
	ck_assert(is_readable(m));
	ck_assert_uint_eq(mailbox_wait(m, -1), 1);
	ck_assert(!is_readable(m));
	post(m, 1, 5);
	ck_assert(is_readable(m));
	ck_assert_uint_eq(mailbox_run(m), 1);
	mailbox_close(m);
}
END_TEST

struct echo {
	struct note note;
	struct mailbox *m;
	unsigned left;
};

static void on_echo(struct note *note)
{
	struct echo *e = CONTAINER_OF(note, struct echo, note);

	if (e->left-- > 0)
		mailbox_post(e->m, note);
}

START_TEST(a_note_may_post_itself_again)
{
	struct mailbox *m = open_mailbox();
	struct echo e = {.note.run = on_echo, .m = m, .left = 2};

	mailbox_post(m, &e.note);
	ck_assert_uint_eq(mailbox_run(m), 1);
	ck_assert(is_readable(m));
	ck_assert_uint_eq(mailbox_wait(m, -1), 1);
	ck_assert_uint_eq(mailbox_run(m), 1);
	ck_assert_uint_eq(mailbox_run(m), 0);
	mailbox_close(m);
}
END_TEST

struct writer {
	struct mailbox *m;
	unsigned from;
	pthread_t thread;
};

static void *write_letters(void *arg)
{
	struct writer *w = arg;

	for (unsigned i = 0; i < LETTERS; i++)
		post(w->m, w->from, i);
	return NULL;
}

START_TEST(many_threads_post)
{
	struct mailbox *m = open_mailbox();
	struct writer writers[WRITERS];
	size_t got = 0;

	for (unsigned i = 0; i < WRITERS; i++) {
		writers[i] = (struct writer){.m = m, .from = i};
		ck_assert_int_eq(pthread_create(&writers[i].thread, NULL,
						write_letters, &writers[i]),
				 0);
	}
	while (got < (size_t)WRITERS * LETTERS) {
		size_t n = mailbox_wait(m, 30000);

		ck_assert_msg(n > 0, "a wake-up was lost");
		got += n;
	}
	for (unsigned i = 0; i < WRITERS; i++)
		pthread_join(writers[i].thread, NULL);
	ck_assert(!out_of_order);
	ck_assert_uint_eq(mailbox_run(m), 0);
	mailbox_close(m);
}
END_TEST

START_TEST(closing_a_full_one_is_a_bug)
{
	struct mailbox *m = open_mailbox();

	post(m, 0, 0);
	mailbox_close(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("mailbox");
	TCase *tc = tcase_create("mailbox");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, runs_in_order);
	tcase_add_test(tc, what_came_before_the_wait_is_there);
	tcase_add_test(tc, a_note_may_post_itself_again);
	tcase_add_test(tc, many_threads_post);
	tcase_add_test_raise_signal(tc, closing_a_full_one_is_a_bug, SIGABRT);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
