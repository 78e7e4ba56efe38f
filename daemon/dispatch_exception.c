/* SPDX-License-Identifier: ISC */
/*
 * dispatch_exception - the exceptions in force, and what begins and ends with
 * each.
 *
 * The store has them; here are copies of those whose time is not over.  A
 * delivery gets its destination's when it is made.  Where the two differ later
 * the connection is not used again: what was agreed on it was another policy.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"

/* ------- the table */

static void drop(struct dispatch *d, size_t i)
{
	exception_end(d->exceptions[i]);
	exception_unref(d->exceptions[i]);
	d->exceptions[i] = d->exceptions[--d->nexceptions];
}

static void drop_named(struct dispatch *d, const char *destination)
{
	for (size_t i = d->nexceptions; i-- > 0;)
		if (strcmp(d->exceptions[i]->destination, destination) == 0)
			drop(d, i);
}

/* Takes the reference. */
static void add(struct dispatch *d, struct exception *x)
{
	drop_named(d, x->destination);
	d->exceptions = xrealloc(d->exceptions, d->nexceptions + 1,
				 sizeof(struct exception *));
	d->exceptions[d->nexceptions++] = x;
}

struct exception *dispatch_exception(const struct dispatch *d,
				     const struct destination *dest)
{
	if (dest->route->no_exceptions)
		return NULL;
	for (size_t i = 0; i < d->nexceptions; i++)
		if (strcmp(d->exceptions[i]->destination, dest->name) == 0 &&
		    exception_holds(d->exceptions[i], clock_wall_ms()))
			return d->exceptions[i];
	return NULL;
}

static void log_exception(const char *event, const struct exception *x)
{
	json_t *shown = exception_show(x);
	char *allow = json_dumps(json_object_get(shown, "allow"), JSON_COMPACT);
	char until[CLOCK_RFC3339_MAX];

	clock_rfc3339(until, x->until_ms);
	log_fact(LOG_WARN, 0, event, F_STR("destination", x->destination),
		 F_STR("allow", allow), F_STR("until", until),
		 F_STR("actor", x->actor), F_STR("reason", x->reason));
	free(allow);
	json_decref(shown);
}

/* Connections are not kept over the change; what fails is tried at once. */
static void policy_changed(struct dispatch *d, const char *destination)
{
	struct lane *l;

	for (l = d->lanes; l; l = l->hh.next) {
		struct destination *dest = lane_destination(l, destination);

		if (!dest)
			continue;
		lane_unpark(l);
		dispatch_touch(d, l);
		if (dest->state != DESTINATION_FAILING)
			continue;
		dest->next_probe_mono_ms = clock_mono_ms();
		dest->probe_asked = true;
	}
}

/* ------- their end */

struct oblivion {
	struct write write;
	struct store_record record;
};

static void on_forgotten(struct note *note)
{
	struct oblivion *o = CONTAINER_OF(note, struct oblivion, write.done);

	/* If it could not be written it is found at the next start, and ends
	 * there. */
	store_op_release(&o->write.op);
	store_record_release(&o->record);
	free(o);
}

static void forget(struct dispatch *d, const char *destination)
{
	struct oblivion *o = xcalloc(1, sizeof(*o));

	o->record.kind = RECORD_EXCEPTION;
	o->record.key = xstrdup(destination);
	o->write.op.verb = STORE_RECORD;
	o->write.op.record = &o->record;
	o->write.done.run = on_forgotten;
	writer_submit(d->relay->writer, &o->write);
}

void exceptions_turn(struct dispatch *d)
{
	int64_t wall_ms = clock_wall_ms();

	for (size_t i = d->nexceptions; i-- > 0;) {
		struct exception *x = d->exceptions[i];

		if (exception_holds(x, wall_ms)) {
			dispatch_wake_at(d, clock_mono_ms() +
						    (x->until_ms - wall_ms));
			continue;
		}
		exception_ref(x);
		drop(d, i);
		forget(d, x->destination);
		log_exception("exception-ended", x);
		policy_changed(d, x->destination);
		exception_unref(x);
	}
}

/* ------- orders */

struct exempting {
	struct note note;
	struct dispatch *dispatch;
	struct exception *exception; /* owned reference */
	bool added;
};

static void on_exempting(struct note *note)
{
	struct exempting *o = CONTAINER_OF(note, struct exempting, note);
	struct dispatch *d = o->dispatch;

	if (o->added)
		add(d, exception_ref(o->exception));
	else
		drop_named(d, o->exception->destination);
	log_exception(o->added ? "exception-added" : "exception-removed",
		      o->exception);
	policy_changed(d, o->exception->destination);
	exception_unref(o->exception);
	free(o);
}

static void order(struct dispatch *d, struct exception *x, bool added)
{
	struct exempting *o = xcalloc(1, sizeof(*o));

	o->dispatch = d;
	o->exception = exception_ref(x);
	o->added = added;
	o->note.run = on_exempting;
	mailbox_post(d->mail, &o->note);
}

void dispatch_exempt(struct dispatch *d, struct exception *x)
{
	order(d, x, true);
}

void dispatch_end_exception(struct dispatch *d, struct exception *x)
{
	order(d, x, false);
}

/* ------- start and end */

void exceptions_open(struct dispatch *d)
{
	struct err e;

	d->exceptions = exception_load(d->relay->store, &d->nexceptions, &e);
	if (!d->exceptions)
		log_text(LOG_ERROR, "exceptions-unread", "%s", e.text);
}

void exceptions_close(struct dispatch *d)
{
	for (size_t i = 0; i < d->nexceptions; i++)
		exception_unref(d->exceptions[i]);
	free(d->exceptions);
}
