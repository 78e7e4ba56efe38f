/* SPDX-License-Identifier: ISC */
/*
 * drift - notices that somebody set the clock, and how old mail really is.
 *
 * The wall clock is compared with the monotonic one at every look.  A jump is
 * a difference of more than DRIFT_JUMP_MS since the look before; less is how
 * clocks are kept right.  By what it jumped ahead mail did not become older:
 * that time is left out of its age until the clock is set back.
 *
 * Thread: dispatch; pure: both times are arguments.
 */
#ifndef DAEMON_DRIFT_H
#define DAEMON_DRIFT_H

#include "base/base.h"

enum { DRIFT_JUMP_MS = 5 * 60 * 1000 };

struct drift { /* zeroed: nothing known */
	bool    known;
	int64_t offset_ms;               /* wall less mono at the last look */
	int64_t skipped_ms;              /* jumped ahead in all; never less
					    than 0 */
};

/* By how much it has jumped, ahead or back; 0: it has not. */
int64_t drift_look(struct drift *d, int64_t mono_ms, int64_t wall_ms);

#endif
