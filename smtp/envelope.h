/* SPDX-License-Identifier: ISC */
/*
 * envelope - what MAIL and RCPT have said of the message to come.
 *
 * Reads the arguments of both commands and keeps the outcome.  A recipient is
 * first a candidate; it joins the others when envelope_join() says so.
 *
 * RFC 5321 4.1.1.2, 4.1.1.3; 1870 6 (SIZE); 6152 (BODY); 6531 (SMTPUTF8);
 * 3461 (RET, ENVID, NOTIFY, ORCPT); 4954 5 (AUTH).
 *
 * Thread: none; belongs to its server.
 * Owns:   its strings; they are valid until the next call that changes them.
 * Errors: with the reply to say: 501 5.5.4, 5.1.7, 5.1.3; 553 5.6.7; 555 5.5.4;
 *	   552 5.3.4.
 */
#ifndef SMTP_ENVELOPE_H
#define SMTP_ENVELOPE_H

#include "base/bytes.h"
#include "base/err.h"
#include "smtp/dsn.h"

struct envelope {
	char *sender;                    /* owned; "" is <>; NULL: no MAIL */
	/* owned; of the last RCPT, or NULL */
	char *candidate, *candidate_orcpt;
	uint32_t candidate_notify;
	/* owned, all of the same length */
	char **recipients;
	char **orcpts;                   /* "" where not given */
	uint32_t *notifies;              /* of enum dsn_notify, 0: not given */
	size_t nrecipients;
	size_t room;                     /* of recipients */
	char envid[DSN_ENVID_MAX + 1];   /* xtext; "" if not given */
	const char *ret;                 /* "FULL", "HDRS" or "" */
	bool smtputf8;
	uint64_t declared_bytes;         /* SIZE=, 0: none */
	bool is_8bitmime;                /* BODY=8BITMIME */
	bool has_refused;                /* an RCPT that was not accepted */
};

void envelope_init(struct envelope *env);
void envelope_release(struct envelope *env);

/* args: "FROM:<a@b> SIZE=1 ..."; max_bytes 0: no limit. */
MUST_USE enum status envelope_mail(struct envelope *env, struct span args,
				   uint64_t max_bytes, struct err *e);
/* args: "TO:<a@b>" */
MUST_USE enum status envelope_rcpt(struct envelope *env, struct span args,
				   struct err *e);
/* The candidate becomes a recipient. */
void envelope_join(struct envelope *env);

#endif
