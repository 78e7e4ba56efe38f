/* SPDX-License-Identifier: ISC */
/*
 * control_compare - the endpoint that checks the configuration's file, and
 * tells on request what it would mean for the mail that is queued.
 *
 * The queue is read page by page between other turns; nothing is changed.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/difference.h"
#include "daemon/endpoint.h"

enum { PAGE = 256, PROGRESS_EVERY_MS = 500 };

struct comparison {
	struct conf *next; /* owned reference: the file's; NULL: unreadable */
	json_t *verdict; /* owned: the last line */
	struct differences differences;
	struct evbuffer *out; /* owned */
	uint64_t cursor;
	int64_t now_ms, said_mono_ms;
};

static void comparison_free(void *state)
{
	struct comparison *p = state;

	differences_release(&p->differences);
	conf_unref(p->next);
	json_decref(p->verdict);
	if (p->out)
		evbuffer_free(p->out);
	free(p);
}

static void add_problem(void *arg, const char *line)
{
	json_array_append_new(arg, view_text(line));
}

/* ------- lines */

static json_t *owned_text(char *text)
{
	json_t *j = view_text(text);

	free(text);
	return j;
}

static void set_route(json_t *o, const char *prefix, const struct conf_route *r)
{
	char key[32];

	snprintf(key, sizeof(key), "%sroute", prefix);
	json_object_set_new(o, key, view_text(r ? r->name : ""));
	snprintf(key, sizeof(key), "%shosts", prefix);
	json_object_set_new(o, key, owned_text(route_hosts_text(r)));
	snprintf(key, sizeof(key), "%stls", prefix);
	json_object_set_new(o, key, owned_text(route_security_text(r)));
	snprintf(key, sizeof(key), "%ssource_address", prefix);
	json_object_set_new(o, key, view_text(r ? r->source_address : ""));
}

static json_t *view_difference(const struct difference *g)
{
	json_t *o = json_object();

	set_route(o, "", g->from);
	set_route(o, "new_", g->to);
	json_object_set_new(o, "expiry",
			    json_string(expiry_change_word(g->expiry)));
	json_object_set_new(o, "messages",
			    json_integer((json_int_t)g->messages));
	json_object_set_new(o, "recipients",
			    json_integer((json_int_t)g->recipients));
	return o;
}

static void add_differences(struct comparison *p)
{
	const struct differences *d = &p->differences;
	uint64_t seen = 0, affected = 0;

	for (size_t i = 0; i < d->n; i++) {
		seen += d->at[i].recipients;
		if (!d->at[i].differs)
			continue;
		affected += d->at[i].recipients;
		call_line(p->out, view_difference(&d->at[i]));
	}
	json_object_set_new(p->verdict, "recipients",
			    json_integer((json_int_t)seen));
	json_object_set_new(p->verdict, "affected",
			    json_integer((json_int_t)affected));
}

/* ------- the walk */

static bool see_message(void *arg, const struct message *m)
{
	struct comparison *p = arg;

	differences_see(&p->differences, m, p->now_ms);
	return true;
}

static void compare_page(struct call *c)
{
	struct store *store = c->relay->store;
	struct comparison *p = c->state;
	int64_t now = clock_mono_ms();
	bool more = false;
	struct err e;

	if (store->ops->scan(store, &p->cursor, PAGE, &more, see_message, p,
			     &e) != ST_OK) {
		call_break(c);
		return;
	}
	if (more && now - p->said_mono_ms >= PROGRESS_EVERY_MS) {
		p->said_mono_ms = now;
		call_line(p->out,
			  json_pack("{s:I}", "progress",
				    (json_int_t)p->differences.messages));
	}
	if (!more) {
		add_differences(p);
		call_line(p->out, json_incref(p->verdict));
	}
	call_send(c, p->out, more ? compare_page : call_end);
}

/* ------- the endpoint */

void endpoint_check_config(struct call *c)
{
	struct comparison *p = xcalloc(1, sizeof(*p));
	json_t *problems = json_array();
	bool fine;

	c->state = p;
	c->state_free = comparison_free;
	fine = c->conf->check(c->conf->arg, &p->next, add_problem, problems);
	p->verdict = json_object();
	json_object_set_new(p->verdict, "ok", json_boolean(fine));
	json_object_set_new(p->verdict, "problems", problems);
	if (!call_param(c, "against_queue")) {
		call_answer(c, 200, json_incref(p->verdict));
		return;
	}
	p->out = evbuffer_new();
	BUG_ON(!p->out);
	p->now_ms = clock_wall_ms();
	p->said_mono_ms = clock_mono_ms();
	call_stream(c, "application/x-ndjson");
	if (!p->next) {
		/* Nothing can be said of a file that can't be read. */
		call_line(p->out, json_incref(p->verdict));
		call_send(c, p->out, call_end);
		return;
	}
	differences_init(&p->differences, c->snapshot->conf, p->next);
	compare_page(c);
}
