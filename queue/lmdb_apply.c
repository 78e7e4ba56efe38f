/* SPDX-License-Identifier: ISC */
/*
 * lmdb_apply.c - a batch of operations in one transaction.
 *
 * An operation that does not apply says so before it has written anything,
 * and its neighbours do not notice.  When a write fails in the middle of the
 * transaction (LMDB's map is full), nobody can say how much of it is sound: it
 * is given up, and each operation is tried in a transaction of its own, so
 * that only the culprits fail.  When the commit fails, no operation has
 * happened; if the disk was full, those that do not bring new mail get a
 * second chance, as settling must go on when mail is already refused.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/units.h"
#include "queue/store_lmdb.h"

/* ------- the transaction */

struct span meta_key_ledger(void)
{
	return SPAN("ledger");
}

struct buf *work_row(struct work *w)
{
	buf_clear(&w->row);
	return &w->row;
}

void work_put(struct work *w, enum table t, struct span key, bool fits)
{
	if (fits)
		tx_put(&w->tx, t, key, buf_span(&w->row));
	else if (tx_ok(&w->tx))
		w->tx.rc = E2BIG;
}

enum status work_begin(struct work *w, struct store_lmdb *s, struct err *e)
{
	struct span row = SPAN("");
	enum status st;

	*w = (struct work){.s = s, .now_ms = clock_wall_ms()};
	st = tx_begin(&w->tx, s->lmdb, TX_WRITE, e);
	if (st != ST_OK)
		return st;
	buf_init(&w->row, CODEC_ROW_MAX);
	if (tx_get(&w->tx, TABLE_META, meta_key_ledger(), &row) &&
	    ledger_decode(row, &w->ledger))
		return ST_OK;
	st = work_abort(w, e);
	if (st == ST_OK)
		st = err_temp(e, 3, 0, "the queue's counters are damaged");
	return st;
}

enum status work_abort(struct work *w, struct err *e)
{
	buf_release(&w->row);
	return tx_end(&w->tx, e);
}

enum status work_commit(struct work *w, struct err *e)
{
	bool fits = ledger_encode(work_row(w), &w->ledger);
	struct span row;
	enum status st;

	/* A transaction that changed nothing needs no sync. */
	if (!tx_get(&w->tx, TABLE_META, meta_key_ledger(), &row) ||
	    !span_eq(row, buf_span(&w->row)))
		work_put(w, TABLE_META, meta_key_ledger(), fits);
	st = tx_commit(&w->tx, e);
	buf_release(&w->row);
	return st;
}

/* ------- answers */

enum status no_message(struct err *e, uint64_t id)
{
	char text[MSG_ID_LEN + 1];

	msg_id_text(text, id);
	return err_perm(e, 3, 0, "no message %s in the queue", text);
}

enum status damaged_message(struct err *e, uint64_t id)
{
	char text[MSG_ID_LEN + 1];

	msg_id_text(text, id);
	return err_perm(e, 3, 0, "message %s is damaged", text);
}

static enum status no_space(struct err *e)
{
	err_temp(e, 3, 1, "the queue is full");
	e->reply = 452;
	return e->status;
}

void news_add(struct store_op *op, uint64_t id, const struct recipient *r,
	      bool due, const char *lane)
{
	/* Grown in steps of powers of two. */
	if ((op->nnews & (op->nnews - 1)) == 0)
		op->news =
			xrealloc(op->news, op->nnews == 0 ? 1 : 2 * op->nnews,
				 sizeof(*op->news));
	op->news[op->nnews++] = (struct news){
		.id = id,
		.number = r->number,
		.due = due,
		.wait = r->wait,
		.due_ms = r->due_ms,
		.lane = xstrdup(lane),
	};
}

/* ------- unfinished messages */

static bool is_accepted(struct work *w, uint64_t id)
{
	struct key k = key_id(id);

	return tx_has(&w->tx, TABLE_MESSAGE, key_span(&k)) ||
	       tx_has(&w->tx, TABLE_SETTLED, key_span(&k));
}

/* Both BODY and ENQUEUE continue the body where it ended. */
static enum status continues(struct work *w, const struct store_op *op,
			     struct err *e)
{
	if (is_accepted(w, op->id))
		return err_temp(e, 3, 0, "the message is in the queue already");
	if (op->at != body_end(&w->tx, op->id))
		return err_temp(e, 3, 0, "a piece of the message is missing");
	if (!space_admits(w->s, op->body.len))
		return no_space(e);
	return ST_OK;
}

static void used_id(struct work *w, uint64_t id)
{
	if (id > w->ledger.last_id)
		w->ledger.last_id = id;
}

static void apply_body(struct work *w, struct store_op *op)
{
	struct key k = key_id(op->id);

	op->status = continues(w, op, &op->err);
	if (op->status != ST_OK)
		return;
	used_id(w, op->id);
	if (op->at == 0)
		tx_put(&w->tx, TABLE_PARTIAL, key_span(&k), SPAN(""));
	body_append(w, op->id, op->at, op->body);
}

static void apply_drop(struct work *w, struct store_op *op)
{
	struct key k = key_id(op->id);

	if (is_accepted(w, op->id)) {
		op->status = err_perm(&op->err, 3, 0,
				      "the message is in the queue already");
		return;
	}
	body_delete(w, op->id);
	tx_del(&w->tx, TABLE_PARTIAL, key_span(&k));
}

/* ------- enqueue */

static void enqueue_index(struct work *w, const struct message *m)
{
	uint64_t hash = digest_of(span_of(m->message_id));
	struct key k = key_message_id(hash, m->id);

	if (m->message_id[0] != '\0')
		tx_put(&w->tx, TABLE_MESSAGE_ID, key_span(&k), SPAN(""));
}

/* The last piece of its body has its place at `at`. */
static void accept_message(struct work *w, struct store_op *op,
			   const struct message *m, uint64_t at,
			   struct span body)
{
	static const struct summary nowhere = {.n = 0};
	struct summary summary = {.n = 0};
	struct key k = key_id(m->id);

	used_id(w, m->id);
	body_append(w, m->id, at, body);
	work_put(w, TABLE_MESSAGE, key_span(&k),
		 message_encode(work_row(w), m));
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		row_insert(w, m->id, m->bytes, r);
		summary_add(&summary, r->state, r->since_ms);
		if (r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED)
			news_add(op, m->id, r, true, r->lane);
	}
	w->ledger.totals.accepted += m->nrecipients;
	keep_move(w, m->id, &nowhere, &summary);
	enqueue_index(w, m);
}

static void enqueue_events(struct work *w, const struct store_op *op)
{
	const struct event **events;

	if (op->nevents == 0)
		return;
	events = xcalloc(op->nevents, sizeof(struct event *));
	for (size_t i = 0; i < op->nevents; i++)
		events[i] = &op->events[i];
	events_append(w, op->id, events, op->nevents);
	free(events);
}

static void apply_enqueue(struct work *w, struct store_op *op)
{
	const struct message *m = op->message;
	struct key k = key_id(op->id);

	BUG_ON(m->id != op->id);
	op->status = continues(w, op, &op->err);
	if (op->status != ST_OK)
		return;
	tx_del(&w->tx, TABLE_PARTIAL, key_span(&k));
	accept_message(w, op, m, op->at, op->body);
	op->done = m->nrecipients;
	enqueue_events(w, op);
}

/* ------- change */

/* Before anything is written: could they be accepted? */
static enum status admits_bounces(struct work *w, const struct store_op *op,
				  struct err *e)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < op->nbounces; i++) {
		if (is_accepted(w, op->bounces[i].message->id))
			return err_temp(e, 3, 0,
					"the bounce is in the queue already");
		bytes += op->bounces[i].body.len;
	}
	if (op->nbounces > 0 && !space_admits(w->s, bytes))
		return no_space(e);
	return ST_OK;
}

static void apply_change_and_bounces(struct work *w, struct store_op *op)
{
	op->status = admits_bounces(w, op, &op->err);
	if (op->status != ST_OK)
		return;
	apply_change(w, op);
	for (size_t i = 0; i < op->nbounces && op->done > 0; i++) {
		accept_message(w, op, op->bounces[i].message, 0,
			       op->bounces[i].body);
		FAULT(NOTICE_APPLIED);
	}
}

/* ------- the other verbs */

static void apply_destination(struct work *w, struct store_op *op)
{
	const struct destination_record *d = op->destination;

	if (d->failing || d->suspended)
		work_put(w, TABLE_DESTINATION, span_of(d->name),
			 destination_encode(work_row(w), d));
	else
		tx_del(&w->tx, TABLE_DESTINATION, span_of(d->name));
}

static void apply_one(struct work *w, struct store_op *op)
{
	struct key k = key_id(op->id);

	store_op_release(op);
	if (!store_op_sound(op))
		return;
	switch (op->verb) {
	case STORE_BODY:
		apply_body(w, op);
		break;
	case STORE_DROP:
		apply_drop(w, op);
		break;
	case STORE_ENQUEUE:
		apply_enqueue(w, op);
		break;
	case STORE_CHANGE:
		if (tx_has(&w->tx, TABLE_MESSAGE, key_span(&k)))
			apply_change_and_bounces(w, op);
		else
			op->status = no_message(&op->err, op->id);
		break;
	case STORE_TRIM:
		trim(w, op);
		if (op->done > 0)
			FAULT(TRIM_APPLIED);
		break;
	case STORE_DESTINATION:
		apply_destination(w, op);
		break;
	case STORE_RECORD:
		apply_record(w, op);
		break;
	}
}

/* ------- batches */

enum outcome {
	COMMITTED,
	SPOILT, /* by a write before the commit */
	LOST, /* by the commit, or never begun */
};

/* A write for which there was half the room is a failed one to LMDB, without
 * a reason: the disk knows it. */
static void find_reason(struct store_lmdb *s, struct err *e)
{
	if (e->os == EIO && space_is_out(s)) {
		(void)no_space(e);
		e->os = ENOSPC;
	}
}

static enum outcome run(struct store_lmdb *s, struct store_op *const *ops,
			size_t n, struct err *e)
{
	uint64_t added_bytes = atomic_load(&s->space.added_bytes);
	enum outcome outcome = LOST;
	struct work w;

	if (work_begin(&w, s, e) != ST_OK)
		return LOST;
	for (size_t i = 0; i < n && tx_ok(&w.tx); i++)
		apply_one(&w, ops[i]);
	FAULT(QUEUE_BEFORE_COMMIT);
	if (!tx_ok(&w.tx)) {
		(void)work_abort(&w, e);
		find_reason(s, e);
		outcome = SPOILT;
	} else if (work_commit(&w, e) == ST_OK) {
		FAULT(QUEUE_AFTER_COMMIT);
		return COMMITTED;
	} else {
		find_reason(s, e);
	}
	/* What was not written takes no space from what comes next. */
	atomic_store(&s->space.added_bytes, added_bytes);
	return outcome;
}

static void fail(struct store_op *op, const struct err *e)
{
	store_op_release(op);
	op->status = e->status;
	op->err = *e;
}

static enum status run_each(struct store_lmdb *s, struct store_op *const *ops,
			    size_t n)
{
	enum status st = ST_TEMP;
	struct err e;

	for (size_t i = 0; i < n; i++) {
		if (run(s, &ops[i], 1, &e) == COMMITTED)
			st = ST_OK;
		else
			fail(ops[i], &e);
	}
	return st;
}

static enum status run_together(struct store_lmdb *s,
				struct store_op *const *ops, size_t n)
{
	struct err e;

	switch (run(s, ops, n, &e)) {
	case COMMITTED:
		return ST_OK;
	case SPOILT:
		return run_each(s, ops, n);
	case LOST:
		break;
	}
	if (e.os == ENOSPC)
		atomic_store(&s->space.disk_failed, true);
	for (size_t i = 0; i < n; i++)
		fail(ops[i], &e);
	return e.status;
}

static bool brings_mail(const struct store_op *op)
{
	return op->verb == STORE_BODY || op->verb == STORE_ENQUEUE ||
	       (op->verb == STORE_CHANGE && op->nbounces > 0);
}

/* What is left of a batch that the full disk refused. */
static enum status run_without_mail(struct store_lmdb *s,
				    struct store_op *const *ops, size_t n)
{
	struct store_op **rest = xcalloc(n, sizeof(struct store_op *));
	enum status st = ST_TEMP;
	size_t nrest = 0;

	for (size_t i = 0; i < n; i++)
		if (!brings_mail(ops[i]))
			rest[nrest++] = ops[i];
	if (nrest > 0)
		st = run_together(s, rest, nrest);
	free(rest);
	return st;
}

enum status lmdb_apply(struct store *store, struct store_op *const *ops,
		       size_t n)
{
	struct store_lmdb *s = store_lmdb_of(store);
	bool mail = false;
	enum status st;

	for (size_t i = 0; i < n; i++)
		mail = mail || brings_mail(ops[i]);
	space_look(s);
	st = run_together(s, ops, n);
	if (st != ST_OK && mail && atomic_load(&s->space.disk_failed))
		st = run_without_mail(s, ops, n);
	return st;
}
