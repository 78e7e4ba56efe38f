/* SPDX-License-Identifier: ISC */
/*
 * dsn - reads and writes what RFC 3461 adds to MAIL and RCPT.
 */
#include "smtp/dsn.h"

#include <stdio.h>

static const struct {
	const char *word;
	uint32_t bit;
} words[] = {
	{"NEVER", DSN_NEVER},
	{"SUCCESS", DSN_SUCCESS},
	{"FAILURE", DSN_FAILURE},
	{"DELAY", DSN_DELAY},
};

static uint32_t notify_bit(struct span word)
{
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (span_eq_nocase(word, span_of(words[i].word)))
			return words[i].bit;
	return 0;
}

bool dsn_notify_parse(struct span s, uint32_t *out)
{
	uint32_t set = 0;

	for (;;) {
		const char *comma = s.len > 0 ? memchr(s.at, ',', s.len) : NULL;
		size_t n = comma != NULL ? (size_t)(comma - s.at) : s.len;
		uint32_t bit = notify_bit((struct span){s.at, n});

		if (bit == 0)
			return false;
		set |= bit;
		if (comma == NULL)
			break;
		s = span_skip(s, n + 1);
	}
	if ((set & DSN_NEVER) && set != DSN_NEVER)
		return false;
	*out = set;
	return true;
}

void dsn_notify_text(char out[32], uint32_t notify)
{
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (notify & words[i].bit)
			n += (size_t)snprintf(out + n, 32 - n, "%s%s",
					      n > 0 ? "," : "", words[i].word);
}

/* Upper case only, as RFC 3461 section 4 has it. */
static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Takes a character off the front of s; false: that is no xtext. */
static bool xchar_take(struct span *s, char *out)
{
	int high, low;

	*out = s->at[0];
	if (*out < '!' || *out > '~' || *out == '=')
		return false;
	if (*out != '+') {
		*s = span_skip(*s, 1);
		return true;
	}
	if (s->len < 3)
		return false;
	high = hex_digit(s->at[1]);
	low = hex_digit(s->at[2]);
	*out = (char)(high * 16 + low);
	*s = span_skip(*s, 3);
	return high >= 0 && low >= 0;
}

bool xtext_valid(struct span s, size_t max)
{
	char c;

	if (s.len > max)
		return false;
	while (s.len > 0)
		if (!xchar_take(&s, &c))
			return false;
	return true;
}

bool xtext_decode(struct span s, struct buf *out)
{
	if (!xtext_valid(s, SIZE_MAX))
		return false;
	while (s.len > 0) {
		char c;

		if (!xchar_take(&s, &c) || !buf_add(out, (struct span){&c, 1}))
			return false;
	}
	return true;
}

bool xtext_encode(struct span s, struct buf *out)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];
		bool fits;

		if (c >= '!' && c <= '~' && c != '+' && c != '=')
			fits = buf_add(out, (struct span){&c, 1});
		else
			fits = buf_printf(out, "+%02X", (unsigned char)c);
		if (!fits)
			return false;
	}
	return true;
}
