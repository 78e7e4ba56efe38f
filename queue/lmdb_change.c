/* SPDX-License-Identifier: ISC */
/*
 * lmdb_change.c - STORE_CHANGE: what happens to recipients of a message.
 *
 * The rows that the changes name are loaded and changed in memory.  Then it is
 * known where the message stands, and each row is written once, or, when the
 * last recipient was settled, not at all.
 */
#include <stdlib.h>

#include "queue/store_lmdb.h"

struct job {
	struct work *w;
	struct store_op *op;
	struct row *rows; /* owned */
	size_t n;
	bool all; /* rows are all of the message */
	struct summary before, after; /* of the whole message */
};

/* ------- the rows at work */

static struct row *find_row(const struct job *job, uint32_t number)
{
	for (size_t i = 0; i < job->n; i++)
		if (job->rows[i].recipient.number == number)
			return &job->rows[i];
	return NULL;
}

/* Room for all that can be named by number is there from the start. */
static void load_rows(struct job *job)
{
	const struct store_op *op = job->op;
	struct tx *tx = &job->w->tx;

	for (size_t i = 0; i < op->nchanges && !job->all; i++)
		job->all = op->changes[i].number == ALL_RECIPIENTS;
	if (job->all) {
		rows_load(tx, op->id, &job->rows, &job->n);
		return;
	}
	job->rows = xcalloc(op->nchanges + 1, sizeof(*job->rows));
	for (size_t i = 0; i < op->nchanges; i++) {
		uint32_t number = op->changes[i].number;

		if (find_row(job, number) == NULL &&
		    row_load(tx, op->id, number, &job->rows[job->n]))
			job->n++;
	}
}

/* ------- in memory */

/* A damaged row becomes a failed recipient, whatever was to be done. */
static void mend(struct job *job, struct row *row)
{
	struct recipient *r = &row->recipient;

	row_find_place(&job->w->tx, job->op->id, row);
	r->since_ms = r->fresh_ms = job->w->now_ms;
	row->damaged = false;
	row->changed = true;
}

static void change_row(struct job *job, struct row *row, const struct change *c)
{
	if (row->removed)
		return;
	if (row->damaged)
		mend(job, row);
	if (!recipient_change(&row->recipient, c, job->w->now_ms))
		return;
	row->changed = true;
	row->removed = c->kind == CHANGE_REMOVE;
}

static void change_rows(struct job *job)
{
	for (size_t i = 0; i < job->op->nchanges; i++) {
		const struct change *c = &job->op->changes[i];

		for (size_t k = 0; k < job->n; k++)
			if (c->number == ALL_RECIPIENTS ||
			    c->number == job->rows[k].recipient.number)
				change_row(job, &job->rows[k], c);
	}
	for (size_t k = 0; k < job->n; k++)
		if (job->rows[k].changed)
			job->op->done++;
}

/* Looks at the rows on disk, which are still those from before.  One that is
 * damaged counts as open until it is mended. */
static void summarize(struct job *job)
{
	struct key prefix = key_id(job->op->id);
	struct walk w;

	walk_begin(&w, &job->w->tx, TABLE_RECIPIENT);
	for (bool on = walk_first(&w, key_span(&prefix));
	     on && !(job->before.open && job->after.open);
	     on = walk_next_in(&w, key_span(&prefix))) {
		const struct row *row =
			find_row(job, (uint32_t)key_read(w.key, 8, 4));
		enum rcpt_state state = RCPT_QUEUED;
		int64_t since_ms = 0;

		if (!recipient_peek(w.value, &state, &since_ms))
			state = RCPT_QUEUED;
		summary_add(&job->before, state, since_ms);
		if (row == NULL)
			summary_add(&job->after, state, since_ms);
		else if (!row->removed)
			summary_add(&job->after, row->recipient.state,
				    row->recipient.since_ms);
	}
	walk_end(&w);
}

/* ------- news */

static void tell_row(struct job *job, const struct row *row)
{
	const struct recipient *r = &row->recipient;
	const struct place *old = &row->place;
	bool was = place_is_scheduled(old);
	bool is = !row->removed &&
		  (r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED);
	char *lane = name_text(&job->w->tx, old->lane);
	bool moved = strcmp(lane, r->lane) != 0;

	if (was && (!is || moved))
		news_add(job->op, job->op->id, r, false, lane);
	if (is &&
	    (!was || moved || r->wait != old->wait || r->due_ms != old->due_ms))
		news_add(job->op, job->op->id, r, true, r->lane);
	free(lane);
}

/* ------- to disk */

static bool is_worth_telling(const struct job *job, const struct event *ev)
{
	const struct row *row;

	if (ev->kind == EVENT_DEFERRED && space_is_scarce(&job->w->s->space))
		return false;
	if (ev->attempted || job->op->nchanges == 0)
		return true;
	if (ev->number == ALL_RECIPIENTS)
		return job->op->done > 0;
	row = find_row(job, ev->number);
	return row != NULL && row->changed;
}

static void write_events(struct job *job)
{
	const struct store_op *op = job->op;
	const struct event **events;
	size_t n = 0;

	if (op->nevents == 0)
		return;
	events = xcalloc(op->nevents, sizeof(struct event *));
	for (size_t i = 0; i < op->nevents; i++)
		if (is_worth_telling(job, &op->events[i]))
			events[n++] = &op->events[i];
	events_append(job->w, op->id, events, n);
	free(events);
	if (n > 0 && op->record != NULL && !space_is_scarce(&job->w->s->space))
		apply_record(job->w, op);
}

/* Takes the removed rows out of the tables and out of the job. */
static void delete_removed(struct job *job, uint64_t bytes)
{
	struct totals *t = &job->w->ledger.totals;
	size_t left = 0;

	for (size_t i = 0; i < job->n; i++) {
		struct row *row = &job->rows[i];

		if (!row->removed) {
			job->rows[left++] = *row;
			continue;
		}
		row_delete(job->w, job->op->id, bytes, row);
		if (row->recipient.state == RCPT_DELIVERED)
			t->delivered++;
		else
			t->removed++;
		row_release(row);
	}
	job->n = left;
}

/* The message ends: its other rows are needed as well. */
static void load_others(struct job *job)
{
	struct row *rows;
	size_t n;

	rows_load(&job->w->tx, job->op->id, &rows, &n);
	for (size_t i = 0; i < n; i++) {
		struct row *mine = find_row(job, rows[i].recipient.number);
		struct row theirs = rows[i];

		if (mine != NULL) {
			rows[i] = *mine;
			*mine = theirs;
		}
	}
	rows_free(job->rows, job->n);
	job->rows = rows;
	job->n = n;
}

static bool is_over(const struct job *job)
{
	const struct summary *s = &job->after;

	return s->n == 0 ||
	       (job->op->drop_delivered && !s->open && !s->undelivered);
}

static void write_rows(struct job *job)
{
	static const struct summary nowhere = {.n = 0};
	uint64_t id = job->op->id, bytes = body_end(&job->w->tx, id);

	delete_removed(job, bytes);
	if (is_over(job)) {
		if (job->n < job->after.n)
			load_others(job);
		keep_move(job->w, id, &job->before, &nowhere);
		settle_message(job->w, id, job->rows, job->n);
		return;
	}
	for (size_t i = 0; i < job->n; i++)
		if (job->rows[i].changed)
			row_update(job->w, id, bytes, &job->rows[i]);
	keep_move(job->w, id, &job->before, &job->after);
}

void apply_change(struct work *w, struct store_op *op)
{
	struct job job = {.w = w, .op = op};

	load_rows(&job);
	change_rows(&job);
	summarize(&job);
	for (size_t i = 0; i < job.n; i++)
		if (job.rows[i].changed)
			tell_row(&job, &job.rows[i]);
	write_events(&job);
	if (op->done > 0)
		write_rows(&job);
	rows_free(job.rows, job.n);
}
