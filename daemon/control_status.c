/* SPDX-License-Identifier: ISC */
/*
 * control_status - the endpoint that says how the daemon is.
 */
#include <unistd.h>

#include "base/clock.h"
#include "daemon/census.h"
#include "daemon/endpoint.h"

/* ------- counts */

enum count { COUNT_MESSAGES, COUNT_RECIPIENTS };

/* State -> count, all states named, so that a script finds them. */
static json_t *by_state(const struct census *census, enum count what)
{
	static const enum rcpt_state order[SHOWN_STATES] = {
		RCPT_QUEUED,  STATE_ACTIVE, RCPT_DEFERRED,  RCPT_HELD,
		RCPT_EXPIRED, RCPT_FAILED,  RCPT_DELIVERED,
	};
	json_int_t counts[SHOWN_STATES] = {0};
	json_t *o = json_object();

	for (size_t i = 0; i < census->n; i++) {
		const struct group *g = &census->groups[i];

		counts[g->state] +=
			(json_int_t)(what == COUNT_MESSAGES ? g->messages
							    : g->recipients);
	}
	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		json_object_set_new(o, shown_state_word(order[i]),
				    json_integer(counts[order[i]]));
	return o;
}

/* Arrival of the oldest mail that still waits; 0: nothing does. */
static int64_t oldest_ms(const struct census *census)
{
	int64_t oldest = 0;

	for (size_t i = 0; i < census->n; i++) {
		const struct group *g = &census->groups[i];

		if ((g->state != STATE_ACTIVE &&
		     rcpt_state_is_final(g->state)) ||
		    g->oldest_ms == 0)
			continue;
		if (oldest == 0 || g->oldest_ms < oldest)
			oldest = g->oldest_ms;
	}
	return oldest;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

/* ------- parts of the answer */

static json_t *queue(struct store *store, const struct census *census,
		     const struct totals *t)
{
	struct store_space space;
	int64_t oldest = oldest_ms(census);
	json_t *o = json_object();

	store->ops->space(store, &space);
	json_object_set_new(
		o, "oldest_s",
		oldest ? json_integer((clock_wall_ms() - oldest) / 1000)
		       : json_null());
	json_object_set_new(o, "used_bytes", number(space.used_bytes));
	json_object_set_new(o, "max_bytes", number(space.max_bytes));
	json_object_set_new(o, "free_disk_bytes",
			    number(space.free_disk_bytes));
	json_object_set_new(o, "full", json_boolean(space.full));
	/* Recipients since the queue was made. */
	json_object_set_new(o, "accepted", number(t->accepted));
	json_object_set_new(o, "delivered", number(t->delivered));
	json_object_set_new(o, "expired", number(t->expired));
	json_object_set_new(o, "failed", number(t->failed));
	json_object_set_new(o, "removed", number(t->removed));
	return o;
}

static json_t *troubled(const struct dispatch_question *q)
{
	json_t *list = json_array();

	for (size_t i = 0; i < q->nviews; i++)
		if (q->views[i].state != DESTINATION_UP)
			json_array_append_new(list,
					      view_destination(&q->views[i]));
	return list;
}

/* ------- the endpoint */

static void on_view(struct call *c)
{
	const struct dispatch_question *q = &c->question;
	struct store *store = c->relay->store;
	struct census census;
	struct totals totals;
	json_t *exceptions = json_array();
	struct err e;
	json_t *o;

	if (exception_list(store, clock_wall_ms(), exceptions, &e) != ST_OK ||
	    store->ops->totals(store, &totals, &e) != ST_OK ||
	    census_take(store, q->active, q->nactive, &census, &e) != ST_OK) {
		json_decref(exceptions);
		call_fail_err(c, &e);
		return;
	}
	o = json_object();
	json_object_set_new(o, "version", json_string(RELAYD_VERSION));
	json_object_set_new(o, "pid", json_integer(getpid()));
	json_object_set_new(
		o, "uptime_s",
		json_integer((clock_mono_ms() - c->conf->started_mono_ms) /
			     1000));
	json_object_set_new(o, "hostname",
			    view_text(c->snapshot->conf->hostname));
	json_object_set_new(o, "messages", by_state(&census, COUNT_MESSAGES));
	json_object_set_new(o, "recipients",
			    by_state(&census, COUNT_RECIPIENTS));
	json_object_set_new(o, "destinations", troubled(q));
	json_object_set_new(o, "exceptions", exceptions);
	json_object_set_new(o, "certificates", certificates_status(c));
	json_object_set_new(o, "listeners", certificates_listeners(c));
	json_object_set_new(o, "refused", certificates_refused(c));
	json_object_set_new(o, "sentinel", view_sentinel(&q->sentinel));
	json_object_set_new(o, "queue", queue(store, &census, &totals));
	census_release(&census);
	call_answer(c, 200, o);
}

void endpoint_status(struct call *c)
{
	call_ask(c, ORDER_VIEW, NULL, on_view);
}
