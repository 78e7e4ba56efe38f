/* SPDX-License-Identifier: ISC */
/*
 * writer - makes changes to the queue durable, many at a time.
 *
 * writer_submit() hands over a write and returns.  The writer thread takes
 * all that waits, bounded by count and bytes, applies it in one transaction
 * with one sync, and posts each write's `done` note to its reply_to, exactly
 * once, in order of submission: of what brings new mail (and records) among
 * themselves, which goes first, and of the rest.  Before that, once per commit, it calls
 * `committed` (in the writer's thread) so that the dispatcher learns what is
 * durable, and only that.
 *
 * Thread:  writer_submit any; start and stop main.
 * Owns:    the write from submit until done; the op's borrowed parts must
 *          live as long.
 */
#ifndef QUEUE_WRITER_H
#define QUEUE_WRITER_H

#include "base/histogram.h"
#include "base/mailbox.h"
#include "queue/store.h"

struct writer;

/* So long patient writes wait for one that is not, to share its sync; unless
 * there are many of them. */
enum { WRITER_PATIENCE_MS = 5, WRITER_PATIENT_MAX = 64 };

struct write {
	struct store_op op; /* op.status, op.err: the result */
	struct mailbox *reply_to; /* NULL: done.run in the writer */
	struct note done; /* the caller sets .run */
	bool patient; /* nobody waits for it: see WRITER_PATIENCE_MS */
	struct note submit; /* the writer's */
	struct writer *writer; /* the writer's */
};

/* Writer's thread, after a commit: the ops of one batch that are over: done
 * (ST_OK) or without an object (ST_PERM), but not to be tried again. */
typedef void writer_committed(void *arg, const struct store_op *const *ops,
			      size_t n);

/* Writer's thread, once: the store is broken, no write will succeed. */
typedef void writer_broken(void *arg, const struct err *why);

struct writer_conf {
	struct store *store; /* borrowed */
	writer_committed *committed; /* NULL: nobody listens */
	writer_broken *broken; /* likewise */
	void *arg; /* of both */
	size_t max_ops; /* per transaction */
	size_t max_bytes;
	/* Of each commit: seconds, and operations; NULL: not observed. */
	struct histogram *commit, *batch;
};

MUST_USE enum status writer_start(struct writer **out,
				  const struct writer_conf *conf,
				  struct err *e);
void writer_submit(struct writer *w, struct write *write);
/* The same after a pause, for a write that failed and must be tried again;
 * writer_stop() tries it at once.  False: the writer is stopping, and nothing
 * was taken.  The writer's thread, from a done note. */
MUST_USE bool writer_submit_later(struct writer *w, struct write *write,
				  int64_t pause_ms);
/* Makes durable what was submitted, then ends the thread. NULL is fine. */
void writer_stop(struct writer *w);

struct writer_stats {
	uint64_t commits, ops, failed_commits;
};
void writer_stats(const struct writer *w, struct writer_stats *out);

#endif
