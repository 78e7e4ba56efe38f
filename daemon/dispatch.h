/* SPDX-License-Identifier: ISC */
/*
 * dispatch - the thread that knows when what is due, which destination is up,
 * and who may connect where and how often.
 *
 * The schedule itself is on disk (store due()); here are only what is in
 * hand: per lane a bounded number of jobs, and the state of destinations.
 *
 * Thread: dispatch_open, _start, _publish, _stop, _join, _close main; dispatch_committed the
 *         writer; dispatch_throw and dispatch_ask any.
 */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include "base/mailbox.h"
#include "daemon/delivery.h"
#include "daemon/relay.h"

/* Reads what the store remembers.  relay->dispatch must be set to it before
 * the first write is submitted; relay->workers before dispatch_start(). */
MUST_USE enum status dispatch_open(struct dispatch **out, struct relay *relay,
				   struct snapshot *snapshot, struct err *e);
MUST_USE enum status dispatch_start(struct dispatch *d, struct err *e);
/* Today's configuration; takes its own reference. */
void dispatch_publish(struct dispatch *d, struct snapshot *snapshot);
/* Returns when it is sure that nothing more is given out: deliveries that are
 * parked here have been thrown to their workers without jobs by then. */
void dispatch_stop(struct dispatch *d);
/* Ends the thread and waits for it.  Until then, however long the workers take
 * to finish, it answers; so nobody may ask any more, and the workers are still
 * to be freed. */
void dispatch_join(struct dispatch *d);
/* After writer_stop(), whose last news it still takes.  NULL is fine. */
void dispatch_close(struct dispatch *d);

/* It begins, in place of another one for its destination; it ends.  Both are
 * durable by then.  Any thread; each takes its own reference. */
void dispatch_exempt(struct dispatch *d, struct exception *x);
void dispatch_end_exception(struct dispatch *d, struct exception *x);

/* Throws a delivery back. Any worker. */
void dispatch_throw(struct dispatch *d, struct delivery *delivery);

/* A revocation list has changed, or it is known now why it can't be had:
 * destinations that fail or wait for one are tried now. Any thread. */
void dispatch_hear_lists(struct dispatch *d);

/* The writer's `committed`. */
void dispatch_committed(void *arg, const struct store_op *const *ops,
			size_t n);
int64_t dispatch_silent_ms(const struct dispatch *d);

/* ------- questions and orders of the control API */

enum destination_state {
	DESTINATION_UP,
	DESTINATION_FAILING,
	DESTINATION_SUSPENDED,
};
const char *destination_state_word(enum destination_state s);

struct destination_view {
	char    *name, *lane;            /* owned */
	enum destination_state state;
	enum cause cause;
	int64_t  since_ms;               /* wall; 0: since the start */
	int64_t  next_probe_ms;          /* wall; 0: none is planned */
	int64_t  until_ms;               /* of a suspension; 0: without end */
	unsigned connections, max_connections;
	unsigned in_flight, window;      /* messages; window 0: no ramp */
	int64_t  pause_until_ms;         /* wall; 0: opens connections */
	char    *reply;                  /* owned, "" if none */
	char    *reason;                 /* of a suspension; owned, "" if none */
	char    *crl;                    /* of its certificate; owned, "" if not
					    heard yet */
};

enum dispatch_order {
	ORDER_VIEW,                      /* only look */
	ORDER_CHECK,                     /* balance the books first */
	ORDER_PROBE,                     /* probe `pattern` now */
	ORDER_SUSPEND,                   /* `pattern`, until until_ms */
	ORDER_RESUME,
	ORDER_FORGET,                    /* forget what holds mail back */
	ORDER_RESUBMIT_BEGINS,           /* what becomes due waits ... */
	ORDER_RESUBMIT_ENDS,             /* ... for this; with ORDER_FORGET */
};

/* What the sentinel saw last. */
struct sentinel_view {
	int64_t  checked_ms;             /* wall: when; 0: not yet */
	bool     broken;                 /* the books do not balance */
	struct balance balance;
	uint64_t overdue;                /* recipients that nobody is at work
					    for, or more */
	int64_t  oldest_ms;              /* wall: the first was due */
	char     lane[STORE_NAME_MAX + 1];       /* one of them */
};

/* Expired and failed mail that queue.keep_expired will take within a day. */
struct fading_view {
	int64_t  next_ms;                /* wall: the first goes; 0: none is
					    kept */
	uint64_t messages, recipients;
};

/* The asker fills the first part and keeps all of it alive until done.run,
 * in its own thread, which then owns the results. */
struct dispatch_question {
	enum dispatch_order order;
	const char     *pattern;         /* glob on destinations' names, NULL: all */
	int64_t         until_ms;        /* SUSPEND; 0: without end */
	const char     *reason, *actor;  /* SUSPEND, RESUME: actor */
	struct mailbox *reply_to;
	struct note     done;

	struct destination_view *views;  /* matching the pattern */
	size_t                   nviews;
	size_t                   nchanged; /* destinations that were not so */
	struct sentinel_view     sentinel;
	struct fading_view       fading;
	struct due              *active; /* recipients being delivered, by id */
	size_t                   nactive;

	struct note     ask;             /* dispatch's */
	struct dispatch *dispatch;       /* dispatch's */
};
void dispatch_ask(struct dispatch *d, struct dispatch_question *q);
void dispatch_question_release(struct dispatch_question *q);

#endif
