/* SPDX-License-Identifier: ISC */
/*
 * lmdb_read.c - the reads of the contract, each one short read transaction.
 */
#include <stdlib.h>

#include "base/digest.h"
#include "queue/store_lmdb.h"

static enum status begin(struct tx *tx, struct store *s, struct err *e)
{
	return tx_begin(tx, store_lmdb_of(s)->lmdb, TX_READ, e);
}

/* The transaction's own error is the more important one. */
static enum status end(struct tx *tx, enum status st, struct err *e)
{
	enum status worse = tx_end(tx, e);

	return worse != ST_OK ? worse : st;
}

/* ------- one message */

static enum status load(struct tx *tx, uint64_t id, struct message **out,
			struct err *e)
{
	bool damaged;
	struct message *m = message_load(tx, id, &damaged);

	if (m == NULL)
		return damaged ? damaged_message(e, id) : no_message(e, id);
	*out = m;
	return ST_OK;
}

enum status lmdb_load(struct store *s, uint64_t id, struct message **out,
		      struct err *e)
{
	struct message *m = NULL;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	st = end(&tx, load(&tx, id, &m, e), e);
	if (st == ST_OK)
		*out = m;
	else
		message_free(m);
	return st;
}

/* Where the body ended too early, only the message's row can tell. */
static enum status check_end(struct tx *tx, uint64_t id, struct span row,
			     uint64_t at, struct err *e)
{
	struct message *m;
	enum status st = ST_OK;

	if (!message_decode(row, id, &m))
		return damaged_message(e, id);
	if (at < m->bytes && tx_ok(tx))
		st = damaged_message(e, id);
	message_free(m);
	return st;
}

enum status lmdb_read_body(struct store *s, uint64_t id, uint64_t at,
			   struct buf *out, struct err *e)
{
	struct key k = key_id(id);
	size_t had = out->len;
	struct span row;
	struct tx tx;
	enum status st;

	BUG_ON(out->len >= out->max);
	st = begin(&tx, s, e);
	if (st != ST_OK)
		return st;
	if (tx_get(&tx, TABLE_MESSAGE, key_span(&k), &row)) {
		st = body_read(&tx, id, at, out, e);
		if (st == ST_OK && out->len == had)
			st = check_end(&tx, id, row, at, e);
	} else {
		st = no_message(e, id);
	}
	return end(&tx, st, e);
}

static enum status load_settled(struct tx *tx, uint64_t id,
				struct message **out, struct err *e)
{
	struct key k = key_id(id);
	struct span row;

	if (!tx_get(tx, TABLE_SETTLED, key_span(&k), &row))
		return load(tx, id, out, e);
	return settled_decode(row, id, out) ? ST_OK : damaged_message(e, id);
}

static void see_events(struct tx *tx, uint64_t id, store_saw_event *seen,
		       void *arg)
{
	struct key prefix = key_id(id);
	struct walk w;
	bool on;

	walk_begin(&w, tx, TABLE_EVENT);
	on = walk_first(&w, key_span(&prefix));
	while (on) {
		struct event ev;

		on = true;
		if (event_decode(w.value, &ev)) {
			on = seen(arg, &ev);
			event_release(&ev);
		}
		on = on && walk_next_in(&w, key_span(&prefix));
	}
	walk_end(&w);
}

enum status lmdb_history(struct store *s, uint64_t id, struct message **out,
			 store_saw_event *seen, void *arg, struct err *e)
{
	struct message *m = NULL;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	st = load_settled(&tx, id, &m, e);
	if (st == ST_OK && seen != NULL)
		see_events(&tx, id, seen, arg);
	st = end(&tx, st, e);
	if (st == ST_OK)
		*out = m;
	else
		message_free(m);
	return st;
}

/* ------- the schedule */

/* Collects the ids and numbers that follow a prefix. */
struct range {
	enum table table;
	struct key prefix, from; /* starts behind `from` */
	bool has_from;
	size_t id_at;
};

static bool range_begin(struct walk *w, const struct range *r)
{
	if (!r->has_from)
		return walk_first(w, key_span(&r->prefix));
	if (!walk_seek(w, key_span(&r->from)))
		return false;
	if (span_eq(w->key, key_span(&r->from)))
		return walk_next_in(w, key_span(&r->prefix));
	return walk_in(w, key_span(&r->prefix));
}

static size_t range_read(struct tx *tx, const struct range *r,
			 int64_t before_ms, struct due *out, size_t max)
{
	struct walk w;
	size_t n = 0;

	walk_begin(&w, tx, r->table);
	for (bool on = max > 0 && range_begin(&w, r); on && n < max;
	     on = walk_next_in(&w, key_span(&r->prefix))) {
		struct due *d = &out[n];

		*d = (struct due){.id = key_read(w.key, r->id_at, 8)};
		d->number = (uint32_t)key_read(w.key, r->id_at + 8, 4);
		if (r->table == TABLE_DUE)
			d->due_ms =
				key_to_time(key_read(w.key, DUE_AT_TIME, 8));
		if (d->due_ms > before_ms)
			break;
		n++;
	}
	walk_end(&w);
	return n;
}

enum status lmdb_due(struct store *s, const char *lane, enum rcpt_wait wait,
		     int64_t before_ms, const struct due *after,
		     struct due *out, size_t max, size_t *n, struct err *e)
{
	struct range r = {.table = TABLE_DUE, .id_at = DUE_AT_ID};
	struct place p = {.wait = wait};
	size_t found = 0;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	if (name_find(&tx, lane, &p.lane)) {
		r.prefix = key_lane(p.lane, wait);
		r.has_from = after != NULL;
		if (after != NULL) {
			p.due_ms = after->due_ms;
			r.from = key_due(&p, after->id, after->number);
		}
		found = range_read(&tx, &r, before_ms, out, max);
	}
	st = tx_end(&tx, e);
	if (st == ST_OK)
		*n = found;
	return st;
}

enum status lmdb_next_due(struct store *s, const char *lane,
			  enum rcpt_wait wait, int64_t *out, struct err *e)
{
	struct due first;
	size_t n;
	enum status st =
		lmdb_due(s, lane, wait, INT64_MAX, NULL, &first, 1, &n, e);

	if (st == ST_OK)
		*out = n == 0 ? INT64_MAX : first.due_ms;
	return st;
}

enum status lmdb_lanes(struct store *s, char ***out, struct err *e)
{
	char **lanes = xcalloc(1, sizeof(char *));
	struct key k = {.len = 0};
	struct walk w;
	size_t n = 0;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK) {
		free(lanes);
		return st;
	}
	walk_begin(&w, &tx, TABLE_DUE);
	for (bool on = walk_seek(&w, SPAN("")); on;
	     on = walk_seek(&w, key_span(&k))) {
		uint64_t lane = key_read(w.key, DUE_AT_LANE, 4);

		lanes = xrealloc(lanes, n + 2, sizeof(char *));
		lanes[n++] = name_text(&tx, (uint32_t)lane);
		lanes[n] = NULL;
		if (lane == UINT32_MAX)
			break;
		/* On to the next lane at once. */
		k.len = 0;
		key_add(&k, lane + 1, 4);
	}
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st == ST_OK) {
		*out = lanes;
		return ST_OK;
	}
	while (n > 0)
		free(lanes[--n]);
	free(lanes);
	return st;
}

/* ------- listings */

/* The message of a row that a walk stands on; NULL: damaged. */
static struct message *scanned(struct tx *tx, enum table t, uint64_t id,
			       struct span row)
{
	struct message *m = NULL;
	bool damaged;

	if (t == TABLE_MESSAGE)
		return message_load(tx, id, &damaged);
	return settled_decode(row, id, &m) ? m : NULL;
}

struct scan {
	enum table table;
	uint64_t *cursor;
	size_t max;
	bool *more;
};

static enum status scan(struct store *s, const struct scan *what,
			store_saw_message *seen, void *arg, struct err *e)
{
	uint64_t last = *what->cursor;
	struct key k = key_id(last + 1);
	struct walk w;
	size_t n = 0;
	struct tx tx;
	bool on;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	walk_begin(&w, &tx, what->table);
	on = last < UINT64_MAX && walk_seek(&w, key_span(&k));
	while (on && n < what->max) {
		bool wanted = true;
		struct message *m;

		last = key_read(w.key, 0, 8);
		m = scanned(&tx, what->table, last, w.value);
		if (m != NULL)
			wanted = seen(arg, m);
		message_free(m);
		n++;
		on = walk_next(&w);
		if (!wanted)
			break;
	}
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st == ST_OK) {
		*what->cursor = last;
		*what->more = on;
	}
	return st;
}

enum status lmdb_scan(struct store *s, uint64_t *cursor, size_t max, bool *more,
		      store_saw_message *seen, void *arg, struct err *e)
{
	const struct scan what = {TABLE_MESSAGE, cursor, max, more};

	return scan(s, &what, seen, arg, e);
}

enum status lmdb_scan_settled(struct store *s, uint64_t *cursor, size_t max,
			      bool *more, store_saw_message *seen, void *arg,
			      struct err *e)
{
	const struct scan what = {TABLE_SETTLED, cursor, max, more};

	return scan(s, &what, seen, arg, e);
}

enum status lmdb_members(struct store *s, enum rcpt_state state,
			 enum cause cause, const char *destination,
			 const struct due *after, struct due *out, size_t max,
			 size_t *n, struct err *e)
{
	struct range r = {.table = TABLE_GROUP, .id_at = GROUP_AT_ID};
	struct place p = {.state = state, .cause = cause};
	size_t found = 0;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	if (name_find(&tx, destination, &p.destination)) {
		r.prefix = key_count(&p);
		r.has_from = after != NULL;
		if (after != NULL)
			r.from = key_group(&p, after->id, after->number);
		found = range_read(&tx, &r, INT64_MAX, out, max);
	}
	st = tx_end(&tx, e);
	if (st == ST_OK)
		*n = found;
	return st;
}

static int64_t oldest_ms(struct tx *tx, struct span count_key)
{
	struct message *m;
	int64_t ms = 0;
	struct span row;
	struct walk w;

	walk_begin(&w, tx, TABLE_GROUP);
	if (walk_first(&w, count_key)) {
		struct key k = key_id(key_read(w.key, GROUP_AT_ID, 8));

		if (tx_get(tx, TABLE_MESSAGE, key_span(&k), &row) &&
		    message_decode(row, 0, &m)) {
			ms = m->received_ms;
			message_free(m);
		}
	}
	walk_end(&w);
	return ms;
}

static bool group_read(struct tx *tx, const struct walk *w, struct group *out)
{
	uint64_t state = key_read(w->key, 0, 1), cause = key_read(w->key, 1, 2);
	struct group_count c;

	if (state >= RCPT_STATES || cause >= CAUSE_COUNT ||
	    !group_count_decode(w->value, &c))
		return false;
	*out = (struct group){
		.state = (enum rcpt_state)state,
		.cause = (enum cause)cause,
		.destination = name_text(
			tx,
			(uint32_t)key_read(w->key, GROUP_AT_DESTINATION, 4)),
		.messages = c.messages,
		.recipients = c.recipients,
		.bytes = c.bytes,
		.oldest_ms = oldest_ms(tx, w->key),
	};
	return true;
}

enum status lmdb_groups(struct store *s, struct group **out, size_t *n,
			struct err *e)
{
	struct group *groups = NULL;
	size_t found = 0;
	struct walk w;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	walk_begin(&w, &tx, TABLE_COUNT);
	for (bool on = walk_seek(&w, SPAN("")); on; on = walk_next(&w)) {
		groups = xrealloc(groups, found + 1, sizeof(*groups));
		if (group_read(&tx, &w, &groups[found]))
			found++;
	}
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st == ST_OK) {
		*out = groups;
		*n = found;
		return ST_OK;
	}
	while (found > 0)
		free(groups[--found].destination);
	free(groups);
	return st;
}

enum status lmdb_totals(struct store *s, struct totals *out, struct err *e)
{
	struct ledger l;
	struct span row;
	struct tx tx;
	bool sound;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	sound = tx_get(&tx, TABLE_META, meta_key_ledger(), &row) &&
		ledger_decode(row, &l);
	st = tx_end(&tx, e);
	if (st == ST_OK && !sound)
		st = err_perm(e, 3, 0, "the queue's counters are damaged");
	if (st == ST_OK)
		*out = l.totals;
	return st;
}

/* ------- by name */

/* A hash may stand for several texts. */
static bool has_message_id(struct tx *tx, uint64_t id, const char *message_id)
{
	struct key k = key_id(id);
	struct message *m = NULL;
	struct span row;
	bool has;

	if (tx_get(tx, TABLE_SETTLED, key_span(&k), &row))
		has = settled_decode(row, id, &m);
	else
		has = tx_get(tx, TABLE_MESSAGE, key_span(&k), &row) &&
		      message_decode(row, id, &m);
	has = has && strcmp(m->message_id, message_id) == 0;
	message_free(m);
	return has;
}

enum status lmdb_find(struct store *s, const char *message_id, uint64_t **out,
		      size_t *n, struct err *e)
{
	struct key prefix = {.len = 0};
	uint64_t *ids = NULL;
	size_t found = 0;
	struct walk w;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	key_add(&prefix, digest_of(span_of(message_id)), 8);
	walk_begin(&w, &tx, TABLE_MESSAGE_ID);
	for (bool on = walk_first(&w, key_span(&prefix)); on;
	     on = walk_next_in(&w, key_span(&prefix))) {
		uint64_t id = key_read(w.key, MESSAGE_ID_AT_ID, 8);

		if (!has_message_id(&tx, id, message_id))
			continue;
		ids = xrealloc(ids, found + 1, sizeof(*ids));
		ids[found++] = id;
	}
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st != ST_OK) {
		free(ids);
		return st;
	}
	*out = ids;
	*n = found;
	return ST_OK;
}

enum status lmdb_destinations(struct store *s, struct destination_record **out,
			      size_t *n, struct err *e)
{
	struct destination_record *list = NULL;
	size_t found = 0;
	struct walk w;
	struct tx tx;
	enum status st = begin(&tx, s, e);

	if (st != ST_OK)
		return st;
	walk_begin(&w, &tx, TABLE_DESTINATION);
	for (bool on = walk_seek(&w, SPAN("")); on; on = walk_next(&w)) {
		list = xrealloc(list, found + 1, sizeof(*list));
		if (destination_decode(w.value, w.key, &list[found]))
			found++;
	}
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st == ST_OK) {
		*out = list;
		*n = found;
		return ST_OK;
	}
	while (found > 0)
		destination_record_release(&list[--found]);
	free(list);
	return st;
}
