/* SPDX-License-Identifier: ISC */
/*
 * dispatch_sentinel - watches that nothing is lost and nothing is forgotten.
 *
 * The books: accepted recipients are the sum of the places they can be in,
 * and the counters of the groups add up to the same.
 *
 * Overdue mail: it is due, its destination could take it, and nobody is at
 * work for its lane.  That can't be, unless there is a fault in the
 * dispatcher.  It may look so for a moment; a lane is overdue when it looked
 * so twice, CONFIRM_MS apart.
 *
 * Each turn looks at a bounded number of lanes.  What changes is logged.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/alarm.h"
#include "daemon/dispatch_state.h"

enum {
	LANES_IN_A_TURN = 32,
	LOOK_EVERY_MS = 30 * 1000,
	CONFIRM_MS = 10 * 1000,
	OVERDUE_MS = 60 * 1000, /* after it was due */
	DOWN_ALARM_MS = 10 * 60 * 1000,
	COUNT_MAX = 256, /* recipients, beyond that it is "at least" */
};

/* ------- the books */

static uint64_t sum_of(const struct totals *t)
{
	uint64_t sum = t->delivered + t->expired + t->failed + t->removed;

	for (size_t i = 0; i < RCPT_STATES; i++)
		sum += t->live[i];
	return sum;
}

static void log_books(const struct balance *b, bool balanced)
{
	char counted[128];
	size_t used = 0;

	for (size_t i = 0; i < RCPT_STATES; i++)
		used += (size_t)snprintf(counted + used, sizeof(counted) - used,
					 "%s%" PRIu64 "/%" PRIu64, i ? " " : "",
					 b->counted[i], b->totals.live[i]);
	log_fact(balanced ? LOG_INFO : LOG_ERROR, 0,
		 balanced ? "books-balanced" : "books-broken",
		 F_INT("accepted", b->totals.accepted),
		 F_INT("sum", sum_of(&b->totals)), F_STR("counted", counted));
}

static void look_at_books(struct dispatch *d)
{
	struct store *store = d->relay->store;
	struct sentinel *s = &d->sentinel;
	bool was_broken = s->broken;
	struct err e;

	if (store->ops->balance(store, &s->balance, &e) != ST_OK) {
		/* Said of every store that can't be read, elsewhere. */
		if (e.status == ST_TEMP)
			return;
		s->balance = (struct balance){.counted = {1}};
	}
	s->checked_ms = clock_wall_ms();
	s->broken = !store_balanced(&s->balance);
	if (s->broken == was_broken)
		return;
	log_books(&s->balance, !s->broken);
	if (s->broken)
		alarm_raise(d->relay->alarms, ALARM_BOOKS_BROKEN, "",
			    "accepted recipients are not the sum of the "
			    "places they are in: relayctl check queue");
}

/* ------- overdue mail */

/* Could something be given out, and is nobody at work? */
static bool is_idle(struct dispatch *d, struct lane *l)
{
	struct destination *up = dispatch_up(d, l);

	if (!l->route || l->deliveries > 0 || l->nblocked > 0 || l->asking ||
	    l->refused)
		return false;
	if (up)
		return destination_room(up, clock_mono_ms()) > 0 &&
		       dispatch_may(d, up, PACE_OPEN);
	return l->domain != NULL && l->ndestinations == 0;
}

static size_t count_due(struct dispatch *d, const struct lane *l,
			enum rcpt_wait wait, int64_t before_ms,
			int64_t *oldest_ms)
{
	struct store *store = d->relay->store;
	struct due list[COUNT_MAX];
	struct err e;
	size_t n;

	if (store->ops->due(store, l->name, wait, before_ms, NULL, list,
			    COUNT_MAX, &n, &e) != ST_OK ||
	    n == 0)
		return 0;
	if (*oldest_ms == 0 || list[0].due_ms < *oldest_ms)
		*oldest_ms = list[0].due_ms;
	return n;
}

static void log_lane(const struct dispatch *d, const struct lane *l)
{
	char due[CLOCK_RFC3339_MAX];

	if (l->overdue == 0) {
		log_fact(LOG_INFO, 0, "overdue-over", F_STR("lane", l->name));
		return;
	}
	clock_rfc3339(due, l->overdue_since_ms);
	log_fact(LOG_ERROR, 0, "overdue", F_STR("lane", l->name),
		 F_INT("recipients", l->overdue), F_STR("due", due));
	alarm_raise(d->relay->alarms, ALARM_OVERDUE, l->name,
		    "%zu recipients or more are due since %s and nobody is at "
		    "work for them",
		    l->overdue, due);
}

/* ------- destinations, the disk */

/* Mail waits, and nobody has mended it for so long: somebody is told. */
static void look_at_destination(struct dispatch *d, const struct lane *l,
				struct destination *dest)
{
	int64_t down_ms = clock_wall_ms() - dest->since_wall_ms;

	if (dest->state == DESTINATION_FAILING && !dest->alarmed &&
	    l->waiting_seen && dest->since_wall_ms > 0 &&
	    down_ms >= DOWN_ALARM_MS) {
		dest->alarmed = true;
		alarm_raise(d->relay->alarms, ALARM_DESTINATION_DOWN,
			    dest->name, "%s for %lld minutes: %s",
			    cause_word(dest->cause),
			    (long long)(down_ms / 60000), dest->reply);
	}
	if (dest->state == DESTINATION_UP && dest->alarmed) {
		dest->alarmed = false;
		alarm_raise(d->relay->alarms, ALARM_DESTINATION_UP, dest->name,
			    "it was reached; its mail is on the way");
	}
}

static void look_at_space(struct dispatch *d)
{
	struct store_space space;
	bool was_full = d->sentinel.full;

	d->relay->store->ops->space(d->relay->store, &space);
	d->sentinel.full = space.full;
	if (space.full && !was_full)
		alarm_raise(d->relay->alarms, ALARM_QUEUE_FULL, "",
			    "new mail is refused: the queue has %llu of %llu "
			    "bytes, the disk %llu free",
			    (unsigned long long)space.used_bytes,
			    (unsigned long long)space.max_bytes,
			    (unsigned long long)space.free_disk_bytes);
}

static void look_at_lane(struct dispatch *d, struct lane *l)
{
	int64_t before_ms = clock_wall_ms() - OVERDUE_MS;
	int64_t now = clock_mono_ms(), oldest_ms = 0;
	size_t before = l->overdue, n = 0;

	l->looked_mono_ms = now;
	for (size_t i = 0; i < l->ndestinations; i++)
		look_at_destination(d, l, l->destinations[i]);
	if (is_idle(d, l)) {
		n = count_due(d, l, WAIT_TIME, before_ms, &oldest_ms);
		n += count_due(d, l, WAIT_DESTINATION, INT64_MAX, &oldest_ms);
	}
	if (n == 0) {
		l->suspect_mono_ms = 0;
	} else if (l->suspect_mono_ms == 0) {
		l->suspect_mono_ms = now;
		dispatch_wake_at(d, now + CONFIRM_MS);
		n = 0;
	} else if (now - l->suspect_mono_ms < CONFIRM_MS) {
		n = before;
	}
	l->overdue = n;
	l->overdue_since_ms = oldest_ms;
	if ((before == 0) != (n == 0))
		log_lane(d, l);
}

static bool is_due(const struct lane *l, int64_t now)
{
	int64_t pause = l->suspect_mono_ms ? CONFIRM_MS : LOOK_EVERY_MS;

	return now - l->looked_mono_ms >= pause;
}

/* ------- */

void sentinel_turn(struct dispatch *d)
{
	int64_t now = clock_mono_ms();
	unsigned looked = 0;
	struct lane *l;

	if (now >= d->sentinel.next_mono_ms) {
		look_at_books(d);
		look_at_space(d);
		d->sentinel.next_mono_ms = now + LOOK_EVERY_MS;
	}
	/* Those that come too late in this turn are first in a later one: the
	 * others are not due again until then. */
	for (l = d->lanes; l && looked < LANES_IN_A_TURN; l = l->hh.next) {
		if (!is_due(l, now))
			continue;
		look_at_lane(d, l);
		looked++;
	}
}

void sentinel_asked(struct dispatch *d, struct dispatch_question *q)
{
	struct sentinel_view *v = &q->sentinel;
	struct lane *l;

	if (q->order == ORDER_CHECK)
		look_at_books(d);
	*v = (struct sentinel_view){
		.checked_ms = d->sentinel.checked_ms,
		.broken = d->sentinel.broken,
		.balance = d->sentinel.balance,
	};
	for (l = d->lanes; l; l = l->hh.next) {
		if (l->overdue == 0)
			continue;
		if (v->overdue == 0)
			snprintf(v->lane, sizeof(v->lane), "%s", l->name);
		v->overdue += l->overdue;
		if (v->oldest_ms == 0 || l->overdue_since_ms < v->oldest_ms)
			v->oldest_ms = l->overdue_since_ms;
	}
}
