/* SPDX-License-Identifier: ISC */
/*
 * cause - words, groups and remedies of the causes, from cause.def.
 */
#include "base/cause.h"

#include <string.h>

static const struct {
	const char *word;
	enum cause_group group;
	const char *remedy;
} causes[] = {
#define CAUSE(name, word, group, remedy) \
	[CAUSE_IS_##name] = {word, CAUSE_##group, remedy},
#include "base/cause.def"
#undef CAUSE
};

_Static_assert(ARRAY_LEN(causes) == CAUSE_COUNT, "a cause without its row");

static const char *const groups[] = {
	[CAUSE_OTHER] = "other", [CAUSE_TLS] = "tls",	[CAUSE_DNS] = "dns",
	[CAUSE_NET] = "net",	 [CAUSE_PEER] = "peer", [CAUSE_AUTH] = "auth",
	[CAUSE_MAIL] = "mail",	 [CAUSE_SELF] = "self", [CAUSE_OPS] = "ops",
};

const char *cause_word(enum cause c)
{
	BUG_ON((unsigned)c >= CAUSE_COUNT);
	return causes[c].word;
}

const char *cause_remedy(enum cause c)
{
	BUG_ON((unsigned)c >= CAUSE_COUNT);
	return causes[c].remedy;
}

enum cause_group cause_group(enum cause c)
{
	BUG_ON((unsigned)c >= CAUSE_COUNT);
	return causes[c].group;
}

const char *cause_group_word(enum cause_group g)
{
	BUG_ON((unsigned)g >= ARRAY_LEN(groups));
	return groups[g];
}

bool cause_matches(enum cause c, const char *word)
{
	if (c == CAUSE_IS_NONE)
		return false;
	return strcmp(cause_word(c), word) == 0 ||
	       strcmp(cause_group_word(cause_group(c)), word) == 0;
}

bool cause_word_known(const char *word)
{
	for (unsigned c = CAUSE_IS_NONE + 1; c < CAUSE_COUNT; c++)
		if (cause_matches((enum cause)c, word))
			return true;
	return false;
}

bool cause_parse(const char *word, enum cause *out)
{
	for (unsigned c = CAUSE_IS_NONE + 1; c < CAUSE_COUNT; c++)
		if (strcmp(causes[c].word, word) == 0) {
			*out = (enum cause)c;
			return true;
		}
	return false;
}
