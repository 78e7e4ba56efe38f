/* SPDX-License-Identifier: ISC */
/*
 * pace - how fast a service may be spoken to, whatever its hosts are called.
 *
 * A next hop that says it is too busy (failure_is_throttle()) means all hosts
 * of its service and all routes there: another host of the same service would
 * say the same.  Then nothing is given to the service for a pause, which
 * doubles each time until mail goes well again, and afterwards to half as many
 * connections as there were; after as many messages as there may be
 * connections, there may be one more.
 *
 * There is a pace for every service with connections, or that has slowed us.
 *
 * Thread: dispatch; pure but for the clock's time, which is an argument.
 */
#ifndef DAEMON_PACE_H
#define DAEMON_PACE_H

#include <uthash.h>

#include "daemon/diagnose.h"

struct pace {
	char    *service;                /* owned; key of the hash */
	unsigned connections;            /* under way, of all lanes */
	unsigned limit;                  /* of them; 0: not slowed */
	unsigned successes;              /* since the limit was set */
	unsigned pauses;                 /* since it last went well */
	int64_t  pause_until_mono_ms;
	char     enhanced[16];           /* what it said last */
	char    *reply;                  /* owned, never NULL */
	UT_hash_handle hh;
};

/* The service of a host: a name of its own for those that are known to have
 * many host names, else the host in lower case and its port.  Owned by the caller. */
MUST_USE char *pace_service(const char *host, unsigned port);

MUST_USE struct pace *pace_new(const char *service);
void pace_free(struct pace *p);

/* It is too busy; unit_ms is the first pause of a service that is not known to
 * want a longer one.  False: that has been heard, it is pausing. */
bool pace_slow(struct pace *p, const struct failure *f, int64_t unit_ms,
	       int64_t mono_ms);
/* It took n messages, at most `max` connections are wanted. */
void pace_succeeded(struct pace *p, unsigned n, unsigned max);
/* By an operator: the pause is over; what was learnt of its limit stays. */
void pace_resume(struct pace *p);
bool pace_is_paused(const struct pace *p, int64_t mono_ms);
/* May one more connection be opened, may one there is be used? */
bool pace_may_open(const struct pace *p, int64_t mono_ms);
bool pace_may_use(const struct pace *p, int64_t mono_ms);
/* Nothing is known of it: it may be freed. */
bool pace_is_idle(const struct pace *p, int64_t mono_ms);
/* The failure that mail waiting for it is deferred with. */
void pace_failure(const struct pace *p, struct failure *out);

#endif
