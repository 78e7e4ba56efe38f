/* SPDX-License-Identifier: ISC */
/*
 * outbound_mail - one message after another over an established connection.
 *
 * A job names recipients of one message; the message is loaded when its turn
 * comes, so that what an operator changed meanwhile (held, removed, moved)
 * counts.  The body is read from the store piece by piece and its checksum is
 * compared before the final dot is said: a damaged message is never
 * completed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/outbound_session.h"
#include "daemon/route.h"
#include "daemon/settle.h"
#include "tls/session.h"

enum { BODY_PIECE_MAX = 64 * 1024 };

/* ------- the message in hand */

static void put_down(struct outbound *o)
{
	job_free(o->job);
	o->job = NULL;
	message_free(o->message);
	o->message = NULL;
	free(o->recipients);
	o->recipients = NULL;
	free(o->addresses);
	o->addresses = NULL;
	o->nrecipients = 0;
}

static bool in_job(const struct job *job, uint32_t number)
{
	for (size_t i = 0; i < job->n; i++)
		if (job->numbers[i] == number)
			return true;
	return false;
}

static struct settlement *begin_settlement(const struct outbound *o)
{
	const struct delivery *d = o->delivery;
	const struct attempt attempt = {
		.queue = &d->snapshot->conf->queue,
		.route = d->route,
		.destination = d->destination,
		.address = d->address,
		.tls = o->tls,
		.verified = o->verified,
		.certificate = d->certificate,
		.began_mono_ms = o->began_mono_ms,
		.attempted = true,
	};

	return settlement_new(o->worker->relay, o->job->id, &attempt);
}

/* Picks the recipients of the job that still wait, and still here: those
 * whose route is another one today are moved. */
static void pick_recipients(struct outbound *o)
{
	const struct conf *conf = o->delivery->snapshot->conf;
	struct message *m = o->message;
	struct settlement *moved = begin_settlement(o);

	o->recipients = xcalloc(m->nrecipients, sizeof(struct recipient *));
	o->addresses = xcalloc(m->nrecipients, sizeof(char *));
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];
		bool waits =
			r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED;

		if (!waits || !in_job(o->job, r->number))
			continue;
		const struct conf_route *route = route_for(conf, r->address);
		if (route && route != o->delivery->route) {
			char *destination =
				destination_name(route, &route->hosts[0]);
			settlement_moved(moved, r, lane_name(route),
					 destination);
			free(destination);
			continue;
		}
		o->recipients[o->nrecipients] = r;
		o->addresses[o->nrecipients++] = r->address;
	}
	settlement_submit(moved);
}

/* The message can't be had: gone with an operator's remove (then this changes
 * nothing), damaged, or the store is ill. */
static void settle_unloaded(struct outbound *o, const struct err *e)
{
	struct facts facts = outbound_facts(
		o, e->status == ST_PERM ? FACT_CORRUPT : FACT_SELF);
	struct settlement *s = begin_settlement(o);
	struct failure failure;

	facts.text = e->text;
	diagnose(&facts, &failure);
	for (size_t i = 0; i < o->job->n; i++)
		settlement_unloaded(s, o->job->numbers[i], &failure);
	settlement_submit(s);
}

/* Loads the job's message; false: there is nothing to do for it. */
static bool pick_up(struct outbound *o, struct job *job)
{
	struct store *store = o->worker->relay->store;
	struct err e;

	o->job = job;
	o->began_mono_ms = clock_mono_ms();
	if (store->ops->load(store, job->id, &o->message, &e) != ST_OK) {
		settle_unloaded(o, &e);
		put_down(o);
		return false;
	}
	pick_recipients(o);
	if (o->nrecipients > 0)
		return true;
	o->job = NULL;
	put_down(o);
	job_push(&o->delivery->dropped, job);
	return false;
}

static void begin_transaction(struct outbound *o)
{
	const struct message *m = o->message;
	const struct transaction t = {
		.sender = m->sender,
		.recipients = o->addresses,
		.nrecipients = o->nrecipients,
		.bytes = m->bytes + strlen(m->trace_field),
		.has_8bit = m->has_8bit,
	};

	o->body_at = 0;
	o->header_sent = false;
	if (!o->digest)
		o->digest = digest_new();
	digest_reset(o->digest);
	client_mail(o->client, &t);
}

void outbound_next(struct outbound *o)
{
	struct delivery *d = o->delivery;

	while (d->jobs) {
		struct job *job = d->jobs;

		d->jobs = job->next;
		job->next = NULL;
		if (!pick_up(o, job))
			continue;
		begin_transaction(o);
		outbound_talk(o);
		return;
	}
	outbound_park(o);
}

/* ------- the body */

static void body_failed(struct outbound *o, const char *text, enum status st)
{
	struct facts facts =
		outbound_facts(o, st == ST_PERM ? FACT_CORRUPT : FACT_SELF);

	facts.text = text;
	log_fact(
		LOG_ERROR, o->message->id, "body-unreadable",
		F_STR("cause", cause_word(st == ST_PERM ? CAUSE_IS_CORRUPT
							: CAUSE_IS_SELF_STORE)),
		F_STR("reply", text));
	outbound_broke(o, &facts);
}

bool outbound_give_body(struct outbound *o)
{
	struct store *store = o->worker->relay->store;
	const struct message *m = o->message;
	struct buf piece;
	struct err e;

	if (!o->header_sent) {
		client_body(o->client, span_of(m->trace_field));
		o->header_sent = true;
	}
	buf_init(&piece, BODY_PIECE_MAX);
	enum status st =
		store->ops->read_body(store, m->id, o->body_at, &piece, &e);
	struct span s = buf_span(&piece);
	if (st == ST_OK && s.len > 0) {
		digest_add(o->digest, s);
		client_body(o->client, s);
		o->body_at += s.len;
	}
	buf_release(&piece);
	if (st != ST_OK) {
		body_failed(o, e.text, st);
		return false;
	}
	if (o->body_at < m->bytes && s.len > 0)
		return true;
	if (o->body_at != m->bytes || digest_value(o->digest) != m->checksum) {
		body_failed(o,
			    "the stored message is damaged: its checksum "
			    "is not the one taken when it was received",
			    ST_PERM);
		return false;
	}
	client_body_end(o->client);
	return true;
}

/* ------- outcomes */

static bool is_delivered(const struct client_result *r)
{
	return r->stage == CLIENT_DOT && r->reply.code / 100 == 2;
}

/* Settles what was answered, and the rest by `broken` (NULL: there is no
 * rest).  A failure that condemns the destination is reported once. */
static void settle_results(struct outbound *o, const struct failure *broken)
{
	struct delivery *d = o->delivery;
	bool uncertain = client_uncertain(o->client);
	size_t n;
	const struct client_result *results = client_results(o->client, &n);
	struct settlement *s = begin_settlement(o);
	bool any = false;

	BUG_ON(n != o->nrecipients);
	for (size_t i = 0; i < n; i++) {
		struct failure failure;

		if (is_delivered(&results[i])) {
			settlement_delivered(s, o->recipients[i],
					     &results[i].reply);
			any = true;
			continue;
		}
		if (results[i].reply.code) {
			struct facts facts = outbound_facts(o, FACT_REPLY);
			facts.stage = results[i].stage;
			facts.reply = &results[i].reply;
			diagnose(&facts, &failure);
		} else {
			BUG_ON(!broken);
			failure = *broken;
		}
		settlement_failed(s, o->recipients[i], &failure,
				  uncertain && !results[i].reply.code);
		if (failure.reach == AT_DESTINATION) {
			d->failed = true;
			d->failure = failure;
		}
	}
	if (any)
		d->succeeded++;
	settlement_submit(s);
}

void outbound_settle(struct outbound *o)
{
	settle_results(o, NULL);
	put_down(o);
	o->messages++;
	if (o->delivery->failed) {
		outbound_over(o);
		return;
	}
	if (o->stopping)
		job_splice(&o->delivery->returned, &o->delivery->jobs);
	/* The machine is ready, or says that the peer closes. */
	outbound_talk(o);
}

/* A connection that served before may be closed by the peer at any time
 * between two messages (RFC 5321 3.8, 4.5.3.2.7): that is nobody's failure,
 * and the message goes over another one. */
static bool is_stale(const struct outbound *o, const struct facts *f)
{
	size_t n;

	if (o->messages == 0 || !o->job)
		return o->messages > 0 && f->kind != FACT_PROTOCOL;
	if (f->kind != FACT_LOST && f->kind != FACT_REPLY)
		return false;
	if (f->stage != CLIENT_MAIL || client_uncertain(o->client))
		return false;
	const struct client_result *r = client_results(o->client, &n);
	for (size_t i = 0; i < n; i++)
		if (r[i].reply.code && r[i].reply.code != 421)
			return false;
	return true;
}

void outbound_broke(struct outbound *o, const struct facts *facts)
{
	struct delivery *d = o->delivery;
	struct failure failure;

	if (is_stale(o, facts)) {
		if (o->job) {
			job_push(&d->returned, o->job);
			o->job = NULL;
		}
	} else {
		diagnose(facts, &failure);
		if (o->job)
			settle_results(o, &failure);
		if (failure.reach == AT_DESTINATION) {
			d->failed = true;
			d->failure = failure;
		}
	}
	put_down(o);
	outbound_over(o);
}
