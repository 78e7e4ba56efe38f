/* SPDX-License-Identifier: ISC */
/*
 * sockets - the listening sockets of all listeners: those that systemd passed
 * in, and for the rest new ones.
 *
 * Thread: main.
 */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include "daemon/relay.h"

/* Fills relay->listening.  A passed socket whose address no listener has is
 * closed with a warning.  ST_TEMP: an address can't be bound; nothing is left
 * open. */
MUST_USE enum status sockets_open(struct relay *relay, const struct conf *conf,
				  struct err *e);
/* For a stop: who connects from now on is refused at once and can try the
 * next relay.  What systemd holds is left to our successor. */
void sockets_refuse(struct relay *relay);
void sockets_close(struct relay *relay);

#endif
