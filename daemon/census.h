/* SPDX-License-Identifier: ISC */
/*
 * census - the queue counted by state, cause and destination, with what is
 * being delivered right now shown as `active`.
 *
 * The store's counters know no `active`; the few messages in the dispatcher's
 * hands are looked up and moved to groups of that state.  A message whose
 * recipients are in several groups counts in each.
 *
 * Thread: any.
 */
#ifndef DAEMON_CENSUS_H
#define DAEMON_CENSUS_H

#include "daemon/filter.h"
#include "queue/store.h"

struct census {
	struct group *groups;            /* owned; state may be STATE_ACTIVE */
	size_t n;
};

/* active is in order of ids. */
MUST_USE enum status census_take(struct store *store, const struct due *active,
				 size_t nactive, struct census *out,
				 struct err *e);
void census_release(struct census *census);

#endif
