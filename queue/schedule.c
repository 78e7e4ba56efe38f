/* SPDX-License-Identifier: ISC */
/*
 * schedule.c - how long to wait, and how fast to start again.
 */
#include "queue/schedule.h"

int64_t retry_pause_ms(const int64_t *list_ms, size_t n, uint32_t attempts,
		       uint32_t random)
{
	size_t i = attempts == 0 ? 0 : attempts - 1;
	int64_t pause_ms, spread_ms;

	BUG_ON(n == 0);
	pause_ms = list_ms[i < n ? i : n - 1];
	spread_ms = pause_ms / 5;
	/* Floating point, because spread times 2^32 may overflow. */
	return pause_ms - spread_ms / 2 +
	       (int64_t)((double)spread_ms * random / UINT32_MAX);
}

void ramp_start(struct ramp *r)
{
	r->window = 1;
}

void ramp_succeeded(struct ramp *r, unsigned limit)
{
	if (r->window == 0)
		return;
	/* Half first: doubling could overflow. */
	if (r->window > limit / 2)
		r->window = 0;
	else
		r->window *= 2;
}

unsigned ramp_window(const struct ramp *r, unsigned limit)
{
	return r->window == 0 || r->window > limit ? limit : r->window;
}
