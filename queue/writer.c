/* SPDX-License-Identifier: ISC */
/*
 * writer.c - group commit.
 *
 * While a transaction is being synced, writes gather in the mailbox; the next
 * transaction takes them all, up to its bounds.  So what somebody waits for is
 * never delayed on purpose, and a sync is shared by as many as came during the
 * one before.
 *
 * There are two lines.  Somebody holds a connection for new mail, and for
 * that alone: it goes first, however many outcomes and operators' changes
 * wait.  While it comes these get a small part of each transaction, as a
 * sender waits for the one that is being written, too, and touching old mail
 * costs more pages than adding new.  No operation depends on one of the other
 * line that is not durable yet, but that an entry of the audit goes ahead of
 * what it tells of.
 */
#include "queue/writer.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"

enum {
	OPS_DEFAULT = 512,
	BYTES_DEFAULT = 8 * 1024 * 1024,
	REST_SHARE = 8, /* the rest gets an eighth while mail comes in */
	MAIL_COMES_MS = 1000, /* so long after the last one */
};

/* Writes in order of submission. */
struct line {
	struct note *first, **end;
};

struct writer {
	struct writer_conf conf;
	struct mailbox *mailbox; /* owned */
	pthread_t thread;
	struct note stop;

	/* The writer thread's. */
	bool stopping;
	struct line mail, rest; /* submitted, not applied */
	int64_t mail_mono_ms; /* new mail came last; 0: never */
	size_t npatient, nhurried; /* of both lines */
	int64_t patient_mono_ms; /* since when there are patient ones */
	struct note *later; /* to be submitted again, at ... */
	int64_t later_mono_ms; /* ... this time */
	bool broken; /* and that was told */
	struct write **batch; /* owned, conf.max_ops places */
	struct store_op **ops; /* owned, as many */

	_Atomic uint64_t commits, nops, failed_commits;
};

/* ------- the writer thread */

static bool goes_first(enum store_verb verb)
{
	switch (verb) {
	case STORE_BODY:
	case STORE_DROP:
	case STORE_ENQUEUE:
	case STORE_RECORD:
		return true;
	case STORE_CHANGE:
	case STORE_TRIM:
	case STORE_DESTINATION:
		break;
	}
	return false;
}

/* The mailbox has let go of the note; it now serves as a link of our list. */
static void gather(struct note *note)
{
	struct write *write = CONTAINER_OF(note, struct write, submit);
	struct writer *w = write->writer;
	struct line *line = goes_first(write->op.verb) ? &w->mail : &w->rest;

	note->next = NULL;
	*line->end = note;
	line->end = &note->next;
	if (!write->patient)
		w->nhurried++;
	else if (w->npatient++ == 0)
		w->patient_mono_ms = clock_mono_ms();
}

static void on_stop(struct note *note)
{
	struct writer *w = CONTAINER_OF(note, struct writer, stop);

	w->stopping = true;
}

static size_t bytes_of(const struct store_op *op)
{
	size_t bytes = op->body.len;

	for (size_t i = 0; i < op->nbounces; i++)
		bytes += op->bounces[i].body.len;
	return bytes;
}

/* What a batch has so far. */
struct load {
	size_t n, bytes;
};

/* Takes from a line up to max.  The first of a batch is always taken, however
 * large. */
static void take(struct writer *w, struct line *line, size_t max,
		 struct load *load)
{
	while (line->first != NULL && load->n < max) {
		struct write *write =
			CONTAINER_OF(line->first, struct write, submit);

		load->bytes += bytes_of(&write->op);
		if (load->n > 0 && load->bytes > w->conf.max_bytes)
			break;
		line->first = line->first->next;
		w->batch[load->n++] = write;
		*(write->patient ? &w->npatient : &w->nhurried) -= 1;
	}
	if (line->first == NULL)
		line->end = &line->first;
}

/* How many of the rest go with n of new mail: while it comes a part of the
 * batch, but never less than what that mail will become. */
static size_t rest_max(const struct writer *w, size_t n, int64_t now)
{
	size_t part = w->conf.max_ops / REST_SHARE;
	bool comes =
		w->mail_mono_ms > 0 && now - w->mail_mono_ms < MAIL_COMES_MS;

	if (part < 2 * n)
		part = 2 * n;
	return comes && part > 0 ? part : w->conf.max_ops;
}

/* Each line has room that the other one can't take. */
static size_t take_batch(struct writer *w)
{
	size_t max = w->conf.max_ops, reserved = 0, most;
	int64_t now = clock_mono_ms();
	struct load load = {0};

	if (w->mail.first != NULL)
		w->mail_mono_ms = now;
	if (w->rest.first != NULL)
		reserved = max / REST_SHARE;
	take(w, &w->mail, max - reserved, &load);
	most = load.n + rest_max(w, load.n, now);
	take(w, &w->rest, most < max ? most : max, &load);
	return load.n;
}

static void announce(struct writer *w, size_t n)
{
	size_t nover = 0;

	if (w->conf.committed == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		if (w->batch[i]->op.status != ST_TEMP)
			w->ops[nover++] = &w->batch[i]->op;
	if (nover > 0)
		w->conf.committed(w->conf.arg,
				  (const struct store_op *const *)w->ops,
				  nover);
}

static void answer(struct write *write)
{
	/* Whoever gets the note may free the write. */
	if (write->reply_to != NULL)
		mailbox_post(write->reply_to, &write->done);
	else
		write->done.run(&write->done);
}

static void observe(const struct writer *w, size_t n, int64_t began_us)
{
	if (w->conf.commit != NULL)
		histogram_see(w->conf.commit,
			      (double)(clock_mono_us() - began_us) / 1e6);
	if (w->conf.batch != NULL)
		histogram_see(w->conf.batch, (double)n);
}

static void look_whether_broken(struct writer *w)
{
	struct store *s = w->conf.store;
	struct store_space space;

	s->ops->space(s, &space);
	if (!space.broken || w->broken)
		return;
	w->broken = true;
	if (w->conf.broken != NULL)
		w->conf.broken(w->conf.arg, &w->ops[0]->err);
}

static void commit_batch(struct writer *w, size_t n)
{
	struct store *s = w->conf.store;
	int64_t began_us = clock_mono_us();

	for (size_t i = 0; i < n; i++)
		w->ops[i] = &w->batch[i]->op;
	FAULT(WRITER_BATCH);
	if (s->ops->apply(s, w->ops, n) == ST_OK) {
		atomic_fetch_add(&w->commits, 1);
	} else {
		atomic_fetch_add(&w->failed_commits, 1);
		look_whether_broken(w);
	}
	atomic_fetch_add(&w->nops, n);
	observe(w, n, began_us);
	announce(w, n);
	FAULT(WRITER_ANNOUNCED);
	for (size_t i = 0; i < n; i++)
		answer(w->batch[i]);
	FAULT(WRITER_ANSWERED);
}

/* Those that wait to be tried again, when it is time. */
static void gather_later(struct writer *w)
{
	if (w->later == NULL ||
	    (!w->stopping && clock_mono_ms() < w->later_mono_ms))
		return;
	struct note *list = w->later;

	w->later = NULL;
	while (list != NULL) {
		struct note *note = list;

		list = note->next;
		gather(note);
	}
}

/* Are all that wait patient, and still so? */
static bool may_wait(const struct writer *w)
{
	return w->nhurried == 0 && w->npatient < WRITER_PATIENT_MAX &&
	       !w->stopping &&
	       clock_mono_ms() < w->patient_mono_ms + WRITER_PATIENCE_MS;
}

static int64_t patience_ms(const struct writer *w)
{
	int64_t until_ms = INT64_MAX, pause;

	if (w->later != NULL)
		until_ms = w->later_mono_ms;
	if (w->npatient > 0 &&
	    w->patient_mono_ms + WRITER_PATIENCE_MS < until_ms)
		until_ms = w->patient_mono_ms + WRITER_PATIENCE_MS;
	if (until_ms == INT64_MAX)
		return -1;
	pause = until_ms - clock_mono_ms();
	return pause > 0 ? pause : 0;
}

static void *writer_thread(void *arg)
{
	struct writer *w = arg;

	for (;;) {
		gather_later(w);
		size_t n = may_wait(w) ? 0 : take_batch(w);

		if (n > 0) {
			commit_batch(w, n);
			/* Newcomers queue up behind those that wait. */
			mailbox_run(w->mailbox);
		} else if (!w->stopping) {
			mailbox_wait(w->mailbox, patience_ms(w));
		} else if (mailbox_run(w->mailbox) == 0) {
			return NULL;
		}
	}
}

/* ------- everybody else */

static void writer_free(struct writer *w)
{
	mailbox_close(w->mailbox);
	free(w->batch);
	free(w->ops);
	free(w);
}

/* Signals are the main thread's. */
static int start_thread(struct writer *w)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, writer_thread, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		pthread_setname_np(w->thread, "writer");
	return rc;
}

enum status writer_start(struct writer **out, const struct writer_conf *conf,
			 struct err *e)
{
	struct writer *w = xcalloc(1, sizeof(*w));
	enum status st;
	int rc;

	w->conf = *conf;
	if (w->conf.max_ops == 0)
		w->conf.max_ops = OPS_DEFAULT;
	if (w->conf.max_bytes == 0)
		w->conf.max_bytes = BYTES_DEFAULT;
	w->stop.run = on_stop;
	w->mail.end = &w->mail.first;
	w->rest.end = &w->rest.first;
	w->batch = xcalloc(w->conf.max_ops, sizeof(struct write *));
	w->ops = xcalloc(w->conf.max_ops, sizeof(struct store_op *));
	st = mailbox_open(&w->mailbox, e);
	if (st != ST_OK)
		goto out;
	rc = start_thread(w);
	if (rc != 0) {
		st = err_sys(e, rc, "start the writer thread");
		goto out;
	}
	*out = w;
	w = NULL;
out:
	if (w != NULL)
		writer_free(w);
	return st;
}

void writer_submit(struct writer *w, struct write *write)
{
	write->writer = w;
	write->submit.run = gather;
	mailbox_post(w->mailbox, &write->submit);
}

bool writer_submit_later(struct writer *w, struct write *write,
			 int64_t pause_ms)
{
	if (w->stopping)
		return false;
	/* One time for all: it is a pause, not an appointment. */
	if (w->later == NULL)
		w->later_mono_ms = clock_mono_ms() + pause_ms;
	write->writer = w;
	write->submit.run = gather;
	write->submit.next = w->later;
	w->later = &write->submit;
	return true;
}

void writer_stop(struct writer *w)
{
	if (w == NULL)
		return;
	mailbox_post(w->mailbox, &w->stop);
	BUG_ON(pthread_join(w->thread, NULL) != 0);
	writer_free(w);
}

void writer_stats(const struct writer *w, struct writer_stats *out)
{
	out->commits = atomic_load(&w->commits);
	out->ops = atomic_load(&w->nops);
	out->failed_commits = atomic_load(&w->failed_commits);
}
