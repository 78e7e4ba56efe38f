/* SPDX-License-Identifier: ISC */
/*
 * listener - a listening socket, accepted from by every worker.
 *
 * The socket is bound once (or passed in by systemd); each worker accepts on
 * its own event_base with acceptor_new().  When descriptors run out, one kept
 * in reserve is used to take the connection and close it, so that a full
 * process does not spin; where even that is impossible it pauses.
 *
 * Thread: listener_bind main; acceptor_* the worker of the base.
 */
#ifndef NET_LISTENER_H
#define NET_LISTENER_H

#include "base/addr.h"
#include "base/err.h"

struct event_base;
struct acceptor;

/* Binds and listens (SO_REUSEADDR, IPV6_V6ONLY, a real backlog); *out_fd is
 * the caller's.  Port 0 binds a free one: *addr is updated. */
MUST_USE enum status listener_bind(int *out_fd, struct addr *addr,
				   struct err *e);
/* The descriptor among fds (passed by systemd) bound to addr, or -1. */
int listener_find(const int *fds, size_t n, const struct addr *addr);

/* fd is the callee's now. */
typedef void acceptor_seen(void *arg, int fd, const struct addr *peer);
/* Borrows fd. */
MUST_USE struct acceptor *acceptor_new(struct event_base *base, int fd,
				       acceptor_seen *seen, void *arg);
/* Also from its own callback. */
void acceptor_free(struct acceptor *a); /* NULL is fine */
/* Connections closed at once for want of a descriptor. */
uint64_t acceptor_turned_away(const struct acceptor *a);

#endif
