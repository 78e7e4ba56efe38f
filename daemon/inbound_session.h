/* SPDX-License-Identifier: ISC */
/*
 * inbound_session - what the files of inbound share, and nobody else.
 *
 *	inbound.c           the connection: stream, machine, policy, TLS
 *	inbound_message.c   the message on its way into the store
 *	inbound_proxy.c     the PROXY header before all else
 *	inbound_login.c     a password that is being judged
 *	inbound_limits.c    how much the client may do
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_INBOUND_SESSION_H
#define DAEMON_INBOUND_SESSION_H

#include "base/digest.h"
#include "daemon/inbound.h"
#include "net/proxy.h"
#include "net/stream.h"
#include "queue/message.h"
#include "smtp/server.h"

struct event;
struct login_question;

struct inbound {
	struct inbound *prev, *next;     /* of the worker */
	struct worker    *worker;
	struct listening *listening;
	struct snapshot  *snapshot;      /* owned reference */
	const struct conf_listener *listener;    /* of the snapshot */
	struct addr    peer;
	struct stream *stream;           /* NULL: the connection is gone */
	struct server *server;
	struct tls_identity **identities;        /* owned array */
	bool counted, counted_client;    /* against the limits */
	bool ours;                       /* daemon/mirror's: no client */
	bool shaking;                    /* in the TLS handshake */
	struct inbound_proxy *proxy;     /* owned; its header is waited for */
	struct login_question *login;    /* owned; its answer is waited for */
	bool stopping;
	bool over;                       /* only its writes are waited for */

	/* The transaction. */
	const struct conf_route **routes;        /* of accepted recipients */
	size_t nroutes;
	const struct conf_source *source;        /* of the last recipient */

	/* The message under way, from DATA to its answer. */
	struct message *message;         /* owned; NULL: none */
	struct digest  *digest;
	struct buf      piece;           /* not yet submitted */
	unsigned        pieces;          /* submitted, not yet durable */
	bool            stored;          /* the store has pieces of it */
	bool            whole;           /* its end has come */
	bool            failed;          /* a piece could not be stored */
	struct err      error;           /* why */
	bool            enqueueing;      /* submitted as a whole */
};

/* inbound.c */
void inbound_run(struct inbound *s);
/* The connection is over; s may be freed by it. */
void inbound_over(struct inbound *s);
/* The answer to the commit: refusal NULL is yes. s may be freed by it. */
void inbound_committed(struct inbound *s, const struct err *refusal,
		       const char *text);

/* The store has caught up; s may be freed by it. */
void inbound_caught_up(struct inbound *s);
/* The PROXY header was read, or none was expected: s->peer is the client.  s
 * may be freed by it. */
void inbound_welcome(struct inbound *s);
void inbound_log_refusal(const struct inbound *s, const char *what,
			 const struct err *e);

/* inbound_limits.c: each counts one more, or ST_TEMP and what to say. */
MUST_USE enum status inbound_count_connection(struct inbound *s, struct err *e);
/* When it is known who the client is: a connection of his. */
MUST_USE enum status inbound_count_client(struct inbound *s, struct err *e);
MUST_USE enum status inbound_count_mail(const struct inbound *s, struct err *e);
MUST_USE enum status inbound_count_recipient(const struct inbound *s,
					     struct err *e);
/* The connection is over. */
void inbound_uncount(struct inbound *s);

/* inbound_proxy.c */
/* Does this connection come from one of the listener's proxies? */
bool inbound_proxy_expected(const struct inbound *s);
/* Reads the header, then inbound_welcome() or inbound_over(). */
void inbound_proxy_begin(struct inbound *s);
/* It did not come, for this reason; inbound_over() is the caller's. */
void inbound_proxy_log(const struct inbound *s, const char *why);
void inbound_proxy_end(struct inbound *s);

/* inbound_login.c */
/* Asks whether the password is right; the answer runs the machine on. */
void inbound_login_ask(struct inbound *s);
/* Nobody waits for the answer any more. */
void inbound_login_drop(struct inbound *s);

/* inbound_message.c */
void inbound_message_init(struct inbound *s);
void inbound_message_begin(struct inbound *s);
void inbound_message_body(struct inbound *s, struct span bytes);
void inbound_message_commit(struct inbound *s);
/* The message will not come. */
void inbound_message_drop(struct inbound *s);
/* The store has to catch up before more can be read. */
bool inbound_message_must_wait(const struct inbound *s);
/* After the connection ended: drops what was begun; true when no write is
 * under way any more. */
bool inbound_message_idle(struct inbound *s);

#endif
