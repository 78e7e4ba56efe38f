/* SPDX-License-Identifier: ISC */
/*
 * t_resolver - lookups against a name server of our own: a thread that
 * answers A and AAAA questions as the first label of the name says.
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
#include <unistd.h>

#include "net/resolver.h"

enum { GUARD_S = 30, PACKET_MAX = 512, RR_FIXED = 12, TTL_S = 300 };

/* ------- the name server */

struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
	atomic_bool stop;
	atomic_bool silent; /* to everything */
	atomic_uint questions;
	atomic_uint last_byte; /* of the address that "change" has */
};

static struct server server;

static size_t put_rr(unsigned char *at, int type, const void *data, size_t len)
{
	/* The name is that of the question, at offset 12. */
	const unsigned char fixed[RR_FIXED] = {
		0xC0,	    12,		  0, (unsigned char)type,
		0,	    ns_c_in,	  0, 0,
		TTL_S >> 8, TTL_S & 0xFF, 0, (unsigned char)len};

	memcpy(at, fixed, sizeof(fixed));
	memcpy(at + sizeof(fixed), data, len);
	return sizeof(fixed) + len;
}

static size_t put_addr(unsigned char *at, const char *text)
{
	unsigned char host[16];

	if (inet_pton(AF_INET, text, host) == 1)
		return put_rr(at, ns_t_a, host, 4);
	if (inet_pton(AF_INET6, text, host) != 1)
		abort();
	return put_rr(at, ns_t_aaaa, host, 16);
}

/* What a name has.  A NULL says that there is no answer to the question. */
static const struct name {
	const char *label;
	int rcode;
	const char *v4[3], *v6[3];
	bool v6_silent;
	int v6_rcode;
} names[] = {
	{"four", 0, {"192.0.2.1"}, {NULL}, false, 0},
	{"six", 0, {NULL}, {"2001:db8::1"}, false, 0},
	{"both",
	 0,
	 {"192.0.2.1", "192.0.2.2", "192.0.2.3"},
	 {"2001:db8::1", "2001:db8::2"},
	 false,
	 0},
	{"none", 0, {NULL}, {NULL}, false, 0},
	{"nx", ns_r_nxdomain, {NULL}, {NULL}, false, 0},
	{"fail", ns_r_servfail, {NULL}, {NULL}, false, 0},
	{"half", 0, {"192.0.2.9"}, {NULL}, true, 0},
	{"mixed", 0, {NULL}, {NULL}, false, ns_r_servfail},
	{"mapped", 0, {NULL}, {"::ffff:192.0.2.7"}, false, 0},
};

static const struct name *find_name(const unsigned char *label)
{
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		if (strlen(names[i].label) == label[0] &&
		    memcmp(names[i].label, label + 1, label[0]) == 0)
			return &names[i];
	return NULL;
}

static bool has_label(const unsigned char *label, const char *text)
{
	return strlen(text) == label[0] &&
	       memcmp(label + 1, text, label[0]) == 0;
}

/* "alias" is a CNAME of "four". */
static size_t put_alias(unsigned char *p, size_t len, int type)
{
	const unsigned char target[] = "\4four\7example";
	const unsigned char four[] = {192, 0, 2, 1};
	size_t at = len + RR_FIXED;

	len += put_rr(p + len, ns_t_cname, target, sizeof(target));
	p[7] = 1;
	if (type == ns_t_a) {
		len += put_rr(p + len, ns_t_a, four, sizeof(four));
		p[len - sizeof(four) - RR_FIXED + 1] = (unsigned char)at;
		p[7] = 2;
	}
	return len;
}

/* Turns the question into its answer; 0: none. */
static size_t answer(unsigned char *p, size_t len, int type)
{
	const unsigned char *label = p + 12;
	const struct name *n = find_name(label);
	char text[ADDR_TEXT_MAX];

	p[2] |= 0x80; /* a response */
	p[3] = 0x80; /* recursion is available */
	if (has_label(label, "alias"))
		return put_alias(p, len, type);
	if (has_label(label, "change") && type == ns_t_a) {
		snprintf(text, sizeof(text), "192.0.2.%u",
			 atomic_load(&server.last_byte));
		p[7] = 1;
		return len + put_addr(p + len, text);
	}
	if (has_label(label, "change"))
		return len;
	if (!n || (n->v6_silent && type == ns_t_aaaa))
		return 0;
	p[3] |= (unsigned char)(type == ns_t_aaaa && n->v6_rcode ? n->v6_rcode
								 : n->rcode);
	for (size_t i = 0; i < 3; i++) {
		const char *a = type == ns_t_a ? n->v4[i] : n->v6[i];

		if (!a)
			break;
		len += put_addr(p + len, a);
		p[7]++;
	}
	return len;
}

static void serve_one(struct server *s)
{
	unsigned char p[PACKET_MAX];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(s->fd, p, sizeof(p), 0, (struct sockaddr *)&from,
			     &from_len);
	size_t at = 12, len;
	int type;

	if (n < 17)
		return;
	atomic_fetch_add(&s->questions, 1);
	if (atomic_load(&s->silent))
		return;
	while (p[at] != 0)
		at += 1u + p[at];
	type = p[at + 1] << 8 | p[at + 2];
	p[11] = 0; /* without the EDNS record behind the question */
	len = answer(p, at + 5, type);
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
	server.fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(bind(server.fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(getsockname(server.fd, (struct sockaddr *)&in, &len),
			 0);
	server.port = ntohs(in.sin_port);
	server.last_byte = 1;
	ck_assert_int_eq(pthread_create(&server.thread, NULL, serve, &server),
			 0);
}

static void server_stop(void)
{
	atomic_store(&server.stop, true);
	pthread_join(server.thread, NULL);
	close(server.fd);
}

/* ------- the resolver's owner */

static struct event_base *base;
static struct resolver *resolver;
static char hosts[] = "/tmp/t_resolver.XXXXXX";

struct found {
	int calls;
	enum lookup_result result;
	char text[512]; /* addresses, a space behind each */
	bool inside; /* of lookup_start: no call may come */
	bool closes, forgets, repeats;
};

static void on_found(void *arg, enum lookup_result result,
		     const struct addr *addrs, size_t n)
{
	struct found *f = arg;
	char text[ADDR_TEXT_MAX];
	size_t at = 0;

	ck_assert(!f->inside);
	f->calls++;
	f->result = result;
	ck_assert((result == LOOKUP_OK) == (n > 0));
	f->text[0] = '\0';
	for (size_t i = 0; i < n; i++) {
		addr_text(text, &addrs[i]);
		at += (size_t)snprintf(f->text + at, sizeof(f->text) - at,
				       "%s ", text);
	}
	if (f->forgets)
		resolver_forget(resolver);
	if (f->repeats && f->calls == 1)
		ck_assert_ptr_nonnull(
			lookup_start(resolver, "six.example", 25, on_found, f));
	if (f->closes) {
		resolver_close(resolver);
		resolver = NULL;
	}
}

static struct lookup *start(struct found *f, const char *host)
{
	struct lookup *l;

	f->inside = true;
	l = lookup_start(resolver, host, 25, on_found, f);
	f->inside = false;
	return l;
}

static void run_until(const struct found *f, int calls)
{
	for (int i = 0; f->calls < calls && i < GUARD_S * 1000; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (f->calls < calls)
			poll(NULL, 0, 1);
	}
	ck_assert_int_eq(f->calls, calls);
}

static void settle(void)
{
	for (int i = 0; i < 30; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		poll(NULL, 0, 1);
	}
}

static void look_up(struct found *f, const char *host)
{
	*f = (struct found){.calls = 0};
	ck_assert_ptr_nonnull(start(f, host));
	run_until(f, 1);
}

static void expect(const char *host, const char *text)
{
	struct found f;

	look_up(&f, host);
	ck_assert_int_eq(f.result, LOOKUP_OK);
	ck_assert_str_eq(f.text, text);
}

static void expect_none(const char *host, enum lookup_result result)
{
	struct found f;

	look_up(&f, host);
	ck_assert_int_eq(f.result, result);
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

	snprintf(hosts, sizeof(hosts), "/tmp/t_resolver.XXXXXX");
	fd = mkstemp(hosts);
	ck_assert_int_ge(fd, 0);
	f = fdopen(fd, "w");
	fputs("192.0.2.77 inhosts.example alias-in-hosts\n"
	      "192.0.2.78 inhosts.test\n",
	      f);
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

START_TEST(finds_addresses)
{
	struct found f;

	expect("four.example", "192.0.2.1:25 ");
	expect("four.example.", "192.0.2.1:25 ");
	expect("FOUR.Example", "192.0.2.1:25 ");
	expect("six.example", "[2001:db8::1]:25 ");
	expect("alias.example", "192.0.2.1:25 ");
	expect("four.test", "192.0.2.1:25 ");
	expect("mapped.example", "192.0.2.7:25 ");
	/* Those of a family come in any order. */
	look_up(&f, "both.example");
	ck_assert_int_eq(strncmp(f.text, "192.0.2.", 8), 0);
	ck_assert_uint_eq(strlen(f.text),
			  strlen("192.0.2.1:25 ") * 3 +
				  strlen("[2001:db8::1]:25 ") * 2);
	ck_assert_int_eq(strncmp(f.text + 13, "[2001:db8::", 11), 0);
	ck_assert_int_eq(strncmp(f.text + 30, "192.0.2.", 8), 0);
	ck_assert_int_eq(strncmp(f.text + 43, "[2001:db8::", 11), 0);
}
END_TEST

START_TEST(says_why_there_are_none)
{
	expect_none("none.example", LOOKUP_NODATA);
	expect_none("nx.example", LOOKUP_NXDOMAIN);
	/* After an answer whose packet may still lie there. */
	expect("inhosts.example", "192.0.2.77:25 ");
	expect_none("fail.example", LOOKUP_SERVFAIL);
	expect_none("mixed.example", LOOKUP_SERVFAIL);
	expect_none("a..b", LOOKUP_NXDOMAIN);
	expect_none("", LOOKUP_NXDOMAIN);
	expect_none("label-of-more-than-sixty-three-characters-that-cannot-"
		    "stand-in-the-dns.example",
		    LOOKUP_NXDOMAIN);
}
END_TEST

START_TEST(asks_nobody_for_what_is_known)
{
	expect("127.0.0.1", "127.0.0.1:25 ");
	expect("::1", "[::1]:25 ");
	expect("localhost", "127.0.0.1:25 [::1]:25 ");
	expect("LocalHost.", "127.0.0.1:25 [::1]:25 ");
	expect("mx.localhost", "127.0.0.1:25 [::1]:25 ");
	expect("inhosts.example", "192.0.2.77:25 ");
	expect("alias-in-hosts", "192.0.2.77:25 ");
	expect("inhosts.test", "192.0.2.78:25 ");
	ck_assert_uint_eq(atomic_load(&server.questions), 0);
}
END_TEST

START_TEST(remembers_and_forgets)
{
	expect("change.example", "192.0.2.1:25 ");
	atomic_store(&server.last_byte, 2);
	expect("change.example", "192.0.2.1:25 ");
	ck_assert_uint_eq(atomic_load(&server.questions), 2);
	resolver_forget(resolver);
	expect("change.example", "192.0.2.2:25 ");
}
END_TEST

START_TEST(times_out_on_silence)
{
	struct found f = {.calls = 0};

	resolver_close(resolver);
	open_resolver(50);
	atomic_store(&server.silent, true);
	expect_none("four.example", LOOKUP_TIMEOUT);
	expect_none("four.example", LOOKUP_TIMEOUT);
	resolver_close(resolver);
	open_resolver(20000);
	start(&f, "four.example");
	settle();
	ck_assert_int_eq(f.calls, 0);
	/* It is asked again, and hears the answer. */
	atomic_store(&server.silent, false);
	run_until(&f, 1);
	ck_assert_int_eq(f.result, LOOKUP_OK);
}
END_TEST

START_TEST(does_not_wait_for_a_family_that_never_answers)
{
	/* The deadline of the whole lookup is far away. */
	expect("half.example", "192.0.2.9:25 ");
}
END_TEST

START_TEST(cancelled_is_never_heard_of)
{
	struct found f = {.calls = 0}, g = {.calls = 0};
	struct lookup *l = start(&f, "four.example");

	lookup_cancel(l);
	lookup_cancel(NULL);
	/* One that waits to be told, one that is under way. */
	l = start(&f, "localhost");
	lookup_cancel(l);
	l = start(&f, "six.example");
	start(&g, "six.example");
	lookup_cancel(l);
	run_until(&g, 1);
	settle();
	ck_assert_int_eq(f.calls, 0);
	ck_assert_str_eq(g.text, "[2001:db8::1]:25 ");
}
END_TEST

START_TEST(closed_with_lookups_under_way)
{
	struct found f = {.calls = 0};

	atomic_store(&server.silent, true);
	start(&f, "four.example");
	start(&f, "six.example");
	start(&f, "localhost");
	if (_i == 1)
		settle();
	resolver_close(resolver);
	resolver = NULL;
	settle();
	ck_assert_int_eq(f.calls, _i);
}
END_TEST

START_TEST(forgets_with_lookups_under_way)
{
	struct found f = {.calls = 0}, known = {.calls = 0};

	atomic_store(&server.silent, true);
	start(&f, "four.example");
	start(&known, "inhosts.example");
	settle();
	atomic_store(&server.silent, false);
	resolver_forget(resolver);
	resolver_forget(resolver);
	run_until(&f, 1);
	ck_assert_str_eq(f.text, "192.0.2.1:25 ");
	ck_assert_str_eq(known.text, "192.0.2.77:25 ");
	settle();
	ck_assert_int_eq(f.calls, 1);
	ck_assert_int_eq(known.calls, 1);
}
END_TEST

START_TEST(does_anything_in_its_callback)
{
	struct found f = {.calls = 0};

	f.forgets = true;
	f.repeats = true;
	start(&f, "four.example");
	run_until(&f, 2);
	ck_assert_str_eq(f.text, "[2001:db8::1]:25 ");
	f = (struct found){.closes = true};
	start(&f, "both.example");
	start(&f, "nx.example");
	run_until(&f, 1);
	settle();
	ck_assert_int_eq(f.calls, 1);
}
END_TEST

START_TEST(many_at_once)
{
	struct found found[200];
	char host[32];

	for (int i = 0; i < 200; i++) {
		found[i] = (struct found){.calls = 0};
		snprintf(host, sizeof(host), "four.example%d", i);
		start(&found[i], host);
	}
	for (int i = 0; i < 200; i++) {
		run_until(&found[i], 1);
		ck_assert_str_eq(found[i].text, "192.0.2.1:25 ");
	}
}
END_TEST

/* A worker of several, that is told to forget again and again. */
static void *forget_often(void *arg)
{
	struct event_base *own = event_base_new();
	struct resolver_conf conf = {
		.servers = arg, .hosts = hosts, .timeout_ms = 20000};
	struct resolver *r = NULL;
	struct err e;

	if (!own || resolver_open(&r, own, &conf, &e) != ST_OK)
		return NULL;
	for (int i = 0; i < 8; i++)
		resolver_forget(r);
	resolver_close(r);
	event_base_free(own);
	return arg;
}

START_TEST(workers_forget_at_once)
{
	char servers[] = "127.0.0.1@53";
	pthread_t threads[4];
	void *done;

	for (size_t i = 0; i < ARRAY_LEN(threads); i++)
		ck_assert_int_eq(pthread_create(&threads[i], NULL, forget_often,
						servers),
				 0);
	for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
		ck_assert_int_eq(pthread_join(threads[i], &done), 0);
		ck_assert_ptr_nonnull(done);
	}
}
END_TEST

START_TEST(refuses_bad_servers)
{
	struct resolver_conf conf = {.servers = "127.0.0.1 nonsense",
				     .timeout_ms = 1000};
	struct resolver *r = NULL;
	struct err e;

	ck_assert_int_eq(resolver_open(&r, base, &conf, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "nonsense"));
	ck_assert_ptr_null(r);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("resolver");
	TCase *t = tcase_create("resolver");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, finds_addresses);
	tcase_add_test(t, says_why_there_are_none);
	tcase_add_test(t, asks_nobody_for_what_is_known);
	tcase_add_test(t, remembers_and_forgets);
	tcase_add_test(t, times_out_on_silence);
	tcase_add_test(t, does_not_wait_for_a_family_that_never_answers);
	tcase_add_test(t, cancelled_is_never_heard_of);
	tcase_add_loop_test(t, closed_with_lookups_under_way, 0, 2);
	tcase_add_test(t, forgets_with_lookups_under_way);
	tcase_add_test(t, does_anything_in_its_callback);
	tcase_add_test(t, many_at_once);
	tcase_add_test(t, workers_forget_at_once);
	tcase_add_test(t, refuses_bad_servers);
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
