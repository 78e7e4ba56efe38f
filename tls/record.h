/* SPDX-License-Identifier: ISC */
/*
 * record - the state of a session, and the struct transport over it.
 *
 * Thread: the worker of its connection.
 */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H

#include "tls/failure.h"
#include "tls/verify.h"

enum phase { PHASE_HANDSHAKE, PHASE_OPEN, PHASE_BROKEN };

struct session {
	struct transport       transport;
	gnutls_session_t       tls;      /* owned */
	enum failure_role      role;
	enum phase             phase;
	bool                   secured;  /* the handshake was finished */
	bool                   heard;    /* any data was read */
	size_t                 unsent;   /* length of a write that waits inside */
	struct tls_policy      policy;
	char                  *host;     /* owned; NULL: server */
	struct tls_identity   *identity; /* borrowed; client, may be NULL */
	struct tls_server_conf conf;     /* server */
	struct verify_result   result;
	enum cause             failure;
};

struct session *session_of(const struct transport *t);

extern const struct transport_ops record_ops;

#endif
