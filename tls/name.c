/* SPDX-License-Identifier: ISC */
/*
 * name - compares the names of a certificate with those we want (RFC 9525 6).
 */
#include "tls/name.h"

#include <arpa/inet.h>

static struct span without_dot(struct span s)
{
	if (s.len > 0 && s.at[s.len - 1] == '.')
		s.len--;
	return s;
}

static bool is_wild(struct span s)
{
	return s.len > 2 && s.at[0] == '*' && s.at[1] == '.';
}

/* What stands after the first label and its dot; empty if there is none. */
static struct span parent_of(struct span s)
{
	const char *dot = s.len > 0 ? memchr(s.at, '.', s.len) : NULL;

	if (!dot)
		return (struct span){NULL, 0};
	return span_skip(s, (size_t)(dot - s.at) + 1);
}

/* Labels of visible ASCII, none of them empty, no star. */
static bool is_plain(struct span s)
{
	size_t label = 0;

	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.at[i];

		if (c <= ' ' || c >= 0x7F || c == '*')
			return false;
		if (c == '.' && label == 0)
			return false;
		label = c == '.' ? 0 : label + 1;
	}
	return label > 0;
}

static bool is_sound(struct span s)
{
	if (!is_wild(s))
		return is_plain(s);
	return is_plain(span_skip(s, 2)) && parent_of(span_skip(s, 2)).len > 0;
}

bool name_matches(struct span presented, struct span wanted)
{
	presented = without_dot(presented);
	wanted = without_dot(wanted);
	if (!is_sound(presented) || !is_sound(wanted))
		return false;
	if (span_eq_nocase(presented, wanted))
		return true;
	if (is_wild(presented) == is_wild(wanted))
		return false;
	return span_eq_nocase(parent_of(presented), parent_of(wanted));
}

size_t name_literal(const char *name, uint8_t out[NAME_IP_MAX])
{
	if (inet_pton(AF_INET, name, out) == 1)
		return 4;
	if (inet_pton(AF_INET6, name, out) == 1)
		return 16;
	return 0;
}
