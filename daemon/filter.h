/* SPDX-License-Identifier: ISC */
/*
 * filter - which mail a list or a verb speaks of: FILTER of relayctl(8).
 *
 * The parts combine with *and*; a part that was not given holds for all mail.
 * Patterns are shell globs without regard to case, and also match a text that
 * equals them, so that "[192.0.2.1]" can be written as it is.
 *
 * A recipient's state as users see it is its stored one, or `active` while
 * the dispatcher has it in hand: enum rcpt_state with STATE_ACTIVE on top.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_FILTER_H
#define DAEMON_FILTER_H

#include "base/err.h"
#include "queue/message.h"

#define STATE_ACTIVE RCPT_STATES
enum { SHOWN_STATES = RCPT_STATES + 1 };

const char *shown_state_word(enum rcpt_state s);
/* A bit for a set of states. */
static inline unsigned state_bit(enum rcpt_state s)
{
	return 1u << s;
}

struct filter {
	unsigned states;                 /* state_bit()s; 0: any */
	char *cause;                     /* word or group; all owned, or NULL */
	char *destination, *route, *sender, *recipient, *message_id;
	int64_t  older_ms, newer_ms;     /* -1: not given */
	uint64_t larger_bytes;
	bool uncertain;
	bool given;                      /* any part was set */
};

void filter_init(struct filter *f);      /* matches everything */
void filter_release(struct filter *f);
/* A part by its JSON key: state (a list "deferred,held"), cause, destination,
 * route, sender, recipient, message_id, older, newer (durations), larger
 * (size), uncertain ("true").  ST_PERM: the text names key and value. */
MUST_USE enum status filter_set(struct filter *f, const char *key,
				const char *value, struct err *e);
/* "deferred,held" */
MUST_USE bool states_parse(const char *list, unsigned *out);

/* Do the parts that speak of the message hold? */
bool filter_has_message(const struct filter *f, const struct message *m,
			int64_t now_ms);
/* And those that speak of a recipient, shown as `state`? */
bool filter_has_recipient(const struct filter *f, const struct recipient *r,
			  enum rcpt_state state);

#endif
