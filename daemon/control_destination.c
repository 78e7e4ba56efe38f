/* SPDX-License-Identifier: ISC */
/*
 * control_destination - the endpoints that speak of destinations: the list,
 * and probing them now.
 */
#include <event2/buffer.h>

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

/* ------- probe */

static void on_probed(struct call *c)
{
	if (c->question.nviews == 0) {
		call_fail(c, 404, "no destination matches");
		return;
	}
	send_list(c);
}

void endpoint_probe(struct call *c)
{
	const char *pattern =
		json_string_value(json_object_get(c->body, "destination"));

	if (!pattern || pattern[0] == '\0') {
		call_fail(c, 400, "destination: wants a name or pattern");
		return;
	}
	/* The pattern lives as long as the body, which is the call's. */
	call_ask(c, ORDER_PROBE, pattern, on_probed);
}
