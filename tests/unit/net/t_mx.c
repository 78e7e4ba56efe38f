/* SPDX-License-Identifier: ISC */
/*
 * t_mx - the order of MX hosts from tables, and lookups against a name server
 * of our own: a thread that answers from a zone as small as a test needs.
 */
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <check.h>
#include <event2/event.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "net/mx.h"

enum {
	GUARD_S = 30,
	PACKET_MAX = 8192,
	NAME_MAX_LEN = 256,
	HEADER_LEN = 12,
	MANY = 150, /* more than mx.c takes */
};

/* ------- the order */

enum { RECORDS_MAX = 8, TEXT_MAX = 4096 };

static void hosts_text(char *out, const struct mx_answer *a)
{
	size_t at = 0;

	out[0] = '\0';
	for (size_t i = 0; i < a->nhosts; i++)
		at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s%s",
				       i > 0 ? " " : "", a->hosts[i]);
}

static const char own[] = "relay.example.com";

static const struct order {
	struct mx_record records[RECORDS_MAX];
	enum mx_kind kind;
	const char *hosts;
} orders[] = {
	{{{10, "a"}}, MX_HOSTS, "a"},
	{{{10, "A.Example.NET."}}, MX_HOSTS, "a.example.net"},
	{{{20, "b"}, {10, "a"}, {30, "c"}}, MX_HOSTS, "a b c"},
	{{{65535, "b"}, {0, "a"}, {256, "c"}}, MX_HOSTS, "a c b"},
	/* Twice: its best place counts. */
	{{{30, "a"}, {20, "b"}, {10, "A."}}, MX_HOSTS, "a b"},
	{{{10, "a"}, {10, "a"}}, MX_HOSTS, "a"},
	/* Ourselves: last, in the middle, equal to others, first, alone. */
	{{{10, "a"}, {20, "b"}, {30, own}}, MX_HOSTS, "a b"},
	{{{10, "a"}, {20, "Relay.Example.Com."}, {30, "c"}}, MX_HOSTS, "a"},
	{{{10, "a"}, {20, "b"}, {20, own}, {20, "c"}, {30, "d"}},
	 MX_HOSTS,
	 "a"},
	{{{10, own}, {20, "b"}}, MX_LOOP, ""},
	{{{10, own}, {10, "a"}, {20, "b"}}, MX_LOOP, ""},
	{{{10, own}}, MX_LOOP, ""},
	{{{30, own}, {10, "a"}, {20, own}, {20, "b"}}, MX_HOSTS, "a"},
	{{{10, "relay.example.com.org"}, {10, own}}, MX_LOOP, ""},
	{{{5, "example.com"}, {10, own}}, MX_HOSTS, "example.com"},
	/* What is better than we are is of no use. */
	{{{5, "192.0.2.1"}, {10, own}}, MX_LOOP, ""},
	/* Null MX. */
	{{{0, "."}}, MX_NULL, ""},
	{{{0, ""}}, MX_NULL, ""},
	{{{10, "."}}, MX_NULL, ""},
	{{{0, "."}, {10, "."}}, MX_NULL, ""},
	{{{0, "."}, {10, "a"}}, MX_HOSTS, "a"},
	{{{10, "a"}, {20, ""}}, MX_HOSTS, "a"},
	{{{0, "."}, {10, own}}, MX_LOOP, ""},
	/* No host names. */
	{{{10, "192.0.2.1"}, {20, "a"}}, MX_HOSTS, "a"},
	{{{10, "192.0.2.1."}, {20, "::1"}}, MX_FAILED, ""},
	{{{10, "a:25"}, {10, "[192.0.2.1]"}, {10, "a b"}}, MX_FAILED, ""},
	{{{10, "a..b"}, {10, "mail\\.a"}, {10, "*.a"}, {20, "b"}},
	 MX_HOSTS,
	 "b"},
	{{{10, "192.0.2.1"}, {0, "."}}, MX_FAILED, ""},
	{{{10, "under_score.a"}, {20, "1and1"}},
	 MX_HOSTS,
	 "under_score.a 1and1"},
	{{{0, NULL}}, MX_FAILED, ""},
};

START_TEST(orders_hosts)
{
	const struct order *o = &orders[_i];
	char text[TEXT_MAX];
	size_t n = 0;

	while (n < RECORDS_MAX && o->records[n].host)
		n++;
	for (uint32_t random = 0; random < 50; random++) {
		struct mx_answer a;

		mx_order(o->records, n, own, random, &a);
		hosts_text(text, &a);
		ck_assert_int_eq(a.kind, o->kind);
		ck_assert_str_eq(text, o->hosts);
		ck_assert_int_eq(a.lookup, LOOKUP_NODATA);
		mx_answer_release(&a);
		ck_assert_uint_eq(a.nhosts, 0);
	}
}
END_TEST

/* Each of the 6 orders of three equal hosts comes about, and the hosts of
 * other preferences stay where they are. */
START_TEST(shuffles_equal_preferences)
{
	const struct mx_record records[] = {
		{20, "x"}, {10, "a"}, {20, "y"}, {30, "e"}, {20, "z"}};
	unsigned seen[3][3] = {{0}};
	char text[TEXT_MAX], again[TEXT_MAX];

	for (uint32_t random = 0; random < 3000; random++) {
		struct mx_answer a, b;

		mx_order(records, ARRAY_LEN(records), own, random * 77777, &a);
		mx_order(records, ARRAY_LEN(records), own, random * 77777, &b);
		hosts_text(text, &a);
		hosts_text(again, &b);
		ck_assert_str_eq(text, again);
		ck_assert_uint_eq(strlen(text), strlen("a x y z e"));
		ck_assert(text[0] == 'a' && text[8] == 'e');
		for (size_t i = 0; i < 3; i++)
			seen[text[2 + 2 * i] - 'x'][i]++;
		mx_answer_release(&a);
		mx_answer_release(&b);
	}
	/* A third each, by and large. */
	for (size_t host = 0; host < 3; host++)
		for (size_t place = 0; place < 3; place++) {
			ck_assert_uint_gt(seen[host][place], 800);
			ck_assert_uint_lt(seen[host][place], 1200);
		}
}
END_TEST

START_TEST(cuts_the_worst)
{
	struct mx_record records[MANY];
	char names[MANY][32];
	struct mx_answer a;

	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "h%zu", MANY - 1 - i);
		records[i].preference = (uint16_t)(MANY - 1 - i);
		records[i].host = names[i];
	}
	mx_order(records, MANY, own, 1, &a);
	ck_assert_uint_eq(a.nhosts, 100);
	ck_assert_str_eq(a.hosts[0], "h0");
	ck_assert_str_eq(a.hosts[99], "h99");
	mx_answer_release(&a);
}
END_TEST

/* ------- the name server */

struct rr {
	const char *name;
	int type;
	uint32_t ttl_s;
	const char *data; /* address, target, or "PREFERENCE HOST" */
};

static const struct rr zone[] = {
	{"one.example", ns_t_mx, 300, "10 mx.example"},
	{"three.example", ns_t_mx, 300, "30 c.example"},
	{"three.example", ns_t_mx, 120, "10 a.example"},
	{"three.example", ns_t_mx, 300, "20 b.example"},
	{"alias.example", ns_t_cname, 30, "three.example"},
	{"tocname.example", ns_t_mx, 300, "10 www.example"},
	{"www.example", ns_t_cname, 300, "a4.example"},
	{"a4.example", ns_t_a, 300, "192.0.2.1"},
	{"a6.example", ns_t_aaaa, 300, "2001:db8::1"},
	{"aliasa.example", ns_t_cname, 300, "a4.example"},
	{"txt.example", ns_t_txt, 300, ""},
	{"null.example", ns_t_mx, 300, "0 "},
	{"literal.example", ns_t_mx, 300, "10 192.0.2.1"},
	{"loop.example", ns_t_mx, 300, "10 relay.example.com"},
	{"loop.example", ns_t_mx, 300, "20 b.example"},
	{"relay.example.com", ns_t_a, 300, "192.0.2.1"},
	{"zero.example", ns_t_mx, 0, "10 mx.example"},
	{"long.example", ns_t_mx, 86400, "10 mx.example"},
	{"xn--mnchen-3ya.example", ns_t_mx, 300, "10 isar.example"},
	{"xn--strae-oqa.example", ns_t_mx, 300, "10 weg.example"},
	{"inhosts.example", ns_t_mx, 300, "10 dns.example"},
	{"host.example", ns_t_txt, 300, ""},
	{"afail.example", ns_t_txt, 300, ""},
	{"asilent.example", ns_t_txt, 300, ""},
	{"anx.example", ns_t_txt, 300, ""},
};

struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	atomic_bool stop;
	atomic_bool silent; /* to everything */
	atomic_uint silent_type; /* to this */
	atomic_uint questions;
	atomic_uint soa_ttl_s; /* of the authority in a negative answer */
};

static struct server server;

static size_t put_name(unsigned char *at, const char *name)
{
	unsigned char *start = at;

	while (*name) {
		size_t len = strcspn(name, ".");

		*at++ = (unsigned char)len;
		memcpy(at, name, len);
		at += len;
		name += len + (name[len] == '.');
	}
	*at++ = 0;
	return (size_t)(at - start);
}

static size_t put_data(unsigned char *at, int type, const char *data)
{
	static const unsigned char soa[] = {0, 0, 0,  0, 0, 1, 0, 0, 0, 60, 0,
					    0, 0, 60, 0, 0, 1, 0, 0, 1, 0,  0};
	unsigned long preference;
	char *host;

	switch (type) {
	case ns_t_a:
		return inet_pton(AF_INET, data, at) == 1 ? 4 : 0;
	case ns_t_aaaa:
		return inet_pton(AF_INET6, data, at) == 1 ? 16 : 0;
	case ns_t_cname:
		return put_name(at, data);
	case ns_t_mx:
		preference = strtoul(data, &host, 10);
		at[0] = (unsigned char)(preference >> 8);
		at[1] = (unsigned char)preference;
		return 2 + put_name(at + 2, host + 1);
	case ns_t_soa:
		memcpy(at, soa, sizeof(soa));
		return sizeof(soa);
	default:
		return 0;
	}
}

static size_t put_rr(unsigned char *at, const struct rr *rr)
{
	unsigned char *p = at + put_name(at, rr->name);
	size_t len;

	*p++ = 0;
	*p++ = (unsigned char)rr->type;
	*p++ = 0;
	*p++ = ns_c_in;
	for (int shift = 24; shift >= 0; shift -= 8)
		*p++ = (unsigned char)(rr->ttl_s >> shift);
	len = put_data(p + 2, rr->type, rr->data);
	p[0] = (unsigned char)(len >> 8);
	p[1] = (unsigned char)len;
	return (size_t)(p + 2 + len - at);
}

/* "many.example" has MANY hosts, which no table needs to hold. */
static size_t put_many(unsigned char *p, size_t at)
{
	char data[64];

	for (int i = 0; i < MANY; i++) {
		snprintf(data, sizeof(data), "%d h%d.example", i, i);
		at += put_rr(p + at,
			     &(struct rr){"many.example", ns_t_mx, 300, data});
	}
	p[7] = MANY;
	return at;
}

static size_t put_soa(unsigned char *p, size_t at)
{
	struct rr soa = {"example", ns_t_soa, server.soa_ttl_s, ""};

	p[9] = 1;
	return at + put_rr(p + at, &soa);
}

static int rcode_of(const char *name, int type)
{
	if (strcasecmp(name, "fail.example") == 0)
		return ns_r_servfail;
	if (type != ns_t_mx && strcasecmp(name, "afail.example") == 0)
		return ns_r_servfail;
	if (type != ns_t_mx && strcasecmp(name, "anx.example") == 0)
		return ns_r_nxdomain;
	for (size_t i = 0; i < ARRAY_LEN(zone); i++)
		if (strcasecmp(zone[i].name, name) == 0)
			return ns_r_noerror;
	return ns_r_nxdomain;
}

/* Turns the question into its answer; 0: none. */
static size_t answer(unsigned char *p, size_t at, const char *name, int type)
{
	p[2] |= 0x80; /* a response */
	p[3] = 0x80; /* recursion is available */
	p[11] = 0; /* without the EDNS record behind the question */
	if (strcasecmp(name, "many.example") == 0)
		return put_many(p, at);
	for (size_t i = 0; i < ARRAY_LEN(zone); i++) {
		const struct rr *rr = &zone[i];

		if (strcasecmp(rr->name, name) != 0 ||
		    (rr->type != type && rr->type != ns_t_cname))
			continue;
		at += put_rr(p + at, rr);
		p[7]++;
		if (rr->type == ns_t_cname)
			name = rr->data;
	}
	p[3] |= (unsigned char)rcode_of(name, type);
	if (strcasecmp(name, "asilent.example") == 0 && type != ns_t_mx)
		return 0;
	return p[7] > 0 ? at : put_soa(p, at);
}

static void serve_one(struct server *s)
{
	unsigned char p[PACKET_MAX];
	char name[NAME_MAX_LEN];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n =
		recvfrom(s->fd, p, 512, 0, (struct sockaddr *)&from, &from_len);
	size_t at = HEADER_LEN, len;
	int type;

	if (n < 17)
		return;
	atomic_fetch_add(&s->questions, 1);
	for (; p[at] != 0; at += 1u + p[at]) {
		memcpy(name + at - HEADER_LEN, p + at + 1, p[at]);
		name[at - HEADER_LEN + p[at]] = '.';
	}
	name[at == HEADER_LEN ? 0 : at - HEADER_LEN - 1] = '\0';
	type = p[at + 1] << 8 | p[at + 2];
	if (atomic_load(&s->silent) ||
	    atomic_load(&s->silent_type) == (unsigned)type)
		return;
	len = answer(p, at + 5, name, type);
	if (len > 0)
		sendto(s->fd, p, len, 0, (struct sockaddr *)&from, from_len);
}

static void *serve(void *arg)
{
	struct server *s = arg;
	struct pollfd poll_fd = {.fd = s->fd, .events = POLLIN};

	while (!atomic_load(&s->stop))
		if (poll(&poll_fd, 1, 10) == 1)
			serve_one(s);
	return NULL;
}

static void server_start(void)
{
	struct sockaddr_in in = {
		.sin_family = AF_INET,
		.sin_addr = {htonl(INADDR_LOOPBACK)},
	};
	socklen_t len = sizeof(in);

	memset(&server, 0, sizeof(server));
	server.soa_ttl_s = 300;
	server.fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&in, &len),
			 0);
	server.port = ntohs(in.sin_port);
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server),
			 0);
}

static void server_stop(void)
{
	atomic_store(&server.stop, true);
	pthread_join(server.thread, NULL);
	close(server.fd);
}

/* ------- whoever asks */

static struct event_base *base;
static struct resolver *resolver;
static char hosts[] = "/tmp/t_mx.XXXXXX";

struct found {
	int calls;
	bool inside; /* of mx_start: no call may come */
	bool closes, repeats;
	enum mx_kind kind;
	enum lookup_result lookup;
	size_t nhosts;
	int64_t ttl_ms;
	char text[TEXT_MAX];
};

static void on_found(void *arg, const struct mx_answer *a)
{
	struct found *f = arg;

	ck_assert(!f->inside);
	f->calls++;
	f->kind = a->kind;
	f->lookup = a->lookup;
	f->nhosts = a->nhosts;
	f->ttl_ms = a->ttl_ms;
	ck_assert((a->kind == MX_HOSTS) == (a->nhosts > 0));
	hosts_text(f->text, a);
	if (f->repeats && f->calls == 1)
		ck_assert_ptr_nonnull(
			mx_start(resolver, "a4.example", own, on_found, f));
	if (f->closes) {
		resolver_close(resolver);
		resolver = NULL;
	}
}

static struct mx_lookup *start(struct found *f, const char *domain)
{
	struct mx_lookup *l;

	f->inside = true;
	l = mx_start(resolver, domain, own, on_found, f);
	f->inside = false;
	return l;
}

static void turn(void)
{
	event_base_loop(base, EVLOOP_NONBLOCK);
	poll(NULL, 0, 1);
}

static void run_until(const struct found *f, int calls)
{
	for (int i = 0; f->calls < calls && i < GUARD_S * 1000; i++)
		turn();
	ck_assert_int_eq(f->calls, calls);
}

static void settle(void)
{
	for (int i = 0; i < 30; i++)
		turn();
}

static void run_until_asked(unsigned questions)
{
	for (int i = 0; i < GUARD_S * 1000; i++) {
		if (atomic_load(&server.questions) >= questions)
			return;
		turn();
	}
	ck_abort_msg("nobody asks");
}

static void look_up(struct found *f, const char *domain)
{
	*f = (struct found){.calls = 0};
	ck_assert_ptr_nonnull(start(f, domain));
	run_until(f, 1);
}

static void expect(const char *domain, const char *text)
{
	struct found f;

	look_up(&f, domain);
	ck_assert_msg(f.kind == MX_HOSTS, "%s: kind %d lookup %d", domain,
		      f.kind, f.lookup);
	ck_assert_str_eq(f.text, text);
}

static void expect_kind(const char *domain, enum mx_kind kind)
{
	struct found f;

	look_up(&f, domain);
	ck_assert_int_eq(f.kind, kind);
}

static void expect_failed(const char *domain, enum lookup_result why)
{
	struct found f;

	look_up(&f, domain);
	ck_assert_int_eq(f.kind, MX_FAILED);
	ck_assert_msg(f.lookup == why, "%s: %d", domain, f.lookup);
	ck_assert(f.ttl_ms > 30 * 1000 && f.ttl_ms <= 60 * 1000);
}

/* What the cache holds has aged a little. */
static void expect_ttl(const char *domain, int ttl_s)
{
	struct found f;

	look_up(&f, domain);
	ck_assert_int_le(f.ttl_ms, ttl_s * 1000);
	ck_assert_int_gt(f.ttl_ms, ttl_s * 500);
}

static void open_resolver(int64_t timeout_ms)
{
	char servers[64];
	struct resolver_conf conf = {
		.servers = servers, .hosts = hosts, .timeout_ms = timeout_ms};
	struct err e;

	snprintf(servers, sizeof(servers), "127.0.0.1@%u",
		 (unsigned)server.port);
	ck_assert_msg(resolver_open(&resolver, base, &conf, &e) == ST_OK, "%s",
		      e.text);
}

static void setup(void)
{
	FILE *f;
	int fd;

	snprintf(hosts, sizeof(hosts), "/tmp/t_mx.XXXXXX");
	fd = mkstemp(hosts);
	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	fputs("192.0.2.77 inhosts.example host.example\n", f);
	fclose(f);
	base = event_base_new();
	server_start();
	open_resolver(20000);
}

static void teardown(void)
{
	resolver_close(resolver);
	resolver = NULL;
	server_stop();
	event_base_free(base);
	unlink(hosts);
}

/* ------- lookups */

START_TEST(finds_hosts)
{
	struct found f;

	expect("one.example", "mx.example");
	expect("three.example", "a.example b.example c.example");
	expect("Three.EXAMPLE.", "a.example b.example c.example");
	expect("alias.example", "a.example b.example c.example");
	/* RFC 5321 forbids it, the world does it. */
	expect("tocname.example", "www.example");
	look_up(&f, "many.example");
	ck_assert_uint_eq(f.nhosts, 100);
}
END_TEST

START_TEST(is_its_own_host)
{
	expect("a4.example", "a4.example");
	expect("A6.Example", "a6.example");
	expect("aliasa.example", "aliasa.example");
	expect_kind("relay.example.com", MX_LOOP);
	expect("localhost", "localhost");
}
END_TEST

START_TEST(takes_no_mail)
{
	expect_kind("null.example", MX_NULL);
	expect_kind("loop.example", MX_LOOP);
}
END_TEST

START_TEST(says_why_there_are_none)
{
	expect_failed("nowhere.example", LOOKUP_NXDOMAIN);
	expect_failed("txt.example", LOOKUP_NODATA);
	expect_failed("literal.example", LOOKUP_NODATA);
	expect_failed("fail.example", LOOKUP_SERVFAIL);
	expect_failed("afail.example", LOOKUP_SERVFAIL);
	/* The MX question found the name. */
	expect_failed("anx.example", LOOKUP_NODATA);
}
END_TEST

START_TEST(times_out_on_silence)
{
	resolver_close(resolver);
	open_resolver(50);
	expect_failed("asilent.example", LOOKUP_TIMEOUT);
	atomic_store(&server.silent, true);
	expect_failed("one.example", LOOKUP_TIMEOUT);
}
END_TEST

/* What is no domain is not asked for. */
START_TEST(refuses_what_is_no_domain)
{
	expect_failed("", LOOKUP_NXDOMAIN);
	expect_failed(".", LOOKUP_NXDOMAIN);
	expect_failed("a..example", LOOKUP_NXDOMAIN);
	expect_failed("one.example:25", LOOKUP_NXDOMAIN);
	expect_failed("192.0.2.1", LOOKUP_NXDOMAIN);
	expect_failed("[one.example]", LOOKUP_NXDOMAIN);
	expect_failed("[192.0.2.256]", LOOKUP_NXDOMAIN);
	expect_failed("[192.0.2.1", LOOKUP_NXDOMAIN);
	/* U+2603 is no letter; half a character. */
	expect_failed("\xE2\x98\x83\xFF.example", LOOKUP_NXDOMAIN);
	expect_failed("m\xC3", LOOKUP_NXDOMAIN);
	ck_assert_uint_eq(atomic_load(&server.questions), 0);
}
END_TEST

START_TEST(literals_are_their_own_hosts)
{
	expect("[192.0.2.1]", "192.0.2.1");
	expect("[IPv6:2001:db8::1]", "2001:db8::1");
	ck_assert_uint_eq(atomic_load(&server.questions), 0);
}
END_TEST

START_TEST(turns_u_labels_into_a_labels)
{
	expect("m\xC3\xBCnchen.example", "isar.example");
	expect("M\xC3\x9CNCHEN.Example", "isar.example");
	/* "u" and a combining diaeresis */
	expect("mu\xCC\x88nchen.example", "isar.example");
	expect("stra\xC3\x9F"
	       "e.example",
	       "weg.example");
}
END_TEST

START_TEST(holds_as_long_as_the_shortest)
{
	expect_ttl("one.example", 300);
	expect_ttl("three.example", 120);
	expect_ttl("alias.example", 30);
	expect_ttl("zero.example", 1);
	expect_ttl("long.example", 3600);
	expect_ttl("null.example", 300);
	expect_ttl("a4.example", 60);
	expect_ttl("nowhere.example", 60);
	/* The SOA in the cache would stay. */
	resolver_forget(resolver);
	atomic_store(&server.soa_ttl_s, 7);
	expect_ttl("a6.example", 7);
	expect_ttl("[192.0.2.1]", 3600);
}
END_TEST

/* The hosts file has an address of the name, and nothing to say about MX. */
START_TEST(hosts_file_hides_no_mx)
{
	expect("inhosts.example", "dns.example");
	expect("host.example", "host.example");
}
END_TEST

START_TEST(cancelled_is_never_heard_of)
{
	struct found f = {.calls = 0};
	struct mx_lookup *l = start(&f, "one.example");

	mx_cancel(l);
	mx_cancel(NULL);
	l = start(&f, "[192.0.2.1]");
	mx_cancel(l);
	l = start(&f, "");
	mx_cancel(l);
	/* While the addresses are asked for. */
	l = start(&f, "asilent.example");
	run_until_asked(2);
	mx_cancel(l);
	settle();
	ck_assert_int_eq(f.calls, 0);
}
END_TEST

START_TEST(closed_with_lookups_under_way)
{
	struct found f = {.calls = 0};

	start(&f, "asilent.example");
	run_until_asked(2);
	atomic_store(&server.silent, true);
	start(&f, "one.example");
	start(&f, "[192.0.2.1]");
	start(&f, "");
	resolver_close(resolver);
	resolver = NULL;
	settle();
	ck_assert_int_eq(f.calls, 0);
}
END_TEST

START_TEST(asks_again_after_forget)
{
	struct found f = {.calls = 0};

	atomic_store(&server.silent, true);
	start(&f, "a4.example");
	settle();
	atomic_store(&server.silent, false);
	resolver_forget(resolver);
	run_until(&f, 1);
	ck_assert_str_eq(f.text, "a4.example");
	expect("one.example", "mx.example");
	atomic_store(&server.silent_type, ns_t_mx);
	/* Known. */
	expect("one.example", "mx.example");
	resolver_forget(resolver);
	f = (struct found){.calls = 0};
	start(&f, "one.example");
	settle();
	ck_assert_int_eq(f.calls, 0);
	atomic_store(&server.silent_type, 0);
	run_until(&f, 1);
}
END_TEST

START_TEST(does_anything_in_its_callback)
{
	struct found f = {.repeats = true};

	start(&f, "three.example");
	run_until(&f, 2);
	ck_assert_str_eq(f.text, "a4.example");
	f = (struct found){.closes = true};
	start(&f, "a4.example");
	start(&f, "asilent.example");
	run_until(&f, 1);
	settle();
	ck_assert_int_eq(f.calls, 1);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("mx");
	TCase *order = tcase_create("order");
	TCase *t = tcase_create("lookup");

	tcase_add_loop_test(order, orders_hosts, 0, (int)ARRAY_LEN(orders));
	tcase_add_test(order, shuffles_equal_preferences);
	tcase_add_test(order, cuts_the_worst);
	suite_add_tcase(s, order);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, finds_hosts);
	tcase_add_test(t, is_its_own_host);
	tcase_add_test(t, takes_no_mail);
	tcase_add_test(t, says_why_there_are_none);
	tcase_add_test(t, times_out_on_silence);
	tcase_add_test(t, refuses_what_is_no_domain);
	tcase_add_test(t, literals_are_their_own_hosts);
	tcase_add_test(t, turns_u_labels_into_a_labels);
	tcase_add_test(t, holds_as_long_as_the_shortest);
	tcase_add_test(t, hosts_file_hides_no_mx);
	tcase_add_test(t, cancelled_is_never_heard_of);
	tcase_add_test(t, closed_with_lookups_under_way);
	tcase_add_test(t, asks_again_after_forget);
	tcase_add_test(t, does_anything_in_its_callback);
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
