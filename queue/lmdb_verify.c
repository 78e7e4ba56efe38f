/* SPDX-License-Identifier: ISC */
/*
 * lmdb_verify.c - looks at every row and every checksum, a portion at a time.
 *
 * Table after table is walked in the order of its keys, each portion in a read
 * transaction of its own.  A row is checked together with those that have to
 * stand beside it, in the same transaction: a queue that moves on meanwhile
 * is no fault.  Bodies are the one thing that is checked across portions: they
 * never change, so that the sum over the pieces seen so far stays good for as
 * long as the message is there.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "queue/store_lmdb.h"

enum { CHECKSUM = 8, PORTION_BYTES = 1 << 20 };

struct checking {
	struct store_check *c;
	struct tx tx;
	store_saw_fault *seen;
	void *arg;
};

static void PRINTF(3, 4)
	found(struct checking *k, uint64_t id, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	k->c->faults++;
	k->seen(k->arg, id, text);
}

static bool has_id(struct checking *k, enum table t, uint64_t id)
{
	struct key key = key_id(id);

	return tx_has(&k->tx, t, key_span(&key));
}

static bool has_recipient(struct checking *k, uint64_t id, uint32_t number)
{
	struct key key = key_id_number(id, number);

	return tx_has(&k->tx, TABLE_RECIPIENT, key_span(&key));
}

/* ------- messages */

static void check_message(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, 0, 8);
	struct key prefix = key_id(id);
	struct message *m;
	struct walk rows;

	if (!message_decode(w->value, id, &m)) {
		found(k, id, "its row is damaged");
		return;
	}
	if (body_end(&k->tx, id) != m->bytes)
		found(k, id, "its body is %" PRIu64 " bytes, not %" PRIu64,
		      body_end(&k->tx, id), m->bytes);
	message_free(m);
	if (has_id(k, TABLE_SETTLED, id))
		found(k, id, "is in the queue and settled");
	walk_begin(&rows, &k->tx, TABLE_RECIPIENT);
	if (!walk_first(&rows, key_span(&prefix)))
		found(k, id, "has no recipients");
	walk_end(&rows);
}

static void check_name(struct checking *k, uint64_t id, uint32_t number)
{
	struct key key = key_name_number(number);

	if (number != NAME_NONE && !tx_has(&k->tx, TABLE_NAME, key_span(&key)))
		found(k, id, "name %" PRIu32 " is gone", number);
}

static void check_places(struct checking *k, uint64_t id, uint32_t number,
			 const struct place *p)
{
	struct key due = key_due(p, id, number);
	struct key group = key_group(p, id, number);

	if (place_is_scheduled(p) && !tx_has(&k->tx, TABLE_DUE, key_span(&due)))
		found(k, id, "recipient %" PRIu32 " is not in the schedule",
		      number);
	if (!tx_has(&k->tx, TABLE_GROUP, key_span(&group)))
		found(k, id, "recipient %" PRIu32 " is not in its group",
		      number);
}

static void check_recipient(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, 0, 8);
	uint32_t number = (uint32_t)key_read(w->key, 8, 4);
	struct recipient_names names;
	struct recipient r;

	if (!has_id(k, TABLE_MESSAGE, id))
		found(k, id, "recipient %" PRIu32 " has no message", number);
	if (!recipient_decode(w->value, number, &r, &names)) {
		found(k, id, "the row of recipient %" PRIu32 " is damaged",
		      number);
		return;
	}
	check_name(k, id, names.lane);
	check_name(k, id, names.destination);
	check_places(k, id, number,
		     &(struct place){
			     .state = r.state,
			     .cause = r.cause,
			     .wait = r.wait,
			     .due_ms = r.due_ms,
			     .lane = names.lane,
			     .destination = names.destination,
		     });
	recipient_release(&r);
}

/* ------- bodies */

/* The piece that the walk stands on follows those before; false: a fault was
 * found, and nothing more is said of this body. */
static bool check_piece(struct checking *k, const struct walk *w)
{
	struct store_check *c = k->c;
	uint64_t id = key_read(w->key, 0, 8), at = key_read(w->key, 8, 8);
	struct span bytes = span_skip(w->value, CHECKSUM);

	if (at != c->body_at)
		found(k, id, "a piece of its body is lost at %" PRIu64,
		      c->body_at);
	else if (!body_piece_is_sound(w->key, w->value))
		found(k, id, "its body is damaged at %" PRIu64, at);
	else {
		digest_add(c->digest, bytes);
		c->body_at = at + bytes.len;
		c->bytes += bytes.len;
		return true;
	}
	return false;
}

static void check_body_end(struct checking *k, uint64_t id)
{
	struct key key = key_id(id);
	struct message *m;
	struct span row;

	if (!tx_get(&k->tx, TABLE_MESSAGE, key_span(&key), &row) ||
	    !message_decode(row, id, &m))
		return;
	if (k->c->body_at == m->bytes &&
	    digest_value(k->c->digest) != m->checksum)
		found(k, id, "the checksum of its body is wrong");
	message_free(m);
}

static void check_body(struct checking *k, const struct walk *w)
{
	struct store_check *c = k->c;
	uint64_t id = key_read(w->key, 0, 8);

	if (id != c->body_id) {
		if (!has_id(k, TABLE_MESSAGE, id) &&
		    !has_id(k, TABLE_PARTIAL, id))
			found(k, id, "a body without a message");
		c->body_id = id;
		c->body_at = 0;
		c->body_bad = false;
		digest_reset(c->digest);
	}
	if (c->body_bad)
		return;
	c->body_bad = !check_piece(k, w);
	if (!c->body_bad)
		check_body_end(k, id);
}

/* ------- indexes */

static void check_due(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, DUE_AT_ID, 8);
	uint32_t number = (uint32_t)key_read(w->key, DUE_AT_NUMBER, 4);

	if (!has_recipient(k, id, number))
		found(k, id,
		      "recipient %" PRIu32 " is in the schedule, but not there",
		      number);
}

static void check_group(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, GROUP_AT_ID, 8);
	uint32_t number = (uint32_t)key_read(w->key, GROUP_AT_NUMBER, 4);

	if (!has_recipient(k, id, number))
		found(k, id,
		      "recipient %" PRIu32 " is in a group, but not there",
		      number);
}

static void check_count(struct checking *k, const struct walk *w)
{
	struct group_count c;
	uint64_t n = 0;
	struct walk rows;

	if (!group_count_decode(w->value, &c)) {
		found(k, 0, "the row of a counter is damaged");
		return;
	}
	walk_begin(&rows, &k->tx, TABLE_GROUP);
	for (bool on = walk_first(&rows, w->key); on;
	     on = walk_next_in(&rows, w->key))
		n++;
	walk_end(&rows);
	if (n != c.recipients)
		found(k, 0,
		      "a counter says %" PRIu64 " recipients, there are "
		      "%" PRIu64,
		      c.recipients, n);
	k->c->rows += n;
}

static void check_keep(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, KEEP_AT_ID, 8);

	if (!has_id(k, TABLE_MESSAGE, id) && !has_id(k, TABLE_SETTLED, id))
		found(k, id, "is kept, but not there");
}

static void check_message_id(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, MESSAGE_ID_AT_ID, 8);

	if (!has_id(k, TABLE_MESSAGE, id) && !has_id(k, TABLE_SETTLED, id))
		found(k, id, "is found by its Message-ID, but not there");
}

/* ------- the rest */

static void check_event(struct checking *k, const struct walk *w)
{
	struct event ev;

	if (event_decode(w->value, &ev))
		event_release(&ev);
	else
		found(k, key_read(w->key, 0, 8),
		      "a line of its history is damaged");
}

static void check_settled(struct checking *k, const struct walk *w)
{
	uint64_t id = key_read(w->key, 0, 8);
	struct message *m;

	if (settled_decode(w->value, id, &m))
		message_free(m);
	else
		found(k, id, "its row is damaged");
}

static void check_name_row(struct checking *k, const struct walk *w)
{
	struct span text;
	uint64_t users;

	if (w->key.at[0] == 'n' && !name_decode(w->value, &text, &users))
		found(k, 0, "the row of name %" PRIu32 " is damaged",
		      (uint32_t)key_read(w->key, 1, 4));
}

static void check_destination(struct checking *k, const struct walk *w)
{
	struct destination_record d;

	if (destination_decode(w->value, w->key, &d))
		destination_record_release(&d);
	else
		found(k, 0, "the row of a destination is damaged");
}

static void check_record(struct checking *k, const struct walk *w)
{
	char *value;

	if (record_decode(w->value, &value))
		free(value);
	else
		found(k, 0, "a record is damaged");
}

static void check_ledger(struct checking *k, const struct walk *w)
{
	struct ledger l;

	if (!span_eq(w->key, meta_key_ledger()))
		return;
	if (!ledger_decode(w->value, &l))
		found(k, 0, "the queue's counters are damaged");
	else if (!store_conserved(&l.totals))
		found(k, 0, "accepted is not the sum of the places");
}

static const struct {
	enum table table;
	void (*check)(struct checking *k, const struct walk *w);
} stages[] = {
	{TABLE_META, check_ledger},
	{TABLE_MESSAGE, check_message},
	{TABLE_RECIPIENT, check_recipient},
	{TABLE_DUE, check_due},
	{TABLE_GROUP, check_group},
	{TABLE_COUNT, check_count},
	{TABLE_NAME, check_name_row},
	{TABLE_KEEP, check_keep},
	{TABLE_MESSAGE_ID, check_message_id},
	{TABLE_EVENT, check_event},
	{TABLE_SETTLED, check_settled},
	{TABLE_DESTINATION, check_destination},
	{TABLE_RECORD, check_record},
	{TABLE_BODY, check_body},
};

/* ------- portions */

static bool resume(struct checking *k, struct walk *w)
{
	struct span last = buf_span(&k->c->last);

	if (!walk_seek(w, last))
		return false;
	return last.len == 0 || !span_eq(w->key, last) || walk_next(w);
}

/* Up to max rows of the stage; false: it is over. */
static bool check_some(struct checking *k, size_t max)
{
	struct store_check *c = k->c;
	uint64_t rows = c->rows, bytes = c->bytes;
	struct walk w;
	bool on;

	walk_begin(&w, &k->tx, stages[c->stage].table);
	on = resume(k, &w);
	while (on && c->rows - rows < max && c->bytes - bytes < PORTION_BYTES) {
		c->rows++;
		stages[c->stage].check(k, &w);
		buf_clear(&c->last);
		if (!buf_add(&c->last, w.key))
			break;
		on = walk_next(&w);
	}
	walk_end(&w);
	return on;
}

enum status lmdb_verify(struct store *s, struct store_check *c, size_t max,
			store_saw_fault *seen, void *arg, struct err *e)
{
	struct checking k = {.c = c, .seen = seen, .arg = arg};
	enum status st = tx_begin(&k.tx, store_lmdb_of(s)->lmdb, TX_READ, e);

	if (st != ST_OK)
		return st;
	if (!check_some(&k, max)) {
		buf_clear(&c->last);
		c->stage++;
		c->over = c->stage == ARRAY_LEN(stages);
	}
	return tx_end(&k.tx, e);
}

/* ------- the books */

static void add_count(const struct walk *w, struct balance *b)
{
	uint64_t state = key_read(w->key, 0, 1);
	struct group_count c;

	if (state < RCPT_STATES && group_count_decode(w->value, &c))
		b->counted[state] += c.recipients;
}

enum status lmdb_balance(struct store *s, struct balance *out, struct err *e)
{
	struct balance b = {.counted = {0}};
	struct ledger l;
	struct span row;
	struct walk w;
	struct tx tx;
	bool sound;
	enum status st = tx_begin(&tx, store_lmdb_of(s)->lmdb, TX_READ, e);

	if (st != ST_OK)
		return st;
	sound = tx_get(&tx, TABLE_META, meta_key_ledger(), &row) &&
		ledger_decode(row, &l);
	walk_begin(&w, &tx, TABLE_COUNT);
	for (bool on = walk_seek(&w, SPAN("")); on; on = walk_next(&w))
		add_count(&w, &b);
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st == ST_OK && !sound)
		st = err_perm(e, 3, 0, "the queue's counters are damaged");
	if (st == ST_OK) {
		b.totals = l.totals;
		*out = b;
	}
	return st;
}
