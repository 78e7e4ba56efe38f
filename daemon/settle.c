/* SPDX-License-Identifier: ISC */
/*
 * settle - the only place where an outcome becomes delivered, deferred,
 * failed or expired.
 *
 * A failure that condemns the destination makes its mail wait for the
 * destination; everything else waits for the retry schedule.  While the cause
 * is one that an administrator on some side has to mend (tls, dns, auth,
 * self, ops) the clock of expiry stands still, up to queue.hold_clock.
 */
#include "daemon/settle.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/units.h"
#include "daemon/alarm.h"
#include "daemon/grace.h"
#include "daemon/notice.h"
#include "daemon/route.h"
#include "daemon/stats.h"
#include "daemon/view.h"
#include "queue/schedule.h"

enum {
	RESUBMIT_PAUSE_MS = 1000,
	POSTPONED_MS = 5 * 60 * 1000, /* a failure that can't be told now */
};

/* A delay that the sender is to be told of. */
struct warning {
	struct event event;
	int64_t until_ms;
};

struct settlement {
	struct write write;
	struct relay *relay;
	struct attempt attempt; /* its strings are owned */
	int64_t now_ms; /* wall, of all outcomes ... */
	uint32_t jitter; /* ... so that a message stays together; 0: not
			  * drawn yet */
	struct change *changes; /* their strings are owned */
	size_t nchanges;
	struct event *events; /* of some of the changes */
	size_t nevents;
	struct warning *warnings;
	size_t nwarnings;
	struct store_record transcript; /* owned; key NULL: none */
	bool may_tell; /* there is something that senders want to hear */
	struct notices notices;
	uint32_t underway; /* its slot, or UNDERWAY_NONE */
	unsigned tries;
};

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

struct settlement *settlement_new(struct relay *relay, uint64_t id,
				  const struct attempt *attempt)
{
	struct settlement *s = xcalloc(1, sizeof(*s));

	s->relay = relay;
	s->underway = UNDERWAY_NONE;
	s->attempt = *attempt;
	s->now_ms = clock_wall_ms();
	s->attempt.destination = xstrdup(or_empty(attempt->destination));
	s->attempt.address = xstrdup(or_empty(attempt->address));
	s->attempt.tls = xstrdup(or_empty(attempt->tls));
	s->attempt.verified = xstrdup(or_empty(attempt->verified));
	s->attempt.certificate = xstrdup(or_empty(attempt->certificate));
	s->write.op.verb = STORE_CHANGE;
	s->write.op.id = id;
	s->write.op.drop_delivered = attempt->queue->keep_delivered_ms == 0;
	if (attempt->transcript)
		settlement_transcript(s, attempt->transcript);
	s->attempt.transcript = NULL;
	return s;
}

static void settlement_free(struct settlement *s)
{
	for (size_t i = 0; i < s->nchanges; i++) {
		free((char *)s->changes[i].lane);
		free((char *)s->changes[i].destination);
		free((char *)s->changes[i].reply);
	}
	for (size_t i = 0; i < s->nevents; i++)
		event_release(&s->events[i]);
	for (size_t i = 0; i < s->nwarnings; i++)
		event_release(&s->warnings[i].event);
	free(s->changes);
	free(s->events);
	free(s->warnings);
	notices_release(&s->notices);
	store_record_release(&s->transcript);
	free((char *)s->attempt.destination);
	free((char *)s->attempt.address);
	free((char *)s->attempt.tls);
	free((char *)s->attempt.verified);
	free((char *)s->attempt.certificate);
	store_op_release(&s->write.op);
	free(s);
}

/* ------- transcript */

/*
 * One of each destination of a message, the last: "ID/HASH" of its name.  The
 * text has a line of JSON in front that says whose it is.
 */
void settlement_transcript(struct settlement *s, const struct transcript *t)
{
	char id[MSG_ID_LEN + 1], at[CLOCK_RFC3339_MAX];
	char *text = transcript_text(t);
	json_t *head;

	msg_id_text(id, s->write.op.id);
	clock_rfc3339(at, s->now_ms);
	head = json_pack("{s:s, s:o, s:o}", "time", at, "destination",
			 view_text(s->attempt.destination), "address",
			 view_text(s->attempt.address));
	char *line = json_dumps(head, JSON_COMPACT | JSON_ENSURE_ASCII);
	BUG_ON(!line);
	store_record_release(&s->transcript);
	s->transcript = (struct store_record){
		.kind = RECORD_TRANSCRIPT,
		.key = xasprintf("%s/%016" PRIx64, id,
				 digest_of(span_of(s->attempt.destination))),
		.value = xasprintf("%s\n%s", line, text),
	};
	free(line);
	json_decref(head);
	free(text);
}

/* ------- one outcome */

static struct change *add_change(struct settlement *s, enum change_kind kind,
				 const struct recipient *r)
{
	s->changes = xrealloc(s->changes, s->nchanges + 1, sizeof(*s->changes));
	struct change *c = &s->changes[s->nchanges++];

	*c = (struct change){
		.kind = kind,
		.number = r->number,
		.attempted = s->attempt.attempted,
		.destination = xstrdup(s->attempt.destination),
	};
	return c;
}

static void replace(char **field, const char *with)
{
	free(*field);
	*field = xstrdup(or_empty(with));
}

/* The event beside the change just added. */
static struct event *add_event(struct settlement *s, enum event_kind kind,
			       const char *status, const char *reply)
{
	const struct change *c = &s->changes[s->nchanges - 1];
	const struct attempt *a = &s->attempt;

	s->events = xrealloc(s->events, s->nevents + 1, sizeof(*s->events));
	struct event *ev = &s->events[s->nevents++];
	event_init(ev);
	ev->kind = kind;
	ev->time_ms = clock_wall_ms();
	ev->number = c->number;
	ev->cause = c->cause;
	ev->attempted = c->attempted;
	ev->uncertain = c->uncertain;
	if (a->attempted)
		ev->duration_ms = clock_mono_ms() - a->began_mono_ms;
	ev->bytes = a->attempted ? a->bytes : 0;
	replace(&ev->route, a->route ? a->route->name : "");
	replace(&ev->destination, a->destination);
	replace(&ev->address, a->address);
	replace(&ev->tls, a->tls);
	replace(&ev->verified, a->verified);
	replace(&ev->certificate, a->certificate);
	replace(&ev->status, status);
	replace(&ev->reply, reply);
	return ev;
}

static void log_outcome(const struct settlement *s, const struct recipient *r,
			enum log_level level)
{
	const struct event *ev = &s->events[s->nevents - 1];
	unsigned attempts = r->attempts + (ev->attempted ? 1 : 0);
	char *rcpt = xasprintf("<%s>", r->address);

	log_fact(level, s->write.op.id, event_word(ev->kind),
		 F_STR("rcpt", rcpt), F_STR("route", ev->route),
		 F_STR("destination", ev->destination),
		 F_STR("address", *ev->address ? ev->address : NULL),
		 F_STR("tls", ev->attempted && *ev->tls ? ev->tls : NULL),
		 F_STR("verified", *ev->verified ? ev->verified : NULL),
		 F_STR("cause", ev->cause ? cause_word(ev->cause) : NULL),
		 F_STR("status", *ev->status ? ev->status : NULL),
		 F_STR("reply", ev->reply),
		 F_STR("uncertain", ev->uncertain ? "true" : NULL),
		 F_SECONDS("queued_s", ev->time_ms - r->fresh_ms),
		 F_INT("attempts", attempts));
	free(rcpt);
}

/* The outcome just logged. */
static void count(const struct settlement *s, enum stat what)
{
	const struct event *ev = &s->events[s->nevents - 1];

	stats_add(s->relay->stats, what, ev->route,
		  ev->cause ? cause_word(ev->cause) : NULL, 1);
}

static double queued_s(const struct settlement *s, const struct recipient *r)
{
	int64_t ms = s->now_ms - r->fresh_ms;

	/* The wall clock may have been put back. */
	return ms > 0 ? (double)ms / 1000 : 0;
}

static void status_text(char out[12], const struct reply *r)
{
	if (r->class)
		snprintf(out, 12, "%u.%u.%u", r->class % 10u,
			 r->subject % 1000u, r->detail % 1000u);
	else
		snprintf(out, 12, "%d.0.0", r->code / 100 % 10);
}

void settlement_delivered(struct settlement *s, const struct recipient *r,
			  const struct reply *reply)
{
	char status[12];
	struct buf line;

	status_text(status, reply);
	buf_init(&line, REPLY_TEXT_MAX + 32);
	reply_line(&line, reply);
	char *words = buf_string(&line);

	struct change *c = add_change(s, CHANGE_DELIVERED, r);
	c->reply = xstrdup(words);
	add_event(s, EVENT_DELIVERED, status, words)->cause =
		s->attempt.clear_cause;
	if (!s->attempt.has_dsn && notice_is_wanted(r, EVENT_DELIVERED))
		s->may_tell = true;
	log_outcome(s, r, LOG_INFO);
	stats_add(s->relay->stats, STAT_DELIVERED,
		  s->events[s->nevents - 1].route, NULL, 1);
	histogram_see(stats_delivery(s->relay->stats), queued_s(s, r));
	free(words);
}

static bool stops_clock(enum cause cause)
{
	switch (cause_group(cause)) {
	case CAUSE_TLS:
	case CAUSE_DNS:
	case CAUSE_AUTH:
	case CAUSE_SELF:
	case CAUSE_OPS:
		return true;
	case CAUSE_OTHER:
	case CAUSE_NET:
	case CAUSE_PEER:
	case CAUSE_MAIL:
		break;
	}
	return false;
}

static int64_t retry_due_ms(struct settlement *s, const struct recipient *r)
{
	const struct conf_durations *list = s->attempt.route
						    ? &s->attempt.route->retry
						    : &s->attempt.queue->retry;

	while (s->jitter == 0)
		s->jitter = random32();
	return s->now_ms +
	       retry_pause_ms(list->at_ms, list->n, r->attempts, s->jitter);
}

/* ------- delay */

static const struct conf *conf_of(const struct settlement *s)
{
	return CONTAINER_OF(s->attempt.queue, const struct conf, queue);
}

static bool is_late(const struct settlement *s, const struct recipient *r)
{
	const struct conf_route *route = route_for(conf_of(s), r->address);
	int64_t after_ms =
		route ? route->warn_after_ms : s->attempt.queue->warn_after_ms;

	return after_ms > 0 && !r->warned &&
	       clock_wall_ms() - s->relay->skipped_ms - r->fresh_ms >=
		       after_ms &&
	       notice_is_wanted(r, EVENT_DEFERRED);
}

/* The sender hears of it, with these words. */
static void add_warning(struct settlement *s, const struct recipient *r,
			enum cause cause, const char *destination,
			const char *reply)
{
	const struct conf_route *route = route_for(conf_of(s), r->address);
	const struct conf_queue *queue = s->attempt.queue;
	struct warning *w;

	s->warnings =
		xrealloc(s->warnings, s->nwarnings + 1, sizeof(*s->warnings));
	w = &s->warnings[s->nwarnings++];
	w->until_ms = recipient_expires_ms(
		r, route ? route->lifetime_ms : queue->lifetime_ms,
		queue->hold_clock_ms, clock_wall_ms());
	event_init(&w->event);
	w->event.kind = EVENT_DEFERRED;
	w->event.number = r->number;
	w->event.cause = cause;
	w->event.time_ms = clock_wall_ms();
	replace(&w->event.destination, destination);
	replace(&w->event.reply, reply);
	s->may_tell = true;
}

void settlement_warned(struct settlement *s, const struct recipient *r)
{
	struct change *c;

	if (!is_late(s, r))
		return;
	c = add_change(s, CHANGE_TOLD, r);
	free((char *)c->destination);
	c->destination = NULL;
	c->attempted = false;
	c->warned = true;
	add_warning(s, r, r->cause, r->destination, r->reply);
}

void settlement_failed(struct settlement *s, const struct recipient *r,
		       const struct failure *failure, bool uncertain)
{
	bool spared = grace_holds(s->relay->store, s->write.op.id, r, failure,
				  s->attempt.queue->self_grace_ms);
	bool final = failure->status == ST_PERM && !spared;
	char status[sizeof(failure->enhanced)];
	struct change *c =
		add_change(s, final ? CHANGE_FAILED : CHANGE_DEFERRED, r);

	c->cause = failure->cause;
	c->uncertain = uncertain;
	c->reply = xstrdup(failure->reply);
	if (!final) {
		c->wait = failure->reach == AT_DESTINATION ? WAIT_DESTINATION
							   : WAIT_TIME;
		c->due_ms = retry_due_ms(s, r);
		c->stop_clock = stops_clock(failure->cause);
		if (is_late(s, r)) {
			c->warned = true;
			add_warning(s, r, failure->cause,
				    s->attempt.destination, failure->reply);
		}
	}
	snprintf(status, sizeof(status), "%s", failure->enhanced);
	if (spared) {
		status[0] = '4'; /* for now */
		alarm_raise(s->relay->alarms, ALARM_SELF_CONFIG,
			    s->attempt.destination,
			    "our mail is refused for a fault of ours: %s",
			    failure->reply);
	}
	add_event(s, final ? EVENT_FAILED : EVENT_DEFERRED, status,
		  failure->reply);
	s->may_tell = s->may_tell || final;
	log_outcome(s, r, final ? LOG_WARN : LOG_INFO);
	count(s, final ? STAT_FAILED : STAT_DEFERRED);
}

void settlement_due_now(struct settlement *s)
{
	s->changes[s->nchanges - 1].due_ms = s->now_ms;
}

void settlement_unloaded(struct settlement *s, uint32_t number,
			 const struct failure *failure)
{
	char nothing[] = "";
	const struct recipient unknown = {
		.number = number,
		.address = nothing,
		.orcpt = nothing,
		.lane = nothing,
		.destination = nothing,
		.reply = nothing,
		.fresh_ms = clock_wall_ms(),
	};

	settlement_failed(s, &unknown, failure, false);
}

void settlement_expired(struct settlement *s, const struct recipient *r)
{
	const struct conf_route *route = route_for(conf_of(s), r->address);
	struct change *c = add_change(s, CHANGE_EXPIRED, r);
	char reply[REPLY_TEXT_MAX];

	/* The cause stays the one that kept it waiting: it is what has to be
	 * mended before `relayctl resubmit --expired`. */
	c->cause = r->cause ? r->cause : CAUSE_IS_EXPIRED;
	c->attempted = false;
	free((char *)c->destination);
	c->destination = NULL;
	snprintf(reply, sizeof(reply), "%s", r->reply);
	struct event *ev = add_event(s, EVENT_EXPIRED, "4.4.7", reply);
	replace(&ev->route, route ? route->name : "");
	replace(&ev->destination, r->destination);
	s->may_tell = true;
	log_outcome(s, r, LOG_WARN);
	count(s, STAT_EXPIRED);
	alarm_raise(s->relay->alarms, ALARM_MAIL_EXPIRED, r->destination,
		    "mail for %s was given up (%s); mend the cause, then "
		    "relayctl resubmit --expired",
		    r->destination, cause_word(c->cause));
}

void settlement_moved(struct settlement *s, const struct recipient *r,
		      const char *lane, const char *destination)
{
	struct change *c = add_change(s, CHANGE_MOVE, r);

	free((char *)c->destination);
	c->destination = xstrdup(destination);
	c->lane = xstrdup(lane);
	c->attempted = false;
	c->due_ms = clock_wall_ms();
	/* A change of lane is no event of the mail: the attempt that follows
	 * names its route. */
}

/* ------- what is told */

static struct change *change_of(struct settlement *s, uint32_t number)
{
	for (size_t i = 0; i < s->nchanges; i++)
		if (s->changes[i].number == number)
			return &s->changes[i];
	bug_found("an event without a change", __FILE__, __LINE__, __func__);
}

/* The facts of this settlement; owned by the caller. */
static struct notice_fact *gather_facts(const struct settlement *s, size_t *n)
{
	struct notice_fact *facts =
		xcalloc(s->nevents + s->nwarnings + 1, sizeof(*facts));

	*n = 0;
	for (size_t i = 0; i < s->nevents; i++) {
		const struct event *ev = &s->events[i];

		if (ev->kind == EVENT_DEFERRED ||
		    (ev->kind == EVENT_DELIVERED && s->attempt.has_dsn))
			continue;
		facts[(*n)++].event = ev;
	}
	for (size_t i = 0; i < s->nwarnings; i++)
		facts[(*n)++] = (struct notice_fact){
			.event = &s->warnings[i].event,
			.until_ms = s->warnings[i].until_ms,
		};
	return facts;
}

static void tell(struct settlement *s, const struct message *m)
{
	size_t n;
	struct notice_fact *facts = gather_facts(s, &n);

	notices_make(&s->notices, s->relay->store, conf_of(s), m, facts, n);
	if (s->notices.n > 0)
		FAULT(NOTICE_MADE);
	for (size_t i = 0; i < n; i++) {
		enum event_kind kind = facts[i].event->kind;

		if (s->notices.told[i] &&
		    (kind == EVENT_FAILED || kind == EVENT_EXPIRED))
			change_of(s, facts[i].event->number)->told = true;
	}
	s->write.op.bounces = s->notices.bounces;
	s->write.op.nbounces = s->notices.n;
	free(facts);
}

/* There are no notices now: what has failed is tried again, and fails then. */
static void postpone(struct settlement *s, const char *why)
{
	int64_t due_ms = clock_wall_ms() + POSTPONED_MS;

	log_fact(LOG_WARN, s->write.op.id, "notice-postponed",
		 F_STR("reply", why));
	for (size_t i = 0; i < s->nchanges; i++) {
		struct change *c = &s->changes[i];

		c->told = c->warned = false;
		if (c->kind != CHANGE_FAILED && c->kind != CHANGE_EXPIRED)
			continue;
		c->kind = CHANGE_DEFERRED;
		c->wait = WAIT_TIME;
		c->due_ms = due_ms;
	}
	for (size_t i = 0; i < s->nevents; i++)
		if (s->events[i].kind == EVENT_FAILED ||
		    s->events[i].kind == EVENT_EXPIRED)
			s->events[i].kind = EVENT_DEFERRED;
	s->write.op.bounces = NULL;
	s->write.op.nbounces = 0;
	notices_release(&s->notices);
}

/* A message that is gone or damaged has nobody to be told. */
static void load_and_tell(struct settlement *s)
{
	struct store *store = s->relay->store;
	struct message *m;
	struct err e;

	switch (store->ops->load(store, s->write.op.id, &m, &e)) {
	case ST_OK:
		tell(s, m);
		message_free(m);
		break;
	case ST_TEMP:
		postpone(s, e.text);
		break;
	case ST_PERM:
		log_fact(LOG_WARN, s->write.op.id, "untold",
			 F_STR("reply", e.text));
		break;
	}
}

/* ------- on its way */

static void announce(const struct settlement *s)
{
	notices_log(&s->notices, s->write.op.id);
	if (s->notices.n == 0)
		return;
	stats_add(s->relay->stats, STAT_RECEIVED, "notice", NULL, s->notices.n);
	stats_add(s->relay->stats, STAT_RECEIVED_MESSAGES, "notice", NULL,
		  s->notices.n);
}

/* It is durable, or there is nothing that it could change. */
static void over(struct settlement *s)
{
	if (s->write.op.status == ST_OK && s->write.op.done > 0)
		announce(s);
	FAULT(SETTLE_DURABLE);
	if (s->underway != UNDERWAY_NONE)
		underway_leave(s->relay->underway, s->underway);
	FAULT(SETTLE_OVER);
	settlement_free(s);
}

/* In the writer's thread. */
static void on_done(struct note *note)
{
	struct settlement *s =
		CONTAINER_OF(note, struct settlement, write.done);
	const struct store_op *op = &s->write.op;

	/* ST_PERM: the message is gone, an operator removed it meanwhile. */
	if (op->status != ST_TEMP) {
		over(s);
		return;
	}
	if (op->nbounces > 0 && op->err.subject == 3 && op->err.detail == 1)
		postpone(s, op->err.text);
	if (s->tries++ == 0) {
		log_fact(LOG_ERROR, op->id, "settle-failed",
			 F_STR("cause", cause_word(CAUSE_IS_SELF_STORE)),
			 F_STR("reply", op->err.text));
		alarm_raise(s->relay->alarms, ALARM_STORE_FAILED, "",
			    "the disk does not take what has happened to "
			    "mail: %s",
			    op->err.text);
	}
	store_op_release(&s->write.op);
	s->write.patient = false;
	if (writer_submit_later(s->relay->writer, &s->write, RESUBMIT_PAUSE_MS))
		return;
	/* Stopping with a store that takes nothing: what was delivered will
	 * be sent again after the restart, which is better than forgotten. It
	 * stays under way, so that it will be marked then. */
	log_fact(LOG_ERROR, op->id, "settle-given-up",
		 F_STR("cause", cause_word(CAUSE_IS_SELF_STORE)));
	settlement_free(s);
}

/* The operation is complete. */
static void prepare(struct settlement *s)
{
	struct store_op *op = &s->write.op;

	if (s->may_tell)
		load_and_tell(s);
	op->changes = s->changes;
	op->nchanges = s->nchanges;
	op->events = s->events;
	op->nevents = s->nevents;
	op->record = s->transcript.key ? &s->transcript : NULL;
}

/* What was delivered is remembered in `underway` until it is durable, and
 * nobody waits for that. */
static bool is_patient(const struct settlement *s)
{
	for (size_t i = 0; i < s->nchanges; i++)
		if (s->changes[i].kind != CHANGE_DELIVERED)
			return false;
	return s->underway != UNDERWAY_NONE && s->notices.n == 0;
}

void settlement_keep_underway(struct settlement *s, uint32_t slot)
{
	s->underway = slot;
}

void settlement_submit(struct settlement *s)
{
	if (s->nchanges == 0) {
		over(s);
		return;
	}
	prepare(s);
	s->write.reply_to = NULL;
	s->write.done.run = on_done;
	s->write.patient = is_patient(s);
	FAULT(SETTLE_SUBMITTED);
	writer_submit(s->relay->writer, &s->write);
}

enum status settlement_apply(struct settlement *s, struct err *e)
{
	struct store *store = s->relay->store;
	struct store_op *op = &s->write.op;

	if (s->nchanges > 0) {
		prepare(s);
		if (store->ops->apply(store, &op, 1) != ST_OK)
			BUG_ON(op->status == ST_OK);
	}
	if (op->status == ST_TEMP) {
		*e = op->err;
		settlement_free(s);
		return ST_TEMP;
	}
	over(s);
	return ST_OK;
}
