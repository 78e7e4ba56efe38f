/* SPDX-License-Identifier: ISC */
/*
 * offers - what a server offers in its answer to EHLO.
 *
 * RFC 5321 4.1.1.1, 1870 4 (SIZE), 4954 3 (AUTH), 9422 (LIMITS).
 *
 * Thread: none; pure.
 */
#ifndef SMTP_OFFERS_H
#define SMTP_OFFERS_H

#include "smtp/reply.h"

enum client_offer {
	OFFER_PIPELINING = 1 << 0,
	OFFER_SIZE = 1 << 1,
	OFFER_8BITMIME = 1 << 2,
	OFFER_STARTTLS = 1 << 3,
	OFFER_ENHANCED = 1 << 4,
	OFFER_SMTPUTF8 = 1 << 5,
	OFFER_DSN = 1 << 6,
	OFFER_CHUNKING = 1 << 7,
	OFFER_AUTH = 1 << 8,
	OFFER_MASKED = 1 << 9,           /* keywords or banner of X or * */
};

/* Mechanisms of AUTH that we know. */
enum offer_auth {
	OFFER_AUTH_PLAIN = 1 << 0,
	OFFER_AUTH_LOGIN = 1 << 1,
	OFFER_AUTH_XOAUTH2 = 1 << 2,
};

struct offers {
	unsigned set;                    /* of enum client_offer */
	unsigned auth;                   /* of enum offer_auth */
	uint64_t size_limit;             /* 0: none known */
	unsigned rcpt_max, mail_max;     /* LIMITS; 0: none known */
};

/* Adds what the answer says, line by line. */
void offers_heard(struct offers *o, const struct reply *ehlo);
/* Adds OFFER_MASKED if the text was overwritten on its way: a run of X or *. */
void offers_masked(struct offers *o, const struct reply *r);

#endif
