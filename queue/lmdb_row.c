/* SPDX-License-Identifier: ISC */
/*
 * lmdb_row.c - the row of a recipient, and the index entries and counters
 * that follow it.
 *
 * A recipient stands in `group` as long as it lives, in `due` while it is
 * queued or deferred; `count` and the totals count what stands in `group`. A
 * message counts once in every group that holds any of its recipients: as the
 * keys of a group are ordered by id, one look beside the own entry tells
 * whether there is another.
 */
#include <stdlib.h>

#include "queue/store_lmdb.h"

/* ------- counters */

static void count(struct work *w, const struct place *p,
		  const struct group_count *delta, int sign)
{
	struct key k = key_count(p);
	struct group_count c = {0, 0, 0};
	struct span row;

	/* A damaged count begins anew: better little than nothing. */
	if (tx_get(&w->tx, TABLE_COUNT, key_span(&k), &row) &&
	    !group_count_decode(row, &c))
		c = (struct group_count){0, 0, 0};
	if (sign > 0) {
		c.messages += delta->messages;
		c.recipients += delta->recipients;
		c.bytes += delta->bytes;
	} else {
		c.messages -= c.messages < delta->messages ? c.messages
							   : delta->messages;
		c.recipients -= c.recipients < delta->recipients
					? c.recipients
					: delta->recipients;
		c.bytes -= c.bytes < delta->bytes ? c.bytes : delta->bytes;
	}
	if (c.recipients == 0)
		tx_del(&w->tx, TABLE_COUNT, key_span(&k));
	else
		work_put(w, TABLE_COUNT, key_span(&k),
			 group_count_encode(work_row(w), &c));
}

/* Does the group hold any recipient of this message? */
static bool group_has(struct tx *tx, const struct place *p, uint64_t id)
{
	struct key prefix = key_count(p);
	struct walk w;
	bool has;

	key_add(&prefix, id, 8);
	walk_begin(&w, tx, TABLE_GROUP);
	has = walk_first(&w, key_span(&prefix));
	walk_end(&w);
	return has;
}

/* ------- index entries */

static void enter_group(struct work *w, uint64_t id, uint32_t number,
			uint64_t bytes, const struct place *p)
{
	struct group_count delta = {0, 1, 0};
	struct key k = key_group(p, id, number);

	if (!group_has(&w->tx, p, id))
		delta = (struct group_count){1, 1, bytes};
	tx_put(&w->tx, TABLE_GROUP, key_span(&k), SPAN(""));
	count(w, p, &delta, 1);
	w->ledger.totals.live[p->state]++;
}

static void leave_group(struct work *w, uint64_t id, uint32_t number,
			uint64_t bytes, const struct place *p)
{
	struct group_count delta = {0, 1, 0};
	struct key k = key_group(p, id, number);

	tx_del(&w->tx, TABLE_GROUP, key_span(&k));
	if (!group_has(&w->tx, p, id))
		delta = (struct group_count){1, 1, bytes};
	count(w, p, &delta, -1);
	if (w->ledger.totals.live[p->state] > 0)
		w->ledger.totals.live[p->state]--;
}

static void enter_due(struct work *w, uint64_t id, uint32_t number,
		      const struct place *p)
{
	struct key k = key_due(p, id, number);

	if (place_is_scheduled(p))
		tx_put(&w->tx, TABLE_DUE, key_span(&k), SPAN(""));
}

static void leave_due(struct work *w, uint64_t id, uint32_t number,
		      const struct place *p)
{
	struct key k = key_due(p, id, number);

	if (place_is_scheduled(p))
		tx_del(&w->tx, TABLE_DUE, key_span(&k));
}

/* ------- reading */

static void row_decode(struct tx *tx, struct span value, uint32_t number,
		       struct row *out)
{
	struct recipient_names names = {NAME_NONE, NAME_NONE};
	struct recipient *r = &out->recipient;

	*out = (struct row){.damaged = false};
	if (!recipient_decode(value, number, r, &names)) {
		out->damaged = true;
		recipient_init(r);
		r->number = number;
		r->state = RCPT_FAILED;
		r->cause = CAUSE_IS_CORRUPT;
	} else {
		free(r->lane);
		free(r->destination);
		r->lane = name_text(tx, names.lane);
		r->destination = name_text(tx, names.destination);
	}
	out->place = (struct place){
		.state = r->state,
		.cause = r->cause,
		.wait = r->wait,
		.due_ms = r->due_ms,
		.lane = names.lane,
		.destination = names.destination,
	};
}

bool row_load(struct tx *tx, uint64_t id, uint32_t number, struct row *out)
{
	struct key k = key_id_number(id, number);
	struct span value;

	if (!tx_get(tx, TABLE_RECIPIENT, key_span(&k), &value))
		return false;
	row_decode(tx, value, number, out);
	return true;
}

void row_release(struct row *r)
{
	recipient_release(&r->recipient);
}

void rows_load(struct tx *tx, uint64_t id, struct row **out, size_t *n)
{
	struct key prefix = key_id(id);
	struct row *rows = NULL;
	size_t room = 0;
	struct walk w;

	*n = 0;
	walk_begin(&w, tx, TABLE_RECIPIENT);
	for (bool on = walk_first(&w, key_span(&prefix)); on;
	     on = walk_next_in(&w, key_span(&prefix))) {
		if (*n == room) {
			room = room == 0 ? 4 : 2 * room;
			rows = xrealloc(rows, room, sizeof(*rows));
		}
		row_decode(tx, w.value, (uint32_t)key_read(w.key, 8, 4),
			   &rows[(*n)++]);
	}
	walk_end(&w);
	*out = rows;
}

void rows_free(struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		row_release(&rows[i]);
	free(rows);
}

static bool find_entry(struct tx *tx, const struct row *r, uint64_t id,
		       enum table t, struct key *out)
{
	size_t at = t == TABLE_DUE ? DUE_AT_ID : GROUP_AT_ID;
	bool found = false;
	struct walk w;

	walk_begin(&w, tx, t);
	for (bool on = walk_seek(&w, SPAN("")); on && !found;
	     on = walk_next(&w))
		if (w.key.len <= KEY_BYTES_MAX &&
		    key_read(w.key, at, 8) == id &&
		    key_read(w.key, at + 8, 4) == r->recipient.number) {
			memcpy(out->bytes, w.key.at, w.key.len);
			out->len = w.key.len;
			found = true;
		}
	walk_end(&w);
	return found;
}

/* Only the indexes still know where a damaged row stood.  Their entries are
 * looked for one by one, which is slow, but rare as damage is. */
void row_find_place(struct tx *tx, uint64_t id, struct row *r)
{
	struct place *p = &r->place;
	struct key k;

	if (find_entry(tx, r, id, TABLE_GROUP, &k)) {
		struct span s = key_span(&k);

		p->state = (enum rcpt_state)key_read(s, 0, 1);
		p->cause = (enum cause)key_read(s, 1, 2);
		p->destination = (uint32_t)key_read(s, GROUP_AT_DESTINATION, 4);
	}
	if (p->state >= RCPT_STATES)
		p->state = RCPT_FAILED;
	if (place_is_scheduled(p) && find_entry(tx, r, id, TABLE_DUE, &k)) {
		struct span s = key_span(&k);

		p->lane = (uint32_t)key_read(s, DUE_AT_LANE, 4);
		p->wait = (enum rcpt_wait)key_read(s, 4, 1);
		p->due_ms = key_to_time(key_read(s, DUE_AT_TIME, 8));
	}
}

/* ------- writing */

static void put_row(struct work *w, uint64_t id, const struct recipient *r,
		    const struct place *p)
{
	struct recipient_names names = {p->lane, p->destination};
	struct key k = key_id_number(id, r->number);

	work_put(w, TABLE_RECIPIENT, key_span(&k),
		 recipient_encode(work_row(w), r, &names));
}

void row_insert(struct work *w, uint64_t id, uint64_t bytes,
		const struct recipient *r)
{
	struct place p = {
		.state = r->state,
		.cause = r->cause,
		.wait = r->wait,
		.due_ms = r->due_ms,
		.lane = name_use(w, r->lane),
		.destination = name_use(w, r->destination),
	};

	put_row(w, id, r, &p);
	enter_group(w, id, r->number, bytes, &p);
	enter_due(w, id, r->number, &p);
}

/* The number of the text that replaces an old name, which is given up. */
static uint32_t name_change(struct work *w, uint32_t old, const char *text)
{
	uint32_t number;

	if (name_find(&w->tx, text, &number) && number == old)
		return old;
	number = name_use(w, text);
	name_drop(w, old);
	return number;
}

static bool same_group(const struct place *a, const struct place *b)
{
	return a->state == b->state && a->cause == b->cause &&
	       a->destination == b->destination;
}

void row_update(struct work *w, uint64_t id, uint64_t bytes,
		const struct row *row)
{
	const struct recipient *r = &row->recipient;
	const struct place *old = &row->place;
	struct place p = {
		.state = r->state,
		.cause = r->cause,
		.wait = r->wait,
		.due_ms = r->due_ms,
		.lane = name_change(w, old->lane, r->lane),
		.destination = name_change(w, old->destination, r->destination),
	};

	put_row(w, id, r, &p);
	leave_due(w, id, r->number, old);
	enter_due(w, id, r->number, &p);
	if (!same_group(&p, old)) {
		leave_group(w, id, r->number, bytes, old);
		enter_group(w, id, r->number, bytes, &p);
	}
}

void row_delete(struct work *w, uint64_t id, uint64_t bytes,
		const struct row *row)
{
	uint32_t number = row->recipient.number;
	struct key k = key_id_number(id, number);

	tx_del(&w->tx, TABLE_RECIPIENT, key_span(&k));
	leave_due(w, id, number, &row->place);
	leave_group(w, id, number, bytes, &row->place);
	name_drop(w, row->place.lane);
	name_drop(w, row->place.destination);
}

/* ------- the whole message */

struct message *message_load(struct tx *tx, uint64_t id, bool *damaged)
{
	struct key k = key_id(id);
	struct message *m = NULL;
	struct row *rows;
	struct span row;
	size_t n;

	*damaged = false;
	if (!tx_get(tx, TABLE_MESSAGE, key_span(&k), &row))
		return NULL;
	if (!message_decode(row, id, &m)) {
		*damaged = true;
		return NULL;
	}
	rows_load(tx, id, &rows, &n);
	for (size_t i = 0; i < n; i++)
		message_adopt(m, &rows[i].recipient);
	rows_free(rows, n);
	return m;
}
