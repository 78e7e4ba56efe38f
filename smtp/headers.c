/* SPDX-License-Identifier: ISC */
/*
 * headers - writes our Received field, and reads a header section in passing.
 *
 * The scan keeps one field at a time, unfolded, up to FIELD_MAX bytes: enough
 * for a Message-ID, and of other fields only the name matters.
 */
#include "smtp/headers.h"

#include <stdio.h>

#include "base/clock.h"

enum { FIELD_MAX = 2048, FOLD_AT = 76, WORD_MAX = 900 };

/* A field being written: where its present line ends. */
struct fold {
	struct buf *out;
	size_t left; /* bytes it may still have, in all */
	size_t column;
};

/* Appends a word behind a space, or on a line of its own if it is too long for
 * this one.  It is not divided; what is absurdly long is cut. */
static void fold_word(struct fold *f, struct span word)
{
	struct span gap = SPAN(" ");

	if (word.len > WORD_MAX)
		word.len = WORD_MAX;
	if (f->column + 1 + word.len > FOLD_AT) {
		gap = SPAN("\r\n\t");
		f->column = 8;
	} else {
		f->column++;
	}
	if (gap.len + word.len > f->left)
		return;
	f->left -= gap.len + word.len;
	f->column += word.len;
	BUG_ON(!buf_add(f->out, gap) || !buf_add(f->out, word));
}

static void fold_text(struct fold *f, const char *text)
{
	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		if (n > 0)
			fold_word(f, (struct span){text, n});
		text += n;
		text += strspn(text, " ");
	}
}

/* Two words that are not to be parted: "by host", "for <a@b>;". */
static void fold_pair(struct fold *f, const char *name, const char *value,
		      const char *end)
{
	char word[WORD_MAX + 1];
	int n = snprintf(word, sizeof(word), "%s %s%s", name, value, end);

	BUG_ON(n < 0);
	fold_word(f, span_of(word));
}

/* A name as the client said it must not end the field or open a comment. */
static void fold_helo(struct fold *f, const char *helo)
{
	char clean[256];
	size_t n;

	for (n = 0; helo[n] != '\0' && n + 1 < sizeof(clean); n++) {
		char c = helo[n];

		clean[n] =
			c <= ' ' || c > '~' || strchr("()<>\"\\;,", c) != NULL
				? '?'
				: c;
	}
	clean[n] = '\0';
	fold_pair(f, "from", n > 0 ? clean : "unknown", "");
}

void received_field(struct buf *out, const struct received *r)
{
	struct fold f = {.out = out, .left = RECEIVED_MAX};
	struct span name = SPAN("Received:"), end = SPAN("\r\n");
	char date[CLOCK_RFC5322_MAX];
	char text[WORD_MAX];

	clock_rfc5322(date, r->wall_ms);
	f.left -= name.len + end.len;
	f.column = name.len;
	BUG_ON(!buf_add(out, name));
	fold_helo(&f, r->helo);
	snprintf(text, sizeof(text), "(%s)", r->client);
	fold_text(&f, text);
	fold_pair(&f, "by", r->hostname, "");
	fold_pair(&f, "with", r->protocol, "");
	if (r->tls != NULL) {
		snprintf(text, sizeof(text), "(%s)", r->tls);
		fold_text(&f, text);
	}
	fold_pair(&f, "id", r->id, r->recipient != NULL ? "" : ";");
	if (r->recipient != NULL) {
		snprintf(text, sizeof(text), "<%s>", r->recipient);
		fold_pair(&f, "for", text, ";");
	}
	fold_text(&f, date);
	BUG_ON(!buf_add(out, end));
}

void header_scan_init(struct header_scan *h)
{
	*h = (struct header_scan){.at_line_start = true};
	buf_init(&h->field, FIELD_MAX);
}

void header_scan_release(struct header_scan *h)
{
	buf_release(&h->field);
}

/* What stands between < and >, else the whole value. */
static void message_id_seen(struct header_scan *h, struct span value)
{
	const char *open, *close;

	value = span_trim(value);
	if (value.len == 0 || h->message_id[0] != '\0')
		return;
	open = memchr(value.at, '<', value.len);
	if (open != NULL)
		value = span_skip(value, (size_t)(open - value.at) + 1);
	close = value.len > 0 ? memchr(value.at, '>', value.len) : NULL;
	if (close != NULL)
		value.len = (size_t)(close - value.at);
	value = span_trim(value);
	if (value.len >= sizeof(h->message_id))
		value.len = sizeof(h->message_id) - 1;
	for (size_t i = 0; i < value.len; i++)
		h->message_id[i] = value.at[i] != '\0' ? value.at[i] : '?';
	h->message_id[value.len] = '\0';
}

static bool name_is(struct span name, struct span wanted)
{
	return span_eq_nocase(span_trim(name), wanted);
}

/* The word that s begins with, behind white space and comments; they are
 * taken off s with it. */
static struct span trace_word(struct span *s)
{
	struct span word = {NULL, 0};
	unsigned depth = 0;
	size_t i;

	for (i = 0; i < s->len && word.at == NULL; i++) {
		char c = s->at[i];

		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (depth == 0 && c != ' ' && c != '\t' && c != ';')
			word.at = s->at + i;
	}
	*s = span_skip(*s, word.at != NULL ? i - 1 : i);
	while (word.len < s->len && strchr(" \t(;", s->at[word.len]) == NULL)
		word.len++;
	*s = span_skip(*s, word.len);
	return word;
}

/* RFC 5321 4.4: "by" and who wrote the field.  Behind "from" stands what a
 * client called itself, and that may be "by". */
static bool is_written_by(struct span value, struct span name)
{
	struct span word;

	while ((word = trace_word(&value)).len > 0) {
		if (span_eq_nocase(word, SPAN("by")))
			return span_eq_nocase(trace_word(&value), name);
		if (span_eq_nocase(word, SPAN("from")))
			(void)trace_word(&value);
	}
	return false;
}

static void received_seen(struct header_scan *h, struct span value)
{
	h->received++;
	if (h->own_name != NULL && is_written_by(value, span_of(h->own_name)))
		h->own++;
}

/* The field is whole.  False: it is none, and so the body has begun. */
static bool field_seen(struct header_scan *h)
{
	struct span field = buf_span(&h->field);
	const char *colon =
		field.len > 0 ? memchr(field.at, ':', field.len) : NULL;
	struct span name, value;

	if (colon == NULL)
		return false;
	name = (struct span){field.at, (size_t)(colon - field.at)};
	value = span_skip(field, name.len + 1);
	if (name_is(name, SPAN("Received")))
		received_seen(h, value);
	else if (name_is(name, SPAN("Message-ID")))
		message_id_seen(h, value);
	return true;
}

static void scan_over(struct header_scan *h)
{
	h->done = true;
	buf_release(&h->field);
}

/* The first byte of a line tells whether the field before it goes on. */
static void line_begins(struct header_scan *h, char first)
{
	h->at_line_start = false;
	if (h->field.len > 0 && (first == ' ' || first == '\t'))
		return;
	if (h->field.len > 0 && !field_seen(h))
		scan_over(h);
	buf_clear(&h->field);
}

static void line_part(struct header_scan *h, struct span s)
{
	size_t room = h->field.max - h->field.len;

	if (s.len > room)
		s.len = room;
	BUG_ON(!buf_add(&h->field, s));
}

static void line_ends(struct header_scan *h)
{
	struct span field = buf_span(&h->field);

	h->at_line_start = true;
	if (field.len > 0 && field.at[field.len - 1] == '\r')
		h->field.len--;
	if (h->field.len == 0)
		scan_over(h);
}

void header_scan_feed(struct header_scan *h, struct span s)
{
	while (s.len > 0 && !h->done) {
		const char *lf = memchr(s.at, '\n', s.len);
		size_t n = lf != NULL ? (size_t)(lf - s.at) : s.len;

		if (h->at_line_start)
			line_begins(h, s.at[0]);
		if (h->done)
			break;
		line_part(h, (struct span){s.at, n});
		if (lf != NULL)
			line_ends(h);
		s = span_skip(s, n + (lf != NULL));
	}
}

void header_scan_end(struct header_scan *h)
{
	if (h->done)
		return;
	if (h->field.len > 0)
		(void)field_seen(h);
	scan_over(h);
}
