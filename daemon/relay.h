/* SPDX-License-Identifier: ISC */
/*
 * relay - the parts of a running daemon, so that each can reach the others.
 *
 * Filled by daemon/main before any thread starts, emptied after all of them
 * ended; in between it does not change but for what is said to be main's.
 */
#ifndef DAEMON_RELAY_H
#define DAEMON_RELAY_H

#include <stdatomic.h>

#include "base/rate.h"
#include "base/tally.h"
#include "daemon/snapshot.h"
#include "queue/underway.h"
#include "queue/writer.h"

struct alarms;
struct certificates;
struct crl_fetch;
struct dispatch;
struct imports;
struct login;
struct stats;
struct worker;

/* A bound socket; the listener is looked up by name in today's snapshot. */
struct listening {
	int    fd;                       /* owned by main */
	bool   passed;                   /* by systemd, which keeps it */
	struct addr addr;
	char  *listener;                 /* its name, owned */
	atomic_uint connections;         /* of all workers */
};

struct relay {
	struct store    *store;
	struct writer   *writer;
	struct underway *underway;       /* what could arrive twice if we ended
					    now */
	struct dispatch *dispatch;
	struct worker  **workers;
	size_t           nworkers;
	struct listening *listening;
	size_t           nlistening;
	struct tally    *clients;        /* connections per client address */
	struct {                         /* the same, of the last minute */
		struct rate *connections, *messages, *recipients;
	} rates;
	struct login    *login;          /* judges clients' passwords */
	struct crl_cache *crls;          /* revocation lists at hand */
	struct crl_fetch *crl_fetch;     /* fetches those of URLs */
	struct mailbox  *main_mail;      /* of the main thread */
	uint64_t         audited;        /* main's: the number of the newest
					    entry (daemon/audit.c); 0: unread */
	struct certificates *certificates;       /* main's */
	atomic_uint      sightings;      /* on their way to them */
	atomic_uint      mirror_port;    /* where daemon/mirror connects from; 0:
					    it does not now */
	struct imports  *imports;        /* main's: daemon/control_import.c */
	unsigned         consultations;  /* main's: hosts being examined ... */
	unsigned         consulted;      /* ... and that ever were */
	const char      *resolver_servers;       /* tests: NULL is the system's */
	uint16_t         mx_port;        /* 25; tests have another */
	int64_t          lookup_timeout_ms;      /* of DNS; likewise */
	_Atomic int64_t  skipped_ms;     /* dispatch's: by so much the clock was
					    set ahead; no age of mail */
	struct stats    *stats;
	struct alarms   *alarms;         /* NULL: alarms are only logged */
};

#endif
