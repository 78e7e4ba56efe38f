/* SPDX-License-Identifier: ISC */
/*
 * store_lmdb - what the files of the LMDB back end share; private to them.
 *
 *	store_lmdb.c     opens, closes, gives ids
 *	lmdb_space.c     how full it is
 *	lmdb_read.c      the reads of the contract
 *	lmdb_apply.c     the operations of the contract
 *	lmdb_change.c    STORE_CHANGE
 *	lmdb_settle.c    the end of a message: settled, kept, trimmed
 *	lmdb_row.c       rows of recipients with the indexes that follow them
 *	lmdb_body.c      bodies in pieces
 *	lmdb_event.c     history
 *	lmdb_name.c      lanes and destinations as numbers
 *	lmdb_record.c    what is kept besides mail
 *	lmdb_verify.c    looks whether all is well
 *
 * Functions over a struct tx read, and may be called by any thread in its own
 * transaction; those over a struct work write, in the writer's.
 */
#ifndef QUEUE_STORE_LMDB_H
#define QUEUE_STORE_LMDB_H

#include <stdatomic.h>

#include "queue/codec.h"
#include "queue/lmdb_env.h"
#include "queue/lmdb_key.h"
#include "queue/store.h"

/* ------- the store */

struct space {
	char *path; /* owned */
	uint64_t max_bytes, reserve_bytes, min_free_disk_bytes;
	_Atomic uint64_t used_bytes; /* when it was last counted */
	_Atomic uint64_t added_bytes; /* at most, since then */
	_Atomic uint64_t free_disk_bytes;
	_Atomic int64_t looked_ms; /* mono; when the disk was asked */
	_Atomic bool disk_failed; /* it said "no space" since */
};

struct store_lmdb {
	struct store store;
	struct lmdb *lmdb; /* owned */
	struct space space;
	unsigned node; /* 10 bits in every id */
	_Atomic uint64_t last_id;
};

static inline struct store_lmdb *store_lmdb_of(struct store *s)
{
	return CONTAINER_OF(s, struct store_lmdb, store);
}

/* One write transaction of the writer. */
struct work {
	struct store_lmdb *s;
	struct tx tx;
	struct ledger ledger; /* written back by the commit */
	int64_t now_ms; /* wall clock */
	struct buf row; /* scratch for encoding; owned */
};

struct span meta_key_ledger(void);

/* What stands in struct store_ops. */
enum status lmdb_apply(struct store *s, struct store_op *const *ops, size_t n);
enum status lmdb_load(struct store *s, uint64_t id, struct message **out,
		      struct err *e);
enum status lmdb_read_body(struct store *s, uint64_t id, uint64_t at,
			   struct buf *out, struct err *e);
enum status lmdb_due(struct store *s, const char *lane, enum rcpt_wait wait,
		     int64_t before_ms, const struct due *after,
		     struct due *out, size_t max, size_t *n, struct err *e);
enum status lmdb_next_due(struct store *s, const char *lane,
			  enum rcpt_wait wait, int64_t *out, struct err *e);
enum status lmdb_lanes(struct store *s, char ***out, struct err *e);
enum status lmdb_scan(struct store *s, uint64_t *cursor, size_t max, bool *more,
		      store_saw_message *seen, void *arg, struct err *e);
enum status lmdb_scan_settled(struct store *s, uint64_t *cursor, size_t max,
			      bool *more, store_saw_message *seen, void *arg,
			      struct err *e);
enum status lmdb_members(struct store *s, enum rcpt_state state,
			 enum cause cause, const char *destination,
			 const struct due *after, struct due *out, size_t max,
			 size_t *n, struct err *e);
enum status lmdb_groups(struct store *s, struct group **out, size_t *n,
			struct err *e);
enum status lmdb_totals(struct store *s, struct totals *out, struct err *e);
enum status lmdb_history(struct store *s, uint64_t id, struct message **out,
			 store_saw_event *seen, void *arg, struct err *e);
enum status lmdb_find(struct store *s, const char *message_id, uint64_t **out,
		      size_t *n, struct err *e);
enum status lmdb_destinations(struct store *s, struct destination_record **out,
			      size_t *n, struct err *e);
enum status lmdb_records(struct store *s, enum record_kind kind,
			 enum record_order order, const char *after, size_t max,
			 struct store_record **out, size_t *n, struct err *e);
enum status lmdb_verify(struct store *s, struct store_check *c, size_t max,
			store_saw_fault *seen, void *arg, struct err *e);
enum status lmdb_balance(struct store *s, struct balance *out, struct err *e);
enum status lmdb_fading(struct store *s, int64_t before_ms, size_t max,
			struct fading *f, struct err *e);
void lmdb_space(struct store *s, struct store_space *out);

/* A transaction outside apply, for start-up. */
MUST_USE enum status work_begin(struct work *w, struct store_lmdb *s,
				struct err *e);
MUST_USE enum status work_commit(struct work *w, struct err *e);
/* Forgets the changes; gives the error that the transaction had. */
enum status work_abort(struct work *w, struct err *e);
/* w->row, emptied, for an encoder. */
struct buf *work_row(struct work *w);
/* Puts what was encoded into w->row; `fits` is what the encoder said. */
void work_put(struct work *w, enum table t, struct span key, bool fits);

/* ------- space */

void space_init(struct space *sp, const struct store_conf *conf,
		uint64_t max_bytes);
void space_release(struct space *sp);
/* May an operation which adds so many bytes begin?  Counts them if so. */
MUST_USE bool space_admits(struct store_lmdb *s, uint64_t bytes);
/* Asks the disk: not a piece of a message has room on it. */
bool space_is_out(struct store_lmdb *s);
/* So little is left that attempts are no longer recorded. */
bool space_is_scarce(const struct space *sp);
/* Before each transaction: counts anew if that is due. */
void space_look(struct store_lmdb *s);

/* ------- names */

enum { NAME_NONE = 0 }; /* "" */

/* False: it has no number, so nobody uses it. */
bool name_find(struct tx *tx, const char *text, uint32_t *out);
MUST_USE char *name_text(struct tx *tx, uint32_t number); /* owned */
uint32_t name_use(struct work *w, const char *text);
void name_drop(struct work *w, uint32_t number);

/* ------- bodies */

/* Where the next piece goes: how long the body is so far. */
uint64_t body_end(struct tx *tx, uint64_t id);
void body_append(struct work *w, uint64_t id, uint64_t at, struct span bytes);
void body_delete(struct work *w, uint64_t id);
/* Of a row of the table: is its checksum right? */
bool body_piece_is_sound(struct span key, struct span value);
MUST_USE enum status body_read(struct tx *tx, uint64_t id, uint64_t at,
			       struct buf *out, struct err *e);

/* ------- recipients */

struct row {
	struct recipient recipient; /* owned */
	struct place place; /* where its index entries are */
	bool damaged; /* it is a stand-in */
	bool changed, removed; /* by the operation at work */
};

/* False: no such row.  A damaged one gives a stand-in: failed, corrupt,
 * without an address. */
bool row_load(struct tx *tx, uint64_t id, uint32_t number, struct row *out);
void row_release(struct row *r);
/* All of a message, by number; *out owned. */
void rows_load(struct tx *tx, uint64_t id, struct row **out, size_t *n);
void rows_free(struct row *rows, size_t n);
/* Before a change of a damaged row: its place, found the slow way. */
void row_find_place(struct tx *tx, uint64_t id, struct row *r);

/* bytes: of the message's body. They keep the counters too. */
void row_insert(struct work *w, uint64_t id, uint64_t bytes,
		const struct recipient *r);
void row_update(struct work *w, uint64_t id, uint64_t bytes,
		const struct row *r);
void row_delete(struct work *w, uint64_t id, uint64_t bytes,
		const struct row *r);

/* The message with its recipients; NULL: not there, or damaged. */
struct message *message_load(struct tx *tx, uint64_t id, bool *damaged);

/* ------- history */

void events_append(struct work *w, uint64_t id,
		   const struct event *const *events, size_t n);
void events_delete(struct work *w, uint64_t id);

/* ------- the end of a message */

/* What is known of all recipients of a message together. */
struct summary {
	size_t n;
	bool open; /* one of them is not final */
	bool undelivered; /* one of them is expired or failed */
	int64_t settled_ms; /* the last became final */
};
void summary_add(struct summary *s, enum rcpt_state state, int64_t since_ms);

/* Moves the message from where `before` had it among what is kept to where
 * `after` has it. */
void keep_move(struct work *w, uint64_t id, const struct summary *before,
	       const struct summary *after);
/* Out of the queue: rows, their index entries and the body go, what remains
 * is the history.  Takes rows' recipients out of their hands. */
void settle_message(struct work *w, uint64_t id, struct row *rows, size_t n);
/* STORE_TRIM */
void trim(struct work *w, struct store_op *op);

/* STORE_CHANGE */
void apply_change(struct work *w, struct store_op *op);

/* The two answers to a question for a message. */
enum status no_message(struct err *e, uint64_t id);
enum status damaged_message(struct err *e, uint64_t id);
/* STORE_RECORD */
void apply_record(struct work *w, const struct store_op *op);
/* All of a message. */
void transcripts_delete(struct work *w, uint64_t id);
/* lane is copied. */
void news_add(struct store_op *op, uint64_t id, const struct recipient *r,
	      bool due, const char *lane);

#endif
