/* SPDX-License-Identifier: ISC */
/*
 * seed - fills a queue with mail that waits, for measurements.
 *
 *	seed [-n MESSAGES] [-d DESTINATIONS] [-b BYTES] [-m MAX_SIZE]
 *	     [-t HOST:PORT] DIRECTORY
 *
 * Message i has one recipient, in the lane (and on the route) outNN of its
 * destination NN, "outNN/HOST:PORT", at the domain dNN.example.  Of a hundred
 * messages 30 are deferred by TLS, 50 for other reasons, 8 are held, 6
 * expired, 4 failed, and 2 are queued for later; twelve causes in all.  All
 * destinations are failing, so a relayd that is started here does not send
 * anything before a probe or an operator says so.
 *
 * It goes through the store's own contract.  The same arguments give the same
 * mail, but for ids and times.  Says how long it took.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/units.h"
#include "queue/store.h"

enum {
	BATCH = 2000, /* messages in a transaction */
	SPREAD_S = 12 * 3600, /* from the first arrival to the last */
};

static struct {
	uint64_t messages, destinations, bytes, checksum;
	struct store_conf store;
	const char *hop;
} order = {
	.messages = 1000000,
	.destinations = 50,
	.bytes = 4096,
	.store = {.max_bytes = 16ULL << 30},
	.hop = "127.0.0.1:25",
};

static const struct {
	enum cause cause;
	enum rcpt_wait wait;
	const char *reply;
} tls_causes[] =
	{
		{CAUSE_IS_TLS_CERT_EXPIRED, WAIT_DESTINATION,
		 "the certificate expired 2 days ago"},
		{CAUSE_IS_TLS_NOT_OFFERED, WAIT_DESTINATION,
		 "does not offer STARTTLS, the route demands TLS"},
		{CAUSE_IS_TLS_CERT_NAME, WAIT_DESTINATION,
		 "the certificate is for mx.example.org"},
		{CAUSE_IS_TLS_HANDSHAKE, WAIT_DESTINATION,
		 "closed the connection in the TLS handshake"},
},
  other_causes[] = {
	  {CAUSE_IS_CONNECT_REFUSED, WAIT_DESTINATION, "connection refused"},
	  {CAUSE_IS_CONNECT_TIMEOUT, WAIT_DESTINATION, "no answer in time"},
	  {CAUSE_IS_DNS_SERVFAIL, WAIT_DESTINATION, "the resolver failed"},
	  {CAUSE_IS_AUTH_FAILED, WAIT_DESTINATION,
	   "535 5.7.8 Authentication credentials invalid"},
	  {CAUSE_IS_PEER_DEFERRED, WAIT_TIME, "451 4.3.0 Try again later"},
	  {CAUSE_IS_PEER_THROTTLED, WAIT_TIME, "451 4.7.500 Server busy"},
	  {CAUSE_IS_CONNECTION_LOST, WAIT_TIME,
	   "the connection was lost at DATA"},
	  {CAUSE_IS_PEER_TIMEOUT, WAIT_TIME, "did not answer in time at DATA"},
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "seed: %s: %s\n", what, why);
	exit(1);
}

/* ------- a message */

/* A number that looks random and is the same each time. */
static uint64_t scatter(uint64_t i)
{
	i = (i ^ (i >> 31)) * 0x9E3779B97F4A7C15ULL;
	i = (i ^ (i >> 29)) * 0xBF58476D1CE4E5B9ULL;
	return i ^ (i >> 32);
}

static void set_text(char **field, const char *text)
{
	free(*field);
	*field = xstrdup(text);
}

static void set_state(struct recipient *r, uint64_t i)
{
	uint64_t part = i % 100, random = scatter(i) >> 8;
	size_t tls = random % ARRAY_LEN(tls_causes);
	size_t other = random % ARRAY_LEN(other_causes);
	int64_t later_ms = clock_wall_ms() + SPREAD_S * INT64_C(1000);

	r->since_ms = r->fresh_ms;
	r->due_ms = later_ms + (int64_t)(random % 3600000);
	if (part >= 98)
		return; /* queued */
	r->attempts = 1 + (uint32_t)(random % 9);
	if (part < 30 || part >= 80) {
		r->cause = tls_causes[tls].cause;
		r->wait = tls_causes[tls].wait;
		set_text(&r->reply, tls_causes[tls].reply);
	} else {
		r->cause = other_causes[other].cause;
		r->wait = other_causes[other].wait;
		set_text(&r->reply, other_causes[other].reply);
	}
	r->state = part < 80   ? RCPT_DEFERRED
		   : part < 88 ? RCPT_HELD
		   : part < 94 ? RCPT_EXPIRED
			       : RCPT_FAILED;
}

static struct message *make(struct store *store, uint64_t i)
{
	uint64_t n = order.messages, where = scatter(i) % order.destinations;
	uint64_t age_ms = SPREAD_S * UINT64_C(1000) * (n - i) / n;
	struct message *m = message_new();
	char address[96], lane[32], destination[STORE_NAME_MAX + 1], text[128];
	struct recipient *r;

	m->id = store->ops->new_id(store);
	m->received_ms = clock_wall_ms() - (int64_t)age_ms;
	m->bytes = order.bytes;
	m->checksum = order.checksum;
	snprintf(text, sizeof(text),
		 "user%" PRIu64 "@sender%" PRIu64 ".example", i % 997, i % 61);
	set_text(&m->sender, text);
	snprintf(text, sizeof(text), "%" PRIu64 ".seed@sender.example", i);
	set_text(&m->message_id, text);
	set_text(&m->trace_field,
		 "Received: from client.example ([192.0.2.7])\r\n"
		 "\tby relay.example with ESMTP\r\n");
	set_text(&m->listener, "in");
	set_text(&m->client, "192.0.2.7:4711");
	set_text(&m->helo, "client.example");
	snprintf(address, sizeof(address),
		 "rcpt%" PRIu64 "@d%02" PRIu64 ".example", i, where);
	snprintf(lane, sizeof(lane), "out%02" PRIu64, where);
	snprintf(destination, sizeof(destination), "%s/%s", lane, order.hop);
	r = message_add(m, address, lane, destination);
	r->fresh_ms = m->received_ms;
	set_state(r, i);
	return m;
}

/* ------- the queue */

static void apply(struct store *store, struct store_op *ops, size_t n)
{
	struct store_op **list = xcalloc(n, sizeof(struct store_op *));

	for (size_t i = 0; i < n; i++)
		list[i] = &ops[i];
	if (store->ops->apply(store, list, n) != ST_OK)
		die(order.store.path, ops[0].err.text);
	for (size_t i = 0; i < n; i++) {
		if (ops[i].status != ST_OK)
			die(order.store.path, ops[i].err.text);
		store_op_release(&ops[i]);
	}
	free(list);
}

static void put_messages(struct store *store, struct span body)
{
	struct store_op *ops = xcalloc(BATCH, sizeof(*ops));
	struct message **made = xcalloc(BATCH, sizeof(struct message *));
	uint64_t i = 0;

	while (i < order.messages) {
		struct event ev;
		size_t n = 0;

		event_init(&ev);
		ev.kind = EVENT_RECEIVED;
		ev.time_ms = clock_wall_ms();
		for (; n < BATCH && i < order.messages; n++, i++) {
			made[n] = make(store, i);
			ops[n] = (struct store_op){
				.verb = STORE_ENQUEUE,
				.id = made[n]->id,
				.body = body,
				.message = made[n],
				.events = &ev,
				.nevents = 1,
			};
		}
		apply(store, ops, n);
		event_release(&ev);
		for (size_t k = 0; k < n; k++)
			message_free(made[k]);
	}
	free(ops);
	free(made);
}

static void put_destinations(struct store *store)
{
	for (uint64_t i = 0; i < order.destinations; i++) {
		size_t tls = i % ARRAY_LEN(tls_causes);
		struct destination_record d = {
			.name = xasprintf("out%02" PRIu64 "/%s", i, order.hop),
			.failing = true,
			.cause = tls_causes[tls].cause,
			.since_ms = clock_wall_ms() - SPREAD_S * INT64_C(1000),
			.reply = xstrdup(tls_causes[tls].reply),
			.reason = xstrdup(""),
		};
		struct store_op op = {
			.verb = STORE_DESTINATION,
			.destination = &d,
		};

		apply(store, &op, 1);
		destination_record_release(&d);
	}
}

static struct buf make_body(void)
{
	static const char head[] = "From: <seed@sender.example>\r\n"
				   "Subject: seed\r\n\r\n";
	struct buf body;

	buf_init(&body, order.bytes + 1);
	if (!buf_add(&body, SPAN(head)))
		die("-b", "wants a size of at least 64 bytes");
	while (body.len + 2 < order.bytes) {
		/* Lines of at most 64. */
		size_t left = order.bytes - body.len - 2;
		struct span line = {"Lorem ipsum dolor sit amet, consetetur "
				    "sadipscing elitr, sed diam",
				    left < 64 ? left : 64};

		if (!buf_add(&body, line) || !buf_add(&body, SPAN("\r\n")))
			break;
	}
	order.bytes = body.len;
	order.checksum = digest_of(buf_span(&body));
	return body;
}

/* ------- */

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: seed [-n MESSAGES] [-d DESTINATIONS] "
			"[-b BYTES] [-m MAX_SIZE]\n"
			"            [-t HOST:PORT] DIRECTORY\n");
	exit(2);
}

static void count_option(uint64_t *out)
{
	char *end;

	*out = strtoull(optarg, &end, 10);
	if (*end != '\0' || *out == 0)
		usage();
}

static void read_options(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:d:b:m:t:")) != -1) {
		switch (c) {
		case 'n':
			count_option(&order.messages);
			break;
		case 'd':
			count_option(&order.destinations);
			break;
		case 'b':
			if (!size_parse(optarg, &order.bytes))
				usage();
			break;
		case 'm':
			if (!size_parse(optarg, &order.store.max_bytes))
				usage();
			break;
		case 't':
			order.hop = optarg;
			break;
		default:
			usage();
		}
	}
	if (optind + 1 != argc)
		usage();
	order.store.path = argv[optind];
}

int main(int argc, char **argv)
{
	int64_t began_ms = clock_mono_ms();
	struct store *store;
	struct buf body;
	struct err e;

	read_options(argc, argv);
	body = make_body();
	if (store_lmdb_open(&store, &order.store, &e) != ST_OK)
		die(order.store.path, e.text);
	put_destinations(store);
	put_messages(store, buf_span(&body));
	printf("%" PRIu64 " messages of %" PRIu64 " bytes in %" PRId64 " s\n",
	       order.messages, order.bytes,
	       (clock_mono_ms() - began_ms) / 1000);
	store->ops->close(store);
	buf_release(&body);
	return 0;
}
