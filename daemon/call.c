/* SPDX-License-Identifier: ISC */
/*
 * call - one request to the control API: who asks, for what, and the answer.
 *
 * A connection that ends early takes its evhttp_connection with it, while the
 * evhttp_request stays ours until it is answered: evhttp then frees it in
 * evhttp_send_reply() or evhttp_send_reply_end() without sending anything.
 * on_closed() is how a call that waits for its reader hears of it.
 */
#include "daemon/call.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"

enum {
	JSON_STYLE = JSON_COMPACT | JSON_ENSURE_ASCII,
	/* How long a reader may stop, as one does who looks at a page of the
	 * list before asking for the next. */
	READER_TIMEOUT_S = 3600,
};

static void on_closed(struct evhttp_connection *evcon, void *arg);

static struct evhttp_connection *connection(const struct call *c)
{
	return c->req ? evhttp_request_get_connection(c->req) : NULL;
}

/* ------- lifetime */

/* An id that owns nothing if the kernel does not say. */
static uid_t peer_uid(struct evhttp_connection *evcon)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evcon);
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (getsockopt(bufferevent_getfd(bev), SOL_SOCKET, SO_PEERCRED, &cred,
		       &len) != 0)
		return (uid_t)-1;
	return cred.uid;
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct call *c = arg;
	call_step *then = c->then;

	(void)fd;
	(void)what;
	c->then = NULL;
	then(c);
}

struct call *call_new(struct call **all, const struct control_conf *conf,
		      struct evhttp_request *req)
{
	struct evhttp_connection *evcon = evhttp_request_get_connection(req);
	struct call *c = xcalloc(1, sizeof(*c));

	c->relay = conf->relay;
	c->conf = conf;
	c->snapshot = snapshot_ref(conf->snapshot(conf->arg));
	c->req = req;
	c->uid = peer_uid(evcon);
	TAILQ_INIT(&c->query);
	c->again = evtimer_new(conf->base, on_again, c);
	BUG_ON(!c->again);
	evhttp_connection_set_closecb(evcon, on_closed, c);

	c->next = *all;
	c->link = all;
	if (c->next)
		c->next->link = &c->next;
	*all = c;
	return c;
}

/* What is said of it from now on goes to nobody. */
static void let_go(struct call *c)
{
	struct evhttp_connection *evcon = connection(c);

	if (evcon)
		evhttp_connection_set_closecb(evcon, NULL, NULL);
	c->req = NULL;
}

/* The request has been answered or left. */
static void call_free(struct call *c)
{
	BUG_ON(c->req);
	*c->link = c->next;
	if (c->next)
		c->next->link = c->link;
	if (c->state_free)
		c->state_free(c->state);
	event_free(c->again);
	dispatch_question_release(&c->question);
	evhttp_clear_headers(&c->query);
	json_decref(c->body);
	free(c->rest);
	snapshot_unref(c->snapshot);
	free(c);
}

static void on_closed(struct evhttp_connection *evcon, void *arg)
{
	struct call *c = arg;

	(void)evcon;
	if (c->then && c->for_reader)
		call_end(c);
}

/* evhttp_free() is next and frees the requests itself. */
void call_stop_all(struct call **all)
{
	struct call *next;

	for (struct call *c = *all; c; c = next) {
		next = c->next;
		let_go(c);
		c->stopping = true;
		c->conf = NULL;
		if (c->then) {
			call_free(c);
			continue;
		}
		/* It leaves the list: that goes with the server. */
		*c->link = c->next;
		if (c->next)
			c->next->link = c->link;
		c->next = NULL;
		c->link = &c->next;
	}
}

/* ------- answers */

static void set_headers(struct call *c, const char *content_type)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(c->req);

	evhttp_add_header(headers, "Content-Type", content_type);
	/* One call for each connection: none stays open idly. */
	evhttp_add_header(headers, "Connection", "close");
}

void call_line(struct evbuffer *out, json_t *object)
{
	char *text;

	if (!object)
		return;
	text = json_dumps(object, JSON_STYLE);
	BUG_ON(!text);
	evbuffer_add(out, text, strlen(text));
	evbuffer_add(out, "\n", 1);
	free(text);
	json_decref(object);
}

static const char *reason(int http)
{
	switch (http) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 409:
		return "Conflict";
	case 503:
		return "Service Unavailable";
	default:
		return "Internal Server Error";
	}
}

void call_answer(struct call *c, int http, json_t *object)
{
	struct evhttp_request *req = c->req;
	struct evbuffer *out = evbuffer_new();

	BUG_ON(!out);
	call_line(out, object);
	if (req) {
		set_headers(c, "application/json");
		let_go(c);
		evhttp_send_reply(req, http, reason(http), out);
	}
	evbuffer_free(out);
	call_free(c);
}

void call_fail(struct call *c, int http, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX * 2];
	json_t *o = json_object();
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_object_set_new(o, "error", view_text(text));
	call_answer(c, http, o);
}

void call_fail_err(struct call *c, const struct err *e)
{
	call_fail(c, e->status == ST_PERM ? 404 : 500, "%s", e->text);
}

void call_stream(struct call *c, const char *content_type)
{
	struct timeval patience = {.tv_sec = READER_TIMEOUT_S};
	struct evhttp_connection *evcon = connection(c);

	if (!c->req)
		return;
	set_headers(c, content_type);
	if (evcon)
		bufferevent_set_timeouts(
			evhttp_connection_get_bufferevent(evcon), NULL,
			&patience);
	evhttp_send_reply_start(c->req, 200, reason(200));
}

static void on_drained(struct evhttp_connection *evcon, void *arg)
{
	(void)evcon;
	on_again(-1, 0, arg);
}

void call_yield(struct call *c, call_step *then)
{
	static const struct timeval now = {0, 0};

	c->then = then;
	c->for_reader = false;
	evtimer_add(c->again, &now);
}

void call_send(struct call *c, struct evbuffer *out, call_step *then)
{
	if (!connection(c)) {
		call_end(c);
		return;
	}
	if (evbuffer_get_length(out) == 0) {
		call_yield(c, then);
		c->for_reader = true;
		return;
	}
	c->then = then;
	c->for_reader = true;
	evhttp_send_reply_chunk_with_cb(c->req, out, on_drained, c);
}

void call_say(struct call *c, json_t *object)
{
	struct evbuffer *out = evbuffer_new();

	BUG_ON(!out);
	call_line(out, object);
	if (connection(c))
		evhttp_send_reply_chunk(c->req, out);
	evbuffer_free(out);
}

void call_end(struct call *c)
{
	struct evhttp_request *req = c->req;

	if (req) {
		let_go(c);
		evhttp_send_reply_end(req);
	}
	call_free(c);
}

void call_break(struct call *c)
{
	struct evhttp_connection *evcon = connection(c);

	if (!evcon) {
		call_end(c);
		return;
	}
	let_go(c);
	evhttp_connection_free(evcon);
	call_free(c);
}

/* ------- what handlers share */

static void on_answered(struct note *note)
{
	struct call *c = CONTAINER_OF(note, struct call, question.done);

	if (c->stopping) {
		call_end(c);
		return;
	}
	c->answered(c);
}

void call_order(struct call *c, const struct dispatch_question *what,
		call_step *then)
{
	struct dispatch_question *q = &c->question;

	dispatch_question_release(q);
	*q = *what;
	q->reply_to = c->relay->main_mail;
	q->done.run = on_answered;
	c->answered = then;
	dispatch_ask(c->relay->dispatch, q);
}

void call_ask(struct call *c, enum dispatch_order order, const char *pattern,
	      call_step *then)
{
	const struct dispatch_question what = {
		.order = order,
		.pattern = pattern,
	};

	call_order(c, &what, then);
}

struct view call_view(const struct call *c)
{
	return (struct view){
		.now_ms = clock_wall_ms(),
		.conf = c->snapshot->conf,
		.active = c->question.active,
		.nactive = c->question.nactive,
		.destinations = c->question.views,
		.ndestinations = c->question.nviews,
	};
}

void call_actor(const struct call *c, char out[CALL_ACTOR_MAX])
{
	snprintf(out, CALL_ACTOR_MAX, "uid %jd", (intmax_t)c->uid);
}

const char *call_param(const struct call *c, const char *key)
{
	return evhttp_find_header(&c->query, key);
}

static bool listed(const char *const *list, const char *key)
{
	for (; *list; list++)
		if (strcmp(*list, key) == 0)
			return true;
	return false;
}

bool call_filter(struct call *c, struct filter *f, const char *const *skip)
{
	struct evkeyval *kv;
	struct err e;

	TAILQ_FOREACH(kv, &c->query, next) {
		if (listed(skip, kv->key))
			continue;
		if (filter_set(f, kv->key, kv->value, &e) == ST_OK)
			continue;
		call_fail(c, 400, "%s", e.text);
		return false;
	}
	return true;
}
