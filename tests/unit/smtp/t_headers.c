/* SPDX-License-Identifier: ISC */
/*
 * t_headers - the trace field as it is written, and what a scan sees.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/headers.h"

enum { WALL_S = 1000000000 }; /* 9 September 2001, 01:46:40 UTC */

static void check_field(const struct received *r, const char *wanted)
{
	struct buf out;

	buf_init(&out, RECEIVED_MAX);
	received_field(&out, r);
	ck_assert_msg(span_eq(buf_span(&out), span_of(wanted)), "%.*s",
		      (int)out.len, buf_span(&out).at);
	buf_release(&out);
}

START_TEST(received)
{
	struct received r = {
		.helo = "client.example",
		.client = "[192.0.2.1]",
		.hostname = "relay.example",
		.protocol = "ESMTPS",
		.tls = "TLS1.3 with cipher TLS_AES_256_GCM_SHA384",
		.id = "0123456789ABC",
		.recipient = "someone@contoso.example",
		.wall_ms = (int64_t)WALL_S * 1000,
	};

	check_field(&r, "Received: from client.example ([192.0.2.1]) "
			"by relay.example with ESMTPS\r\n"
			"\t(TLS1.3 with cipher TLS_AES_256_GCM_SHA384) "
			"id 0123456789ABC\r\n"
			"\tfor <someone@contoso.example>; "
			"Sun, 9 Sep 2001 01:46:40 +0000\r\n");
	r.tls = NULL;
	r.recipient = NULL;
	check_field(&r, "Received: from client.example ([192.0.2.1]) "
			"by relay.example with ESMTPS\r\n"
			"\tid 0123456789ABC; "
			"Sun, 9 Sep 2001 01:46:40 +0000\r\n");
}
END_TEST

/* Each line, unfolded, gives the same words; none is too long. */
static void check_lines(const struct received *r)
{
	struct buf out;
	struct span s;
	size_t length = 0;

	buf_init(&out, RECEIVED_MAX);
	received_field(&out, r);
	s = buf_span(&out);
	ck_assert(s.len > 2 && memcmp(s.at + s.len - 2, "\r\n", 2) == 0);
	for (size_t i = 0; i < s.len; i++) {
		length = s.at[i] == '\n' ? 0 : length + 1;
		ck_assert_uint_le(length, 999);
		if (s.at[i] == '\n' && i + 1 < s.len) {
			ck_assert(s.at[i - 1] == '\r');
			ck_assert(s.at[i + 1] == '\t');
		}
		ck_assert(s.at[i] == '\r' || s.at[i] == '\n' ||
			  s.at[i] == '\t' ||
			  (s.at[i] >= ' ' && s.at[i] <= '~'));
	}
	buf_release(&out);
}

START_TEST(received_is_bounded)
{
	char *longest = malloc(5000);
	struct received r = {
		.helo = longest,
		.client = "[192.0.2.1]",
		.hostname = longest,
		.protocol = "ESMTP",
		.tls = longest,
		.id = longest,
		.recipient = longest,
		.wall_ms = 0,
	};

	memset(longest, 'x', 4999);
	longest[4999] = '\0';
	check_lines(&r);
	free(longest);
}
END_TEST

/* A name can neither end the field nor hide what follows it. */
START_TEST(received_cleans_helo)
{
	static const struct {
		const char *helo, *shown;
	} names[] = {
		{"a.example", "Received: from a.example ("},
		{"[192.0.2.1]", "Received: from [192.0.2.1] ("},
		{"a(b", "Received: from a?b ("},
		{"a\r\nB: c", "Received: from a??B:?c ("},
		{"\"x\\\xe4", "Received: from ?x?? ("},
		{"", "Received: from unknown ("},
	};
	struct received r = {.client = "[192.0.2.1]",
			     .hostname = "h",
			     .protocol = "SMTP",
			     .id = "1"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct span wanted = span_of(names[i].shown);
		struct buf out;

		r.helo = names[i].helo;
		check_lines(&r);
		buf_init(&out, RECEIVED_MAX);
		received_field(&out, &r);
		ck_assert_msg(span_starts_nocase(buf_span(&out), wanted),
			      "%.*s", (int)out.len, buf_span(&out).at);
		buf_release(&out);
	}
}
END_TEST

static const struct {
	const char *text;
	unsigned received;
	const char *message_id;
	bool done;                       /* before header_scan_end() */
} scans[] = {
	{"", 0, "", false},
	{"\r\n", 0, "", true},
	{"A: b\r\n\r\nReceived: x\r\n", 0, "", true},
	{"Received: x\r\n\r\n", 1, "", true},
	{"Received: x\r\nRECEIVED:y\r\nreceived : z\r\n\r\n", 3, "", true},
	{"Received: x\r\n", 1, "", false},
	{"Received: x", 1, "", false},
	{"Received-SPF: x\r\nX-Received: y\r\n\r\n", 0, "", true},
	{"A: b\r\n Received: c\r\n\tReceived: d\r\n\r\n", 0, "", true},
	{"Message-ID: <a@b>\r\n\r\n", 0, "a@b", true},
	{"message-id:<a@b>\r\n\r\n", 0, "a@b", true},
	{"Message-ID:\r\n <a@b>\r\n\r\n", 0, "a@b", true},
	{"Message-ID: a@b\r\n\r\n", 0, "a@b", true},
	{"Message-ID: (c) < a@b > (d)\r\n\r\n", 0, "a@b", true},
	{"Message-ID: <a@b\r\n\r\n", 0, "a@b", true},
	{"Message-ID:\r\nX: y\r\n\r\n", 0, "", true},
	{"Message-ID: <>\r\n\r\n", 0, "", true},
	{"Message-ID: <a>\r\nMessage-ID: <b>\r\n\r\n", 0, "a", true},
	{"Received: x\nMessage-ID: <a>\n\nReceived: y\n", 1, "a", true},
	{"no field\r\nReceived: x\r\n\r\n", 0, "", true},
	{"Received: x\r\nno field\r\nReceived: y\r\n\r\n", 1, "", true},
	{"Message-ID: <a>", 0, "a", false},
};

static void check_scan(size_t i, size_t piece)
{
	struct span s = span_of(scans[i].text);
	struct header_scan h;

	header_scan_init(&h);
	while (s.len > 0) {
		size_t n = s.len < piece ? s.len : piece;

		header_scan_feed(&h, (struct span){s.at, n});
		s = span_skip(s, n);
	}
	ck_assert_msg(h.done == scans[i].done, "scan %zu by %zu", i, piece);
	header_scan_end(&h);
	ck_assert(h.done);
	ck_assert_msg(h.received == scans[i].received, "scan %zu by %zu", i,
		      piece);
	ck_assert_str_eq(h.message_id, scans[i].message_id);
	header_scan_release(&h);
}

START_TEST(scan)
{
	for (size_t i = 0; i < ARRAY_LEN(scans); i++)
		for (size_t piece = 1; piece < 60; piece++)
			check_scan(i, piece);
}
END_TEST

/* A field of megabytes costs no memory and hides nothing behind it. */
START_TEST(scan_is_bounded)
{
	static char x[10000];
	struct header_scan h;

	memset(x, 'x', sizeof(x));
	header_scan_init(&h);
	header_scan_feed(&h, SPAN("Received: "));
	for (unsigned i = 0; i < 300; i++) {
		header_scan_feed(&h, (struct span){x, sizeof(x)});
		header_scan_feed(&h, SPAN("\r\n "));
		ck_assert_uint_le(h.field.len, 4096);
	}
	header_scan_feed(&h, SPAN("\r\nMessage-ID: <"));
	header_scan_feed(&h, (struct span){x, sizeof(x)});
	header_scan_feed(&h, SPAN(">\r\nReceived: y\r\n\r\nReceived: z\r\n"));
	ck_assert(h.done);
	ck_assert_uint_eq(h.received, 2);
	ck_assert_uint_eq(strlen(h.message_id), sizeof(h.message_id) - 1);
	header_scan_release(&h);
}
END_TEST

/* What "by" says, wherever it stands and however it is folded. */
START_TEST(scan_knows_own)
{
	static const struct {
		struct span field;
		unsigned own;
	} rows[] = {
		{SPAN("Received: from a (b [192.0.2.1]) by Relay.example with"
		      " ESMTP id 1; date"), 1},
		{SPAN("Received: from a\r\n\tby relay.example; date"), 1},
		{SPAN("RECEIVED:by relay.example(x) id 1; date"), 1},
		{SPAN("Received: (by relay.example) from a by b; date"), 0},
		{SPAN("Received: from a by other.example by relay.example"), 0},
		{SPAN("Received: from relay.example by b; date"), 0},
		{SPAN("Received: from a by relay.example.org; date"), 0},
		{SPAN("Received: from a by notrelay.example; date"), 0},
		{SPAN("Received: from a by"), 0},
		{SPAN("Received: from a ((((by relay.example"), 0},
		{SPAN("X-Received: by relay.example"), 0},
		{SPAN("Received: from by (b)\r\n\tby relay.example; date"), 1},
		{SPAN("Received: from by relay.example by b; date"), 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct header_scan h;

		header_scan_init(&h);
		h.own_name = "relay.example";
		header_scan_feed(&h, rows[i].field);
		header_scan_feed(&h, SPAN("\r\n\r\n"));
		header_scan_end(&h);
		ck_assert_msg(h.own == rows[i].own, "row %zu: %u", i, h.own);
		header_scan_release(&h);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("headers");
	TCase *tc = tcase_create("headers");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, received);
	tcase_add_test(tc, received_is_bounded);
	tcase_add_test(tc, received_cleans_helo);
	tcase_add_test(tc, scan);
	tcase_add_test(tc, scan_is_bounded);
	tcase_add_test(tc, scan_knows_own);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
