/* SPDX-License-Identifier: ISC */
/*
 * message - a message in the queue, its recipients, and what may happen to
 * them.
 *
 * Everything here is a plain value and pure: the states of a recipient and
 * the changes between them are decided in recipient_change(), whatever store
 * keeps them.
 *
 * Units: _ms wall-clock milliseconds since 1970.
 */
#ifndef QUEUE_MESSAGE_H
#define QUEUE_MESSAGE_H

#include "base/bytes.h"
#include "base/cause.h"

/* `active` is not among them: it is known to the dispatcher only, so that a
 * crash leaves nothing locked.  Stored as numbers: add at the end only. */
enum rcpt_state {
	RCPT_QUEUED, /* waits for its turn */
	RCPT_DEFERRED, /* failed for now */
	RCPT_HELD, /* by an operator */
	RCPT_DELIVERED, /* the final ones */
	RCPT_EXPIRED,
	RCPT_FAILED,
	RCPT_STATES
};

const char *rcpt_state_word(enum rcpt_state s);
MUST_USE bool rcpt_state_parse(const char *word, enum rcpt_state *out);
static inline bool rcpt_state_is_final(enum rcpt_state s)
{
	return s == RCPT_DELIVERED || s == RCPT_EXPIRED || s == RCPT_FAILED;
}

/* What a recipient that is queued or deferred waits for. */
enum rcpt_wait {
	WAIT_TIME, /* for due_ms */
	WAIT_DESTINATION, /* for its destination to come up */
};

struct recipient {
	uint32_t number; /* in its message, from 0 */
	enum rcpt_state state;
	enum rcpt_wait wait;
	enum cause cause; /* of the last deferral or failure */
	uint32_t attempts; /* that reached out to a host */
	uint32_t notify; /* RFC 3461 NOTIFY, 0: not given */
	bool uncertain; /* an attempt broke after the final dot */
	bool told; /* the sender was told of failure */
	bool warned; /* ... of delay */
	int64_t due_ms; /* earliest next try */
	int64_t since_ms; /* in this state */
	int64_t fresh_ms; /* the lifetime counts from here */
	int64_t held_clock_ms; /* by so much expiry was put off */
	int64_t clock_since_ms; /* the clock stands still since; 0: runs */
	char *address; /* all owned, never NULL */
	char *orcpt; /* RFC 3461, "" if none */
	char *lane; /* what it queues in: a route's name, or
					    "route/domain" where MX decides */
	char *destination; /* last tried or waited for, "" if none */
	char *reply; /* the peer's words, "" if none */
};

enum { REPLY_KEPT_MAX = 1024 }; /* bytes of a reply that are kept */

void recipient_init(struct recipient *r); /* queued, strings "" */
void recipient_release(struct recipient *r);
void recipient_copy(struct recipient *to, const struct recipient *from);

struct message {
	uint64_t id;
	int64_t received_ms;
	uint64_t bytes; /* of the body, without our trace field */
	uint64_t checksum; /* XXH3-64 of the body */
	bool has_8bit;
	bool smtputf8;
	bool bare_newlines;              /* came by BDAT with bare CR or LF: may
					    leave by BDAT only */
	char *sender; /* "" is <>; all owned, never NULL */
	char *trace_field; /* our Received:, goes out on top */
	char *message_id; /* without < >, "" if none */
	char *listener, *source; /* where it came in */
	char *client; /* "192.0.2.1:4711" */
	char *helo;
	char *tls; /* "TLS1.3", "" in clear text */
	char *envid, *ret; /* RFC 3461 */
	struct recipient *recipients; /* owned, by number */
	size_t nrecipients;
};

struct message *message_new(void);
void message_free(struct message *m); /* NULL is fine */
struct message *message_copy(const struct message *m);
/* Adds a recipient in the state queued, due at once; strings are copied.  The
 * result is valid until the next addition. */
struct recipient *message_add(struct message *m, const char *address,
			      const char *lane, const char *destination);
/* Moves r to the end of m's recipients; r is empty afterwards. */
void message_adopt(struct message *m, struct recipient *r);
/* The recipient of this number, or NULL. */
struct recipient *message_recipient(const struct message *m, uint32_t number);
/* The least final state of its recipients: queued, deferred, held, then what
 * can be resubmitted (expired, failed), then delivered; RCPT_STATES, whose
 * word is "removed", when none is left. */
enum rcpt_state message_state(const struct message *m);

/* ------- what may happen to a recipient */

enum change_kind {
	CHANGE_DELIVERED,
	CHANGE_DEFERRED,
	CHANGE_FAILED,
	CHANGE_EXPIRED,
	CHANGE_HOLD, /* operators' from here */
	CHANGE_RELEASE,
	CHANGE_RESUBMIT,
	CHANGE_REMOVE, /* the recipient is gone, counted */
	CHANGE_MOVE, /* to another lane: routes changed */
	CHANGE_EXTEND, /* expires later, by by_ms */
	CHANGE_TOLD, /* nothing but told and warned */
	CHANGE_DISCARD, /* removed, but kept as failed for a while */
	CHANGE_KINDS
};
const char *change_word(enum change_kind k);

enum { ALL_RECIPIENTS = UINT32_MAX };

struct change {
	enum change_kind kind;
	uint32_t number; /* or ALL_RECIPIENTS that it applies to */
	enum cause cause;
	enum rcpt_wait wait;
	int64_t due_ms; /* operators' may say 0: now */
	int64_t by_ms; /* EXTEND */
	bool attempted; /* count an attempt */
	bool uncertain;
	bool unsettled; /* applies to no final one, whatever its kind */
	bool stop_clock; /* expiry is put off (hold_clock) */
	bool told, warned; /* set, by any kind of change */
	const char *lane; /* NULL: stays; strings borrowed */
	const char *destination; /* NULL: stays */
	const char *reply; /* NULL: stays */
};

/*
 * Applies c to r at now_ms; false if it does not apply in r's state, and r is
 * unchanged.
 *
 * - An outcome (delivered, deferred, failed, expired) never applies to a
 *   final recipient; deferred leaves a held one held, but counts the attempt.
 * - Hold applies to queued and deferred ones, release to held ones, move
 *   (needs another lane) and extend to all that are not final, told to all.
 * - Told with `warned` applies once, to one that is not final.
 * - Resubmit and remove apply in every state, but to a delivered one only
 *   when it is named by its number: "all" never sends a second copy; nor
 *   does one that was chosen while it waited (`unsettled`).  One
 *   whose address was lost to a damaged disk cannot be resubmitted.
 *   CHANGE_REMOVE changes nothing here; the store drops the row.
 * - Discard applies to all that are not final: they are failed, with cause
 *   held, until they are trimmed or resubmitted.  An attempt that was under way
 *   still delivers them.
 */
bool recipient_change(struct recipient *r, const struct change *c,
		      int64_t now_ms);

/* An operator removed it: it is kept like a failed one. */
bool recipient_is_discarded(const struct recipient *r);

/* When r expires under today's lifetime and hold_clock; the clock of a
 * stopped one stands still up to hold_clock_ms. */
int64_t recipient_expires_ms(const struct recipient *r, int64_t lifetime_ms,
			     int64_t hold_clock_ms, int64_t now_ms);

/* ------- history */

enum event_kind {
	EVENT_RECEIVED,
	EVENT_DELIVERED,
	EVENT_DEFERRED,
	EVENT_FAILED,
	EVENT_EXPIRED,
	EVENT_HELD,
	EVENT_RELEASED,
	EVENT_RESUBMITTED,
	EVENT_REMOVED,
	EVENT_MOVED,
	EVENT_EXTENDED,
	EVENT_KINDS
};
const char *event_word(enum event_kind k);

/* One line of `relayctl trace`.  Strings owned, never NULL ("" if unknown). */
struct event {
	enum event_kind kind;
	int64_t time_ms;
	uint32_t number; /* of the recipient, or ALL_RECIPIENTS */
	enum cause cause;
	bool attempted, uncertain;
	int64_t duration_ms;
	uint64_t bytes; /* sent to the host in this attempt */
	char *route, *destination, *address; /* address: "192.0.2.1:25" */
	/* (of a recipient who is purged: the mail address) */
	char *tls, *verified, *certificate;
	char *status; /* "2.0.0" */
	char *reply;
	char *actor; /* an operator: "uid 1000" */
};
void event_init(struct event *ev); /* strings "", of ALL_RECIPIENTS */
void event_release(struct event *ev);
void event_copy(struct event *to, const struct event *from);

#endif
