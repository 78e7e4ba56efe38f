/* SPDX-License-Identifier: ISC */
/*
 * underway - what nobody could know if this process ended right now: messages
 * whose end was said to a next hop, and whose outcome is not durable yet.
 *
 * It is a file of slots mapped into memory, so that saying it costs no call.
 * What was written there survives the end of the process, however sudden; a
 * power cut may lose the last seconds of it.  After an orderly stop it is
 * empty.
 *
 *	slot = underway_enter(u)        before a transaction
 *	underway_say(u, slot, &what)    before the end of data goes out
 *	underway_leave(u, slot)         the outcome is durable, or the end was
 *	                                never said
 *
 * Thread: open and close main; the rest any, a slot being one thread's at a
 *         time.
 */
#ifndef QUEUE_UNDERWAY_H
#define QUEUE_UNDERWAY_H

#include "base/err.h"

struct underway;

enum { UNDERWAY_NONE = UINT32_MAX };

/* Recipients of one message that go in one transaction: those of its numbers
 * from first to last that queue in a lane. */
struct underway_what {
	uint64_t id;
	uint32_t first, last;
	uint64_t lane; /* underway_lane() of its name */
};
uint64_t underway_lane(const char *name);

/* Opens or makes the file in the directory `path`; the caller has the queue
 * there to himself.  A file that is damaged begins anew.  Errors: ST_TEMP
 * 4.3.0 and 4.3.1. */
MUST_USE enum status underway_open(struct underway **out, const char *path,
				   struct err *e);
void underway_close(struct underway *u); /* NULL is fine */

/* The first slot from `from` on that an earlier run has left, or
 * UNDERWAY_NONE.  It is taken until underway_leave(). */
MUST_USE uint32_t underway_left(const struct underway *u, uint32_t from,
				struct underway_what *out);

/* UNDERWAY_NONE: all are taken; there are more than sessions by far. */
MUST_USE uint32_t underway_enter(struct underway *u);
void underway_say(struct underway *u, uint32_t slot,
		  const struct underway_what *what);
void underway_leave(struct underway *u, uint32_t slot);

#endif
