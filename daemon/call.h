/* SPDX-License-Identifier: ISC */
/*
 * call - one request to the control API: who asks, for what, and the answer.
 *
 * A handler answers each call exactly once, with call_answer(), call_fail(),
 * or a stream that call_end() ends; that frees the call and its `state`.  In
 * between it may wait for a slow reader (call_send), its turn (call_yield),
 * the dispatcher (call_ask), or for notes of its own.  Of these only notes
 * outlive control_stop(): their handler then finds `stopping` set and has to
 * give up with call_end().
 *
 * Thread: main.
 */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <jansson.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "daemon/control.h"
#include "daemon/dispatch.h"
#include "daemon/relay.h"
#include "daemon/view.h"

struct call;
typedef void call_step(struct call *c);

struct call {
	struct call *next, **link;       /* the list of all */
	struct relay *relay;             /* borrowed */
	struct snapshot *snapshot;       /* owned reference: today's */
	const struct control_conf *conf; /* borrowed; NULL when stopping */
	bool stopping;

	struct evhttp_request *req;      /* NULL: nobody listens any more */
	uid_t uid;
	struct evkeyvalq query;          /* owned */
	json_t *body;                    /* owned; an object, or NULL */
	char *rest;                      /* owned: the path behind the endpoint's,
					    decoded */

	/* The handler's own; freed with the call. */
	void *state;
	void (*state_free)(void *state);

	/* call.c's */
	call_step *then;                 /* waits for the reader or its turn */
	bool for_reader;                 /* `then` is nothing without one */
	struct event *again;             /* owned */
	call_step *answered;
	struct dispatch_question question;
};

/* Puts a new call on the list at *all. */
struct call *call_new(struct call **all, const struct control_conf *conf,
		      struct evhttp_request *req);
/* The server stops: ends what waits for a reader; leaves what waits for a
 * note, which ends by itself. */
void call_stop_all(struct call **all);

/* ------- answers */

void call_answer(struct call *c, int http, json_t *object);      /* steals it */
/* {"error": text} */
void call_fail(struct call *c, int http, const char *fmt, ...) PRINTF(3, 4);
/* The store's or dispatcher's error: 404 for what is not there, else 500. */
void call_fail_err(struct call *c, const struct err *e);

enum { CALL_SLICE_BYTES = 65536 };
/* Begins an answer of unknown length. */
void call_stream(struct call *c, const char *content_type);
/* Adds a line of NDJSON to out; steals the object, NULL is fine. */
void call_line(struct evbuffer *out, json_t *object);
/*
 * Sends what is in out, and goes on with `then` when the reader has taken it;
 * with nothing in out, after others had their turn.  When the reader is gone
 * the call is freed and `then` never runs.
 */
void call_send(struct call *c, struct evbuffer *out, call_step *then);
/* Goes on with `then` after others had their turn, reader or not. */
void call_yield(struct call *c, call_step *then);
/* Sends a line now without waiting: for few and short ones. */
void call_say(struct call *c, json_t *object);
/* Ends a stream, or gives up; frees the call. */
void call_end(struct call *c);
/* Breaks the connection off, so that the reader sees that something is
 * missing; frees the call. */
void call_break(struct call *c);

/* ------- what handlers share */

/* Asks the dispatcher; `then` finds the answer in c->question, where it stays
 * until the next one. */
void call_ask(struct call *c, enum dispatch_order order, const char *pattern,
	      call_step *then);
/* The same with all that the asker may fill in; what it points to lives as long
 * as the question. */
void call_order(struct call *c, const struct dispatch_question *what,
		call_step *then);
/* By today's configuration, now, and the dispatcher's last answer. */
struct view call_view(const struct call *c);
/* "uid 1000": who makes it, for the history and the log. */
enum { CALL_ACTOR_MAX = 32 };
void call_actor(const struct call *c, char out[CALL_ACTOR_MAX]);
/* A parameter of the query, NULL if not given. */
const char *call_param(const struct call *c, const char *key);
/* Fills f from the query but for the keys in skip, a NULL-ended list.
 * False: the call has been answered. */
MUST_USE bool call_filter(struct call *c, struct filter *f,
			  const char *const *skip);

#endif
