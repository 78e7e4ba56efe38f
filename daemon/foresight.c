/* SPDX-License-Identifier: ISC */
/*
 * foresight - compares dates with lives, and certificates with certificates.
 */
#include "daemon/foresight.h"

#include <string.h>

/* What part of a life is left when a stage begins. */
static const struct {
	const char *word;
	int64_t part; /* 0: nothing */
} stages[STAGES] = {
	[STAGE_FRESH] = {"", 1},	  [STAGE_THIRD] = {"third", 3},
	[STAGE_SIXTH] = {"sixth", 6},	  [STAGE_TWELFTH] = {"twelfth", 12},
	[STAGE_EXPIRED] = {"expired", 0},
};

const char *stage_word(enum stage s)
{
	BUG_ON(s >= STAGES);
	return stages[s].word;
}

/* A life that is none, as of a certificate with its dates turned round, has
 * no parts but its end. */
static int64_t begin_of(enum stage s, int64_t not_before_ms,
			int64_t not_after_ms)
{
	int64_t life_ms = not_after_ms - not_before_ms;

	if (stages[s].part == 0 || life_ms < 0)
		return not_after_ms;
	return not_after_ms - life_ms / stages[s].part;
}

enum stage foresight_stage(int64_t not_before_ms, int64_t not_after_ms,
			   int64_t now_ms)
{
	enum stage s = STAGE_EXPIRED;

	while (s > STAGE_FRESH &&
	       now_ms < begin_of(s, not_before_ms, not_after_ms))
		s--;
	return s;
}

int64_t foresight_next_ms(int64_t not_before_ms, int64_t not_after_ms,
			  int64_t now_ms)
{
	enum stage s = foresight_stage(not_before_ms, not_after_ms, now_ms);

	return s == STAGE_EXPIRED
		       ? INT64_MAX
		       : begin_of(s + 1, not_before_ms, not_after_ms);
}

unsigned foresight_compare(const struct outlook *last, const char *previous,
			   const struct outlook *now)
{
	unsigned news = 0;

	if (now->crl_stale && !last->crl_stale)
		news |= NEWS_CRL_STALE;
	if (strcmp(now->id, previous) == 0)
		return news;
	if (last->named && !now->named)
		news |= NEWS_NAME_GONE;
	if (strcmp(now->id, last->id) == 0)
		return news;
	news |= NEWS_OTHER;
	if (strcmp(now->issuer, last->issuer) != 0)
		news |= NEWS_ISSUER;
	return news;
}

/* The value of O= in a name; all of it if there is none. */
static struct span house_of(const char *name)
{
	const char *at = name;

	while (strncmp(at, "O=", 2) != 0) {
		/* To the next comma that is not escaped. */
		while (*at != '\0' && *at != ',')
			at += at[0] == '\\' && at[1] != '\0' ? 2 : 1;
		if (*at == '\0')
			return span_of(name);
		at++;
	}
	const char *end = at + 2;

	while (*end != '\0' && *end != ',')
		end += end[0] == '\\' && end[1] != '\0' ? 2 : 1;
	return (struct span){at, (size_t)(end - at)};
}

bool foresight_same_house(const char *issuer, const char *other)
{
	return span_eq(house_of(issuer), house_of(other));
}
