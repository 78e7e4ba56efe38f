/* SPDX-License-Identifier: ISC */
/*
 * check - what `relayd -n` finds: is this configuration fit to run with?
 *
 * A problem keeps mail from going; a warning is what an administrator wants
 * to know before it becomes one.
 *
 * Thread: any; opens no socket and no queue.
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "daemon/snapshot.h"

/* Who hears of what; both with arg. */
struct check_report {
	conf_complain *problem;
	conf_complain *warning;
	void *arg;
};

/* How the file is read: -c and --set of relayd(8); borrowed. */
struct conf_file {
	const char *file;
	const char *const *overrides;
	size_t noverrides;
};

/* Reads the file and all that it names. False: there was a problem.  *out (or
 * NULL) is an owned reference of the configuration; untouched if it could not
 * be read or loaded. */
MUST_USE bool check_file(const struct conf_file *f,
			 const struct check_report *report, struct conf **out);
/* What is loaded but will not do at wall_ms, as certificates that have
 * expired. Returns the number of problems. */
unsigned check_snapshot(const struct snapshot *s, int64_t wall_ms,
			const struct check_report *report);
/* Warns of files that today's effective user can't read: started as this
 * user, or reloaded, it would fail. */
void check_readable(const struct conf *conf, const struct check_report *report);

#endif
