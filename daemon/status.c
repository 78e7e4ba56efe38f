/* SPDX-License-Identifier: ISC */
/*
 * status - puts together what the store, the sockets and the dispatcher know.
 */
#include "daemon/status.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/dispatch.h"

struct status_asker {
	struct relay *relay;
	status_seen *seen;
	void *arg;
	bool asked;
	struct dispatch_question question;
};

enum status status_read_totals(const struct relay *relay,
			       struct status_report *out, struct err *e)
{
	struct store *store = relay->store;
	struct totals totals;
	enum status st = store->ops->totals(store, &totals, e);

	if (st == ST_OK)
		memcpy(out->live, totals.live, sizeof(out->live));
	return st;
}

static void add_destinations(struct status_report *r,
			     const struct dispatch_question *q)
{
	struct buf names;
	bool fits = true;

	buf_init(&names, sizeof(r->down) - 1);
	for (size_t i = 0; i < q->nviews; i++) {
		const struct destination_view *v = &q->views[i];

		r->connections += v->connections;
		if (v->state == DESTINATION_UP)
			continue;
		fits = fits &&
		       buf_printf(&names, "%s%s %s %s", r->ndown ? ", " : "",
				  v->name, destination_state_word(v->state),
				  cause_word(v->cause));
		r->ndown++;
	}
	memcpy(r->down, names.mem ? buf_span(&names).at : "", names.len);
	r->down[names.len] = '\0';
	buf_release(&names);
}

static void on_answer(struct note *note)
{
	struct status_asker *s =
		CONTAINER_OF(note, struct status_asker, question.done);
	struct status_report r = {.active = s->question.nactive};
	struct err e;

	for (size_t i = 0; i < s->relay->nlistening; i++)
		r.clients += atomic_load(&s->relay->listening[i].connections);
	add_destinations(&r, &s->question);
	dispatch_question_release(&s->question);
	s->asked = false;
	if (status_read_totals(s->relay, &r, &e) != ST_OK)
		log_text(LOG_ERROR, "queue-unread", "%s", e.text);
	else
		s->seen(s->arg, &r);
}

struct status_asker *status_new(struct relay *relay, status_seen *seen,
				void *arg)
{
	struct status_asker *s = xcalloc(1, sizeof(*s));

	s->relay = relay;
	s->seen = seen;
	s->arg = arg;
	return s;
}

void status_ask(struct status_asker *s)
{
	if (s->asked)
		return;
	s->question = (struct dispatch_question){
		.order = ORDER_VIEW,
		.reply_to = s->relay->main_mail,
		.done.run = on_answer,
	};
	s->asked = true;
	dispatch_ask(s->relay->dispatch, &s->question);
}

void status_free(struct status_asker *s)
{
	if (!s)
		return;
	BUG_ON(s->asked);
	free(s);
}

char *status_sentence(const struct status_report *r)
{
	return xasprintf("%" PRIu64 " queued, %" PRIu64 " deferred, %" PRIu64
			 " held; %u connections in, %u out; %s%s",
			 r->live[RCPT_QUEUED], r->live[RCPT_DEFERRED],
			 r->live[RCPT_HELD], r->clients, r->connections,
			 r->ndown ? "not up: " : "all destinations up",
			 r->down);
}

void status_log(const struct status_report *r)
{
	log_fact(LOG_INFO, 0, "status", F_INT("queued", r->live[RCPT_QUEUED]),
		 F_INT("active", r->active),
		 F_INT("deferred", r->live[RCPT_DEFERRED]),
		 F_INT("held", r->live[RCPT_HELD]),
		 F_INT("delivered", r->live[RCPT_DELIVERED]),
		 F_INT("expired", r->live[RCPT_EXPIRED]),
		 F_INT("failed", r->live[RCPT_FAILED]),
		 F_INT("connections_in", r->clients),
		 F_INT("connections_out", r->connections),
		 F_INT("destinations_not_up", r->ndown),
		 F_STR("not_up", r->ndown ? r->down : NULL));
}
