/* SPDX-License-Identifier: ISC */
/*
 * outbound_session - what the files of outbound share, and nobody else.
 *
 *	outbound.c          the life of a session; carries bytes to and from
 *	                    smtp/client
 *	outbound_resolve.c  the addresses of the destination
 *	outbound_connect.c  the way there: connect, TLS
 *	outbound_auth.c     what we log in with
 *	outbound_mail.c     one message after another over the connection
 *	outbound_body.c     the bytes of a message
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_OUTBOUND_SESSION_H
#define DAEMON_OUTBOUND_SESSION_H

#include "base/digest.h"
#include "daemon/delivery.h"
#include "daemon/worker.h"
#include "net/mx.h"
#include "net/stream.h"
#include "queue/message.h"

struct outbound {
	struct outbound *prev, *next;    /* of the worker */
	struct worker   *worker;
	struct delivery *delivery;       /* NULL: the dispatcher has it */

	/* The way. */
	struct wish   *wish;             /* for the secret */
	struct secret *secret;           /* until we are logged in; owned */
	struct lookup *lookup;
	struct mx_lookup *mx_lookup;
	char         **mx_hosts;         /* in place of the host; owned, NULL:
					    none */
	size_t         nmx_hosts, mx_at;
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
	const char    **orcpts;
	uint32_t       *notifies;
	size_t          nrecipients;
	uint32_t        underway;        /* its slot, or UNDERWAY_NONE */
	uint64_t        body_at;
	bool            header_sent;
	struct digest  *digest;
	int64_t         began_mono_ms;
	unsigned        messages;        /* answered on this connection */
	unsigned        mails;           /* transactions begun */
	size_t          taken_max;       /* recipients of one before "too
					    many"; 0: never heard */
	bool            quits;           /* the connection ends with QUIT */
	bool            body_given;      /* what is said next is the message */
	uint64_t        sent_bytes;      /* said in the present attempt */
};

/* outbound.c */
void outbound_talk(struct outbound *o);
/* The stream's events. */
void outbound_stream_seen(void *arg, enum stream_event event);
/* Says QUIT; jobs that are left go back.  o is over (freed). */
void outbound_quit(struct outbound *o);
/* Ends the connection of a machine that is ready, has failed or is closed:
 * with QUIT where one may be said (RFC 5321 4.1.1.10), and without waiting for
 * its answer, on which nothing depends. */
void outbound_hang_up(struct outbound *o);
/* Throws the delivery back: no job is left here. */
void outbound_park(struct outbound *o);
/* The connection is over: reports and frees o; the caller returns at once. */
void outbound_over(struct outbound *o);
/* Facts with what every failure of this session has in common. */
struct facts outbound_facts(const struct outbound *o, enum fact_kind kind);

/* For the transcript. */
void outbound_note_failure(struct outbound *o, const struct failure *f);

/* outbound_auth.c */
/* Begins: gets the secret, if the route has one, then resolves. */
void outbound_begin(struct outbound *o);
/* What the dialogue needs of it; borrowed until CLIENT_READY. */
void outbound_fill_auth(const struct outbound *o, struct client_conf *conf);
/* The machine failed at AUTH. */
void outbound_auth_failed(struct outbound *o);
/* We are in: nobody needs the secret any more.  Also at the end. */
void outbound_drop_secret(struct outbound *o);

/* outbound_resolve.c */
void outbound_resolve(struct outbound *o);
/* Looks up the next MX host; false: there is none. */
bool outbound_next_host(struct outbound *o);
/* The host whose addresses are tried. */
const char *outbound_host(const struct outbound *o);
/* The name that we ask for in TLS, and that the certificate must bear unless the
 * route says otherwise. */
const char *outbound_tls_name(const struct outbound *o);
/* At the end. */
void outbound_drop_hosts(struct outbound *o);

/* outbound_connect.c */
/* The one at o->at. */
void outbound_try_address(struct outbound *o);
/* What STREAM events mean before the connection is established. */
void outbound_connected(struct outbound *o);
void outbound_start_tls(struct outbound *o);
void outbound_secured(struct outbound *o);
/* This address can't be used; tries what is left, or reports. */
void outbound_address_failed(struct outbound *o, const struct failure *f);

/* outbound_mail.c */
/* The end of the message is about to be said: from here on nobody could know
 * what became of it if we ended. */
void outbound_say_underway(struct outbound *o);
/* Takes the next job, or reports idle when there is none. */
void outbound_next(struct outbound *o);
/* Every recipient has its answer. */
void outbound_settle(struct outbound *o);
/* The connection failed under an established session. */
void outbound_broke(struct outbound *o, const struct facts *facts);

/* outbound_body.c */
/* A new message. */
void outbound_start_body(struct outbound *o);
/* Gives one more piece of the body, or its end; false: o is over (freed). */
bool outbound_give_body(struct outbound *o);

#endif
