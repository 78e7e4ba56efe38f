/* SPDX-License-Identifier: ISC */
/*
 * notify - tells the service manager how we are, sd_notify(3).
 *
 * Without NOTIFY_SOCKET nothing is said.
 *
 * Thread: main.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "base/base.h"

/* Does anybody listen? */
bool notify_wanted(void);
/* Also ends a reload.  status: a sentence for `systemctl status`. */
void notify_ready(const char *status);
void notify_status(const char *status);
void notify_reloading(void);
void notify_stopping(void);
/* Tells it again that we are alive. */
void notify_alive(void);
/* How often it wants to hear that; 0: never. */
int64_t notify_watchdog_ms(void);

#endif
