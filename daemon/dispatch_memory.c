/* SPDX-License-Identifier: ISC */
/*
 * dispatch_memory - what is written down of destinations, and what of it
 * outlives their lanes.
 *
 * A failing host of a route is written down so that a restart begins with a
 * probe of it.  Where MX decides, hosts are found out anew with the mail, so
 * that they fail is not.
 *
 * A suspension belongs to the name: it holds for every lane that has a
 * destination of that name, today or some day.  Lanes where MX decides come
 * and go with their mail, and after a restart nobody knows their hosts before
 * DNS has answered; so all suspensions stand in a table of their own, and each
 * new destination is looked for there.  A suspended "route/domain" keeps the
 * whole lane from its hosts.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"

struct suspension {
	struct destination_record record; /* owned; its name is the key */
	bool shown; /* with a lane, in the answer in hand */
	UT_hash_handle hh;
};

static struct suspension *find(struct dispatch *d, const char *name)
{
	struct suspension *s;

	HASH_FIND_STR(d->suspensions, name, s);
	return s;
}

static void drop(struct dispatch *d, struct suspension *s)
{
	if (!s)
		return;
	HASH_DEL(d->suspensions, s);
	destination_record_release(&s->record);
	free(s);
}

/* In place of what is known of that name; takes the record. */
static void keep(struct dispatch *d, const struct destination_record *r)
{
	struct suspension *s = xcalloc(1, sizeof(*s));

	drop(d, find(d, r->name));
	s->record = *r;
	HASH_ADD_KEYPTR(hh, d->suspensions, s->record.name,
			strlen(s->record.name), s);
}

void memory_close(struct dispatch *d)
{
	struct suspension *s, *next;

	for (s = d->suspensions; s; s = next) {
		next = s->hh.next;
		drop(d, s);
	}
}

/* ------- written down */

struct remembrance {
	struct write write;
	struct destination_record record;
};

static void on_remembered(struct note *note)
{
	struct remembrance *r =
		CONTAINER_OF(note, struct remembrance, write.done);

	/* If it could not be written, a restart begins with a probe: no harm,
	 * unless it was to be left alone. */
	if (r->write.op.status != ST_OK && r->record.suspended)
		log_fact(LOG_ERROR, 0, "suspension-unwritten",
			 F_STR("destination", r->record.name),
			 F_STR("text", r->write.op.err.text));
	store_op_release(&r->write.op);
	destination_record_release(&r->record);
	free(r);
}

/* Takes the record. */
static void write_down(struct dispatch *d, const struct destination_record *of)
{
	struct remembrance *r = xcalloc(1, sizeof(*r));

	r->record = *of;
	r->write.op.verb = STORE_DESTINATION;
	r->write.op.destination = &r->record;
	r->write.done.run = on_remembered;
	writer_submit(d->relay->writer, &r->write);
}

void dispatch_remember(struct dispatch *d, const struct destination *dest)
{
	struct suspension *s = find(d, dest->name);
	bool suspended = dest->state == DESTINATION_SUSPENDED;
	struct destination_record record;

	if (!s && !suspended && dest->route->mx)
		return;
	if (suspended) {
		destination_to_record(dest, &record);
		keep(d, &record);
	} else {
		drop(d, s);
	}
	destination_to_record(dest, &record);
	write_down(d, &record);
}

/* ------- suspended and resumed */

static void log_suspension(const struct destination_record *r,
			   const char *actor)
{
	char until[CLOCK_RFC3339_MAX];

	if (r->until_ms != 0)
		clock_rfc3339(until, r->until_ms);
	log_fact(LOG_INFO, 0,
		 r->suspended ? "destination-suspended" : "destination-resumed",
		 F_STR("destination", r->name), F_STR("actor", actor),
		 F_STR("until", r->until_ms != 0 ? until : NULL),
		 F_STR("reason",
		       r->suspended && r->reason[0] ? r->reason : NULL));
}

static void log_state(const struct destination *dest, const char *actor)
{
	struct destination_record record;

	destination_to_record(dest, &record);
	log_suspension(&record, actor);
	destination_record_release(&record);
}

void dispatch_suspend(struct dispatch *d, struct lane *l,
		      struct destination *dest,
		      const struct dispatch_question *q)
{
	destination_suspend(dest, q->until_ms, q->reason, clock_wall_ms());
	dispatch_remember(d, dest);
	lane_unpark(l);
	log_state(dest, q->actor);
}

void dispatch_resume(struct dispatch *d, struct lane *l,
		     struct destination *dest, const char *actor)
{
	if (!destination_resume(dest, clock_wall_ms()))
		return;
	dispatch_remember(d, dest);
	log_state(dest, actor);
	/* It was no host that held the lane up, but its domain. */
	if (lane_is_unknown(l, dest))
		lane_forget_hosts(l);
	l->more_due = true;
	l->more_waiting = true;
}

/* One that no lane has.  Frees it. */
static void resume_absent(struct dispatch *d, struct suspension *s,
			  const char *actor)
{
	struct destination_record up = {
		.name = xstrdup(s->record.name),
		.reply = xstrdup(""),
		.reason = xstrdup(""),
	};

	log_suspension(&up, actor);
	drop(d, s);
	write_down(d, &up);
}

/* ------- recalled */

static void recall(struct destination *dest, const struct suspension *s)
{
	const struct destination_record *r = &s->record;

	destination_suspend(dest, r->until_ms, r->reason, r->since_ms);
}

void memory_apply(struct dispatch *d, struct lane *l)
{
	struct suspension *s;

	if (HASH_COUNT(d->suspensions) == 0)
		return;
	if (l->route && l->domain && find(d, l->name))
		lane_stand_in(l);
	for (size_t i = 0; i < l->ndestinations; i++) {
		s = find(d, l->destinations[i]->name);
		if (s)
			recall(l->destinations[i], s);
	}
}

/* Routes with hosts have their lanes from the start. */
static void recall_failing(struct dispatch *d,
			   const struct destination_record *r)
{
	struct lane *l;

	for (l = d->lanes; l; l = l->hh.next) {
		struct destination *dest = lane_destination(l, r->name);

		if (dest)
			destination_recall(dest, r, clock_mono_ms());
	}
}

void memory_open(struct dispatch *d)
{
	struct store *store = d->relay->store;
	struct destination_record *records;
	struct lane *l;
	struct err e;
	size_t n;

	if (store->ops->destinations(store, &records, &n, &e) != ST_OK) {
		log_text(LOG_ERROR, "destinations-unread", "%s", e.text);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		if (records[i].suspended) {
			keep(d, &records[i]);
			continue;
		}
		recall_failing(d, &records[i]);
		destination_record_release(&records[i]);
	}
	free(records);
	for (l = d->lanes; l; l = l->hh.next)
		memory_apply(d, l);
}

/* ------- those without a lane */

void memory_turn(struct dispatch *d)
{
	struct suspension *s, *next;
	int64_t now_ms = clock_wall_ms();

	/* Lanes have ended theirs in their own turn. */
	for (s = d->suspensions; s; s = next) {
		next = s->hh.next;
		if (s->record.until_ms == 0)
			continue;
		if (s->record.until_ms <= now_ms)
			resume_absent(d, s, NULL);
		else
			dispatch_wake_at(d, clock_mono_ms() +
						    s->record.until_ms -
						    now_ms);
	}
}

void memory_shown(struct dispatch *d, const char *name)
{
	struct suspension *s = find(d, name);

	if (s)
		s->shown = true;
}

static void view(const struct destination_record *r, bool suspended,
		 struct destination_view *out)
{
	*out = (struct destination_view){
		.name = xstrdup(r->name),
		.lane = xstrdup(""),
		.state = suspended ? DESTINATION_SUSPENDED : DESTINATION_UP,
		.cause = suspended ? CAUSE_IS_SUSPENDED : CAUSE_IS_NONE,
		.since_ms = suspended ? r->since_ms : clock_wall_ms(),
		.until_ms = suspended ? r->until_ms : 0,
		.reply = xstrdup(""),
		.reason = xstrdup(suspended ? r->reason : ""),
	};
}

/* A suspension again: another reason, another end. */
static void renew(struct dispatch *d, struct suspension *s,
		  const struct dispatch_question *q)
{
	struct destination_record copy;

	free(s->record.reason);
	s->record.reason = xstrdup(q->reason);
	s->record.until_ms = q->until_ms;
	log_suspension(&s->record, q->actor);
	copy = s->record;
	copy.name = xstrdup(copy.name);
	copy.reply = xstrdup(copy.reply);
	copy.reason = xstrdup(copy.reason);
	write_down(d, &copy);
}

void memory_asked(struct dispatch *d, struct dispatch_question *q)
{
	bool resume = q->order == ORDER_RESUME;
	struct suspension *s, *next;

	for (s = d->suspensions; s; s = next) {
		next = s->hh.next;
		bool shown = s->shown;

		s->shown = false;
		if (shown || !dispatch_asked_for(q, s->record.name))
			continue;
		q->views = xrealloc(q->views, q->nviews + 1, sizeof(*q->views));
		view(&s->record, !resume, &q->views[q->nviews++]);
		q->nchanged += resume || q->order == ORDER_SUSPEND;
		if (q->order == ORDER_SUSPEND)
			renew(d, s, q);
		else if (resume)
			resume_absent(d, s, q->actor);
	}
}
