/* SPDX-License-Identifier: ISC */
/*
 * t_stream - streams over real sockets on the loopback: what their owner is
 * told, in which order, and what the peer gets.
 *
 * The peer is either another stream or a bare blocking socket ("raw").
 */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/listener.h"
#include "net/stream.h"

enum { EVENTS = STREAM_FAILED + 1, GUARD_S = 20, MEGABYTE = 1024 * 1024 };

static struct event_base *base;

/* An owner of a stream that notes what it is told. */
struct owner {
	struct stream *s;
	int seen[EVENTS];
	char order[64]; /* a letter for each event */
	size_t norder;
	struct buf got;
	bool keeps_input; /* does not take it */
	bool frees; /* in the callback of `on` */
	bool finishes; /* likewise */
	bool pauses; /* likewise */
	enum stream_event on;
	size_t to_send; /* bytes still to write, when there is room */
	size_t sent;
	bool inside; /* a call of stream.h, where no callback may come */
};

static char pattern(size_t at)
{
	return (char)('a' + at % 23 + at / 4096 % 3);
}

static void send_more(struct owner *o)
{
	char piece[1000];

	while (o->to_send > 0 && stream_output_bytes(o->s) < 200 * 1024) {
		size_t n =
			o->to_send < sizeof(piece) ? o->to_send : sizeof(piece);

		for (size_t i = 0; i < n; i++)
			piece[i] = pattern(o->sent + i);
		ck_assert(stream_write(o->s, (struct span){piece, n}));
		o->sent += n;
		o->to_send -= n;
	}
}

static void take_all(struct owner *o)
{
	struct buf *in = stream_input(o->s);

	ck_assert(buf_add(&o->got, buf_span(in)));
	buf_take(in, in->len);
}

static void owner_seen(void *arg, enum stream_event event)
{
	struct owner *o = arg;

	ck_assert(!o->inside);
	ck_assert_ptr_nonnull(o->s);
	o->seen[event]++;
	if (o->norder < sizeof(o->order) - 1)
		o->order[o->norder++] = "CRDSTEF"[event];
	if (o->frees && event == o->on) {
		stream_free(o->s);
		o->s = NULL;
		return;
	}
	if (event == STREAM_READABLE && !o->keeps_input)
		take_all(o);
	if (event == STREAM_DRAINED)
		send_more(o);
	if (o->pauses && event == o->on)
		stream_pause(o->s);
	if (o->finishes && event == o->on) {
		stream_finish(o->s, 5000);
		o->s = NULL;
	}
}

static struct owner *owner_new(void)
{
	struct owner *o = xcalloc(1, sizeof(*o));

	buf_init(&o->got, 16 * MEGABYTE);
	return o;
}

static void owner_free(struct owner *o)
{
	if (!o)
		return;
	stream_free(o->s);
	buf_release(&o->got);
	free(o);
}

/* Nothing that is waited for takes long; a test that hangs fails here. */
static void on_guard(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg;
	ck_abort_msg("nothing happened for %d seconds", GUARD_S);
}

static void turn(void)
{
	const struct timeval tv = {GUARD_S, 0};
	struct event *guard = evtimer_new(base, on_guard, NULL);

	event_add(guard, &tv);
	event_base_loop(base, EVLOOP_ONCE);
	event_free(guard);
}

#define RUN_UNTIL(cond)         \
	do {                    \
		while (!(cond)) \
			turn(); \
	} while (0)

/* Lets everything happen that would happen by itself. */
static void settle(void)
{
	for (int i = 0; i < 20; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
}

/* Until no stream has anything to wait for: all are gone. */
static void run_dry(void)
{
	const struct timeval tv = {GUARD_S, 0};
	struct event *guard = evtimer_new(base, on_guard, NULL);

	event_add(guard, &tv);
	while (event_base_get_num_events(base,
					 EVENT_BASE_COUNT_ADDED |
						 EVENT_BASE_COUNT_ACTIVE) > 1)
		event_base_loop(base, EVLOOP_ONCE);
	event_free(guard);
}

static int listen_at(const char *where, struct addr *addr)
{
	struct err e;
	int fd = -1;

	ck_assert(addr_parse(where, 0, addr));
	ck_assert_msg(listener_bind(&fd, addr, &e) == ST_OK, "%s", e.text);
	return fd;
}

static int accept_blocking(int listening)
{
	struct pollfd p = {.fd = listening, .events = POLLIN};

	ck_assert_int_eq(poll(&p, 1, GUARD_S * 1000), 1);
	return accept4(listening, NULL, NULL, SOCK_CLOEXEC);
}

static void connect_owner(struct owner *o, const struct addr *to,
			  const struct addr *source)
{
	enum status st;
	struct err e;

	o->inside = true;
	st = stream_connect(&o->s, base, to, source, owner_seen, o, &e);
	ck_assert_msg(st == ST_OK, "%s", e.text);
	o->inside = false;
}

/* A connected pair of streams. */
static void pair(struct owner **client, struct owner **server)
{
	struct addr addr;
	int fd = listen_at("127.0.0.1", &addr);

	*client = owner_new();
	*server = owner_new();
	connect_owner(*client, &addr, NULL);
	(*server)->s =
		stream_accepted(base, accept_blocking(fd), owner_seen, *server);
	RUN_UNTIL((*client)->seen[STREAM_CONNECTED]);
	close(fd);
}

/* A stream and the bare socket at its other end. */
static struct owner *with_raw(int *raw)
{
	struct owner *o = owner_new();
	struct addr addr;
	int fd = listen_at("127.0.0.1", &addr);

	connect_owner(o, &addr, NULL);
	*raw = accept_blocking(fd);
	ck_assert_int_ge(*raw, 0);
	RUN_UNTIL(o->seen[STREAM_CONNECTED]);
	close(fd);
	return o;
}

static void raw_send(int raw, const char *text)
{
	ck_assert_int_eq(send(raw, text, strlen(text), MSG_NOSIGNAL),
			 (ssize_t)strlen(text));
}

/* Reads n bytes, running the loop meanwhile; less at the end. */
static size_t raw_read(int raw, char *at, size_t n)
{
	size_t have = 0;
	ssize_t len = 1;

	for (int idle = 0; have < n && len != 0 && idle < 5000;) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		len = recv(raw, at + have, n - have, MSG_DONTWAIT);
		if (len > 0) {
			have += (size_t)len;
			idle = 0;
		} else if (len < 0 && errno == EAGAIN) {
			idle++;
			poll(NULL, 0, 1);
		} else if (len < 0) {
			ck_abort_msg("recv: %s", strerrordesc_np(errno));
		}
	}
	return have;
}

static void raw_expect(int raw, const char *text)
{
	char got[256] = "";

	ck_assert_uint_lt(strlen(text), sizeof(got));
	raw_read(raw, got, strlen(text));
	ck_assert_str_eq(got, text);
}

static void raw_expect_end(int raw)
{
	char c;

	ck_assert_uint_eq(raw_read(raw, &c, 1), 0);
}

static void raw_reset(int raw)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(raw, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(raw);
}

static void say(struct owner *o, const char *text)
{
	o->inside = true;
	ck_assert(stream_write(o->s, span_of(text)));
	o->inside = false;
}

static void ck_got(const struct owner *o, const char *text)
{
	ck_assert(span_eq(buf_span(&o->got), span_of(text)));
}

static void setup(void)
{
	base = event_base_new();
}

static void teardown(void)
{
	event_base_free(base);
}

/* ------- connecting */

START_TEST(connects_and_talks)
{
	struct owner *client, *server;
	struct addr local;

	pair(&client, &server);
	ck_assert(addr_eq(stream_peer(client->s), stream_local(server->s)));
	ck_assert(addr_eq(stream_local(client->s), stream_peer(server->s)));
	local = *stream_local(client->s);
	ck_assert(addr_is_loopback(&local));
	say(client, "EHLO ");
	say(client, "a\r\n");
	RUN_UNTIL(server->got.len == 8);
	ck_got(server, "EHLO a\r\n");
	ck_assert_uint_eq(stream_bytes_out(client->s), 8);
	ck_assert_uint_eq(stream_bytes_in(server->s), 8);
	ck_assert_uint_eq(stream_output_bytes(client->s), 0);
	/* All that was said in a turn came at once. */
	ck_assert_int_eq(server->seen[STREAM_READABLE], 1);
	owner_free(client);
	RUN_UNTIL(server->seen[STREAM_CLOSED]);
	owner_free(server);
}
END_TEST

START_TEST(writes_before_the_connection_stands)
{
	struct owner *o = owner_new();
	struct addr addr;
	int fd = listen_at("127.0.0.1", &addr), raw;

	connect_owner(o, &addr, NULL);
	say(o, "early");
	raw = accept_blocking(fd);
	raw_expect(raw, "early");
	owner_free(o);
	close(raw);
	close(fd);
}
END_TEST

START_TEST(connects_over_ipv6)
{
	struct addr addr;
	struct err e;
	struct owner *o;
	int fd, raw;

	ck_assert(addr_parse("[::1]:0", 0, &addr));
	if (listener_bind(&fd, &addr, &e) != ST_OK)
		return; /* this machine has none */
	o = owner_new();
	connect_owner(o, &addr, NULL);
	raw = accept_blocking(fd);
	RUN_UNTIL(o->seen[STREAM_CONNECTED]);
	ck_assert_int_eq(stream_local(o->s)->sa.sa_family, AF_INET6);
	owner_free(o);
	close(raw);
	close(fd);
}
END_TEST

START_TEST(connects_from_the_source_address)
{
	struct owner *o = owner_new();
	struct addr addr, source;
	char text[ADDR_TEXT_MAX];
	int fd = listen_at("127.0.0.1", &addr), raw;

	ck_assert(addr_parse("127.0.0.2", 0, &source));
	connect_owner(o, &addr, &source);
	raw = accept_blocking(fd);
	RUN_UNTIL(o->seen[STREAM_CONNECTED]);
	addr_host_text(text, stream_local(o->s));
	ck_assert_str_eq(text, "127.0.0.2");
	owner_free(o);
	close(raw);
	close(fd);
}
END_TEST

START_TEST(a_source_that_is_not_ours_fails_at_once)
{
	struct addr addr, source;
	struct stream *s = NULL;
	struct err e;
	int fd = listen_at("127.0.0.1", &addr);

	ck_assert(addr_parse("192.0.2.1", 0, &source));
	ck_assert_int_eq(
		stream_connect(&s, base, &addr, &source, owner_seen, NULL, &e),
		ST_TEMP);
	ck_assert_int_eq(e.os, EADDRNOTAVAIL);
	ck_assert_ptr_null(s);
	close(fd);
}
END_TEST

START_TEST(a_refused_connection_says_why)
{
	struct owner *o = owner_new();
	struct addr addr;
	enum status st;
	struct err e;

	close(listen_at("127.0.0.1", &addr));
	st = stream_connect(&o->s, base, &addr, NULL, owner_seen, o, &e);
	if (st == ST_OK) {
		RUN_UNTIL(o->seen[STREAM_FAILED]);
		ck_assert_int_eq(o->seen[STREAM_CONNECTED], 0);
		e = *stream_error(o->s);
		ck_assert(!stream_failed_in_handshake(o->s));
		/* Nothing more is told; writes go nowhere. */
		say(o, "x");
		stream_resume(o->s);
		settle();
		ck_assert_int_eq((int)o->norder, 1);
	}
	ck_assert_int_eq(e.os, ECONNREFUSED);
	ck_assert_int_eq(e.status, ST_TEMP);
	ck_assert_int_eq(e.subject, 4);
	owner_free(o);
}
END_TEST

/* A listener that accepts nobody leaves connections half open, if anything
 * does here; those stay quiet whatever is called. */
START_TEST(is_not_connected_before_it_is)
{
	struct owner *o[8];
	struct addr addr;
	int fd = listen_at("127.0.0.1", &addr), before;

	ck_assert_int_eq(listen(fd, 0), 0);
	for (size_t i = 0; i < ARRAY_LEN(o); i++) {
		o[i] = owner_new();
		connect_owner(o[i], &addr, NULL);
	}
	settle();
	for (size_t i = 0; i < ARRAY_LEN(o); i++) {
		before = o[i]->seen[STREAM_CONNECTED];
		stream_resume(o[i]->s);
		say(o[i], "x");
		stream_deadline(o[i]->s, 0);
		RUN_UNTIL(o[i]->seen[STREAM_DEADLINE]);
		ck_assert_int_eq(o[i]->seen[STREAM_CONNECTED], before);
		owner_free(o[i]);
	}
	close(fd);
}
END_TEST

/* ------- input */

START_TEST(input_before_the_end_comes_first)
{
	int raw;
	struct owner *o = with_raw(&raw);

	raw_send(raw, "last words");
	shutdown(raw, SHUT_WR);
	RUN_UNTIL(o->seen[STREAM_CLOSED]);
	ck_assert_str_eq(o->order, "CRE");
	ck_got(o, "last words");
	/* The other half still stands. */
	say(o, "answer");
	raw_expect(raw, "answer");
	settle();
	ck_assert_str_eq(o->order, "CRE");
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(paused_sees_nothing_until_resumed)
{
	int raw;
	struct owner *o = with_raw(&raw);

	stream_pause(o->s);
	raw_send(raw, "one");
	settle();
	ck_assert_int_eq(o->seen[STREAM_READABLE], 0);
	o->inside = true;
	stream_resume(o->s);
	o->inside = false;
	RUN_UNTIL(o->got.len == 3);
	/* The end waits, too. */
	stream_pause(o->s);
	shutdown(raw, SHUT_WR);
	settle();
	ck_assert_int_eq(o->seen[STREAM_CLOSED], 0);
	stream_resume(o->s);
	RUN_UNTIL(o->seen[STREAM_CLOSED]);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(resumed_sees_what_waits)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->keeps_input = true;
	raw_send(raw, "one");
	RUN_UNTIL(o->seen[STREAM_READABLE] == 1);
	settle();
	ck_assert_int_eq(o->seen[STREAM_READABLE], 1);
	stream_pause(o->s);
	stream_resume(o->s);
	ck_assert_int_eq(o->seen[STREAM_READABLE], 1);
	RUN_UNTIL(o->seen[STREAM_READABLE] == 2);
	settle();
	ck_assert_int_eq(o->seen[STREAM_READABLE], 2);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(input_is_bounded)
{
	struct owner *client, *server;

	pair(&client, &server);
	server->keeps_input = true;
	client->to_send = MEGABYTE;
	send_more(client);
	RUN_UNTIL(stream_input(server->s)->len == STREAM_INPUT_MAX);
	settle();
	ck_assert_uint_eq(stream_input(server->s)->len, STREAM_INPUT_MAX);
	/* Taken by the way, outside of a callback. */
	server->keeps_input = false;
	take_all(server);
	stream_resume(server->s);
	RUN_UNTIL(server->got.len == MEGABYTE);
	for (size_t i = 0; i < MEGABYTE; i++)
		if (server->got.mem[i] != pattern(i))
			ck_abort_msg("byte %zu is wrong", i);
	/* An idle stream holds no buffer. */
	settle();
	ck_assert_ptr_null(stream_input(server->s)->mem);
	owner_free(client);
	owner_free(server);
}
END_TEST

START_TEST(the_end_waits_for_the_end_of_a_pause)
{
	int raw;
	struct owner *o = with_raw(&raw);
	char piece[4096];

	/* As much as is read at once: the end is seen in the same turn. */
	memset(piece, 'x', sizeof(piece));
	o->pauses = true;
	o->on = STREAM_READABLE;
	stream_pause(o->s);
	ck_assert_int_eq(send(raw, piece, sizeof(piece), 0), sizeof(piece));
	shutdown(raw, SHUT_WR);
	settle();
	stream_resume(o->s);
	RUN_UNTIL(o->seen[STREAM_READABLE]);
	settle();
	ck_assert_int_eq(o->seen[STREAM_CLOSED], 0);
	stream_resume(o->s);
	RUN_UNTIL(o->seen[STREAM_CLOSED]);
	owner_free(o);
	close(raw);
}
END_TEST

/* ------- output */

START_TEST(large_transfers_both_ways)
{
	struct owner *client, *server;
	const size_t size = 8 * MEGABYTE;

	pair(&client, &server);
	client->to_send = server->to_send = size;
	send_more(client);
	send_more(server);
	RUN_UNTIL(client->got.len == size && server->got.len == size);
	ck_assert_int_gt(client->seen[STREAM_DRAINED], 0);
	for (size_t i = 0; i < size; i++)
		if (client->got.mem[i] != pattern(i) ||
		    server->got.mem[i] != pattern(i))
			ck_abort_msg("byte %zu is wrong", i);
	owner_free(client);
	owner_free(server);
}
END_TEST

START_TEST(output_is_bounded)
{
	int raw;
	struct owner *o = with_raw(&raw);
	char *piece = xcalloc(1, STREAM_OUTPUT_MAX);

	ck_assert(stream_write(o->s, (struct span){piece, STREAM_OUTPUT_MAX}));
	ck_assert(!stream_write(o->s, SPAN("x")));
	ck_assert_uint_eq(stream_output_bytes(o->s), STREAM_OUTPUT_MAX);
	raw_read(raw, piece, STREAM_OUTPUT_MAX);
	RUN_UNTIL(o->seen[STREAM_DRAINED]);
	ck_assert_int_eq(o->seen[STREAM_DRAINED], 1);
	ck_assert_uint_eq(stream_output_bytes(o->s), 0);
	/* Little output drains unseen. */
	say(o, "little");
	raw_expect(raw, "little");
	ck_assert_int_eq(o->seen[STREAM_DRAINED], 1);
	free(piece);
	owner_free(o);
	close(raw);
}
END_TEST

/* ------- deadline */

START_TEST(deadlines_pass_once_and_are_replaced)
{
	int raw;
	struct owner *o = with_raw(&raw);

	stream_deadline(o->s, 1);
	RUN_UNTIL(o->seen[STREAM_DEADLINE]);
	settle();
	ck_assert_int_eq(o->seen[STREAM_DEADLINE], 1);
	stream_deadline(o->s, 1);
	stream_deadline(o->s, 3600 * 1000);
	settle();
	ck_assert_int_eq(o->seen[STREAM_DEADLINE], 1);
	stream_deadline(o->s, 1);
	stream_deadline(o->s, -1);
	settle();
	ck_assert_int_eq(o->seen[STREAM_DEADLINE], 1);
	stream_deadline(o->s, 0);
	ck_assert_int_eq(o->seen[STREAM_DEADLINE], 1);
	RUN_UNTIL(o->seen[STREAM_DEADLINE] == 2);
	owner_free(o);
	close(raw);
}
END_TEST

/* ------- failures */

START_TEST(a_reset_is_told)
{
	int raw;
	struct owner *o = with_raw(&raw);

	raw_reset(raw);
	RUN_UNTIL(o->seen[STREAM_FAILED]);
	ck_assert_int_eq(stream_error(o->s)->os, ECONNRESET);
	ck_assert_int_eq(o->seen[STREAM_CLOSED], 0);
	owner_free(o);
}
END_TEST

/* ------- giving a stream away inside its callback */

static void expect_gone(struct owner *o, int raw)
{
	RUN_UNTIL(o->seen[o->on]);
	ck_assert_ptr_null(o->s);
	settle();
	ck_assert_int_eq(o->order[o->norder - 1], "CRDSTEF"[o->on]);
	owner_free(o);
	close(raw);
}

START_TEST(freed_when_connected)
{
	struct owner *o = owner_new();
	struct addr addr;
	int fd = listen_at("127.0.0.1", &addr);

	o->frees = true;
	o->on = STREAM_CONNECTED;
	connect_owner(o, &addr, NULL);
	say(o, "never sent");
	expect_gone(o, accept_blocking(fd));
	close(fd);
}
END_TEST

START_TEST(freed_when_readable)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->frees = true;
	o->on = STREAM_READABLE;
	raw_send(raw, "x");
	shutdown(raw, SHUT_WR);
	expect_gone(o, raw);
}
END_TEST

START_TEST(freed_when_closed_or_late)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->frees = true;
	o->on = _i == 0 ? STREAM_CLOSED : STREAM_DEADLINE;
	if (_i == 0)
		shutdown(raw, SHUT_WR);
	else
		stream_deadline(o->s, 0);
	expect_gone(o, raw);
}
END_TEST

START_TEST(freed_when_drained)
{
	int raw;
	struct owner *o = with_raw(&raw);
	char *piece = xcalloc(1, STREAM_OUTPUT_MAX);

	o->frees = true;
	o->on = STREAM_DRAINED;
	ck_assert(stream_write(o->s, (struct span){piece, STREAM_OUTPUT_MAX}));
	raw_read(raw, piece, STREAM_OUTPUT_MAX);
	expect_gone(o, raw);
	free(piece);
}
END_TEST

START_TEST(freed_when_failed)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->frees = true;
	o->on = STREAM_FAILED;
	raw_reset(raw);
	expect_gone(o, dup(STDIN_FILENO));
}
END_TEST

/* ------- finish */

START_TEST(finish_writes_out_what_waits)
{
	int raw;
	struct owner *o = with_raw(&raw);
	char *got = xcalloc(1, STREAM_OUTPUT_MAX);

	o->to_send = 200 * 1024;
	send_more(o);
	stream_finish(o->s, 10000);
	o->s = NULL;
	ck_assert_uint_eq(raw_read(raw, got, 200 * 1024), 200 * 1024);
	for (size_t i = 0; i < 200 * 1024; i++)
		if (got[i] != pattern(i))
			ck_abort_msg("byte %zu is wrong", i);
	raw_expect_end(raw);
	close(raw);
	run_dry();
	free(got);
	owner_free(o);
}
END_TEST

START_TEST(finish_in_a_callback_does_not_reset)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->keeps_input = true;
	o->finishes = true;
	o->on = STREAM_READABLE;
	say(o, "554 no\r\n");
	stream_pause(o->s);
	raw_send(raw, "much that nobody will read");
	settle();
	stream_resume(o->s);
	RUN_UNTIL(!o->s);
	/* More input on the way must not destroy the last words. */
	raw_send(raw, "and more");
	settle();
	raw_expect(raw, "554 no\r\n");
	raw_expect_end(raw);
	ck_assert_str_eq(o->order, "CR");
	close(raw);
	run_dry();
	owner_free(o);
}
END_TEST

START_TEST(finish_gives_up_on_a_peer_that_does_not_read)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->to_send = 200 * 1024;
	send_more(o);
	stream_finish(o->s, _i == 0 ? 1 : 0);
	o->s = NULL;
	run_dry();
	close(raw);
	owner_free(o);
}
END_TEST

START_TEST(lingering_streams_are_cut)
{
	struct owner *o;
	int raws[3];

	for (size_t i = 0; i < ARRAY_LEN(raws); i++) {
		o = with_raw(&raws[i]);
		say(o, "221 bye\r\n");
		stream_finish(o->s, 3600 * 1000);
		o->s = NULL;
		owner_free(o);
	}
	ck_assert_uint_eq(stream_lingering(), 3);
	/* The one in the middle goes by itself. */
	close(raws[1]);
	RUN_UNTIL(stream_lingering() == 2);
	stream_cut_lingering();
	ck_assert_uint_eq(stream_lingering(), 0);
	run_dry();
	/* What was said went out without a turn of the loop. */
	raw_expect(raws[0], "221 bye\r\n");
	raw_expect_end(raws[0]);
	close(raws[0]);
	close(raws[2]);
}
END_TEST

START_TEST(finish_of_a_failed_stream_closes)
{
	int raw;
	struct owner *o = with_raw(&raw);

	o->finishes = true;
	o->on = STREAM_FAILED;
	raw_reset(raw);
	RUN_UNTIL(!o->s);
	run_dry();
	owner_free(o);
}
END_TEST

/* ------- a transport with moods */

enum { KEY = 0x20 };

/* Turns letters' case on the way; wants the wrong direction first. */
struct fake {
	struct transport t;
	int fd;
	int handshakes_left; /* each wants to read a byte '!' */
	bool handshake_fails;
	bool read_wants_write, write_wants_read;
	bool asked_write, asked_read;
	char inside[8]; /* read from the socket, not yet handed out */
	size_t ninside;
	int writes;
	size_t write_quota; /* 0: none; then wants to read a byte */
	bool write_fails;
	bool *freed, *was_shut;
};

static struct fake *fake_of(const struct transport *t)
{
	return CONTAINER_OF(t, struct fake, t);
}

static enum transport_result fake_handshake(struct transport *t, struct err *e)
{
	struct fake *f = fake_of(t);
	char c;

	while (f->handshakes_left > 0) {
		if (recv(f->fd, &c, 1, MSG_DONTWAIT) != 1)
			return TRANSPORT_WANTS_READ;
		ck_assert_int_eq(c, '!');
		f->handshakes_left--;
	}
	if (f->handshake_fails) {
		err_temp(e, 7, 0, "no handshake");
		return TRANSPORT_FAILED;
	}
	return TRANSPORT_OK;
}

/* Reads ahead, and hands out 3 bytes at a time. */
static enum transport_result fake_read(struct transport *t, char *at,
				       size_t max, size_t *n, struct err *e)
{
	struct fake *f = fake_of(t);
	ssize_t len = -1;

	(void)e;
	if (f->ninside < sizeof(f->inside))
		len = recv(f->fd, f->inside + f->ninside,
			   sizeof(f->inside) - f->ninside, MSG_DONTWAIT);
	if (len > 0)
		f->ninside += (size_t)len;
	if (f->ninside == 0)
		return len == 0 ? TRANSPORT_EOF : TRANSPORT_WANTS_READ;
	/* Now that the socket is perhaps empty. */
	if (f->read_wants_write && !f->asked_write) {
		f->asked_write = true;
		return TRANSPORT_WANTS_WRITE;
	}
	f->asked_write = false;
	*n = f->ninside < 3 ? f->ninside : 3;
	*n = *n < max ? *n : max;
	for (size_t i = 0; i < *n; i++)
		at[i] = (char)(f->inside[i] ^ KEY);
	f->ninside -= *n;
	memmove(f->inside, f->inside + *n, f->ninside);
	return TRANSPORT_OK;
}

static enum transport_result fake_write(struct transport *t, const char *at,
					size_t len, size_t *n, struct err *e)
{
	struct fake *f = fake_of(t);
	struct pollfd p = {.fd = f->fd, .events = POLLIN};
	char bin[64];

	f->writes++;
	if (f->write_wants_read && !f->asked_read) {
		f->asked_read = true;
		return TRANSPORT_WANTS_READ;
	}
	/* Not called again before the socket is readable. */
	ck_assert(!f->write_wants_read || poll(&p, 1, 0) == 1);
	f->asked_read = false;
	if (f->write_fails) {
		err_temp(e, 4, 2, "no write");
		return TRANSPORT_FAILED;
	}
	*n = len < sizeof(bin) ? len : sizeof(bin);
	if (f->write_quota > 0 && f->write_quota <= *n)
		f->write_wants_read = true;
	f->write_quota -= f->write_quota < *n ? f->write_quota : *n;
	for (size_t i = 0; i < *n; i++)
		bin[i] = (char)(at[i] ^ KEY);
	ck_assert_int_eq(send(f->fd, bin, *n, MSG_NOSIGNAL), (ssize_t)*n);
	return TRANSPORT_OK;
}

static size_t fake_pending(const struct transport *t)
{
	return fake_of(t)->asked_write ? 0 : fake_of(t)->ninside;
}

static void fake_shutdown(struct transport *t)
{
	if (fake_of(t)->was_shut)
		*fake_of(t)->was_shut = true;
}

static void fake_free(struct transport *t)
{
	if (fake_of(t)->freed)
		*fake_of(t)->freed = true;
	free(fake_of(t));
}

static const struct transport_ops fake_ops = {
	.handshake = fake_handshake,
	.read = fake_read,
	.write = fake_write,
	.pending = fake_pending,
	.shutdown = fake_shutdown,
	.free = fake_free,
};

static struct fake *fake_new(const struct stream *s)
{
	struct fake *f = xcalloc(1, sizeof(*f));

	f->t.ops = &fake_ops;
	f->fd = stream_fd(s);
	return f;
}

START_TEST(secure_waits_for_the_clear_output)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);
	bool freed = false;

	f->handshakes_left = 2;
	f->freed = &freed;
	o->keeps_input = true;
	raw_send(raw, "injected");
	RUN_UNTIL(o->seen[STREAM_READABLE]);
	say(o, "220 go\r\n");
	o->inside = true;
	ck_assert_uint_eq(stream_secure(o->s, &f->t), 8);
	o->inside = false;
	say(o, "SECRET");
	ck_assert_ptr_eq(stream_transport(o->s), &f->t);
	raw_expect(raw, "220 go\r\n");
	raw_send(raw, "!");
	settle();
	ck_assert_int_eq(o->seen[STREAM_SECURED], 0);
	ck_assert_uint_eq(stream_output_bytes(o->s), 6);
	/* The first bytes under TLS come with the handshake's last. */
	raw_send(raw, "!hello");
	RUN_UNTIL(stream_input(o->s)->len == 5);
	ck_assert_int_eq(o->seen[STREAM_SECURED], 1);
	take_all(o);
	ck_got(o, "HELLO");
	raw_expect(raw, "secret");
	owner_free(o);
	ck_assert(freed);
	close(raw);
}
END_TEST

START_TEST(a_failed_handshake_is_told)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	f->handshake_fails = true;
	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_FAILED]);
	ck_assert(stream_failed_in_handshake(o->s));
	ck_assert_str_eq(stream_error(o->s)->text, "no handshake");
	ck_assert_int_eq(o->seen[STREAM_SECURED], 0);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(a_peer_that_hangs_in_the_handshake_is_late)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	f->handshakes_left = 1;
	stream_secure(o->s, &f->t);
	stream_deadline(o->s, 5);
	o->finishes = true;
	o->on = STREAM_DEADLINE;
	RUN_UNTIL(!o->s);
	run_dry();
	raw_expect_end(raw);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(freed_when_secured)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	o->frees = true;
	o->on = STREAM_SECURED;
	stream_secure(o->s, &f->t);
	say(o, "never sent");
	expect_gone(o, raw);
}
END_TEST

START_TEST(a_read_may_want_to_write)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	f->read_wants_write = true;
	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	raw_send(raw, "abcdefghijklmnopqrst");
	RUN_UNTIL(o->got.len == 20);
	ck_got(o, "ABCDEFGHIJKLMNOPQRST");
	shutdown(raw, SHUT_WR);
	RUN_UNTIL(o->seen[STREAM_CLOSED]);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(a_write_may_want_to_read)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	f->write_wants_read = true;
	/* Not read by the stream: the write must see it. */
	stream_pause(o->s);
	say(o, "hello");
	settle();
	ck_assert_int_eq(f->writes, 1);
	ck_assert_uint_eq(stream_output_bytes(o->s), 5);
	raw_send(raw, "x");
	raw_expect(raw, "HELLO");
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(what_waits_inside_the_transport_is_read)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	raw_send(raw, "abcdefgh");
	RUN_UNTIL(o->got.len == 8);
	/* Not seen by the socket, and only after the pause. */
	stream_pause(o->s);
	memcpy(f->inside, "ijkl", 4);
	f->ninside = 4;
	settle();
	ck_assert_uint_eq(o->got.len, 8);
	stream_resume(o->s);
	RUN_UNTIL(o->got.len == 12);
	ck_got(o, "ABCDEFGHIJKL");
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(one_write_for_a_turn)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	for (int i = 0; i < 10; i++)
		say(o, "abc");
	ck_assert_int_eq(f->writes, 0);
	raw_expect(raw, "ABCABCABC");
	ck_assert_int_eq(f->writes, 1);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(last_words_are_heard_before_a_failed_write)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);

	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	f->write_fails = true;
	/* The write comes first in the turn, then the socket is looked at. */
	raw_send(raw, "goodbye");
	say(o, "MAIL FROM:<>\r\n");
	RUN_UNTIL(o->seen[STREAM_FAILED]);
	ck_got(o, "GOODBYE");
	ck_assert_str_eq(o->order, "CSRF");
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(drained_means_under_the_low_mark)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);
	char *piece = xcalloc(1, STREAM_OUTPUT_MAX);

	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	ck_assert(stream_write(o->s, (struct span){piece, 100 * 1024}));
	f->write_quota = 20 * 1024;
	raw_read(raw, piece, 20 * 1024);
	ck_assert_uint_gt(stream_output_bytes(o->s), STREAM_OUTPUT_LOW);
	ck_assert_int_eq(o->seen[STREAM_DRAINED], 0);
	f->write_wants_read = false;
	f->write_quota = 40 * 1024;
	raw_send(raw, "x");
	raw_read(raw, piece, 40 * 1024);
	ck_assert_uint_gt(stream_output_bytes(o->s), 0);
	ck_assert_int_eq(o->seen[STREAM_DRAINED], 1);
	free(piece);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(the_rest_inside_is_read_after_the_others)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);
	const size_t more = STREAM_INPUT_MAX;
	char *piece = xcalloc(1, more);

	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	stream_pause(o->s);
	f->inside[f->ninside++] = 'x';
	ck_assert_int_eq(send(raw, piece, more, MSG_DONTWAIT), (ssize_t)more);
	settle();
	/* A byte more than is read in a turn: it waits in the transport. */
	stream_resume(o->s);
	RUN_UNTIL(o->got.len == more + 1);
	free(piece);
	owner_free(o);
	close(raw);
}
END_TEST

START_TEST(finish_says_goodbye_to_the_transport)
{
	int raw;
	struct owner *o = with_raw(&raw);
	struct fake *f = fake_new(o->s);
	bool was_shut = false, freed = false;

	f->was_shut = &was_shut;
	f->freed = &freed;
	stream_secure(o->s, &f->t);
	RUN_UNTIL(o->seen[STREAM_SECURED]);
	say(o, "bye");
	stream_finish(o->s, 10000);
	o->s = NULL;
	ck_assert(was_shut && !freed);
	ck_assert_uint_eq(stream_lingering(), 1);
	raw_expect(raw, "BYE");
	raw_expect_end(raw);
	ck_assert(!freed);
	close(raw);
	run_dry();
	ck_assert_uint_eq(stream_lingering(), 0);
	ck_assert(freed);
	owner_free(o);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("stream");
	TCase *t = tcase_create("stream");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, connects_and_talks);
	tcase_add_test(t, writes_before_the_connection_stands);
	tcase_add_test(t, connects_over_ipv6);
	tcase_add_test(t, connects_from_the_source_address);
	tcase_add_test(t, a_source_that_is_not_ours_fails_at_once);
	tcase_add_test(t, a_refused_connection_says_why);
	tcase_add_test(t, is_not_connected_before_it_is);
	tcase_add_test(t, input_before_the_end_comes_first);
	tcase_add_test(t, paused_sees_nothing_until_resumed);
	tcase_add_test(t, resumed_sees_what_waits);
	tcase_add_test(t, input_is_bounded);
	tcase_add_test(t, the_end_waits_for_the_end_of_a_pause);
	tcase_add_test(t, large_transfers_both_ways);
	tcase_add_test(t, output_is_bounded);
	tcase_add_test(t, deadlines_pass_once_and_are_replaced);
	tcase_add_test(t, a_reset_is_told);
	tcase_add_test(t, freed_when_connected);
	tcase_add_test(t, freed_when_readable);
	tcase_add_loop_test(t, freed_when_closed_or_late, 0, 2);
	tcase_add_test(t, freed_when_drained);
	tcase_add_test(t, freed_when_failed);
	tcase_add_test(t, finish_writes_out_what_waits);
	tcase_add_test(t, finish_in_a_callback_does_not_reset);
	tcase_add_loop_test(t, finish_gives_up_on_a_peer_that_does_not_read, 0,
			    2);
	tcase_add_test(t, lingering_streams_are_cut);
	tcase_add_test(t, finish_of_a_failed_stream_closes);
	tcase_add_test(t, secure_waits_for_the_clear_output);
	tcase_add_test(t, a_failed_handshake_is_told);
	tcase_add_test(t, a_peer_that_hangs_in_the_handshake_is_late);
	tcase_add_test(t, freed_when_secured);
	tcase_add_test(t, a_read_may_want_to_write);
	tcase_add_test(t, a_write_may_want_to_read);
	tcase_add_test(t, what_waits_inside_the_transport_is_read);
	tcase_add_test(t, one_write_for_a_turn);
	tcase_add_test(t, last_words_are_heard_before_a_failed_write);
	tcase_add_test(t, drained_means_under_the_low_mark);
	tcase_add_test(t, the_rest_inside_is_read_after_the_others);
	tcase_add_test(t, finish_says_goodbye_to_the_transport);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
