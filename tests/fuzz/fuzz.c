/* SPDX-License-Identifier: ISC */
/*
 * fuzz - what the fuzz targets share.
 */
#include "tests/fuzz/fuzz.h"

enum { REPLY_BYTES_MAX = 512 };

unsigned fuzz_byte(struct span *in)
{
	unsigned byte = in->len > 0 ? (unsigned char)in->at[0] : 0;

	*in = span_skip(*in, 1);
	return byte;
}

uint64_t fuzz_number(struct span *in)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | fuzz_byte(in);
	return n;
}

struct span fuzz_take(struct span *in, size_t n)
{
	struct span s = *in;

	if (s.len > n)
		s.len = n;
	*in = span_skip(*in, s.len);
	return s;
}

char *fuzz_string(struct span *in)
{
	const char *nul = in->len > 0 ? memchr(in->at, '\0', in->len) : NULL;
	struct span s = *in;

	if (nul != NULL)
		s.len = (size_t)(nul - s.at);
	*in = span_skip(*in, s.len + 1);
	return span_dup(s);
}

size_t fuzz_piece(enum fuzz_pace pace, uint32_t *state, size_t left)
{
	size_t n = 1;

	if (pace == FUZZ_WHOLE)
		return left;
	if (pace == FUZZ_UNEVEN) {
		*state = *state * 1664525 + 1013904223;
		n += (*state >> 16) % 61;
	}
	return n < left ? n : left;
}

struct span fuzz_line(struct span *s)
{
	const char *lf = memchr(s->at, '\n', s->len);
	struct span line = {s->at, 0};

	HOLDS(lf != NULL);
	line.len = (size_t)(lf - s->at) + 1;
	*s = span_skip(*s, line.len);
	return line;
}

void fuzz_lines(struct span s, size_t max)
{
	while (s.len > 0) {
		struct span line = fuzz_line(&s);

		HOLDS(line.len >= 2 && line.len <= max);
		HOLDS(line.at[line.len - 2] == '\r');
		HOLDS(memchr(line.at, '\r', line.len - 2) == NULL);
		HOLDS(memchr(line.at, '\0', line.len) == NULL);
	}
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "2.0.0 " */
static bool is_enhanced(struct span s)
{
	return s.len >= 6 && is_digit(s.at[0]) && s.at[1] == '.' &&
	       is_digit(s.at[2]) && s.at[3] == '.' && is_digit(s.at[4]);
}

void fuzz_replies(struct span s)
{
	struct span first = {NULL, 0};

	fuzz_lines(s, REPLY_BYTES_MAX);
	while (s.len > 0) {
		struct span line = fuzz_line(&s), text;

		HOLDS(line.len >= 6 && line.at[0] >= '2' && line.at[0] <= '5');
		HOLDS(is_digit(line.at[1]) && is_digit(line.at[2]));
		HOLDS(line.at[3] == ' ' || line.at[3] == '-');
		if (first.at == NULL)
			first = line;
		HOLDS(memcmp(first.at, line.at, 3) == 0);
		text = span_skip(line, 4);
		HOLDS(!is_enhanced(text) || text.at[0] == line.at[0]);
		if (line.at[3] == ' ')
			first.at = NULL;
	}
	HOLDS(first.at == NULL);
}

void fuzz_printable(const char *text)
{
	struct span s = span_of(text);

	while (s.len > 0) {
		size_t n = span_utf8(s);

		HOLDS(n > 0);
		HOLDS(n > 1 || (s.at[0] >= ' ' && s.at[0] <= '~'));
		s = span_skip(s, n);
	}
}

bool fuzz_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] >= 0x80)
			return false;
	return true;
}

void fuzz_add(struct buf *b, struct span s)
{
	BUG_ON(!buf_add(b, s));
}

size_t fuzz_undot(struct span s, struct buf *out)
{
	size_t at = 0;

	while (at < s.len) {
		const char *end = memmem(s.at + at, s.len - at, "\r\n", 2);
		size_t len = end != NULL ? (size_t)(end - s.at) - at : 0;

		if (end == NULL)
			return 0;
		if (len == 1 && s.at[at] == '.')
			return at + len + 2;
		if (len > 0 && s.at[at] == '.')
			fuzz_add(out, (struct span){s.at + at + 1, len + 1});
		else
			fuzz_add(out, (struct span){s.at + at, len + 2});
		at += len + 2;
	}
	return 0;
}
