/* SPDX-License-Identifier: ISC */
/*
 * lmdb_settle.c - the end of a message: how long it is kept, and what remains
 * of it.
 *
 * While all recipients of a message are final its body may be kept, for a
 * resubmit; `keep` orders such messages by the time they settled.  Then the
 * message moves from the live tables to `settled`, which has no body, and
 * stands in `keep` once more, until its history is trimmed as well.
 */
#include <stdlib.h>

#include "base/digest.h"
#include "queue/store_lmdb.h"

/* Stored as numbers; the one that grows fastest comes last. */
enum keep_class {
	KEEP_UNDELIVERED = 1, /* body of expired or failed ones */
	KEEP_DELIVERED = 2, /* body of a delivered one */
	KEEP_HISTORY = 3,
};

enum { ID_TIME_SHIFT = 22 };

void summary_add(struct summary *s, enum rcpt_state state, int64_t since_ms)
{
	s->n++;
	if (!rcpt_state_is_final(state))
		s->open = true;
	if (state != RCPT_DELIVERED)
		s->undelivered = true;
	if (s->n == 1 || since_ms > s->settled_ms)
		s->settled_ms = since_ms;
}

/* ------- what is kept */

static bool is_kept(const struct summary *s)
{
	return s->n > 0 && !s->open;
}

static struct key keep_key(const struct summary *s, uint64_t id)
{
	return key_keep(s->undelivered ? KEEP_UNDELIVERED : KEEP_DELIVERED,
			s->settled_ms, id);
}

void keep_move(struct work *w, uint64_t id, const struct summary *before,
	       const struct summary *after)
{
	struct key from = keep_key(before, id), to = keep_key(after, id);

	if (is_kept(before))
		tx_del(&w->tx, TABLE_KEEP, key_span(&from));
	if (is_kept(after))
		tx_put(&w->tx, TABLE_KEEP, key_span(&to), SPAN(""));
}

/* ------- settled */

/* A stand-in if it is damaged: what is known of it. */
static struct message *take_message(struct work *w, uint64_t id)
{
	struct key k = key_id(id);
	struct message *m;
	struct span row;

	if (!tx_get(&w->tx, TABLE_MESSAGE, key_span(&k), &row) ||
	    !message_decode(row, id, &m)) {
		m = message_new();
		m->id = id;
		m->received_ms = (int64_t)(id >> ID_TIME_SHIFT);
	}
	tx_del(&w->tx, TABLE_MESSAGE, key_span(&k));
	return m;
}

static void count_settled(struct totals *t, const struct recipient *r)
{
	BUG_ON(!rcpt_state_is_final(r->state));
	if (r->state == RCPT_DELIVERED)
		t->delivered++;
	else if (r->state == RCPT_EXPIRED)
		t->expired++;
	else if (recipient_is_discarded(r))
		t->removed++;
	else
		t->failed++;
}

void settle_message(struct work *w, uint64_t id, struct row *rows, size_t n)
{
	uint64_t bytes = body_end(&w->tx, id);
	struct message *m = take_message(w, id);
	struct key k = key_id(id), keep;

	for (size_t i = 0; i < n; i++) {
		row_delete(w, id, bytes, &rows[i]);
		count_settled(&w->ledger.totals, &rows[i].recipient);
		message_adopt(m, &rows[i].recipient);
	}
	body_delete(w, id);
	/* A history too large to be written is the one thing given up. */
	if (settled_encode(work_row(w), m))
		work_put(w, TABLE_SETTLED, key_span(&k), true);
	keep = key_keep(KEEP_HISTORY, w->now_ms, id);
	tx_put(&w->tx, TABLE_KEEP, key_span(&keep), SPAN(""));
	message_free(m);
}

/* ------- trim */

static void trim_body(struct work *w, uint64_t id)
{
	struct key k = key_id(id);
	struct row *rows;
	bool open = false;
	size_t n;

	rows_load(&w->tx, id, &rows, &n);
	for (size_t i = 0; i < n; i++) {
		if (!rcpt_state_is_final(rows[i].recipient.state))
			open = true;
		if (rows[i].damaged)
			row_find_place(&w->tx, id, &rows[i]);
	}
	/* Damage may have left an entry in `keep` that is no longer true. */
	if (!open && tx_has(&w->tx, TABLE_MESSAGE, key_span(&k)))
		settle_message(w, id, rows, n);
	rows_free(rows, n);
}

static void trim_history(struct work *w, uint64_t id)
{
	struct key k = key_id(id), index;
	struct message *m = NULL;
	struct span row;

	if (tx_get(&w->tx, TABLE_SETTLED, key_span(&k), &row) &&
	    settled_decode(row, id, &m)) {
		index = key_message_id(digest_of(span_of(m->message_id)), id);
		tx_del(&w->tx, TABLE_MESSAGE_ID, key_span(&index));
	}
	tx_del(&w->tx, TABLE_SETTLED, key_span(&k));
	events_delete(w, id);
	transcripts_delete(w, id);
	message_free(m);
}

/* The oldest of a class, if it settled before before_ms; it leaves `keep`. */
static bool take_oldest(struct work *w, enum keep_class class,
			int64_t before_ms, uint64_t *id)
{
	struct key prefix = {.len = 0};
	struct walk walk;
	bool found;

	key_add(&prefix, class, 1);
	walk_begin(&walk, &w->tx, TABLE_KEEP);
	found = walk_first(&walk, key_span(&prefix)) &&
		key_to_time(key_read(walk.key, KEEP_AT_TIME, 8)) < before_ms;
	if (found) {
		*id = key_read(walk.key, KEEP_AT_ID, 8);
		walk_del(&walk);
	}
	walk_end(&walk);
	return found;
}

static void trim_class(struct work *w, struct store_op *op,
		       enum keep_class class, int64_t before_ms)
{
	uint64_t id;

	while (op->done < op->limit && tx_ok(&w->tx) &&
	       take_oldest(w, class, before_ms, &id)) {
		if (class == KEEP_HISTORY)
			trim_history(w, id);
		else
			trim_body(w, id);
		op->done++;
	}
}

void trim(struct work *w, struct store_op *op)
{
	trim_class(w, op, KEEP_UNDELIVERED, op->expired_before_ms);
	trim_class(w, op, KEEP_DELIVERED, op->delivered_before_ms);
	trim_class(w, op, KEEP_HISTORY, op->trace_before_ms);
}

/* ------- what will be trimmed */

static uint64_t count_undelivered(struct tx *tx, uint64_t id)
{
	struct key prefix = key_id(id);
	struct walk w;
	uint64_t n = 0;

	walk_begin(&w, tx, TABLE_RECIPIENT);
	for (bool on = walk_first(&w, key_span(&prefix)); on;
	     on = walk_next_in(&w, key_span(&prefix))) {
		enum rcpt_state state;
		int64_t since_ms;

		n += !recipient_peek(w.value, &state, &since_ms) ||
		     state != RCPT_DELIVERED;
	}
	walk_end(&w);
	return n;
}

/* On the first one behind what f has seen; false: there is none. */
static bool find_fading(struct walk *w, struct span class,
			const struct fading *f)
{
	struct key at = key_keep(KEEP_UNDELIVERED, f->settled_ms, f->id);

	if (f->messages == 0)
		return walk_first(w, class);
	if (!walk_seek(w, key_span(&at)))
		return false;
	if (span_eq(w->key, key_span(&at)))
		return walk_next_in(w, class);
	return walk_in(w, class);
}

enum status lmdb_fading(struct store *s, int64_t before_ms, size_t max,
			struct fading *f, struct err *e)
{
	struct key class = {.len = 0};
	struct walk w;
	struct tx tx;
	enum status st = tx_begin(&tx, store_lmdb_of(s)->lmdb, TX_READ, e);
	size_t n = 0;
	bool on;

	if (st != ST_OK)
		return st;
	key_add(&class, KEEP_UNDELIVERED, 1);
	walk_begin(&w, &tx, TABLE_KEEP);
	on = find_fading(&w, key_span(&class), f);
	for (; on && n < max; on = walk_next_in(&w, key_span(&class))) {
		int64_t at_ms = key_to_time(key_read(w.key, KEEP_AT_TIME, 8));

		if (f->oldest_ms == 0)
			f->oldest_ms = at_ms;
		if (at_ms >= before_ms) {
			on = false;
			break;
		}
		f->settled_ms = at_ms;
		f->id = key_read(w.key, KEEP_AT_ID, 8);
		f->messages++;
		f->recipients += count_undelivered(&tx, f->id);
		n++;
	}
	f->over = !on;
	walk_end(&w);
	return tx_end(&tx, e);
}
