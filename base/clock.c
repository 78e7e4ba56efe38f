/* SPDX-License-Identifier: ISC */
/*
 * clock - reads and prints the two times.
 */
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

/* -1: the real clock. */
static _Atomic int64_t test_mono_ms = -1;
static _Atomic int64_t test_wall_ms = -1;

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	BUG_ON(clock_gettime(id, &t) != 0);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	int64_t test_ms = atomic_load(&test_mono_ms);

	return test_ms >= 0 ? test_ms : read_ms(CLOCK_MONOTONIC);
}

int64_t clock_mono_us(void)
{
	struct timespec t;

	BUG_ON(clock_gettime(CLOCK_MONOTONIC, &t) != 0);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

int64_t clock_wall_ms(void)
{
	int64_t test_ms = atomic_load(&test_wall_ms);

	return test_ms >= 0 ? test_ms : read_ms(CLOCK_REALTIME);
}

void clock_set_test(int64_t mono_ms, int64_t wall_ms)
{
	atomic_store(&test_mono_ms, mono_ms);
	atomic_store(&test_wall_ms, wall_ms);
}

/* Milliseconds within the second; times before 1970 count forward, too.
 * What has no four-digit year is shown as the nearest that has. */
static int broken_down(struct tm *tm, int64_t wall_ms)
{
	const int64_t first_ms = -62167219200000; /* year 0 */
	const int64_t last_ms = 253402300799999; /* year 9999 */
	int64_t ms;
	time_t s;

	if (wall_ms < first_ms)
		wall_ms = first_ms;
	if (wall_ms > last_ms)
		wall_ms = last_ms;
	ms = wall_ms % 1000;
	if (ms < 0)
		ms += 1000;
	s = (time_t)((wall_ms - ms) / 1000);
	BUG_ON(!gmtime_r(&s, tm));
	return (int)ms;
}

void clock_rfc3339(char out[CLOCK_RFC3339_MAX], int64_t wall_ms)
{
	struct tm tm;
	int ms = broken_down(&tm, wall_ms);

	snprintf(out, CLOCK_RFC3339_MAX, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
		 (unsigned)(tm.tm_year + 1900) % 10000u,
		 (unsigned)(tm.tm_mon + 1) % 100u, (unsigned)tm.tm_mday % 100u,
		 (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
		 (unsigned)tm.tm_sec % 100u, (unsigned)ms % 1000u);
}

void clock_rfc5322(char out[CLOCK_RFC5322_MAX], int64_t wall_ms)
{
	static const char days[][4] = {"Sun", "Mon", "Tue", "Wed",
				       "Thu", "Fri", "Sat"};
	static const char months[][4] = {"Jan", "Feb", "Mar", "Apr",
					 "May", "Jun", "Jul", "Aug",
					 "Sep", "Oct", "Nov", "Dec"};
	struct tm tm;

	broken_down(&tm, wall_ms);
	snprintf(out, CLOCK_RFC5322_MAX, "%s, %u %s %04u %02u:%02u:%02u +0000",
		 days[tm.tm_wday], (unsigned)tm.tm_mday % 100u,
		 months[tm.tm_mon], (unsigned)(tm.tm_year + 1900) % 10000u,
		 (unsigned)tm.tm_hour % 100u, (unsigned)tm.tm_min % 100u,
		 (unsigned)tm.tm_sec % 100u);
}
