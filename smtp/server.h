/* SPDX-License-Identifier: ISC */
/*
 * server - the server's side of an SMTP session as a pure machine.
 *
 * It eats bytes, writes replies into its output buffer, and now and then asks
 * its shell for something that needs the world (policy, the store, TLS).  No
 * socket, no thread, no clock.
 *
 *	for (;;) {
 *		switch (server_step(s, &in)) {
 *		case SERVER_WANTS_INPUT:  write out server_output(), then read
 *		case SERVER_WANTS_FLUSH:  write out server_output(), then step
 *		case SERVER_ASKS_...:     do it, then server_accept(s, text) or
 *					  server_refuse(s, e)
 *		...
 *
 * RFC 5321, 1870 SIZE, 2920 PIPELINING, 6152 8BITMIME, 2034, 3207 STARTTLS,
 * 3030 CHUNKING, 3461 DSN, 4954 AUTH, 6531 SMTPUTF8, 9422 LIMITS.
 *
 * Thread: the worker of its connection.
 * Owns:   everything it returns; spans are valid until the next call.
 */
#ifndef SMTP_SERVER_H
#define SMTP_SERVER_H

#include "base/bytes.h"
#include "base/err.h"

struct server;

enum server_tls {
	SERVER_TLS_OFF,                  /* STARTTLS is not offered */
	SERVER_TLS_OFFERED,
	SERVER_TLS_FORCED,               /* MAIL before it gets 530 5.7.0 */
};

enum server_chunking {
	SERVER_CHUNKING_OFF,
	SERVER_CHUNKING_STRICT,          /* bare CR, LF and NUL, and an end that
					    is no CRLF: 554 5.6.11 */
	SERVER_CHUNKING_PASSTHROUGH,     /* taken as they are, but for NUL */
};

struct server_conf {
	const char *hostname;            /* borrowed for the life of the server */
	enum server_tls tls;
	bool in_tls;                     /* implicit TLS: already encrypted */
	uint64_t max_message_bytes;      /* 0: no limit */
	unsigned max_recipients;
	unsigned max_mails;              /* transactions of a session; then
					    421 4.7.0 and close; 0: no limit */
	enum server_chunking chunking;
	bool auth;                       /* AUTH PLAIN LOGIN, inside TLS only */
	unsigned max_errors;             /* then 421 4.7.0 and close; 0: none */
};

enum server_wants {
	SERVER_WANTS_INPUT,              /* no whole line is left in *in: write
					    out the output, read more behind
					    what is left there */
	SERVER_WANTS_FLUSH,              /* too much output waits: write it out,
					    then step on with the same *in */
	SERVER_ASKS_AUTH,                /* server_auth_user(), _password(): are
					    they right? refuse: 535 5.7.8, or
					    454 4.7.0 */
	SERVER_ASKS_MAIL,                /* server_sender() wants to send */
	SERVER_ASKS_RCPT,                /* server_recipient(): may it? */
	SERVER_ASKS_DATA,                /* accepted recipients are ready: begin */
	SERVER_GIVES_BODY,               /* server_body() is the next piece */
	SERVER_ASKS_COMMIT,              /* the message is whole: make it durable */
	SERVER_DROPS,                    /* the message begun will not come: its
					    body has a fault or is too large,
					    or the client gave it up */
	SERVER_ASKS_TLS,                 /* flush the output, then handshake */
	SERVER_CLOSES,                   /* flush the output, then close */
};

MUST_USE struct server *server_new(const struct server_conf *conf);
void server_free(struct server *s);

/* Says the greeting; with an error, refuses the connection (554 or 421) and
 * the session closes. */
void server_greet(struct server *s, const struct err *refusal);

/* Consumes from the front of *in.  A part of a line, of COMMAND_LINE_MAX at the
 * most (SASL_LINE_MAX in AUTH), stays there.  After SERVER_ASKS_..., but for TLS, no step until
 * server_accept() or server_refuse().  SERVER_GIVES_BODY and SERVER_DROPS need
 * no answer. */
enum server_wants server_step(struct server *s, struct span *in);

/* Answers: yes, with the text of the 250 (NULL: the usual one; for
 * SERVER_ASKS_DATA the reply is 354 and has its own), or no and why.  A refused
 * MAIL, DATA or commit ends the transaction; a refusal with 421 the session.
 * Ignored when the session was expired in between. */
void server_accept(struct server *s, const char *text);
void server_refuse(struct server *s, const struct err *e);

/* The handshake is done: forgets everything heard before it (RFC 3207 4.2).
 * The shell throws away plaintext that was read behind STARTTLS. */
void server_tls_started(struct server *s);

/* Time is over (421 4.4.2), or the daemon stops (421 4.3.2): says so and
 * closes.  A message that was begun is the shell's to drop. */
void server_expire(struct server *s, const char *text);
void server_shut_down(struct server *s, const char *text);

struct buf *server_output(struct server *s);

/* What the session knows; strings are owned by the server.  What belongs to a
 * message is valid until its last answer. */
const char *server_helo(const struct server *s); /* "" before EHLO */
bool server_is_esmtp(const struct server *s);
const char *server_sender(const struct server *s); /* "" is <> */
uint64_t server_declared_bytes(const struct server *s); /* SIZE=, 0: none */
bool server_8bitmime(const struct server *s); /* BODY=8BITMIME */
const char *server_recipient(const struct server *s); /* the last one */
const char *const *server_recipients(const struct server *s, size_t *n);
struct span server_body(const struct server *s);
bool server_has_8bit(const struct server *s); /* seen in the body */
bool server_smtputf8(const struct server *s); /* MAIL with SMTPUTF8 */
/* Seen in a BDAT body: bare CR or LF, or an end that is no CRLF; it can leave
 * by BDAT only. */
bool server_bare_newlines(const struct server *s);
const char *server_user(const struct server *s); /* logged in; "" if not */
const char *server_auth_user(const struct server *s); /* while it asks */
const char *server_auth_password(const struct server *s);
/* RFC 3461: "" where not given; recipients are numbered as in
 * server_recipients(). */
const char *server_ret(const struct server *s); /* FULL or HDRS */
const char *server_envid(const struct server *s); /* xtext, as it came */
const char *server_orcpt(const struct server *s, size_t recipient);
uint32_t server_notify(const struct server *s, size_t recipient);
/* From the body, at SERVER_ASKS_COMMIT. */
const char *server_message_id(const struct server *s); /* "" if none */
unsigned server_hops(const struct server *s); /* Received fields */
unsigned server_own_hops(const struct server *s); /* of these, ours */
const char *server_state(const struct server *s); /* for the log */

#endif
