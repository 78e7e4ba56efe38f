/* SPDX-License-Identifier: ISC */
/*
 * lmdb_env.c - the only file that talks to LMDB.
 *
 * LMDB runs in its default mode: a commit is two syncs, first the pages, then
 * the page that makes them the truth.  MDB_WRITEMAP, MDB_NOSYNC,
 * MDB_NOMETASYNC and MDB_MAPASYNC would each break the promise of a 250.
 * MDB_NOTLS ties readers to transactions instead of threads, MDB_NORDAHEAD
 * keeps a queue larger than memory from reading 32 pages for each small row.
 *
 * When the page that makes a commit the truth could not be written, LMDB can't
 * know any more what is on the disk, and refuses every transaction until it
 * was opened anew: lmdb_is_broken().
 *
 * Only one process may have a queue: LMDB itself would allow several, but ids
 * and counters have one owner.
 */
#include "queue/lmdb_env.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

enum { READERS_MAX = 512, MODE = 0600, PAGE_BYTES_MIN = 4096 };

struct lmdb {
	MDB_env *env; /* owned */
	MDB_dbi dbi[TABLES];
	int lock_fd; /* owned, -1: none */
	uint64_t max_bytes;
	_Atomic bool broken;
};

static const struct {
	const char *name;
	/* Keys mostly come in order: pages are filled to the brim then. */
	bool grows_at_end;
} tables[] = {
	[TABLE_META] = {"meta", false},
	[TABLE_MESSAGE] = {"message", true},
	[TABLE_RECIPIENT] = {"recipient", true},
	[TABLE_NAME] = {"name", false},
	[TABLE_DUE] = {"due", false},
	[TABLE_GROUP] = {"group", false},
	[TABLE_COUNT] = {"count", false},
	[TABLE_BODY] = {"body", true},
	[TABLE_PARTIAL] = {"partial", true},
	[TABLE_EVENT] = {"event", true},
	[TABLE_SETTLED] = {"settled", true},
	[TABLE_KEEP] = {"keep", true},
	[TABLE_MESSAGE_ID] = {"message_id", false},
	[TABLE_DESTINATION] = {"destination", false},
	[TABLE_RECORD] = {"record", true},
};
_Static_assert(ARRAY_LEN(tables) == TABLES, "a table without a name");

/* The translation of LMDB's codes; nothing above sees them. */
static enum status lmdb_err(struct err *e, int rc, const char *what)
{
	/* A limit of the process or of a quota is a full disk to us. */
	if (rc == MDB_MAP_FULL || rc == MDB_TXN_FULL || rc == ENOSPC ||
	    rc == EDQUOT || rc == EFBIG) {
		err_temp(e, 3, 1, "%s: %s", what, mdb_strerror(rc));
		e->reply = 452;
		e->os = ENOSPC;
		return e->status;
	}
	if (rc > 0)
		return err_sys(e, rc, "%s", what);
	return err_temp(e, 3, 0, "%s: %s", what, mdb_strerror(rc));
}

/* ------- environment */

static enum status take_lock(struct lmdb *l, const char *path, struct err *e)
{
	char *name = xasprintf("%s/lock", path);
	enum status st;

	l->lock_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, MODE);
	if (l->lock_fd < 0)
		st = err_sys(e, errno, "open %s", name);
	else if (flock(l->lock_fd, LOCK_EX | LOCK_NB) == 0)
		st = ST_OK;
	else if (errno == EWOULDBLOCK)
		st = err_perm(e, 3, 5, "%s: another relayd has this queue open",
			      path);
	else
		st = err_sys(e, errno, "lock %s", name);
	free(name);
	return st;
}

static int open_tables(struct lmdb *l)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(l->env, NULL, 0, &txn);

	if (rc != 0)
		return rc;
	for (unsigned t = 0; t < TABLES && rc == 0; t++)
		rc = mdb_dbi_open(txn, tables[t].name, MDB_CREATE, &l->dbi[t]);
	if (rc != 0) {
		mdb_txn_abort(txn);
		return rc;
	}
	return mdb_txn_commit(txn);
}

static int set_limits(MDB_env *env, uint64_t max_bytes)
{
	int rc = mdb_env_set_maxdbs(env, TABLES);

	if (rc == 0)
		rc = mdb_env_set_maxreaders(env, READERS_MAX);
	if (rc == 0)
		rc = mdb_env_set_mapsize(env, (size_t)max_bytes);
	return rc;
}

static int open_env(struct lmdb *l, const char *name, uint64_t max_bytes)
{
	const unsigned flags = MDB_NOSUBDIR | MDB_NOTLS | MDB_NORDAHEAD;
	MDB_envinfo info;
	int dead, rc = mdb_env_create(&l->env);

	if (rc == 0)
		rc = set_limits(l->env, max_bytes - max_bytes % PAGE_BYTES_MIN);
	if (rc == 0)
		rc = mdb_env_open(l->env, name, flags, MODE);
	if (rc == 0)
		rc = mdb_reader_check(l->env, &dead);
	if (rc == 0)
		rc = open_tables(l);
	if (rc == 0)
		rc = mdb_env_info(l->env, &info);
	if (rc == 0)
		l->max_bytes = info.me_mapsize;
	return rc;
}

enum status lmdb_open(struct lmdb **out, const char *path, uint64_t max_bytes,
		      struct err *e)
{
	struct lmdb *l = xcalloc(1, sizeof(*l));
	char *name = xasprintf("%s/queue.mdb", path);
	enum status st;
	int rc;

	l->lock_fd = -1;
	st = take_lock(l, path, e);
	if (st != ST_OK)
		goto out;
	rc = open_env(l, name, max_bytes);
	if (rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH)
		st = err_perm(e, 3, 5, "%s is not a queue of this relayd: %s",
			      name, mdb_strerror(rc));
	else if (rc != 0)
		st = lmdb_err(e, rc, name);
	if (st != ST_OK)
		goto out;
	*out = l;
	l = NULL;
out:
	free(name);
	lmdb_close(l);
	return st;
}

void lmdb_close(struct lmdb *l)
{
	if (l == NULL)
		return;
	if (l->env != NULL)
		mdb_env_close(l->env);
	if (l->lock_fd >= 0)
		close(l->lock_fd);
	free(l);
}

uint64_t lmdb_max_bytes(const struct lmdb *l)
{
	return l->max_bytes;
}

enum status lmdb_used_bytes(struct lmdb *l, uint64_t *out, struct err *e)
{
	const MDB_dbi free_pages = 0;
	uint64_t nfree = 0;
	MDB_envinfo info;
	MDB_cursor *cursor = NULL;
	MDB_val key, value;
	MDB_stat stat;
	struct tx tx;
	enum status st = tx_begin(&tx, l, TX_READ, e);

	if (st != ST_OK)
		return st;
	mdb_env_info(l->env, &info);
	mdb_env_stat(l->env, &stat);
	tx.rc = mdb_cursor_open(tx.txn, free_pages, &cursor);
	while (tx.rc == 0) {
		size_t n;

		tx.rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
		if (tx.rc != 0)
			break;
		/* A list of page numbers, the first word is its length. */
		memcpy(&n, value.mv_data, sizeof(n));
		nfree += n;
	}
	if (cursor != NULL)
		mdb_cursor_close(cursor);
	if (tx.rc == MDB_NOTFOUND)
		tx.rc = 0;
	st = tx_end(&tx, e);
	if (st != ST_OK)
		return st;
	*out = (info.me_last_pgno + 1 - nfree) * stat.ms_psize;
	return ST_OK;
}

/* ------- transactions */

/* Slots of readers that died are given back only when somebody looks. */
static int begin_read(struct lmdb *l, MDB_txn **out)
{
	int dead, rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, out);

	for (int i = 0; rc == MDB_READERS_FULL && i < 100; i++) {
		mdb_reader_check(l->env, &dead);
		sched_yield();
		rc = mdb_txn_begin(l->env, NULL, MDB_RDONLY, out);
	}
	return rc;
}

enum status tx_begin(struct tx *tx, struct lmdb *l, enum tx_kind kind,
		     struct err *e)
{
	int rc;

	*tx = (struct tx){.lmdb = l};
	if (kind == TX_READ)
		rc = begin_read(l, &tx->txn);
	else
		rc = mdb_txn_begin(l->env, NULL, 0, &tx->txn);
	return rc == 0 ? ST_OK : lmdb_err(e, rc, "queue");
}

enum status tx_end(struct tx *tx, struct err *e)
{
	mdb_txn_abort(tx->txn);
	tx->txn = NULL;
	return tx->rc == 0 ? ST_OK : lmdb_err(e, tx->rc, "queue");
}

/* LMDB tells only with the next transaction. */
static void look_whether_broken(struct lmdb *l)
{
	MDB_txn *txn;
	int rc = begin_read(l, &txn);

	if (rc == 0)
		mdb_txn_abort(txn);
	else if (rc == MDB_PANIC)
		atomic_store(&l->broken, true);
}

bool lmdb_is_broken(const struct lmdb *l)
{
	return atomic_load(&l->broken);
}

enum status tx_commit(struct tx *tx, struct err *e)
{
	if (tx->rc != 0)
		return tx_end(tx, e);
	tx->rc = mdb_txn_commit(tx->txn);
	tx->txn = NULL;
	if (tx->rc != 0)
		look_whether_broken(tx->lmdb);
	return tx->rc == 0 ? ST_OK : lmdb_err(e, tx->rc, "commit the queue");
}

static MDB_val val(struct span s)
{
	/* LMDB does not write through it. */
	union {
		const char *ours;
		void *theirs;
	} at = {.ours = s.at};

	return (MDB_val){s.len, at.theirs};
}

static struct span unval(MDB_val v)
{
	return (struct span){v.mv_data, v.mv_size};
}

/* MDB_NOTFOUND is an answer, all else an error. */
static bool done(struct tx *tx, int rc)
{
	if (rc != 0 && rc != MDB_NOTFOUND)
		tx->rc = rc;
	return rc == 0;
}

bool tx_get(struct tx *tx, enum table t, struct span key, struct span *value)
{
	MDB_val k = val(key), v;

	if (tx->rc != 0 ||
	    !done(tx, mdb_get(tx->txn, tx->lmdb->dbi[t], &k, &v)))
		return false;
	*value = unval(v);
	return true;
}

bool tx_has(struct tx *tx, enum table t, struct span key)
{
	struct span value;

	return tx_get(tx, t, key, &value);
}

static void put(struct tx *tx, enum table t, struct span key, MDB_val *v,
		unsigned flags)
{
	MDB_dbi dbi = tx->lmdb->dbi[t];
	MDB_val k = val(key);
	int rc = MDB_KEYEXIST;

	if (tx->rc != 0)
		return;
	if (tables[t].grows_at_end)
		rc = mdb_put(tx->txn, dbi, &k, v, flags | MDB_APPEND);
	if (rc == MDB_KEYEXIST) /* it does not belong at the end */
		rc = mdb_put(tx->txn, dbi, &k, v, flags);
	tx->rc = rc;
}

void tx_put(struct tx *tx, enum table t, struct span key, struct span value)
{
	MDB_val v = val(value);

	put(tx, t, key, &v, 0);
}

char *tx_reserve(struct tx *tx, enum table t, struct span key, size_t len)
{
	MDB_val v = {len, NULL};

	put(tx, t, key, &v, MDB_RESERVE);
	return tx->rc == 0 ? v.mv_data : NULL;
}

bool tx_del(struct tx *tx, enum table t, struct span key)
{
	MDB_val k = val(key);

	return tx->rc == 0 &&
	       done(tx, mdb_del(tx->txn, tx->lmdb->dbi[t], &k, NULL));
}

/* ------- walks */

void walk_begin(struct walk *w, struct tx *tx, enum table t)
{
	*w = (struct walk){.tx = tx};
	if (tx->rc == 0)
		tx->rc = mdb_cursor_open(tx->txn, tx->lmdb->dbi[t], &w->cursor);
}

void walk_end(struct walk *w)
{
	if (w->cursor != NULL)
		mdb_cursor_close(w->cursor);
	w->cursor = NULL;
}

static bool step(struct walk *w, struct span key, MDB_cursor_op op)
{
	MDB_val k = val(key), v;

	if (w->tx->rc != 0 ||
	    !done(w->tx, mdb_cursor_get(w->cursor, &k, &v, op)))
		return false;
	w->key = unval(k);
	w->value = unval(v);
	return true;
}

bool walk_in(const struct walk *w, struct span prefix)
{
	return w->key.len >= prefix.len &&
	       memcmp(w->key.at, prefix.at, prefix.len) == 0;
}

bool walk_seek(struct walk *w, struct span key)
{
	if (key.len == 0) /* LMDB has no empty keys */
		return step(w, key, MDB_FIRST);
	return step(w, key, MDB_SET_RANGE);
}

bool walk_before(struct walk *w, struct span key)
{
	if (!walk_seek(w, key))
		return step(w, SPAN(""), MDB_LAST);
	return span_eq(w->key, key) || step(w, SPAN(""), MDB_PREV);
}

bool walk_next(struct walk *w)
{
	return step(w, SPAN(""), MDB_NEXT);
}

bool walk_first(struct walk *w, struct span prefix)
{
	return walk_seek(w, prefix) && walk_in(w, prefix);
}

bool walk_next_in(struct walk *w, struct span prefix)
{
	return walk_next(w) && walk_in(w, prefix);
}

bool walk_back_in(struct walk *w, struct span prefix)
{
	return step(w, SPAN(""), MDB_PREV) && walk_in(w, prefix);
}

bool walk_last(struct walk *w, struct span prefix)
{
	unsigned char beyond[64];
	size_t n = prefix.len;
	bool found;

	/* The least key that is greater than all with this prefix. */
	BUG_ON(n > sizeof(beyond));
	memcpy(beyond, prefix.at, n);
	while (n > 0 && ++beyond[n - 1] == 0)
		n--;
	if (n > 0 && walk_seek(w, (struct span){(char *)beyond, n}))
		found = step(w, SPAN(""), MDB_PREV);
	else
		found = step(w, SPAN(""), MDB_LAST);
	return found && walk_in(w, prefix);
}

void walk_del(struct walk *w)
{
	if (w->tx->rc == 0)
		w->tx->rc = mdb_cursor_del(w->cursor, 0);
}
