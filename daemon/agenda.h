/* SPDX-License-Identifier: ISC */
/*
 * agenda - lanes in the order of the times at which they want to be looked at.
 *
 * A heap: with mail for tens of thousands of domains only those are looked at
 * whose time has come or that were changed.
 *
 * Thread: dispatch; pure.
 */
#ifndef DAEMON_AGENDA_H
#define DAEMON_AGENDA_H

#include "base/base.h"

struct lane;

struct agenda { /* zeroed: empty */
	struct lane **at; /* owned array of borrowed lanes */
	size_t n, room;
};

void agenda_release(struct agenda *a);
/* Sets the time of a lane; one that is in it already moves. */
void agenda_put(struct agenda *a, struct lane *l, int64_t mono_ms);
/* As it stood there before, or earlier. */
void agenda_hurry(struct agenda *a, struct lane *l, int64_t mono_ms);
/* It need not be in it. */
void agenda_remove(struct agenda *a, struct lane *l);
/* The earliest; NULL: none. */
struct lane *agenda_first(const struct agenda *a);

#endif
