/* SPDX-License-Identifier: ISC */
/*
 * t_client - what no script in tests/dialog/ can say of the client: its bounds,
 * many recipients, large bodies, and that the packets make no difference.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/client.h"

enum {
	WIRE_MAX = 64 * 1024 * 1024,
	OUTPUT_BOUND = 80 * 1024,
	MANY = 2000,
};

static const struct client_conf conf = {.hostname = "relay.example"};

/* A server that answers each line it is told, and counts. */
struct peer {
	struct client *client;
	struct buf in;                   /* answers on their way */
	struct buf heard;                /* by the peer, without EHLO and QUIT */
	size_t piece;                    /* how many bytes arrive at a time */
	size_t shown;
	size_t recipients, longest_output;
	bool in_data;
	const char *ehlo;
};

static void peer_init(struct peer *p, const char *ehlo, size_t piece)
{
	*p = (struct peer){.ehlo = ehlo, .piece = piece};
	buf_init(&p->in, WIRE_MAX);
	buf_init(&p->heard, WIRE_MAX);
	p->client = client_new(&conf);
	ck_assert(buf_add(&p->in, SPAN("220 mx.example\r\n")));
}

static void peer_release(struct peer *p)
{
	client_free(p->client);
	buf_release(&p->in);
	buf_release(&p->heard);
}

static void answer(struct peer *p, const char *text)
{
	ck_assert(buf_printf(&p->in, "%s\r\n", text));
}

/* Every third recipient is unknown, every fifth busy. */
static void answer_rcpt(struct peer *p)
{
	size_t i = p->recipients++;

	answer(p, i % 3 == 0   ? "550 5.1.1 Unknown"
		  : i % 5 == 0 ? "450 4.2.1 Busy"
			       : "250 2.1.5 Ok");
}

static void peer_hears(struct peer *p, struct span line)
{
	if (p->in_data) {
		ck_assert(buf_add(&p->heard, line));
		if (!span_eq(line, SPAN(".\r\n")))
			return;
		p->in_data = false;
		answer(p, "250 2.0.0 Queued");
	} else if (span_starts_nocase(line, SPAN("EHLO"))) {
		answer(p, p->ehlo);
	} else if (span_starts_nocase(line, SPAN("RCPT"))) {
		answer_rcpt(p);
	} else if (span_starts_nocase(line, SPAN("DATA"))) {
		p->in_data = true;
		answer(p, "354 Go");
	} else {
		answer(p, "250 2.0.0 Ok");
	}
}

static void peer_hears_all(struct peer *p)
{
	struct buf *out = client_output(p->client);

	if (out->len > p->longest_output)
		p->longest_output = out->len;
	while (out->len > 0) {
		struct span line = buf_span(out);
		const char *lf = memchr(line.at, '\n', line.len);

		ck_assert_ptr_nonnull(lf);
		line.len = (size_t)(lf - line.at) + 1;
		peer_hears(p, line);
		buf_take(out, line.len);
	}
}

/* Runs until the client tells something. */
static enum client_wants run(struct peer *p)
{
	for (;;) {
		struct span in = {buf_span(&p->in).at, p->shown};
		size_t before = in.len;
		enum client_wants wants = client_step(p->client, &in);

		buf_take(&p->in, before - in.len);
		p->shown = in.len;
		peer_hears_all(p);
		if (wants != CLIENT_WANTS_INPUT)
			return wants;
		ck_assert_uint_gt(p->in.len, p->shown);
		p->shown += p->piece;
		if (p->shown > p->in.len)
			p->shown = p->in.len;
	}
}

static const char *recipients[MANY];

static void recipients_make(void)
{
	for (size_t i = 0; i < MANY; i++)
		recipients[i] = xasprintf("%zu.%0200d@example.org", i, 1);
}

static void recipients_free(void)
{
	for (size_t i = 0; i < MANY; i++)
		free((void *)(uintptr_t)recipients[i]);
}

static void check_results(const struct client *c, size_t wanted)
{
	size_t n;
	const struct client_result *r = client_results(c, &n);

	ck_assert_uint_eq(n, wanted);
	for (size_t i = 0; i < n; i++) {
		int code = i % 3 == 0 ? 550 : i % 5 == 0 ? 450 : 250;

		ck_assert_int_eq(r[i].reply.code, code);
		ck_assert(r[i].stage ==
			  (code == 250 ? CLIENT_DOT : CLIENT_RCPT));
	}
}

/* A megabyte of RCPT: each gets its answer, and the output stays bounded. */
START_TEST(many_recipients)
{
	static const char *const ehlos[] = {"250 mx",
					    "250-mx\r\n250 PIPELINING"};
	struct transaction t = {
		.sender = "a@b", .recipients = recipients, .nrecipients = MANY};
	struct peer p;

	recipients_make();
	peer_init(&p, ehlos[_i % 2], _i < 2 ? 7 : 100000);
	ck_assert(run(&p) == CLIENT_READY);
	client_mail(p.client, &t);
	ck_assert(run(&p) == CLIENT_ASKS_BODY);
	client_body(p.client, SPAN("x\r\n"));
	client_body_end(p.client);
	ck_assert(run(&p) == CLIENT_SETTLED);
	check_results(p.client, MANY);
	ck_assert_uint_le(p.longest_output, OUTPUT_BOUND);
	ck_assert_uint_gt(p.longest_output, _i % 2 ? 60000 : 200);
	ck_assert(run(&p) == CLIENT_READY);
	recipients_free();
	peer_release(&p);
}
END_TEST

/* The same connection carries one message after the other. */
START_TEST(reuse)
{
	const char *two[] = {"x@y", "b@c"};
	struct transaction t = {
		.sender = "", .recipients = two, .nrecipients = 1};
	struct peer p;

	peer_init(&p, "250-mx\r\n250 PIPELINING", 3);
	ck_assert(run(&p) == CLIENT_READY);
	for (unsigned i = 0; i < 20; i++) {
		size_t n;

		t.nrecipients = 1 + i % 2;
		p.recipients = 1;
		client_mail(p.client, &t);
		ck_assert(run(&p) == CLIENT_ASKS_BODY);
		client_body_end(p.client);
		ck_assert(run(&p) == CLIENT_SETTLED);
		(void)client_results(p.client, &n);
		ck_assert_uint_eq(n, t.nrecipients);
		ck_assert(!client_uncertain(p.client));
		ck_assert(run(&p) == CLIENT_READY);
	}
	peer_release(&p);
}
END_TEST

/* The largest piece, all dots: it fits, stuffed, into the output. */
START_TEST(largest_piece)
{
	const char *one[] = {"x@y"};
	struct transaction t = {
		.sender = "a@b", .recipients = one, .nrecipients = 1};
	struct buf message, wanted;
	struct peer p;

	buf_init(&message, CLIENT_PIECE_MAX);
	buf_init(&wanted, WIRE_MAX);
	while (message.len + 3 <= CLIENT_PIECE_MAX) {
		ck_assert(buf_add(&message, SPAN(".\r\n")));
		ck_assert(buf_add(&wanted, SPAN("..\r\n")));
	}
	ck_assert(buf_add(&wanted, SPAN(".\r\n")));
	peer_init(&p, "250 mx", 100);
	p.recipients = 1;
	ck_assert(run(&p) == CLIENT_READY);
	client_mail(p.client, &t);
	ck_assert(run(&p) == CLIENT_ASKS_BODY);
	client_body(p.client, buf_span(&message));
	client_body_end(p.client);
	ck_assert(run(&p) == CLIENT_SETTLED);
	ck_assert(span_eq(buf_span(&p.heard), buf_span(&wanted)));
	buf_release(&message);
	buf_release(&wanted);
	peer_release(&p);
}
END_TEST

static void feed(struct client *c, const char *text)
{
	struct span in = span_of(text);

	(void)client_step(c, &in);
	ck_assert_uint_eq(in.len, 0);
}

static bool output_memory_holds(struct client *c, const char *text)
{
	const struct buf *out = client_output(c);

	return out->mem != NULL &&
	       memmem(out->mem, out->cap, text, strlen(text)) != NULL;
}

/* Once it was written out, the secret is in no memory of the client. */
START_TEST(secret_is_wiped)
{
	static const char *const encoded = "AGJvYgBzZWNyZXQ=";
	const struct client_conf plain = {
		.hostname = "relay.example",
		.in_tls = true,
		.auth = CLIENT_AUTH_PLAIN,
		.user = "bob",
		.secret = "secret",
	};
	struct client *c = client_new(&plain);

	feed(c, "220 mx\r\n");
	buf_clear(client_output(c));
	feed(c, "250-mx\r\n250 AUTH PLAIN\r\n");
	ck_assert(output_memory_holds(c, encoded));
	buf_clear(client_output(c));
	feed(c, _i == 0 ? "235 Ok\r\n" : "");
	ck_assert(!output_memory_holds(c, encoded));
	client_free(c);
}
END_TEST

/* Longer than any server takes: told, and no part of it is said. */
START_TEST(secret_too_long)
{
	char *secret = xasprintf("%012288d", 1);
	const struct client_conf oauth = {
		.hostname = "relay.example",
		.in_tls = true,
		.auth = CLIENT_AUTH_XOAUTH2,
		.user = "bob",
		.secret = secret,
	};
	struct client *c = client_new(&oauth);
	struct span in = SPAN("250-mx\r\n250 AUTH XOAUTH2\r\n");

	feed(c, "220 mx\r\n");
	buf_clear(client_output(c));
	ck_assert(client_step(c, &in) == CLIENT_FAILED);
	ck_assert(client_stage(c) == CLIENT_AUTH);
	ck_assert_int_eq(client_reply(c)->code, 0);
	ck_assert(strstr(client_reply(c)->text, "too long") != NULL);
	ck_assert_uint_eq(client_output(c)->len, 0);
	client_free(c);
	free(secret);
}
END_TEST

/* A token of 8,000 bytes goes whole, on a line of its own. */
START_TEST(long_token)
{
	char *secret = xasprintf("%08000d", 1);
	const struct client_conf oauth = {
		.hostname = "relay.example",
		.in_tls = true,
		.auth = CLIENT_AUTH_XOAUTH2,
		.user = "bob",
		.secret = secret,
	};
	struct client *c = client_new(&oauth);

	feed(c, "220 mx\r\n");
	feed(c, "250-mx\r\n250 AUTH XOAUTH2\r\n");
	buf_clear(client_output(c));
	feed(c, "334 \r\n");
	/* user=bob ^A auth=Bearer ... ^A ^A, by three to four. */
	ck_assert_uint_eq(client_output(c)->len,
			  (8 + 1 + 12 + 8000 + 2 + 2) / 3 * 4 + 2);
	client_free(c);
	free(secret);
}
END_TEST

/* The largest piece is one chunk, and dots in it stay alone. */
START_TEST(largest_chunk)
{
	const char *one[] = {"x@y"};
	struct transaction t = {.sender = "a@b",
				.recipients = one,
				.nrecipients = 1,
				.bare_newlines = true};
	struct client *c = client_new(&conf);
	struct buf piece;
	struct span said;

	buf_init(&piece, CLIENT_PIECE_MAX);
	while (piece.len + 2 <= CLIENT_PIECE_MAX)
		ck_assert(buf_add(&piece, SPAN(".\n")));
	feed(c, "220 mx\r\n");
	feed(c, "250-mx\r\n250 CHUNKING\r\n");
	client_mail(c, &t);
	feed(c, "250 Ok\r\n");
	feed(c, "250 Ok\r\n");
	buf_clear(client_output(c));
	client_body(c, buf_span(&piece));
	client_body_end(c);
	said = buf_span(client_output(c));
	ck_assert(span_starts_nocase(said, SPAN("BDAT 1048576 LAST\r\n")));
	said = span_skip(said, sizeof("BDAT 1048576 LAST\r\n") - 1);
	ck_assert(span_eq(said, buf_span(&piece)));
	buf_release(&piece);
	client_free(c);
}
END_TEST

/* A connection that rests keeps no results. */
START_TEST(results_are_freed)
{
	const char *one[] = {"x@y"};
	struct transaction t = {
		.sender = "a@b", .recipients = one, .nrecipients = 1};
	struct client *c = client_new(&conf);
	size_t n;

	feed(c, "220 mx\r\n");
	feed(c, "250 mx\r\n");
	client_mail(c, &t);
	feed(c, "550 No\r\n");
	ck_assert_ptr_nonnull(client_results(c, &n));
	ck_assert_uint_eq(n, 1);
	feed(c, "");
	ck_assert_ptr_null(client_results(c, &n));
	ck_assert_uint_eq(n, 0);
	client_free(c);
}
END_TEST

/* The transaction itself may be gone after client_mail(). */
START_TEST(transaction_is_copied)
{
	const char *one[] = {"x@y"};
	struct transaction t = {
		.sender = "a@b", .recipients = one, .nrecipients = 1};
	struct peer p;

	peer_init(&p, "250 mx", 1);
	p.recipients = 1;
	ck_assert(run(&p) == CLIENT_READY);
	client_mail(p.client, &t);
	memset(&t, 0xff, sizeof(t));
	ck_assert(run(&p) == CLIENT_ASKS_BODY);
	peer_release(&p);
}
END_TEST

START_TEST(words_and_timeouts)
{
	static const struct {
		enum client_stage stage;
		const char *word;
	} words[] = {
		{CLIENT_GREETING, "greeting"}, {CLIENT_EHLO, "EHLO"},
		{CLIENT_HELO, "HELO"},	       {CLIENT_STARTTLS, "STARTTLS"},
		{CLIENT_MAIL, "MAIL"},	       {CLIENT_RCPT, "RCPT"},
		{CLIENT_DATA, "DATA"},	       {CLIENT_DOT, "end of data"},
		{CLIENT_RSET, "RSET"},	       {CLIENT_QUIT, "QUIT"},
		{CLIENT_AUTH, "AUTH"},
	};
	struct client *c = client_new(&conf);
	size_t n = 1;

	ck_assert_uint_eq(ARRAY_LEN(words), CLIENT_STAGES);
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		ck_assert_str_eq(client_stage_word(words[i].stage),
				 words[i].word);
	ck_assert_int_eq(client_timeout_ms(c), 300000);
	ck_assert_int_eq(client_reply(c)->code, 0);
	ck_assert_str_eq(client_greeting(c), "");
	ck_assert_ptr_null(client_results(c, &n));
	ck_assert_uint_eq(n, 0);
	client_free(c);
	client_free(NULL);
}
END_TEST

/* QUIT may be said after a refusal, before anything else was. */
START_TEST(quit_after_failure)
{
	struct client *c = client_new(&conf);
	struct span in = SPAN("554 5.3.2 Closed\r\n");

	ck_assert(client_step(c, &in) == CLIENT_FAILED);
	ck_assert(client_stage(c) == CLIENT_GREETING);
	client_quit(c);
	ck_assert(span_eq(buf_span(client_output(c)), SPAN("QUIT\r\n")));
	ck_assert_int_eq(client_timeout_ms(c), 30000);
	in = SPAN("221 Bye\r\n");
	ck_assert(client_step(c, &in) == CLIENT_CLOSED);
	client_free(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("client");
	TCase *tc = tcase_create("client");
	SRunner *runner;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, many_recipients, 0, 4);
	tcase_add_test(tc, reuse);
	tcase_add_test(tc, largest_piece);
	tcase_add_test(tc, transaction_is_copied);
	tcase_add_loop_test(tc, secret_is_wiped, 0, 2);
	tcase_add_test(tc, secret_too_long);
	tcase_add_test(tc, long_token);
	tcase_add_test(tc, largest_chunk);
	tcase_add_test(tc, results_are_freed);
	tcase_add_test(tc, words_and_timeouts);
	tcase_add_test(tc, quit_after_failure);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
