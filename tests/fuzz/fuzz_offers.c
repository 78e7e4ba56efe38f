/* SPDX-License-Identifier: ISC */
/*
 * fuzz_offers - the answer to EHLO, and what it offers.
 */
#include "smtp/offers.h"

#include "tests/fuzz/fuzz.h"

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

/* Is there a line behind the first whose first word it is? */
static bool is_said(const struct reply *r, const char *word)
{
	const char *line = strchr(r->text, '\n');
	size_t len = strlen(word);

	for (; line != NULL; line = strchr(line, '\n')) {
		struct span s;

		line++;
		s = (struct span){line, strcspn(line, "\n")};
		s = span_trim(s);
		if (span_starts_nocase(s, span_of(word)) &&
		    (s.len == len || s.at[len] == ' ' || s.at[len] == '='))
			return true;
	}
	return false;
}

static bool is_same(const struct offers *a, const struct offers *b)
{
	return a->set == b->set && a->auth == b->auth &&
	       a->size_limit == b->size_limit && a->rcpt_max == b->rcpt_max &&
	       a->mail_max == b->mail_max;
}

static void check_offers(const struct reply *r)
{
	struct offers o = {.set = 0}, again;

	offers_heard(&o, r);
	for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
		HOLDS(((o.set & keywords[i].offer) != 0) ==
		      is_said(r, keywords[i].word));
	HOLDS(o.auth == 0 || (o.set & OFFER_AUTH));
	HOLDS(o.size_limit == 0 || (o.set & OFFER_SIZE));
	HOLDS(o.rcpt_max <= 999999 && o.mail_max <= 999999);
	again = o;
	offers_heard(&again, r);
	HOLDS(is_same(&o, &again));
	again = o;
	offers_masked(&again, r);
	HOLDS((again.set & ~(unsigned)OFFER_MASKED) ==
	      (o.set & ~(unsigned)OFFER_MASKED));
	/* A masked line is part of the text. */
	HOLDS(!(o.set & OFFER_MASKED) || (again.set & OFFER_MASKED));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct reply_parser p;

	reply_parser_init(&p);
	while (reply_parse(&p, &in) == REPLY_DONE)
		check_offers(&p.reply);
	return 0;
}
