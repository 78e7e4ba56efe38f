/* SPDX-License-Identifier: ISC */
/*
 * clock - the two times: mono_ms for waiting, wall_ms for storing and showing.
 *
 * Both are milliseconds and never mixed: a mono_ms is meaningless after a
 * restart, a wall_ms may jump.  Tests replace them with clock_set_test().
 *
 * Thread: any.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);             /* to measure; no test sets it */
int64_t clock_wall_ms(void);             /* since 1970-01-01T00:00:00Z */

/* Both clocks stand still at these values until the next call; -1, -1 gives
 * the real ones back.  For tests, before any thread is started. */
void clock_set_test(int64_t mono_ms, int64_t wall_ms);

enum {
	CLOCK_RFC3339_MAX = 32,          /* 2026-11-23T17:41:05.123Z */
	CLOCK_RFC5322_MAX = 40,          /* Mon, 23 Nov 2026 17:41:05 +0000 */
};
void clock_rfc3339(char out[CLOCK_RFC3339_MAX], int64_t wall_ms);
void clock_rfc5322(char out[CLOCK_RFC5322_MAX], int64_t wall_ms);

#endif
