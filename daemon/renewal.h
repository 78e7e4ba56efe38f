/* SPDX-License-Identifier: ISC */
/*
 * renewal - takes certificates, keys, authorities and secrets that changed on
 * disk while relayd runs.
 *
 * It never reads relayd.conf: a file that is being edited is no reason to act.
 * A credential that can't be used is refused, the one before it stays in use,
 * and renewal_refusal() says why until it is mended; then it is taken by
 * itself.
 *
 * What is taken is published as a snapshot of the same configuration: new
 * sessions use it, sessions in progress keep theirs, and destinations that
 * fail are probed at once, for their reason may be gone.
 *
 * Thread: main.
 */
#ifndef DAEMON_RENEWAL_H
#define DAEMON_RENEWAL_H

#include "daemon/snapshot.h"

struct event_base;
struct renewal;

struct renewal_conf {
	struct event_base *base;
	/* Takes over the reference of next; calls renewal_follow(). */
	void (*publish)(void *arg, struct snapshot *next);
	void *arg;
};

/* ST_TEMP: no descriptor for it. */
MUST_USE enum status renewal_new(struct renewal **out,
				 const struct renewal_conf *conf,
				 struct err *e);
void renewal_free(struct renewal *r); /* NULL is fine */

/* s is in force now.  What is remembered of refusals is dropped with another
 * configuration. Keeps a reference. */
void renewal_follow(struct renewal *r, struct snapshot *s);
/* Looks now, without waiting for a sign; as when a reload was refused. */
void renewal_look(struct renewal *r);

/* What the files hold and was refused; borrowed until the loop turns. */
struct refusal {
	bool is_trust; /* else an identity */
	const char *name;
	const char *problem;
	int64_t since_ms; /* wall */
};
/* The i-th of them; false: there are no more.  r NULL: nobody watches. */
bool renewal_refusal(const struct renewal *r, size_t i, struct refusal *out);

#endif
