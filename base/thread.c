/* SPDX-License-Identifier: ISC */
/*
 * thread - starts and joins a named thread.
 */
#include "base/thread.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct thread {
	pthread_t id;
	void (*run)(void *arg);
	void *arg;
	char name[16];
};

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	/* pthread_setname_np() from outside would race with a thread that
	 * ends at once. */
	pthread_setname_np(pthread_self(), t->name);
	t->run(t->arg);
	return NULL;
}

enum status thread_start(struct thread **out, const char *name,
			 void (*run)(void *arg), void *arg, struct err *e)
{
	struct thread *t = xcalloc(1, sizeof(*t));
	sigset_t all, before;

	t->run = run;
	t->arg = arg;
	snprintf(t->name, sizeof(t->name), "%s", name);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int os = pthread_create(&t->id, NULL, thread_main, t);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (os != 0) {
		free(t);
		return err_sys(e, os, "start thread %s", name);
	}
	*out = t;
	return ST_OK;
}

void thread_join(struct thread *t)
{
	if (!t)
		return;
	pthread_join(t->id, NULL);
	free(t);
}
