/* SPDX-License-Identifier: ISC */
/*
 * client - the client's side of an SMTP session as a pure machine.
 *
 * A table of steps: what we say, what we hear, what may be said before the
 * answer (pipelining).  No socket, no thread, no clock, no policy: it reports
 * what happened as facts, and its shell decides what they mean.
 *
 *	client_new -> CLIENT_WANTS_INPUT ... CLIENT_ASKS_TLS ... CLIENT_READY
 *	client_mail(transaction) -> ... CLIENT_ASKS_BODY ... CLIENT_SETTLED
 *	-> CLIENT_READY -> client_mail() again, or client_quit()
 *
 * RFC 5321, 1870, 2034, 2920, 3030, 3207, 3461, 4954, 6152, 6531, 9422.
 *
 * Thread: the worker of its connection.
 */
#ifndef SMTP_CLIENT_H
#define SMTP_CLIENT_H

#include "base/bytes.h"
#include "smtp/offers.h"
#include "smtp/reply.h"

struct client;

enum client_tls {
	CLIENT_TLS_OFF,                  /* never asks for it */
	CLIENT_TLS_IF_OFFERED,
	CLIENT_TLS_FORCED,               /* fails at CLIENT_STARTTLS, code 0,
					    where it is not offered */
};

/* Where a dialogue stands; also the stage a failure names. */
enum client_stage {
	CLIENT_GREETING,
	CLIENT_EHLO,
	CLIENT_HELO,
	CLIENT_STARTTLS,
	CLIENT_AUTH,
	CLIENT_MAIL,
	CLIENT_RCPT,
	CLIENT_DATA,
	CLIENT_DOT,                      /* end of data said, answer awaited */
	CLIENT_RSET,
	CLIENT_QUIT,
	CLIENT_STAGES
};

enum client_wants {
	CLIENT_WANTS_INPUT,              /* flush the output, then read more
					    behind what is left in *in */
	CLIENT_ASKS_TLS,                 /* STARTTLS was answered 220: handshake */
	CLIENT_READY,                    /* client_mail() or client_quit() now */
	CLIENT_ASKS_BODY,                /* client_body() or client_body_end() */
	CLIENT_SETTLED,                  /* every recipient has its result; step
					    on to CLIENT_READY or _CLOSED */
	CLIENT_FAILED,                   /* no transaction is possible: see
					    client_stage(), client_reply(),
					    client_protocol_error() */
	CLIENT_CLOSED,                   /* QUIT was answered, or 421: close */
};

/* Where it can't be said (not inside TLS, not offered, secret too long) the
 * session fails at CLIENT_AUTH with code 0, and the text says why. */
enum client_auth {
	CLIENT_AUTH_OFF,
	CLIENT_AUTH_PLAIN,               /* RFC 4616 */
	CLIENT_AUTH_LOGIN,
	CLIENT_AUTH_XOAUTH2,             /* secret is the bearer token */
};

struct client_conf {
	const char *hostname;            /* for EHLO; borrowed */
	enum client_tls tls;
	bool in_tls;                     /* implicit TLS: already encrypted */
	enum client_auth auth;           /* only inside TLS, RFC 4954 */
	const char *user, *secret;       /* borrowed until CLIENT_READY or
					    CLIENT_FAILED */
};

/* A mail transaction; what it points to is borrowed until CLIENT_SETTLED.  At
 * least one recipient; no address over PATH_MAX_LEN. */
struct transaction {
	const char *sender;              /* "" is <> */
	const char *const *recipients;
	size_t nrecipients;
	uint64_t bytes;                  /* for SIZE= */
	bool has_8bit;
	bool smtputf8;                   /* RFC 6531; only where offered */
	bool bare_newlines;              /* bare CR or LF inside: goes by BDAT;
					    only where CHUNKING is offered */
	/* RFC 3461; said only where DSN is offered. */
	const char *envid, *ret;         /* "" if none; ret FULL or HDRS */
	const char *const *orcpt;        /* as recipients, "" if none; xtext as
					    it came */
	const uint32_t *notify;          /* as recipients: enum dsn_notify */
};

/* How a recipient ended, in the order of the transaction. */
struct client_result {
	enum client_stage stage;         /* of the answer that settled it */
	struct reply reply;              /* code 0: it got none (connection) */
};

enum { CLIENT_PIECE_MAX = 1024 * 1024 };

MUST_USE struct client *client_new(const struct client_conf *conf);
void client_free(struct client *c);

/* Consumes replies from the front of *in, writes commands.  A part of a line,
 * of REPLY_LINE_MAX at the most, stays in *in, and so do bytes behind the 220
 * of STARTTLS. */
enum client_wants client_step(struct client *c, struct span *in);
struct buf *client_output(struct client *c);

/* The handshake is done: says EHLO again. Plaintext read behind the 220 must
 * have been thrown away (and is a reason to fail: tls-handshake). */
void client_tls_started(struct client *c);

/* From CLIENT_READY. */
void client_mail(struct client *c, const struct transaction *t);
/* Answers CLIENT_ASKS_BODY: appends the next piece to the output.  The pieces
 * given for one ask have CLIENT_PIECE_MAX bytes at the most, all together; by
 * BDAT they make one chunk. */
void client_body(struct client *c, struct span piece);
void client_body_end(struct client *c);
/* From CLIENT_READY or CLIENT_FAILED; where nothing more may be said
 * CLIENT_CLOSED follows at once.  (A body whose rest can't be had is not
 * ended: there is no way to take back a DATA but to close the connection.) */
void client_quit(struct client *c);

enum client_stage client_stage(const struct client *c);
const char *client_stage_word(enum client_stage s);
/* RFC 5321 4.5.3.2: how long to wait for the answer awaited. */
int64_t client_timeout_ms(const struct client *c);
unsigned client_offers(const struct client *c); /* enum client_offer */
uint64_t client_size_limit(const struct client *c); /* 0: none known */
/* RFC 9422: recipients of a transaction, transactions of a session; 0: none
 * known. */
unsigned client_rcpt_max(const struct client *c);
unsigned client_mail_max(const struct client *c);
bool client_ehlo_refused(const struct client *c); /* HELO was taken */
bool client_in_tls(const struct client *c);
/* The last reply heard whole, for failures; code 0 if there was none or if what
 * came was none (its text says what). */
const struct reply *client_reply(const struct client *c);
/* What came was no reply, made no sense as the answer, or answered nothing. */
bool client_protocol_error(const struct client *c);
/* The banner without its code, "" before it was heard. */
const char *client_greeting(const struct client *c);
/* The last answer to EHLO likewise, lines joined by LF, also a refusal. */
const char *client_ehlo(const struct client *c);
/* Results of the transaction; valid at CLIENT_SETTLED until the next step, or
 * when the connection broke (those without an answer have code 0).  *n is 0
 * where there are none. */
const struct client_result *client_results(const struct client *c, size_t *n);
/* Was the final dot sent without hearing its answer?  Then nobody knows. */
bool client_uncertain(const struct client *c);

#endif
