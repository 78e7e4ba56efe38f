/* SPDX-License-Identifier: ISC */
/*
 * mx_query - a question for the hosts of a domain, answered by a worker's
 * resolver.
 */
#include "daemon/mx_query.h"

#include <stdlib.h>

#include "daemon/worker.h"

struct mx_query *mx_query_new(const char *lane, const char *domain,
			      const char *own_name)
{
	struct mx_query *q = xcalloc(1, sizeof(*q));

	q->lane = xstrdup(lane);
	q->domain = xstrdup(domain);
	q->own_name = xstrdup(own_name);
	return q;
}

void mx_query_free(struct mx_query *q)
{
	mx_answer_release(&q->answer);
	free(q->lane);
	free(q->domain);
	free(q->own_name);
	free(q);
}

static void on_answer(void *arg, const struct mx_answer *answer)
{
	struct mx_query *q = arg;

	q->answer = *answer;
	q->answer.hosts = xcalloc(answer->nhosts + 1, sizeof(char *));
	for (size_t i = 0; i < answer->nhosts; i++)
		q->answer.hosts[i] = xstrdup(answer->hosts[i]);
	mailbox_post(q->reply_to, &q->answered);
}

/* In the worker's thread. */
static void on_ask(struct note *note)
{
	struct mx_query *q = CONTAINER_OF(note, struct mx_query, ask);

	/* The resolver keeps the look-up: it is cancelled only with it. */
	(void)!mx_start(q->worker->resolver, q->domain, q->own_name, on_answer,
			q);
}

void mx_query_send(struct mx_query *q, struct worker *w,
		   struct mailbox *reply_to)
{
	q->worker = w;
	q->reply_to = reply_to;
	q->ask.run = on_ask;
	mailbox_post(w->mail, &q->ask);
}
