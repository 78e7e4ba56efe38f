/* SPDX-License-Identifier: ISC */
/*
 * service - the daemon as a whole: starts everything in order, runs until it
 * is told to stop, and stops everything in order.
 *
 *	start: configuration, sockets, rights, certificates, store, workers,
 *	       writer, dispatcher, threads, control
 *	stop:  dispatcher and workers finish, control, writer, store
 *
 * A queue that can't be written before it is opened anew stops it, too: what
 * is to be done then the next start does best.
 *
 * Signals: TERM and INT stop, HUP reloads, USR1 logs a status line.
 *
 * Thread: main.
 */
#ifndef DAEMON_SERVICE_H
#define DAEMON_SERVICE_H

#include "daemon/check.h"

struct service;

struct service_conf {
	struct conf_file file; /* borrowed for the service's life */
	bool debug; /* log debug, whatever the file says */
};

/* All listeners are bound and the queue is open on ST_OK; else *e says why,
 * and nothing is left. */
MUST_USE enum status service_start(struct service **out,
				   const struct service_conf *conf,
				   struct err *e);
/* Tells the service manager, and returns when it was asked to stop and what
 * was in flight is finished or cut off; or, with false, when the queue is
 * broken. */
MUST_USE bool service_run(struct service *s);
/* Stops what still runs and frees it.  NULL is fine. */
void service_free(struct service *s);

#endif
