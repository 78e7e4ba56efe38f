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
#include "smtp/sasl.h"
#include "smtp/server.h"

enum state {
	S_NEW,                           /* not greeted yet */
	S_HELLO,                         /* no EHLO or HELO heard */
	S_MAIL,
	S_RCPT,                          /* MAIL was accepted */
	S_BODY,
	S_CHUNK,                         /* in a chunk of BDAT */
	S_CHUNKS,                        /* between two of them */
	S_AUTH,                          /* the next line answers a challenge */
	S_ASKED,                         /* the shell has to answer `asked` */
	S_TLS,                           /* a handshake is due */
	S_CLOSED,
	STATES
};

/* A BDAT that was heard, and the message it belongs to. */
struct chunk {
	uint64_t bytes, left;
	enum state before;               /* when it was announced */
	bool is_last;
	bool in_message;                 /* a message is coming in chunks */
	bool failed;                     /* it was refused; what the client has
					    said of it since is no error */
	const char *complaint;           /* to say behind it; or NULL */
	struct err refusal;              /* of the shell; ST_OK: none */
};

struct server {
	struct server_conf conf;
	enum state state;
	enum server_wants asked;         /* in S_ASKED */
	bool in_tls;
	bool is_esmtp;
	bool swallows;                   /* the rest of a line too long */
	bool swallows_login;             /* which began with AUTH */
	bool body_begun;                 /* the shell took it to hand */
	bool drops_due;
	unsigned errors;
	unsigned mails;                  /* transactions begun */
	unsigned failed_logins;
	struct chunk chunk;
	struct sasl sasl;
	char *user;                      /* owned; logged in, or NULL */
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
/* Forgets the message, and has the shell drop it if it was begun; the session
 * waits for the next MAIL. */
enum state server_end_transaction(struct server *s);

void server_say(struct server *s, const char *reply);
/* "250 2.0.0 " and the text, or Ok for NULL. */
void server_say_ok(struct server *s, const char *code, const char *text);

#endif
