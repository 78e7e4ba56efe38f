/* SPDX-License-Identifier: ISC */
/*
 * dispatch_upkeep - what has to be done from time to time: expire what is too
 * old, tell senders of delays, forget what was kept long enough, move mail to
 * today's routes.
 *
 * Each works in small portions between other turns, so that a queue of a
 * million messages never holds up the next delivery.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"
#include "daemon/route.h"
#include "daemon/settle.h"

enum {
	PORTION = 256,
	EXPIRY_PAUSE_MIN_MS = 1000,
	EXPIRY_PAUSE_MAX_MS = 60 * 1000,
	TRIM_PAUSE_MS = 60 * 1000,
	TRIM_PORTION = 200,
	EXPIRE_MAX = 1000, /* recipients of a message in one go */
};

/* The time by which the age of mail is judged. */
static int64_t age_now_ms(const struct dispatch *d)
{
	return clock_wall_ms() - d->drift.skipped_ms;
}

/* ------- expiry */

static int64_t lifetime_of(const struct dispatch *d, const struct recipient *r)
{
	const struct conf *conf = d->snapshot->conf;
	const struct conf_route *route = route_for(conf, r->address);

	return route ? route->lifetime_ms : conf->queue.lifetime_ms;
}

static bool is_expired(const struct dispatch *d, const struct recipient *r,
		       int64_t now_ms)
{
	return recipient_expires_ms(r, lifetime_of(d, r),
				    d->snapshot->conf->queue.hold_clock_ms,
				    now_ms) <= now_ms;
}

/* Does it wait, and is nobody at work on it? */
static bool is_idle(struct dispatch *d, const struct message *m,
		    const struct recipient *r)
{
	return (r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED) &&
	       !dispatch_active(d, m->id, r->number);
}

/* All that has expired of a message at once: its sender is told once. */
static void expire_message(struct dispatch *d, const struct message *m)
{
	const struct attempt attempt = {.queue = &d->snapshot->conf->queue};
	int64_t now_ms = age_now_ms(d);
	struct settlement *s = settlement_new(d->relay, m->id, &attempt);
	size_t n = 0;

	for (size_t i = 0; i < m->nrecipients && n < EXPIRE_MAX; i++) {
		const struct recipient *r = &m->recipients[i];

		if (!is_idle(d, m, r) || !is_expired(d, r, now_ms))
			continue;
		dispatch_activate(d, dispatch_lane(d, r->lane), m->id,
				  r->number);
		settlement_expired(s, r);
		n++;
	}
	if (n > 0)
		FAULT(EXPIRE_SUBMITTED);
	settlement_submit(s);
}

/* False when the message arrived after young_ms. */
static bool expire_member(struct dispatch *d, const struct due *due,
			  int64_t young_ms)
{
	struct store *store = d->relay->store;
	struct message *m;
	struct err e;

	/* In hand, or expired a moment ago with its neighbours. */
	if (dispatch_active(d, due->id, due->number) ||
	    store->ops->load(store, due->id, &m, &e) != ST_OK)
		return true;
	bool old = m->received_ms <= young_ms;
	if (old)
		expire_message(d, m);
	message_free(m);
	return old;
}

/* The shortest lifetime there is: nothing younger can have expired. */
static int64_t shortest_lifetime(const struct dispatch *d)
{
	const struct conf *conf = d->snapshot->conf;
	int64_t shortest = conf->queue.lifetime_ms;

	for (size_t i = 0; i < conf->nroutes; i++)
		if (conf->routes[i].lifetime_ms < shortest)
			shortest = conf->routes[i].lifetime_ms;
	return shortest;
}

/* Members come oldest first; the walk ends at the first that is too young
 * even for the shortest lifetime. */
static void expire_group(struct dispatch *d, const struct group *g)
{
	struct store *store = d->relay->store;
	int64_t young_ms = age_now_ms(d) - shortest_lifetime(d);
	struct due list[PORTION], after;
	const struct due *from = NULL;
	struct err e;
	size_t n;

	do {
		if (store->ops->members(store, g->state, g->cause,
					g->destination, from, list, PORTION, &n,
					&e) != ST_OK)
			return;
		for (size_t i = 0; i < n; i++)
			if (!expire_member(d, &list[i], young_ms))
				return;
		if (n > 0) {
			after = list[n - 1];
			from = &after;
		}
	} while (n == PORTION);
}

static void expire_all(struct dispatch *d)
{
	struct store *store = d->relay->store;
	int64_t young_ms = age_now_ms(d) - shortest_lifetime(d);
	struct group *groups;
	struct err e;
	size_t n;

	if (store->ops->groups(store, &groups, &n, &e) != ST_OK) {
		log_text(LOG_ERROR, "groups-unread", "%s", e.text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		bool waits = groups[i].state == RCPT_QUEUED ||
			     groups[i].state == RCPT_DEFERRED;

		if (waits && groups[i].oldest_ms <= young_ms)
			expire_group(d, &groups[i]);
		free(groups[i].destination);
	}
	free(groups);
}

/* ------- delays */

/* Messages pass the age at which their senders are told in the order in which
 * they came.  So for each such age there is a walk along the queue which is
 * never repeated: what is in hand when it passes is looked at when it is
 * deferred (daemon/settle.c). */
struct warn_walk {
	int64_t after_ms;
	uint64_t cursor; /* the last id that was old enough */
};

static void add_walk(struct dispatch *d, int64_t after_ms)
{
	if (after_ms == 0)
		return;
	for (size_t i = 0; i < d->nwarn_walks; i++)
		if (d->warn_walks[i].after_ms == after_ms)
			return;
	d->warn_walks = xrealloc(d->warn_walks, d->nwarn_walks + 1,
				 sizeof(*d->warn_walks));
	d->warn_walks[d->nwarn_walks++] =
		(struct warn_walk){.after_ms = after_ms};
}

static void plan_walks(struct dispatch *d)
{
	const struct conf *conf = d->snapshot->conf;

	snapshot_unref(d->warn_snapshot);
	d->warn_snapshot = snapshot_ref(d->snapshot);
	d->nwarn_walks = 0;
	add_walk(d, conf->queue.warn_after_ms);
	for (size_t i = 0; i < conf->nroutes; i++)
		add_walk(d, conf->routes[i].warn_after_ms);
}

/* A page of a walk. */
struct late {
	struct dispatch *dispatch;
	int64_t old_ms; /* what came before is old enough */
	uint64_t seen; /* the last id of these */
	uint64_t ids[PORTION]; /* with something to tell */
	size_t n;
	bool over; /* what follows is too young */
};

static bool see_late(void *arg, const struct message *m)
{
	struct late *late = arg;

	if (m->received_ms > late->old_ms) {
		late->over = true;
		return false;
	}
	late->seen = m->id;
	for (size_t i = 0; i < m->nrecipients; i++) {
		if (!is_idle(late->dispatch, m, &m->recipients[i]) ||
		    m->recipients[i].warned)
			continue;
		late->ids[late->n++] = m->id;
		break;
	}
	return late->n < PORTION;
}

static void warn_message(struct dispatch *d, uint64_t id)
{
	const struct attempt attempt = {.queue = &d->snapshot->conf->queue};
	struct store *store = d->relay->store;
	struct message *m;
	struct err e;

	if (store->ops->load(store, id, &m, &e) != ST_OK)
		return;
	struct settlement *s = settlement_new(d->relay, id, &attempt);
	for (size_t i = 0; i < m->nrecipients; i++)
		if (is_idle(d, m, &m->recipients[i]))
			settlement_warned(s, &m->recipients[i]);
	settlement_submit(s);
	message_free(m);
}

/* False: there may be more. */
static bool walk_late(struct dispatch *d, struct warn_walk *walk)
{
	struct store *store = d->relay->store;
	struct late late = {
		.dispatch = d,
		.old_ms = age_now_ms(d) - walk->after_ms,
		.seen = walk->cursor,
	};
	uint64_t cursor = walk->cursor;
	bool more = false;
	struct err e;

	if (store->ops->scan(store, &cursor, PORTION, &more, see_late, &late,
			     &e) != ST_OK) {
		log_text(LOG_ERROR, "queue-unread", "%s", e.text);
		return true;
	}
	walk->cursor = late.seen;
	for (size_t i = 0; i < late.n; i++)
		warn_message(d, late.ids[i]);
	return late.over || !more;
}

static bool warn_all(struct dispatch *d)
{
	bool done = true;

	if (d->warn_snapshot != d->snapshot)
		plan_walks(d);
	for (size_t i = 0; i < d->nwarn_walks; i++)
		if (!walk_late(d, &d->warn_walks[i]))
			done = false;
	return done;
}

/* ------- trimming */

struct trim {
	struct write write;
	struct dispatch *dispatch;
};

static void on_trimmed(struct note *note)
{
	struct trim *t = CONTAINER_OF(note, struct trim, write.done);
	struct dispatch *d = t->dispatch;

	d->upkeep_busy = false;
	d->next_trim_mono_ms = clock_mono_ms();
	if (t->write.op.done < TRIM_PORTION)
		d->next_trim_mono_ms += TRIM_PAUSE_MS;
	store_op_release(&t->write.op);
	free(t);
}

static void trim(struct dispatch *d)
{
	const struct conf_queue *queue = &d->snapshot->conf->queue;
	int64_t now_ms = age_now_ms(d);
	struct trim *t = xcalloc(1, sizeof(*t));

	paces_trim(d);
	t->dispatch = d;
	t->write.op = (struct store_op){
		.verb = STORE_TRIM,
		.expired_before_ms = now_ms - queue->keep_expired_ms,
		.delivered_before_ms = now_ms - queue->keep_delivered_ms,
		.trace_before_ms = now_ms - queue->keep_trace_ms,
		.limit = TRIM_PORTION,
	};
	t->write.reply_to = d->mail;
	t->write.done.run = on_trimmed;
	d->upkeep_busy = true;
	writer_submit(d->relay->writer, &t->write);
}

/* ------- moving to today's routes */

/* In a read transaction: only looks, and hands changes to the writer. */
static bool see_message(void *arg, const struct message *m)
{
	struct dispatch *d = arg;
	const struct attempt attempt = {.queue = &d->snapshot->conf->queue};
	struct settlement *s = NULL;

	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];
		bool waits =
			r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED;
		const struct conf_route *route =
			route_for(d->snapshot->conf, r->address);

		/* What is in hand is looked at when its turn comes. */
		if (!waits || !route || dispatch_active(d, m->id, r->number))
			continue;
		struct place place;
		place_init(&place, route, r->address);
		if (strcmp(place.lane, r->lane) != 0) {
			if (!s)
				s = settlement_new(d->relay, m->id, &attempt);
			dispatch_activate(d, dispatch_lane(d, r->lane), m->id,
					  r->number);
			settlement_moved(s, r, place.lane, place.destination);
		}
		place_release(&place);
	}
	if (s)
		settlement_submit(s);
	return true;
}

static void sweep_routes(struct dispatch *d)
{
	struct store *store = d->relay->store;
	bool more = false;
	struct err e;

	if (store->ops->scan(store, &d->route_cursor, PORTION, &more,
			     see_message, d, &e) != ST_OK) {
		log_text(LOG_ERROR, "queue-unread", "%s", e.text);
		more = false;
	}
	d->routes_changed = more;
	if (more)
		dispatch_wake_at(d, clock_mono_ms());
}

/* ------- */

static int64_t expiry_pause_ms(const struct dispatch *d)
{
	int64_t pause = shortest_lifetime(d) / 10;

	for (size_t i = 0; i < d->nwarn_walks; i++)
		if (d->warn_walks[i].after_ms / 10 < pause)
			pause = d->warn_walks[i].after_ms / 10;
	if (pause < EXPIRY_PAUSE_MIN_MS)
		return EXPIRY_PAUSE_MIN_MS;
	return pause > EXPIRY_PAUSE_MAX_MS ? EXPIRY_PAUSE_MAX_MS : pause;
}

void upkeep_start(struct dispatch *d)
{
	/* At a start the configuration may be another one than yesterday's. */
	d->routes_changed = true;
	d->next_expiry_mono_ms = clock_mono_ms();
	d->next_trim_mono_ms = clock_mono_ms();
}

void upkeep_turn(struct dispatch *d)
{
	int64_t now = clock_mono_ms();

	if (d->routes_changed)
		sweep_routes(d);
	if (now >= d->next_expiry_mono_ms) {
		expire_all(d);
		d->next_expiry_mono_ms = now;
		if (warn_all(d))
			d->next_expiry_mono_ms += expiry_pause_ms(d);
	}
	if (now >= d->next_trim_mono_ms && !d->upkeep_busy)
		trim(d);
	dispatch_wake_at(d, d->next_expiry_mono_ms);
}

void upkeep_stop(struct dispatch *d)
{
	snapshot_unref(d->warn_snapshot);
	free(d->warn_walks);
}
