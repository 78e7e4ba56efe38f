/* SPDX-License-Identifier: ISC */
/*
 * control_destination - the endpoints that speak of destinations: the list,
 * probing them now, suspending and resuming them.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/audit.h"

#include "daemon/census.h"
#include "daemon/endpoint.h"

/* Mail that waits for it, or is on its way there: what is final has left. */
static void count_mail(const struct census *census, const char *destination,
		       json_int_t *messages, json_int_t *recipients)
{
	*messages = *recipients = 0;
	for (size_t i = 0; i < census->n; i++) {
		const struct group *g = &census->groups[i];

		if ((g->state != STATE_ACTIVE &&
		     rcpt_state_is_final(g->state)) ||
		    strcmp(g->destination, destination) != 0)
			continue;
		*messages += (json_int_t)g->messages;
		*recipients += (json_int_t)g->recipients;
	}
}

static json_t *counted(const struct destination_view *d,
		       const struct census *census)
{
	json_t *o = view_destination(d);
	json_int_t messages, recipients;

	count_mail(census, d->name, &messages, &recipients);
	json_object_set_new(o, "messages", json_integer(messages));
	json_object_set_new(o, "recipients", json_integer(recipients));
	return o;
}

static void send_list(struct call *c)
{
	const struct dispatch_question *q = &c->question;
	struct census census;
	struct evbuffer *out;
	struct err e;

	if (census_take(c->relay->store, q->active, q->nactive, &census, &e) !=
	    ST_OK) {
		call_fail_err(c, &e);
		return;
	}
	out = evbuffer_new();
	BUG_ON(!out);
	for (size_t i = 0; i < q->nviews; i++)
		call_line(out, counted(&q->views[i], &census));
	census_release(&census);
	call_stream(c, "application/x-ndjson");
	call_send(c, out, call_end);
	evbuffer_free(out);
}

static void on_view(struct call *c)
{
	send_list(c);
}

void endpoint_destinations(struct call *c)
{
	call_ask(c, ORDER_VIEW, NULL, on_view);
}

/* ------- those that are meant */

static bool matched(struct call *c)
{
	if (c->question.nviews > 0)
		return true;
	call_fail(c, 404, "no destination matches");
	return false;
}

static void on_probed(struct call *c)
{
	if (matched(c))
		send_list(c);
}

/* The pattern lives as long as the body, which is the call's.  NULL: the call
 * has been answered. */
static const char *pattern_of(struct call *c)
{
	const char *pattern =
		json_string_value(json_object_get(c->body, "destination"));

	if (pattern && pattern[0] != '\0')
		return pattern;
	call_fail(c, 400, "destination: wants a name or pattern");
	return NULL;
}

void endpoint_probe(struct call *c)
{
	const char *pattern = pattern_of(c);

	if (pattern)
		call_ask(c, ORDER_PROBE, pattern, on_probed);
}

/* ------- suspend, resume */

enum { REASON_MAX = 500 };
static const int64_t for_max_ms = 3650LL * 24 * 3600 * 1000;

/* When it ends, from "for"; false: the call has been answered. */
static bool read_until(struct call *c, int64_t *until_ms)
{
	const json_t *value = json_object_get(c->body, "for");
	const char *text = json_string_value(value);
	int64_t for_ms;

	*until_ms = 0;
	if (!value)
		return true;
	if (!text || !duration_parse(text, &for_ms) || for_ms == 0 ||
	    for_ms > for_max_ms) {
		call_fail(c, 400,
			  "for \"%.40s\": wants a duration such as 30m, 4h, "
			  "2d",
			  text ? text : "");
		return false;
	}
	*until_ms = clock_wall_ms() + for_ms;
	return true;
}

/* "" if none was given; NULL: the call has been answered. */
static const char *read_reason(struct call *c)
{
	const json_t *value = json_object_get(c->body, "reason");
	const char *text = value ? json_string_value(value) : "";

	if (text && strlen(text) <= REASON_MAX)
		return text;
	call_fail(c, 400, "reason: wants a text of at most %d bytes",
		  REASON_MAX);
	return NULL;
}

enum { NAMES_AUDITED_MAX = 100 };

static json_t *facts(const struct dispatch_question *q)
{
	json_t *names = json_array();

	for (size_t i = 0; i < q->nviews && i < NAMES_AUDITED_MAX; i++)
		json_array_append_new(names, view_text(q->views[i].name));
	return json_pack("{s:o, s:I}", "destinations", names, "changed",
			 (json_int_t)q->nchanged);
}

/* What the dispatcher wrote down before it answered is durable when the entry
 * is. */
static void on_obeyed(struct call *c)
{
	const struct dispatch_question *q = &c->question;

	if (matched(c))
		audit_call(c,
			   q->order == ORDER_SUSPEND ? "destination suspend"
						     : "destination resume",
			   facts(q), send_list);
}

/* The actor's name is needed until the dispatcher has answered. */
static const char *keep_actor(struct call *c)
{
	char *actor = xcalloc(1, CALL_ACTOR_MAX);

	call_actor(c, actor);
	c->state = actor;
	c->state_free = free;
	return actor;
}

void endpoint_suspend(struct call *c)
{
	struct dispatch_question what = {.order = ORDER_SUSPEND};

	what.pattern = pattern_of(c);
	if (!what.pattern || !read_until(c, &what.until_ms))
		return;
	what.reason = read_reason(c);
	if (!what.reason)
		return;
	what.actor = keep_actor(c);
	call_order(c, &what, on_obeyed);
}

void endpoint_resume(struct call *c)
{
	struct dispatch_question what = {.order = ORDER_RESUME};

	what.pattern = pattern_of(c);
	if (!what.pattern)
		return;
	what.actor = keep_actor(c);
	call_order(c, &what, on_obeyed);
}
