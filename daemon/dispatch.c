/* SPDX-License-Identifier: ISC */
/*
 * dispatch - the thread that knows when what is due, and who may connect.
 *
 * Everything reaches it as a note: what the writer made durable, deliveries
 * that come back, questions, a new configuration.  After the notes of a turn
 * the lanes that they touched are advanced, and those whose time has come.
 * Nothing here waits for anybody: reads of the
 * store are short, writes go to the writer.
 */
#include "daemon/dispatch.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"
#include "daemon/mx_query.h"
#include "daemon/outbound.h"
#include "daemon/route.h"
#include "tls/crl_cache.h"

enum {
	TURN_MAX_MS = 1000,
	/* A lane is looked at so often even if it does not ask for it: what it
	 * waits for is a time of day, and clocks are set. */
	REST_MAX_MS = 10 * 1000,
};

void dispatch_wake_at(struct dispatch *d, int64_t mono_ms)
{
	if (mono_ms < d->wake_mono_ms)
		d->wake_mono_ms = mono_ms;
}

void dispatch_touch(struct dispatch *d, struct lane *l)
{
	agenda_hurry(&d->agenda, l, 0);
}

void dispatch_touch_all(struct dispatch *d)
{
	struct lane *l;

	for (l = d->lanes; l; l = l->hh.next)
		dispatch_touch(d, l);
}

struct lane *dispatch_lane(struct dispatch *d, const char *name)
{
	struct lane *l;

	HASH_FIND_STR(d->lanes, name, l);
	if (!l) {
		l = lane_new(name);
		lane_set_route(
			l, lane_route(d->snapshot->conf, l->name, &l->domain));
		memory_apply(d, l);
		HASH_ADD_KEYPTR(hh, d->lanes, l->name, strlen(l->name), l);
		dispatch_touch(d, l);
	}
	return l;
}

/* ------- recipients in hand */

struct active *dispatch_active(struct dispatch *d, uint64_t id, uint32_t number)
{
	const struct active_key key = {.id = id, .number = number};
	struct active *a;

	HASH_FIND(hh, d->actives, &key, sizeof(key), a);
	return a;
}

void dispatch_activate(struct dispatch *d, struct lane *l, uint64_t id,
		       uint32_t number)
{
	struct active *a = xcalloc(1, sizeof(*a));

	a->key.id = id;
	a->key.number = number;
	a->lane = l;
	HASH_ADD(hh, d->actives, key, sizeof(a->key), a);
}

void dispatch_release(struct dispatch *d, uint64_t id, uint32_t number)
{
	struct active *a = dispatch_active(d, id, number);

	if (!a)
		return;
	/* The lane of others may be gone. */
	if (a->place == ACTIVE_BLOCKED) {
		a->lane->nblocked--;
		dispatch_touch(d, a->lane);
	}
	HASH_DEL(d->actives, a);
	free(a);
}

/* ------- what the writer made durable */

struct durable {
	struct note note;
	struct dispatch *dispatch;
	size_t nsettled;
	struct active_key *settled; /* their outcome is durable, or moot */
	size_t nnews;
	struct news *news;
};

static bool is_outcome(const struct store_op *op)
{
	if (op->verb != STORE_CHANGE || op->status == ST_TEMP)
		return false;
	for (size_t i = 0; i < op->nchanges; i++)
		switch (op->changes[i].kind) {
		case CHANGE_DELIVERED:
		case CHANGE_DEFERRED:
		case CHANGE_FAILED:
		case CHANGE_EXPIRED:
		case CHANGE_MOVE:
			return true;
		case CHANGE_HOLD:
		case CHANGE_RELEASE:
		case CHANGE_RESUBMIT:
		case CHANGE_REMOVE:
		case CHANGE_EXTEND:
		case CHANGE_TOLD:
		case CHANGE_DISCARD:
		case CHANGE_KINDS:
			break;
		}
	return false;
}

/* An operator's change of mail that is in hand does not end its being in
 * hand: the attempt's own outcome does. */
static void take_settled(struct durable *b, const struct store_op *op)
{
	if (!is_outcome(op))
		return;
	b->settled = xrealloc(b->settled, b->nsettled + op->nchanges,
			      sizeof(*b->settled));
	for (size_t i = 0; i < op->nchanges; i++)
		b->settled[b->nsettled++] = (struct active_key){
			.id = op->id,
			.number = op->changes[i].number,
		};
}

static void take_news(struct durable *b, const struct store_op *op)
{
	for (size_t i = 0; i < op->nnews; i++) {
		if (!op->news[i].due)
			continue;
		b->news = xrealloc(b->news, b->nnews + 1, sizeof(*b->news));
		b->news[b->nnews] = op->news[i];
		b->news[b->nnews++].lane = xstrdup(op->news[i].lane);
	}
}

static void see_news(struct dispatch *d, const struct news *n)
{
	struct lane *l = dispatch_lane(d, n->lane);
	int64_t now = clock_wall_ms();

	dispatch_touch(d, l);
	if (n->wait == WAIT_DESTINATION) {
		l->more_waiting = true;
		l->waiting_seen = true;
	} else if (n->due_ms > now) {
		if (n->due_ms < l->next_due_wall_ms)
			l->next_due_wall_ms = n->due_ms;
	} else if (l->nready >= LANE_READY_MAX) {
		l->more_due = true;
	} else if (!dispatch_active(d, n->id, n->number)) {
		struct job *last =
			l->ready ? CONTAINER_OF(l->ready_end, struct job, next)
				 : NULL;

		dispatch_activate(d, l, n->id, n->number);
		if (last && last->id == n->id && last->n < JOB_RECIPIENTS_MAX) {
			last->numbers = xrealloc(last->numbers, last->n + 1,
						 sizeof(*last->numbers));
			last->numbers[last->n++] = n->number;
			return;
		}
		struct job *j = xcalloc(1, sizeof(*j));
		j->id = n->id;
		j->n = 1;
		j->numbers = xcalloc(1, sizeof(*j->numbers));
		j->numbers[0] = n->number;
		lane_add_ready(l, j);
	}
}

static void on_durable(struct note *note)
{
	struct durable *b = CONTAINER_OF(note, struct durable, note);
	struct dispatch *d = b->dispatch;

	for (size_t i = 0; i < b->nsettled; i++)
		dispatch_release(d, b->settled[i].id, b->settled[i].number);
	for (size_t i = 0; i < b->nnews; i++) {
		see_news(d, &b->news[i]);
		free(b->news[i].lane);
	}
	free(b->settled);
	free(b->news);
	free(b);
}

/* In the writer's thread. */
void dispatch_committed(void *arg, const struct store_op *const *ops, size_t n)
{
	struct relay *relay = arg;
	struct durable *b = xcalloc(1, sizeof(*b));

	for (size_t i = 0; i < n; i++) {
		take_settled(b, ops[i]);
		if (ops[i]->status == ST_OK)
			take_news(b, ops[i]);
	}
	if (b->nsettled == 0 && b->nnews == 0) {
		free(b);
		return;
	}
	b->dispatch = relay->dispatch;
	b->note.run = on_durable;
	mailbox_post(relay->dispatch->mail, &b->note);
}

/* ------- deliveries come back */

static void on_returned(struct note *note)
{
	struct delivery *delivery = CONTAINER_OF(note, struct delivery, note);

	/* Not by way of the worker: it may have ended meanwhile. */
	lane_returned(delivery->dispatch, delivery);
}

void dispatch_throw(struct dispatch *d, struct delivery *delivery)
{
	delivery->note.run = on_returned;
	mailbox_post(d->mail, &delivery->note);
}

/* ------- questions */

bool dispatch_asked_for(const struct dispatch_question *q, const char *name)
{
	return !q->pattern || strcmp(q->pattern, name) == 0 ||
	       fnmatch(q->pattern, name, 0) == 0;
}

static void obey(struct dispatch *d, struct dispatch_question *q,
		 struct lane *l, struct destination *dest)
{
	switch (q->order) {
	case ORDER_VIEW:
	case ORDER_CHECK:
		return;
	case ORDER_RESUBMIT_BEGINS:
		/* What comes now may be very much more than before. */
		ramp_start(&dest->ramp);
		return;
	case ORDER_PROBE:
		if (dest->state != DESTINATION_FAILING)
			return;
		dest->next_probe_mono_ms = clock_mono_ms();
		dest->probe_asked = true;
		return;
	case ORDER_SUSPEND:
		dispatch_suspend(d, l, dest, q);
		q->nchanged++;
		return;
	case ORDER_RESUME:
		q->nchanged += dest->state == DESTINATION_SUSPENDED;
		dispatch_resume(d, l, dest, q->actor);
		return;
	case ORDER_FORGET:
	case ORDER_RESUBMIT_ENDS:
		if (dest->state == DESTINATION_FAILING) {
			destination_forget(dest, clock_wall_ms());
			dispatch_remember(d, dest);
		}
		dest->pause_until_mono_ms = 0;
		l->more_due = true;
		l->more_waiting = true;
		return;
	}
}

static void view_actives(struct dispatch *d, struct dispatch_question *q)
{
	struct active *a;

	q->active = xcalloc(HASH_COUNT(d->actives) + 1, sizeof(*q->active));
	for (a = d->actives; a; a = a->hh.next)
		if (a->place == ACTIVE_GIVEN)
			q->active[q->nactive++] = (struct due){
				.id = a->key.id,
				.number = a->key.number,
			};
}

static int by_id(const void *x, const void *y)
{
	const struct due *a = x, *b = y;

	if (a->id != b->id)
		return a->id < b->id ? -1 : 1;
	return a->number < b->number ? -1 : a->number > b->number;
}

static void on_asked(struct note *note)
{
	struct dispatch_question *q =
		CONTAINER_OF(note, struct dispatch_question, ask);
	struct dispatch *d = q->dispatch;
	int64_t mono_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
	struct lane *l;

	for (l = d->lanes; l; l = l->hh.next)
		for (size_t i = 0; i < l->ndestinations; i++) {
			struct destination *dest = l->destinations[i];

			if (!dispatch_asked_for(q, dest->name))
				continue;
			obey(d, q, l, dest);
			if (dest->state == DESTINATION_SUSPENDED)
				memory_shown(d, dest->name);
			q->views = xrealloc(q->views, q->nviews + 1,
					    sizeof(*q->views));
			destination_view(dest, mono_ms, wall_ms,
					 &q->views[q->nviews]);
			pace_show(d, dest, &q->views[q->nviews]);
			q->views[q->nviews++].lane = xstrdup(l->name);
		}
	memory_asked(d, q);
	if (q->order == ORDER_FORGET || q->order == ORDER_RESUBMIT_ENDS)
		dispatch_forget_dns(d);
	if (q->order == ORDER_FORGET || q->order == ORDER_RESUBMIT_ENDS)
		crl_cache_forget(d->relay->crls);
	if (q->order == ORDER_FORGET || q->order == ORDER_RESUBMIT_ENDS)
		paces_resume(d);
	d->resubmits += q->order == ORDER_RESUBMIT_BEGINS;
	d->resubmits -= q->order == ORDER_RESUBMIT_ENDS;
	sentinel_asked(d, q);
	q->fading = d->fading.view;
	if (q->order != ORDER_VIEW && q->order != ORDER_RESUBMIT_BEGINS)
		dispatch_touch_all(d);
	view_actives(d, q);
	qsort(q->active, q->nactive, sizeof(*q->active), by_id);
	mailbox_post(q->reply_to, &q->done);
}

void dispatch_ask(struct dispatch *d, struct dispatch_question *q)
{
	q->views = NULL;
	q->nviews = 0;
	q->nchanged = 0;
	q->active = NULL;
	q->nactive = 0;
	q->dispatch = d;
	q->ask.run = on_asked;
	mailbox_post(d->mail, &q->ask);
}

void dispatch_question_release(struct dispatch_question *q)
{
	for (size_t i = 0; i < q->nviews; i++) {
		free(q->views[i].name);
		free(q->views[i].lane);
		free(q->views[i].reply);
		free(q->views[i].reason);
		free(q->views[i].crl);
	}
	free(q->views);
	free(q->active);
	q->views = NULL;
	q->nviews = 0;
	q->active = NULL;
	q->nactive = 0;
}

/* ------- configuration */

/* Deliveries that are away keep their old snapshot: what they report of a
 * destination is no longer of interest, their connections are not counted
 * any more, and when they come back they quit. */
static void take_snapshot(struct dispatch *d, struct snapshot *snapshot)
{
	struct snapshot *old = d->snapshot;
	struct lane *l;

	d->snapshot = snapshot_ref(snapshot);
	for (l = d->lanes; l; l = l->hh.next) {
		lane_unpark(l);
		lane_set_route(l,
			       lane_route(snapshot->conf, l->name, &l->domain));
		memory_apply(d, l);
		for (size_t i = 0; i < l->ndestinations; i++) {
			l->destinations[i]->connections = 0;
			l->destinations[i]->in_flight = 0;
			l->destinations[i]->probing = false;
			/* What the new configuration trusts may be more. */
			if (l->destinations[i]->state == DESTINATION_FAILING)
				l->destinations[i]->next_probe_mono_ms =
					clock_mono_ms();
		}
	}
	for (size_t i = 0; i < snapshot->conf->nroutes; i++)
		if (!snapshot->conf->routes[i].mx)
			(void)dispatch_lane(d, snapshot->conf->routes[i].name);
	dispatch_touch_all(d);
	d->routes_changed = true;
	d->route_cursor = 0;
	snapshot_unref(old);
}

struct publication {
	struct note note;
	struct dispatch *dispatch;
	struct snapshot *snapshot;
};

static void on_published(struct note *note)
{
	struct publication *p = CONTAINER_OF(note, struct publication, note);

	take_snapshot(p->dispatch, p->snapshot);
	snapshot_unref(p->snapshot);
	free(p);
}

void dispatch_publish(struct dispatch *d, struct snapshot *snapshot)
{
	struct publication *p = xcalloc(1, sizeof(*p));

	p->dispatch = d;
	p->snapshot = snapshot_ref(snapshot);
	p->note.run = on_published;
	mailbox_post(d->mail, &p->note);
}

/* ------- the thread */

static bool is_over(const struct dispatch *d)
{
	return d->ending && d->deliveries == 0;
}

/* There is a lane for each domain that MX decides on; those without mail go,
 * or there would be one for each domain ever written to. */
static void forget_lane(struct dispatch *d, struct lane *l)
{
	for (size_t i = 0; i < l->ndestinations; i++) {
		struct destination *dest = l->destinations[i];

		if (dest->state != DESTINATION_FAILING)
			continue;
		destination_forget(dest, clock_wall_ms());
		dispatch_remember(d, dest);
	}
	agenda_remove(&d->agenda, l);
	HASH_DEL(d->lanes, l);
	lane_free(l);
}

static void advance(struct dispatch *d, struct lane *l, int64_t now)
{
	int64_t wake_mono_ms = d->wake_mono_ms;

	d->wake_mono_ms = now + REST_MAX_MS;
	lane_advance(d, l);
	/* Not in this turn again. */
	agenda_put(&d->agenda, l,
		   d->wake_mono_ms > now ? d->wake_mono_ms : now + 1);
	d->wake_mono_ms = wake_mono_ms;
	if (l->domain && lane_is_idle(l))
		forget_lane(d, l);
}

static void advance_lanes(struct dispatch *d)
{
	int64_t now = clock_mono_ms();
	struct lane *l;

	while ((l = agenda_first(&d->agenda)) && l->look_mono_ms <= now)
		advance(d, l, now);
}

/* Somebody set the clock.  What is due at its time of day is looked for anew,
 * and what was put off by a clock that was ahead is due now. */
static void look_at_clock(struct dispatch *d)
{
	int64_t jump_ms =
		drift_look(&d->drift, clock_mono_ms(), clock_wall_ms());
	struct lane *l;

	if (jump_ms == 0)
		return;
	atomic_store(&d->relay->skipped_ms, d->drift.skipped_ms);
	log_fact(LOG_WARN, 0, "clock-jumped", F_INT("by_s", jump_ms / 1000),
		 F_INT("skipped_s", d->drift.skipped_ms / 1000));
	for (l = d->lanes; l; l = l->hh.next) {
		l->more_due = true;
		l->more_far = true;
	}
	dispatch_touch_all(d);
}

static void turn(struct dispatch *d)
{
	struct lane *l;

	if (d->stopping)
		return;
	look_at_clock(d);
	advance_lanes(d);
	memory_turn(d);
	exceptions_turn(d);
	upkeep_turn(d);
	fading_turn(d);
	sentinel_turn(d);
	/* The others may have touched lanes. */
	l = agenda_first(&d->agenda);
	if (l)
		dispatch_wake_at(d, l->look_mono_ms);
}

static void dispatch_main(void *arg)
{
	struct dispatch *d = arg;

	while (!is_over(d)) {
		int64_t now = clock_mono_ms();

		atomic_store(&d->turned_mono_ms, now);
		d->wake_mono_ms = now + TURN_MAX_MS;
		turn(d);
		int64_t pause = d->wake_mono_ms - clock_mono_ms();
		mailbox_wait(d->mail, pause > 0 ? pause : 0);
	}
}

int64_t dispatch_silent_ms(const struct dispatch *d)
{
	return clock_mono_ms() - atomic_load(&d->turned_mono_ms);
}

/* Lanes on the disk that no route of today bears the name of. */
static void find_lanes(struct dispatch *d)
{
	struct store *store = d->relay->store;
	struct err e;
	char **names;

	if (store->ops->lanes(store, &names, &e) != ST_OK) {
		log_text(LOG_ERROR, "lanes-unread", "%s", e.text);
		return;
	}
	for (char **name = names; *name; name++) {
		(void)dispatch_lane(d, *name);
		free(*name);
	}
	free(names);
}

enum status dispatch_open(struct dispatch **out, struct relay *relay,
			  struct snapshot *snapshot, struct err *e)
{
	struct dispatch *d = xcalloc(1, sizeof(*d));
	enum status st;

	d->relay = relay;
	st = mailbox_open(&d->mail, e);
	if (st != ST_OK) {
		free(d);
		return st;
	}
	take_snapshot(d, snapshot);
	find_lanes(d);
	memory_open(d);
	exceptions_open(d);
	upkeep_start(d);
	atomic_store(&d->turned_mono_ms, clock_mono_ms());
	*out = d;
	return ST_OK;
}

enum status dispatch_start(struct dispatch *d, struct err *e)
{
	return thread_start(&d->thread, "dispatch", dispatch_main, d, e);
}

struct stop_order {
	struct note ask, done;
	struct dispatch *dispatch;
	struct mailbox *reply_to;
	bool obeyed;
};

static void on_stopped(struct note *note)
{
	CONTAINER_OF(note, struct stop_order, done)->obeyed = true;
}

static void on_stop(struct note *note)
{
	struct stop_order *s = CONTAINER_OF(note, struct stop_order, ask);
	struct dispatch *d = s->dispatch;
	struct lane *l;

	d->stopping = true;
	for (l = d->lanes; l; l = l->hh.next)
		lane_unpark(l);
	mailbox_post(s->reply_to, &s->done);
}

void dispatch_stop(struct dispatch *d)
{
	struct stop_order s = {.dispatch = d};
	struct err e;

	if (mailbox_open(&s.reply_to, &e) != ST_OK) {
		/* No descriptor left: stop hard rather than never. */
		log_text(LOG_ERROR, "stop-failed", "%s", e.text);
		_exit(1);
	}
	s.ask.run = on_stop;
	s.done.run = on_stopped;
	mailbox_post(d->mail, &s.ask);
	while (!s.obeyed)
		mailbox_wait(s.reply_to, -1);
	mailbox_close(s.reply_to);
}

static void on_end(struct note *note)
{
	CONTAINER_OF(note, struct dispatch, end)->ending = true;
}

void dispatch_join(struct dispatch *d)
{
	d->end.run = on_end;
	mailbox_post(d->mail, &d->end);
	thread_join(d->thread);
	d->thread = NULL;
}

void dispatch_close(struct dispatch *d)
{
	struct lane *l, *next_lane;
	struct active *a, *next_active;

	if (!d)
		return;
	while (mailbox_run(d->mail) > 0)
		;
	upkeep_stop(d);
	exceptions_close(d);
	HASH_ITER(hh, d->actives, a, next_active) {
		HASH_DEL(d->actives, a);
		free(a);
	}
	while (d->queries) {
		struct mx_query *q = d->queries;

		d->queries = q->next;
		mx_query_free(q);
	}
	HASH_ITER(hh, d->lanes, l, next_lane) {
		HASH_DEL(d->lanes, l);
		lane_free(l);
	}
	agenda_release(&d->agenda);
	paces_close(d);
	memory_close(d);
	snapshot_unref(d->snapshot);
	mailbox_close(d->mail);
	free(d);
}
