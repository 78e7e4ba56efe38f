/* SPDX-License-Identifier: ISC */
/*
 * control_trace - the endpoints that tell a message's history, also of one
 * that is settled and gone; found by its id, its Message-ID, or a filter.
 *
 * A search walks the queue and its history page by page between other turns,
 * and keeps the ids of the newest that match.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "daemon/endpoint.h"

enum {
	EVENTS_MAX = 50000,
	TRANSCRIPTS_PAGE = 16,
	PAGE = 256, /* messages of a search in one go */
	LIMIT = 20, /* unless it is given */
	LIMIT_MAX = 10000,
};

struct trace {
	uint64_t *ids; /* owned */
	size_t n, next;
	struct evbuffer *out; /* owned */

	/* Of a search. */
	struct filter filter;
	int64_t now_ms;
	size_t limit; /* of ids, and of each ring */
	struct ring {
		uint64_t *ids; /* owned; those found last */
		size_t n; /* found */
	} settled, live;
	struct ring *ring; /* of the walk under way */
	uint64_t cursor;
};

static void trace_free(void *state)
{
	struct trace *t = state;

	free(t->ids);
	free(t->settled.ids);
	free(t->live.ids);
	filter_release(&t->filter);
	evbuffer_free(t->out);
	free(t);
}

/* Events come before their message is known: they wait here. */
struct history {
	struct event *events; /* owned */
	size_t n;
};

static bool keep_event(void *arg, const struct event *ev)
{
	struct history *h = arg;

	/* The store's copy of what the message itself says. */
	if (ev->kind == EVENT_RECEIVED)
		return true;
	if ((h->n & (h->n - 1)) == 0)
		h->events = xrealloc(h->events, h->n ? h->n * 2 : 1,
				     sizeof(*h->events));
	event_copy(&h->events[h->n++], ev);
	return h->n < EVENTS_MAX;
}

static void add_history(struct evbuffer *out, const struct message *m,
			const struct history *h)
{
	call_line(out, view_received(m));
	for (size_t i = 0; i < h->n; i++)
		call_line(out, view_event(m, &h->events[i]));
}

/* Who a purged recipient was only the event of it knows. */
static void recall_purged(struct message *m, struct history *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct event *ev = &h->events[i];

		if (ev->kind != EVENT_REMOVED || *ev->address == '\0')
			continue;
		if (!message_recipient(m, ev->number))
			message_add(m, ev->address, ev->route, "")->number =
				ev->number;
		*ev->address = '\0';
	}
}

/* ------- transcripts */

/* Adds those of a page; false: there are no more. */
static bool add_transcripts(struct evbuffer *out, uint64_t id,
			    const char *prefix, struct store_record *list,
			    size_t n, char **after)
{
	bool more = n == TRANSCRIPTS_PAGE;

	for (size_t i = 0; i < n; i++) {
		if (strncmp(list[i].key, prefix, strlen(prefix)) == 0)
			call_line(out, view_transcript(id, list[i].value));
		else
			more = false;
		free(*after);
		*after = xstrdup(list[i].key);
		store_record_release(&list[i]);
	}
	free(list);
	return more;
}

static enum status read_transcripts(struct store *store, uint64_t id,
				    struct evbuffer *out, struct err *e)
{
	char text[MSG_ID_LEN + 1];
	char *prefix, *after;
	enum status st;
	bool more;

	msg_id_text(text, id);
	prefix = xasprintf("%s/", text);
	after = xstrdup(prefix);
	do {
		struct store_record *list;
		size_t n;

		st = store->ops->records(store, RECORD_TRANSCRIPT,
					 RECORDS_RISING, after,
					 TRANSCRIPTS_PAGE, &list, &n, e);
		more = st == ST_OK &&
		       add_transcripts(out, id, prefix, list, n, &after);
	} while (more);
	free(prefix);
	free(after);
	return st;
}

/* ------- history */

static enum status read_history(struct call *c, uint64_t id,
				struct evbuffer *out, struct err *e)
{
	struct store *store = c->relay->store;
	struct history h = {0};
	struct message *m = NULL;
	enum status st;

	st = store->ops->history(store, id, &m, keep_event, &h, e);
	if (st == ST_OK) {
		recall_purged(m, &h);
		add_history(out, m, &h);
		if (call_param(c, "transcript"))
			st = read_transcripts(store, m->id, out, e);
	}
	for (size_t i = 0; i < h.n; i++)
		event_release(&h.events[i]);
	free(h.events);
	message_free(m);
	return st;
}

static void send_next(struct call *c)
{
	struct trace *t = c->state;
	struct err e;

	/* One that was forgotten since it was found is left out. */
	if (read_history(c, t->ids[t->next++], t->out, &e) == ST_TEMP) {
		call_break(c);
		return;
	}
	call_send(c, t->out, t->next < t->n ? send_next : call_end);
}

/* A Message-ID with or without its brackets. */
static enum status find(struct call *c, struct trace *t, struct err *e)
{
	struct store *store = c->relay->store;
	struct span s = span_of(c->rest);
	enum status st;
	char *bare;

	if (s.len >= 2 && s.at[0] == '<' && s.at[s.len - 1] == '>')
		s = (struct span){s.at + 1, s.len - 2};
	bare = span_dup(s);
	st = store->ops->find(store, bare, &t->ids, &t->n, e);
	free(bare);
	return st;
}

static struct trace *trace_new(struct call *c)
{
	struct trace *t = xcalloc(1, sizeof(*t));

	filter_init(&t->filter);
	t->out = evbuffer_new();
	BUG_ON(!t->out);
	c->state = t;
	c->state_free = trace_free;
	return t;
}

void endpoint_trace(struct call *c)
{
	struct trace *t = trace_new(c);
	struct err e;
	uint64_t id;

	if (msg_id_parse(c->rest, &id) &&
	    read_history(c, id, t->out, &e) == ST_OK) {
		call_stream(c, "application/x-ndjson");
		call_send(c, t->out, call_end);
		return;
	}
	if (find(c, t, &e) != ST_OK && e.status == ST_TEMP) {
		call_fail_err(c, &e);
		return;
	}
	if (t->n == 0) {
		call_fail(c, 404, "no trace of %s", c->rest);
		return;
	}
	call_stream(c, "application/x-ndjson");
	send_next(c);
}

/* ------- search */

static bool matches(const struct trace *t, const struct message *m)
{
	if (!filter_has_message(&t->filter, m, t->now_ms))
		return false;
	for (size_t i = 0; i < m->nrecipients; i++)
		if (filter_has_recipient(&t->filter, &m->recipients[i],
					 m->recipients[i].state))
			return true;
	return false;
}

static bool see_message(void *arg, const struct message *m)
{
	struct trace *t = arg;

	if (matches(t, m))
		t->ring->ids[t->ring->n++ % t->limit] = m->id;
	return true;
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void take_ring(struct trace *t, const struct ring *r)
{
	size_t n = r->n < t->limit ? r->n : t->limit;

	for (size_t i = 0; i < n; i++)
		t->ids[t->n++] = r->ids[i];
}

/* One that was settled between the walks may be in both. */
static void drop_twins(struct trace *t)
{
	size_t left = 0;

	for (size_t i = 0; i < t->n; i++)
		if (left == 0 || t->ids[left - 1] != t->ids[i])
			t->ids[left++] = t->ids[i];
	t->n = left;
}

/* The newest of both, the oldest of them first. */
static void send_found(struct call *c)
{
	struct trace *t = c->state;

	t->ids = xcalloc(2 * t->limit, sizeof(*t->ids));
	take_ring(t, &t->settled);
	take_ring(t, &t->live);
	if (t->n == 0) {
		call_fail(c, 404,
			  "no mail in the queue or its history matches");
		return;
	}
	qsort(t->ids, t->n, sizeof(*t->ids), by_id);
	drop_twins(t);
	t->next = t->n > t->limit ? t->n - t->limit : 0;
	call_stream(c, "application/x-ndjson");
	send_next(c);
}

static void search_page(struct call *c)
{
	struct store *store = c->relay->store;
	struct trace *t = c->state;
	bool live = t->ring == &t->live, more = false;
	enum status st;
	struct err e;

	if (live)
		st = store->ops->scan(store, &t->cursor, PAGE, &more,
				      see_message, t, &e);
	else
		st = store->ops->scan_settled(store, &t->cursor, PAGE, &more,
					      see_message, t, &e);
	if (st != ST_OK) {
		call_fail_err(c, &e);
		return;
	}
	/* What settles meanwhile must not be missed: live mail comes first. */
	if (!more && live) {
		t->ring = &t->settled;
		t->cursor = 0;
		more = true;
	}
	if (more)
		call_send(c, t->out, search_page);
	else
		send_found(c);
}

/* False: the call has been answered. */
static bool read_limit(struct call *c, struct trace *t)
{
	const char *text = call_param(c, "limit");
	char *end = NULL;

	t->limit = LIMIT;
	if (!text)
		return true;
	if (text[0] >= '0' && text[0] <= '9')
		t->limit = strtoul(text, &end, 10);
	if (end && *end == '\0' && t->limit > 0 && t->limit <= LIMIT_MAX)
		return true;
	call_fail(c, 400, "limit \"%.40s\": wants a number from 1 to %d", text,
		  LIMIT_MAX);
	return false;
}

void endpoint_trace_search(struct call *c)
{
	static const char *const own[] = {"limit", "transcript", NULL};
	struct trace *t = trace_new(c);

	if (!read_limit(c, t) || !call_filter(c, &t->filter, own))
		return;
	if (!t->filter.given) {
		call_fail(c, 400,
			  "a trace wants an id, a Message-ID or a "
			  "filter");
		return;
	}
	t->now_ms = clock_wall_ms();
	t->settled.ids = xcalloc(t->limit, sizeof(uint64_t));
	t->live.ids = xcalloc(t->limit, sizeof(uint64_t));
	t->ring = &t->live;
	search_page(c);
}
