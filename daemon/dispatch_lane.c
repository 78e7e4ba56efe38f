/* SPDX-License-Identifier: ISC */
/*
 * dispatch_lane - moves a lane on: reads ahead from the schedule, gives jobs
 * to deliveries, probes what fails, and defers what has nowhere to go.
 *
 * While a destination of the lane is up its mail goes there.  While none is,
 * mail that becomes due is deferred with the destination's cause, at the
 * store's pace and a bounded number at a time, so that listings tell why
 * every single message waits and a hundred thousand of them delay nobody
 * else.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"
#include "daemon/outbound.h"
#include "daemon/route.h"
#include "daemon/settle.h"

enum {
	BLOCKED_MAX = 256, /* recipients being deferred at once */
	PARK_MS = 2000,
	STORE_PAUSE_MS = 1000, /* after a failed read */
	CLOCK_TOLERANCE_MS = 10 * 60 * 1000,
};

/* ------- reading ahead */

static void add_recipient(struct dispatch *d, struct lane *l, struct job **last,
			  const struct due *due)
{
	struct job *j = *last;

	dispatch_activate(d, l, due->id, due->number);
	if (!j || j->id != due->id || j->n >= JOB_RECIPIENTS_MAX) {
		j = xcalloc(1, sizeof(*j));
		j->id = due->id;
		lane_add_ready(l, j);
		*last = j;
	}
	j->numbers = xrealloc(j->numbers, j->n + 1, sizeof(*j->numbers));
	j->numbers[j->n++] = due->number;
}

/* A part of a lane's schedule: what is due after after_ms and not after
 * until_ms. */
struct part {
	enum rcpt_wait wait;
	int64_t after_ms, until_ms;
};

/* Puts what is in it and not in hand into the ready list.  Clears *more when
 * the schedule has no more of it. */
static void read_ahead(struct dispatch *d, struct lane *l,
		       const struct part *part, bool *more)
{
	struct store *store = d->relay->store;
	struct due list[LANE_READ_MAX];
	struct due after = {
		.due_ms = part->after_ms,
		.id = UINT64_MAX,
		.number = UINT32_MAX,
	};
	const struct due *from = part->after_ms == INT64_MIN ? NULL : &after;
	struct job *last = NULL;
	struct err e;
	size_t n, fresh = 0;

	do {
		if (store->ops->due(store, l->name, part->wait, part->until_ms,
				    from, list, LANE_READ_MAX, &n,
				    &e) != ST_OK) {
			log_text(LOG_ERROR, "schedule-unread", "%s", e.text);
			dispatch_wake_at(d, clock_mono_ms() + STORE_PAUSE_MS);
			return;
		}
		for (size_t i = 0; i < n; i++) {
			if (dispatch_active(d, list[i].id, list[i].number))
				continue;
			add_recipient(d, l, &last, &list[i]);
			fresh++;
		}
		if (n > 0) {
			after = list[n - 1];
			from = &after;
		}
	} while (n == LANE_READ_MAX && fresh == 0);
	if (n < LANE_READ_MAX) {
		*more = false;
		if (part->wait == WAIT_DESTINATION && fresh == 0)
			l->waiting_seen = false;
	}
}

/* The first due time that lies in the future. */
static void look_forward(struct dispatch *d, struct lane *l, int64_t now_ms)
{
	struct store *store = d->relay->store;
	const struct due now = {
		.due_ms = now_ms,
		.id = UINT64_MAX,
		.number = UINT32_MAX,
	};
	struct due next;
	struct err e;
	size_t n;

	if (store->ops->due(store, l->name, WAIT_TIME, INT64_MAX, &now, &next,
			    1, &n, &e) != ST_OK ||
	    n == 0)
		l->next_due_wall_ms = INT64_MAX;
	else
		l->next_due_wall_ms = next.due_ms;
}

/* The longest pause that today's configuration can have made, and some more:
 * what is due later was put off by a clock that was ahead, or under another
 * configuration. */
static int64_t longest_pause_ms(const struct dispatch *d, const struct lane *l)
{
	const struct conf_durations *queue = &d->snapshot->conf->queue.retry;
	const struct conf_durations *lists[] = {
		queue,
		l->route ? &l->route->retry : queue,
	};
	int64_t longest_ms = 0;

	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		for (size_t k = 0; k < lists[i]->n; k++)
			if (lists[i]->at_ms[k] > longest_ms)
				longest_ms = lists[i]->at_ms[k];
	return longest_ms + longest_ms / 5 + CLOCK_TOLERANCE_MS;
}

static void refill(struct dispatch *d, struct lane *l, bool with_waiting)
{
	int64_t now_ms = clock_wall_ms();
	const struct part due = {WAIT_TIME, INT64_MIN, now_ms},
			  far = {WAIT_TIME, now_ms + longest_pause_ms(d, l),
				 INT64_MAX},
			  waiting = {WAIT_DESTINATION, INT64_MIN, INT64_MAX};

	if (l->nready > LANE_READY_MAX - LANE_READ_MAX)
		return;
	if (l->more_far)
		read_ahead(d, l, &far, &l->more_far);
	if (l->more_due && l->nready <= LANE_READY_MAX - LANE_READ_MAX) {
		read_ahead(d, l, &due, &l->more_due);
		if (!l->more_due)
			look_forward(d, l, now_ms);
	}
	if (with_waiting && l->more_waiting &&
	    l->nready <= LANE_READY_MAX - LANE_READ_MAX)
		read_ahead(d, l, &waiting, &l->more_waiting);
}

/* ------- deferring what can't go */

static void settle_job(struct settlement *s, const struct message *m,
		       const struct job *j, const struct failure *f)
{
	for (size_t i = 0; i < j->n; i++)
		for (size_t k = 0; k < m->nrecipients; k++)
			if (m->recipients[k].number == j->numbers[i])
				settlement_failed(s, &m->recipients[k], f,
						  false);
}

static void mark(struct dispatch *d, const struct job *j,
		 enum active_place place)
{
	for (size_t i = 0; i < j->n; i++) {
		struct active *a = dispatch_active(d, j->id, j->numbers[i]);

		BUG_ON(!a);
		if (place == ACTIVE_BLOCKED && a->place != ACTIVE_BLOCKED)
			a->lane->nblocked++;
		a->place = place;
	}
}

/* Defers a job with a failure that was met elsewhere (attempt->attempted
 * false), or by this very job's connection. */
static void defer_job(struct dispatch *d, struct job *j,
		      const struct attempt *attempt, const struct failure *f)
{
	struct store *store = d->relay->store;
	struct settlement *s = settlement_new(d->relay, j->id, attempt);
	struct message *m;
	struct err e;

	mark(d, j, ACTIVE_BLOCKED);
	if (store->ops->load(store, j->id, &m, &e) == ST_OK) {
		settle_job(s, m, j, f);
		message_free(m);
	} else {
		const struct facts facts = {
			.kind = e.status == ST_PERM ? FACT_CORRUPT : FACT_SELF,
			.text = e.text,
		};
		struct failure unloaded;

		diagnose(&facts, &unloaded);
		for (size_t i = 0; i < j->n; i++)
			settlement_unloaded(s, j->numbers[i], &unloaded);
	}
	settlement_submit(s);
	job_free(j);
}

static struct attempt no_attempt(const struct dispatch *d, const struct lane *l)
{
	return (struct attempt){
		.queue = &d->snapshot->conf->queue,
		.route = l->route,
		.destination = l->ndestinations ? l->destinations[0]->name : "",
	};
}

static void block(struct dispatch *d, struct lane *l)
{
	const struct attempt attempt = no_attempt(d, l);
	const struct pace *pace = dispatch_pause(d, l);
	struct failure failure;

	/* What an operator resubmits this very moment is not deferred again
	 * before it was tried. */
	if (d->resubmits > 0)
		return;
	destination_failure(l->destinations[0], &failure);
	if (pace) {
		pace_failure(pace, &failure);
		dispatch_wake_at(d, pace->pause_until_mono_ms);
	}
	refill(d, l, false);
	while (l->ready && l->nblocked < BLOCKED_MAX)
		defer_job(d, lane_take_ready(l), &attempt, &failure);
}

/* The domain takes no mail, for good. */
static void refuse(struct dispatch *d, struct lane *l)
{
	struct attempt attempt = no_attempt(d, l);

	/* Nor fails what is resubmitted for a domain that appeared since. */
	if (d->resubmits > 0)
		return;
	attempt.destination = l->name;
	refill(d, l, true);
	while (l->ready && l->nblocked < BLOCKED_MAX)
		defer_job(d, lane_take_ready(l), &attempt, &l->refusal);
}

/* ------- a lane whose route is gone */

static void move_recipient(struct dispatch *d, struct settlement *s,
			   const struct recipient *r)
{
	const struct conf_route *route =
		route_for(d->snapshot->conf, r->address);
	struct failure failure = {
		.status = ST_TEMP,
		.reach = AT_MESSAGE,
		.cause = CAUSE_IS_NO_ROUTE,
		.enhanced = "4.4.4",
		.reply = "no route for the recipient's domain",
	};

	if (!route) {
		settlement_failed(s, r, &failure, false);
		return;
	}
	struct place place;

	place_init(&place, route, r->address);
	settlement_moved(s, r, place.lane, place.destination);
	place_release(&place);
}

static void move_job(struct dispatch *d, struct lane *l, struct job *j)
{
	const struct attempt attempt = no_attempt(d, l);
	struct store *store = d->relay->store;
	struct failure failure = {.status = ST_TEMP};
	struct message *m;
	struct err e;

	if (store->ops->load(store, j->id, &m, &e) != ST_OK) {
		defer_job(d, j, &attempt, &failure);
		return;
	}
	struct settlement *s = settlement_new(d->relay, j->id, &attempt);
	mark(d, j, ACTIVE_BLOCKED);
	for (size_t i = 0; i < j->n; i++)
		for (size_t k = 0; k < m->nrecipients; k++)
			if (m->recipients[k].number == j->numbers[i])
				move_recipient(d, s, &m->recipients[k]);
	settlement_submit(s);
	message_free(m);
	job_free(j);
}

static void empty_out(struct dispatch *d, struct lane *l)
{
	refill(d, l, true);
	while (l->ready && l->nblocked < BLOCKED_MAX)
		move_job(d, l, lane_take_ready(l));
}

/* ------- giving */

static struct delivery *new_delivery(struct dispatch *d, struct lane *l,
				     struct destination *dest)
{
	struct delivery *v = xcalloc(1, sizeof(*v));

	v->worker = d->relay->workers[d->next_worker++ % d->relay->nworkers];
	v->snapshot = snapshot_ref(d->snapshot);
	v->route = dest->route;
	v->exception = exception_ref(dispatch_exception(d, dest));
	v->own_host = dest->host;
	v->own_host.host = xstrdup(dest->host.host);
	v->host = &v->own_host;
	v->destination = xstrdup(dest->name);
	v->lane_name = xstrdup(l->name);
	v->dispatch = d;
	v->lane = l;
	v->pace = pace_enter(d, dest);
	dest->connections++;
	l->deliveries++;
	d->deliveries++;
	return v;
}

static void throw(struct delivery * v)
{
	v->away = true;
	v->connected = false;
	v->failed = false;
	v->succeeded = 0;
	outbound_throw(v);
}

static struct delivery *take_parked(const struct dispatch *d, struct lane *l,
				    const struct destination *dest)
{
	for (struct delivery **at = &l->parked; *at; at = &(*at)->next) {
		struct delivery *v = *at;

		if (strcmp(v->destination, dest->name) != 0 ||
		    v->exception != dispatch_exception(d, dest))
			continue;
		*at = v->next;
		v->next = NULL;
		return v;
	}
	return NULL;
}

void lane_unpark(struct lane *l)
{
	while (l->parked) {
		struct delivery *v = l->parked;

		l->parked = v->next;
		v->next = NULL;
		throw(v);
	}
}

/* How many jobs one throw gets: a fair share of what is ready, so that many
 * connections are busy before one is very busy. */
static unsigned share(const struct lane *l, const struct destination *dest,
		      const struct delivery *v)
{
	unsigned limit = dest->route->max_connections;
	unsigned room = destination_room(dest, clock_mono_ms());
	unsigned left = v->route->max_messages_per_connection - v->messages;
	unsigned n = (unsigned)(l->nready / limit);

	if (n < 1)
		n = 1;
	if (n > GIVE_MAX)
		n = GIVE_MAX;
	if (n > room)
		n = room;
	return n > left ? left : n;
}

static void give_jobs(struct dispatch *d, struct lane *l,
		      struct destination *dest, struct delivery *v)
{
	struct job **end = &v->jobs;
	unsigned n = share(l, dest, v);

	BUG_ON(v->jobs);
	for (v->given = 0; v->given < n && l->ready; v->given++) {
		*end = lane_take_ready(l);
		mark(d, *end, ACTIVE_GIVEN);
		end = &(*end)->next;
	}
	v->messages += v->given;
	dest->in_flight += v->given;
	throw(v);
}

static void give(struct dispatch *d, struct lane *l, struct destination *dest)
{
	while (l->ready) {
		int64_t now = clock_mono_ms();

		if (destination_room(dest, now) == 0) {
			if (dest->pause_until_mono_ms > now)
				dispatch_wake_at(d, dest->pause_until_mono_ms);
			return;
		}
		struct delivery *v = NULL;
		if (dispatch_may(d, dest, PACE_USE))
			v = take_parked(d, l, dest);
		if (!v && (dest->connections >= dest->route->max_connections ||
			   !dispatch_may(d, dest, PACE_OPEN)))
			return;
		if (!v)
			v = new_delivery(d, l, dest);
		give_jobs(d, l, dest, v);
		refill(d, l, true);
	}
}

/* Connections that nobody needed for a while are closed. */
static void close_idle(struct dispatch *d, struct lane *l)
{
	int64_t now = clock_mono_ms();
	struct delivery **at = &l->parked;

	while (*at) {
		struct delivery *v = *at;
		int64_t until = v->idle_since_mono_ms + PARK_MS;

		if (now < until) {
			dispatch_wake_at(d, until);
			at = &v->next;
			continue;
		}
		*at = v->next;
		v->next = NULL;
		throw(v);
	}
}

/* ------- probes */

static int64_t probe_pause_ms(const struct dispatch *d)
{
	return retry_pause_ms(&d->snapshot->conf->queue.probe_ms, 1, 0,
			      random32());
}

static bool mail_waits(struct dispatch *d, struct lane *l)
{
	struct store *store = d->relay->store;
	int64_t first;
	struct err e;

	if (store->ops->next_due(store, l->name, WAIT_DESTINATION, &first,
				 &e) != ST_OK)
		return true;
	return first != INT64_MAX;
}

static void probe(struct dispatch *d, struct lane *l, struct destination *dest)
{
	int64_t now = clock_mono_ms();

	if (dest->probing)
		return;
	if (dest->next_probe_mono_ms == INT64_MAX && l->waiting_seen)
		dest->next_probe_mono_ms = now;
	if (dest->next_probe_mono_ms > now) {
		dispatch_wake_at(d, dest->next_probe_mono_ms);
		return;
	}
	l->waiting_seen = mail_waits(d, l);
	if (!l->waiting_seen && !dest->probe_asked) {
		/* Nobody cares: the first message that does will ask. */
		dest->next_probe_mono_ms = INT64_MAX;
		l->more_waiting = false;
		return;
	}
	dest->probe_asked = false;
	if (lane_is_unknown(l, dest)) {
		/* Asking again is all that can be probed. */
		dest->next_probe_mono_ms = now + probe_pause_ms(d);
		lane_forget_hosts(l);
		dispatch_wake_at(d, now);
		return;
	}
	dest->probing = true;
	struct delivery *v = new_delivery(d, l, dest);
	v->probe = true;
	throw(v);
}

static void look_at_destination(struct dispatch *d, struct lane *l,
				struct destination *dest)
{
	int64_t now_wall_ms = clock_wall_ms();

	if (dest->state == DESTINATION_FAILING)
		probe(d, l, dest);
	if (dest->state == DESTINATION_SUSPENDED && dest->until_wall_ms > 0 &&
	    dest->until_wall_ms <= now_wall_ms)
		dispatch_resume(d, l, dest, NULL);
	else if (dest->state == DESTINATION_SUSPENDED &&
		 dest->until_wall_ms > 0)
		dispatch_wake_at(d, clock_mono_ms() + dest->until_wall_ms -
					    now_wall_ms);
}

void lane_advance(struct dispatch *d, struct lane *l)
{
	int64_t wall_ms = clock_wall_ms();

	if (l->next_due_wall_ms <= wall_ms) {
		l->next_due_wall_ms = INT64_MAX;
		l->more_due = true;
	}
	if (!l->route) {
		empty_out(d, l);
	} else if (l->domain && !lane_know_hosts(d, l)) {
		/* On with the answer. */
	} else if (l->refused) {
		refuse(d, l);
	} else {
		for (size_t i = 0; i < l->ndestinations; i++)
			look_at_destination(d, l, l->destinations[i]);
		struct destination *up = dispatch_up(d, l);
		if (up) {
			refill(d, l, true);
			give(d, l, up);
		} else {
			block(d, l);
		}
	}
	close_idle(d, l);
	if (l->next_due_wall_ms != INT64_MAX)
		dispatch_wake_at(d, clock_mono_ms() +
					    (l->next_due_wall_ms - wall_ms));
}

/* ------- deliveries that come back */

static void log_destination(const struct destination *dest)
{
	bool up = dest->state == DESTINATION_UP;

	log_fact(up ? LOG_INFO : LOG_WARN, 0,
		 up ? "destination-up" : "destination-failing",
		 F_STR("destination", dest->name),
		 F_STR("cause", up ? NULL : cause_word(dest->cause)),
		 F_STR("reply", up ? NULL : dest->reply),
		 F_STR("remedy", up ? NULL : cause_remedy(dest->cause)));
}

static void hear_of_destination(struct dispatch *d, struct lane *l,
				struct destination *dest, struct delivery *v)
{
	int64_t mono_ms = clock_mono_ms(), wall_ms = clock_wall_ms();
	enum cause before = dest->cause;

	dispatch_note_lists(dest, v);
	for (; v->succeeded > 0; v->succeeded--)
		ramp_succeeded(&dest->ramp, dest->route->max_connections);
	if (v->failed && dest->state == DESTINATION_UP &&
	    failure_is_throttle(&v->failure)) {
		dispatch_slow(d, dest, v);
	} else if (v->failed && v->failure.reach == AT_DESTINATION) {
		if (dispatch_awaits_lists(d, dest, v))
			return;
		bool fell = destination_fails(
			dest, &v->failure, probe_pause_ms(d), mono_ms, wall_ms);
		dispatch_probe_for_lists(d, dest, v);
		if (fell || dest->cause != before) {
			log_destination(dest);
			dispatch_remember(d, dest);
		}
		/* What failed is not what holds today. */
		if (v->exception != dispatch_exception(d, dest))
			dest->next_probe_mono_ms = mono_ms;
	} else if (v->connected && destination_recovers(dest, wall_ms)) {
		log_destination(dest);
		dispatch_remember(d, dest);
		l->more_due = true;
		l->more_waiting = true;
	}
}

static void release_job(struct dispatch *d, struct job *j)
{
	for (size_t i = 0; i < j->n; i++)
		dispatch_release(d, j->id, j->numbers[i]);
	job_free(j);
}

/* Jobs that were not done: to another destination if there is one, else they
 * have had their attempt. */
static void take_back(struct dispatch *d, struct lane *l, struct delivery *v)
{
	bool over = v->failed && !v->connected &&
		    (v->failure.reach == AT_SELF || !dispatch_up(d, l));
	const struct attempt attempt = {
		.queue = &d->snapshot->conf->queue,
		.route = l->route,
		.destination = v->destination,
		.address = v->address,
		.certificate = v->certificate,
		.bytes = v->sent_bytes,
		.tls = v->tls,
		.verified = v->verified,
		.transcript = v->transcript,
		.began_mono_ms = v->began_mono_ms,
		.attempted = true,
	};

	while (v->dropped) {
		struct job *j = v->dropped;

		v->dropped = j->next;
		release_job(d, j);
	}
	for (struct job *j = v->returned; j; j = j->next)
		mark(d, j, ACTIVE_READY);
	while (over && v->returned) {
		struct job *j = v->returned;

		v->returned = j->next;
		defer_job(d, j, &attempt, &v->failure);
	}
	lane_return_ready(l, &v->returned);
}

static bool may_park(const struct dispatch *d, const struct destination *dest,
		     const struct delivery *v)
{
	return !d->stopping && dest && dest->state == DESTINATION_UP &&
	       v->exception == dispatch_exception(d, dest) &&
	       v->messages < v->route->max_messages_per_connection;
}

void lane_returned(struct dispatch *d, struct delivery *v)
{
	struct lane *l = v->lane;
	struct destination *dest = NULL;

	v->away = false;
	dispatch_touch(d, l);
	pace_succeeded(v->pace, v->succeeded, v->route->max_connections);
	/* Under an older configuration it has nothing to tell. */
	if (v->snapshot == d->snapshot)
		dest = lane_destination(l, v->destination);
	if (dest) {
		dest->in_flight -= v->given;
		if (v->report == DELIVERY_OVER) {
			dest->connections--;
			if (v->probe)
				dest->probing = false;
		}
		hear_of_destination(d, l, dest, v);
	}
	v->given = 0;
	take_back(d, l, v);
	if (v->report == DELIVERY_OVER) {
		pace_leave(d, v->pace);
		l->deliveries--;
		d->deliveries--;
		delivery_free(v);
		return;
	}
	if (!may_park(d, dest, v)) {
		throw(v);
		return;
	}
	v->idle_since_mono_ms = clock_mono_ms();
	v->next = l->parked;
	l->parked = v;
}
