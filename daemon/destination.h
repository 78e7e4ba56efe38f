/* SPDX-License-Identifier: ISC */
/*
 * destination - one next hop under one policy: up, failing or suspended, and
 * how much may go there at once.
 *
 * A destination that fails is probed every queue.probe; when a probe (or a
 * message) meets the policy it is up again, and its ramp lets 1, 2, 4 ...
 * messages out at once.  A first contact begins with a ramp, too.
 *
 * Thread: dispatch; pure but for the clock's time, which is an argument.
 */
#ifndef DAEMON_DESTINATION_H
#define DAEMON_DESTINATION_H

#include "daemon/delivery.h"
#include "daemon/dispatch.h"
#include "queue/schedule.h"

struct destination {
	char *name;                      /* owned */
	const struct conf_route *route;  /* of the dispatcher's snapshot */
	struct host_port host;           /* its string owned */
	enum destination_state state;
	enum cause cause;                /* why it is not up */
	char       enhanced[16];         /* "4.7.5"; "" after a restart */
	char      *reply;                /* owned, never NULL */
	int64_t    lists_since_mono_ms;  /* waits for a list; 0: it does not */
	char      *crl;                  /* what lists say of its certificate, in
					    words; owned, "": not heard yet */
	int64_t    since_wall_ms;        /* in this state; 0: since the start */
	int64_t    next_probe_mono_ms;   /* INT64_MAX: none is planned */
	int64_t    pause_until_mono_ms;  /* opens no connection before */
	bool       alarmed;              /* somebody was told that it fails */
	bool       probing;
	bool       probe_asked;          /* by an operator: mail or no mail */
	unsigned   connections;          /* deliveries under way, with probes */
	unsigned   in_flight;            /* messages given out */
	struct ramp ramp;
	int64_t    until_wall_ms;        /* of a suspension; 0: without end */
	char      *reason;               /* of it; owned, never NULL */
};

MUST_USE struct destination *destination_new(const struct conf_route *route,
					     const struct host_port *host);
void destination_free(struct destination *d);    /* NULL is fine */

/* The failure condemns it.  True when it was up until now. */
bool destination_fails(struct destination *d, const struct failure *f,
		       int64_t probe_ms, int64_t mono_ms, int64_t wall_ms);
/* It was reached under its policy.  True when it was failing. */
bool destination_recovers(struct destination *d, int64_t wall_ms);
/* As if nothing were known of it: the next message tries it. Suspended stays
 * suspended. */
void destination_forget(struct destination *d, int64_t wall_ms);
/* By an operator, until until_wall_ms or, if that is 0, for good. */
void destination_suspend(struct destination *d, int64_t until_wall_ms,
			 const char *reason, int64_t wall_ms);
/* False: it was not suspended.  Then as if nothing were known of it. */
bool destination_resume(struct destination *d, int64_t wall_ms);
/* What the store remembers of it. */
void destination_recall(struct destination *d,
			const struct destination_record *r, int64_t mono_ms);
/* A copy for the store. */
void destination_to_record(const struct destination *d,
			   struct destination_record *out);
/* How many more messages may be given out to it now. */
unsigned destination_room(const struct destination *d, int64_t mono_ms);
/* The failure that mail waiting for it is deferred with. */
void destination_failure(const struct destination *d, struct failure *out);
/* All but its lane. */
void destination_view(const struct destination *d, int64_t mono_ms,
		      int64_t wall_ms, struct destination_view *out);

#endif
