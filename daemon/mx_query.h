/* SPDX-License-Identifier: ISC */
/*
 * mx_query - a question for the hosts of a domain on its way from the
 * dispatcher to a worker, whose resolver answers it, and back.
 *
 * Thread: _new, _free and the fields after `answered` the dispatcher; in
 *         between it is the worker's.
 */
#ifndef DAEMON_MX_QUERY_H
#define DAEMON_MX_QUERY_H

#include "base/mailbox.h"
#include "net/mx.h"

struct dispatch;
struct worker;

struct mx_query {
	struct note ask;
	struct note answered;            /* the dispatcher's, set by it */
	struct mailbox *reply_to;
	struct worker *worker;
	struct dispatch *dispatch;       /* its own */
	unsigned epoch;                  /* its dns_epoch when it asked */
	char *lane;                      /* owned */
	char *domain;                    /* owned */
	char *own_name;                  /* owned */
	struct mx_answer answer;         /* a copy */
	struct mx_query *prev, *next;    /* the dispatcher's list */
};

MUST_USE struct mx_query *mx_query_new(const char *lane, const char *domain,
				       const char *own_name);
/* Sends it; `answered` is posted to reply_to. */
void mx_query_send(struct mx_query *q, struct worker *w,
		   struct mailbox *reply_to);
void mx_query_free(struct mx_query *q);

#endif
