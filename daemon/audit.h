/* SPDX-License-Identifier: ISC */
/*
 * audit - who changed what, when, and how much: kept with the queue, never
 * changed, forgotten after a year or beyond 100,000 entries.
 *
 * An entry is a record of the store; its key is its number, its value an
 * object: number, time, uid, user, verb, request (what was asked for), and what
 * the verb has to say of its outcome.
 *
 * A verb that is done at once:
 *	audit_call(c, "reload", json_pack(...), on_audited);
 * One that takes its time writes its entry before the first change, with
 * counts so far, and again under the same number with those of every page; so
 * an entry is on the disk no later than the first change that it speaks of:
 *	audit_begin(c, &w->audit, &e);
 *	audit_write(c, &w->audit, "hold", facts, NULL);
 *	writer_submit(...);
 *
 * Thread: main.
 */
#ifndef DAEMON_AUDIT_H
#define DAEMON_AUDIT_H

#include "daemon/call.h"

struct audit {
	uint64_t number;                 /* 0: not begun */
	int64_t  began_ms;
};

/* Takes a number; fails when the store can't be read. */
MUST_USE enum status audit_begin(struct call *c, struct audit *a,
				 struct err *e);
/*
 * Writes the entry: that the caller did `verb` as its request says.  facts, an
 * object or NULL, is stolen; its keys are added.  Then goes on with `then`,
 * unless NULL: also when the entry could not be written, which is logged with
 * all it says; for what has been done is done.
 */
void audit_write(struct call *c, const struct audit *a, const char *verb,
		 json_t *facts, call_step *then);
/* Both in one. */
void audit_call(struct call *c, const char *verb, json_t *facts,
		call_step *then);

#endif
