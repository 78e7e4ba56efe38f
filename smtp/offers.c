/* SPDX-License-Identifier: ISC */
/*
 * offers - reads the keywords of an EHLO answer.
 */
#include "smtp/offers.h"

enum {
	MASK_RUN = 4,
	LIMIT_DIGITS_MAX = 6, /* RFC 9422 4.1 */
};

/* Firewalls overwrite what they do not want to pass: 250-XXXXXXXA, 220 ****. */
static bool is_masked(struct span s)
{
	size_t run = 0;

	for (size_t i = 0; i < s.len; i++) {
		bool same = i > 0 && s.at[i] == s.at[i - 1];

		if (s.at[i] != 'X' && s.at[i] != '*')
			run = 0;
		else
			run = same ? run + 1 : 1;
		if (run == MASK_RUN)
			return true;
	}
	return false;
}

/* Digits, or nothing for "no fixed limit". */
static uint64_t limit_parse(struct span s)
{
	uint64_t n = 0;

	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] < '0' || s.at[i] > '9' || n > UINT64_MAX / 10 - 1)
			return 0;
		n = n * 10 + (uint64_t)(s.at[i] - '0');
	}
	return n;
}

/* Takes a word off the front of *s; empty: there is none. */
static struct span word_take(struct span *s)
{
	struct span word;

	*s = span_trim(*s);
	word = (struct span){s->at, 0};
	while (word.len < s->len && s->at[word.len] != ' ' &&
	       s->at[word.len] != '\t')
		word.len++;
	*s = span_skip(*s, word.len);
	return word;
}

static void auth_heard(struct offers *o, struct span words)
{
	static const struct {
		const char *word;
		enum offer_auth offer;
	} mechanisms[] = {
		{"PLAIN", OFFER_AUTH_PLAIN},
		{"LOGIN", OFFER_AUTH_LOGIN},
		{"XOAUTH2", OFFER_AUTH_XOAUTH2},
	};
	struct span word;

	while ((word = word_take(&words)).len > 0)
		for (size_t i = 0; i < ARRAY_LEN(mechanisms); i++)
			if (span_eq_nocase(word, span_of(mechanisms[i].word)))
				o->auth |= mechanisms[i].offer;
}

/* "RCPTMAX=100"; a value that is none leaves the limit unknown. */
static void limit_heard(struct span word, struct span name, unsigned *limit)
{
	struct span value = span_skip(word, name.len);

	if (!span_starts_nocase(word, name) || value.len > LIMIT_DIGITS_MAX)
		return;
	*limit = (unsigned)limit_parse(value);
}

static void limits_heard(struct offers *o, struct span words)
{
	struct span word;

	while ((word = word_take(&words)).len > 0) {
		limit_heard(word, SPAN("RCPTMAX="), &o->rcpt_max);
		limit_heard(word, SPAN("MAILMAX="), &o->mail_max);
	}
}

static void keyword_heard(struct offers *o, struct span line)
{
	static const struct {
		const char *word;
		enum client_offer offer;
	} keywords[] = {
		{"PIPELINING", OFFER_PIPELINING},
		{"SIZE", OFFER_SIZE},
		{"8BITMIME", OFFER_8BITMIME},
		{"STARTTLS", OFFER_STARTTLS},
		{"ENHANCEDSTATUSCODES", OFFER_ENHANCED},
		{"SMTPUTF8", OFFER_SMTPUTF8},
		{"DSN", OFFER_DSN},
		{"CHUNKING", OFFER_CHUNKING},
		{"AUTH", OFFER_AUTH},
	};
	struct span word = {line.at, 0}, rest;

	/* "AUTH=LOGIN" is an old way to write "AUTH LOGIN". */
	while (word.len < line.len && line.at[word.len] != ' ' &&
	       line.at[word.len] != '=')
		word.len++;
	rest = span_skip(line, word.len + 1);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		if (span_eq_nocase(word, span_of(keywords[i].word)))
			o->set |= keywords[i].offer;
	if (span_eq_nocase(word, SPAN("SIZE")))
		o->size_limit = limit_parse(span_trim(rest));
	else if (span_eq_nocase(word, SPAN("AUTH")))
		auth_heard(o, rest);
	else if (span_eq_nocase(word, SPAN("LIMITS")))
		limits_heard(o, rest);
}

void offers_heard(struct offers *o, const struct reply *ehlo)
{
	struct span rest = {ehlo->text, ehlo->len};
	const char *lf = rest.len > 0 ? memchr(rest.at, '\n', rest.len) : NULL;

	/* The first line has the name of the server. */
	while (lf != NULL) {
		struct span line;

		rest = span_skip(rest, (size_t)(lf - rest.at) + 1);
		lf = rest.len > 0 ? memchr(rest.at, '\n', rest.len) : NULL;
		line = rest;
		if (lf != NULL)
			line.len = (size_t)(lf - rest.at);
		keyword_heard(o, span_trim(line));
		if (is_masked(line))
			o->set |= OFFER_MASKED;
	}
}

void offers_masked(struct offers *o, const struct reply *r)
{
	if (is_masked((struct span){r->text, r->len}))
		o->set |= OFFER_MASKED;
}
