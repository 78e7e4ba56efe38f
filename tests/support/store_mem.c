/* SPDX-License-Identifier: ISC */
/*
 * store_mem.c - a store that is obviously right.
 *
 * Nothing is indexed and nothing is counted beside the messages themselves,
 * but for what is gone from the queue.  One mutex guards all of it.
 */
#include "tests/support/store_mem.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"

struct entry {
	struct message *m;
	char *body;
	size_t len;
	bool accepted; /* else it is unfinished */
	bool settled; /* the body is gone */
	bool damaged;
	int64_t settled_ms;
	struct event *events;
	size_t nevents;
};

struct store_mem {
	struct store store;
	pthread_mutex_t lock; /* guards the rest */
	struct entry **entries; /* by id */
	size_t n;
	struct destination_record *destinations; /* by name */
	size_t ndestinations;
	struct store_record *records; /* by kind and key */
	size_t nrecords;
	struct totals gone; /* but for `live` */
	uint64_t last_id;
	unsigned fail_commits;
	bool full;
};

static struct store_mem *mem(struct store *s)
{
	return CONTAINER_OF(s, struct store_mem, store);
}

static struct store_mem *lock(struct store *s)
{
	pthread_mutex_lock(&mem(s)->lock);
	return mem(s);
}

static void unlock(struct store_mem *s)
{
	pthread_mutex_unlock(&s->lock);
}

/* ------- entries */

static void entry_free(struct entry *x)
{
	for (size_t i = 0; i < x->nevents; i++)
		event_release(&x->events[i]);
	free(x->events);
	free(x->body);
	message_free(x->m);
	free(x);
}

static struct entry *find(const struct store_mem *s, uint64_t id)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->entries[i]->m->id == id)
			return s->entries[i];
	return NULL;
}

static struct entry *find_live(const struct store_mem *s, uint64_t id)
{
	struct entry *x = find(s, id);

	return x != NULL && x->accepted && !x->settled ? x : NULL;
}

static struct entry *entry_add(struct store_mem *s, uint64_t id)
{
	struct entry *x = xcalloc(1, sizeof(*x));
	size_t at = s->n;

	x->m = message_new();
	x->m->id = id;
	s->entries = xrealloc(s->entries, s->n + 1, sizeof(*s->entries));
	for (; at > 0 && s->entries[at - 1]->m->id > id; at--)
		s->entries[at] = s->entries[at - 1];
	s->entries[at] = x;
	s->n++;
	return x;
}

static void entry_remove(struct store_mem *s, struct entry *x)
{
	size_t at = 0;

	while (s->entries[at] != x)
		at++;
	s->n--;
	memmove(&s->entries[at], &s->entries[at + 1],
		(s->n - at) * sizeof(*s->entries));
	entry_free(x);
}

static bool is_scheduled(const struct recipient *r)
{
	return r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED;
}

static bool all_are(const struct message *m, bool (*is)(enum rcpt_state))
{
	for (size_t i = 0; i < m->nrecipients; i++)
		if (!is(m->recipients[i].state))
			return false;
	return true;
}

static bool is_delivered(enum rcpt_state s)
{
	return s == RCPT_DELIVERED;
}

static int64_t last_since_ms(const struct message *m)
{
	int64_t ms = INT64_MIN;

	for (size_t i = 0; i < m->nrecipients; i++)
		if (m->recipients[i].since_ms > ms)
			ms = m->recipients[i].since_ms;
	return ms;
}

/* ------- operations */

static enum status refuse(struct store_op *op, int subject, int detail,
			  const char *text)
{
	op->status = err_temp(&op->err, subject, detail, "%s", text);
	return op->status;
}

static enum status continue_body(struct store_mem *s, struct store_op *op)
{
	struct entry *x = find(s, op->id);

	if (x != NULL && x->accepted)
		return refuse(op, 3, 0, "in the queue already");
	if (op->at != (x == NULL ? 0 : x->len))
		return refuse(op, 3, 0, "a piece is missing");
	if (s->full) {
		refuse(op, 3, 1, "the queue is full");
		op->err.reply = 452;
		return op->status;
	}
	if (x == NULL)
		x = entry_add(s, op->id);
	x->body = xrealloc(x->body, x->len + op->body.len + 1, 1);
	if (op->body.len > 0)
		memcpy(x->body + x->len, op->body.at, op->body.len);
	x->len += op->body.len;
	if (op->id > s->last_id)
		s->last_id = op->id;
	return ST_OK;
}

static void drop(struct store_mem *s, struct store_op *op)
{
	struct entry *x = find(s, op->id);

	if (x == NULL)
		return;
	if (x->accepted)
		op->status = err_perm(&op->err, 3, 0, "in the queue already");
	else
		entry_remove(s, x);
}

static void news_add(struct store_op *op, uint64_t id,
		     const struct recipient *r, bool due, const char *lane)
{
	op->news = xrealloc(op->news, op->nnews + 1, sizeof(*op->news));
	op->news[op->nnews++] = (struct news){
		.id = id,
		.number = r->number,
		.due = due,
		.wait = r->wait,
		.due_ms = r->due_ms,
		.lane = xstrdup(lane),
	};
}

static void event_add(struct entry *x, const struct event *ev)
{
	x->events = xrealloc(x->events, x->nevents + 1, sizeof(*x->events));
	event_copy(&x->events[x->nevents++], ev);
}

/* Its body is complete. */
static void accept_message(struct store_mem *s, struct store_op *op,
			   struct entry *x, const struct message *m)
{
	message_free(x->m);
	x->m = message_copy(m);
	x->accepted = true;
	for (size_t i = 0; i < x->m->nrecipients; i++)
		if (is_scheduled(&x->m->recipients[i]))
			news_add(op, m->id, &x->m->recipients[i], true,
				 x->m->recipients[i].lane);
	s->gone.accepted += m->nrecipients;
}

static void enqueue(struct store_mem *s, struct store_op *op)
{
	struct entry *x;

	if (continue_body(s, op) != ST_OK)
		return;
	x = find(s, op->id);
	accept_message(s, op, x, op->message);
	for (size_t i = 0; i < op->nevents; i++)
		event_add(x, &op->events[i]);
	op->done = x->m->nrecipients;
}

static void settle(struct store_mem *s, struct entry *x)
{
	for (size_t i = 0; i < x->m->nrecipients; i++) {
		enum rcpt_state state = x->m->recipients[i].state;

		if (state == RCPT_DELIVERED)
			s->gone.delivered++;
		else if (state == RCPT_EXPIRED)
			s->gone.expired++;
		else if (recipient_is_discarded(&x->m->recipients[i]))
			s->gone.removed++;
		else
			s->gone.failed++;
	}
	free(x->body);
	x->body = NULL;
	x->settled = true;
	x->settled_ms = clock_wall_ms();
}

/* ------- change */

struct touched {
	bool changed, removed;
};

static void tell(struct store_op *op, const struct recipient *old,
		 const struct recipient *r, bool removed)
{
	bool was = is_scheduled(old), is = !removed && is_scheduled(r);
	bool moved = strcmp(old->lane, r->lane) != 0;

	if (was && (!is || moved))
		news_add(op, op->id, r, false, old->lane);
	if (is &&
	    (!was || moved || old->wait != r->wait || old->due_ms != r->due_ms))
		news_add(op, op->id, r, true, r->lane);
}

static void change_each(struct entry *x, const struct store_op *op,
			struct touched *touched)
{
	for (size_t c = 0; c < op->nchanges; c++) {
		const struct change *change = &op->changes[c];

		for (size_t i = 0; i < x->m->nrecipients; i++) {
			struct recipient *r = &x->m->recipients[i];

			if (change->number != ALL_RECIPIENTS &&
			    change->number != r->number)
				continue;
			if (touched[i].removed ||
			    !recipient_change(r, change, clock_wall_ms()))
				continue;
			touched[i].changed = true;
			touched[i].removed = change->kind == CHANGE_REMOVE;
		}
	}
}

/* ------- records */

static int record_compare(const struct store_record *a, enum record_kind kind,
			  const char *key)
{
	if (a->kind != kind)
		return a->kind < kind ? -1 : 1;
	return strcmp(a->key, key);
}

static void keep_record(struct store_mem *s, const struct store_record *r)
{
	size_t at = 0;

	while (at < s->nrecords &&
	       record_compare(&s->records[at], r->kind, r->key) < 0)
		at++;
	if (at < s->nrecords &&
	    record_compare(&s->records[at], r->kind, r->key) == 0) {
		store_record_release(&s->records[at]);
		s->nrecords--;
		memmove(&s->records[at], &s->records[at + 1],
			(s->nrecords - at) * sizeof(*s->records));
	}
	if (r->value == NULL)
		return;
	s->records = xrealloc(s->records, s->nrecords + 1, sizeof(*s->records));
	memmove(&s->records[at + 1], &s->records[at],
		(s->nrecords - at) * sizeof(*s->records));
	s->records[at] = (struct store_record){r->kind, xstrdup(r->key),
					       xstrdup(r->value)};
	s->nrecords++;
}

static void forget_transcripts(struct store_mem *s, uint64_t id)
{
	char prefix[MSG_ID_LEN + 2];
	size_t left = 0;

	msg_id_text(prefix, id);
	prefix[MSG_ID_LEN] = '/';
	for (size_t i = 0; i < s->nrecords; i++) {
		struct store_record *r = &s->records[i];

		if (r->kind == RECORD_TRANSCRIPT &&
		    strncmp(r->key, prefix, sizeof(prefix) - 1) == 0)
			store_record_release(r);
		else
			s->records[left++] = *r;
	}
	s->nrecords = left;
}

static void record(struct store_mem *s, struct entry *x,
		   const struct store_op *op, const struct touched *touched)
{
	bool any = false;

	for (size_t e = 0; e < op->nevents; e++) {
		const struct event *ev = &op->events[e];
		bool worth = ev->attempted || op->nchanges == 0 ||
			     (ev->number == ALL_RECIPIENTS && op->done > 0);

		for (size_t i = 0; i < x->m->nrecipients; i++)
			if (x->m->recipients[i].number == ev->number &&
			    touched[i].changed)
				worth = true;
		if (worth)
			event_add(x, ev);
		any = any || worth;
	}
	if (any && op->record != NULL)
		keep_record(s, op->record);
}

static void remove_each(struct store_mem *s, struct entry *x,
			const struct touched *touched)
{
	size_t left = 0;

	for (size_t i = 0; i < x->m->nrecipients; i++) {
		struct recipient *r = &x->m->recipients[i];

		if (!touched[i].removed) {
			x->m->recipients[left++] = *r;
			continue;
		}
		if (r->state == RCPT_DELIVERED)
			s->gone.delivered++;
		else
			s->gone.removed++;
		recipient_release(r);
	}
	x->m->nrecipients = left;
}

static bool admits_bounces(struct store_mem *s, struct store_op *op)
{
	for (size_t i = 0; i < op->nbounces; i++) {
		if (find(s, op->bounces[i].message->id) != NULL) {
			refuse(op, 3, 0, "in the queue already");
			return false;
		}
	}
	if (op->nbounces == 0 || !s->full)
		return true;
	refuse(op, 3, 1, "the queue is full");
	op->err.reply = 452;
	return false;
}

static void enqueue_bounce(struct store_mem *s, struct store_op *op,
			   const struct store_bounce *b)
{
	struct entry *x = entry_add(s, b->message->id);

	x->body = xstrndup(b->body.at, b->body.len);
	x->len = b->body.len;
	accept_message(s, op, x, b->message);
	if (b->message->id > s->last_id)
		s->last_id = b->message->id;
}

static void change(struct store_mem *s, struct store_op *op)
{
	struct entry *x = find_live(s, op->id);
	struct message *old;
	struct touched *touched;

	if (x == NULL) {
		op->status = err_perm(&op->err, 3, 0, "no such message");
		return;
	}
	if (!admits_bounces(s, op))
		return;
	old = message_copy(x->m);
	touched = xcalloc(old->nrecipients + 1, sizeof(*touched));
	change_each(x, op, touched);
	for (size_t i = 0; i < old->nrecipients; i++) {
		if (!touched[i].changed)
			continue;
		op->done++;
		tell(op, &old->recipients[i], &x->m->recipients[i],
		     touched[i].removed);
	}
	record(s, x, op, touched);
	remove_each(s, x, touched);
	if (op->done > 0 &&
	    (x->m->nrecipients == 0 ||
	     (op->drop_delivered && all_are(x->m, is_delivered))))
		settle(s, x);
	for (size_t i = 0; i < op->nbounces && op->done > 0; i++)
		enqueue_bounce(s, op, &op->bounces[i]);
	free(touched);
	message_free(old);
}

/* ------- trim */

static int class_of(const struct entry *x)
{
	if (!x->accepted)
		return 0;
	if (x->settled)
		return 3;
	if (!all_are(x->m, rcpt_state_is_final))
		return 0;
	return all_are(x->m, is_delivered) ? 2 : 1;
}

static int64_t kept_since_ms(const struct entry *x)
{
	return x->settled ? x->settled_ms : last_since_ms(x->m);
}

static struct entry *oldest(const struct store_mem *s, int class)
{
	struct entry *best = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct entry *x = s->entries[i];

		if (class_of(x) == class &&
		    (best == NULL || kept_since_ms(x) < kept_since_ms(best)))
			best = x;
	}
	return best;
}

static void trim(struct store_mem *s, struct store_op *op)
{
	const int64_t before_ms[] = {0, op->expired_before_ms,
				     op->delivered_before_ms,
				     op->trace_before_ms};

	for (int class = 1; class <= 3; class ++) {
		struct entry *x;

		while (op->done < op->limit && (x = oldest(s, class)) != NULL &&
		       kept_since_ms(x) < before_ms[class]) {
			if (class == 3) {
				forget_transcripts(s, x->m->id);
				entry_remove(s, x);
			} else {
				settle(s, x);
			}
			op->done++;
		}
	}
}

/* ------- destinations */

static void destination_copy(struct destination_record *to,
			     const struct destination_record *from)
{
	*to = *from;
	to->name = xstrdup(from->name);
	to->reply = xstrdup(from->reply);
	to->reason = xstrdup(from->reason);
}

static void keep_destination(struct store_mem *s,
			     const struct destination_record *d)
{
	size_t at = 0;

	while (at < s->ndestinations &&
	       strcmp(s->destinations[at].name, d->name) < 0)
		at++;
	if (at < s->ndestinations &&
	    strcmp(s->destinations[at].name, d->name) == 0) {
		destination_record_release(&s->destinations[at]);
		s->ndestinations--;
		memmove(&s->destinations[at], &s->destinations[at + 1],
			(s->ndestinations - at) * sizeof(*s->destinations));
	}
	if (!d->failing && !d->suspended)
		return;
	s->destinations = xrealloc(s->destinations, s->ndestinations + 1,
				   sizeof(*s->destinations));
	memmove(&s->destinations[at + 1], &s->destinations[at],
		(s->ndestinations - at) * sizeof(*s->destinations));
	destination_copy(&s->destinations[at], d);
	s->ndestinations++;
}

static void apply_one(struct store_mem *s, struct store_op *op)
{
	store_op_release(op);
	if (!store_op_sound(op))
		return;
	switch (op->verb) {
	case STORE_BODY:
		(void)continue_body(s, op);
		break;
	case STORE_DROP:
		drop(s, op);
		break;
	case STORE_ENQUEUE:
		enqueue(s, op);
		break;
	case STORE_CHANGE:
		change(s, op);
		break;
	case STORE_TRIM:
		trim(s, op);
		break;
	case STORE_DESTINATION:
		keep_destination(s, op->destination);
		break;
	case STORE_RECORD:
		keep_record(s, op->record);
		break;
	}
}

static enum status mem_apply(struct store *store, struct store_op *const *ops,
			     size_t n)
{
	struct store_mem *s = lock(store);
	bool fails = s->fail_commits > 0;

	for (size_t i = 0; i < n; i++) {
		if (fails) {
			store_op_release(ops[i]);
			refuse(ops[i], 3, 0, "the commit failed");
		} else {
			apply_one(s, ops[i]);
		}
	}
	if (fails)
		s->fail_commits--;
	unlock(s);
	return fails ? ST_TEMP : ST_OK;
}

/* ------- reads */

static enum status mem_load(struct store *store, uint64_t id,
			    struct message **out, struct err *e)
{
	struct store_mem *s = lock(store);
	struct entry *x = find_live(s, id);

	if (x != NULL)
		*out = message_copy(x->m);
	unlock(s);
	return x != NULL ? ST_OK : err_perm(e, 3, 0, "no such message");
}

static enum status mem_read_body(struct store *store, uint64_t id, uint64_t at,
				 struct buf *out, struct err *e)
{
	struct store_mem *s = lock(store);
	struct entry *x = find_live(s, id);
	enum status st = ST_OK;

	if (x == NULL)
		st = err_perm(e, 3, 0, "no such message");
	else if (x->damaged)
		st = err_perm(e, 3, 0, "the message is damaged");
	else if (at < x->len) {
		struct span bytes = {x->body + at, x->len - (size_t)at};

		if (bytes.len > out->max - out->len)
			bytes.len = out->max - out->len;
		BUG_ON(bytes.len == 0 || !buf_add(out, bytes));
	}
	unlock(s);
	return st;
}

static int due_order(const void *va, const void *vb)
{
	const struct due *a = va, *b = vb;

	if (a->due_ms != b->due_ms)
		return a->due_ms < b->due_ms ? -1 : 1;
	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

typedef bool wanted(const struct recipient *r, const void *arg);

/* All live recipients that are wanted, sorted; *out owned. */
static size_t collect(const struct store_mem *s, wanted *is, const void *arg,
		      bool by_time, struct due **out)
{
	struct due *all = NULL;
	size_t n = 0;

	for (size_t i = 0; i < s->n; i++) {
		const struct entry *x = s->entries[i];

		for (size_t k = 0; k < x->m->nrecipients; k++) {
			const struct recipient *r = &x->m->recipients[k];

			if (!x->accepted || x->settled || !is(r, arg))
				continue;
			all = xrealloc(all, n + 1, sizeof(*all));
			all[n++] = (struct due){x->m->id, r->number,
						by_time ? r->due_ms : 0};
		}
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), due_order);
	*out = all;
	return n;
}

static size_t give(const struct due *all, size_t nall, int64_t before_ms,
		   const struct due *after, struct due *out, size_t max)
{
	size_t n = 0;

	for (size_t i = 0; i < nall && n < max; i++) {
		if (after != NULL && due_order(&all[i], after) <= 0)
			continue;
		if (all[i].due_ms <= before_ms)
			out[n++] = all[i];
	}
	return n;
}

static bool waits(const struct recipient *r, const void *arg)
{
	const struct recipient *like = arg;

	return is_scheduled(r) && r->wait == like->wait &&
	       strcmp(r->lane, like->lane) == 0;
}

static enum status mem_due(struct store *store, const char *lane,
			   enum rcpt_wait wait, int64_t before_ms,
			   const struct due *after, struct due *out, size_t max,
			   size_t *n, struct err *e)
{
	struct recipient like = {.wait = wait, .lane = (char *)(uintptr_t)lane};
	struct store_mem *s = lock(store);
	struct due *all;
	size_t nall = collect(s, waits, &like, true, &all);

	(void)e;
	*n = give(all, nall, before_ms, after, out, max);
	unlock(s);
	free(all);
	return ST_OK;
}

static enum status mem_next_due(struct store *store, const char *lane,
				enum rcpt_wait wait, int64_t *out,
				struct err *e)
{
	struct due first;
	size_t n;

	(void)mem_due(store, lane, wait, INT64_MAX, NULL, &first, 1, &n, e);
	*out = n == 0 ? INT64_MAX : first.due_ms;
	return ST_OK;
}

static bool holds(char **list, size_t n, const char *s)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(list[i], s) == 0)
			return true;
	return false;
}

static enum status mem_lanes(struct store *store, char ***out, struct err *e)
{
	struct store_mem *s = lock(store);
	char **lanes = xcalloc(1, sizeof(char *));
	size_t n = 0;

	(void)e;
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *x = s->entries[i];

		for (size_t k = 0; k < x->m->nrecipients; k++) {
			const struct recipient *r = &x->m->recipients[k];

			if (!x->accepted || x->settled || !is_scheduled(r) ||
			    holds(lanes, n, r->lane))
				continue;
			lanes = xrealloc(lanes, n + 2, sizeof(char *));
			lanes[n++] = xstrdup(r->lane);
			lanes[n] = NULL;
		}
	}
	unlock(s);
	*out = lanes;
	return ST_OK;
}

static void walk_entries(struct store *store, bool settled, uint64_t *cursor,
			 size_t max, bool *more, store_saw_message *seen,
			 void *arg)
{
	struct store_mem *s = lock(store);
	uint64_t from = *cursor;
	bool on = true;
	size_t n = 0;

	*more = false;
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *x = s->entries[i];

		if (x->m->id <= from || !x->accepted || x->settled != settled)
			continue;
		if (n == max || !on) {
			*more = true;
			break;
		}
		on = seen(arg, x->m);
		*cursor = x->m->id;
		n++;
	}
	unlock(s);
}

static enum status mem_scan(struct store *store, uint64_t *cursor, size_t max,
			    bool *more, store_saw_message *seen, void *arg,
			    struct err *e)
{
	(void)e;
	walk_entries(store, false, cursor, max, more, seen, arg);
	return ST_OK;
}

static enum status mem_scan_settled(struct store *store, uint64_t *cursor,
				    size_t max, bool *more,
				    store_saw_message *seen, void *arg,
				    struct err *e)
{
	(void)e;
	walk_entries(store, true, cursor, max, more, seen, arg);
	return ST_OK;
}

/* All in one go: there are few. */
static enum status mem_fading(struct store *store, int64_t before_ms,
			      size_t max, struct fading *f, struct err *e)
{
	struct store_mem *s = lock(store);
	const struct entry *first = oldest(s, 1);

	(void)max;
	(void)e;
	*f = (struct fading){
		.oldest_ms = first ? kept_since_ms(first) : 0,
		.over = true,
	};
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *x = s->entries[i];

		if (class_of(x) != 1 || kept_since_ms(x) >= before_ms)
			continue;
		f->messages++;
		for (size_t r = 0; r < x->m->nrecipients; r++)
			f->recipients += x->m->recipients[r].state !=
					 RCPT_DELIVERED;
	}
	unlock(s);
	return ST_OK;
}

static bool belongs(const struct recipient *r, const void *arg)
{
	const struct recipient *like = arg;

	return r->state == like->state && r->cause == like->cause &&
	       strcmp(r->destination, like->destination) == 0;
}

static enum status mem_members(struct store *store, enum rcpt_state state,
			       enum cause cause, const char *destination,
			       const struct due *after, struct due *out,
			       size_t max, size_t *n, struct err *e)
{
	struct recipient like = {.state = state,
				 .cause = cause,
				 .destination = (char *)(uintptr_t)destination};
	struct store_mem *s = lock(store);
	struct due *all, from = {0, 0, 0};
	size_t nall = collect(s, belongs, &like, false, &all);

	(void)e;
	if (after != NULL)
		from = (struct due){after->id, after->number, 0};
	*n = give(all, nall, INT64_MAX, after == NULL ? NULL : &from, out, max);
	unlock(s);
	free(all);
	return ST_OK;
}

static struct group *group_of(struct group **groups, size_t *n,
			      const struct recipient *r, int64_t received_ms)
{
	for (size_t i = 0; i < *n; i++) {
		struct group *g = &(*groups)[i];

		if (g->state == r->state && g->cause == r->cause &&
		    strcmp(g->destination, r->destination) == 0)
			return g;
	}
	*groups = xrealloc(*groups, *n + 1, sizeof(**groups));
	(*groups)[*n] = (struct group){
		.state = r->state,
		.cause = r->cause,
		.destination = xstrdup(r->destination),
		.oldest_ms = received_ms,
	};
	return &(*groups)[(*n)++];
}

static bool is_first_of_kind(const struct message *m, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (belongs(&m->recipients[i], &m->recipients[at]))
			return false;
	return true;
}

static enum status mem_groups(struct store *store, struct group **out,
			      size_t *n, struct err *e)
{
	struct store_mem *s = lock(store);
	struct group *groups = NULL;

	(void)e;
	*n = 0;
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *x = s->entries[i];

		if (!x->accepted || x->settled)
			continue;
		for (size_t k = 0; k < x->m->nrecipients; k++) {
			struct group *g =
				group_of(&groups, n, &x->m->recipients[k],
					 x->m->received_ms);

			g->recipients++;
			if (is_first_of_kind(x->m, k)) {
				g->messages++;
				g->bytes += x->len;
			}
		}
	}
	unlock(s);
	*out = groups;
	return ST_OK;
}

static enum status mem_totals(struct store *store, struct totals *out,
			      struct err *e)
{
	struct store_mem *s = lock(store);

	(void)e;
	*out = s->gone;
	for (size_t i = 0; i < s->n; i++) {
		const struct entry *x = s->entries[i];

		for (size_t k = 0; k < x->m->nrecipients; k++)
			if (x->accepted && !x->settled)
				out->live[x->m->recipients[k].state]++;
	}
	unlock(s);
	return ST_OK;
}

static enum status mem_history(struct store *store, uint64_t id,
			       struct message **out, store_saw_event *seen,
			       void *arg, struct err *e)
{
	struct store_mem *s = lock(store);
	struct entry *x = find(s, id);

	if (x == NULL || !x->accepted) {
		unlock(s);
		return err_perm(e, 3, 0, "no such message");
	}
	*out = message_copy(x->m);
	for (size_t i = 0; seen != NULL && i < x->nevents; i++)
		if (!seen(arg, &x->events[i]))
			break;
	unlock(s);
	return ST_OK;
}

static enum status mem_find(struct store *store, const char *message_id,
			    uint64_t **out, size_t *n, struct err *e)
{
	struct store_mem *s = lock(store);
	uint64_t *ids = NULL;

	(void)e;
	*n = 0;
	for (size_t i = 0; i < s->n && message_id[0] != '\0'; i++) {
		const struct entry *x = s->entries[i];

		if (!x->accepted || strcmp(x->m->message_id, message_id) != 0)
			continue;
		ids = xrealloc(ids, *n + 1, sizeof(*ids));
		ids[(*n)++] = x->m->id;
	}
	unlock(s);
	*out = ids;
	return ST_OK;
}

static enum status mem_records(struct store *store, enum record_kind kind,
			       enum record_order order, const char *after,
			       size_t max, struct store_record **out, size_t *n,
			       struct err *e)
{
	struct store_mem *s = lock(store);
	struct store_record *list = xcalloc(s->nrecords + 1, sizeof(*list));

	(void)e;
	*n = 0;
	for (size_t i = 0; i < s->nrecords && *n < max; i++) {
		bool rising = order == RECORDS_RISING;
		const struct store_record *r =
			&s->records[rising ? i : s->nrecords - 1 - i];
		int where = after == NULL ? 0 : strcmp(r->key, after);

		if (r->kind != kind ||
		    (after != NULL && (rising ? where <= 0 : where >= 0)))
			continue;
		list[(*n)++] = (struct store_record){
			kind, xstrdup(r->key), xstrdup(r->value)};
	}
	*out = list;
	unlock(s);
	return ST_OK;
}

static enum status mem_destinations(struct store *store,
				    struct destination_record **out, size_t *n,
				    struct err *e)
{
	struct store_mem *s = lock(store);
	struct destination_record *list = NULL;

	(void)e;
	*n = s->ndestinations;
	if (*n > 0)
		list = xcalloc(*n, sizeof(*list));
	for (size_t i = 0; i < *n; i++)
		destination_copy(&list[i], &s->destinations[i]);
	unlock(s);
	*out = list;
	return ST_OK;
}

static void mem_space(struct store *store, struct store_space *out)
{
	struct store_mem *s = lock(store);

	*out = (struct store_space){.max_bytes = UINT64_MAX,
				    .free_disk_bytes = UINT64_MAX,
				    .full = s->full};
	for (size_t i = 0; i < s->n; i++)
		if (s->entries[i]->body != NULL)
			out->used_bytes += s->entries[i]->len;
	unlock(s);
}

/* ------- open and close */

/* Nothing but bodies can be damaged here. */
static enum status mem_verify(struct store *store, struct store_check *c,
			      size_t max, store_saw_fault *seen, void *arg,
			      struct err *e)
{
	struct store_mem *s = lock(store);

	(void)e;
	for (; max > 0 && c->stage < s->n; c->stage++, max--) {
		const struct entry *x = s->entries[c->stage];

		c->rows++;
		c->bytes += x->len;
		if (!x->damaged)
			continue;
		c->faults++;
		seen(arg, x->m->id, "its body is damaged at 0");
	}
	c->over = c->stage == s->n;
	unlock(s);
	return ST_OK;
}

static enum status mem_balance(struct store *store, struct balance *out,
			       struct err *e)
{
	enum status st = mem_totals(store, &out->totals, e);

	/* Nothing is counted beside the messages themselves. */
	for (size_t i = 0; i < RCPT_STATES; i++)
		out->counted[i] = out->totals.live[i];
	return st;
}

static uint64_t mem_new_id(struct store *store)
{
	struct store_mem *s = lock(store);
	uint64_t id = (uint64_t)clock_wall_ms() << 22;

	s->last_id = id > s->last_id ? id : s->last_id + 1;
	id = s->last_id;
	unlock(s);
	return id;
}

static void mem_close(struct store *store)
{
	struct store_mem *s = mem(store);

	while (s->n > 0)
		entry_remove(s, s->entries[s->n - 1]);
	free(s->entries);
	for (size_t i = 0; i < s->ndestinations; i++)
		destination_record_release(&s->destinations[i]);
	free(s->destinations);
	for (size_t i = 0; i < s->nrecords; i++)
		store_record_release(&s->records[i]);
	free(s->records);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static const struct store_ops mem_ops = {
	.name = "mem",
	.close = mem_close,
	.apply = mem_apply,
	.new_id = mem_new_id,
	.load = mem_load,
	.read_body = mem_read_body,
	.due = mem_due,
	.next_due = mem_next_due,
	.lanes = mem_lanes,
	.scan = mem_scan,
	.scan_settled = mem_scan_settled,
	.members = mem_members,
	.groups = mem_groups,
	.totals = mem_totals,
	.history = mem_history,
	.find = mem_find,
	.destinations = mem_destinations,
	.records = mem_records,
	.verify = mem_verify,
	.balance = mem_balance,
	.fading = mem_fading,
	.space = mem_space,
};

struct store *store_mem_open(void)
{
	struct store_mem *s = xcalloc(1, sizeof(*s));

	s->store.ops = &mem_ops;
	BUG_ON(pthread_mutex_init(&s->lock, NULL) != 0);
	return &s->store;
}

void store_mem_fail_commits(struct store *store, unsigned n)
{
	struct store_mem *s = lock(store);

	s->fail_commits = n;
	unlock(s);
}

void store_mem_set_full(struct store *store, bool full)
{
	struct store_mem *s = lock(store);

	s->full = full;
	unlock(s);
}

void store_mem_damage_body(struct store *store, uint64_t id)
{
	struct store_mem *s = lock(store);
	struct entry *x = find_live(s, id);

	BUG_ON(x == NULL);
	x->damaged = true;
	unlock(s);
}
