/* SPDX-License-Identifier: ISC */
/*
 * difference - which mail would be routed, secured or expire differently
 * under another configuration.
 *
 * Recipients are counted by the route they have now and the one that they
 * would have, and by what happens to their expiry.  So memory is bounded by
 * the number of routes, however long the queue is.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_DIFFERENCE_H
#define DAEMON_DIFFERENCE_H

#include "conf/conf.h"
#include "queue/message.h"

enum expiry_change {
	EXPIRY_SAME,
	EXPIRY_EARLIER,
	EXPIRY_LATER,
	EXPIRY_NOW,                      /* it would be over at once */
};
const char *expiry_change_word(enum expiry_change e);

struct difference {
	const struct conf_route *from, *to;      /* NULL: no route */
	enum expiry_change expiry;
	bool differs;                    /* false: all stays as it is */
	uint64_t messages, recipients;
	uint64_t last_id;                /* counted last among messages */
};

/* One of these per pair of routes and change of expiry. */
struct differences {
	const struct conf *now, *next;   /* borrowed */
	struct difference *at;           /* owned */
	size_t n;
	uint64_t messages;               /* seen */
};
void differences_init(struct differences *d, const struct conf *now,
		      const struct conf *next);
void differences_release(struct differences *d);
/* Counts the recipients of m that are not final; messages come one after the
 * other. */
void differences_see(struct differences *d, const struct message *m,
		     int64_t now_ms);

/* The hosts of a route, "mx" or "a:25, b:25"; "" for NULL.  Owned by the
 * caller. */
MUST_USE char *route_hosts_text(const struct conf_route *r);
/* How it is secured: TLS, what is verified and by which trust, what we show and
 * how we log in; no secret.  Two routes with the same text are equal in that.
 * "" for NULL.  Owned by the caller. */
MUST_USE char *route_security_text(const struct conf_route *r);

#endif
