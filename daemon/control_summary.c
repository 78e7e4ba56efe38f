/* SPDX-License-Identifier: ISC */
/*
 * control_summary - the endpoint that counts the queue in groups.
 *
 * The usual question (by destination and cause, everything) is answered from
 * the store's counters whatever the size of the queue.  Any other one scans
 * the queue, a page at a time, into a hash table of bounded size.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <uthash.h>

#include "daemon/census.h"
#include "daemon/endpoint.h"
#include "smtp/address.h"

enum {
	PAGE = 256, /* messages in one go */
	ROWS_MAX = 10000,
	SAMPLES_MAX = 500, /* groups looked into for a reply */
};

enum by {
	BY_DESTINATION = 1,
	BY_CAUSE = 2,
	BY_SENDER = 4,
	BY_DOMAIN = 8,
	BY_DEFAULT = BY_DESTINATION | BY_CAUSE,
};

static const struct {
	const char *word;
	unsigned by;
} by_words[] = {
	{"destination", BY_DESTINATION},
	{"cause", BY_CAUSE},
	{"sender", BY_SENDER},
	{"domain", BY_DOMAIN},
};

struct row {
	char *key; /* owned; of the hash table */
	enum rcpt_state state;
	enum cause cause;
	char *destination, *sender, *domain; /* owned; "" if not asked */
	char *reply; /* owned */
	uint64_t messages, recipients, bytes;
	int64_t oldest_ms, next_expiry_ms; /* 0: unknown, none */
	uint64_t last_id; /* the message counted last */
	UT_hash_handle hh;
};

struct summary {
	struct filter filter;
	unsigned by;
	struct view view; /* of the page in hand */
	struct evbuffer *out; /* owned */
	uint64_t cursor;
	struct row *rows; /* owned; the hash table */
	size_t nrows;
	bool too_many;
};

static void row_free(struct row *r)
{
	free(r->key);
	free(r->destination);
	free(r->sender);
	free(r->domain);
	free(r->reply);
	free(r);
}

static void summary_free(void *state)
{
	struct summary *s = state;
	struct row *r, *next;

	HASH_ITER(hh, s->rows, r, next) {
		HASH_DEL(s->rows, r);
		row_free(r);
	}
	filter_release(&s->filter);
	evbuffer_free(s->out);
	free(s);
}

static bool by_parse(const char *list, unsigned *out)
{
	unsigned by = 0;

	for (;;) {
		struct span word = {list, strcspn(list, ",")};
		unsigned bit = 0;

		for (size_t i = 0; i < ARRAY_LEN(by_words); i++)
			if (span_eq(word, span_of(by_words[i].word)))
				bit = by_words[i].by;
		if (bit == 0)
			return false;
		by |= bit;
		if (list[word.len] == '\0')
			break;
		list += word.len + 1;
	}
	*out = by;
	return true;
}

/* ------- the answer */

static json_t *row_view(const struct summary *s, const struct row *r)
{
	int64_t age_ms = s->view.now_ms - r->oldest_ms;
	json_t *o = json_object();

	json_object_set_new(o, "state",
			    json_string(shown_state_word(r->state)));
	json_object_set_new(o, "destination", view_text(r->destination));
	json_object_set_new(o, "cause", json_string(cause_word(r->cause)));
	if (s->by & BY_SENDER)
		json_object_set_new(o, "sender", view_text(r->sender));
	if (s->by & BY_DOMAIN)
		json_object_set_new(o, "domain", view_text(r->domain));
	json_object_set_new(o, "messages",
			    json_integer((json_int_t)r->messages));
	json_object_set_new(o, "recipients",
			    json_integer((json_int_t)r->recipients));
	json_object_set_new(o, "bytes", json_integer((json_int_t)r->bytes));
	json_object_set_new(o, "oldest_s",
			    r->oldest_ms ? json_integer(age_ms / 1000)
					 : json_null());
	json_object_set_new(o, "next_expiry", view_time(r->next_expiry_ms));
	json_object_set_new(o, "reply", view_text(r->reply));
	json_object_set_new(o, "remedy", json_string(cause_remedy(r->cause)));
	return o;
}

static int largest_first(const struct row *a, const struct row *b)
{
	if (a->recipients != b->recipients)
		return a->recipients > b->recipients ? -1 : 1;
	return strcmp(a->key, b->key);
}

static void send_rows(struct call *c)
{
	struct summary *s = c->state;

	s->view = call_view(c);
	HASH_SORT(s->rows, largest_first);
	for (const struct row *r = s->rows; r; r = r->hh.next)
		call_line(s->out, row_view(s, r));
	call_stream(c, "application/x-ndjson");
	call_send(c, s->out, call_end);
}

/* ------- groups */

/* What a recipient is counted under; borrowed. */
struct place {
	enum rcpt_state state;
	enum cause cause;
	const char *destination, *sender, *domain;
};

/* NULL when there are too many. */
static struct row *find_or_add(struct summary *s, const struct place *p)
{
	char *key =
		xasprintf("%d\x1f%d\x1f%s\x1f%s\x1f%s", (int)p->state,
			  (int)p->cause, p->destination, p->sender, p->domain);
	struct row *r;

	HASH_FIND_STR(s->rows, key, r);
	if (r || s->nrows == ROWS_MAX) {
		free(key);
		return r;
	}
	r = xcalloc(1, sizeof(*r));
	r->key = key;
	r->state = p->state;
	r->cause = p->cause;
	r->destination = xstrdup(p->destination);
	r->sender = xstrdup(p->sender);
	r->domain = xstrdup(p->domain);
	r->reply = xstrdup("");
	HASH_ADD_KEYPTR(hh, s->rows, r->key, strlen(r->key), r);
	s->nrows++;
	return r;
}

static void set_sample(struct summary *s, struct row *r,
		       const struct recipient *sample)
{
	int64_t expires_ms = view_expires_ms(&s->view, sample);

	if (r->reply[0] == '\0' && sample->reply[0] != '\0') {
		free(r->reply);
		r->reply = xstrdup(sample->reply);
	}
	if (expires_ms != 0 &&
	    (r->next_expiry_ms == 0 || expires_ms < r->next_expiry_ms))
		r->next_expiry_ms = expires_ms;
}

/* ------- from the counters */

/* The oldest of the group speaks for it. */
static void look_into(struct call *c, struct row *r)
{
	struct store *store = c->relay->store;
	struct summary *s = c->state;
	struct message *m;
	struct due first;
	struct err e;
	size_t n;

	if (r->state == STATE_ACTIVE ||
	    store->ops->members(store, r->state, r->cause, r->destination, NULL,
				&first, 1, &n, &e) != ST_OK ||
	    n == 0 || store->ops->load(store, first.id, &m, &e) != ST_OK)
		return;
	if (message_recipient(m, first.number))
		set_sample(s, r, message_recipient(m, first.number));
	message_free(m);
}

static void count_groups(struct call *c)
{
	const struct dispatch_question *q = &c->question;
	struct summary *s = c->state;
	struct census census;
	struct err e;

	if (census_take(c->relay->store, q->active, q->nactive, &census, &e) !=
	    ST_OK) {
		call_fail_err(c, &e);
		return;
	}
	s->view = call_view(c);
	for (size_t i = 0; i < census.n && i < ROWS_MAX; i++) {
		const struct group *g = &census.groups[i];
		struct place p = {g->state, g->cause, g->destination, "", ""};
		struct row *r = find_or_add(s, &p);

		BUG_ON(!r); /* there are no more rows than groups so far */
		r->messages = g->messages;
		r->recipients = g->recipients;
		r->bytes = g->bytes;
		r->oldest_ms = g->oldest_ms;
		if (i < SAMPLES_MAX)
			look_into(c, r);
	}
	census_release(&census);
	send_rows(c);
}

/* ------- by a scan */

static void count_recipient(struct summary *s, const struct message *m,
			    const struct recipient *rcpt, enum rcpt_state state)
{
	char domain[DOMAIN_MAX + 1] = "";
	struct place p = {.state = state};
	struct row *r;

	if (s->by & BY_DOMAIN)
		address_domain_lower(domain, rcpt->address);
	p.cause = s->by & BY_CAUSE ? rcpt->cause : CAUSE_IS_NONE;
	p.destination = s->by & BY_DESTINATION ? rcpt->destination : "";
	p.sender = s->by & BY_SENDER ? m->sender : "";
	p.domain = domain;
	r = find_or_add(s, &p);
	if (!r) {
		s->too_many = true;
		return;
	}
	r->recipients++;
	if (r->last_id != m->id) {
		r->last_id = m->id;
		r->messages++;
		r->bytes += m->bytes;
	}
	if (r->oldest_ms == 0 || m->received_ms < r->oldest_ms)
		r->oldest_ms = m->received_ms;
	set_sample(s, r, rcpt);
}

static bool count_message(void *arg, const struct message *m)
{
	struct summary *s = arg;

	if (!filter_has_message(&s->filter, m, s->view.now_ms))
		return true;
	for (size_t i = 0; i < m->nrecipients && !s->too_many; i++) {
		const struct recipient *r = &m->recipients[i];
		enum rcpt_state state = view_state(&s->view, m->id, r);

		if (filter_has_recipient(&s->filter, r, state))
			count_recipient(s, m, r, state);
	}
	return !s->too_many;
}

static void count_page(struct call *c)
{
	struct store *store = c->relay->store;
	struct summary *s = c->state;
	bool more = false;
	struct err e;

	s->view = call_view(c);
	if (store->ops->scan(store, &s->cursor, PAGE, &more, count_message, s,
			     &e) != ST_OK) {
		call_fail_err(c, &e);
		return;
	}
	if (s->too_many)
		call_fail(c, 400, "more than %d groups: give a filter",
			  ROWS_MAX);
	else if (more)
		call_send(c, s->out, count_page);
	else
		send_rows(c);
}

/* ------- the endpoint */

static void on_view(struct call *c)
{
	const struct summary *s = c->state;

	if (s->by == BY_DEFAULT && !s->filter.given)
		count_groups(c);
	else
		count_page(c);
}

void endpoint_summary(struct call *c)
{
	static const char *const own[] = {"by", NULL};
	const char *by = call_param(c, "by");
	struct summary *s = xcalloc(1, sizeof(*s));

	filter_init(&s->filter);
	s->by = BY_DEFAULT;
	s->out = evbuffer_new();
	BUG_ON(!s->out);
	c->state = s;
	c->state_free = summary_free;
	if (by && !by_parse(by, &s->by)) {
		call_fail(c, 400,
			  "by \"%.40s\": wants destination, cause, sender or "
			  "domain, joined by commas",
			  by);
		return;
	}
	if (!call_filter(c, &s->filter, own))
		return;
	call_ask(c, ORDER_VIEW, NULL, on_view);
}
