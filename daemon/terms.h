/* SPDX-License-Identifier: ISC */
/*
 * terms - a route's policy as smtp/client and tls/session take it: for mail
 * and for the doctor alike.
 *
 * Thread: any; pure.
 */
#ifndef DAEMON_TERMS_H
#define DAEMON_TERMS_H

#include "daemon/snapshot.h"
#include "smtp/client.h"

/* What the peer must prove; borrows from both.  A route of no configuration
 * has no trust of its own. */
struct tls_policy terms_tls(const struct snapshot *s,
			    const struct conf_route *route);
/* How to log in; borrows from both. */
void terms_auth(const struct conf_route *route, const struct secret *secret,
		struct client_conf *out);

#endif
