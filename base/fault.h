/* SPDX-License-Identifier: ISC */
/*
 * fault - named points at which a test ends the process as a crash would.
 *
 *	FAULT(QUEUE_AFTER_COMMIT);
 *
 * With RELAYD_FAULT=queue:after-commit,3 in its environment the process sends
 * itself SIGKILL when it passes this point for the third time (1 if there is no
 * number).  Points are in base/fault.def; `relayd --faults` lists them.
 *
 * Only builds with -DFAULTS have them (make VARIANT=fault, and all that are
 * for looking at relayd): elsewhere FAULT() is nothing.
 *
 * Thread: fault_arm before there are others, the rest any.
 */
#ifndef BASE_FAULT_H
#define BASE_FAULT_H

#include "base/err.h"

enum fault_point {
#define FAULT_POINT(constant, name, text) FAULT_##constant,
#include "base/fault.def"
#undef FAULT_POINT
	FAULT_POINTS
};

#ifdef FAULTS

#define FAULT(constant) fault_pass(FAULT_##constant)
void fault_pass(enum fault_point point);

/* Reads RELAYD_FAULT.  ST_PERM: there is no such point. */
MUST_USE enum status fault_arm(struct err *e);

const char *fault_name(enum fault_point point);
/* What has happened there. */
const char *fault_text(enum fault_point point);

#else
#define FAULT(constant) ((void)FAULT_##constant)
#endif

#endif
