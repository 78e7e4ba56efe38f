/* SPDX-License-Identifier: ISC */
/*
 * outbound_mail - one message after another over an established connection.
 *
 * A job names recipients of one message; the message is loaded when its turn
 * comes, so that what an operator changed meanwhile (held, removed, moved)
 * counts.  What the host can't take is failed before anything is said of it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "daemon/outbound_session.h"
#include "daemon/route.h"
#include "daemon/settle.h"
#include "daemon/stats.h"

/* ------- the message in hand */

static void put_down(struct outbound *o)
{
	if (o->underway != UNDERWAY_NONE)
		underway_leave(o->worker->relay->underway, o->underway);
	o->underway = UNDERWAY_NONE;
	job_free(o->job);
	o->job = NULL;
	message_free(o->message);
	o->message = NULL;
	free(o->recipients);
	o->recipients = NULL;
	free(o->addresses);
	o->addresses = NULL;
	free(o->orcpts);
	o->orcpts = NULL;
	free(o->notifies);
	o->notifies = NULL;
	o->nrecipients = 0;
}

static bool in_job(const struct job *job, uint32_t number)
{
	for (size_t i = 0; i < job->n; i++)
		if (job->numbers[i] == number)
			return true;
	return false;
}

/* Those of the recipients in hand from `from` up to before `end`. */
static struct job *job_new(const struct outbound *o, size_t from, size_t end)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->id = o->message->id;
	j->numbers = xcalloc(end - from, sizeof(*j->numbers));
	for (size_t i = from; i < end; i++)
		j->numbers[j->n++] = o->recipients[i]->number;
	return j;
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
		.bytes = o->sent_bytes,
		.clear_cause = o->clear_cause,
		.began_mono_ms = o->began_mono_ms,
		.attempted = true,
		.has_dsn = (client_offers(o->client) & OFFER_DSN) != 0,
	};

	return settlement_new(o->worker->relay, o->job->id, &attempt);
}

/* Does r queue in another lane today? */
static bool is_elsewhere(const struct outbound *o,
			 const struct conf_route *route,
			 const struct recipient *r)
{
	struct place place;

	place_init(&place, route, r->address);
	bool elsewhere = strcmp(place.lane, o->delivery->lane_name) != 0;
	place_release(&place);
	return elsewhere;
}

/* *s is made with the first one: most messages need none. */
static void move(struct outbound *o, struct settlement **s,
		 const struct conf_route *route, const struct recipient *r)
{
	struct place place;

	if (!*s)
		*s = begin_settlement(o);
	place_init(&place, route, r->address);
	settlement_moved(*s, r, place.lane, place.destination);
	place_release(&place);
}

/* Picks the recipients of the job that still wait, and still here: those
 * whose route is another one today are moved. */
static void pick_recipients(struct outbound *o)
{
	const struct conf *conf = o->delivery->snapshot->conf;
	struct message *m = o->message;
	struct settlement *moved = NULL;

	o->recipients = xcalloc(m->nrecipients, sizeof(struct recipient *));
	o->addresses = xcalloc(m->nrecipients, sizeof(char *));
	o->orcpts = xcalloc(m->nrecipients, sizeof(char *));
	o->notifies = xcalloc(m->nrecipients, sizeof(uint32_t));
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];
		bool waits =
			r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED;

		if (!waits || !in_job(o->job, r->number))
			continue;
		const struct conf_route *route = route_for(conf, r->address);
		if (route && is_elsewhere(o, route, r)) {
			move(o, &moved, route, r);
			continue;
		}
		size_t n = o->nrecipients++;
		o->recipients[n] = r;
		o->addresses[n] = r->address;
		o->orcpts[n] = r->orcpt;
		o->notifies[n] = r->notify;
	}
	if (moved)
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
	o->sent_bytes = 0;
	transcript_next(o->delivery->transcript);
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

static uint64_t bytes_to_send(const struct message *m)
{
	return m->bytes + strlen(m->trace_field);
}

/* Fails what this host can't take; false: it was failed. */
static bool fits(struct outbound *o)
{
	const struct message *m = o->message;
	const struct needs needs = {
		.bytes = bytes_to_send(m),
		.has_8bit = m->has_8bit,
		.smtputf8 = m->smtputf8,
		.bare_newlines = m->bare_newlines,
	};
	struct failure failure;

	if (diagnose_needs(&needs, o->peer, client_offers(o->client),
			   client_size_limit(o->client), &failure))
		return true;
	struct settlement *s = begin_settlement(o);
	for (size_t i = 0; i < o->nrecipients; i++)
		settlement_failed(s, o->recipients[i], &failure, false);
	settlement_submit(s);
	return false;
}

/* Gives back those recipients that are too many for one transaction, by what
 * the host announced (RFC 9422) or has shown. */
static void keep_within_limit(struct outbound *o)
{
	size_t max = client_rcpt_max(o->client);
	struct job *rest;

	if (o->taken_max > 0 && (max == 0 || o->taken_max < max))
		max = o->taken_max;
	if (max == 0 || o->nrecipients <= max)
		return;
	rest = job_new(o, max, o->nrecipients);
	job_push(&o->delivery->returned, rest);
	o->nrecipients = max;
	job_free(o->job);
	o->job = job_new(o, 0, max);
}

/* False: so many outcomes wait for an ailing disk that another one could not
 * be remembered; the message waits instead. */
static bool enter_underway(struct outbound *o)
{
	struct err e;

	o->underway = underway_enter(o->worker->relay->underway);
	if (o->underway != UNDERWAY_NONE)
		return true;
	err_temp(&e, 3, 0, "too many outcomes wait for the disk");
	settle_unloaded(o, &e);
	return false;
}

void outbound_say_underway(struct outbound *o)
{
	const struct underway_what what = {
		.id = o->message->id,
		.first = o->recipients[0]->number,
		.last = o->recipients[o->nrecipients - 1]->number,
		.lane = underway_lane(o->delivery->lane_name),
	};

	underway_say(o->worker->relay->underway, o->underway, &what);
}

static void begin_transaction(struct outbound *o)
{
	const struct message *m = o->message;
	const struct transaction t = {
		.sender = m->sender,
		.recipients = o->addresses,
		.nrecipients = o->nrecipients,
		.bytes = bytes_to_send(m),
		.has_8bit = m->has_8bit,
		.smtputf8 = m->smtputf8,
		.bare_newlines = m->bare_newlines,
		.envid = m->envid,
		.ret = m->ret,
		.orcpt = o->orcpts,
		.notify = o->notifies,
	};

	outbound_start_body(o);
	o->mails++;
	client_mail(o->client, &t);
}

/* Does the host take no more in this session?  RFC 9422. */
static bool is_used_up(const struct outbound *o)
{
	unsigned max = client_mail_max(o->client);

	return max > 0 && o->mails >= max;
}

/* What this connection was made under is over: nothing more goes over it. */
static bool is_outdated(const struct outbound *o)
{
	const struct snapshot *today = o->worker->snapshot;
	const struct exception *x = o->delivery->exception;

	return o->delivery->snapshot->number < today->number ||
	       (x && !exception_holds(x, clock_wall_ms()));
}

void outbound_next(struct outbound *o)
{
	struct delivery *d = o->delivery;

	while (d->jobs && !is_used_up(o) && !is_outdated(o)) {
		struct job *job = d->jobs;

		d->jobs = job->next;
		job->next = NULL;
		if (!pick_up(o, job))
			continue;
		if (!fits(o)) {
			put_down(o);
			continue;
		}
		if (!enter_underway(o)) {
			put_down(o);
			continue;
		}
		keep_within_limit(o);
		begin_transaction(o);
		outbound_talk(o);
		return;
	}
	if (is_used_up(o) || is_outdated(o))
		outbound_quit(o);
	else
		outbound_park(o);
}

/* ------- outcomes */

static bool is_delivered(const struct client_result *r)
{
	return r->stage == CLIENT_DOT && r->reply.code / 100 == 2;
}

/* How many recipients went as far as the message itself. */
static size_t count_taken(const struct client_result *results, size_t n)
{
	size_t taken = 0;

	for (size_t i = 0; i < n; i++)
		taken += results[i].stage == CLIENT_DOT &&
			 results[i].reply.code != 0;
	return taken;
}

/* Recipients that were only too many beside those that were taken go in
 * another transaction, and have not been tried yet (RFC 5321 4.5.3.1.10). */
static bool is_surplus(const struct client_result *r, size_t taken)
{
	return taken > 0 && r->stage == CLIENT_RCPT &&
	       reply_is_too_many(&r->reply);
}

static void give_back(struct outbound *o, size_t at)
{
	struct job *j = o->delivery->returned;

	if (!j || j->id != o->message->id) {
		job_push(&o->delivery->returned, job_new(o, at, at + 1));
		return;
	}
	j->numbers = xrealloc(j->numbers, j->n + 1, sizeof(*j->numbers));
	j->numbers[j->n++] = o->recipients[at]->number;
}

/* Settles what was answered, and the rest by `broken` (NULL: there is no
 * rest).  A failure that concerns more than this mail is reported once. */
static void settle_results(struct outbound *o, const struct failure *broken)
{
	struct delivery *d = o->delivery;
	bool uncertain = client_uncertain(o->client);
	size_t n;
	const struct client_result *results = client_results(o->client, &n);
	struct settlement *s = begin_settlement(o);
	size_t taken = count_taken(results, n);
	bool any = false, all = true;

	BUG_ON(n != o->nrecipients);
	for (size_t i = 0; i < n; i++) {
		struct failure failure;

		if (is_surplus(&results[i], taken)) {
			give_back(o, i);
			o->taken_max = taken;
			continue;
		}
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
		all = false;
		settlement_failed(s, o->recipients[i], &failure,
				  uncertain && !results[i].reply.code);
		if (failure.reach == AT_DESTINATION ||
		    failure_is_throttle(&failure)) {
			d->failed = true;
			d->failure = failure;
		}
	}
	if (any) {
		d->succeeded++;
		stats_add(o->worker->relay->stats, STAT_DELIVERED_BYTES,
			  d->route->name, NULL, o->message->bytes);
	}
	if (!all)
		settlement_transcript(s, d->transcript);
	settlement_keep_underway(s, o->underway);
	o->underway = UNDERWAY_NONE;
	settlement_submit(s);
}

void outbound_settle(struct outbound *o)
{
	FAULT(DELIVERY_ANSWERED);
	settle_results(o, NULL);
	put_down(o);
	o->messages++;
	if (o->delivery->failed) {
		outbound_quit(o);
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
	/* A RSET that is refused makes the connection useless, and says nothing
	 * of the message that waits behind it. */
	if ((f->stage != CLIENT_MAIL && f->stage != CLIENT_RSET) ||
	    client_uncertain(o->client))
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
		outbound_note_failure(o, &failure);
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
