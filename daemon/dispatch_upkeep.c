/* SPDX-License-Identifier: ISC */
/*
 * dispatch_upkeep - what has to be done from time to time: expire what is too
 * old, forget what was kept long enough, move mail to today's routes.
 *
 * Each works in small portions between other turns, so that a queue of a
 * million messages never holds up the next delivery.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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
};

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

static void expire_recipient(struct dispatch *d, const struct message *m,
			     const struct recipient *r)
{
	const struct attempt attempt = {
		.queue = &d->snapshot->conf->queue,
		.route = route_for(d->snapshot->conf, r->address),
		.destination = r->destination,
	};
	struct settlement *s = settlement_new(d->relay, m->id, &attempt);

	dispatch_activate(d, dispatch_lane(d, r->lane), m->id, r->number);
	settlement_expired(s, r);
	settlement_submit(s);
}

/* False when the message arrived after young_ms. */
static bool expire_member(struct dispatch *d, const struct due *due,
			  int64_t young_ms)
{
	struct store *store = d->relay->store;
	int64_t now_ms = clock_wall_ms();
	struct message *m;
	struct err e;

	if (dispatch_active(d, due->id, due->number) ||
	    store->ops->load(store, due->id, &m, &e) != ST_OK)
		return true;
	bool old = m->received_ms <= young_ms;
	for (size_t i = 0; old && i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		if (r->number == due->number && is_expired(d, r, now_ms))
			expire_recipient(d, m, r);
	}
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
	int64_t young_ms = clock_wall_ms() - shortest_lifetime(d);
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
	int64_t young_ms = clock_wall_ms() - shortest_lifetime(d);
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
	int64_t now_ms = clock_wall_ms();
	struct trim *t = xcalloc(1, sizeof(*t));

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
		if (!waits || !route ||
		    strcmp(lane_name(route), r->lane) == 0 ||
		    dispatch_active(d, m->id, r->number))
			continue;
		if (!s)
			s = settlement_new(d->relay, m->id, &attempt);
		char *name = destination_name(route, &route->hosts[0]);
		dispatch_activate(d, dispatch_lane(d, r->lane), m->id,
				  r->number);
		settlement_moved(s, r, lane_name(route), name);
		free(name);
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
		d->next_expiry_mono_ms = now + expiry_pause_ms(d);
	}
	if (now >= d->next_trim_mono_ms && !d->upkeep_busy)
		trim(d);
	dispatch_wake_at(d, d->next_expiry_mono_ms);
}
