/* SPDX-License-Identifier: ISC */
/*
 * explain - what holds a recipient right now.
 *
 * Everything that would have to pass before it goes is named, the first thing
 * first; when nothing holds it, that is said too.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_EXPLAIN_H
#define DAEMON_EXPLAIN_H

#include "daemon/view.h"

enum hold_kind {
	HOLD_FINAL,                      /* delivered, expired, failed */
	HOLD_HELD,                       /* by an operator */
	HOLD_ACTIVE,                     /* is being delivered */
	HOLD_NO_ROUTE,                   /* none matches today */
	HOLD_MOVING,                     /* routes changed: to another lane */
	HOLD_HOSTS,                      /* the MX are not known yet */
	HOLD_SUSPENDED,                  /* a destination, by an operator */
	HOLD_FAILING,                    /* a destination: until its probe */
	HOLD_SCHEDULE,                   /* until its next try */
	HOLD_PAUSE,                      /* the next hop asked to slow down */
	HOLD_CONNECTIONS,                /* as many as may be are open */
	HOLD_RAMP,                       /* the destination has just come up */
	HOLD_TURN,                       /* nothing: it goes in a moment */
	HOLD_KINDS
};
const char *hold_word(enum hold_kind k);

struct hold {
	enum hold_kind kind;
	const char *destination;         /* borrowed; NULL: none */
	enum cause  cause;               /* FAILING */
	int64_t     until_ms;            /* wall; 0: not known, or for good */
	const char *reason;              /* what was said of it; borrowed, or
					    NULL */
	unsigned    count, limit;        /* CONNECTIONS, RAMP */
};

enum { HOLDS_MAX = 32 };
/* How many it wrote: at least one. */
size_t explain(const struct view *v, uint64_t id, const struct recipient *r,
	       struct hold out[HOLDS_MAX]);
/* A line of `queue explain`. */
json_t *explain_view(const struct view *v, uint64_t id,
		     const struct recipient *r);

#endif
