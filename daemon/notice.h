/* SPDX-License-Identifier: ISC */
/*
 * notice - decides who is told what of a message: failure, delay, relayed.
 *
 * Senders are told what they asked for (NOTIFY, RFC 3461 4.1; failure and
 * delay unless they asked).  Where nobody can be told, because the sender is
 * empty or there is no route to it, a failure goes to the postmaster instead;
 * what becomes of that notice nobody is told any more, so no mail ever breeds
 * mail without end.
 *
 * A notice is an ordinary message with the null sender.  It belongs in the
 * STORE_CHANGE whose outcome it tells of (struct store_bounce), so that both
 * happen or neither.
 *
 * Thread: any.  Reads the store: not inside a scan.
 */
#ifndef DAEMON_NOTICE_H
#define DAEMON_NOTICE_H

#include "conf/conf.h"
#include "queue/store.h"

/* An outcome of a recipient.  What it is about follows from event->kind:
 * failed and expired are failures, so is removed; deferred is a delay,
 * delivered was relayed to a next hop without DSN. */
struct notice_fact {
	const struct event *event;       /* borrowed */
	int64_t until_ms;                /* of a delay: it is tried until then */
};

struct notices {
	struct store_bounce *bounces;    /* owned, messages and bodies too */
	size_t n;
	bool  *told;                     /* owned; of each fact: does the sender
					    hear of it? */
};

/* Would the sender want to hear of such an event?  Whether it can be told is
 * another question. */
bool notice_is_wanted(const struct recipient *r, enum event_kind kind);
/* The notices that m's facts call for, often none; the caller releases them.
 * What should be told and can't be is logged. */
void notices_make(struct notices *out, struct store *store,
		  const struct conf *conf, const struct message *m,
		  const struct notice_fact *facts, size_t nfacts);
void notices_release(struct notices *n);
/* They are durable: logs them. */
void notices_log(const struct notices *n, uint64_t about_id);

#endif
