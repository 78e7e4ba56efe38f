/* SPDX-License-Identifier: ISC */
/*
 * t_dsn - what notices say, to people and to programs.
 */
#include "queue/dsn.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#define NOW INT64_C(1700000000000)
#define ID 77

static struct message *about;
static struct dsn dsn;
static struct dsn_recipient list[200];
static char *text; /* what was written */

static void set(char **to, const char *s)
{
	free(*to);
	*to = xstrdup(s);
}

static void add(const char *address, const char *orcpt, const char *reply)
{
	struct recipient *r = message_add(about, address, "out", "");

	set(&r->orcpt, orcpt);
	list[dsn.n++] = (struct dsn_recipient){
		.cause = CAUSE_IS_PEER_REJECTED,
		.status = "5.1.1",
		.reply = reply,
		.host = "mx.example.net",
		.certificate = "",
		.last_attempt_ms = NOW - 1000,
		.until_ms = NOW + 86400000,
	};
}

static void begin(void)
{
	about = message_new();
	about->id = 5;
	about->received_ms = NOW - 60000;
	set(&about->sender, "alice@example.com");
	set(&about->trace_field, "Received: by relay\r\n");
	dsn = (struct dsn){
		.about = DSN_ABOUT_FAILURE,
		.id = ID,
		.now_ms = NOW,
		.hostname = "relay.example.org",
		.postmaster = "boss@example.org",
		.to = "alice@example.com",
		.message = about,
		.recipients = list,
		.original = SPAN("Subject: hi\r\n\r\nbody\r\n"),
		.is_whole = true,
	};
}

static void check_lines(struct span s)
{
	size_t line = 0;

	for (size_t i = 0; i < s.len; i++) {
		ck_assert_int_ne(s.at[i], '\0');
		if (s.at[i] == '\r') {
			ck_assert_int_eq(s.at[i + 1], '\n');
			line = 0;
			i++;
			continue;
		}
		ck_assert_int_ne(s.at[i], '\n');
		ck_assert_uint_le(++line, 998);
	}
	ck_assert(span_ends_nocase(s, SPAN("--\r\n")));
}

static void write(void)
{
	struct buf out;

	for (size_t i = 0; i < dsn.n; i++)
		list[i].recipient = &about->recipients[i];
	buf_init(&out, DSN_BYTES_MAX);
	dsn_write(&out, &dsn);
	check_lines(buf_span(&out));
	text = buf_string(&out);
}

static void has(const char *s)
{
	ck_assert_msg(strstr(text, s) != NULL, "no \"%s\" in:\n%s", s, text);
}

static void has_not(const char *s)
{
	ck_assert_msg(strstr(text, s) == NULL, "\"%s\" in:\n%s", s, text);
}

static void end(void)
{
	message_free(about);
	free(text);
}

START_TEST(failure)
{
	begin();
	set(&about->envid, "QQ+2B314");
	set(&about->message_id, "x@y");
	add("bob@example.net", "rfc822;Bob+2BDog@example.net",
	    "550 5.1.1 nobody");
	write();
	has("From: Mail Delivery System <MAILER-DAEMON@relay.example.org>\r\n");
	has("To: <alice@example.com>\r\n");
	has("Auto-Submitted: auto-replied\r\n");
	has("In-Reply-To: <x@y>\r\n");
	has("report-type=delivery-status");
	has("Content-Type: message/delivery-status\r\n");
	has("\r\nReporting-MTA: dns; relay.example.org\r\n"
	    "Original-Envelope-Id: QQ+314\r\n"
	    "Arrival-Date: Tue, 14 Nov 2023 22:12:20 +0000\r\n");
	has("\r\n\r\nOriginal-Recipient: rfc822; Bob+Dog@example.net\r\n"
	    "Final-Recipient: rfc822; bob@example.net\r\n"
	    "Action: failed\r\nStatus: 5.1.1\r\n"
	    "Remote-MTA: dns; mx.example.net\r\n"
	    "Diagnostic-Code: smtp; 550 5.1.1 nobody\r\n"
	    "Last-Attempt-Date: Tue, 14 Nov 2023 22:13:19 +0000\r\n");
	has_not("Will-Retry-Until");
	has("Content-Type: message/rfc822\r\n\r\n"
	    "Received: by relay\r\nSubject: hi\r\n\r\nbody\r\n\r\n--");
	has("boss@example.org");
	has_not("8bit");
	end();
}
END_TEST

/* It is told to programs only if it can't be taken for anything else. */
START_TEST(odd_message_ids)
{
	static const char *const odd[] = {"a b@c",    "a\r\nTo: x@y",
					  "a\x01@b",  "a<b",
					  "a\xc3@b.c", "a\xc3\xbc@b.c"};

	for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
		begin();
		dsn.to = i < 5 ? "\xc3\xbc@example.com" : "u@example.com";
		set(&about->message_id, odd[i]);
		add("bob@example.net", "", "550 5.1.1 nobody");
		write();
		has_not("In-Reply-To");
		has_not("References");
		end();
	}
}
END_TEST

START_TEST(delay_and_relay)
{
	begin();
	dsn.about = DSN_ABOUT_DELAY;
	add("bob@example.net", "", "connection refused");
	write();
	has("Action: delayed\r\n");
	has("Will-Retry-Until: Wed, 15 Nov 2023 22:13:20 +0000\r\n");
	has("Diagnostic-Code: x-relayd; connection refused\r\n");
	has("Content-Type: text/rfc822-headers\r\n");
	has_not("body\r\n");
	has_not("Original-Recipient");
	free(text);
	dsn.about = DSN_ABOUT_RELAY;
	write();
	has("Action: relayed\r\n");
	has("Content-Type: text/rfc822-headers\r\n");
	end();
}
END_TEST

START_TEST(what_is_returned)
{
	static const char bare[] = "Subject: a\r\n\r\nb\nc\r\n";

	begin();
	add("bob@example.net", "", "550 no");
	set(&about->ret, "HDRS");
	write();
	has("text/rfc822-headers");
	has_not("body\r\n");
	free(text);
	/* What can't stand in another message does not. */
	set(&about->ret, "FULL");
	dsn.original = SPAN(bare);
	write();
	has("text/rfc822-headers");
	has("Subject: a\r\n");
	free(text);
	dsn.original = SPAN("Subject: a");
	dsn.is_whole = false;
	write();
	has("Subject: a\r\n");
	end();
}
END_TEST

START_TEST(the_boundary_is_in_nothing)
{
	char id[64], *body;
	const char *at;
	unsigned n = 0;

	begin();
	add("bob@example.net", "", "550 =_000000000002D_1 no");
	body = xasprintf("a\r\n--=_000000000002D_0\r\n");
	dsn.original = span_of(body);
	snprintf(id, sizeof(id), "=_000000000002D_2");
	write();
	has("boundary=\"=_000000000002D_2\"");
	for (at = text; (at = strstr(at, id)) != NULL; at++)
		n++;
	ck_assert_uint_eq(n, 5);
	free(body);
	end();
}
END_TEST

START_TEST(words_of_peers_break_nothing)
{
	char reply[2000];

	begin();
	memset(reply, 'x', sizeof(reply) - 1);
	reply[sizeof(reply) - 1] = '\0';
	memcpy(reply, "550 a\r\nStatus: 2.0.0\r\n\r\n\x01\xff", 26);
	add("bob@example.net", "rfc822;broken+", reply);
	list[0].certificate = "CN=\r\n.\r\n\xc3\xbc";
	write();
	has_not("\r\nStatus: 2.0.0");
	has_not("\x01");
	has_not("\xff");
	has_not("Original-Recipient");
	end();
}
END_TEST

START_TEST(addresses_beyond_ascii)
{
	begin();
	about->smtputf8 = true;
	dsn.original = SPAN("Subject: \xc3\xbc\r\n\r\n\xc3\xbc\r\n");
	add("b\xc3\xbc@example.net", "utf-8;b\\x{FC}@example.net",
	    "550 5.1.1 b\xc3\xbc?");
	write();
	has("Content-Type: message/global-delivery-status\r\n"
	    "Content-Transfer-Encoding: 8bit\r\n");
	has("Content-Type: message/global\r\n");
	has("Original-Recipient: utf-8; b\xc3\xbc@example.net\r\n");
	has("Final-Recipient: utf-8; b\xc3\xbc@example.net\r\n");
	has("text/plain; charset=utf-8");
	free(text);
	set(&about->ret, "HDRS");
	write();
	has("Content-Type: message/global-headers\r\n");
	end();
}
END_TEST

START_TEST(all_that_fits_and_no_more)
{
	char address[600], *body = xcalloc(DSN_ORIGINAL_MAX + 1, 1);
	size_t room;

	begin();
	for (size_t i = 0; i < DSN_ORIGINAL_MAX; i += 2)
		memcpy(body + i, "\r\n", 2);
	dsn.original = span_of(body);
	memset(address, 'x', sizeof(address) - 1);
	address[sizeof(address) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(list); i++) {
		add(address, "", "550 5.1.1 no such user here, go away please");
		list[i].certificate = address;
	}
	for (size_t i = 0; i < dsn.n; i++)
		list[i].recipient = &about->recipients[i];
	room = dsn_room(list, dsn.n);
	ck_assert_uint_gt(room, 20);
	ck_assert_uint_lt(room, dsn.n);
	ck_assert_uint_eq(dsn_room(list, 1), 1);
	dsn.n = room;
	write();
	has("others, listed in the report below");
	room = 0;
	for (const char *at = text;
	     (at = strstr(at, "\r\nLast-Attempt-Date: ")) != NULL; at++)
		room++;
	ck_assert_uint_eq(room, dsn.n);
	free(body);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dsn");
	TCase *tc = tcase_create("dsn");

	tcase_add_test(tc, failure);
	tcase_add_test(tc, odd_message_ids);
	tcase_add_test(tc, delay_and_relay);
	tcase_add_test(tc, what_is_returned);
	tcase_add_test(tc, the_boundary_is_in_nothing);
	tcase_add_test(tc, words_of_peers_break_nothing);
	tcase_add_test(tc, addresses_beyond_ascii);
	tcase_add_test(tc, all_that_fits_and_no_more);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
