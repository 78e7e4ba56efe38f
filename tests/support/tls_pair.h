/* SPDX-License-Identifier: ISC */
/*
 * tls_pair - two TLS sessions joined by a socket pair, driven in turns, and a
 * plain GnuTLS peer that can be told to behave as ours never would.
 */
#ifndef TESTS_SUPPORT_TLS_PAIR_H
#define TESTS_SUPPORT_TLS_PAIR_H

#include <gnutls/gnutls.h>

#include "net/transport.h"
#include "tls/creds.h"

struct tls_side {
	int                   fd;        /* owned, non-blocking; -1: closed */
	struct transport     *t;         /* owned */
	enum transport_result result;    /* of the handshake */
	struct err            e;
};

struct tls_pair {
	struct tls_side client, server;
};

/* Makes the sockets; the transports are put in by the caller. */
void tls_pair_open(struct tls_pair *p);
/* Over TCP; a side that hangs up resets the connection. */
void tls_pair_open_rude(struct tls_pair *p);
void tls_pair_close(struct tls_pair *p);
/* Both shake hands until both are done; one that failed hangs up. */
void tls_pair_shake(struct tls_pair *p);
void tls_side_hang_up(struct tls_side *s);
/* Writes all of it and reads it on the other side: false when that fails. */
MUST_USE bool tls_pair_carries(struct tls_side *from, struct tls_side *to,
			       const char *text);

/* What certs_make() made.  They abort on a failure. */
MUST_USE struct tls_identity *tls_pair_identity(const char *dir,
						const char *name);
MUST_USE struct tls_trust *tls_pair_trust(const char *dir, const char *name,
					  const char *min_tls);

struct raw_conf {
	const char                  *priority;
	const char                  *host;       /* client: SNI, may be NULL */
	const char                  *dir, *name; /* of certs_make(); NULL: none */
	gnutls_certificate_request_t ask;        /* server */
	enum { RAW_CLIENT, RAW_SERVER, RAW_SERVER_WITH_TICKETS } kind;
};

/* Accepts any certificate. */
MUST_USE struct transport *raw_new(int fd, const struct raw_conf *conf);
gnutls_session_t raw_session(struct transport *t);
/* NewSessionTicket messages that came in. */
unsigned raw_tickets(struct transport *t);

#endif
