/* SPDX-License-Identifier: ISC */
/*
 * outbound_session - what the files of outbound share, and nobody else.
 *
 *	outbound.c          the life of a session; carries bytes to and from
 *	                    smtp/client
 *	outbound_connect.c  the way to the destination: resolve, connect, TLS
 *	outbound_mail.c     one message after another over the connection
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_OUTBOUND_SESSION_H
#define DAEMON_OUTBOUND_SESSION_H

#include "base/digest.h"
#include "daemon/delivery.h"
#include "daemon/worker.h"
#include "net/stream.h"
#include "queue/message.h"

struct outbound {
	struct outbound *prev, *next;    /* of the worker */
	struct worker   *worker;
	struct delivery *delivery;       /* NULL: the dispatcher has it */

	/* The way. */
	struct lookup *lookup;
	struct addr   *addrs;            /* owned */
	size_t         naddrs, at;
	char          *peer;             /* "mx.example[192.0.2.1:25]"; owned */
	struct stream *stream;
	struct client *client;
	enum cause     clear_cause;      /* opportunistic: why not in TLS */
	bool           shaking;          /* in the TLS handshake */
	bool           established;      /* the policy was met, MAIL may come */
	bool           gone;             /* the connection ended while parked */
	bool           stopping;
	struct failure failure;          /* of the address that came furthest */
	unsigned       progress;         /* how far that was; 0: no failure */
	char           tls[64];          /* for the trace */
	char           verified[16];

	/* The message in hand. */
	struct job     *job;             /* NULL: none; owned */
	struct message *message;         /* owned */
	const struct recipient **recipients;     /* of message, as in the job */
	const char    **addresses;       /* the same, for the transaction */
	size_t          nrecipients;
	uint64_t        body_at;
	bool            header_sent;
	struct digest  *digest;
	int64_t         began_mono_ms;
	unsigned        messages;        /* answered on this connection */
};

/* outbound.c */
void outbound_talk(struct outbound *o);
/* The stream's events. */
void outbound_stream_seen(void *arg, enum stream_event event);
/* Throws the delivery back: no job is left here. */
void outbound_park(struct outbound *o);
/* The connection is over: reports and frees o; the caller returns at once. */
void outbound_over(struct outbound *o);
/* Facts with what every failure of this session has in common. */
struct facts outbound_facts(const struct outbound *o, enum fact_kind kind);

/* outbound_connect.c */
void outbound_resolve(struct outbound *o);
/* What STREAM events mean before the connection is established. */
void outbound_connected(struct outbound *o);
void outbound_start_tls(struct outbound *o);
void outbound_secured(struct outbound *o);
/* This address can't be used; tries what is left, or reports. */
void outbound_address_failed(struct outbound *o, const struct failure *f);

/* outbound_mail.c */
/* Takes the next job, or reports idle when there is none. */
void outbound_next(struct outbound *o);
/* Gives one more piece of the body, or its end; false: o is over (freed). */
bool outbound_give_body(struct outbound *o);
/* Every recipient has its answer. */
void outbound_settle(struct outbound *o);
/* The connection failed under an established session. */
void outbound_broke(struct outbound *o, const struct facts *facts);

#endif
