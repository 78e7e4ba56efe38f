/* SPDX-License-Identifier: ISC */
/*
 * store_lmdb.c - the queue on LMDB: opening it, and its ids.
 *
 * docs/STORE.md describes the bytes; store_lmdb.h says which file does what.
 *
 * An id is 42 bits of milliseconds since 1970, 10 bits of the queue's node
 * number, drawn when the queue was made, and 12 bits of sequence.  Ids only
 * grow: the highest one used is kept in the queue, so that a clock which was
 * put back over a restart repeats none.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/fault.h"
#include "queue/store_lmdb.h"

enum {
	SCHEMA = 1,
	NODE_BITS = 10,
	SEQUENCE_BITS = 12,
	TIME_SHIFT = NODE_BITS + SEQUENCE_BITS,
	SEQUENCE_MAX = (1 << SEQUENCE_BITS) - 1,
	SWEEP_AT_ONCE = 64, /* messages in a transaction */
};

/* ------- ids */

static uint64_t id_after(const struct store_lmdb *s, uint64_t last,
			 uint64_t now_ms)
{
	uint64_t ms = last >> TIME_SHIFT;
	uint64_t sequence = (last & SEQUENCE_MAX) + 1;

	if (now_ms > ms) {
		ms = now_ms;
		sequence = 0;
	} else if (sequence > SEQUENCE_MAX) {
		ms++;
		sequence = 0;
	}
	return ms << TIME_SHIFT | (uint64_t)s->node << SEQUENCE_BITS | sequence;
}

static uint64_t new_id(struct store *store)
{
	struct store_lmdb *s = store_lmdb_of(store);
	uint64_t now_ms = (uint64_t)clock_wall_ms();
	uint64_t last = atomic_load(&s->last_id), id;

	do
		id = id_after(s, last, now_ms);
	while (!atomic_compare_exchange_weak(&s->last_id, &last, id));
	return id;
}

/* ------- the queue's memory of itself */

static void put_meta(struct tx *tx, struct span key, uint64_t number)
{
	struct key value = {.len = 0};

	key_add(&value, number, 4);
	tx_put(tx, TABLE_META, key, key_span(&value));
}

static uint64_t last_key(struct tx *tx, enum table t)
{
	uint64_t id = 0;
	struct walk w;

	walk_begin(&w, tx, t);
	if (walk_last(&w, SPAN("")))
		id = key_read(w.key, 0, 8);
	walk_end(&w);
	return id;
}

/* One bad row must not keep the daemon from starting: what can be known of
 * the counters is in the tables. */
static void recount(struct tx *tx, struct ledger *l)
{
	const enum table ids[] = {TABLE_MESSAGE, TABLE_SETTLED, TABLE_PARTIAL};
	struct walk w;

	*l = (struct ledger){.last_id = 0};
	for (size_t i = 0; i < ARRAY_LEN(ids); i++)
		if (last_key(tx, ids[i]) > l->last_id)
			l->last_id = last_key(tx, ids[i]);
	walk_begin(&w, tx, TABLE_GROUP);
	for (bool on = walk_seek(&w, SPAN("")); on; on = walk_next(&w)) {
		uint64_t state = key_read(w.key, 0, 1);

		if (state < RCPT_STATES) {
			l->totals.live[state]++;
			l->totals.accepted++;
		}
	}
	walk_end(&w);
	walk_begin(&w, tx, TABLE_NAME);
	if (walk_last(&w, SPAN("n")))
		l->last_name = (uint32_t)key_read(w.key, 1, 4);
	walk_end(&w);
}

static void put_ledger(struct tx *tx, const struct ledger *l)
{
	struct buf row;

	buf_init(&row, 4096);
	if (ledger_encode(&row, l))
		tx_put(tx, TABLE_META, meta_key_ledger(), buf_span(&row));
	buf_release(&row);
}

static void make_queue(struct tx *tx)
{
	const struct ledger empty = {.last_id = 0};
	unsigned node;

	if (getrandom(&node, sizeof(node), 0) != sizeof(node))
		node = (unsigned)clock_wall_ms();
	put_meta(tx, SPAN("schema"), SCHEMA);
	put_meta(tx, SPAN("node"), node % (1U << NODE_BITS));
	put_ledger(tx, &empty);
}

static enum status read_meta(struct store_lmdb *s, struct tx *tx, struct err *e)
{
	struct ledger l;
	struct span row;

	if (!tx_has(tx, TABLE_META, SPAN("schema")))
		make_queue(tx);
	if (tx_get(tx, TABLE_META, SPAN("schema"), &row) &&
	    key_read(row, 0, 4) != SCHEMA)
		return err_perm(e, 3, 5,
				"%s has schema %u, this relayd knows only %d: "
				"use the relayd that wrote it",
				s->space.path, (unsigned)key_read(row, 0, 4),
				SCHEMA);
	if (tx_get(tx, TABLE_META, SPAN("node"), &row))
		s->node = key_read(row, 0, 4) % (1U << NODE_BITS);
	if (!tx_get(tx, TABLE_META, meta_key_ledger(), &row) ||
	    !ledger_decode(row, &l)) {
		recount(tx, &l);
		put_ledger(tx, &l);
	}
	atomic_store(&s->last_id, l.last_id);
	return ST_OK;
}

static enum status open_meta(struct store_lmdb *s, struct err *e)
{
	struct tx tx;
	enum status st = tx_begin(&tx, s->lmdb, TX_WRITE, e);

	if (st != ST_OK)
		return st;
	st = read_meta(s, &tx, e);
	if (st == ST_OK)
		return tx_commit(&tx, e);
	if (!tx_ok(&tx))
		return tx_end(&tx, e);
	(void)tx_end(&tx, &(struct err){.status = ST_OK});
	return st;
}

/* ------- the sweep */

/* Drops the first unfinished messages; false: there are none. */
static bool sweep_some(struct work *w)
{
	uint64_t ids[SWEEP_AT_ONCE];
	size_t n = 0;
	struct walk walk;

	walk_begin(&walk, &w->tx, TABLE_PARTIAL);
	for (bool on = walk_seek(&walk, SPAN("")); on && n < SWEEP_AT_ONCE;
	     on = walk_next(&walk)) {
		ids[n++] = key_read(walk.key, 0, 8);
		walk_del(&walk);
	}
	walk_end(&walk);
	for (size_t i = 0; i < n; i++) {
		struct key k = key_id(ids[i]);

		/* Never that of an accepted one, whatever `partial` says. */
		if (!tx_has(&w->tx, TABLE_MESSAGE, key_span(&k)))
			body_delete(w, ids[i]);
	}
	return n > 0;
}

/* Whose session ended with the last process.  No room to do it is no reason
 * not to start: then they stay for the next time. */
static enum status sweep(struct store_lmdb *s, struct err *e)
{
	enum status st;
	bool found;

	do {
		struct work w;

		st = work_begin(&w, s, e);
		if (st != ST_OK)
			return st;
		found = sweep_some(&w);
		if (found)
			FAULT(SWEEP_APPLIED);
		st = work_commit(&w, e);
		if (found)
			FAULT(SWEEP_COMMITTED);
	} while (found && st == ST_OK);
	return st != ST_OK && e->reply == 452 ? ST_OK : st;
}

/* ------- open and close */

static void close_store(struct store *store)
{
	struct store_lmdb *s = store_lmdb_of(store);

	lmdb_close(s->lmdb);
	space_release(&s->space);
	free(s);
}

static const struct store_ops lmdb_ops = {
	.name = "lmdb",
	.close = close_store,
	.apply = lmdb_apply,
	.new_id = new_id,
	.load = lmdb_load,
	.read_body = lmdb_read_body,
	.due = lmdb_due,
	.next_due = lmdb_next_due,
	.lanes = lmdb_lanes,
	.scan = lmdb_scan,
	.scan_settled = lmdb_scan_settled,
	.members = lmdb_members,
	.groups = lmdb_groups,
	.totals = lmdb_totals,
	.history = lmdb_history,
	.find = lmdb_find,
	.destinations = lmdb_destinations,
	.records = lmdb_records,
	.verify = lmdb_verify,
	.balance = lmdb_balance,
	.fading = lmdb_fading,
	.space = lmdb_space,
};

enum status store_lmdb_open(struct store **out, const struct store_conf *conf,
			    struct err *e)
{
	struct store_lmdb *s = xcalloc(1, sizeof(*s));
	enum status st;

	s->store.ops = &lmdb_ops;
	st = lmdb_open(&s->lmdb, conf->path, conf->max_bytes, e);
	if (st != ST_OK)
		goto out;
	space_init(&s->space, conf, lmdb_max_bytes(s->lmdb));
	st = open_meta(s, e);
	if (st != ST_OK)
		goto out;
	st = sweep(s, e);
	if (st != ST_OK)
		goto out;
	space_look(s);
	*out = &s->store;
	s = NULL;
out:
	if (s != NULL)
		close_store(&s->store);
	return st;
}
