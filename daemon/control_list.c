/* SPDX-License-Identifier: ISC */
/*
 * control_list - the endpoint that lists messages, one JSON object a line.
 *
 * Unsorted (by arrival, which is the order of ids) the list is streamed: a
 * page of the store, then the reader's turn, so memory stays constant.
 * Sorted, the best `limit` keys are kept in a heap with the worst on top while
 * the queue is scanned; then these messages are loaded again and streamed.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "daemon/endpoint.h"

enum {
	PAGE = 256, /* messages in one go */
	SORT_MAX = 10000,
	TEXT_KEY_MAX = 64,
};

enum sort {
	SORT_RECEIVED,
	SORT_AGE,
	SORT_SIZE,
	SORT_ATTEMPTS,
	SORT_NEXT_ATTEMPT,
	SORT_EXPIRES,
	SORT_SENDER,
	SORT_DESTINATION,
	SORT_CAUSE,
	SORT_STATE,
};

static const char *const sort_words[] = {
	[SORT_RECEIVED] = "received",
	[SORT_AGE] = "age",
	[SORT_SIZE] = "size",
	[SORT_ATTEMPTS] = "attempts",
	[SORT_NEXT_ATTEMPT] = "next_attempt",
	[SORT_EXPIRES] = "expires",
	[SORT_SENDER] = "sender",
	[SORT_DESTINATION] = "destination",
	[SORT_CAUSE] = "cause",
	[SORT_STATE] = "state",
};

/* What a message is sorted by; ids break ties. */
struct key {
	int64_t number;
	char text[TEXT_KEY_MAX];
	uint64_t id;
};

struct list {
	struct call *call; /* borrowed */
	struct filter filter;
	enum sort sort;
	bool descending;
	bool keeping; /* keys are needed: not by arrival */
	bool limited;
	size_t limit;

	struct view view; /* of the page in hand */
	struct evbuffer *out; /* owned */
	uint64_t cursor;
	size_t sent;

	struct key *keys; /* owned; a heap, later sorted */
	size_t nkeys, next;
	bool too_many;
};

static void list_free(void *state)
{
	struct list *l = state;

	filter_release(&l->filter);
	evbuffer_free(l->out);
	free(l->keys);
	free(l);
}

/* ------- parameters */

static bool sort_parse(struct list *l, const char *word)
{
	l->descending = word[0] == '-';
	word += l->descending;
	for (size_t i = 0; i < ARRAY_LEN(sort_words); i++) {
		if (strcmp(sort_words[i], word) != 0)
			continue;
		l->sort = (enum sort)i;
		l->keeping = i != SORT_RECEIVED || l->descending;
		return true;
	}
	return false;
}

static bool limit_parse(struct list *l, const char *text)
{
	char *end;
	unsigned long n;

	if (text[0] < '0' || text[0] > '9')
		return false;
	n = strtoul(text, &end, 10);
	if (*end != '\0' || n == 0)
		return false;
	l->limited = true;
	l->limit = n;
	return true;
}

/* False: the call has been answered. */
static bool read_parameters(struct call *c, struct list *l)
{
	static const char *const own[] = {"sort", "limit", NULL};
	const char *sort = call_param(c, "sort");
	const char *limit = call_param(c, "limit");

	if (sort && !sort_parse(l, sort)) {
		call_fail(c, 400,
			  "sort \"%.40s\": wants received, age, size, "
			  "attempts, next_attempt, expires, sender, "
			  "destination, cause or state, with - in front to "
			  "turn it round",
			  sort);
		return false;
	}
	if (limit && !limit_parse(l, limit)) {
		call_fail(c, 400, "limit \"%.40s\": wants a number above 0",
			  limit);
		return false;
	}
	if (l->keeping && l->limit > SORT_MAX) {
		call_fail(c, 400,
			  "a sorted list holds %d messages at most: lower "
			  "the limit",
			  SORT_MAX);
		return false;
	}
	if (!l->limited)
		l->limit = l->keeping ? SORT_MAX : SIZE_MAX;
	return call_filter(c, &l->filter, own);
}

/* ------- by arrival */

static bool add_row(void *arg, const struct message *m)
{
	struct list *l = arg;
	json_t *row = view_message_row(&l->view, m, &l->filter);

	if (row) {
		call_line(l->out, row);
		l->sent++;
	}
	return l->sent < l->limit;
}

static void send_page(struct call *c)
{
	struct store *store = c->relay->store;
	struct list *l = c->state;
	bool more = false;
	struct err e;

	l->view = call_view(c);
	if (store->ops->scan(store, &l->cursor, PAGE, &more, add_row, l, &e) !=
	    ST_OK) {
		call_break(c);
		return;
	}
	call_send(c, l->out, more && l->sent < l->limit ? send_page : call_end);
}

/* ------- sorted */

static void key_of(const struct list *l, const struct message *m,
		   const struct digested *d, struct key *k)
{
	const char *text = "";

	*k = (struct key){.id = m->id};
	switch (l->sort) {
	case SORT_RECEIVED:
		k->number = m->received_ms;
		break;
	case SORT_AGE:
		k->number = -m->received_ms;
		break;
	case SORT_SIZE:
		k->number = (int64_t)m->bytes;
		break;
	case SORT_ATTEMPTS:
		k->number = d->attempts;
		break;
	case SORT_NEXT_ATTEMPT:
		/* Without a next one: behind all that have one. */
		k->number = d->next_attempt_ms ? d->next_attempt_ms : INT64_MAX;
		break;
	case SORT_EXPIRES:
		k->number = d->expires_ms ? d->expires_ms : INT64_MAX;
		break;
	case SORT_SENDER:
		text = m->sender;
		break;
	case SORT_DESTINATION:
		text = d->first->destination;
		break;
	case SORT_CAUSE:
		text = cause_word(d->first->cause);
		break;
	case SORT_STATE:
		text = shown_state_word(d->state);
		break;
	}
	memcpy(k->text, text, strnlen(text, sizeof(k->text) - 1));
}

static int ascending(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (order != 0)
		return order;
	return x->id == y->id ? 0 : x->id < y->id ? -1 : 1;
}

static int descending(const void *a, const void *b)
{
	return ascending(b, a);
}

static bool before(const struct list *l, const struct key *a,
		   const struct key *b)
{
	return (l->descending ? descending(a, b) : ascending(a, b)) < 0;
}

static void swap(struct key *a, struct key *b)
{
	struct key t = *a;

	*a = *b;
	*b = t;
}

static void sift_up(struct list *l, size_t i)
{
	while (i > 0 && before(l, &l->keys[(i - 1) / 2], &l->keys[i])) {
		swap(&l->keys[(i - 1) / 2], &l->keys[i]);
		i = (i - 1) / 2;
	}
}

static void sift_down(struct list *l)
{
	size_t i = 0;

	for (;;) {
		size_t child = 2 * i + 1;

		if (child >= l->nkeys)
			return;
		if (child + 1 < l->nkeys &&
		    before(l, &l->keys[child], &l->keys[child + 1]))
			child++;
		if (!before(l, &l->keys[i], &l->keys[child]))
			return;
		swap(&l->keys[i], &l->keys[child]);
		i = child;
	}
}

static void keep(struct list *l, const struct key *k)
{
	if (l->nkeys < l->limit) {
		l->keys[l->nkeys] = *k;
		sift_up(l, l->nkeys++);
		return;
	}
	l->too_many = !l->limited;
	if (before(l, k, &l->keys[0])) {
		l->keys[0] = *k;
		sift_down(l);
	}
}

static bool keep_message(void *arg, const struct message *m)
{
	struct list *l = arg;
	struct digested d;
	struct key k;

	view_digest(&l->view, m, &l->filter, &d);
	if (d.n > 0) {
		key_of(l, m, &d, &k);
		keep(l, &k);
	}
	return !l->too_many;
}

/* What has left the queue since it was scanned is left out. */
static void send_sorted(struct call *c)
{
	struct store *store = c->relay->store;
	struct list *l = c->state;

	l->view = call_view(c);
	for (size_t n = 0; n < PAGE && l->next < l->nkeys; n++, l->next++) {
		struct message *m;
		struct err e;

		if (store->ops->load(store, l->keys[l->next].id, &m, &e) !=
		    ST_OK)
			continue;
		call_line(l->out, view_message_row(&l->view, m, &l->filter));
		message_free(m);
	}
	call_send(c, l->out, l->next < l->nkeys ? send_sorted : call_end);
}

static void sort_page(struct call *c)
{
	struct store *store = c->relay->store;
	struct list *l = c->state;
	bool more = false;
	struct err e;

	l->view = call_view(c);
	if (store->ops->scan(store, &l->cursor, PAGE, &more, keep_message, l,
			     &e) != ST_OK) {
		call_fail_err(c, &e);
		return;
	}
	if (l->too_many) {
		call_fail(c, 400,
			  "more than %d messages to sort: give a limit or a "
			  "narrower filter",
			  SORT_MAX);
		return;
	}
	if (more) {
		call_send(c, l->out, sort_page);
		return;
	}
	qsort(l->keys, l->nkeys, sizeof(*l->keys),
	      l->descending ? descending : ascending);
	call_stream(c, "application/x-ndjson");
	send_sorted(c);
}

/* ------- the endpoint */

static void on_view(struct call *c)
{
	struct list *l = c->state;

	if (l->keeping) {
		sort_page(c);
		return;
	}
	call_stream(c, "application/x-ndjson");
	send_page(c);
}

void endpoint_list(struct call *c)
{
	struct list *l = xcalloc(1, sizeof(*l));

	filter_init(&l->filter);
	l->out = evbuffer_new();
	BUG_ON(!l->out);
	c->state = l;
	c->state_free = list_free;
	if (!read_parameters(c, l))
		return;
	if (l->keeping)
		l->keys = xcalloc(l->limit, sizeof(*l->keys));
	call_ask(c, ORDER_VIEW, NULL, on_view);
}
