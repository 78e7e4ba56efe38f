/* SPDX-License-Identifier: ISC */
/*
 * alarm - tells somebody, by another way than mail: a line of the log, and
 * the administrator's alarm_command.
 *
 * The command is run by a thread of its own, one at a time, with the alarm's
 * word, its subject and its text as further arguments and one JSON object on
 * its standard input.  The same alarm about the same subject is told once an
 * hour; beyond ALARMS_WAITING_MAX that wait they are only logged.
 *
 * Thread: alarms_start, _stop and _configure main; alarm_raise any.
 */
#ifndef DAEMON_ALARM_H
#define DAEMON_ALARM_H

#include "base/err.h"

enum alarm {
#define ALARM(name, word, sentence) ALARM_##name,
#include "daemon/alarm.def"
#undef ALARM
	ALARMS
};

enum { ALARMS_WAITING_MAX = 256 };

struct alarms;

MUST_USE enum status alarms_start(struct alarms **out, struct err *e);
/* Lets those that wait go, and a command that runs be killed.  After all who
 * could raise one.  NULL is fine. */
void alarms_stop(struct alarms *a);
/* From now on; command "": none.  Copies the strings. */
void alarms_configure(struct alarms *a, const char *command,
		      const char *hostname);

/* subject: what it is about: a destination, a file; "" if nothing.  a NULL:
 * only logged. */
void alarm_raise(struct alarms *a, enum alarm what, const char *subject,
		 const char *fmt, ...) PRINTF(4, 5);

const char *alarm_word(enum alarm what);

#endif
