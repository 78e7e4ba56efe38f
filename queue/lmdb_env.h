/* SPDX-License-Identifier: ISC */
/*
 * lmdb_env - a thin wrapper around LMDB: an environment with our tables, and
 * transactions which remember their first error.
 *
 * After an error the other calls of the same transaction do nothing and find
 * nothing, so that code reads straight through; tx_commit() and tx_error()
 * tell.  Spans that point into the database are valid until the next write of
 * the transaction, and not beyond its end.
 *
 *	struct tx tx;
 *
 *	st = tx_begin(&tx, lmdb, TX_READ, e);
 *	if (st != ST_OK)
 *		return st;
 *	if (tx_get(&tx, TABLE_MESSAGE, key, &row))
 *		...
 *	return tx_end(&tx, e);
 *
 * Thread: a transaction is its thread's; one may write at a time.
 * Errors: ST_TEMP 4.3.1 full, 4.3.0 I/O; ST_PERM 5.3.5 from lmdb_open.
 */
#ifndef QUEUE_LMDB_ENV_H
#define QUEUE_LMDB_ENV_H

#include "base/bytes.h"
#include "base/err.h"

struct lmdb;
struct MDB_txn;
struct MDB_cursor;

enum table {
	TABLE_META,
	TABLE_MESSAGE,
	TABLE_RECIPIENT,
	TABLE_NAME,
	TABLE_DUE,
	TABLE_GROUP,
	TABLE_COUNT,
	TABLE_BODY,
	TABLE_PARTIAL,
	TABLE_EVENT,
	TABLE_SETTLED,
	TABLE_KEEP,
	TABLE_MESSAGE_ID,
	TABLE_DESTINATION,
	TABLE_RECORD,
	TABLES
};

/* Opens or makes the database in the directory `path`, of at most max_bytes,
 * and keeps other processes out until it is closed. */
MUST_USE enum status lmdb_open(struct lmdb **out, const char *path,
			       uint64_t max_bytes, struct err *e);
void lmdb_close(struct lmdb *l); /* NULL is fine */
/* Bytes in use, of what lmdb_max_bytes() allows.  Walks the list of free
 * pages. */
MUST_USE enum status lmdb_used_bytes(struct lmdb *l, uint64_t *out,
				     struct err *e);
uint64_t lmdb_max_bytes(const struct lmdb *l);
/* Since a failed commit: every transaction is refused until lmdb_open(). */
bool lmdb_is_broken(const struct lmdb *l);

/* ------- transactions */

enum tx_kind { TX_READ, TX_WRITE };

struct tx {
	struct lmdb *lmdb; /* borrowed */
	struct MDB_txn *txn;
	int rc; /* the first error, LMDB's or errno */
};

MUST_USE enum status tx_begin(struct tx *tx, struct lmdb *l, enum tx_kind kind,
			      struct err *e);
/* Makes it durable, or not if there was an error; it is over in any case. */
MUST_USE enum status tx_commit(struct tx *tx, struct err *e);
/* Ends it and forgets its changes; gives the error it had. */
enum status tx_end(struct tx *tx, struct err *e);
static inline bool tx_ok(const struct tx *tx)
{
	return tx->rc == 0;
}

bool tx_get(struct tx *tx, enum table t, struct span key, struct span *value);
bool tx_has(struct tx *tx, enum table t, struct span key);
void tx_put(struct tx *tx, enum table t, struct span key, struct span value);
/* Puts len bytes which the caller writes at the result before any other call;
 * NULL after an error. */
MUST_USE char *tx_reserve(struct tx *tx, enum table t, struct span key,
			  size_t len);
/* False: it was not there. */
bool tx_del(struct tx *tx, enum table t, struct span key);

/* ------- walks along the keys of a table */

struct walk {
	struct tx *tx; /* borrowed */
	struct MDB_cursor *cursor; /* NULL after an error */
	struct span key, value; /* where the walk stands */
};

/* walk_end before the transaction ends. */
void walk_begin(struct walk *w, struct tx *tx, enum table t);
void walk_end(struct walk *w);
/* To the first key that is not before `key`; false: there is none. */
bool walk_seek(struct walk *w, struct span key);
/* To the last key that is not after `key`. */
bool walk_before(struct walk *w, struct span key);
bool walk_next(struct walk *w);
/* Does it stand on a key that starts with prefix? */
bool walk_in(const struct walk *w, struct span prefix);
/* To the first or last key that starts with prefix; false: there is none. */
bool walk_first(struct walk *w, struct span prefix);
bool walk_last(struct walk *w, struct span prefix);
/* To the next key, or the one before, if it starts with prefix. */
bool walk_next_in(struct walk *w, struct span prefix);
bool walk_back_in(struct walk *w, struct span prefix);
/* Deletes what the walk stands on; walk_next goes on behind it. */
void walk_del(struct walk *w);

#endif
