/* SPDX-License-Identifier: ISC */
/*
 * control_exception - the endpoints of TLS exceptions: the list, adding one,
 * ending one.
 *
 * Each change is audited, then made durable, then told to the dispatcher,
 * which tries at once what waits for it.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/audit.h"
#include "daemon/endpoint.h"

/* ------- the list */

void endpoint_exceptions(struct call *c)
{
	json_t *list = json_array(), *row;
	struct evbuffer *out;
	struct err e;
	size_t i;

	if (exception_list(c->relay->store, clock_wall_ms(), list, &e) !=
	    ST_OK) {
		json_decref(list);
		call_fail_err(c, &e);
		return;
	}
	out = evbuffer_new();
	BUG_ON(!out);
	json_array_foreach(list, i, row)
		call_line(out, json_incref(row));
	json_decref(list);
	call_stream(c, "application/x-ndjson");
	call_send(c, out, call_end);
	evbuffer_free(out);
}

/* ------- changes */

enum edit { EDIT_ADD, EDIT_REMOVE };

struct change_of_exception {
	struct call *call; /* borrowed: it owns us */
	enum edit edit;
	struct exception *exception; /* owned reference */
	struct store_record record; /* its strings owned */
	struct write write;
};

static void change_free(void *state)
{
	struct change_of_exception *x = state;

	exception_unref(x->exception);
	store_op_release(&x->write.op);
	store_record_release(&x->record);
	free(x);
}

static void conclude(struct call *c)
{
	const struct change_of_exception *x = c->state;

	if (x->write.op.status != ST_OK) {
		call_fail(c, 503, "%s", x->write.op.err.text);
		return;
	}
	if (x->edit == EDIT_ADD)
		dispatch_exempt(c->relay->dispatch, x->exception);
	else
		dispatch_end_exception(c->relay->dispatch, x->exception);
	call_answer(c, 200, exception_show(x->exception));
}

static void on_written(struct note *note)
{
	struct call *c =
		CONTAINER_OF(note, struct change_of_exception, write.done)
			->call;

	/* What is durable holds from the next start on. */
	if (c->stopping)
		call_end(c);
	else
		conclude(c);
}

static void write_down(struct call *c)
{
	struct change_of_exception *x = c->state;
	json_t *shown = exception_show(x->exception);

	x->record.kind = RECORD_EXCEPTION;
	x->record.key = xstrdup(x->exception->destination);
	if (x->edit == EDIT_ADD)
		x->record.value = json_dumps(shown, JSON_COMPACT);
	json_decref(shown);
	x->write.op.verb = STORE_RECORD;
	x->write.op.record = &x->record;
	x->write.reply_to = c->relay->main_mail;
	x->write.done.run = on_written;
	writer_submit(c->relay->writer, &x->write);
}

static void begin(struct call *c, enum edit edit, struct exception *exception)
{
	struct change_of_exception *x = xcalloc(1, sizeof(*x));

	x->call = c;
	x->edit = edit;
	x->exception = exception;
	c->state = x;
	c->state_free = change_free;
	audit_call(c, edit == EDIT_ADD ? "exception add" : "exception remove",
		   json_pack("{s:o}", "exception", exception_show(exception)),
		   write_down);
}

void endpoint_exception_add(struct call *c)
{
	char actor[CALL_ACTOR_MAX];
	struct exception *x;
	struct err e;

	call_actor(c, actor);
	x = exception_ask(c->body, c->snapshot->conf, actor, clock_wall_ms(),
			  &e);
	if (x)
		begin(c, EDIT_ADD, x);
	else
		call_fail(c, e.status == ST_PERM ? 400 : 409, "%s", e.text);
}

void endpoint_exception_remove(struct call *c)
{
	const char *name =
		json_string_value(json_object_get(c->body, "destination"));
	struct exception *x;
	struct err e;

	if (!name) {
		call_fail(c, 400, "destination: wants a name");
		return;
	}
	if (exception_find(c->relay->store, name, &x, &e) != ST_OK)
		call_fail_err(c, &e);
	else
		begin(c, EDIT_REMOVE, x);
}
