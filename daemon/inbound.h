/* SPDX-License-Identifier: ISC */
/*
 * inbound - one connection of a client: carries bytes between a stream and
 * smtp/server and answers what the machine asks.
 *
 * The body goes to the store in pieces while it arrives; reading stops while
 * too many of them are not yet durable, so memory stays bounded whatever the
 * size.  250 is said only when the writer has answered that all is durable.
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_INBOUND_H
#define DAEMON_INBOUND_H

#include "daemon/worker.h"

/* A client connected to listening; owns fd. */
void inbound_start(struct worker *w, struct listening *listening, int fd,
		   const struct addr *peer);
/* Tells every session to end: idle ones at once with 421, others when the
 * message in flight is answered. */
void inbound_stop_all(struct worker *w);
/* Cuts off what is left. Writes that are under way are waited for by the
 * store, not by the client. */
void inbound_abort_all(struct worker *w);
unsigned inbound_count(const struct worker *w);

#endif
