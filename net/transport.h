/* SPDX-License-Identifier: ISC */
/*
 * transport - what a stream needs to move bytes over a connected socket.
 *
 * net/ has one for the bare socket; tls/session has one over GnuTLS.  All
 * calls are non-blocking.
 *
 * Thread: the worker of the connection.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <sys/types.h>

#include "base/err.h"

enum transport_result {
	TRANSPORT_OK,
	TRANSPORT_WANTS_READ, /* again when the socket is readable */
	TRANSPORT_WANTS_WRITE, /* again when the socket is writable */
	TRANSPORT_EOF, /* the peer closed in order */
	TRANSPORT_FAILED, /* *e says why */
};

struct transport {
	const struct transport_ops *ops;
};

struct transport_ops {
	/* NULL: nothing to shake.  TRANSPORT_FAILED ends the connection. */
	enum transport_result (*handshake)(struct transport *, struct err *e);
	/* TRANSPORT_OK: *n > 0 bytes were moved.  A write that wants is tried
	 * again with the same bytes in front, perhaps at another place in
	 * memory and with more behind them. */
	enum transport_result (*read)(struct transport *, char *at, size_t max,
				      size_t *n, struct err *e);
	enum transport_result (*write)(struct transport *, const char *at,
				       size_t len, size_t *n, struct err *e);
	/* Bytes that were read from the socket and wait inside. */
	size_t (*pending)(const struct transport *);
	/* Says goodbye as well as it can without waiting (close_notify). */
	void (*shutdown)(struct transport *);
	void (*free)(struct transport *);
};

#endif
