/* SPDX-License-Identifier: ISC */
/*
 * detach - leaves the terminal and runs in the background, while whoever
 * started us waits for how it went.
 *
 * Thread: main, before any other is started.
 */
#ifndef DAEMON_DETACH_H
#define DAEMON_DETACH_H

#include "base/err.h"

/* Descriptors 0, 1 and 2 are open from now on, if only to /dev/null: a socket
 * there would get what is printed. */
void detach_keep_stdio(void);
/* Returns in the background process only.  The calling process waits for
 * detach_ready() or detach_failed(), and exits 0 or 1. */
MUST_USE enum status detach_begin(int *out_waiter, struct err *e);
/* Started: lets the caller go, and the terminal with it. */
void detach_ready(int waiter);
/* The caller prints why. */
void detach_failed(int waiter, const char *why);

#endif
