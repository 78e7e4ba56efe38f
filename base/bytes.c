/* SPDX-License-Identifier: ISC */
/*
 * bytes - spans and bounded buffers.
 *
 * A buffer's memory is always one byte larger than its cap, so that a NUL can
 * be written behind the last byte whatever the maximum is.
 */
#include "base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { BUF_FIRST_CAP = 64, PRINT_ROOM = 64 };

struct span span_of(const char *s)
{
	return (struct span){s, s ? strlen(s) : 0};
}

bool span_eq(struct span a, struct span b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* Not tolower(): the locale has no say in protocols. */
static unsigned char ascii_lower(char c)
{
	unsigned char u = (unsigned char)c;

	return u >= 'A' && u <= 'Z' ? (unsigned char)(u + ('a' - 'A')) : u;
}

bool span_eq_nocase(struct span a, struct span b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.at[i]) != ascii_lower(b.at[i]))
			return false;
	return true;
}

bool span_starts_nocase(struct span s, struct span prefix)
{
	return s.len >= prefix.len &&
	       span_eq_nocase((struct span){s.at, prefix.len}, prefix);
}

bool span_ends_nocase(struct span s, struct span suffix)
{
	return s.len >= suffix.len &&
	       span_eq_nocase(span_skip(s, s.len - suffix.len), suffix);
}

struct span span_skip(struct span s, size_t n)
{
	if (n > s.len)
		n = s.len;
	if (n > 0) {
		s.at += n;
		s.len -= n;
	}
	return s;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
	while (s.len > 0 && is_blank(s.at[0]))
		s = span_skip(s, 1);
	while (s.len > 0 && is_blank(s.at[s.len - 1]))
		s.len--;
	return s;
}

char *span_dup(struct span s)
{
	return xstrndup(s.at, s.len);
}

/* RFC 3629 section 4: how many bytes follow the first, and which values the
 * second may have so that nothing is overlong, a surrogate or too large. */
static size_t utf8_shape(unsigned char first, unsigned char *low,
			 unsigned char *high)
{
	*low = 0x80;
	*high = 0xBF;
	if (first < 0x80)
		return 1;
	if (first >= 0xC2 && first <= 0xDF)
		return 2;
	if (first >= 0xE0 && first <= 0xEF) {
		if (first == 0xE0)
			*low = 0xA0;
		if (first == 0xED)
			*high = 0x9F;
		return 3;
	}
	if (first >= 0xF0 && first <= 0xF4) {
		if (first == 0xF0)
			*low = 0x90;
		if (first == 0xF4)
			*high = 0x8F;
		return 4;
	}
	return 0;
}

size_t span_utf8(struct span s)
{
	unsigned char low, high;
	size_t len;

	if (s.len == 0)
		return 0;
	len = utf8_shape((unsigned char)s.at[0], &low, &high);
	if (len == 0 || len > s.len)
		return 0;
	for (size_t i = 1; i < len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c < low || c > high)
			return 0;
		low = 0x80;
		high = 0xBF;
	}
	return len;
}

void buf_init(struct buf *b, size_t max_bytes)
{
	BUG_ON(max_bytes == SIZE_MAX);
	*b = (struct buf){.max = max_bytes};
}

void buf_release(struct buf *b)
{
	free(b->mem);
	*b = (struct buf){.max = b->max};
}

void buf_clear(struct buf *b)
{
	b->head = 0;
	b->len = 0;
}

struct span buf_span(const struct buf *b)
{
	if (b->len == 0)
		return (struct span){NULL, 0};
	return (struct span){b->mem + b->head, b->len};
}

/* Memory for len + n bytes from mem on; n is within the maximum. */
static void buf_grow(struct buf *b, size_t n)
{
	size_t cap = b->cap < BUF_FIRST_CAP ? BUF_FIRST_CAP : b->cap;

	while (cap < b->len + n)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	b->mem = xrealloc(b->mem, cap + 1, 1);
	b->cap = cap;
}

char *buf_room(struct buf *b, size_t n)
{
	if (n > b->max - b->len)
		return NULL;
	if (b->head > 0 && n > b->cap - b->head - b->len) {
		memmove(b->mem, b->mem + b->head, b->len);
		b->head = 0;
	}
	if (!b->mem || n > b->cap - b->head - b->len)
		buf_grow(b, n);
	return b->mem + b->head + b->len;
}

void buf_grew(struct buf *b, size_t n)
{
	BUG_ON(n > b->cap - b->head - b->len || n > b->max - b->len);
	b->len += n;
}

bool buf_add(struct buf *b, struct span s)
{
	if (s.len == 0)
		return true;
	if (s.len > b->max - b->len)
		return false;
	/* Called a few hundred times for a message: mostly there is room. */
	if (s.len > b->cap - b->head - b->len)
		BUG_ON(!buf_room(b, s.len));
	memcpy(b->mem + b->head + b->len, s.at, s.len);
	b->len += s.len;
	return true;
}

static bool buf_vprintf(struct buf *b, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static bool buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
	size_t left = b->max - b->len;
	size_t n = left < PRINT_ROOM ? left : PRINT_ROOM;
	va_list again;
	char *room = buf_room(b, n);
	int len;

	/* Most texts are short: then once is enough. */
	va_copy(again, ap);
	len = vsnprintf(room, n + 1, fmt, again);
	va_end(again);
	BUG_ON(len < 0);
	if ((size_t)len > n) {
		room = buf_room(b, (size_t)len);
		if (!room)
			return false;
		vsnprintf(room, (size_t)len + 1, fmt, ap);
	}
	b->len += (size_t)len;
	return true;
}

bool buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	bool fits;

	va_start(ap, fmt);
	fits = buf_vprintf(b, fmt, ap);
	va_end(ap);
	return fits;
}

void buf_take(struct buf *b, size_t n)
{
	BUG_ON(n > b->len);
	b->head += n;
	b->len -= n;
	if (b->len == 0)
		b->head = 0;
}

char *buf_string(struct buf *b)
{
	char *s;

	if (b->len == 0) {
		buf_release(b);
		return xstrdup("");
	}
	if (b->head > 0)
		memmove(b->mem, b->mem + b->head, b->len);
	s = b->mem;
	s[b->len] = '\0';
	b->mem = NULL;
	buf_release(b);
	return s;
}

/* C1 controls are C2 80 .. C2 9F. */
static bool is_shown_utf8(struct span s, size_t len)
{
	return len > 1 && !((unsigned char)s.at[0] == 0xC2 &&
			    (unsigned char)s.at[1] < 0xA0);
}

/* Appends what stands for the first character of *s and skips it. */
static bool add_escaped_char(struct buf *b, struct span *s)
{
	unsigned char c = (unsigned char)s->at[0];
	size_t len = span_utf8(*s);
	bool fits;

	if (is_shown_utf8(*s, len)) {
		fits = buf_add(b, (struct span){s->at, len});
		*s = span_skip(*s, len);
		return fits;
	}
	if (c == '\r')
		fits = buf_add(b, SPAN("\\r"));
	else if (c == '\n')
		fits = buf_add(b, SPAN("\\n"));
	else if (c == '\t')
		fits = buf_add(b, SPAN("\\t"));
	else if (c < 0x20 || c > 0x7E || c == '\\')
		fits = buf_printf(b, "\\x%02x", c);
	else
		fits = buf_add(b, (struct span){s->at, 1});
	*s = span_skip(*s, 1);
	return fits;
}

bool buf_add_escaped(struct buf *b, struct span s)
{
	size_t before = b->len;

	while (s.len > 0)
		if (!add_escaped_char(b, &s)) {
			b->len = before;
			return false;
		}
	return true;
}
