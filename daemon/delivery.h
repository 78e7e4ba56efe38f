/* SPDX-License-Identifier: ISC */
/*
 * delivery - one connection's work, thrown to and fro between the dispatcher
 * and a worker.
 *
 * It belongs to the thread that holds it.  The dispatcher throws it with jobs
 * (or as a probe); the worker's outbound session does them, settles what was
 * tried, and throws it back asking for more, or over.  Thrown to the session
 * without jobs it means: say QUIT.
 */
#ifndef DAEMON_DELIVERY_H
#define DAEMON_DELIVERY_H

#include "base/mailbox.h"
#include "daemon/diagnose.h"
#include "daemon/exception.h"
#include "daemon/snapshot.h"
#include "daemon/transcript.h"

struct dispatch;
struct lane;
struct outbound;
struct worker;

/* Recipients of one message that may go in one transaction. */
struct job {
	struct job *next;
	uint64_t    id;
	uint32_t   *numbers;             /* owned */
	size_t      n;
};
void job_free(struct job *j);

enum delivery_report {
	DELIVERY_IDLE,                   /* connected, wants jobs */
	DELIVERY_OVER,                   /* the connection is gone */
};

struct delivery {
	struct note note;                /* of the throw */
	struct worker   *worker;
	struct snapshot *snapshot;       /* owned reference */
	const struct conf_route *route;  /* of the snapshot */
	const struct host_port  *host;   /* `own_host` */
	struct host_port own_host;       /* its string owned */
	char *destination;               /* owned */
	char *lane_name;                 /* owned */
	struct exception *exception;     /* in force when it was made; owned
					    reference, NULL: none */
	bool probe;                      /* connect, prove TLS, QUIT; no MAIL */

	struct job *jobs;                /* to do */

	/* The worker's report. */
	enum delivery_report report;
	struct job *returned;            /* not tried here: give them elsewhere */
	struct job *dropped;             /* nothing to do: held, removed, gone */
	bool     connected;              /* the policy was met: it is up */
	unsigned succeeded;              /* messages taken by the peer since the
					    last throw */
	bool     failed;                 /* `failure` condemns the destination,
					    or asks us to slow down */
	struct failure failure;
	char    *address;                /* tried last, "192.0.2.1:25"; owned */
	char    *certificate;            /* the peer's, for the trace; owned */
	char     tls[64], verified[16];  /* how far it was secured */
	uint64_t sent_bytes;             /* said since the last message */
	struct transcript *transcript;   /* of the connection; owned, NULL until
					    it is begun */
	bool     crl_pending;            /* a list is being fetched for it */
	char    *crl;                    /* of it, tls_crl_say(); owned, NULL:
					    no peer was judged */
	int64_t  began_mono_ms;          /* of the connection */

	/* Each side's own. */
	struct outbound *session;        /* the worker's */
	struct dispatch *dispatch;       /* where it comes back */
	struct delivery *next;           /* the dispatcher's lists */
	struct lane     *lane;
	struct pace     *pace;           /* of its service; borrowed */
	unsigned         given;          /* jobs of this throw */
	unsigned         messages;       /* given to this connection so far */
	bool             away;           /* thrown to the worker */
	int64_t          idle_since_mono_ms;
};

/* How the route wants TLS, but for what the exception allows. */
enum conf_tls delivery_tls(const struct delivery *d);

/* Its lists of jobs must be empty. */
void delivery_free(struct delivery *d);
/* Puts j in front of the list. */
void job_push(struct job **list, struct job *j);
/* Moves all of `from` in front of `to`, in order. */
void job_splice(struct job **to, struct job **from);

#endif
