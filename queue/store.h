/* SPDX-License-Identifier: ISC */
/*
 * store - the whole contract of a place that keeps messages.
 *
 * Operations are facts of mail, never of tables.  They are applied in
 * batches; each operation has its own result, and all that one operation says
 * of a message stands or falls together.  ST_OK means that the change
 * survives the loss of power.  Reads give copies which the caller frees; no
 * read leaves anything open behind it.
 *
 * Every operation that changes a recipient also changes, in the same
 * transaction, the schedule, the counters and the history of its message, so
 * that always: accepted = live + settled and gone + removed.
 *
 * Back ends: queue/store_lmdb.c; tests/support/store_mem.c.  Both pass
 * tests/unit/queue/t_store.c.
 *
 * A row that the disk has damaged never stops the others: a read of it says
 * ST_PERM 5.3.0 "damaged", a scan passes it by, and a STORE_CHANGE turns such
 * a recipient into a failed one of cause corrupt without an address.
 *
 * Thread: apply and close the writer's, or before and after its time; the
 *         rest any.
 * Errors: ST_TEMP 4.3.1 full, 4.3.0 I/O; ST_PERM 5.3.0 not there, or damaged.
 *         STORE_BODY and STORE_ENQUEUE never fail for good: what we cannot
 *         keep is not the sender's fault.
 */
#ifndef QUEUE_STORE_H
#define QUEUE_STORE_H

#include "base/err.h"
#include "queue/message.h"

struct store {
	const struct store_ops *ops;
};

struct store_conf {
	const char *path; /* a directory that exists */
	uint64_t max_bytes;
	uint64_t min_free_disk_bytes;
};

/* ------- changes */

enum store_verb {
	STORE_BODY, /* a piece of an unfinished message */
	STORE_DROP, /* forget an unfinished message */
	STORE_ENQUEUE, /* the message is whole: accept it */
	STORE_CHANGE, /* changes to recipients of a message */
	STORE_TRIM, /* forget what was kept long enough */
	STORE_DESTINATION, /* remember a destination's state */
	STORE_RECORD, /* remember or forget something that is not mail */
};

/* A destination's state, kept over a restart. */
struct destination_record {
	char *name; /* "route/host:port", owned */
	bool failing;
	bool suspended;
	enum cause cause;
	int64_t since_ms;
	int64_t until_ms; /* of a suspension; 0: without end */
	char *reply, *reason; /* owned, never NULL */
};
void destination_record_release(struct destination_record *d);

/* What is kept besides mail, text under a key.  What it says is the business
 * of whoever writes it (JSON, mostly).  The numbers stand in the store: add
 * at the end only. */
enum record_kind {
	RECORD_AUDIT = 1, /* what operators did; the key sorts by time */
	RECORD_EXCEPTION, /* of the TLS policy, by its id */
	RECORD_PEER_CERT, /* last seen of a peer, by destination and address */
	RECORD_TRANSCRIPT, /* of a failed attempt; the key begins with the id of
			      its message and a slash, and it goes with its
			      history */
	RECORD_KINDS
};
struct store_record {
	enum record_kind kind;
	char *key; /* owned; 1 to STORE_NAME_MAX bytes */
	char *value; /* owned; NULL: forget it */
};
void store_record_release(struct store_record *r);

enum record_order { RECORDS_RISING, RECORDS_FALLING }; /* by key, bytewise */

/* What an operation did to the schedule, for the dispatcher: recipient
 * `number` of `id` waits in `lane` (due; instead of how it waited there
 * before), or waits in it no more. */
struct news {
	uint64_t id;
	uint32_t number;
	bool due; /* else it left the schedule */
	enum rcpt_wait wait;
	int64_t due_ms;
	char *lane; /* owned */
};

/* A message about others: enqueued with the change that it tells of. */
struct store_bounce {
	struct message *message; /* its id is a new one; borrowed */
	struct span body; /* all of it; borrowed */
};

struct store_op {
	enum store_verb verb;
	uint64_t id; /* all but TRIM, DESTINATION and RECORD */

	/* STORE_BODY: `body` goes to offset `at`, which is where the piece
	 * before ended; pieces of about 64 KiB do best.  STORE_ENQUEUE: the
	 * last piece, which may be all of it, or empty. */
	uint64_t at;
	struct span body; /* borrowed until the result */

	struct message *message; /* ENQUEUE; borrowed */

	/* CHANGE: each applies or does not on its own.  drop_delivered says
	 * that keep_delivered is 0: when all recipients are delivered, the
	 * body goes in the same transaction.  With an expired or failed one
	 * among them it stays until it is trimmed. */
	const struct change *changes; /* borrowed */
	size_t nchanges;
	bool drop_delivered;
	/* CHANGE: accepted in the same transaction if at least one change
	 * applied, else not at all.  There must be room for them as for any
	 * new mail, or nothing happens: ST_TEMP 4.3.1.  `news` tells of their
	 * recipients too, `done` does not count them.  Borrowed. */
	const struct store_bounce *bounces;
	size_t nbounces;
	/* ENQUEUE, CHANGE: appended to the history; of a change that did not
	 * apply only if it was an attempt.  Borrowed. */
	const struct event *events;
	size_t nevents;

	/* TRIM: what settled before these times loses its body (by state) or
	 * its history; at most `limit` messages in one go. */
	int64_t expired_before_ms, delivered_before_ms, trace_before_ms;
	unsigned limit;

	/* DESTINATION: one that neither fails nor is suspended is forgotten. */
	const struct destination_record *destination;

	/* RECORD: replaces what stood under its key.  CHANGE: the same, or NULL;
	 * only if there are events to be told, and room.  Borrowed. */
	const struct store_record *record;

	/* The result. */
	enum status status;
	struct err err;
	size_t done; /* recipients changed; TRIM: messages */
	struct news *news; /* owned by the op; store_op_release */
	size_t nnews;
};
void store_op_release(struct store_op *op); /* frees the result */

enum {
	STORE_NAME_MAX = 480, /* bytes of a lane or destination */
	STORE_STRING_MAX = 32 * 1024, /* of any other string */
};
/* For back ends: is the op sound in itself, whatever the store holds?  Fills
 * the op's status and err if it is not. */
MUST_USE bool store_op_sound(struct store_op *op);

/* ------- reads */

struct due {
	uint64_t id;
	uint32_t number;
	int64_t due_ms;
};

/* Recipients of one (state, cause, destination). */
struct group {
	enum rcpt_state state;
	enum cause cause;
	char *destination; /* owned */
	uint64_t messages, recipients, bytes;
	int64_t oldest_ms; /* arrival of the oldest; 0 unknown */
};

/* Counted since the queue was made. */
struct totals {
	uint64_t accepted; /* recipients */
	uint64_t live[RCPT_STATES]; /* recipients in the queue now */
	uint64_t delivered, expired, failed; /* gone from the queue */
	uint64_t removed; /* by operators, before delivery */
};
/* Is accepted = live + delivered + expired + failed + removed? */
bool store_conserved(const struct totals *t);

/* The totals, and beside them what the counters of all groups add up to. */
struct balance {
	struct totals totals;
	uint64_t counted[RCPT_STATES];
};
/* Are they conserved, and do both say the same? */
bool store_balanced(const struct balance *b);

/* How far a verification has come. */
struct store_check {
	uint64_t rows, bytes, faults; /* seen */
	bool over;
	/* The back end's. */
	size_t stage;
	struct buf last; /* owned: the key seen last */
	uint64_t body_id, body_at;
	bool body_bad;
	struct digest *digest; /* owned */
};
void store_check_init(struct store_check *c);
void store_check_release(struct store_check *c);

/* Counts what a STORE_TRIM would take; zero at the beginning. */
struct fading {
	int64_t settled_ms; /* the last seen */
	uint64_t id;
	int64_t oldest_ms; /* the first of all settled; 0: there is none */
	uint64_t messages, recipients; /* recipients: not delivered */
	bool over;
};

struct store_space {
	uint64_t used_bytes, max_bytes, free_disk_bytes;
	bool full; /* new mail is refused: 452 4.3.1 */
	bool broken; /* nothing goes until it is opened anew */
};

/* Return false to stop the scan. */
typedef bool store_saw_message(void *arg, const struct message *m);
typedef bool store_saw_event(void *arg, const struct event *ev);
/* What is wrong with a message; id 0: with the queue. */
typedef void store_saw_fault(void *arg, uint64_t id, const char *text);

struct store_ops {
	const char *name;
	void (*close)(struct store *);

	/* Gives every op its status.  Not ST_OK: the commit failed, and every
	 * op of the batch with it.  Ops are pointers so that a batch may be
	 * gathered from where they stand. */
	enum status (*apply)(struct store *, struct store_op *const *ops,
			     size_t n);

	/* A new id, later than all before, unique across nodes. Any thread. */
	uint64_t (*new_id)(struct store *);

	/* ST_PERM: no live message of this id. */
	enum status (*load)(struct store *, uint64_t id, struct message **out,
			    struct err *);
	/* Appends the piece of the body at `at` (what out has room for, at
	 * least a byte) and checks it; nothing at the end. */
	enum status (*read_body)(struct store *, uint64_t id, uint64_t at,
				 struct buf *out, struct err *);
	/* Up to max recipients of a lane that wait for `wait`, in order of
	 * due time, not due after before_ms; starts behind *after unless
	 * NULL.  All of a message with one due time stand together. */
	enum status (*due)(struct store *, const char *lane,
			   enum rcpt_wait wait, int64_t before_ms,
			   const struct due *after, struct due *out, size_t max,
			   size_t *n, struct err *);
	/* The earliest due time of a lane; INT64_MAX: nothing waits. */
	enum status (*next_due)(struct store *, const char *lane,
				enum rcpt_wait wait, int64_t *out,
				struct err *);
	/* The names of lanes that may have mail; *out is a NULL-ended list,
	 * owned by the caller with its strings. */
	enum status (*lanes)(struct store *, char ***out, struct err *);

	/* Live messages with id > *cursor in order of id, at most max of them;
	 * *cursor becomes the last id seen, *more says that there may be
	 * others.  `seen` runs inside a read transaction: quickly. */
	enum status (*scan)(struct store *, uint64_t *cursor, size_t max,
			    bool *more, store_saw_message *, void *arg,
			    struct err *);
	/* The same of settled messages: what is left of them. */
	enum status (*scan_settled)(struct store *, uint64_t *cursor,
				    size_t max, bool *more,
				    store_saw_message *, void *arg,
				    struct err *);
	/* Up to max recipients of one (state, cause, destination) by id, from
	 * behind *after unless NULL; due_ms is not set.  The oldest come first:
	 * the way to the expired without a scan of all. */
	enum status (*members)(struct store *, enum rcpt_state state,
			       enum cause cause, const char *destination,
			       const struct due *after, struct due *out,
			       size_t max, size_t *n, struct err *);
	enum status (*groups)(struct store *, struct group **out, size_t *n,
			      struct err *);
	enum status (*totals)(struct store *, struct totals *out, struct err *);
	/* The message, live or settled (then without a body), and its events
	 * in order. */
	enum status (*history)(struct store *, uint64_t id,
			       struct message **out, store_saw_event *,
			       void *arg, struct err *);
	/* Ids of messages with this Message-ID; *out owned by the caller. */
	enum status (*find)(struct store *, const char *message_id,
			    uint64_t **out, size_t *n, struct err *);
	enum status (*destinations)(struct store *,
				    struct destination_record **out, size_t *n,
				    struct err *);
	/* Up to max records of a kind, from behind `after` in this order
	 * unless NULL; *out and its records owned by the caller. */
	enum status (*records)(struct store *, enum record_kind kind,
			       enum record_order order, const char *after,
			       size_t max, struct store_record **out, size_t *n,
			       struct err *);
	/* Looks at about max rows more, each with its checksum and what has to
	 * stand beside it, until c->over. */
	enum status (*verify)(struct store *, struct store_check *c, size_t max,
			      store_saw_fault *, void *arg, struct err *);
	enum status (*balance)(struct store *, struct balance *out,
			       struct err *);
	/* Counts up to max more messages that a STORE_TRIM with this
	 * expired_before_ms takes, the oldest first, until f->over. */
	enum status (*fading)(struct store *, int64_t before_ms, size_t max,
			      struct fading *f, struct err *);
	void (*space)(struct store *, struct store_space *out);
};

/* Opens or makes the queue at conf->path; sweeps unfinished bodies.  ST_PERM:
 * a schema version that we do not know, or another process has it open. */
MUST_USE enum status store_lmdb_open(struct store **out,
				     const struct store_conf *conf,
				     struct err *e);

#endif
