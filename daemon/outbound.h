/* SPDX-License-Identifier: ISC */
/*
 * outbound - one connection to a destination: resolves, connects, secures,
 * carries bytes between a stream and smtp/client, and settles each message.
 *
 * It decides nothing: daemon/diagnose names the failure, daemon/settle the
 * consequence, daemon/dispatch what comes next.
 *
 * Thread: the worker of the connection.
 */
#ifndef DAEMON_OUTBOUND_H
#define DAEMON_OUTBOUND_H

#include "daemon/delivery.h"
#include "daemon/worker.h"

/* Throws d to its worker: for the first time, with more jobs, or with none.
 * Any thread. */
void outbound_throw(struct delivery *d);
/* Messages in flight are finished, then every session quits. */
void outbound_stop_all(struct worker *w);
/* Cuts off what is left; what was not settled stays due in the store. */
void outbound_abort_all(struct worker *w);
unsigned outbound_count(const struct worker *w);

#endif
