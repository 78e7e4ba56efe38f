/* SPDX-License-Identifier: ISC */
/*
 * explain - what holds a recipient right now.
 */
#include "daemon/explain.h"

#include "daemon/route.h"

static const char *const words[] = {
	[HOLD_FINAL] = "final",
	[HOLD_HELD] = "held",
	[HOLD_ACTIVE] = "active",
	[HOLD_NO_ROUTE] = "no-route",
	[HOLD_MOVING] = "moving",
	[HOLD_HOSTS] = "hosts",
	[HOLD_SUSPENDED] = "destination-suspended",
	[HOLD_FAILING] = "destination-failing",
	[HOLD_SCHEDULE] = "schedule",
	[HOLD_PAUSE] = "pause",
	[HOLD_CONNECTIONS] = "connections",
	[HOLD_RAMP] = "ramp",
	[HOLD_TURN] = "turn",
};
_Static_assert(ARRAY_LEN(words) == HOLD_KINDS, "a hold has no word");

const char *hold_word(enum hold_kind k)
{
	BUG_ON((unsigned)k >= HOLD_KINDS);
	return words[k];
}

struct holds {
	struct hold *out;
	size_t n;
};

/* Beyond so many hosts it does not matter any more. */
static void add(struct holds *h, struct hold hold)
{
	if (h->n < HOLDS_MAX)
		h->out[h->n++] = hold;
}

/* ------- where it would go */

/* Does today's route lead to the lane that it waits in?  Says so if not. */
static bool is_in_place(const struct view *v, const struct recipient *r,
			struct holds *h)
{
	const struct conf_route *route = route_for(v->conf, r->address);
	struct place place;
	bool fine;

	if (!route) {
		add(h, (struct hold){.kind = HOLD_NO_ROUTE});
		return false;
	}
	place_init(&place, route, r->address);
	fine = strcmp(place.lane, r->lane) == 0;
	place_release(&place);
	if (!fine)
		add(h,
		    (struct hold){.kind = HOLD_MOVING, .reason = route->name});
	return fine;
}

static void add_destination(struct holds *h, const struct destination_view *d)
{
	bool failing = d->state == DESTINATION_FAILING;

	add(h, (struct hold){
		       .kind = failing ? HOLD_FAILING : HOLD_SUSPENDED,
		       .destination = d->name,
		       .cause = d->cause,
		       .until_ms = failing ? d->next_probe_ms : d->until_ms,
		       .reason = failing ? d->reply : d->reason,
	       });
}

/* The first destination of its lane that is up; NULL: none, and each is said
 * to hold it. */
static const struct destination_view *find_up(const struct view *v,
					      const struct recipient *r,
					      struct holds *h)
{
	bool any = false;

	for (size_t i = 0; i < v->ndestinations; i++) {
		const struct destination_view *d = &v->destinations[i];

		if (strcmp(d->lane, r->lane) != 0)
			continue;
		if (d->state == DESTINATION_UP)
			return d;
		any = true;
	}
	for (size_t i = 0; i < v->ndestinations; i++)
		if (strcmp(v->destinations[i].lane, r->lane) == 0)
			add_destination(h, &v->destinations[i]);
	if (!any)
		add(h, (struct hold){.kind = HOLD_HOSTS});
	return NULL;
}

/* ------- when it is due */

static void explain_due(const struct view *v, const struct destination_view *d,
			struct holds *h)
{
	struct hold hold = {.kind = HOLD_TURN, .destination = d->name};

	if (d->pause_until_ms > v->now_ms) {
		hold.kind = HOLD_PAUSE;
		hold.until_ms = d->pause_until_ms;
	} else if (d->connections >= d->max_connections) {
		hold.kind = HOLD_CONNECTIONS;
		hold.count = d->connections;
		hold.limit = d->max_connections;
	} else if (d->window > 0 && d->in_flight >= d->window) {
		hold.kind = HOLD_RAMP;
		hold.count = d->in_flight;
		hold.limit = d->window;
	}
	add(h, hold);
}

static void explain_waiting(const struct view *v, const struct recipient *r,
			    struct holds *h)
{
	const struct destination_view *up;
	bool later = r->wait == WAIT_TIME && r->due_ms > v->now_ms;

	if (!is_in_place(v, r, h))
		return;
	if (later)
		add(h, (struct hold){.kind = HOLD_SCHEDULE,
				     .cause = r->cause,
				     .until_ms = r->due_ms,
				     .reason = r->reply});
	up = find_up(v, r, h);
	if (up && !later)
		explain_due(v, up, h);
}

size_t explain(const struct view *v, uint64_t id, const struct recipient *r,
	       struct hold out[HOLDS_MAX])
{
	enum rcpt_state state = view_state(v, id, r);
	struct holds h = {.out = out};

	if (rcpt_state_is_final(r->state))
		add(&h, (struct hold){.kind = HOLD_FINAL,
				      .cause = r->cause,
				      .reason = r->reply});
	else if (r->state == RCPT_HELD)
		add(&h, (struct hold){.kind = HOLD_HELD, .cause = r->cause});
	else if (state == STATE_ACTIVE)
		add(&h, (struct hold){.kind = HOLD_ACTIVE,
				      .destination = r->destination});
	else
		explain_waiting(v, r, &h);
	return h.n;
}

/* ------- as JSON */

static void set(json_t *o, const char *key, json_t *value)
{
	BUG_ON(json_object_set_new(o, key, value) != 0);
}

static json_t *hold_view(const struct hold *hold)
{
	json_t *o = json_object();

	set(o, "hold", json_string(hold_word(hold->kind)));
	set(o, "destination",
	    view_text(hold->destination ? hold->destination : ""));
	set(o, "cause", json_string(cause_word(hold->cause)));
	set(o, "remedy", json_string(cause_remedy(hold->cause)));
	set(o, "until", view_time(hold->until_ms));
	set(o, "reason", view_text(hold->reason ? hold->reason : ""));
	if (hold->limit > 0) {
		set(o, "count", json_integer(hold->count));
		set(o, "limit", json_integer(hold->limit));
	}
	return o;
}

json_t *explain_view(const struct view *v, uint64_t id,
		     const struct recipient *r)
{
	struct hold holds[HOLDS_MAX];
	size_t n = explain(v, id, r, holds);
	json_t *o = json_object(), *list = json_array();

	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, hold_view(&holds[i]));
	set(o, "id", view_id(id));
	set(o, "recipient", view_text(r->address));
	set(o, "state", json_string(shown_state_word(view_state(v, id, r))));
	set(o, "since", view_time(r->since_ms));
	set(o, "route", view_text(r->lane));
	set(o, "attempts", json_integer(r->attempts));
	set(o, "expires", view_time(view_expires_ms(v, r)));
	set(o, "clock_stands", json_boolean(r->clock_since_ms != 0));
	set(o, "cause", json_string(cause_word(r->cause)));
	set(o, "reply", view_text(r->reply));
	set(o, "holds", list);
	return o;
}
