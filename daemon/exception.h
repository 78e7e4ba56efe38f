/* SPDX-License-Identifier: ISC */
/*
 * exception - what an operator lets a destination get away with, for a time.
 *
 * There is one for a destination at the most.  It never changes; whoever
 * delivers under it holds a reference, and asks again before each message: it
 * may have ended meanwhile, by its time or by an operator.
 *
 * Thread: any; ref, unref, end and the question are atomic.
 */
#ifndef DAEMON_EXCEPTION_H
#define DAEMON_EXCEPTION_H

#include <jansson.h>

#include "conf/conf.h"
#include "queue/store.h"
#include "tls/session.h"

/* What is allowed: the faults of enum tls_forgive, and this. */
enum { EXCEPTION_CLEAR = 1 << 16 };

enum { EXCEPTION_REASON_MAX = 500 };
#define EXCEPTION_MAX_MS (30LL * 24 * 3600 * 1000)

struct exception {
	char    *destination;            /* "route/host:port"; owned */
	unsigned allow;
	bool     pinned;                 /* what is forgiven, only for ... */
	uint8_t  pin[32];                /* ... this key (SHA-256 of the SPKI) */
	int64_t  added_ms, until_ms;     /* wall */
	char    *reason, *actor;         /* owned */
	_Atomic bool ended;
	_Atomic unsigned refs;
};

/* From a request: {"destination", "allow": [words], "pin", "until": "24h",
 * "reason"}.  NULL: *e says what is wrong with the request (ST_PERM), or that
 * it is refused (ST_TEMP). */
MUST_USE struct exception *exception_ask(const json_t *request,
					 const struct conf *conf,
					 const char *actor, int64_t wall_ms,
					 struct err *e);
/* From the store; NULL: it is none. */
MUST_USE struct exception *exception_read(const char *json);
struct exception *exception_ref(struct exception *x);    /* NULL is fine */
void exception_unref(struct exception *x);               /* NULL is fine */

/* What is shown of it and kept in the store. */
json_t *exception_show(const struct exception *x);
/* All that are in the store, an owned array of owned references; NULL: *e says
 * why not. */
MUST_USE struct exception **exception_load(struct store *store, size_t *n,
					   struct err *e);
/* Appends all that are in the store to the list; those whose time is over
 * are left out. */
MUST_USE enum status exception_list(struct store *store, int64_t wall_ms,
				    json_t *list, struct err *e);

/* The one of this destination, owned by the caller.  ST_PERM: there is none,
 * or its time is over. */
MUST_USE enum status exception_find(struct store *store,
				    const char *destination,
				    struct exception **out, struct err *e);

/* The route that a destination's name begins with; NULL: none of today. */
const struct conf_route *exception_route(const struct conf *conf,
					 const char *destination);

void exception_end(struct exception *x);
/* False for NULL, too. */
bool exception_holds(const struct exception *x, int64_t wall_ms);
/* It is there, and clear text is allowed where TLS is not to be had. */
bool exception_is_clear(const struct exception *x);
/* Adds what is forgiven to a policy; NULL: nothing. */
void exception_forgive(const struct exception *x, struct tls_policy *policy);

#endif
