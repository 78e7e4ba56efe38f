/* SPDX-License-Identifier: ISC */
/*
 * control_change - the endpoints that change mail: resubmit, hold, release,
 * remove, extend; of one message or of a million.
 *
 * The work goes in slices, so that the main thread serves others in between:
 *
 *	ask          the dispatcher, what is active right now
 *	take_page    a page of the store (or of the named ids); the recipients
 *	             that are chosen become an edit for each message
 *	submit       all edits of the page go to the writer
 *	on_written   ... and come back durable; the last one calls page_done
 *	page_done    asks anew, or finishes
 *
 * A resubmission also makes the dispatcher forget what holds mail back: after
 * the last write, so that what it says it resubmitted is what it found waiting,
 * and before that when the first FORGET_FIRST, and then whenever FORGET_EVERY
 * messages are durable, so that a large one does not wait for its own end.
 *
 * The audit's entry goes to the writer in front of the edits of each page, and
 * once more with the final counts.
 *
 * The work goes on when the client goes away; it was asked for.  It ends with
 * the page in hand when the daemon stops.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/units.h"
#include "daemon/audit.h"
#include "daemon/endpoint.h"
#include "daemon/notice.h"
#include "daemon/order.h"
#include "daemon/route.h"

enum {
	PAGE = 256, /* messages in one go */
	PAGE_RECIPIENTS = 2048, /* and recipients */
	FORGET_FIRST = 1000, /* messages resubmitted */
	FORGET_EVERY = 10000,
	REQUEST_LOGGED_MAX = 512,
};

/* The changes to one message, on their way to the writer. */
struct edit {
	struct edit *next;
	struct write write;
	struct work *work;
	struct change *changes; /* owned */
	struct event *events; /* owned; of the same number */
	struct notices notices; /* of a removal that is to be told */
	size_t told; /* recipients of whose failure senders know */
	struct place *places; /* owned; of a resubmission, likewise */
};

struct work {
	struct call *call; /* borrowed: it owns us */
	struct order order;
	char actor[CALL_ACTOR_MAX];
	struct view view; /* of the page in hand */

	uint64_t cursor;
	size_t next_id; /* into order.ids */
	bool more;

	struct edit *edits, **end; /* owned; of the page, the oldest first */
	size_t pending; /* at the writer */
	size_t chosen; /* recipients of the page */
	struct audit audit;
	bool begun; /* a resubmission: dispatch knows */
	uint64_t forget_at; /* messages */

	/* What is answered. */
	uint64_t messages, recipients;
	uint64_t skipped[SHOWN_STATES];
	uint64_t no_route, unknown, gone, removed;
	uint64_t told; /* of those resubmitted */
	bool failed;
	struct err err;
};

static void edits_free(struct work *w)
{
	struct edit *next;

	for (struct edit *ed = w->edits; ed; ed = next) {
		next = ed->next;
		for (size_t i = 0; i < ed->write.op.nevents; i++)
			event_release(&ed->events[i]);
		for (size_t i = 0; i < ed->write.op.nchanges; i++)
			place_release(&ed->places[i]);
		store_op_release(&ed->write.op);
		notices_release(&ed->notices);
		free(ed->places);
		free(ed->changes);
		free(ed->events);
		free(ed);
	}
	w->edits = NULL;
	w->end = &w->edits;
	w->chosen = 0;
}

static void work_free(void *state)
{
	struct work *w = state;

	BUG_ON(w->pending > 0);
	edits_free(w);
	order_release(&w->order);
	free(w);
}

/* ------- the answer */

static void add_count(json_t *o, const char *key, uint64_t n)
{
	if (n > 0)
		json_object_set_new(o, key, json_integer((json_int_t)n));
}

static json_t *skipped(const struct work *w)
{
	json_t *o = json_object();

	for (int s = 0; s < SHOWN_STATES; s++)
		add_count(o, shown_state_word((enum rcpt_state)s),
			  w->skipped[s]);
	add_count(o, "no-route", w->no_route);
	add_count(o, "unknown", w->unknown);
	add_count(o, "gone", w->gone);
	add_count(o, "removed", w->removed);
	return o;
}

static void log_order(const struct work *w)
{
	char *request = json_dumps(w->call->body, JSON_COMPACT);
	struct span shown = span_of(request);

	if (shown.len > REQUEST_LOGGED_MAX)
		shown.len = REQUEST_LOGGED_MAX;
	log_fact(LOG_INFO, 0, w->order.verb->event, F_STR("actor", w->actor),
		 F_INT("messages", w->messages),
		 F_INT("recipients", w->recipients), F_SPAN("request", shown));
	free(request);
}

static void answer(struct call *c)
{
	struct work *w = c->state;
	const char *error = NULL;
	json_t *o = json_object();
	int http = 200;

	if (w->failed) {
		error = w->err.text;
		http = 503;
	} else if (w->recipients == 0) {
		error = "nothing matched";
		http = 409;
	}
	if (error)
		json_object_set_new(o, "error", view_text(error));
	json_object_set_new(o, "verb", json_string(w->order.verb->word));
	json_object_set_new(o, "messages",
			    json_integer((json_int_t)w->messages));
	json_object_set_new(o, "recipients",
			    json_integer((json_int_t)w->recipients));
	json_object_set_new(o, "dry_run", json_boolean(w->order.dry_run));
	json_object_set_new(o, "skipped", skipped(w));
	add_count(o, "told", w->told);
	if (!w->order.dry_run && w->recipients > 0)
		log_order(w);
	if (!w->order.progress) {
		call_answer(c, http, o);
		return;
	}
	call_say(c, o);
	call_end(c);
}

static json_t *audited(const struct work *w, bool complete)
{
	json_t *facts = json_pack(
		"{s:I, s:I, s:b}", "messages", (json_int_t)w->messages,
		"recipients", (json_int_t)w->recipients, "complete", complete);

	if (w->failed)
		json_object_set_new(facts, "error", view_text(w->err.text));
	return facts;
}

static void conclude(struct call *c)
{
	const struct work *w = c->state;

	if (w->begun)
		call_ask(c, ORDER_RESUBMIT_ENDS, NULL, answer);
	else
		answer(c);
}

static void finish(struct call *c)
{
	const struct work *w = c->state;

	if (w->audit.number == 0)
		conclude(c);
	else
		audit_write(c, &w->audit, w->order.verb->word,
			    audited(w, !w->failed), conclude);
}

/* ------- choosing recipients */

/* Where a resubmitted recipient goes today; false: nowhere. */
static bool set_route(struct edit *ed, const struct recipient *r,
		      struct change *ch, struct event *ev)
{
	const struct conf_route *route =
		route_for(ed->work->view.conf, r->address);
	struct place *place = &ed->places[ed->write.op.nchanges];

	if (!route)
		return false;
	place_init(place, route, r->address);
	ch->lane = place->lane;
	ch->destination = place->destination;
	free(ev->route);
	ev->route = xstrdup(route->name);
	free(ev->destination);
	ev->destination = xstrdup(place->destination);
	/* What was said then is in the history. */
	ch->reply = "";
	return true;
}

static void set_actor(struct event *ev, const struct work *w)
{
	free(ev->actor);
	ev->actor = xstrdup(w->actor);
}

/* The history says by how much. */
static void set_extension(struct event *ev, int64_t by_ms)
{
	char by[UNITS_TEXT_MAX];

	duration_text(by, by_ms);
	free(ev->reply);
	ev->reply = xasprintf("by %s", by);
}

/* Fills the next change and event of ed. */
static void add_change(struct edit *ed, const struct recipient *r)
{
	struct work *w = ed->work;
	struct store_op *op = &ed->write.op;
	struct change *ch = &ed->changes[op->nchanges];
	struct event *ev = &ed->events[op->nevents];

	*ch = (struct change){
		.kind = w->order.verb->change,
		.number = r->number,
		.due_ms = w->view.now_ms,
		.by_ms = w->order.by_ms,
		/* It may be delivered by the time this is written. */
		.unsettled = !rcpt_state_is_final(r->state),
	};
	event_init(ev);
	ev->kind = w->order.verb->kind;
	ev->number = r->number;
	ev->time_ms = w->view.now_ms;
	if (ch->kind == CHANGE_HOLD || ch->kind == CHANGE_DISCARD)
		ev->cause = CAUSE_IS_HELD;
	if (ch->kind == CHANGE_DISCARD)
		ch->reply = "removed by an operator";
	if (ch->kind == CHANGE_REMOVE) {
		free(ev->address);
		ev->address = xstrdup(r->address);
	}
	if (ch->kind == CHANGE_EXTEND)
		set_extension(ev, ch->by_ms);
	if (ch->kind == CHANGE_RESUBMIT && !set_route(ed, r, ch, ev)) {
		event_release(ev);
		w->no_route++;
		return;
	}
	set_actor(ev, w);
	ed->told += ch->kind == CHANGE_RESUBMIT && r->told;
	op->nchanges++;
	op->nevents++;
}

static void choose(struct edit *ed, const struct message *m)
{
	struct work *w = ed->work;

	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];
		enum rcpt_state state = view_state(&w->view, m->id, r);

		switch (order_choose(&w->order, r, state)) {
		case CHOICE_NO:
			break;
		case CHOICE_SKIP:
			w->skipped[state]++;
			break;
		case CHOICE_REMOVED:
			w->removed++;
			break;
		case CHOICE_YES:
			add_change(ed, r);
			break;
		}
	}
}

/* Also the store's `seen`: false ends the page. */
static bool take_message(void *arg, const struct message *m)
{
	struct work *w = arg;
	struct edit *ed;

	if (!filter_has_message(&w->order.filter, m, w->view.now_ms))
		return true;
	ed = xcalloc(1, sizeof(*ed));
	ed->work = w;
	ed->write.op.verb = STORE_CHANGE;
	ed->write.op.id = m->id;
	ed->changes = xcalloc(m->nrecipients + 1, sizeof(*ed->changes));
	ed->events = xcalloc(m->nrecipients + 1, sizeof(*ed->events));
	ed->places = xcalloc(m->nrecipients + 1, sizeof(*ed->places));
	*w->end = ed;
	w->end = &ed->next;
	choose(ed, m);
	w->chosen += ed->write.op.nchanges;
	return w->chosen < PAGE_RECIPIENTS;
}

/* ------- writing */

static void take_page(struct call *c);

static void page_done(struct call *c)
{
	struct work *w = c->state;

	edits_free(w);
	if (c->stopping) {
		call_end(c);
		return;
	}
	if (w->failed || !w->more) {
		finish(c);
		return;
	}
	if (w->order.progress)
		call_say(c, json_pack("{s:{s:I, s:I}}", "progress", "messages",
				      (json_int_t)w->messages, "recipients",
				      (json_int_t)w->recipients));
	if (w->begun && w->messages >= w->forget_at) {
		w->forget_at += FORGET_EVERY;
		call_ask(c, ORDER_FORGET, NULL, take_page);
		return;
	}
	call_ask(c, ORDER_VIEW, NULL, take_page);
}

static void count(struct work *w, const struct edit *ed)
{
	const struct store_op *op = &ed->write.op;

	switch (op->status) {
	case ST_OK:
		w->messages += op->done > 0;
		w->recipients += op->done;
		w->told += op->done > 0 ? ed->told : 0;
		if (op->done > 0)
			notices_log(&ed->notices, op->id);
		break;
	case ST_PERM:
		/* Settled since it was read. */
		w->gone++;
		break;
	case ST_TEMP:
		w->failed = true;
		w->err = op->err;
		break;
	}
}

static void on_written(struct note *note)
{
	struct edit *ed = CONTAINER_OF(note, struct edit, write.done);
	struct work *w = ed->work;

	count(w, ed);
	BUG_ON(w->pending == 0);
	if (--w->pending > 0)
		return;
	FAULT(ORDER_WRITTEN);
	page_done(w->call);
}

/* Tells the sender of what has not been delivered, unless it knows; outside
 * the scan, as it reads. */
static void add_notices(struct edit *ed)
{
	struct work *w = ed->work;
	struct store *store = w->call->relay->store;
	struct store_op *op = &ed->write.op;
	struct notice_fact *facts;
	struct message *m;
	struct err e;
	size_t n = 0;

	/* What is gone meanwhile is not removed either. */
	if (store->ops->load(store, op->id, &m, &e) != ST_OK)
		return;
	facts = xcalloc(op->nevents, sizeof(*facts));
	for (size_t i = 0; i < op->nevents; i++) {
		const struct recipient *r =
			message_recipient(m, ed->events[i].number);

		if (r && r->state != RCPT_DELIVERED && !r->told)
			facts[n++].event = &ed->events[i];
	}
	notices_make(&ed->notices, store, w->view.conf, m, facts, n);
	op->bounces = ed->notices.bounces;
	op->nbounces = ed->notices.n;
	for (size_t i = 0; i < n; i++)
		if (ed->notices.told[i])
			ed->changes[facts[i].event - ed->events].told = true;
	free(facts);
	message_free(m);
}

static void submit(struct call *c)
{
	struct work *w = c->state;

	if (w->audit.number == 0 &&
	    audit_begin(c, &w->audit, &w->err) != ST_OK) {
		w->failed = true;
		edits_free(w);
		finish(c);
		return;
	}
	audit_write(c, &w->audit, w->order.verb->word, audited(w, false), NULL);
	for (struct edit *ed = w->edits; ed && w->order.bounce; ed = ed->next)
		if (ed->write.op.nchanges > 0)
			add_notices(ed);
	FAULT(ORDER_PAGE);
	/* Counted before the first is handed over. */
	for (struct edit *ed = w->edits; ed; ed = ed->next)
		w->pending += ed->write.op.nchanges > 0;
	for (struct edit *ed = w->edits; ed; ed = ed->next) {
		if (ed->write.op.nchanges == 0)
			continue;
		ed->write.op.changes = ed->changes;
		ed->write.op.events = ed->events;
		ed->write.reply_to = c->relay->main_mail;
		ed->write.done.run = on_written;
		writer_submit(c->relay->writer, &ed->write);
	}
}

/* Nothing is written: the choice is counted as if it had been. */
static void pretend(struct call *c)
{
	struct work *w = c->state;

	for (const struct edit *ed = w->edits; ed; ed = ed->next) {
		w->messages += ed->write.op.nchanges > 0;
		w->recipients += ed->write.op.nchanges;
		w->told += ed->told;
	}
	page_done(c);
}

static void act(struct call *c)
{
	struct work *w = c->state;

	if (w->order.dry_run || w->chosen == 0) {
		pretend(c);
		return;
	}
	if (w->order.verb == &verb_resubmit && !w->begun) {
		w->begun = true;
		w->forget_at = FORGET_FIRST;
		call_ask(c, ORDER_RESUBMIT_BEGINS, NULL, submit);
		return;
	}
	submit(c);
}

/* ------- pages */

static enum status take_named(struct work *w, struct store *store,
			      struct err *e)
{
	const struct order *o = &w->order;

	for (size_t n = 0;
	     n < PAGE && w->next_id < o->nids && w->chosen < PAGE_RECIPIENTS;
	     n++) {
		struct message *m;
		enum status st;

		st = store->ops->load(store, o->ids[w->next_id++], &m, e);
		if (st == ST_TEMP)
			return st;
		if (st == ST_PERM) {
			w->unknown++;
			continue;
		}
		take_message(w, m);
		message_free(m);
	}
	w->more = w->next_id < o->nids;
	return ST_OK;
}

static void take_page(struct call *c)
{
	struct work *w = c->state;
	struct store *store = c->relay->store;
	enum status st;

	w->view = call_view(c);
	w->more = false;
	if (w->order.nids > 0)
		st = take_named(w, store, &w->err);
	else
		st = store->ops->scan(store, &w->cursor, PAGE, &w->more,
				      take_message, w, &w->err);
	if (st != ST_OK) {
		w->failed = true;
		edits_free(w);
		finish(c);
		return;
	}
	act(c);
}

/* ------- the endpoints */

static void begin(struct call *c)
{
	const struct work *w = c->state;

	if (w->order.progress)
		call_stream(c, "application/x-ndjson");
	take_page(c);
}

static void start(struct call *c, const struct verb *verb)
{
	struct work *w = xcalloc(1, sizeof(*w));

	w->call = c;
	w->end = &w->edits;
	order_init(&w->order, verb);
	call_actor(c, w->actor);
	c->state = w;
	c->state_free = work_free;
	if (order_parse(&w->order, c->body, &w->err) != ST_OK)
		call_fail(c, 400, "%s", w->err.text);
	else
		call_ask(c, ORDER_VIEW, NULL, begin);
}

void endpoint_resubmit(struct call *c)
{
	start(c, &verb_resubmit);
}

void endpoint_hold(struct call *c)
{
	start(c, &verb_hold);
}

void endpoint_release(struct call *c)
{
	start(c, &verb_release);
}

void endpoint_remove(struct call *c)
{
	start(c, &verb_remove);
}

void endpoint_extend(struct call *c)
{
	start(c, &verb_extend);
}
