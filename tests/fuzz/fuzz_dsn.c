/* SPDX-License-Identifier: ISC */
/*
 * fuzz_dsn - notices made of words of others.
 *
 * The input: bytes that choose what it is about, the strings of the message
 * and of its recipients, then the original body.
 */
#include "queue/dsn.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "queue/wrap.h"
#include "smtp/address.h"
#include "smtp/envelope.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1700000000000)

enum { RECIPIENTS_MAX = 40, LINE_MAX_BYTES = 1000, PARTS = 3 };

static const char hostname[] = "relay.example.org";

struct notice {
	struct message *about;           /* owned */
	char *held[5 * RECIPIENTS_MAX];  /* owned; what list points to */
	size_t nheld;
	struct dsn_recipient list[RECIPIENTS_MAX];
	size_t n;
	struct dsn dsn;
};

static const char *hold(struct notice *x, struct span *in)
{
	return x->held[x->nheld++] = fuzz_string(in);
}

static void put(char **to, struct span *in)
{
	free(*to);
	*to = fuzz_string(in);
}

/* An address as RCPT takes it, whatever the input says. */
static void put_address(char **to, struct span *in)
{
	struct address a;

	put(to, in);
	if (!address_parse(span_of(*to), &a)) {
		free(*to);
		*to = xstrdup("bob@example.net");
	}
}

static void put_xtext(char **to, struct span *in)
{
	put(to, in);
	if (!xtext_valid(span_of(*to), DSN_ENVID_MAX))
		**to = '\0';
}

/* As RCPT takes it with SMTPUTF8. */
static void put_orcpt(char **to, struct span *in)
{
	char *text;
	struct envelope env;
	struct err e;

	put(to, in);
	text = xasprintf("TO:<a@b.example> ORCPT=%s", *to);
	envelope_init(&env);
	env.smtputf8 = true;
	if (envelope_rcpt(&env, span_of(text), &e) != ST_OK)
		**to = '\0';
	envelope_release(&env);
	free(text);
}

static void add_recipient(struct notice *x, struct span *in)
{
	struct recipient *r = message_add(x->about, "", "out", "");
	unsigned choice = fuzz_byte(in);

	put_address(&r->address, in);
	put_orcpt(&r->orcpt, in);
	x->list[x->n++] = (struct dsn_recipient){
		.cause = (enum cause)(choice % CAUSE_COUNT),
		.expired = choice & 0x80,
		.status = "5.1.1",
		.reply = hold(x, in),
		.host = hold(x, in),
		.certificate = hold(x, in),
		.last_attempt_ms = choice & 0x40 ? NOW : 0,
		.until_ms = choice & 0x20 ? NOW : 0,
	};
}

static void read_notice(struct notice *x, struct span in)
{
	unsigned choice = fuzz_byte(&in);
	size_t n = 1 + fuzz_byte(&in) % RECIPIENTS_MAX;
	struct message *m = message_new();

	*x = (struct notice){.about = m};
	m->id = 5;
	m->received_ms = NOW - 60000;
	m->smtputf8 = choice & 8;
	put_address(&m->sender, &in);
	put_xtext(&m->envid, &in);
	put(&m->message_id, &in);
	free(m->ret);
	m->ret = xstrdup(choice & 16 ? "HDRS" : "");
	free(m->trace_field);
	m->trace_field = xstrdup("Received: by relay.example.org\r\n");
	for (size_t i = 0; i < n; i++)
		add_recipient(x, &in);
	/* message_add() moves them. */
	for (size_t i = 0; i < n; i++)
		x->list[i].recipient = &m->recipients[i];
	x->dsn = (struct dsn){
		.about = (enum dsn_about)(choice % 3),
		.id = 77,
		.now_ms = NOW,
		.hostname = hostname,
		.postmaster = "postmaster@relay.example.org",
		.to = m->sender,
		.to_postmaster = choice & 32,
		.removed = choice & 64,
		.message = m,
		.recipients = x->list,
		.n = dsn_room(x->list, x->n),
		.original = in,
		.is_whole = choice & 128,
	};
	HOLDS(x->dsn.n >= 1 && x->dsn.n <= x->n);
}

static void release(struct notice *x)
{
	for (size_t i = 0; i < x->nheld; i++)
		free(x->held[i]);
	message_free(x->about);
}

/* ------- what was written */

static unsigned count(struct span s, const char *wanted)
{
	unsigned n = 0;
	const char *at;

	while (s.len > 0 &&
	       (at = memmem(s.at, s.len, wanted, strlen(wanted))) != NULL) {
		n++;
		s = span_skip(s, (size_t)(at - s.at) + strlen(wanted));
	}
	return n;
}

/* Three parts between boundaries that occur nowhere else in the body. */
static void split(struct span s, struct span body, struct span parts[PARTS])
{
	const char *at = memmem(s.at, s.len, "boundary=\"", 10);
	char boundary[64], line[80];
	size_t len;

	HOLDS(at != NULL);
	at += 10;
	len = strcspn(at, "\"");
	HOLDS(len < sizeof(boundary));
	memcpy(boundary, at, len);
	boundary[len] = '\0';
	HOLDS(count(body, boundary) == PARTS + 1);
	snprintf(line, sizeof(line), "\r\n--%s--\r\n", boundary);
	HOLDS(span_ends_nocase(s, span_of(line)));
	snprintf(line, sizeof(line), "\r\n--%s\r\n", boundary);
	HOLDS(count(s, line) == PARTS);
	for (int i = 0; i < PARTS; i++) {
		at = memmem(s.at, s.len, line, strlen(line));
		s = span_skip(s, (size_t)(at - s.at) + strlen(line));
		parts[i] = s;
		at = memmem(s.at, s.len, line, strlen(line) - 2);
		parts[i].len = (size_t)(at - s.at) + 2;
	}
}

/* What stands behind its header, with the line end before it. */
static struct span content(struct span part)
{
	const char *at = memmem(part.at, part.len, "\r\n\r\n", 4);

	HOLDS(at != NULL);
	return span_skip(part, (size_t)(at - part.at) + 2);
}

/* RFC 3464 2.1: a group for the message, and one for each recipient; a line
 * is a field or goes on with one. */
static void check_report(const struct notice *x, struct span report)
{

	HOLDS(count(report, "\r\n\r\n") >= x->dsn.n);
	HOLDS(count(report, "\r\nFinal-Recipient: ") == x->dsn.n);
	HOLDS(count(report, "\r\nAction: ") == x->dsn.n);
	HOLDS(count(report, "\r\nStatus: 5.1.1\r\n") == x->dsn.n);
	(void)fuzz_line(&report);
	while (report.len > 0) {
		struct span line = fuzz_line(&report);

		HOLDS(line.len == 2 || line.at[0] == ' ' ||
		      memchr(line.at, ':', line.len) != NULL);
	}
}

/* What stands behind the header is returned. */
static struct span check_head(struct span s, bool utf8)
{
	const char *end = memmem(s.at, s.len, "\r\n\r\n", 4);

	struct span body;

	HOLDS(end != NULL);
	body = span_skip(s, (size_t)(end - s.at) + 4);
	s.len -= body.len + 2;
	HOLDS(utf8 || fuzz_ascii(s));
	HOLDS(count(s, "\r\nTo: <") == 1 && count(s, "\r\nSubject: ") == 1);
	HOLDS(count(s, "\r\nAuto-Submitted: auto-replied\r\n") == 1);
	HOLDS(count(s, "\r\nContent-Type: ") == 1);
	while (s.len > 0) {
		struct span line = fuzz_line(&s);

		HOLDS(line.at[0] == '\t' ||
		      memchr(line.at, ':', line.len) != NULL);
		for (; line.len > 0; line = span_skip(line, span_utf8(line)))
			HOLDS(span_utf8(line) > 0);
	}
	return body;
}

/* RFC 2045 6: said of what is not ASCII, and of nothing else. */
static void check_encoding(struct span part)
{
	struct span head = part;

	head.len -= content(part).len;
	HOLDS(fuzz_ascii(part) ==
	      (count(head, "\r\nContent-Transfer-Encoding: 8bit") == 0));
}

static void check_notice(const struct notice *x)
{
	struct buf out;
	struct span s, body, parts[PARTS];

	buf_init(&out, DSN_BYTES_MAX);
	dsn_write(&out, &x->dsn);
	s = buf_span(&out);
	fuzz_lines(s, LINE_MAX_BYTES);
	body = check_head(s, !fuzz_ascii(span_of(x->dsn.to)));
	split(s, body, parts);
	check_report(x, content(parts[1]));
	for (int i = 0; i < PARTS; i++)
		check_encoding(parts[i]);
	if (!fuzz_ascii(body))
		HOLDS(count(s, "\r\nContent-Transfer-Encoding: 8bit\r\n") > 0);
	buf_release(&out);
}

static void check_wrap(struct span words, bool utf8)
{
	struct buf out;
	struct wrap w = {.out = &out, .indent = "    ", .utf8 = utf8};

	buf_init(&out, 64 * 1024);
	wrap_plain(&w, "Diagnostic-Code: smtp;");
	wrap_words(&w, words, 8192);
	wrap_end(&w);
	fuzz_lines(buf_span(&out), LINE_MAX_BYTES);
	HOLDS(utf8 || fuzz_ascii(buf_span(&out)));
	for (struct span rest = span_skip(buf_span(&out), 1); rest.len > 0;) {
		(void)fuzz_line(&rest);
		HOLDS(rest.len == 0 || rest.at[0] == ' ');
	}
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct notice x;

	check_wrap(in, size % 2 == 0);
	read_notice(&x, in);
	check_notice(&x);
	release(&x);
	return 0;
}
