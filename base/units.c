/* SPDX-License-Identifier: ISC */
/*
 * units - durations, sizes and message ids: text to number and back.
 */
#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct unit {
	const char *suffix;
	int64_t ms;
};

/* Largest first. */
static const struct unit durations[] = {
	{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1},
};

/* Reads digits at *s, leaves *s behind them. */
static bool number_parse(const char **s, uint64_t max, uint64_t *out)
{
	const char *at = *s;
	uint64_t n = 0;

	if (*at < '0' || *at > '9')
		return false;
	for (; *at >= '0' && *at <= '9'; at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (n > (max - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*s = at;
	*out = n;
	return true;
}

bool duration_parse(const char *s, int64_t *out_ms)
{
	uint64_t n;

	if (!number_parse(&s, INT64_MAX, &n))
		return false;
	if (n == 0 && *s == '\0') {
		*out_ms = 0;
		return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		if (strcmp(s, durations[i].suffix) != 0)
			continue;
		if ((int64_t)n > INT64_MAX / durations[i].ms)
			return false;
		*out_ms = (int64_t)n * durations[i].ms;
		return true;
	}
	return false;
}

void duration_text(char out[UNITS_TEXT_MAX], int64_t ms)
{
	for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
		if (ms == 0 || ms % durations[i].ms != 0)
			continue;
		snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s",
			 ms / durations[i].ms, durations[i].suffix);
		return;
	}
	snprintf(out, UNITS_TEXT_MAX, "0s");
}

void duration_human(char out[UNITS_TEXT_MAX], int64_t ms)
{
	const struct unit *big = durations, *small;
	int64_t rest_ms;

	if (ms <= 0) {
		snprintf(out, UNITS_TEXT_MAX, "0s");
		return;
	}
	while (ms < big->ms)
		big++;
	small = big + 1;
	rest_ms = ms % big->ms;
	if (ms < 60000 || rest_ms < small->ms)
		snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s", ms / big->ms,
			 big->suffix);
	else /* 59 is the most the second can be */
		snprintf(out, UNITS_TEXT_MAX, "%" PRId64 "%s %u%s",
			 ms / big->ms, big->suffix,
			 (unsigned)(rest_ms / small->ms) % 60u, small->suffix);
}

static const char size_suffixes[] = "KMGTPE";

bool size_parse(const char *s, uint64_t *out_bytes)
{
	const char *suffix;
	unsigned shift;
	uint64_t n;

	if (!number_parse(&s, UINT64_MAX, &n))
		return false;
	if (*s == '\0') {
		*out_bytes = n;
		return true;
	}
	suffix = strchr(size_suffixes, *s);
	if (!suffix || s[1] != '\0')
		return false;
	shift = 10 * (unsigned)(suffix - size_suffixes + 1);
	if (n > UINT64_MAX >> shift)
		return false;
	*out_bytes = n << shift;
	return true;
}

void size_human(char out[UNITS_TEXT_MAX], uint64_t bytes)
{
	uint64_t unit = 1, tenths;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(out, UNITS_TEXT_MAX, "%" PRIu64, bytes);
		return;
	}
	/* 1023.95K is not shown as 1024K but as 1.0M */
	for (i = 0; i + 1 < sizeof(size_suffixes) - 1; i++) {
		unit = UINT64_C(1) << (10 * (i + 1));
		if (bytes / unit < 1023)
			break;
		if (bytes / unit == 1023 && bytes % unit < unit / 2)
			break;
	}
	unit = UINT64_C(1) << (10 * (i + 1));
	tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
	if (tenths < 100)
		snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 ".%" PRIu64 "%c",
			 tenths / 10, tenths % 10, size_suffixes[i]);
	else
		snprintf(out, UNITS_TEXT_MAX, "%" PRIu64 "%c",
			 (tenths + 5) / 10, size_suffixes[i]);
}

/* Crockford's alphabet: no I, L, O, U. */
static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void msg_id_text(char out[MSG_ID_LEN + 1], uint64_t id)
{
	for (int i = MSG_ID_LEN - 1; i >= 0; i--) {
		out[i] = digits[id & 31];
		id >>= 5;
	}
	out[MSG_ID_LEN] = '\0';
}

/* Letters that look like digits are read as these; -1: none. */
static int digit_value(char c)
{
	const char *at;

	if (c >= 'a' && c <= 'z')
		c = (char)(c - ('a' - 'A'));
	if (c == 'O')
		return 0;
	if (c == 'I' || c == 'L')
		return 1;
	at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

bool msg_id_parse(const char *s, uint64_t *out)
{
	uint64_t id = 0;

	if (strlen(s) != MSG_ID_LEN)
		return false;
	for (size_t i = 0; i < MSG_ID_LEN; i++) {
		int value = digit_value(s[i]);

		/* 13 digits hold 65 bits: the first has four */
		if (value < 0 || (i == 0 && value > 15))
			return false;
		id = id << 5 | (uint64_t)value;
	}
	*out = id;
	return true;
}
