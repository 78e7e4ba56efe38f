/* SPDX-License-Identifier: ISC */
/*
 * fault.c - SIGKILL, so that nothing of the process is written, closed or said
 * any more: no handler, no exit function, no buffer.
 */
#include "base/fault.h"

#ifdef FAULTS

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name, *text;
} points[] = {
#define FAULT_POINT(constant, name, text) [FAULT_##constant] = {name, text},
#include "base/fault.def"
#undef FAULT_POINT
};
_Static_assert(ARRAY_LEN(points) == FAULT_POINTS, "a point without a name");

static enum fault_point armed = FAULT_POINTS; /* none */
static _Atomic long left; /* times to pass it */

const char *fault_name(enum fault_point point)
{
	return points[point].name;
}

const char *fault_text(enum fault_point point)
{
	return points[point].text;
}

enum status fault_arm(struct err *e)
{
	const char *wanted = getenv("RELAYD_FAULT");

	if (wanted == NULL)
		return ST_OK;
	size_t len = strcspn(wanted, ",");
	long n = wanted[len] == ',' ? strtol(wanted + len + 1, NULL, 10) : 1;

	for (unsigned i = 0; i < FAULT_POINTS; i++) {
		if (strlen(points[i].name) != len ||
		    memcmp(points[i].name, wanted, len) != 0 || n < 1)
			continue;
		armed = (enum fault_point)i;
		atomic_store(&left, n);
		return ST_OK;
	}
	return err_perm(e, 3, 5,
			"RELAYD_FAULT=%s: point[,times] is wanted, with a "
			"point of relayd --faults",
			wanted);
}

void fault_pass(enum fault_point point)
{
	if (point != armed || atomic_fetch_sub(&left, 1) != 1)
		return;
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}

#endif
