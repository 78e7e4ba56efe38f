/* SPDX-License-Identifier: ISC */
/*
 * sasl - the server's side of PLAIN and LOGIN: what the client's answers say.
 *
 *	sasl_begin(x, mechanism)
 *	loop:	sasl_hear(x, answer in base64)
 *		SASL_CHALLENGES:  say "334 " and sasl_challenge(x)
 *		SASL_DONE:        x->user and x->password are whole
 *		else              it failed
 *	sasl_release(x)
 *
 * RFC 4616 (PLAIN); LOGIN as in draft-murchison-sasl-login.
 *
 * Thread: none; pure.
 * Owns:   user and password; both are wiped before they are freed.
 */
#ifndef SMTP_SASL_H
#define SMTP_SASL_H

#include "base/bytes.h"

/* RFC 4954 section 4: of a line, with its end. */
enum { SASL_LINE_MAX = 12288 };

enum sasl_step { SASL_PLAIN, SASL_LOGIN_USER, SASL_LOGIN_PASSWORD };

struct sasl {
	enum sasl_step step;             /* the answer that is awaited */
	char *user, *password;           /* owned; NULL: not heard */
};

enum sasl_result {
	SASL_CHALLENGES,
	SASL_DONE,
	SASL_BROKEN,                     /* no base64, or no message */
	SASL_REFUSED,                    /* wants to act for somebody else */
};

void sasl_init(struct sasl *x);
void sasl_release(struct sasl *x);
/* False: no such mechanism. */
MUST_USE bool sasl_begin(struct sasl *x, struct span mechanism);
/* In base64, "" for PLAIN. */
const char *sasl_challenge(const struct sasl *x);
/* The answer in base64; initial: it came with AUTH itself, where "=" is an
 * empty one. */
enum sasl_result sasl_hear(struct sasl *x, struct span answer, bool initial);

#endif
