/* SPDX-License-Identifier: ISC */
/*
 * worker - a thread with an event loop, its sessions in both directions and
 * what they share.
 *
 * worker_new() makes all but the thread, so that every worker can be named in
 * struct relay before anything runs.  The end: dispatch_stop(), which throws
 * the last deliveries; worker_stop(); worker_join(); dispatch_join(), as the
 * dispatcher may still have words for a worker; worker_free().
 *
 * Thread: worker_new, _run, _publish, _stop, _join and _free main; the fields
 *         the worker itself.
 */
#ifndef DAEMON_WORKER_H
#define DAEMON_WORKER_H

#include "base/mailbox.h"
#include "daemon/relay.h"
#include "net/listener.h"
#include "net/resolver.h"

struct event_base;
struct inbound;
struct outbound;
struct doctor;

struct worker {
	struct relay *relay;
	unsigned number;
	struct event_base *base;
	struct mailbox *mail;
	struct resolver *resolver;
	struct snapshot *snapshot; /* today's; sessions keep their own */
	struct acceptor **acceptors; /* as relay->listening */
	struct inbound *inbounds; /* list head, by inbound.c */
	struct outbound *outbounds; /* list head, by outbound.c */
	struct doctor *doctors; /* list head, by doctor.c */
	bool stopping;
	int64_t stop_by_mono_ms; /* sessions end by then */
	struct worker_thread *thread; /* worker.c's */
};

MUST_USE enum status worker_new(struct worker **out, struct relay *relay,
				unsigned number, struct snapshot *snapshot,
				struct err *e);
/* Starts its thread: it accepts from now on. */
MUST_USE enum status worker_run(struct worker *w, struct err *e);
/* New sessions use this one from now on; takes its own reference. */
void worker_publish(struct worker *w, struct snapshot *snapshot);
/* Forgets cached DNS answers. Any thread. */
void worker_forget_dns(struct worker *w);
/* Once: stops accepting at once; sessions finish what is in flight, and are
 * cut off after within_ms.  When the last one has ended the thread ends, and
 * posts `drained` to relay->main_mail unless it is NULL. */
void worker_stop(struct worker *w, int64_t within_ms, struct note *drained);
/* After worker_stop(): waits for its thread to end.  NULL is fine. */
void worker_join(struct worker *w);
/* When nobody can have words for it any more.  NULL is fine. */
void worker_free(struct worker *w);
/* A session ended: a stopping worker looks whether it was the last one.  The
 * worker's thread. */
void worker_session_ended(struct worker *w);
/* Milliseconds since the worker's loop last turned; for the watchdog. Any
 * thread. */
int64_t worker_silent_ms(const struct worker *w);

#endif
