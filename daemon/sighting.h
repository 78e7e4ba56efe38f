/* SPDX-License-Identifier: ISC */
/*
 * sighting - tells the main thread which certificate was shown in a handshake,
 * whether that succeeded or not.
 *
 * At most SIGHTINGS_MAX are under way; what is too much is not told: the next
 * handshake shows it again.
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_SIGHTING_H
#define DAEMON_SIGHTING_H

#include "daemon/delivery.h"
#include "daemon/relay.h"

enum { SIGHTINGS_MAX = 256 };

/* Of the peer of a delivery, over its transport. */
void sighting_of_peer(struct relay *relay, const struct delivery *d,
		      const struct transport *tls);
/* Of a client of a listener. */
void sighting_of_client(struct relay *relay, const struct conf_listener *l,
			const struct addr *client, const struct transport *tls);

#endif
