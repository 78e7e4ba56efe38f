/* SPDX-License-Identifier: ISC */
/*
 * settle - the only place where an outcome becomes delivered, deferred,
 * failed or expired.
 *
 * A settlement is one message's changes and events on their way to the
 * writer.  It outlives its maker: if the store can't take it, it is submitted
 * again until it can, because what was delivered must not be forgotten.
 *
 * What the sender is to be told of it (daemon/notice.h) goes in the same
 * transaction.  While the queue is too full for that, failures are deferred
 * instead: mail whose sender can't be told has not failed yet.
 *
 * Thread: any; each settlement is made by one thread.
 */
#ifndef DAEMON_SETTLE_H
#define DAEMON_SETTLE_H

#include "daemon/diagnose.h"
#include "daemon/relay.h"
#include "daemon/transcript.h"

struct settlement;

/* What every outcome of one attempt has in common; all borrowed until
 * settlement_submit(). */
struct attempt {
	const struct conf_queue *queue;  /* that of a struct conf, which says
					    how to reach the sender */
	const struct conf_route *route;
	const char *destination;
	const char *address;             /* "" when none was reached */
	const char *tls, *verified, *certificate;
	enum cause  clear_cause;         /* why opportunistic TLS went without */
	int64_t     began_mono_ms;
	uint64_t    bytes;               /* sent to the host */
	const struct transcript *transcript;     /* of a failure that was met on
					    the connection, or NULL */
	bool        attempted;           /* a host was reached out to */
	bool        has_dsn;             /* the host offers DSN: it was told
					    what the sender wants to hear */
};

MUST_USE struct settlement *settlement_new(struct relay *relay, uint64_t id,
					   const struct attempt *attempt);
void settlement_delivered(struct settlement *s, const struct recipient *r,
			  const struct reply *reply);
/* Defers or fails by failure->status; AT_DESTINATION failures wait for the
 * destination, others for the retry schedule. */
void settlement_failed(struct settlement *s, const struct recipient *r,
		       const struct failure *failure, bool uncertain);
/* What was said; only of a settlement with a failure.  Copied. */
void settlement_transcript(struct settlement *s, const struct transcript *t);
/* The last outcome, a deferral, is nobody's fault: the next try is due at once. */
void settlement_due_now(struct settlement *s);
/* Likewise for a recipient of a message that could not be loaded. */
void settlement_unloaded(struct settlement *s, uint32_t number,
			 const struct failure *failure);
void settlement_expired(struct settlement *s, const struct recipient *r);
/* Tells the sender, once, that r is late, if it is and the sender wants to
 * know; settlement_failed() does it of itself. */
void settlement_warned(struct settlement *s, const struct recipient *r);
void settlement_moved(struct settlement *s, const struct recipient *r,
		      const char *lane, const char *destination);
/* The attempt is under way in this slot (or UNDERWAY_NONE) until the
 * settlement is durable. */
void settlement_keep_underway(struct settlement *s, uint32_t slot);
/* Hands it to the writer; it frees itself when it is durable. */
void settlement_submit(struct settlement *s);
/* Before there is a writer: makes it durable here and now. */
MUST_USE enum status settlement_apply(struct settlement *s, struct err *e);

#endif
