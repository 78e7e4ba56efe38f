/* SPDX-License-Identifier: ISC */
/*
 * view - records of the queue as the JSON objects of the control API.
 */
#include "daemon/view.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/route.h"

/* ------- values */

/* Escaping may make four bytes of each. */
static json_t *escaped(struct span s)
{
	struct buf b;
	char *text;
	json_t *j;

	buf_init(&b, s.len * 4 + 1);
	BUG_ON(!buf_add_escaped(&b, s));
	text = buf_string(&b);
	j = json_string(text);
	free(text);
	return j;
}

json_t *view_bytes(struct span s)
{
	json_t *j = json_stringn(s.at ? s.at : "", s.len);

	return j ? j : escaped(s);
}

json_t *view_text(const char *s)
{
	return view_bytes(span_of(s));
}

json_t *view_time(int64_t wall_ms)
{
	char text[CLOCK_RFC3339_MAX];

	if (wall_ms == 0)
		return json_null();
	clock_rfc3339(text, wall_ms);
	return json_string(text);
}

/* Whole seconds as an integer, so that they read well. */
json_t *view_seconds(int64_t ms)
{
	if (ms % 1000 == 0)
		return json_integer(ms / 1000);
	return json_real((double)ms / 1000.0);
}

json_t *view_id(uint64_t id)
{
	char text[MSG_ID_LEN + 1];

	msg_id_text(text, id);
	return json_string(text);
}

static void set(json_t *o, const char *key, json_t *value)
{
	BUG_ON(json_object_set_new(o, key, value) != 0);
}

/* ------- what is shown of a recipient */

static int due_cmp(const void *a, const void *b)
{
	const struct due *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->number == y->number ? 0 : x->number < y->number ? -1 : 1;
}

static bool in_hand(const struct view *v, uint64_t id, uint32_t number)
{
	struct due key = {.id = id, .number = number};

	return v->nactive > 0 && bsearch(&key, v->active, v->nactive,
					 sizeof(key), due_cmp) != NULL;
}

static bool waits(const struct recipient *r)
{
	return r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED;
}

enum rcpt_state view_state(const struct view *v, uint64_t id,
			   const struct recipient *r)
{
	if (waits(r) && in_hand(v, id, r->number))
		return STATE_ACTIVE;
	return r->state;
}

static int64_t next_probe_ms(const struct view *v, const char *destination)
{
	for (size_t i = 0; i < v->ndestinations; i++)
		if (strcmp(v->destinations[i].name, destination) == 0)
			return v->destinations[i].next_probe_ms;
	return 0;
}

int64_t view_next_attempt_ms(const struct view *v, uint64_t id,
			     const struct recipient *r)
{
	if (!waits(r) || view_state(v, id, r) == STATE_ACTIVE)
		return 0;
	if (r->wait == WAIT_DESTINATION)
		return next_probe_ms(v, r->destination);
	return r->due_ms;
}

int64_t view_expires_ms(const struct view *v, const struct recipient *r)
{
	const struct conf_route *route = route_for(v->conf, r->address);
	const struct conf_queue *queue = &v->conf->queue;

	if (rcpt_state_is_final(r->state))
		return 0;
	return recipient_expires_ms(
		r, route ? route->lifetime_ms : queue->lifetime_ms,
		queue->hold_clock_ms, v->now_ms);
}

/* ------- a message with the recipients that match */

/* What still can happen comes first, and what went well last. */
static int finality(enum rcpt_state s)
{
	static const int order[SHOWN_STATES] = {
		[STATE_ACTIVE] = 0,   [RCPT_QUEUED] = 1,  [RCPT_DEFERRED] = 2,
		[RCPT_HELD] = 3,      [RCPT_EXPIRED] = 4, [RCPT_FAILED] = 5,
		[RCPT_DELIVERED] = 6,
	};

	return order[s];
}

static void take_earlier(int64_t *earliest_ms, int64_t ms)
{
	if (ms != 0 && (*earliest_ms == 0 || ms < *earliest_ms))
		*earliest_ms = ms;
}

static void digest_recipient(const struct view *v, const struct message *m,
			     const struct recipient *r, struct digested *d)
{
	enum rcpt_state state = view_state(v, m->id, r);

	if (d->n++ == 0 || finality(state) < finality(d->state)) {
		d->first = r;
		d->state = state;
	}
	if (r->attempts > d->attempts)
		d->attempts = r->attempts;
	take_earlier(&d->next_attempt_ms, view_next_attempt_ms(v, m->id, r));
	take_earlier(&d->expires_ms, view_expires_ms(v, r));
	d->uncertain |= r->uncertain;
}

void view_digest(const struct view *v, const struct message *m,
		 const struct filter *f, struct digested *out)
{
	*out = (struct digested){0};
	if (!filter_has_message(f, m, v->now_ms))
		return;
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		if (filter_has_recipient(f, r, view_state(v, m->id, r)))
			digest_recipient(v, m, r, out);
	}
}

static json_t *addresses(const struct view *v, const struct message *m,
			 const struct filter *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		if (filter_has_recipient(f, r, view_state(v, m->id, r)))
			json_array_append_new(list, view_text(r->address));
	}
	return list;
}

json_t *view_message_row(const struct view *v, const struct message *m,
			 const struct filter *f)
{
	struct digested d;
	json_t *o;

	view_digest(v, m, f, &d);
	if (d.n == 0)
		return NULL;
	o = json_object();
	set(o, "id", view_id(m->id));
	set(o, "state", json_string(shown_state_word(d.state)));
	set(o, "received", view_time(m->received_ms));
	set(o, "age_s", json_integer((v->now_ms - m->received_ms) / 1000));
	set(o, "size", json_integer((json_int_t)m->bytes));
	set(o, "sender", view_text(m->sender));
	set(o, "recipients", addresses(v, m, f));
	set(o, "route", view_text(d.first->lane));
	set(o, "destination", view_text(d.first->destination));
	set(o, "attempts", json_integer(d.attempts));
	set(o, "next_attempt", view_time(d.next_attempt_ms));
	set(o, "expires", view_time(d.expires_ms));
	set(o, "cause", json_string(cause_word(d.first->cause)));
	set(o, "reply", view_text(d.first->reply));
	set(o, "uncertain", json_boolean(d.uncertain));
	set(o, "message_id", view_text(m->message_id));
	return o;
}

/* ------- the whole message */

static json_t *view_recipient(const struct view *v, const struct message *m,
			      const struct recipient *r)
{
	json_t *o = json_object();

	set(o, "recipient", view_text(r->address));
	set(o, "state", json_string(shown_state_word(view_state(v, m->id, r))));
	set(o, "since", view_time(r->since_ms));
	set(o, "route", view_text(r->lane));
	set(o, "destination", view_text(r->destination));
	set(o, "attempts", json_integer(r->attempts));
	set(o, "next_attempt", view_time(view_next_attempt_ms(v, m->id, r)));
	set(o, "expires", view_time(view_expires_ms(v, r)));
	set(o, "cause", json_string(cause_word(r->cause)));
	set(o, "remedy", json_string(cause_remedy(r->cause)));
	set(o, "reply", view_text(r->reply));
	set(o, "uncertain", json_boolean(r->uncertain));
	set(o, "orcpt", view_text(r->orcpt));
	return o;
}

static json_t *recipients(const struct view *v, const struct message *m)
{
	json_t *list = json_array();

	for (size_t i = 0; i < m->nrecipients; i++)
		json_array_append_new(list,
				      view_recipient(v, m, &m->recipients[i]));
	return list;
}

/* Who brought it, and how. */
static void set_origin(json_t *o, const struct message *m)
{
	set(o, "client", view_text(m->client));
	set(o, "helo", view_text(m->helo));
	set(o, "listener", view_text(m->listener));
	set(o, "source", view_text(m->source));
	set(o, "tls", view_text(m->tls));
}

json_t *view_message(const struct view *v, const struct message *m)
{
	struct filter all;
	struct digested d;
	json_t *o = json_object();

	filter_init(&all);
	view_digest(v, m, &all, &d);
	set(o, "id", view_id(m->id));
	set(o, "state", json_string(d.n ? shown_state_word(d.state) : ""));
	set(o, "received", view_time(m->received_ms));
	set(o, "age_s", json_integer((v->now_ms - m->received_ms) / 1000));
	set(o, "size", json_integer((json_int_t)m->bytes));
	set(o, "sender", view_text(m->sender));
	set(o, "message_id", view_text(m->message_id));
	set_origin(o, m);
	set(o, "envid", view_text(m->envid));
	set(o, "ret", view_text(m->ret));
	set(o, "smtputf8", json_boolean(m->smtputf8));
	set(o, "recipients", recipients(v, m));
	return o;
}

/* ------- history */

/* The keys of an event, which a script finds in every line of a trace. */
static json_t *event_object(const struct message *m, int64_t time_ms,
			    enum event_kind kind, const char *recipient)
{
	json_t *o = json_object();

	set(o, "id", view_id(m->id));
	set(o, "time", view_time(time_ms));
	set(o, "event", json_string(event_word(kind)));
	set(o, "recipient", view_text(recipient));
	return o;
}

static void set_transport(json_t *o, const struct event *ev)
{
	set(o, "route", view_text(ev->route));
	set(o, "destination", view_text(ev->destination));
	set(o, "address", view_text(ev->address));
	set(o, "tls", view_text(ev->tls));
	set(o, "verified", view_text(ev->verified));
	set(o, "certificate", view_text(ev->certificate));
	set(o, "status", view_text(ev->status));
	set(o, "reply", view_text(ev->reply));
	set(o, "cause", json_string(cause_word(ev->cause)));
	set(o, "duration_s", view_seconds(ev->duration_ms));
	set(o, "bytes", json_integer((json_int_t)ev->bytes));
}

json_t *view_received(const struct message *m)
{
	json_t *o = event_object(m, m->received_ms, EVENT_RECEIVED, "");
	json_t *list = json_array();
	struct event none;

	event_init(&none);
	set_transport(o, &none);
	event_release(&none);
	set(o, "sender", view_text(m->sender));
	for (size_t i = 0; i < m->nrecipients; i++)
		json_array_append_new(list,
				      view_text(m->recipients[i].address));
	set(o, "recipients", list);
	set(o, "size", json_integer((json_int_t)m->bytes));
	set(o, "message_id", view_text(m->message_id));
	set_origin(o, m);
	return o;
}

json_t *view_event(const struct message *m, const struct event *ev)
{
	const struct recipient *r = message_recipient(m, ev->number);
	json_t *o = event_object(m, ev->time_ms, ev->kind, r ? r->address : "");

	set_transport(o, ev);
	set(o, "attempted", json_boolean(ev->attempted));
	set(o, "uncertain", json_boolean(ev->uncertain));
	set(o, "actor", view_text(ev->actor));
	return o;
}

json_t *view_transcript(uint64_t id, const char *record)
{
	const char *end = strchr(record, '\n');
	json_t *o = NULL;

	if (end)
		o = json_loadb(record, (size_t)(end - record), 0, NULL);
	if (!json_is_object(o)) {
		json_decref(o);
		return NULL;
	}
	set(o, "id", view_id(id));
	set(o, "event", json_string("transcript"));
	set(o, "transcript", view_text(end + 1));
	return o;
}

/* ------- the sentinel */

static json_t *count_view(uint64_t n)
{
	return json_integer((json_int_t)n);
}

json_t *view_sentinel(const struct sentinel_view *s)
{
	const struct totals *t = &s->balance.totals;
	json_t *o = json_object(), *places = json_object();

	for (int i = 0; i < RCPT_STATES; i++)
		set(places, rcpt_state_word((enum rcpt_state)i),
		    count_view(t->live[i]));
	set(o, "ok", json_boolean(!s->broken && s->overdue == 0));
	set(o, "checked", view_time(s->checked_ms));
	set(o, "conserved", json_boolean(!s->broken));
	set(o, "accepted", count_view(t->accepted));
	set(o, "places", places);
	set(o, "gone",
	    json_pack("{s:I, s:I, s:I, s:I}", "delivered",
		      (json_int_t)t->delivered, "expired",
		      (json_int_t)t->expired, "failed", (json_int_t)t->failed,
		      "removed", (json_int_t)t->removed));
	set(o, "overdue", count_view(s->overdue));
	set(o, "overdue_since", view_time(s->oldest_ms));
	set(o, "overdue_route", view_text(s->lane));
	return o;
}

/* ------- destinations */

json_t *view_destination(const struct destination_view *d)
{
	json_t *o = json_object();

	set(o, "destination", view_text(d->name));
	set(o, "route", view_text(d->lane));
	set(o, "state", json_string(destination_state_word(d->state)));
	set(o, "cause", json_string(cause_word(d->cause)));
	set(o, "remedy", json_string(cause_remedy(d->cause)));
	set(o, "since", view_time(d->since_ms));
	set(o, "next_probe", view_time(d->next_probe_ms));
	set(o, "until", view_time(d->until_ms));
	set(o, "connections", json_integer(d->connections));
	set(o, "reply", view_text(d->reply));
	set(o, "reason", view_text(d->reason));
	set(o, "crl", view_text(d->crl));
	return o;
}
