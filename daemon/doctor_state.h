/* SPDX-License-Identifier: ISC */
/*
 * doctor_state - what the files of doctor share, and nobody else.
 *
 *	doctor.c        an examination: secret, addresses, the end of it
 *	doctor_visit.c  one address: connect, dialogue, TLS, login
 *
 * Thread: the worker.
 */
#ifndef DAEMON_DOCTOR_STATE_H
#define DAEMON_DOCTOR_STATE_H

#include "daemon/doctor.h"
#include "net/stream.h"

enum { VISITS_MAX = 32 };                /* addresses of a host */

struct visit {
	struct doctor  *doctor;
	struct finding *finding;         /* of the examination */
	struct addr     addr;
	char           *peer;            /* "mx.example[192.0.2.1:25]"; owned */
	struct stream  *stream;          /* NULL: it is over */
	struct client  *client;
	char           *ehlo;            /* the answer in clear text; owned */
	bool            masked, refused; /* likewise */
	bool            shaking;
	struct tls_cert_info peer_cert;
	int64_t         began_mono_ms;
};

struct doctor {
	struct doctor *prev, *next;      /* of the worker */
	struct examination *examination; /* the asker's */
	struct wish   *wish;
	struct secret *secret;           /* owned; NULL: none, or ... */
	struct err     no_secret;        /* ... why there is none */
	struct lookup *lookup;
	struct event  *deadline;         /* of the whole; owned */
	struct visit  *visits;           /* owned */
	size_t         nvisits, under_way;
};

/* Begins; visit_over() may be called before it returns. */
void visit_start(struct visit *v);
/* Ends it with this failure, wherever it is. */
void visit_cut(struct visit *v, const char *why);
void visit_release(struct visit *v);

/* doctor.c: one of its visits has ended. d may be freed. */
void doctor_visit_over(struct doctor *d);

#endif
