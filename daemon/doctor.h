/* SPDX-License-Identifier: ISC */
/*
 * doctor - examines a host as a delivery would reach it: every address of it,
 * from our own, under a route's policy, without MAIL.
 *
 * It uses what deliveries use (resolver, stream, smtp/client, tls/session,
 * daemon/terms, daemon/diagnose) and leaves no trace in the state of
 * destinations.  Exceptions are not applied: it tells how things are.
 *
 * Every step has a deadline, and so has the whole: it always comes back.
 *
 * Thread: doctor_send any; the rest the worker.
 */
#ifndef DAEMON_DOCTOR_H
#define DAEMON_DOCTOR_H

#include "daemon/finding.h"
#include "daemon/worker.h"

/* The asker fills the first part and keeps all of it alive until done.run, in
 * the thread of reply_to; then it has the findings. */
struct examination {
	struct snapshot *snapshot;       /* borrowed */
	const struct conf_route *route;  /* borrowed */
	struct host_port target;         /* borrowed */
	struct mailbox *reply_to;
	struct note     done;

	struct finding *findings;        /* owned; at least one */
	size_t          n;

	struct note     ask;             /* doctor's */
	struct doctor  *doctor;          /* doctor's */
	struct worker  *worker;          /* doctor's */
};
void doctor_send(struct examination *x, struct worker *w);
/* Frees the findings. */
void examination_release(struct examination *x);

/* The worker stops: all that is under way ends at once. */
void doctor_stop_all(struct worker *w);
unsigned doctor_count(const struct worker *w);

#endif
