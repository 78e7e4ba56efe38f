/* SPDX-License-Identifier: ISC */
/*
 * thread - starts and joins a named thread.
 *
 * Signals are blocked in it: they are the main thread's.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include "base/err.h"

struct thread;

/* name: at most 15 characters, shown by ps -L and gdb. */
MUST_USE enum status thread_start(struct thread **out, const char *name,
				  void (*run)(void *arg), void *arg,
				  struct err *e);
/* Waits for its end and frees it.  NULL is fine. */
void thread_join(struct thread *t);

#endif
