/* SPDX-License-Identifier: ISC */
/*
 * transcript - keeps lines of a dialogue: the first ones in `head`, the rest in
 * `tail`, which gives up its oldest lines when it is full.
 */
#include "daemon/transcript.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	HEAD_MAX = 6 * 1024,
	GAP_MAX = 64, /* the line that tells what was left out */
	TAIL_MAX = TRANSCRIPT_MAX - HEAD_MAX - GAP_MAX,
	LINE_MAX_BYTES = 512, /* of a line said or heard; longer ones are cut */
	/* A shorter word is no secret that could be told from others. */
	HIDDEN_MIN = 4,
};

static const char hidden_text[] = "[hidden]";

struct hidden {
	struct hidden *next;
	size_t len;
	char bytes[];
};

struct transcript {
	int64_t began_ms;
	struct buf head, tail;
	size_t left_out; /* lines */
	uint64_t sent; /* bytes of the message, not yet told */
	int64_t sent_ms;
	bool ready;
	struct hidden *hidden; /* owned */
};

struct transcript *transcript_new(int64_t now_ms)
{
	struct transcript *t = xcalloc(1, sizeof(*t));

	t->began_ms = now_ms;
	buf_init(&t->head, HEAD_MAX);
	buf_init(&t->tail, TAIL_MAX);
	return t;
}

static void wipe_hidden(struct transcript *t)
{
	while (t->hidden) {
		struct hidden *h = t->hidden;

		t->hidden = h->next;
		explicit_bzero(h->bytes, h->len);
		free(h);
	}
}

void transcript_free(struct transcript *t)
{
	if (!t)
		return;
	wipe_hidden(t);
	buf_release(&t->head);
	buf_release(&t->tail);
	free(t);
}

/* ------- lines */

static void drop_line(struct transcript *t)
{
	struct span s = buf_span(&t->tail);
	const char *end = memchr(s.at, '\n', s.len);

	BUG_ON(!end);
	buf_take(&t->tail, (size_t)(end - s.at) + 1);
	t->left_out++;
}

/* No line is as long as the tail, so there will be room. */
static void keep_line(struct transcript *t, struct span line)
{
	if (!t->ready && t->tail.len == 0 && t->left_out == 0 &&
	    buf_add(&t->head, line))
		return;
	while (!buf_add(&t->tail, line))
		drop_line(t);
}

static void add_line(struct transcript *t, int64_t now_ms, char direction,
		     struct span text)
{
	bool cut = text.len > LINE_MAX_BYTES;
	struct buf line;

	if (cut)
		text.len = LINE_MAX_BYTES;
	/* Escaping makes four bytes of one at the worst. */
	buf_init(&line, 4 * LINE_MAX_BYTES + GAP_MAX);
	BUG_ON(!buf_printf(&line, "%8.3f %c ",
			   (double)(now_ms - t->began_ms) / 1000, direction));
	BUG_ON(!buf_add_escaped(&line, text));
	BUG_ON(!buf_add(&line, cut ? SPAN(" ...\n") : SPAN("\n")));
	keep_line(t, buf_span(&line));
	buf_release(&line);
}

/* The bytes counted stand before what comes behind them. */
static void tell_sent(struct transcript *t)
{
	char text[GAP_MAX];

	if (t->sent == 0)
		return;
	snprintf(text, sizeof(text), "%" PRIu64 " bytes of the message",
		 t->sent);
	t->sent = 0;
	add_line(t, t->sent_ms, '=', span_of(text));
}

void transcript_note(struct transcript *t, int64_t now_ms, const char *fmt, ...)
{
	char text[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	tell_sent(t);
	add_line(t, now_ms, '=', span_of(text));
}

void transcript_sent(struct transcript *t, int64_t now_ms, size_t bytes)
{
	t->sent += bytes;
	t->sent_ms = now_ms;
}

/* Takes a line from the front, without its end; false: there is none. */
static bool next_line(struct span *lines, struct span *line)
{
	const char *end;

	if (lines->len == 0)
		return false;
	end = memchr(lines->at, '\n', lines->len);
	*line = *lines;
	if (end)
		line->len = (size_t)(end - lines->at);
	*lines = span_skip(*lines, line->len + 1);
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

/* ------- secrets */

void transcript_hide(struct transcript *t, struct span secret)
{
	struct hidden *h;

	if (secret.len < HIDDEN_MIN)
		return;
	h = xmalloc(sizeof(*h) + secret.len);
	h->len = secret.len;
	memcpy(h->bytes, secret.at, secret.len);
	h->next = t->hidden;
	t->hidden = h;
}

/* The last word of the line is what was secret in it. */
static void hide_line(struct transcript *t, struct span line, size_t kept)
{
	transcript_hide(t, span_trim(span_skip(line, kept)));
}

/* "AUTH PLAIN" of "AUTH PLAIN AGpvZQ=="; nothing of any other line. */
static size_t kept_of_auth(struct span line)
{
	size_t at = sizeof("AUTH ") - 1;

	if (!span_starts_nocase(line, SPAN("AUTH ")))
		return 0;
	while (at < line.len && line.at[at] != ' ')
		at++;
	return at;
}

void transcript_said_secret(struct transcript *t, int64_t now_ms,
			    struct span lines)
{
	struct span line;

	tell_sent(t);
	while (next_line(&lines, &line)) {
		size_t kept = kept_of_auth(line);
		struct buf text;

		hide_line(t, line, kept);
		buf_init(&text, LINE_MAX_BYTES + GAP_MAX);
		if (kept > LINE_MAX_BYTES)
			kept = LINE_MAX_BYTES;
		BUG_ON(!buf_add(&text, (struct span){line.at, kept}));
		if (kept < line.len)
			BUG_ON(!buf_printf(&text, "%s%s", kept ? " " : "",
					   hidden_text));
		add_line(t, now_ms, '>', buf_span(&text));
		buf_release(&text);
	}
}

static const struct hidden *hidden_at(const struct transcript *t, struct span s)
{
	for (const struct hidden *h = t->hidden; h; h = h->next)
		if (s.len >= h->len && memcmp(s.at, h->bytes, h->len) == 0)
			return h;
	return NULL;
}

/* A copy without what is hidden; owned by the caller. */
static char *masked(const struct transcript *t, struct span s)
{
	/* A word of HIDDEN_MIN bytes or more becomes eight. */
	size_t max = 2 * s.len + sizeof(hidden_text);
	struct buf text;

	buf_init(&text, max);
	while (s.len > 0) {
		const struct hidden *h = hidden_at(t, s);

		if (h)
			BUG_ON(!buf_add(&text, span_of(hidden_text)));
		else
			BUG_ON(!buf_add(&text, (struct span){s.at, 1}));
		s = span_skip(s, h ? h->len : 1);
	}
	return buf_string(&text);
}

void transcript_mask(const struct transcript *t, char *text, size_t size)
{
	char *copy = masked(t, span_of(text));

	snprintf(text, size, "%s", copy);
	free(copy);
}

/* ------- what is said and heard */

void transcript_said(struct transcript *t, int64_t now_ms, struct span lines)
{
	struct span line;

	tell_sent(t);
	while (next_line(&lines, &line)) {
		if (kept_of_auth(line) > 0)
			transcript_said_secret(t, now_ms, line);
		else
			add_line(t, now_ms, '>', line);
	}
}

void transcript_heard(struct transcript *t, int64_t now_ms, struct span lines)
{
	struct span line;

	tell_sent(t);
	while (next_line(&lines, &line)) {
		char *text = masked(t, line);

		add_line(t, now_ms, '<', span_of(text));
		free(text);
	}
}

void transcript_ready(struct transcript *t)
{
	t->ready = true;
	wipe_hidden(t);
}

void transcript_next(struct transcript *t)
{
	if (t->tail.len > 0)
		buf_clear(&t->tail);
	t->left_out = 0;
	t->sent = 0;
}

char *transcript_text(const struct transcript *t)
{
	struct buf text;

	buf_init(&text, TRANSCRIPT_MAX + 2 * GAP_MAX);
	BUG_ON(!buf_add(&text, buf_span(&t->head)));
	if (t->left_out > 0)
		BUG_ON(!buf_printf(&text, "         (%zu lines left out)\n",
				   t->left_out));
	BUG_ON(!buf_add(&text, buf_span(&t->tail)));
	if (t->sent > 0)
		BUG_ON(!buf_printf(
			&text, "%8.3f = %" PRIu64 " bytes of the message\n",
			(double)(t->sent_ms - t->began_ms) / 1000, t->sent));
	return buf_string(&text);
}
