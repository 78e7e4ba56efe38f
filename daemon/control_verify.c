/* SPDX-License-Identifier: ISC */
/*
 * control_verify - the endpoints that look whether the queue is well: verify
 * reads every row, check-queue tells what the sentinel sees.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/endpoint.h"

enum { PORTION = 256, PROGRESS_EVERY_MS = 500 };

struct verification {
	struct store_check check;
	struct evbuffer *out; /* owned */
	int64_t said_mono_ms; /* progress */
};

static void verification_free(void *state)
{
	struct verification *v = state;

	store_check_release(&v->check);
	evbuffer_free(v->out);
	free(v);
}

static void see_fault(void *arg, uint64_t id, const char *text)
{
	struct verification *v = arg;
	json_t *o = json_object();

	json_object_set_new(o, "id", id ? view_id(id) : json_string(""));
	json_object_set_new(o, "fault", view_text(text));
	log_fact(LOG_ERROR, id, "fault", F_STR("text", text));
	call_line(v->out, o);
}

static json_t *counts(const struct store_check *check)
{
	return json_pack("{s:I, s:I, s:I}", "rows", (json_int_t)check->rows,
			 "bytes", (json_int_t)check->bytes, "faults",
			 (json_int_t)check->faults);
}

static void verify_some(struct call *c)
{
	struct store *store = c->relay->store;
	struct verification *v = c->state;
	int64_t now = clock_mono_ms();
	struct err e;

	if (store->ops->verify(store, &v->check, PORTION, see_fault, v, &e) !=
	    ST_OK) {
		call_line(v->out, json_pack("{s:s}", "error", e.text));
		call_send(c, v->out, call_end);
		return;
	}
	if (v->check.over) {
		call_line(v->out, counts(&v->check));
		call_send(c, v->out, call_end);
		return;
	}
	if (now - v->said_mono_ms >= PROGRESS_EVERY_MS) {
		v->said_mono_ms = now;
		call_line(v->out,
			  json_pack("{s:o}", "progress", counts(&v->check)));
	}
	call_send(c, v->out, verify_some);
}

void endpoint_verify(struct call *c)
{
	struct verification *v = xcalloc(1, sizeof(*v));

	store_check_init(&v->check);
	v->said_mono_ms = clock_mono_ms();
	v->out = evbuffer_new();
	BUG_ON(!v->out);
	c->state = v;
	c->state_free = verification_free;
	call_stream(c, "application/x-ndjson");
	verify_some(c);
}

/* ------- what the sentinel sees */

static void on_checked(struct call *c)
{
	call_answer(c, 200, view_sentinel(&c->question.sentinel));
}

void endpoint_check_queue(struct call *c)
{
	call_ask(c, ORDER_CHECK, NULL, on_checked);
}
