/* SPDX-License-Identifier: ISC */
/*
 * watchdog - tells the service manager that we are alive, and only while
 * every thread is.
 *
 * Thread: main.
 */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include "daemon/relay.h"

struct event_base;
struct watchdog;

/* NULL: the service manager has not asked for it. */
struct watchdog *watchdog_new(struct event_base *base, struct relay *relay);
/* No more; the workers are about to end. NULL is fine. */
void watchdog_stop(struct watchdog *w);
/* After the writer ended and relay->main_mail was run. NULL is fine. */
void watchdog_free(struct watchdog *w);

#endif
