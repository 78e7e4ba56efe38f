/* SPDX-License-Identifier: ISC */
/*
 * t_server - what no script in tests/dialog/ can say of the server: its bounds,
 * its answers under a flood, and that the packets make no difference.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/command.h"
#include "smtp/server.h"

enum {
	WIRE_MAX = 64 * 1024 * 1024,
	OUTPUT_BOUND = 32 * 1024,
	PIECE_BOUND = 64 * 1024,
	PIECE_AT_LEAST = 16 * 1024,
};

/* A shell that says yes to all and keeps what it saw. */
struct shell {
	struct server *server;
	struct buf said, body, events;
	size_t pieces, largest_piece, smallest_piece;
	bool refuses_data;
};

static const struct server_conf conf = {
	.hostname = "relay.example",
	.tls = SERVER_TLS_OFFERED,
	.max_message_bytes = 20 * 1024 * 1024,
	.max_recipients = 1000,
	.max_errors = 20,
	.chunking = SERVER_CHUNKING_STRICT,
	.auth = true,
};

/* Implicit TLS, where one can log in; bare newlines are taken. */
static const struct server_conf other_conf = {
	.hostname = "relay.example",
	.in_tls = true,
	.max_message_bytes = 40,
	.max_recipients = 2,
	.max_mails = 3,
	.max_errors = 20,
	.chunking = SERVER_CHUNKING_PASSTHROUGH,
	.auth = true,
};

static void shell_init(struct shell *sh, const struct server_conf *c)
{
	*sh = (struct shell){.smallest_piece = SIZE_MAX};
	buf_init(&sh->said, WIRE_MAX);
	buf_init(&sh->body, WIRE_MAX);
	buf_init(&sh->events, WIRE_MAX);
	sh->server = server_new(c);
	server_greet(sh->server, NULL);
}

static void shell_release(struct shell *sh)
{
	server_free(sh->server);
	buf_release(&sh->said);
	buf_release(&sh->body);
	buf_release(&sh->events);
}

static void flush(struct shell *sh)
{
	struct buf *out = server_output(sh->server);

	ck_assert_uint_le(out->len, OUTPUT_BOUND);
	ck_assert(buf_add(&sh->said, buf_span(out)));
	buf_clear(out);
}

static void note(struct shell *sh, const char *event, const char *what)
{
	ck_assert(buf_printf(&sh->events, "%s %s\n", event, what));
}

static void keep_piece(struct shell *sh)
{
	struct span piece = server_body(sh->server);

	ck_assert(buf_add(&sh->body, piece));
	sh->pieces++;
	if (piece.len > sh->largest_piece)
		sh->largest_piece = piece.len;
	if (piece.len < sh->smallest_piece)
		sh->smallest_piece = piece.len;
}

static void answer_data(struct shell *sh)
{
	struct err e;

	note(sh, "data", "");
	(void)err_temp(&e, 3, 1, "No space");
	if (sh->refuses_data)
		server_refuse(sh->server, &e);
	else
		server_accept(sh->server, NULL);
}

/* Runs until the input does not suffice; true: go on. */
static bool shell_step(struct shell *sh, struct span *in)
{
	struct server *s = sh->server;

	switch (server_step(s, in)) {
	case SERVER_WANTS_INPUT:
		flush(sh);
		return false;
	case SERVER_WANTS_FLUSH:
		flush(sh);
		break;
	case SERVER_ASKS_AUTH:
		note(sh, "auth", server_auth_user(s));
		server_accept(s, NULL);
		break;
	case SERVER_ASKS_MAIL:
		note(sh, "mail", server_sender(s));
		server_accept(s, NULL);
		break;
	case SERVER_ASKS_RCPT:
		note(sh, "rcpt", server_recipient(s));
		server_accept(s, NULL);
		break;
	case SERVER_ASKS_DATA:
		answer_data(sh);
		break;
	case SERVER_GIVES_BODY:
		keep_piece(sh);
		break;
	case SERVER_ASKS_COMMIT:
		note(sh, "commit", server_message_id(s));
		server_accept(s, "Queued");
		break;
	case SERVER_DROPS:
		note(sh, "drops", "");
		break;
	case SERVER_ASKS_TLS:
		note(sh, "tls", "");
		flush(sh);
		*in = span_skip(*in, in->len);
		server_tls_started(s);
		break;
	case SERVER_CLOSES:
		note(sh, "closes", "");
		flush(sh);
		return false;
	}
	return true;
}

/* Gives wire in pieces of `size` bytes behind what was left of the last. */
static void shell_feed(struct shell *sh, struct span wire, size_t size)
{
	struct span in = {wire.at, 0};
	const char *end = wire.at + wire.len;

	while (in.at + in.len < end) {
		size_t more = (size_t)(end - in.at) - in.len;

		in.len += more < size ? more : size;
		while (shell_step(sh, &in))
			;
		ck_assert_uint_le(in.len, COMMAND_LINE_MAX);
	}
}

/* A body of megabytes comes in pieces of a good size, byte for byte. */
START_TEST(large_body)
{
	enum { LINES = 100000 };
	struct buf wire, message;
	struct shell sh;

	buf_init(&wire, WIRE_MAX);
	buf_init(&message, WIRE_MAX);
	ck_assert(buf_add(&wire, SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\n"
				      "RCPT TO:<c@d>\r\nDATA\r\n")));
	for (unsigned i = 0; i < LINES; i++) {
		const char *stuffing = i % 3 == 0 ? "." : "";

		ck_assert(buf_printf(&wire, "%s.%u \xe4 some text\r\n",
				     stuffing, i));
		ck_assert(buf_printf(&message, "%s%u \xe4 some text\r\n",
				     stuffing, i));
	}
	ck_assert(buf_add(&wire, SPAN(".\r\nQUIT\r\n")));
	shell_init(&sh, &conf);
	shell_feed(&sh, buf_span(&wire), 5000);
	ck_assert(span_eq(buf_span(&sh.body), buf_span(&message)));
	ck_assert_uint_le(sh.largest_piece, PIECE_BOUND);
	ck_assert_uint_ge(sh.largest_piece, PIECE_AT_LEAST);
	ck_assert_uint_le(sh.pieces, message.len / PIECE_AT_LEAST + 1);
	ck_assert(span_ends_nocase(buf_span(&sh.said),
				   SPAN("250 2.0.0 Queued\r\n"
					"221 2.0.0 Bye\r\n")));
	shell_release(&sh);
	buf_release(&wire);
	buf_release(&message);
}
END_TEST

/* Thousands of pipelined commands: every one is answered, in bounded memory. */
START_TEST(flood_of_commands)
{
	enum { COMMANDS = 20000 };
	struct buf wire;
	struct shell sh;
	size_t answers = 0;

	buf_init(&wire, WIRE_MAX);
	for (unsigned i = 0; i < COMMANDS; i++)
		ck_assert(buf_add(&wire, SPAN("HELP\r\n")));
	shell_init(&sh, &conf);
	shell_feed(&sh, buf_span(&wire), WIRE_MAX);
	for (size_t i = 0; i < sh.said.len; i++)
		answers += buf_span(&sh.said).at[i] == '\n';
	ck_assert_uint_eq(answers, 1 + COMMANDS);
	shell_release(&sh);
	buf_release(&wire);
}
END_TEST

START_TEST(many_recipients)
{
	struct buf wire;
	struct shell sh;
	size_t n;

	buf_init(&wire, WIRE_MAX);
	ck_assert(buf_add(&wire, SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\n")));
	for (unsigned i = 0; i < 1200; i++)
		ck_assert(buf_printf(&wire, "RCPT TO:<%u@d>\r\n", i));
	shell_init(&sh, &conf);
	shell_feed(&sh, buf_span(&wire), 1000);
	(void)server_recipients(sh.server, &n);
	ck_assert_uint_eq(n, 1000);
	ck_assert_str_eq(server_recipients(sh.server, &n)[999], "999@d");
	ck_assert(span_ends_nocase(buf_span(&sh.said),
				   SPAN("452 4.5.3 Too many recipients\r\n")));
	shell_release(&sh);
	buf_release(&wire);
}
END_TEST

/* Sessions that together reach every state and most of the replies. */
static const struct {
	struct span wire;
	bool refuses_data;
} sessions[] = {
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	      "Message-ID: <x>\r\n\r\n..\r\n.\r\nRSET\r\nQUIT\r\nNOOP\r\n"),
	 false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	      "x\n.\r\nMAIL\r.\r\r\n.\n\r\n.\r\nMAIL FROM:<z@b>\r\n"),
	 false},
	{SPAN("HELO a\r\nmail from:<a@b>\r\nrcpt to:<c@d>\r\ndata\r\n"
	      "\0\r\n.\r\nnoop\nNOOP\r\nNO\0OP\r\nvrfy\r\n\r\nfoo\r\n"),
	 false},
	{SPAN("EHLO a\r\nSTARTTLS\r\nEHLO b\r\nMAIL FROM:<a@b>\r\n"), false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	      "Subject: x\r\n\r\nHELP\r\n.\r\nQUIT\r\n"),
	 true},
	{SPAN("EHLO a\r\nGET / HTTP/1.1\r\nMAIL FROM:<a@b>\r\n"), false},
	{SPAN("EHLO a\r\n\x16\x03\x01\r\nMAIL FROM:<a@b>\r\n"), false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<c@d>\r\nDATA\r\n"
	      "RCPT TO:<>\r\nDATA\r\nEHLO b\r\nDATA\r\nRCPT TO:<c@d>\r\n"),
	 false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 5\r\n"
	      "x\r\ny\rBDAT 1\r\n\nBDAT 0\r\nBDAT 3 LAST\r\nz\r\nNOOP\r\n"),
	 false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\n"
	      "x\ny\rBDAT 4\r\n\nBDABDAT 3 LAST\r\nz\r\nNOOP\r\n"),
	 false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 60\r\n"
	      "123456789 123456789 123456789 123456789 123456789 12345678\r\n"
	      "RSET\r\nBDAT 3\r\nNOOBDAT x\r\nNOOP\r\n"),
	 false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nBDAT 3\r\n"
	      "x\r\nRSET\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n"
	      "x\r\n.\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<a@b>\r\n"),
	 true},
	{SPAN("EHLO a\r\nAUTH LOGIN\r\ndXNlcg==\r\n*\r\nAUTH PLAIN =\r\n"
	      "AUTH PLAIN AHVzZXIAcGFzcw==\r\nAUTH LOGIN\r\n"),
	 false},
	{SPAN("EHLO a\r\nMAIL FROM:<a@b> RET=HDRS ENVID=x SMTPUTF8\r\n"
	      "RCPT TO:<\xc3\xa4@d> NOTIFY=NEVER ORCPT=rfc822;x\r\n"
	      "RCPT TO:<\xc3@d>\r\nRCPT TO:<c@d>\r\nRCPT TO:<e@d>\r\n"),
	 false},
};

/* Cut at any place, and in pieces of any size, a session is the same, under
 * both configurations.  TLS is
 * left out of the second part: there, what is read in clear is thrown away. */
START_TEST(packets_make_no_difference)
{
	const struct server_conf *c = _i % 2 == 0 ? &conf : &other_conf;
	struct span wire = sessions[_i / 2].wire;
	struct shell whole, cut;

	shell_init(&whole, c);
	whole.refuses_data = sessions[_i / 2].refuses_data;
	shell_feed(&whole, wire, wire.len);
	if (memmem(wire.at, wire.len, "STARTTLS", 8) != NULL) {
		shell_release(&whole);
		return;
	}
	for (size_t size = 1; size < wire.len; size++) {
		shell_init(&cut, c);
		cut.refuses_data = sessions[_i / 2].refuses_data;
		shell_feed(&cut, wire, size);
		ck_assert(span_starts_nocase(buf_span(&cut.said),
					     buf_span(&whole.said)));
		ck_assert_uint_eq(cut.said.len, whole.said.len);
		ck_assert(span_starts_nocase(buf_span(&cut.events),
					     buf_span(&whole.events)));
		ck_assert(span_eq(buf_span(&cut.body), buf_span(&whole.body)));
		shell_release(&cut);
	}
	shell_release(&whole);
}
END_TEST

/* The answer to a question may come when the session is over already. */
START_TEST(late_answers)
{
	struct span in = SPAN("HELO a\r\nMAIL FROM:<a@b>\r\nNOOP\r\n");
	struct server *s = server_new(&conf);
	struct err e;

	(void)err_temp(&e, 3, 0, "late");
	server_greet(s, NULL);
	ck_assert(server_step(s, &in) == SERVER_ASKS_MAIL);
	server_shut_down(s, "Going down");
	ck_assert(span_eq(buf_span(server_output(s)),
			  SPAN("421 4.3.2 Going down\r\n")) ||
		  span_ends_nocase(buf_span(server_output(s)),
				   SPAN("\r\n421 4.3.2 Going down\r\n")));
	buf_clear(server_output(s));
	server_accept(s, NULL);
	server_refuse(s, &e);
	server_expire(s, "Again");
	ck_assert_uint_eq(server_output(s)->len, 0);
	ck_assert(server_step(s, &in) == SERVER_CLOSES);
	server_free(s);
}
END_TEST

/* Texts of the shell are cut; a reply stays a line. */
START_TEST(long_texts)
{
	struct span in = SPAN("HELO a\r\nMAIL FROM:<a@b>\r\n");
	struct server *s = server_new(&conf);
	char text[5000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	server_greet(s, NULL);
	ck_assert(server_step(s, &in) == SERVER_ASKS_MAIL);
	buf_clear(server_output(s));
	server_accept(s, text);
	ck_assert_uint_le(server_output(s)->len, 512);
	server_expire(s, text);
	ck_assert_uint_le(server_output(s)->len, 1024);
	server_free(s);
	server_free(NULL);
}
END_TEST

static char *file_read(const char *path)
{
	struct buf text;
	FILE *f = fopen(path, "r");
	char part[4096];
	size_t n;

	ck_assert_msg(f != NULL, "%s", path);
	buf_init(&text, WIRE_MAX);
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		ck_assert(buf_add(&text, (struct span){part, n}));
	fclose(f);
	return buf_string(&text);
}

static bool is_digits(const char *s, size_t n)
{
	return strspn(s, "0123456789") >= n;
}

/* Does s, what stands behind a quote, begin a reply? */
static bool is_reply(const char *s)
{
	return s[0] >= '2' && s[0] <= '5' && is_digits(s, 3) &&
	       (s[3] == ' ' || s[3] == '-');
}

/* RFC 2034 4: all but the greeting, answers to EHLO and HELO, and 3yz. */
static bool needs_code(const char *s)
{
	return s[0] != '3' && strncmp(s, "220 %s", 6) != 0 &&
	       strncmp(s, "250 %s\\r", 8) != 0 && s[3] != '-' &&
	       strncmp(s, "250 ENHANCEDSTATUSCODES", 23) != 0 &&
	       /* Two more parameters of it: "2.0.0" */
	       strncmp(s, "250 %s %.*s", 11) != 0;
}

/* Walks every reply that stands in the source: the class of its enhanced code
 * is its own.  The others are made of struct err, by
 * reply_from_err(), which has no choice. */
START_TEST(every_reply)
{
	static const char *const files[] = {"smtp/server.c", "smtp/verbs.c",
					    "smtp/incoming.c"};
	unsigned found = 0;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *source = file_read(files[i]);

		for (char *s = source; (s = strchr(s, '"')) != NULL;) {
			unsigned class, subject, detail;

			if (!is_reply(++s) || !needs_code(s))
				continue;
			found++;
			/* "421 %s": the code is its caller's. */
			if (strncmp(s, "421 %s ", 7) == 0)
				continue;
			ck_assert_msg(sscanf(s + 4, "%1u.%u.%u ", &class,
					     &subject, &detail) == 3,
				      "%s: %.60s", files[i], s);
			ck_assert_msg(class == (unsigned)(s[0] - '0'),
				      "%s: %.60s", files[i], s);
		}
		free(source);
	}
	ck_assert_uint_ge(found, 40);
}
END_TEST

/* No limit of size and none of errors. */
START_TEST(without_limits)
{
	struct server_conf none = conf;
	struct buf wire;
	struct shell sh;

	none.max_message_bytes = 0;
	none.max_errors = 0;
	buf_init(&wire, WIRE_MAX);
	for (unsigned i = 0; i < 300; i++)
		ck_assert(buf_add(&wire, SPAN("X\r\n")));
	ck_assert(buf_add(&wire, SPAN("EHLO a\r\nMAIL FROM:<a@b> "
				      "SIZE=18446744073709551615\r\n")));
	shell_init(&sh, &none);
	shell_feed(&sh, buf_span(&wire), 100);
	ck_assert(span_eq(buf_span(&sh.events), SPAN("mail a@b\n")));
	ck_assert(memmem(buf_span(&sh.said).at, sh.said.len, "250-SIZE 0\r\n",
			 12) != NULL);
	shell_release(&sh);
	buf_release(&wire);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server");
	TCase *tc = tcase_create("server");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, large_body);
	tcase_add_test(tc, flood_of_commands);
	tcase_add_test(tc, many_recipients);
	tcase_add_loop_test(tc, packets_make_no_difference, 0,
			    2 * ARRAY_LEN(sessions));
	tcase_add_test(tc, late_answers);
	tcase_add_test(tc, long_texts);
	tcase_add_test(tc, without_limits);
	tcase_add_test(tc, every_reply);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
