/* SPDX-License-Identifier: ISC */
/*
 * grace - a smart host that refuses our mail for good because of us (relaying
 * denied, whose tenant we are) speaks of a configuration that somebody can
 * mend: its refusals count only after queue.self_grace.
 *
 * Never where the MX decides: there a stranger's refusal is about the mail.
 *
 * Thread: any.
 */
#ifndef DAEMON_GRACE_H
#define DAEMON_GRACE_H

#include "daemon/diagnose.h"
#include "queue/store.h"

/* Is this failure of r, of message id, to be a deferral still? */
MUST_USE bool grace_holds(struct store *store, uint64_t id,
			  const struct recipient *r, const struct failure *f,
			  int64_t grace_ms);

#endif
