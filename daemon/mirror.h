/* SPDX-License-Identifier: ISC */
/*
 * mirror - connects to our own listeners over TLS and looks at them as a strict
 * sender would: is the certificate for our hostname, by whom is it trusted, is
 * it in its time, is it revoked?
 *
 * When our own certificate fails its senders, nobody here sees an error; so it
 * is looked for.  At the start, soon after identities were renewed, and every
 * hour; one listener after the other, over the loopback or the address it is
 * bound to; nothing on the internet is needed.  The log hears of what has
 * changed since the last time.
 *
 * Our own connections are no clients: they don't count against any limit
 * (mirror_is_ours()).
 *
 * Thread: main; mirror_is_ours() any.
 */
#ifndef DAEMON_MIRROR_H
#define DAEMON_MIRROR_H

#include "daemon/relay.h"

struct event_base;
struct mirror;

enum mirror_outcome {
	MIRROR_UNSEEN,                   /* not looked at yet, or without TLS */
	MIRROR_FINE,
	MIRROR_PRIVATE,                  /* but for strangers, who don't know
					  * who issued it */
	MIRROR_FAULTY,                   /* a strict sender would not take it */
	MIRROR_FAILED,                   /* there is no TLS to be had */
	MIRROR_OUTCOMES
};
const char *mirror_outcome_word(enum mirror_outcome o);

struct mirror_conf {
	struct event_base *base;
	struct relay *relay;
	struct snapshot *(*snapshot)(void *arg); /* today's, borrowed */
	void *arg;
};

MUST_USE struct mirror *mirror_new(const struct mirror_conf *conf);
/* Looks at all of them after a moment, and every hour from then on. */
void mirror_look(struct mirror *m);
void mirror_free(struct mirror *m);      /* NULL is fine */

/* How a listener looks. */
struct reflection {
	enum mirror_outcome outcome;
	char   *text;                    /* owned, never NULL: why */
	struct tls_cert_info info;       /* all zero: none was shown */
	char    crl[16];                 /* "" not asked */
	int64_t seen_ms;                 /* wall */
};
/* As relay->listening; borrowed until the loop turns.  NULL: there are no
 * more.  m NULL: there are none. */
const struct reflection *mirror_reflection(const struct mirror *m, size_t i);

/* Is this accepted connection one of ours? */
bool mirror_is_ours(const struct relay *relay, int fd, const struct addr *peer);

/* ------- the pure part */

/* What was found wrong (enum tls_fault), by whom. */
struct mirror_facts {
	unsigned alone;                  /* whoever may trust it */
	bool     by_system;              /* the system's trust leads to it ... */
	unsigned system;                 /* ... and then this is wrong */
	bool     by_other;               /* another trust of ours does ... */
	unsigned other;                  /* ... and then this is wrong */
};
enum mirror_outcome mirror_judge(const struct mirror_facts *f);

#endif
