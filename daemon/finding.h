/* SPDX-License-Identifier: ISC */
/*
 * finding - what the doctor found at one address, step by step.
 *
 * Thread: none; it belongs to whoever holds it.
 */
#ifndef DAEMON_FINDING_H
#define DAEMON_FINDING_H

#include <jansson.h>

#include "daemon/diagnose.h"
#include "daemon/diagnosis.h"

enum finding_step {
	STEP_RESOLVE,
	STEP_CONNECT,
	STEP_BANNER,
	STEP_EHLO,
	STEP_STARTTLS,
	STEP_HANDSHAKE,
	STEP_CHAIN,
	STEP_NAMES,
	STEP_DATES,
	STEP_CRL,
	STEP_AUTH,
	STEPS
};

enum finding_result {
	STEP_SKIPPED,                    /* not reached, or not asked for */
	STEP_OK,
	STEP_WARN,                       /* not as it should be; the policy
					    does not mind */
	STEP_FAIL,
};

struct finding {
	char *address;                   /* "192.0.2.1:25"; "": there is none;
					    owned */
	struct {
		enum finding_result result;
		char *text;              /* owned; NULL: "" */
	} steps[STEPS];
	struct failure failure;          /* cause NONE: it is healthy */
	enum diagnosis diagnosis;
};

void finding_release(struct finding *f);
void finding_set(struct finding *f, enum finding_step step,
		 enum finding_result result, const char *fmt, ...)
	PRINTF(4, 5);
/* All that has not been reached before this step is well, without a word. */
void finding_reached(struct finding *f, enum finding_step step);
/* The object of the control API. */
json_t *finding_show(const struct finding *f);

/* Of all addresses together: the diagnosis, and whose it is (*worst, NULL:
 * all are well). */
enum diagnosis finding_conclude(const struct finding *list, size_t n,
				const struct finding **worst);

#endif
