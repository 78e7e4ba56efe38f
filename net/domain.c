/* SPDX-License-Identifier: ISC */
/*
 * domain - names of domains by libidn2.
 */
#include "net/domain.h"

#include <idn2.h>

#include "base/bytes.h"

static char to_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

char *domain_plain(const char *name)
{
	struct span s = span_of(name);
	char *plain;

	if (s.len > 0 && s.at[s.len - 1] == '.')
		s.len--;
	plain = span_dup(s);
	for (char *p = plain; *p; p++)
		*p = to_lower(*p);
	return plain;
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s > 0x7F)
			return false;
	return true;
}

char *domain_a_labels(const char *name)
{
	char *ascii = NULL, *plain;

	if (is_ascii(name))
		return domain_plain(name);
	if (idn2_to_ascii_8z(name, &ascii,
			     IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return NULL;
	plain = domain_plain(ascii);
	idn2_free(ascii);
	return plain;
}
