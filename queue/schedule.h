/* SPDX-License-Identifier: ISC */
/*
 * schedule - when to try again: pure arithmetic, time is an argument.
 */
#ifndef QUEUE_SCHEDULE_H
#define QUEUE_SCHEDULE_H

#include "base/base.h"

/* The pause after `attempts` failed ones: the list's entry (the last one
 * repeats), +-10 % by `random`, which is any 32 random bits. */
int64_t retry_pause_ms(const int64_t *list_ms, size_t n, uint32_t attempts,
		       uint32_t random);

/*
 * How much may go at once to a lane whose destination has just come up: 1,
 * then double with every success (1, 2, 4 ...) up to the limit; then there is
 * no ramp any more.
 */
struct ramp {
	unsigned window; /* 0: no ramp, the limit holds */
};
void ramp_start(struct ramp *r);
void ramp_succeeded(struct ramp *r, unsigned limit);
unsigned ramp_window(const struct ramp *r, unsigned limit);

#endif
