/* SPDX-License-Identifier: ISC */
/*
 * route - which lane a recipient queues in, and the destinations of a lane.
 *
 * A lane is all mail that may go to the same hosts under the same policy: a
 * route, or "route/domain" where MX decides.  A destination is one of these
 * hosts, written "route/host:port".
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_ROUTE_H
#define DAEMON_ROUTE_H

#include "conf/conf.h"

/* The domain of an address as it is compared with those of the configuration:
 * in lower case and A-labels; "" if it has none.  Owned by the caller. */
MUST_USE char *domain_of(const char *address);
/* The route of a recipient's address; NULL: none matches. */
const struct conf_route *route_for(const struct conf *conf,
				   const char *address);
/* Where a recipient waits; strings owned. */
struct place {
	char *lane;
	char *destination;               /* the first; "route/domain" where MX
					    decides and nobody has asked yet */
};
void place_init(struct place *p, const struct conf_route *route,
		const char *address);
void place_release(struct place *p);

/* "route/host:port", "route/[2001:db8::1]:25"; owned by the caller. */
MUST_USE char *destination_name(const struct conf_route *route,
				const struct host_port *host);
/* The route of a lane in conf; NULL: there is none of its name, or its kind
 * changed.  *domain: where MX decides, the part of the name that is asked for;
 * else NULL. */
const struct conf_route *lane_route(const struct conf *conf, const char *lane,
				    const char **domain);
/* Would mail that waits under `a` be treated otherwise under `b` (hosts, TLS
 * policy, identity)? */
bool route_policy_differs(const struct conf_route *a,
			  const struct conf_route *b);

#endif
