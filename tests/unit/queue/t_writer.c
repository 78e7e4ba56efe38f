/* SPDX-License-Identifier: ISC */
/*
 * t_writer.c - writes are applied in order, answered once, and announced only
 * when they are durable.
 */
#include <check.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "queue/writer.h"
#include "tests/support/store_mem.h"
#include "tests/unit/queue/help.h"

enum { WRITES = 300, THREADS = 4 };

struct job {
	struct write write;
	struct message *message;
	struct test *test;
};

struct test {
	struct store *store;
	struct writer *writer;
	struct mailbox *mailbox;
	struct job jobs[WRITES];
	size_t ndone; /* mailbox's thread */
	uint64_t done_ids[WRITES];
	/* The writer's thread. */
	size_t ncommits, ncommitted, largest;
	uint64_t committed_ids[WRITES];
};

static void on_done(struct note *note)
{
	struct write *write = CONTAINER_OF(note, struct write, done);
	struct job *job = CONTAINER_OF(write, struct job, write);
	struct test *t = job->test;

	t->done_ids[t->ndone++] = job->write.op.id;
}

static void on_committed(void *arg, const struct store_op *const *ops, size_t n)
{
	struct test *t = arg;

	t->ncommits++;
	if (n > t->largest)
		t->largest = n;
	for (size_t i = 0; i < n; i++) {
		struct message *m;
		struct err e;

		ck_assert_int_eq(ops[i]->status, ST_OK);
		/* It is in the store already. */
		ck_assert_int_eq(
			t->store->ops->load(t->store, ops[i]->id, &m, &e),
			ST_OK);
		message_free(m);
		t->committed_ids[t->ncommitted++] = ops[i]->id;
	}
}

static struct test *test_new(size_t max_ops, size_t max_bytes)
{
	struct test *t = xcalloc(1, sizeof(*t));
	struct writer_conf conf = {.committed = on_committed,
				   .arg = t,
				   .max_ops = max_ops,
				   .max_bytes = max_bytes};
	struct err e;

	t->store = store_mem_open();
	conf.store = t->store;
	ck_assert_int_eq(mailbox_open(&t->mailbox, &e), ST_OK);
	ck_assert_int_eq(writer_start(&t->writer, &conf, &e), ST_OK);
	for (size_t i = 0; i < WRITES; i++) {
		struct job *job = &t->jobs[i];

		job->test = t;
		job->message = make_message(i + 1, 1, SPAN("0123456789"));
		job->write = (struct write){
			.op = {.verb = STORE_ENQUEUE,
			       .id = i + 1,
			       .body = SPAN("0123456789"),
			       .message = job->message},
			.reply_to = t->mailbox,
			.done = {.run = on_done},
		};
	}
	return t;
}

static void test_free(struct test *t)
{
	for (size_t i = 0; i < WRITES; i++) {
		store_op_release(&t->jobs[i].write.op);
		message_free(t->jobs[i].message);
	}
	mailbox_close(t->mailbox);
	t->store->ops->close(t->store);
	free(t);
}

static void wait_done(struct test *t, size_t n)
{
	while (t->ndone < n)
		ck_assert_uint_gt(mailbox_wait(t->mailbox, 20000), 0);
}

START_TEST(all_are_answered_in_order)
{
	struct test *t = test_new(0, 0);
	struct writer_stats stats;

	for (size_t i = 0; i < WRITES; i++)
		writer_submit(t->writer, &t->jobs[i].write);
	wait_done(t, WRITES);
	writer_stats(t->writer, &stats);
	ck_assert_uint_eq(stats.ops, WRITES);
	ck_assert_uint_eq(stats.failed_commits, 0);
	ck_assert_uint_ge(stats.commits, 1);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ndone, WRITES);
	ck_assert_uint_eq(t->ncommitted, WRITES);
	for (size_t i = 0; i < WRITES; i++) {
		ck_assert_uint_eq(t->done_ids[i], i + 1);
		ck_assert_uint_eq(t->committed_ids[i], i + 1);
		ck_assert_int_eq(t->jobs[i].write.op.status, ST_OK);
	}
	test_free(t);
}
END_TEST

/* In the writer's thread: all the others are submitted meanwhile. */
static void submit_the_others(struct note *note)
{
	struct write *write = CONTAINER_OF(note, struct write, done);
	struct job *job = CONTAINER_OF(write, struct job, write);
	struct test *t = job->test;

	for (size_t i = 1; i < WRITES; i++)
		writer_submit(t->writer, &t->jobs[i].write);
}

START_TEST(new_mail_goes_before_the_rest)
{
	static const struct change hold = {.kind = CHANGE_HOLD};
	struct test *t = test_new(8, 0);
	size_t changes = 0, last = 0;

	/* The first half are changes of the first message; new mail comes
	 * later, and is done sooner. */
	for (size_t i = 1; i < WRITES / 2; i++)
		t->jobs[i].write.op = (struct store_op){
			.verb = STORE_CHANGE,
			.id = 1,
			.changes = &hold,
			.nchanges = 1,
		};
	t->jobs[0].write.reply_to = NULL;
	t->jobs[0].write.done.run = submit_the_others;
	writer_submit(t->writer, &t->jobs[0].write);
	wait_done(t, WRITES - 1);
	writer_stop(t->writer);
	/* Of eight places in a batch the changes got one. */
	for (size_t i = 0; i < t->ndone; i++) {
		changes += t->done_ids[i] == 1;
		if (t->done_ids[i] != 1)
			last = i;
	}
	ck_assert_uint_eq(changes, WRITES / 2 - 1);
	ck_assert_uint_ge(last, WRITES / 2);
	ck_assert_uint_le(last, WRITES / 2 + WRITES / 2 / 7 + 1);
	test_free(t);
}
END_TEST

START_TEST(stop_makes_durable_what_was_submitted)
{
	struct test *t = test_new(7, 0);

	for (size_t i = 0; i < WRITES; i++)
		writer_submit(t->writer, &t->jobs[i].write);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ncommitted, WRITES);
	ck_assert_uint_le(t->largest, 7);
	wait_done(t, WRITES);
	test_free(t);
	writer_stop(NULL);
}
END_TEST

/* Alone it is made durable too, only later. */
START_TEST(a_patient_one_is_not_forgotten)
{
	struct test *t = test_new(0, 0);

	t->jobs[0].write.patient = true;
	writer_submit(t->writer, &t->jobs[0].write);
	wait_done(t, 1);
	for (size_t i = 1; i < WRITES; i++)
		t->jobs[i].write.patient = i % 3 > 0;
	for (size_t i = 1; i < WRITES; i++)
		writer_submit(t->writer, &t->jobs[i].write);
	wait_done(t, WRITES);
	for (size_t i = 0; i < WRITES; i++)
		ck_assert_uint_eq(t->done_ids[i], i + 1);
	writer_stop(t->writer);
	test_free(t);
}
END_TEST

START_TEST(batches_are_bounded_by_bytes)
{
	struct test *t = test_new(0, 25);

	for (size_t i = 0; i < WRITES; i++)
		writer_submit(t->writer, &t->jobs[i].write);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ncommitted, WRITES);
	ck_assert_uint_le(t->largest, 2);
	wait_done(t, WRITES);
	test_free(t);
	/* A single one may be larger than the bound. */
	t = test_new(0, 1);
	writer_submit(t->writer, &t->jobs[0].write);
	wait_done(t, 1);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ncommitted, 1);
	test_free(t);
}
END_TEST

START_TEST(a_failed_commit_fails_all_and_is_not_announced)
{
	struct test *t = test_new(0, 0);
	struct writer_stats stats;

	store_mem_fail_commits(t->store, 1);
	writer_submit(t->writer, &t->jobs[0].write);
	wait_done(t, 1);
	ck_assert_int_eq(t->jobs[0].write.op.status, ST_TEMP);
	writer_submit(t->writer, &t->jobs[1].write);
	wait_done(t, 2);
	ck_assert_int_eq(t->jobs[1].write.op.status, ST_OK);
	writer_stats(t->writer, &stats);
	ck_assert_uint_eq(stats.failed_commits, 1);
	ck_assert_uint_eq(stats.commits, 1);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ncommits, 1);
	ck_assert_uint_eq(t->ncommitted, 1);
	ck_assert_uint_eq(t->committed_ids[0], 2);
	test_free(t);
}
END_TEST

START_TEST(a_refused_one_does_not_disturb_its_neighbours)
{
	struct test *t = test_new(0, 0);

	t->jobs[1].write.op.at = 5; /* a gap */
	for (size_t i = 0; i < 3; i++)
		writer_submit(t->writer, &t->jobs[i].write);
	wait_done(t, 3);
	writer_stop(t->writer);
	ck_assert_int_eq(t->jobs[0].write.op.status, ST_OK);
	ck_assert_int_eq(t->jobs[1].write.op.status, ST_TEMP);
	ck_assert_int_eq(t->jobs[2].write.op.status, ST_OK);
	ck_assert_uint_eq(t->ncommitted, 2);
	test_free(t);
}
END_TEST

/* Without a mailbox the note runs in the writer's thread, and may submit. */
static void on_first(struct note *note)
{
	struct write *write = CONTAINER_OF(note, struct write, done);
	struct job *job = CONTAINER_OF(write, struct job, write);

	writer_submit(job->write.writer, &job->test->jobs[1].write);
}

START_TEST(a_note_may_run_in_the_writer)
{
	struct test *t = test_new(0, 0);

	t->jobs[0].write.reply_to = NULL;
	t->jobs[0].write.done.run = on_first;
	writer_submit(t->writer, &t->jobs[0].write);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ncommitted, 2);
	wait_done(t, 1);
	test_free(t);
}
END_TEST

static void on_failed(struct note *note)
{
	struct write *write = CONTAINER_OF(note, struct write, done);
	struct job *job = CONTAINER_OF(write, struct job, write);
	struct test *t = job->test;

	if (job->write.op.status == ST_OK)
		t->done_ids[t->ndone++] = job->write.op.id;
	else
		ck_assert(writer_submit_later(job->write.writer, &job->write,
					      20));
}

static void on_hour(struct note *note)
{
	struct write *write = CONTAINER_OF(note, struct write, done);
	struct job *job = CONTAINER_OF(write, struct job, write);
	struct test *t = job->test;

	if (job->write.op.status == ST_OK)
		t->done_ids[t->ndone++] = job->write.op.id;
	else
		ck_assert(writer_submit_later(job->write.writer, &job->write,
					      3600 * 1000));
}

START_TEST(what_failed_is_tried_again_later)
{
	struct test *t = test_new(0, 0);
	struct writer_stats stats;

	store_mem_fail_commits(t->store, 3);
	t->jobs[0].write.reply_to = NULL;
	t->jobs[0].write.done.run = on_failed;
	writer_submit(t->writer, &t->jobs[0].write);
	do
		writer_stats(t->writer, &stats);
	while (stats.commits == 0);
	ck_assert_uint_eq(stats.failed_commits, 3);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ndone, 1);
	ck_assert_uint_eq(t->ncommitted, 1);
	test_free(t);
}
END_TEST

START_TEST(stop_does_not_wait_for_what_is_to_be_tried_later)
{
	struct test *t = test_new(0, 0);
	struct writer_stats stats;

	store_mem_fail_commits(t->store, 1);
	t->jobs[0].write.reply_to = NULL;
	t->jobs[0].write.done.run = on_hour;
	writer_submit(t->writer, &t->jobs[0].write);
	do
		writer_stats(t->writer, &stats);
	while (stats.failed_commits == 0);
	writer_stop(t->writer);
	ck_assert_uint_eq(t->ndone, 1);
	ck_assert_uint_eq(t->ncommitted, 1);
	test_free(t);
}
END_TEST

struct submitter {
	struct test *test;
	size_t from;
};

static void *submit_some(void *arg)
{
	struct submitter *s = arg;

	for (size_t i = s->from; i < WRITES; i += THREADS)
		writer_submit(s->test->writer, &s->test->jobs[i].write);
	return NULL;
}

START_TEST(many_threads_submit)
{
	struct test *t = test_new(16, 0);
	struct submitter who[THREADS];
	pthread_t threads[THREADS];
	bool seen[WRITES + 1] = {false};

	for (size_t i = 0; i < THREADS; i++) {
		who[i] = (struct submitter){t, i};
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, submit_some, &who[i]),
			0);
	}
	wait_done(t, WRITES);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	writer_stop(t->writer);
	for (size_t i = 0; i < WRITES; i++) {
		ck_assert(!seen[t->done_ids[i]]);
		seen[t->done_ids[i]] = true;
	}
	/* Each submitter's own order is kept. */
	for (size_t i = 0; i < WRITES; i++)
		for (size_t k = i + 1; k < WRITES; k++)
			if (t->done_ids[i] % THREADS ==
			    t->done_ids[k] % THREADS)
				ck_assert_uint_lt(t->done_ids[i],
						  t->done_ids[k]);
	test_free(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("writer");
	TCase *t = tcase_create("writer");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, all_are_answered_in_order);
	tcase_add_test(t, new_mail_goes_before_the_rest);
	tcase_add_test(t, stop_makes_durable_what_was_submitted);
	tcase_add_test(t, a_patient_one_is_not_forgotten);
	tcase_add_test(t, batches_are_bounded_by_bytes);
	tcase_add_test(t, a_failed_commit_fails_all_and_is_not_announced);
	tcase_add_test(t, a_refused_one_does_not_disturb_its_neighbours);
	tcase_add_test(t, a_note_may_run_in_the_writer);
	tcase_add_test(t, what_failed_is_tried_again_later);
	tcase_add_test(t, stop_does_not_wait_for_what_is_to_be_tried_later);
	tcase_add_test(t, many_threads_submit);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
