/* SPDX-License-Identifier: ISC */
/*
 * dsn - writes delivery status notifications.
 *
 * The three parts are written first, each into a buffer of its own, because
 * the header must know what is in them: a boundary that occurs in none, and
 * whether a byte above 127 is among them.
 */
#include "queue/dsn.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/clock.h"
#include "base/units.h"
#include "queue/dsn_words.h"
#include "queue/wrap.h"
#include "smtp/dsn.h"

enum {
	HEAD_MAX = 4 * 1024,
	WORDS_MAX = 16 * 1024,
	REPORT_MAX = 64 * 1024,
	RETURNED_MAX = DSN_ORIGINAL_MAX + 8 * 1024,
	HEADERS_MAX = 24 * 1024, /* of the original, where only they return */
	SHORT_REPORT_MAX = 32 * 1024, /* beside a message that returns whole */
	LINE_BYTES_MAX = 998, /* RFC 5322 2.1.1, without its end */
	DIAGNOSTIC_MAX = 800,
	NAME_MAX_BYTES = 300,
	RECIPIENT_COST = 320, /* of its fields, without what is variable */
};
_Static_assert(HEAD_MAX + WORDS_MAX + SHORT_REPORT_MAX + RETURNED_MAX <=
			       DSN_BYTES_MAX &&
		       HEAD_MAX + WORDS_MAX + REPORT_MAX + HEADERS_MAX +
				       8 * 1024 <=
			       DSN_BYTES_MAX,
	       "the parts are larger than the whole may be");

enum part_kind { PART_WORDS, PART_REPORT, PART_ORIGINAL, PARTS };

struct part {
	struct buf bytes;
	const char *type, *description;
};

struct writing {
	const struct dsn *dsn;
	bool utf8; /* an address is not ASCII: RFC 6533 */
	struct part parts[PARTS];
};

/* Cut where the part is full. */
static void add(struct buf *b, struct span s)
{
	if (s.len > b->max - b->len)
		s.len = b->max - b->len;
	BUG_ON(!buf_add(b, s));
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] >= 0x80)
			return false;
	return true;
}

/* ------- fields */

static void field(struct writing *x, const char *name, const char *type,
		  struct span value, size_t max)
{
	struct wrap w = {.out = &x->parts[PART_REPORT].bytes,
			 .indent = "    ",
			 .utf8 = x->utf8};

	wrap_plain(&w, name);
	wrap_plain(&w, ":");
	if (type != NULL) {
		wrap_plain(&w, " ");
		wrap_plain(&w, type);
		wrap_plain(&w, ";");
	}
	wrap_words(&w, value, max);
	wrap_end(&w);
}

static void date_field(struct writing *x, const char *name, int64_t wall_ms)
{
	char date[CLOCK_RFC5322_MAX];

	clock_rfc5322(date, wall_ms);
	field(x, name, NULL, span_of(date), SIZE_MAX);
}

/* RFC 6533 3: "\x{FC}" stands for a character. Its length in s, 0: none. */
static size_t unitext_char(struct span s, unsigned long *out)
{
	char digits[8];
	size_t n = 3;

	if (s.len < 5 || memcmp(s.at, "\\x{", 3) != 0)
		return 0;
	while (n < s.len && n - 3 < sizeof(digits) - 1 && s.at[n] != '}') {
		digits[n - 3] = s.at[n];
		n++;
	}
	if (n == 3 || n >= s.len || s.at[n] != '}')
		return 0;
	digits[n - 3] = '\0';
	if (strspn(digits, "0123456789ABCDEFabcdef") != n - 3)
		return 0;
	*out = strtoul(digits, NULL, 16);
	return *out < 0x110000 ? n + 1 : 0;
}

static struct span utf8_of(unsigned long c, char out[4])
{
	if (c < 0x80) {
		out[0] = (char)c;
		return (struct span){out, 1};
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return (struct span){out, 2};
	}
	if (c < 0x10000) {
		out[0] = (char)(0xe0 | c >> 12);
		out[1] = (char)(0x80 | (c >> 6 & 0x3f));
		out[2] = (char)(0x80 | (c & 0x3f));
		return (struct span){out, 3};
	}
	out[0] = (char)(0xf0 | c >> 18);
	out[1] = (char)(0x80 | (c >> 12 & 0x3f));
	out[2] = (char)(0x80 | (c >> 6 & 0x3f));
	out[3] = (char)(0x80 | (c & 0x3f));
	return (struct span){out, 4};
}

static void add_unitext(struct buf *out, struct span s)
{
	while (s.len > 0) {
		unsigned long c;
		char bytes[4];
		size_t n = unitext_char(s, &c);

		if (n == 0) {
			n = 1;
			add(out, (struct span){s.at, 1});
		} else {
			add(out, utf8_of(c, bytes));
		}
		s = span_skip(s, n);
	}
}

/* "rfc822;Bob+2BDog@example.org", as RCPT said it. */
static void original_recipient(struct writing *x, const char *orcpt)
{
	const char *semicolon = strchr(orcpt, ';');
	struct buf address, plain;
	char type[64];

	if (semicolon == NULL)
		return;
	buf_init(&address, DSN_ORCPT_MAX);
	buf_init(&plain, DSN_ORCPT_MAX);
	snprintf(type, sizeof(type), "%.*s", (int)(semicolon - orcpt), orcpt);
	if (xtext_decode(span_of(semicolon + 1), &address)) {
		if (x->utf8 && strcasecmp(type, "utf-8") == 0)
			add_unitext(&plain, buf_span(&address));
		else
			add(&plain, buf_span(&address));
		field(x, "Original-Recipient", type, buf_span(&plain),
		      SIZE_MAX);
	}
	buf_release(&address);
	buf_release(&plain);
}

/* ------- the report */

static const char *action(const struct dsn *d)
{
	switch (d->about) {
	case DSN_ABOUT_FAILURE:
		return "failed";
	case DSN_ABOUT_DELAY:
		return "delayed";
	case DSN_ABOUT_RELAY:
		break;
	}
	return "relayed";
}

/* "550 5.1.1 ..." was said by a peer; anything else are our own words. */
static bool is_reply(const char *s)
{
	return s[0] >= '2' && s[0] <= '5' && strspn(s, "0123456789") == 3 &&
	       (s[3] == ' ' || s[3] == '-' || s[3] == '\0');
}

static const char *address_type(const char *address)
{
	return is_ascii(span_of(address)) ? "rfc822" : "utf-8";
}

static void report_recipient(struct writing *x, const struct dsn_recipient *r)
{
	const struct dsn *d = x->dsn;
	const char *address = r->recipient->address;

	add(&x->parts[PART_REPORT].bytes, SPAN("\r\n"));
	original_recipient(x, r->recipient->orcpt);
	field(x, "Final-Recipient", address_type(address), span_of(address),
	      SIZE_MAX);
	field(x, "Action", NULL, span_of(action(d)), SIZE_MAX);
	field(x, "Status", NULL, span_of(r->status), SIZE_MAX);
	if (r->host[0] != '\0')
		field(x, "Remote-MTA", "dns", span_of(r->host), NAME_MAX_BYTES);
	if (r->reply[0] != '\0')
		field(x, "Diagnostic-Code",
		      is_reply(r->reply) ? "smtp" : "x-relayd",
		      span_of(r->reply), DIAGNOSTIC_MAX);
	if (r->last_attempt_ms > 0)
		date_field(x, "Last-Attempt-Date", r->last_attempt_ms);
	if (d->about == DSN_ABOUT_DELAY && r->until_ms > 0)
		date_field(x, "Will-Retry-Until", r->until_ms);
	if (r->cause != CAUSE_IS_NONE)
		field(x, "X-Relayd-Cause", NULL, span_of(cause_word(r->cause)),
		      SIZE_MAX);
}

static void write_report(struct writing *x)
{
	const struct dsn *d = x->dsn;
	const struct message *m = d->message;
	char id[MSG_ID_LEN + 1];
	struct buf envid;

	field(x, "Reporting-MTA", "dns", span_of(d->hostname), NAME_MAX_BYTES);
	buf_init(&envid, DSN_ENVID_MAX);
	if (m->envid[0] != '\0' && xtext_decode(span_of(m->envid), &envid))
		field(x, "Original-Envelope-Id", NULL, buf_span(&envid),
		      SIZE_MAX);
	buf_release(&envid);
	date_field(x, "Arrival-Date", m->received_ms);
	msg_id_text(id, m->id);
	field(x, "X-Relayd-Queue-Id", NULL, span_of(id), SIZE_MAX);
	for (size_t i = 0; i < d->n; i++)
		report_recipient(x, &d->recipients[i]);
}

static size_t cost(const struct dsn_recipient *r)
{
	size_t reply = strlen(r->reply);

	if (reply > DIAGNOSTIC_MAX)
		reply = DIAGNOSTIC_MAX;
	/* Lines are broken at every 38th byte at worst. */
	return RECIPIENT_COST + strlen(r->recipient->address) +
	       strlen(r->recipient->orcpt) + strlen(r->host) + reply +
	       reply / 4;
}

size_t dsn_room(const struct dsn_recipient *recipients, size_t n)
{
	size_t sum = HEAD_MAX;

	for (size_t i = 0; i < n; i++) {
		sum += cost(&recipients[i]);
		if (sum > REPORT_MAX && i > 0)
			return i;
	}
	return n;
}

/* ------- the original */

/* May it stand inside another message as it is? */
static bool is_clean(struct span s)
{
	size_t line = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\r' && i + 1 < s.len && s.at[i + 1] == '\n') {
			line = 0;
			i++;
			continue;
		}
		if (s.at[i] == '\r' || s.at[i] == '\n' || s.at[i] == '\0' ||
		    ++line > LINE_BYTES_MAX)
			return false;
	}
	return true;
}

static bool is_returned_whole(const struct writing *x)
{
	const struct dsn *d = x->dsn;

	return x->parts[PART_REPORT].bytes.len <= SHORT_REPORT_MAX &&
	       d->about == DSN_ABOUT_FAILURE && d->is_whole &&
	       strcasecmp(d->message->ret, "HDRS") != 0 &&
	       d->original.len <= DSN_ORIGINAL_MAX && is_clean(d->original);
}

/* The line at the front of s, without its end. */
static struct span take_line(struct span *s)
{
	const char *lf = memchr(s->at, '\n', s->len);
	struct span line = {s->at, lf != NULL ? (size_t)(lf - s->at) : s->len};

	*s = span_skip(*s, lf != NULL ? line.len + 1 : line.len);
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

/* A line of a header, cut and mended so that it may stand in any message. */
static void add_header_line(struct buf *out, struct span line, bool utf8)
{
	if (line.len > LINE_BYTES_MAX)
		line.len = LINE_BYTES_MAX;
	while (line.len > 0) {
		size_t n = utf8 ? span_utf8(line) : 1;
		unsigned char c = (unsigned char)line.at[0];
		bool fits = n > 1 || (c >= ' ' && c < 0x7f) || c == '\t';

		if (n == 0)
			n = 1;
		add(out, fits ? (struct span){line.at, n} : SPAN("?"));
		line = span_skip(line, n);
	}
	add(out, SPAN("\r\n"));
}

static void add_headers(struct buf *out, struct span s, bool utf8)
{
	while (s.len > 0 && out->len < HEADERS_MAX) {
		struct span line = take_line(&s);

		if (line.len == 0)
			return;
		add_header_line(out, line, utf8);
	}
}

static void write_original(struct writing *x)
{
	const struct dsn *d = x->dsn;
	struct part *part = &x->parts[PART_ORIGINAL];
	bool global = d->message->smtputf8;

	add(&part->bytes, span_of(d->message->trace_field));
	if (is_returned_whole(x)) {
		part->type = global ? "message/global" : "message/rfc822";
		part->description = "Undelivered Message";
		add(&part->bytes, d->original);
		return;
	}
	part->type = global ? "message/global-headers" : "text/rfc822-headers";
	part->description = d->about == DSN_ABOUT_FAILURE
				    ? "Undelivered Message Headers"
				    : "Message Headers";
	add_headers(&part->bytes, d->original, global);
}

/* ------- the whole */

static void choose_boundary(const struct writing *x, char out[48])
{
	char id[MSG_ID_LEN + 1];
	bool found = true;

	msg_id_text(id, x->dsn->id);
	for (unsigned n = 0; found; n++) {
		snprintf(out, 48, "=_%s_%u", id, n);
		found = false;
		for (size_t i = 0; i < PARTS; i++) {
			struct span s = buf_span(&x->parts[i].bytes);

			found = found ||
				(s.len > 0 &&
				 memmem(s.at, s.len, out, strlen(out)) != NULL);
		}
	}
}

/* May it stand between < and > as it is?  Then it holds no blank and no line
 * end either, and of what is not ASCII UTF-8 alone. */
static bool is_message_id(struct span s)
{
	bool fits = s.len > 0;

	while (fits && s.len > 0) {
		size_t n = span_utf8(s);
		char c = s.at[0];

		fits = n > 1 ||
		       (n == 1 && c > ' ' && strchr("<>\"()\\\x7f", c) == NULL);
		s = span_skip(s, n);
	}
	return fits;
}

/* The sender's own Message-ID, for those who sort by conversation. */
static void add_references(struct wrap *w, const char *message_id)
{
	if (!is_message_id(span_of(message_id)) ||
	    (!w->utf8 && !is_ascii(span_of(message_id))))
		return;
	for (int i = 0; i < 2; i++) {
		wrap_plain(w, i == 0 ? "In-Reply-To: <" : "References: <");
		wrap_plain(w, message_id);
		wrap_plain(w, ">\r\n");
	}
}

static void write_head(struct buf *out, const struct writing *x,
		       const char *boundary, bool has_8bit)
{
	const struct dsn *d = x->dsn;
	struct wrap w = {.out = out, .indent = "\t"};
	char id[MSG_ID_LEN + 1], date[CLOCK_RFC5322_MAX];

	/* Only an address of whom it goes to brings UTF-8 into the header. */
	w.utf8 = !is_ascii(span_of(d->to));
	msg_id_text(id, d->id);
	clock_rfc5322(date, d->now_ms);
	const char *const lines[] = {
		"From: Mail Delivery System <MAILER-DAEMON@",
		d->hostname,
		">\r\nTo: <",
		d->to,
		">\r\nSubject: ",
		dsn_subject(d),
		"\r\nDate: ",
		date,
		"\r\nMessage-ID: <",
		id,
		"@",
		d->hostname,
		">\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		wrap_plain(&w, lines[i]);
	add_references(&w, d->message->message_id);
	const char *const mime[] = {
		"Auto-Submitted: auto-replied\r\n",
		"MIME-Version: 1.0\r\n",
		"Content-Type: multipart/report; ",
		"report-type=delivery-status;\r\n\tboundary=\"",
		boundary,
		"\"\r\n",
		has_8bit ? "Content-Transfer-Encoding: 8bit\r\n" : "",
		"\r\nThis is a MIME-encapsulated message.\r\n",
	};
	for (size_t i = 0; i < ARRAY_LEN(mime); i++)
		wrap_plain(&w, mime[i]);
}

static void write_part(struct buf *out, const struct part *part,
		       const char *boundary)
{
	struct span s = buf_span(&part->bytes);
	struct wrap w = {.out = out, .indent = ""};
	const char *const lines[] = {
		"\r\n--",
		boundary,
		"\r\nContent-Description: ",
		part->description,
		"\r\nContent-Type: ",
		part->type,
		is_ascii(s) ? "" : "\r\nContent-Transfer-Encoding: 8bit",
		"\r\n\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(lines); i++)
		wrap_plain(&w, lines[i]);
	add(out, s);
	/* The line end before a boundary belongs to the boundary. */
	if (!span_ends_nocase(s, SPAN("\r\n")))
		add(out, SPAN("\r\n"));
}

static void assemble(struct buf *out, const struct writing *x)
{
	char boundary[48], end[64];
	bool has_8bit = false;

	for (size_t i = 0; i < PARTS; i++)
		if (!is_ascii(buf_span(&x->parts[i].bytes)))
			has_8bit = true;
	choose_boundary(x, boundary);
	write_head(out, x, boundary, has_8bit);
	for (size_t i = 0; i < PARTS; i++)
		write_part(out, &x->parts[i], boundary);
	snprintf(end, sizeof(end), "\r\n--%s--\r\n", boundary);
	add(out, span_of(end));
}

static bool has_utf8_address(const struct dsn *d)
{
	if (!is_ascii(span_of(d->to)))
		return true;
	for (size_t i = 0; i < d->n; i++)
		if (!is_ascii(span_of(d->recipients[i].recipient->address)))
			return true;
	return false;
}

void dsn_write(struct buf *out, const struct dsn *d)
{
	static const size_t sizes[PARTS] = {WORDS_MAX, REPORT_MAX,
					    RETURNED_MAX};
	struct writing x = {.dsn = d, .utf8 = has_utf8_address(d)};
	struct part *words = &x.parts[PART_WORDS];
	struct part *report = &x.parts[PART_REPORT];

	for (size_t i = 0; i < PARTS; i++)
		buf_init(&x.parts[i].bytes, sizes[i]);
	words->type = x.utf8 ? "text/plain; charset=utf-8"
			     : "text/plain; charset=us-ascii";
	words->description = "Notification";
	dsn_words(&words->bytes, d, x.utf8);
	report->type = x.utf8 ? "message/global-delivery-status"
			      : "message/delivery-status";
	report->description = "Delivery report";
	write_report(&x);
	write_original(&x);
	assemble(out, &x);
	for (size_t i = 0; i < PARTS; i++)
		buf_release(&x.parts[i].bytes);
}
