/* SPDX-License-Identifier: ISC */
/*
 * socket - a stream socket: how it is connected, and its bare transport.
 *
 * Nothing here waits.
 *
 * Thread: the worker of the connection.
 */
#ifndef NET_SOCKET_H
#define NET_SOCKET_H

#include "base/addr.h"
#include "net/transport.h"

/* Starts to connect; source NULL: any local address.  *out_fd is the caller's,
 * becomes writable when it is settled, and socket_connected() tells how.
 * ST_TEMP with errno in e->os when it failed at once. */
MUST_USE enum status socket_connect(int *out_fd, const struct addr *to,
				    const struct addr *source, struct err *e);
/* TRANSPORT_WANTS_WRITE: not settled yet. */
MUST_USE enum transport_result socket_connected(int fd, const struct addr *to,
						struct err *e);
/* Makes fd non-blocking and turns Nagle's delay off. */
void socket_prepare(int fd);
/* Zeroes what is no IP address, or not known any more. */
void socket_names(int fd, struct addr *local, struct addr *peer);
/* Reads a bounded lot and throws it away.  False: no more will come. */
bool socket_discard(int fd);

/* The bytes as they are.  Embedded in the socket's owner; free() is idle. */
struct socket_transport {
	struct transport transport;
	int fd; /* borrowed */
};
void socket_transport_init(struct socket_transport *t, int fd);

#endif
