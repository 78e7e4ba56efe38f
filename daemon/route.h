/* SPDX-License-Identifier: ISC */
/*
 * route - which lane a recipient queues in, and the destinations of a lane.
 *
 * A lane is all mail that may go to the same hosts under the same policy: a
 * route.  A destination is one of these hosts, written "route/host:port".
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_ROUTE_H
#define DAEMON_ROUTE_H

#include "conf/conf.h"

/* The route of a recipient's address; NULL: none matches. */
const struct conf_route *route_for(const struct conf *conf,
				   const char *address);
/* "route/host:port", "route/[2001:db8::1]:25"; owned by the caller. */
MUST_USE char *destination_name(const struct conf_route *route,
				const struct host_port *host);
/* The lane of a route: today its name. */
const char *lane_name(const struct conf_route *route);
/* Would mail that waits under `a` be treated otherwise under `b` (hosts, TLS
 * policy, identity)? */
bool route_policy_differs(const struct conf_route *a,
			  const struct conf_route *b);

#endif
