/* SPDX-License-Identifier: ISC */
/*
 * control_message - the endpoint that shows one message: envelope and
 * headers, its body, all of it as it was received, what holds it, or what an
 * export keeps beside the body.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/endpoint.h"
#include "daemon/explain.h"
#include "daemon/parcel.h"

enum { HEADERS_SHOWN_MAX = 256 * 1024, PIECE_MAX = 1 << 20 };

enum part { PART_ENVELOPE, PART_RAW, PART_BODY, PART_EXPLAIN, PART_EXPORT };

struct show {
	uint64_t id;
	struct message *message; /* owned */
	uint64_t at; /* of the next piece */
	struct evbuffer *out; /* owned */
};

static void show_free(void *state)
{
	struct show *s = state;

	message_free(s->message);
	evbuffer_free(s->out);
	free(s);
}

/* ------- headers */

/* Where the headers end: behind the line before the first empty one. */
static bool headers_end(struct span s, size_t *end)
{
	const char *empty;

	if (s.len == 0)
		return false;
	if (s.len >= 2 && memcmp(s.at, "\r\n", 2) == 0) {
		*end = 0;
		return true;
	}
	empty = memmem(s.at, s.len, "\r\n\r\n", 4);
	if (!empty)
		return false;
	*end = (size_t)(empty - s.at) + 2;
	return true;
}

/* Reads from the start until the headers are whole; *end is where they end,
 * at the most what was read. */
static enum status read_headers(struct store *store, const struct message *m,
				struct buf *b, size_t *end, struct err *e)
{
	while (!headers_end(buf_span(b), end)) {
		size_t before = b->len;
		enum status st;

		*end = before;
		if (before == m->bytes || before == b->max)
			break;
		st = store->ops->read_body(store, m->id, before, b, e);
		if (st != ST_OK)
			return st;
		if (b->len == before)
			break;
	}
	return ST_OK;
}

/* ------- pieces */

static void send_pieces(struct call *c)
{
	struct store *store = c->relay->store;
	struct show *s = c->state;
	enum status st;
	struct buf b;
	struct err e;

	if (s->at >= s->message->bytes) {
		call_end(c);
		return;
	}
	buf_init(&b, CALL_SLICE_BYTES);
	st = store->ops->read_body(store, s->id, s->at, &b, &e);
	if (st != ST_OK || b.len == 0) {
		buf_release(&b);
		call_break(c);
		return;
	}
	s->at += b.len;
	evbuffer_add(s->out, buf_span(&b).at, b.len);
	buf_release(&b);
	call_send(c, s->out, send_pieces);
}

static void send_envelope(struct call *c, struct span headers)
{
	const struct show *s = c->state;
	struct view v = call_view(c);
	json_t *o = view_message(&v, s->message);

	json_object_set_new(o, "headers", view_bytes(headers));
	call_answer(c, 200, o);
}

/* ------- the forms */

static void on_view(struct call *c)
{
	struct store *store = c->relay->store;
	struct show *s = c->state;
	struct buf b;
	struct err e;
	size_t end;

	buf_init(&b, HEADERS_SHOWN_MAX);
	if (read_headers(store, s->message, &b, &end, &e) == ST_OK)
		send_envelope(c, (struct span){buf_span(&b).at, end});
	else
		send_envelope(c, SPAN("(damaged)\r\n"));
	buf_release(&b);
}

static void explain_each(struct call *c)
{
	struct show *s = c->state;
	struct view v = call_view(c);

	call_stream(c, "application/x-ndjson");
	for (size_t i = 0; i < s->message->nrecipients; i++)
		call_line(s->out,
			  explain_view(&v, s->id, &s->message->recipients[i]));
	call_send(c, s->out, call_end);
}

static void show_parcel(struct call *c)
{
	const struct show *s = c->state;
	json_t *parcel = parcel_make(s->message, clock_wall_ms());

	if (parcel)
		call_answer(c, 200, parcel);
	else
		call_fail(c, 409, "an address of it is no UTF-8");
}

static void show_raw(struct call *c)
{
	call_stream(c, "message/rfc822");
	send_pieces(c);
}

static void show_body(struct call *c)
{
	struct show *s = c->state;
	struct buf b;
	struct err e;
	size_t end;

	buf_init(&b, PIECE_MAX);
	if (read_headers(c->relay->store, s->message, &b, &end, &e) != ST_OK) {
		buf_release(&b);
		call_fail_err(c, &e);
		return;
	}
	buf_release(&b);
	s->at = end + 2;
	call_stream(c, "application/octet-stream");
	send_pieces(c);
}

/* "ID", "ID/raw", "ID/body", "ID/explain", "ID/export" */
static bool rest_parse(char *rest, uint64_t *id, enum part *part)
{
	char *slash = strchr(rest, '/');

	*part = PART_ENVELOPE;
	if (slash) {
		*slash = '\0';
		if (strcmp(slash + 1, "raw") == 0)
			*part = PART_RAW;
		else if (strcmp(slash + 1, "body") == 0)
			*part = PART_BODY;
		else if (strcmp(slash + 1, "explain") == 0)
			*part = PART_EXPLAIN;
		else if (strcmp(slash + 1, "export") == 0)
			*part = PART_EXPORT;
		else
			return false;
	}
	return msg_id_parse(rest, id);
}

void endpoint_message(struct call *c)
{
	struct store *store = c->relay->store;
	struct show *s = xcalloc(1, sizeof(*s));
	enum part part;
	struct err e;

	s->out = evbuffer_new();
	BUG_ON(!s->out);
	c->state = s;
	c->state_free = show_free;

	if (!rest_parse(c->rest, &s->id, &part)) {
		call_fail(c, 404, "%.60s is no message id", c->rest);
		return;
	}
	if (store->ops->load(store, s->id, &s->message, &e) != ST_OK) {
		if (e.status == ST_PERM)
			call_fail(c, 404,
				  "%s is not in the queue; its trace may "
				  "tell what became of it",
				  c->rest);
		else
			call_fail_err(c, &e);
		return;
	}
	if (part == PART_RAW)
		show_raw(c);
	else if (part == PART_BODY)
		show_body(c);
	else if (part == PART_EXPORT)
		show_parcel(c);
	else if (part == PART_EXPLAIN)
		call_ask(c, ORDER_VIEW, NULL, explain_each);
	else
		call_ask(c, ORDER_VIEW, NULL, on_view);
}
