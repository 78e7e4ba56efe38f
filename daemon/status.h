/* SPDX-License-Identifier: ISC */
/*
 * status - how the relay is, in one look: what is queued, who is connected,
 * which destinations are not up.
 *
 * Thread: main.
 */
#ifndef DAEMON_STATUS_H
#define DAEMON_STATUS_H

#include "daemon/relay.h"

struct status_report {
	uint64_t live[RCPT_STATES]; /* recipients */
	uint64_t active; /* of them, being delivered now */
	unsigned clients; /* connections that came in */
	unsigned connections; /* connections that went out */
	unsigned ndown; /* destinations that are not up */
	char down[512]; /* their names and causes; "" if none */
};

struct status_asker;

/* The answer, from relay->main_mail; borrowed until it returns. */
typedef void status_seen(void *arg, const struct status_report *r);

struct status_asker *status_new(struct relay *relay, status_seen *seen,
				void *arg);
/* Asks the dispatcher; asked again before it answered, it answers once. */
void status_ask(struct status_asker *s);
/* After the dispatcher ended and relay->main_mail was run. NULL is fine. */
void status_free(struct status_asker *s);

/* Recipients by state, from the store alone: for the start. */
MUST_USE enum status status_read_totals(const struct relay *relay,
					struct status_report *out,
					struct err *e);
/* A sentence for `systemctl status`. */
MUST_USE char *status_sentence(const struct status_report *r);
/* One line of the log. */
void status_log(const struct status_report *r);

#endif
