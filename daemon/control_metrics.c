/* SPDX-License-Identifier: ISC */
/*
 * control_metrics - what monitoring asks: /metrics in the text format of
 * Prometheus, and /healthz.
 */
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/census.h"
#include "daemon/certificates.h"
#include "daemon/endpoint.h"
#include "daemon/stats.h"
#include "tls/crl_cache.h"

enum { TEXT_MAX = 16 * 1024 * 1024 };

/* The text so far; `fits` is the sticky truth about it. */
struct page {
	struct call *call;
	struct buf text;
	bool fits;
};

static void head(struct page *p, const char *metric, const char *type,
		 const char *help)
{
	p->fits = p->fits && stats_head(&p->text, metric, type, help);
}

static void sample(struct page *p, const char *metric, uint64_t value)
{
	p->fits = p->fits &&
		  buf_printf(&p->text, "%s %" PRIu64 "\n", metric, value);
}

static void gauge(struct page *p, const char *metric, const char *help,
		  uint64_t value)
{
	head(p, metric, "gauge", help);
	sample(p, metric, value);
}

static void labelled(struct page *p, const char *metric, const char *const *kv,
		     uint64_t value)
{
	p->fits = p->fits && buf_printf(&p->text, "%s{", metric);
	for (size_t i = 0; kv[i] != NULL; i += 2)
		p->fits = p->fits && (i == 0 || buf_add(&p->text, SPAN(","))) &&
			  stats_label(&p->text, kv[i], kv[i + 1]);
	p->fits = p->fits && buf_printf(&p->text, "} %" PRIu64 "\n", value);
}

/* ------- the queue */

/* Groups of one state and cause, over all destinations. */
struct depth {
	uint64_t messages, recipients, bytes;
};

typedef struct depth depths[SHOWN_STATES][CAUSE_COUNT];

static void add_depths(depths *all, const struct census *census)
{
	for (size_t i = 0; i < census->n; i++) {
		const struct group *g = &census->groups[i];
		struct depth *d = &(*all)[g->state][g->cause];

		d->messages += g->messages;
		d->recipients += g->recipients;
		d->bytes += g->bytes;
	}
}

static void print_depths(struct page *p, depths *all, const char *metric,
			 const char *help, size_t member)
{
	head(p, metric, "gauge", help);
	for (unsigned s = 0; s < SHOWN_STATES; s++) {
		for (unsigned c = 0; c < CAUSE_COUNT; c++) {
			const struct depth *d = &(*all)[s][c];
			const char *const kv[] = {
				"state", shown_state_word((enum rcpt_state)s),
				"cause", cause_word((enum cause)c), NULL};

			/* Of every state at least the line without a cause. */
			if (d->recipients > 0 || c == 0)
				labelled(p, metric, kv,
					 *(const uint64_t *)((const char *)d +
							     member));
		}
	}
}

static uint64_t oldest_s(const struct census *census)
{
	int64_t oldest_ms = 0, now_ms = clock_wall_ms();

	for (size_t i = 0; i < census->n; i++) {
		const struct group *g = &census->groups[i];

		if (g->oldest_ms != 0 &&
		    (g->state == STATE_ACTIVE ||
		     !rcpt_state_is_final(g->state)) &&
		    (oldest_ms == 0 || g->oldest_ms < oldest_ms))
			oldest_ms = g->oldest_ms;
	}
	return oldest_ms == 0 || now_ms < oldest_ms
		       ? 0
		       : (uint64_t)(now_ms - oldest_ms) / 1000;
}

static void print_census(struct page *p, const struct census *census)
{
	depths *all = xcalloc(1, sizeof(*all));

	add_depths(all, census);
	print_depths(p, all, "relayd_queue_recipients",
		     "Recipients in the queue.",
		     offsetof(struct depth, recipients));
	print_depths(p, all, "relayd_queue_messages",
		     "Messages in the queue; one counts in each state and "
		     "cause that its recipients have.",
		     offsetof(struct depth, messages));
	print_depths(p, all, "relayd_queue_bytes",
		     "Bytes of the messages in the queue, counted likewise.",
		     offsetof(struct depth, bytes));
	free(all);
	gauge(p, "relayd_queue_oldest_seconds",
	      "Age of the oldest mail that still waits.", oldest_s(census));
}

static void print_space(struct page *p, struct store *store)
{
	struct store_space space;

	store->ops->space(store, &space);
	gauge(p, "relayd_queue_used_bytes", "Space that the queue takes.",
	      space.used_bytes);
	gauge(p, "relayd_queue_limit_bytes",
	      "Space that the queue may take (queue.max_size).",
	      space.max_bytes);
	gauge(p, "relayd_disk_free_bytes",
	      "Free space of the queue's file system.", space.free_disk_bytes);
	gauge(p, "relayd_queue_full", "1: new mail is refused with 452 4.3.1.",
	      space.full);
}

static void print_totals(struct page *p, const struct totals *t)
{
	static const char metric[] = "relayd_queue_lifetime_recipients_total";
	const struct {
		const char *place;
		uint64_t n;
	} places[] = {
		{"accepted", t->accepted}, {"delivered", t->delivered},
		{"expired", t->expired},   {"failed", t->failed},
		{"removed", t->removed},
	};

	head(p, metric, "counter",
	     "Recipients since the queue was made: accepted, and where those "
	     "went that have left it.");
	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		const char *const kv[] = {"place", places[i].place, NULL};

		labelled(p, metric, kv, places[i].n);
	}
	gauge(p, "relayd_queue_conserved",
	      "1: accepted recipients are the sum of the places they are in; "
	      "0 means that mail was lost.",
	      store_conserved(t));
}

/* ------- connections and destinations */

static void print_clients(struct page *p, const struct relay *relay)
{
	static const char metric[] = "relayd_client_connections";

	head(p, metric, "gauge", "Connections of clients.");
	for (size_t i = 0; i < relay->nlistening; i++) {
		const struct listening *l = &relay->listening[i];
		char address[ADDR_TEXT_MAX];
		const char *const kv[] = {"listener", l->listener, "address",
					  address, NULL};

		addr_text(address, &l->addr);
		labelled(p, metric, kv, atomic_load(&l->connections));
	}
}

/* Only those that are not up: there may be one for each domain. */
static void print_destinations(struct page *p,
			       const struct dispatch_question *q)
{
	static const char down[] = "relayd_destination_down_since_seconds";
	uint64_t connections = 0, n = 0;

	head(p, down, "gauge",
	     "Destinations that are failing or suspended, and since when, in "
	     "seconds since 1970.");
	for (size_t i = 0; i < q->nviews; i++) {
		const struct destination_view *v = &q->views[i];
		const char *const kv[] = {
			"destination", v->name,
			"state",       destination_state_word(v->state),
			"cause",       cause_word(v->cause),
			NULL};

		connections += v->connections;
		if (v->state == DESTINATION_UP)
			continue;
		n++;
		labelled(p, down, kv, (uint64_t)v->since_ms / 1000);
	}
	gauge(p, "relayd_destinations", "Destinations that are known now.",
	      q->nviews);
	gauge(p, "relayd_destinations_down",
	      "Destinations that are failing or suspended.", n);
	gauge(p, "relayd_connections", "Connections to next hops.",
	      connections);
}

static void print_fading(struct page *p, const struct fading_view *v)
{
	gauge(p, "relayd_queue_trim_next_seconds",
	      "When the next expired or failed mail is trimmed "
	      "(queue.keep_expired), in seconds since 1970; 0: none is kept.",
	      (uint64_t)v->next_ms / 1000);
	gauge(p, "relayd_queue_trim_soon_recipients",
	      "Expired and failed recipients whose mail is trimmed within a "
	      "day.",
	      v->recipients);
}

/* ------- certificates */

static void print_certificates(struct page *p, struct certificates *all)
{
	static const char until[] = "relayd_certificate_not_after_seconds";

	head(p, until, "gauge",
	     "When a certificate expires, our own or as last seen of a peer "
	     "or client, in seconds since 1970.");
	for (const struct certificate *at = certificates_first(all); at;
	     at = certificates_next(at)) {
		const char *const kv[] = {
			"kind",	   cert_role_word(at->role),
			"name",	   at->where,
			"address", at->address,
			"subject", at->info.subject,
			"watched", at->watched ? "true" : "false",
			NULL};

		if (at->info.not_after_ms > 0)
			labelled(p, until, kv,
				 (uint64_t)at->info.not_after_ms / 1000);
	}
}

/* ------- revocation lists */

static void print_lists(struct page *p, struct crl_cache *crls)
{
	static const char age[] = "relayd_crl_age_seconds";
	static const char next[] = "relayd_crl_next_update_seconds";
	static const char failing[] = "relayd_crl_failing";
	int64_t now_ms = clock_wall_ms();
	struct crl_view *views;
	size_t n;

	crl_cache_view(crls, &views, &n);
	head(p, age, "gauge", "How old a revocation list is.");
	for (size_t i = 0; i < n; i++) {
		const char *const kv[] = {"source", views[i].source, NULL};

		if (views[i].has_list && views[i].this_update_ms <= now_ms)
			labelled(p, age, kv,
				 (uint64_t)(now_ms - views[i].this_update_ms) /
					 1000);
	}
	head(p, next, "gauge",
	     "When a revocation list is stale, in seconds since 1970.");
	for (size_t i = 0; i < n; i++) {
		const char *const kv[] = {"source", views[i].source, NULL};

		if (views[i].next_update_ms > 0)
			labelled(p, next, kv,
				 (uint64_t)views[i].next_update_ms / 1000);
	}
	head(p, failing, "gauge",
	     "1: a revocation list could not be had or used at last.");
	for (size_t i = 0; i < n; i++) {
		const char *const kv[] = {"source", views[i].source, NULL};

		labelled(p, failing, kv, views[i].failing);
	}
	free(views);
}

static void print_build(struct page *p)
{
	const char *const kv[] = {"version", RELAYD_VERSION, NULL};
	int64_t up_ms = clock_mono_ms() - p->call->conf->started_mono_ms;

	head(p, "relayd_build_info", "gauge",
	     "Which relayd this is; always 1.");
	labelled(p, "relayd_build_info", kv, 1);
	gauge(p, "relayd_start_time_seconds",
	      "When it was started, in seconds since 1970.",
	      (uint64_t)(clock_wall_ms() - up_ms) / 1000);
}

/* ------- /metrics */

static void send_text(struct call *c, const char *type, struct buf *text,
		      bool fits)
{
	struct evbuffer *out = evbuffer_new();
	struct span s = buf_span(text);

	BUG_ON(!out || evbuffer_add(out, s.at, s.len) < 0);
	buf_release(text);
	if (fits) {
		call_stream(c, type);
		call_send(c, out, call_end);
	} else {
		call_fail(c, 500, "more metrics than fit into a page");
	}
	evbuffer_free(out);
}

static void on_measured(struct call *c)
{
	const struct dispatch_question *q = &c->question;
	struct page p = {.call = c, .fits = true};
	struct store *store = c->relay->store;
	struct census census;
	struct totals totals;
	struct err e;

	if (store->ops->totals(store, &totals, &e) != ST_OK ||
	    census_take(store, q->active, q->nactive, &census, &e) != ST_OK) {
		call_fail_err(c, &e);
		return;
	}
	buf_init(&p.text, TEXT_MAX);
	print_build(&p);
	print_census(&p, &census);
	census_release(&census);
	print_totals(&p, &totals);
	print_space(&p, store);
	print_clients(&p, c->relay);
	print_destinations(&p, q);
	print_fading(&p, &q->fading);
	print_certificates(&p, c->relay->certificates);
	print_lists(&p, c->relay->crls);
	p.fits = p.fits && stats_print(c->relay->stats, &p.text);
	send_text(c, "text/plain; version=0.0.4; charset=utf-8", &p.text,
		  p.fits);
}

void endpoint_metrics(struct call *c)
{
	call_ask(c, ORDER_VIEW, NULL, on_measured);
}

/* ------- /healthz */

/* The dispatcher has answered, so it lives; main does, who asks. */
static void on_health(struct call *c)
{
	struct store *store = c->relay->store;
	struct store_space space;
	struct totals totals;
	struct err e;

	store->ops->space(store, &space);
	if (store->ops->totals(store, &totals, &e) != ST_OK)
		call_fail(c, 503, "the queue cannot be read: %s", e.text);
	else if (!store_conserved(&totals))
		call_fail(c, 503,
			  "accepted recipients are not the sum of the places "
			  "they are in: relayctl check queue");
	else if (space.full)
		call_fail(c, 503, "the queue is full: new mail is refused");
	else
		call_answer(c, 200, json_pack("{s:s}", "health", "ok"));
}

void endpoint_health(struct call *c)
{
	call_ask(c, ORDER_VIEW, NULL, on_health);
}
