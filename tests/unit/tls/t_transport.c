/* SPDX-License-Identifier: ISC */
/*
 * Bytes through a session, its end, versions, tickets, and peers that do not
 * behave.
 */
#include <check.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/certs.h"
#include "tests/support/tls_pair.h"
#include "tls/session.h"

#define MX "mx.example.com"
#define TLS_11 "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"
#define TLS_12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define TLS_13 "NORMAL:-VERS-ALL:+VERS-TLS1.3"

static char dir[256];
static struct tls_identity *server_identity;
static struct tls_trust *trust_12, *trust_13;

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/transport.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	certs_make(dir, &(struct cert_spec){
				.name = "ca", .cn = "Test CA", .ca = true });
	certs_make(dir, &(struct cert_spec){
				.name = "mx", .issuer = "ca", .dns = { MX } });
	server_identity = tls_pair_identity(dir, "mx");
	trust_12 = tls_pair_trust(dir, "ca", "1.2");
	trust_13 = tls_pair_trust(dir, "ca", "1.3");
}

static void teardown(void)
{
	tls_identity_unref(server_identity);
	tls_trust_unref(trust_12);
	tls_trust_unref(trust_13);
	certs_remove(dir);
}

static struct transport *our_client(int fd, struct tls_trust *t)
{
	struct tls_policy policy = { .verify = TLS_VERIFY_NAME, .trust = t };
	struct transport *client = NULL;
	struct err e;

	ck_assert_int_eq(tls_client_new(&client, fd, MX, &policy, NULL, &e),
			 ST_OK);
	return client;
}

static struct transport *our_server(int fd, struct tls_trust *t)
{
	struct tls_server_conf conf = { .identities = &server_identity,
					.nidentities = 1,
					.trust = t };
	struct transport *server = NULL;
	struct err e;

	ck_assert_int_eq(tls_server_new(&server, fd, &conf, &e), ST_OK);
	return server;
}

static struct transport *raw_client(int fd, const char *priority)
{
	return raw_new(fd, &(struct raw_conf){ .priority = priority });
}

static struct transport *raw_server(int fd, const char *priority)
{
	return raw_new(fd, &(struct raw_conf){ .kind = RAW_SERVER,
					       .priority = priority,
					       .dir = dir,
					       .name = "mx" });
}

/* Ours on both sides, hands shaken. */
static void open_pair(struct tls_pair *p)
{
	tls_pair_open(p);
	p->client.t = our_client(p->client.fd, trust_12);
	p->server.t = our_server(p->server.fd, trust_12);
	tls_pair_shake(p);
	ck_assert_int_eq(p->client.result, TRANSPORT_OK);
	ck_assert_int_eq(p->server.result, TRANSPORT_OK);
}

static enum transport_result read_some(struct tls_side *s, char *at, size_t max,
				       size_t *n)
{
	return s->t->ops->read(s->t, at, max, n, &s->e);
}

/* -------------------------------------------------------------------- bytes */

enum { BULK = 3 * 1024 * 1024 };

/* Writes from a buffer that grows between two writes, as a stream's does, over
 * a socket that takes little at a time. */
static void carry(struct tls_side *from, struct tls_side *to)
{
	char *all = xmalloc(BULK);
	char in[5000];
	size_t sent = 0;
	size_t got = 0;
	size_t held = 1000;
	size_t waits = 0;
	enum transport_result r;
	size_t n;

	for (size_t i = 0; i < BULK; i++)
		all[i] = (char)(i * 31 + i / 253);
	while (got < BULK) {
		if (sent < BULK) {
			r = from->t->ops->write(from->t, all + sent,
						held - sent, &n, &from->e);
			ck_assert(r == TRANSPORT_OK ||
				  r == TRANSPORT_WANTS_WRITE);
			waits += r != TRANSPORT_OK;
			if (r == TRANSPORT_OK)
				sent += n;
			held = held + 7777 < BULK ? held + 7777 : BULK;
			if (r == TRANSPORT_OK)
				continue;
		}
		r = read_some(to, in, sizeof(in), &n);
		if (r == TRANSPORT_WANTS_READ)
			continue;
		ck_assert_int_eq(r, TRANSPORT_OK);
		ck_assert(memcmp(in, all + got, n) == 0);
		got += n;
	}
	ck_assert_uint_gt(waits, 0);
	free(all);
}

START_TEST(test_bulk)
{
	struct tls_pair p;

	open_pair(&p);
	carry(&p.client, &p.server);
	carry(&p.server, &p.client);
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_pending)
{
	struct tls_pair p;
	char byte[2];
	size_t n;

	open_pair(&p);
	ck_assert_int_eq(read_some(&p.server, byte, 2, &n),
			 TRANSPORT_WANTS_READ);
	ck_assert_int_eq(p.client.t->ops->write(p.client.t, "abcdef", 6, &n,
						&p.client.e),
			 TRANSPORT_OK);
	ck_assert_uint_eq(n, 6);
	ck_assert_int_eq(read_some(&p.server, byte, 2, &n), TRANSPORT_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(p.server.t->ops->pending(p.server.t), 4);
	ck_assert_int_eq(read_some(&p.server, byte, 2, &n), TRANSPORT_OK);
	ck_assert_uint_eq(p.server.t->ops->pending(p.server.t), 2);
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_early_bytes)
{
	struct tls_pair p;
	char byte;
	size_t n;

	tls_pair_open(&p);
	p.client.t = our_client(p.client.fd, trust_12);
	ck_assert_int_eq(
		p.client.t->ops->write(p.client.t, "x", 1, &n, &p.client.e),
		TRANSPORT_FAILED);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n), TRANSPORT_FAILED);
	ck_assert_str_eq(tls_session_version(p.client.t), "");
	ck_assert_str_eq(tls_session_cipher(p.client.t), "");
	ck_assert_str_eq(tls_session_verified(p.client.t), "none");
	tls_pair_close(&p);
}
END_TEST

/* ---------------------------------------------------------------------- ends */

START_TEST(test_end)
{
	bool in_order = _i == 0;
	struct tls_pair p;
	char byte;
	size_t n;

	open_pair(&p);
	ck_assert_int_eq(
		p.server.t->ops->write(p.server.t, "x", 1, &n, &p.server.e),
		TRANSPORT_OK);
	if (in_order)
		p.server.t->ops->shutdown(p.server.t);
	tls_side_hang_up(&p.server);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n), TRANSPORT_OK);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n), TRANSPORT_EOF);
	tls_pair_close(&p);
}
END_TEST

/* A socket closed with unread data resets the connection. */
START_TEST(test_reset)
{
	struct tls_pair p;
	char byte;
	size_t n;

	open_pair(&p);
	ck_assert_int_eq(
		p.client.t->ops->write(p.client.t, "x", 1, &n, &p.client.e),
		TRANSPORT_OK);
	tls_side_hang_up(&p.server);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n), TRANSPORT_FAILED);
	ck_assert_int_eq(p.client.e.os, ECONNRESET);
	ck_assert_int_eq(tls_session_failure(p.client.t), CAUSE_IS_NONE);
	ck_assert_int_eq(
		p.client.t->ops->write(p.client.t, "x", 1, &n, &p.client.e),
		TRANSPORT_FAILED);
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_broken_pipe)
{
	struct tls_pair p;
	size_t n;

	open_pair(&p);
	tls_side_hang_up(&p.server);
	ck_assert_int_eq(
		p.client.t->ops->write(p.client.t, "x", 1, &n, &p.client.e),
		TRANSPORT_FAILED);
	ck_assert_int_eq(p.client.e.os, EPIPE);
	ck_assert_int_eq(tls_session_failure(p.client.t), CAUSE_IS_NONE);
	tls_pair_close(&p);
}
END_TEST

/* ------------------------------------------------------------- bad handshakes */

static const struct {
	const char *said; /* in clear text; NULL: nothing */
	bool unread; /* hangs up without reading */
	const char *cause, *text;
} rude[] = {
	{ "220 mx.example.com ESMTP\r\n", false, "tls-handshake", "not TLS" },
	{ "554 5.7.1 no\r\n", false, "tls-handshake", "not TLS" },
	{ "HTTP/1.1 400 Bad Request\r\n\r\n", false, "tls-handshake",
	  "not TLS" },
	{ NULL, false, "tls-handshake", "closed the connection in the middle" },
	{ NULL, true, "tls-handshake", "Connection reset by peer" },
};

START_TEST(test_rude_server)
{
	struct tls_side *c;
	struct tls_pair p;
	char hello[4096];

	tls_pair_open(&p);
	c = &p.client;
	c->t = our_client(c->fd, trust_12);
	c->result = c->t->ops->handshake(c->t, &c->e);
	ck_assert_int_eq(c->result, TRANSPORT_WANTS_READ);
	if (!rude[_i].unread)
		ck_assert_int_gt(read(p.server.fd, hello, sizeof(hello)), 0);
	if (rude[_i].said)
		ck_assert_int_gt(write(p.server.fd, rude[_i].said,
				       strlen(rude[_i].said)),
				 0);
	else
		tls_side_hang_up(&p.server);
	c->result = c->t->ops->handshake(c->t, &c->e);
	ck_assert_int_eq(c->result, TRANSPORT_FAILED);
	ck_assert_str_eq(cause_word(tls_session_failure(c->t)), rude[_i].cause);
	ck_assert_msg(strstr(c->e.text, rude[_i].text) != NULL, "%s",
		      c->e.text);
	ck_assert_int_eq(c->t->ops->handshake(c->t, &c->e), TRANSPORT_FAILED);
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_rude_client)
{
	static const char clear[] = "EHLO client.example.com\r\n";
	struct tls_pair p;

	tls_pair_open(&p);
	p.server.t = our_server(p.server.fd, NULL);
	ck_assert_int_gt(write(p.client.fd, clear, sizeof(clear) - 1), 0);
	p.server.result = p.server.t->ops->handshake(p.server.t, &p.server.e);
	ck_assert_int_eq(p.server.result, TRANSPORT_FAILED);
	ck_assert_str_eq(cause_word(tls_session_failure(p.server.t)),
			 "tls-handshake");
	ck_assert_msg(strstr(p.server.e.text, "not TLS") != NULL, "%s",
		      p.server.e.text);
	tls_pair_close(&p);
}
END_TEST

/* ------------------------------------------------------------------ versions */

/* GnuTLS as a peer does not always see that it is the version that is not
 * shared: then it says there is no common cipher suite. */
static const struct {
	const char *raw; /* what the other side speaks */
	bool min_13; /* our floor */
	const char *version; /* NULL: the handshake fails */
	const char *client_cause, *server_cause;
} floors[] = {
	{ TLS_13, false, "TLS1.3", "", "" },
	{ TLS_12, false, "TLS1.2", "", "" },
	{ TLS_11, false, NULL, "tls-version", "tls-version" },
	{ TLS_13, true, "TLS1.3", "", "" },
	{ TLS_12, true, NULL, "tls-handshake", "tls-handshake" },
	{ TLS_11, true, NULL, "tls-handshake", "tls-version" },
};

static void expect_version(struct tls_pair *p, struct tls_side *ours, int row,
			   const char *cause)
{
	tls_pair_shake(p);
	ck_assert_msg(strcmp(cause_word(tls_session_failure(ours->t)), cause) ==
			      0,
		      "%s", ours->e.text);
	ck_assert_int_eq(ours->result,
			 floors[row].version ? TRANSPORT_OK : TRANSPORT_FAILED);
	if (floors[row].version)
		ck_assert_str_eq(tls_session_version(ours->t),
				 floors[row].version);
}

START_TEST(test_floor_of_client)
{
	struct tls_pair p;

	tls_pair_open(&p);
	p.client.t = our_client(p.client.fd,
				floors[_i].min_13 ? trust_13 : trust_12);
	p.server.t = raw_server(p.server.fd, floors[_i].raw);
	expect_version(&p, &p.client, _i, floors[_i].client_cause);
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_floor_of_server)
{
	struct tls_pair p;

	tls_pair_open(&p);
	p.client.t = raw_client(p.client.fd, floors[_i].raw);
	p.server.t = our_server(p.server.fd,
				floors[_i].min_13 ? trust_13 : trust_12);
	expect_version(&p, &p.server, _i, floors[_i].server_cause);
	tls_pair_close(&p);
}
END_TEST

/* ------------------------------------------------------------------- tickets */

/* A server that does send tickets shows that they would be seen. */
static const struct {
	const char *priority;
	bool ours;
} ticket_rows[] = {
	{ TLS_13, true },
	{ TLS_13, false },
	{ TLS_12, true },
	{ TLS_12, false },
};

START_TEST(test_tickets)
{
	struct tls_pair p;
	unsigned seen;

	tls_pair_open(&p);
	p.client.t = raw_client(p.client.fd, ticket_rows[_i].priority);
	if (ticket_rows[_i].ours)
		p.server.t = our_server(p.server.fd, NULL);
	else
		p.server.t =
			raw_new(p.server.fd,
				&(struct raw_conf){
					.kind = RAW_SERVER_WITH_TICKETS,
					.priority = ticket_rows[_i].priority,
					.dir = dir,
					.name = "mx" });
	tls_pair_shake(&p);
	ck_assert_int_eq(p.client.result, TRANSPORT_OK);
	for (int i = 0; i < 3; i++)
		ck_assert(tls_pair_carries(&p.server, &p.client, "250 x\r\n"));
	seen = raw_tickets(p.client.t);
	if (ticket_rows[_i].ours)
		ck_assert_uint_eq(seen, 0);
	else
		ck_assert_uint_gt(seen, 0);
	ck_assert_int_eq(gnutls_session_is_resumed(raw_session(p.client.t)), 0);
	tls_pair_close(&p);
}
END_TEST

/* Our client offers to take none, and gets along with a server that has some. */
START_TEST(test_ticket_server)
{
	struct raw_conf conf = { .kind = RAW_SERVER_WITH_TICKETS,
				 .priority = _i == 0 ? TLS_13 : TLS_12,
				 .dir = dir,
				 .name = "mx" };
	struct tls_pair p;

	tls_pair_open(&p);
	p.client.t = our_client(p.client.fd, trust_12);
	p.server.t = raw_new(p.server.fd, &conf);
	tls_pair_shake(&p);
	ck_assert_int_eq(p.client.result, TRANSPORT_OK);
	ck_assert(tls_pair_carries(&p.server, &p.client, "220 x\r\n"));
	ck_assert(tls_pair_carries(&p.client, &p.server, "EHLO x\r\n"));
	tls_pair_close(&p);
}
END_TEST

/* ---------------------------------------------------------------- after that */

/* A client that asks for it (TLS 1.2) is told no, and that is the end. */
START_TEST(test_renegotiation)
{
	gnutls_session_t client;
	struct tls_pair p;
	char byte;
	size_t n;

	tls_pair_open(&p);
	p.client.t = raw_client(p.client.fd, TLS_12);
	p.server.t = our_server(p.server.fd, NULL);
	tls_pair_shake(&p);
	ck_assert_int_eq(p.client.result, TRANSPORT_OK);
	client = raw_session(p.client.t);
	ck_assert_int_eq(gnutls_handshake(client), GNUTLS_E_AGAIN);
	ck_assert_int_eq(read_some(&p.server, &byte, 1, &n), TRANSPORT_FAILED);
	ck_assert_msg(strstr(p.server.e.text, "ehandshake") != NULL, "%s",
		      p.server.e.text);
	ck_assert_int_lt(gnutls_handshake(client), 0);
	ck_assert_int_eq((int)gnutls_alert_get(client),
			 GNUTLS_A_NO_RENEGOTIATION);
	tls_pair_close(&p);
}
END_TEST

/* The server asks: TLS 1.2's HelloRequest, many in a row. */
START_TEST(test_hello_requests)
{
	struct tls_pair p;
	char byte;
	size_t n;

	tls_pair_open(&p);
	p.client.t = our_client(p.client.fd, trust_12);
	p.server.t = raw_server(p.server.fd, TLS_12);
	tls_pair_shake(&p);
	ck_assert_int_eq(gnutls_rehandshake(raw_session(p.server.t)), 0);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n),
			 TRANSPORT_WANTS_READ);
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(gnutls_rehandshake(raw_session(p.server.t)),
				 0);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n), TRANSPORT_FAILED);
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_key_update)
{
	struct tls_pair p;

	tls_pair_open(&p);
	p.client.t = our_client(p.client.fd, trust_12);
	p.server.t = raw_server(p.server.fd, TLS_13);
	tls_pair_shake(&p);
	for (int i = 0; i < 5; i++) {
		int rc = gnutls_session_key_update(raw_session(p.server.t),
						   GNUTLS_KU_PEER);

		ck_assert_int_ge(rc, 0);
		ck_assert(tls_pair_carries(&p.server, &p.client, "250 x\r\n"));
		ck_assert(tls_pair_carries(&p.client, &p.server, "QUIT\r\n"));
	}
	tls_pair_close(&p);
}
END_TEST

START_TEST(test_garbage)
{
	static const char garbage[] = "\x17\x03\x03\x00\x20"
				      "0123456789abcdef0123456789abcdef";
	struct tls_pair p;
	char byte;
	size_t n;

	open_pair(&p);
	ck_assert_int_gt(write(p.server.fd, garbage, sizeof(garbage) - 1), 0);
	ck_assert_int_eq(read_some(&p.client, &byte, 1, &n), TRANSPORT_FAILED);
	ck_assert_int_eq(p.client.e.os, 0);
	ck_assert_int_eq(tls_session_failure(p.client.t), CAUSE_IS_NONE);
	tls_pair_close(&p);
}
END_TEST

/* ------------------------------------------------------------------- threads */

enum { THREADS = 4, SESSIONS = 25 };

/* One identity, one trust, one credentials object, many workers. */
static void *shake_many(void *arg)
{
	size_t *good = arg;

	for (int i = 0; i < SESSIONS; i++) {
		struct tls_pair p;

		tls_pair_open(&p);
		p.client.t = our_client(p.client.fd, trust_12);
		p.server.t = our_server(p.server.fd, trust_12);
		tls_pair_shake(&p);
		*good += p.client.result == TRANSPORT_OK &&
			 p.server.result == TRANSPORT_OK &&
			 strcmp(tls_session_verified(p.client.t), "name") == 0;
		tls_pair_close(&p);
	}
	return NULL;
}

START_TEST(test_threads)
{
	pthread_t threads[THREADS];
	size_t good[THREADS] = { 0 };

	for (size_t i = 0; i < THREADS; i++)
		ck_assert_int_eq(
			pthread_create(&threads[i], NULL, shake_many, &good[i]),
			0);
	for (size_t i = 0; i < THREADS; i++) {
		ck_assert_int_eq(pthread_join(threads[i], NULL), 0);
		ck_assert_uint_eq(good[i], SESSIONS);
	}
}
END_TEST

static void add_tests(TCase *c)
{
	tcase_add_test(c, test_bulk);
	tcase_add_test(c, test_pending);
	tcase_add_test(c, test_early_bytes);
	tcase_add_loop_test(c, test_end, 0, 2);
	tcase_add_test(c, test_reset);
	tcase_add_test(c, test_broken_pipe);
	tcase_add_loop_test(c, test_rude_server, 0, (int)ARRAY_LEN(rude));
	tcase_add_test(c, test_rude_client);
	tcase_add_loop_test(c, test_floor_of_client, 0, (int)ARRAY_LEN(floors));
	tcase_add_loop_test(c, test_floor_of_server, 0, (int)ARRAY_LEN(floors));
	tcase_add_loop_test(c, test_tickets, 0, (int)ARRAY_LEN(ticket_rows));
	tcase_add_loop_test(c, test_ticket_server, 0, 2);
	tcase_add_test(c, test_renegotiation);
	tcase_add_test(c, test_hello_requests);
	tcase_add_test(c, test_key_update);
	tcase_add_test(c, test_garbage);
	tcase_add_test(c, test_threads);
}

int main(void)
{
	Suite *suite = suite_create("transport");
	TCase *c = tcase_create("transport");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, setup, teardown);
	add_tests(c);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
