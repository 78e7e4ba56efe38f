/* SPDX-License-Identifier: ISC */
/*
 * inbound_session - what the files of inbound share, and nobody else.
 *
 *	inbound.c           the connection: stream, machine, policy, TLS
 *	inbound_message.c   the message on its way into the store
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_INBOUND_SESSION_H
#define DAEMON_INBOUND_SESSION_H

#include "base/digest.h"
#include "daemon/inbound.h"
#include "net/stream.h"
#include "queue/message.h"
#include "smtp/server.h"

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
	bool shaking;                    /* in the TLS handshake */
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
