/* SPDX-License-Identifier: ISC */
/*
 * server_state - the inside of a server, for server.c and verbs.c alone.
 *
 * Thread: the worker of its connection.
 */
#ifndef SMTP_SERVER_STATE_H
#define SMTP_SERVER_STATE_H

#include "smtp/address.h"
#include "smtp/envelope.h"
#include "smtp/incoming.h"
#include "smtp/server.h"

enum state {
	S_NEW,                           /* not greeted yet */
	S_HELLO,                         /* no EHLO or HELO heard */
	S_MAIL,
	S_RCPT,                          /* MAIL was accepted */
	S_BODY,
	S_ASKED,                         /* the shell has to answer `asked` */
	S_TLS,                           /* a handshake is due */
	S_CLOSED,
	STATES
};

struct server {
	struct server_conf conf;
	enum state state;
	enum server_wants asked;         /* in S_ASKED */
	bool in_tls;
	bool is_esmtp;
	bool swallows;                   /* the rest of a line too long */
	unsigned errors;
	char helo[DOMAIN_MAX + 1];
	struct envelope env;
	struct incoming incoming;
	struct buf out;
};

/* Each returns the state that follows. */

/* Says the reply to a command that is wrong or comes at the wrong time, counts
 * it, and ends the session at the limit. */
enum state server_complain(struct server *s, const char *reply);
/* The same for a command judged elsewhere. */
enum state server_complain_of(struct server *s, const struct err *e);
/* Leaves the decision to the shell. */
enum state server_ask(struct server *s, enum server_wants what);
/* Forgets the message; the session waits for the next MAIL. */
enum state server_end_transaction(struct server *s);

void server_say(struct server *s, const char *reply);
/* "250 2.0.0 " and the text, or Ok for NULL. */
void server_say_ok(struct server *s, const char *code, const char *text);

#endif
