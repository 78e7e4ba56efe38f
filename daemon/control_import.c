/* SPDX-License-Identifier: ISC */
/*
 * control_import - the endpoints that take messages from another queue, or
 * back from an export.
 *
 *	POST /v1/import             the parcel: the message without its body;
 *	                            "present" if it is known here already
 *	POST /v1/import/ID?at=N     a piece of the body, durable when answered
 *	POST /v1/import/ID?at=N&end=true    the last one: the checksum is
 *	                            compared, and the message accepted
 *
 * A message keeps its id: ids are unique across nodes, and the store knows
 * those it has and those it had, as long as their history is kept.  So the
 * same export can be imported again and again, also into the queue it came
 * from, and nothing is doubled.  `again` asks for a second copy, under a new id.
 *
 * Messages that nobody goes on with are dropped when others come, and at a
 * start.
 */
#include <event2/buffer.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/units.h"
#include "daemon/audit.h"
#include "daemon/endpoint.h"
#include "daemon/parcel.h"

enum {
	IMPORTS_MAX = 64, /* at once */
	IDLE_MS = 10 * 60 * 1000,
	BATCH_NAME_MAX = 40,
};

/* A run of relayctl, which is one entry of the audit. */
struct batch {
	char name[BATCH_NAME_MAX + 1];
	uid_t uid;
	struct audit audit;
	uint64_t messages, recipients;
};

struct import {
	struct import *next;
	struct message *message; /* owned */
	struct digest *digest; /* owned */
	uint64_t at; /* so much is there */
	bool stored; /* pieces of it are in the store */
	int64_t used_mono_ms;
	bool busy; /* a piece is at the writer */
};

/* All that is under way. */
struct imports {
	struct import *first;
	struct batch batch;
};

static void import_free(struct import *im)
{
	message_free(im->message);
	digest_free(im->digest);
	free(im);
}

void imports_free(struct imports *all)
{
	while (all && all->first) {
		struct import *im = all->first;

		all->first = im->next;
		import_free(im);
	}
	free(all);
}

static struct imports *imports_of(struct call *c)
{
	struct relay *relay = c->relay;

	if (!relay->imports)
		relay->imports = xcalloc(1, sizeof(*relay->imports));
	return relay->imports;
}

static struct import *find(struct call *c, uint64_t id)
{
	struct import *im = imports_of(c)->first;

	while (im && im->message->id != id)
		im = im->next;
	return im;
}

/* ------- dropping */

struct drop {
	struct write write;
};

static void on_dropped(struct note *note)
{
	struct drop *d = CONTAINER_OF(note, struct drop, write.done);

	store_op_release(&d->write.op);
	free(d);
}

static void forget(struct call *c, struct import *im)
{
	struct import **at = &imports_of(c)->first;

	while (*at != im)
		at = &(*at)->next;
	*at = im->next;
	import_free(im);
}

static void drop(struct call *c, struct import *im)
{
	struct drop *d;

	if (im->stored) {
		d = xcalloc(1, sizeof(*d));
		d->write.op.verb = STORE_DROP;
		d->write.op.id = im->message->id;
		d->write.done.run = on_dropped;
		writer_submit(c->relay->writer, &d->write);
	}
	forget(c, im);
}

static size_t drop_idle(struct call *c)
{
	int64_t now = clock_mono_ms();
	struct import *next;
	size_t n = 0;

	for (struct import *im = imports_of(c)->first; im; im = next) {
		next = im->next;
		if (!im->busy && now - im->used_mono_ms > IDLE_MS)
			drop(c, im);
		else
			n++;
	}
	return n;
}

/* ------- the parcel */

static bool flag(const struct call *c, const char *key)
{
	const char *value = call_param(c, key);

	return value && strcmp(value, "true") == 0;
}

static void answer_state(struct call *c, const struct message *m,
			 const char *state)
{
	json_t *o = json_object();

	json_object_set_new(o, "id", view_id(m->id));
	json_object_set_new(o, "state", json_string(state));
	json_object_set_new(o, "recipients",
			    json_integer((json_int_t)m->nrecipients));
	call_answer(c, 200, o);
}

/* Was it ever here?  ST_PERM is no. */
static enum status is_known(struct call *c, uint64_t id, struct err *e)
{
	struct store *store = c->relay->store;
	struct message *m;
	enum status st;

	st = store->ops->history(store, id, &m, NULL, NULL, e);
	if (st == ST_OK)
		message_free(m);
	return st;
}

static void take_parcel(struct call *c, struct message *m)
{
	struct import *im = xcalloc(1, sizeof(*im));
	struct imports *all = imports_of(c);

	if (flag(c, "again"))
		m->id = c->relay->store->ops->new_id(c->relay->store);
	im->message = m;
	im->digest = digest_new();
	im->used_mono_ms = clock_mono_ms();
	im->next = all->first;
	all->first = im;
	answer_state(c, m, "wanted");
}

void endpoint_import(struct call *c)
{
	struct message *m;
	struct import *before;
	enum status known = ST_PERM;
	struct err e;

	if (parcel_open(&m, c->body, c->snapshot->conf, clock_wall_ms(), &e) !=
	    ST_OK) {
		call_fail(c, 409, "%s", e.text);
		return;
	}
	if (!flag(c, "again"))
		known = is_known(c, m->id, &e);
	before = find(c, m->id);
	if (before && !before->busy)
		drop(c, before);
	if (known == ST_TEMP)
		call_fail(c, 503, "%s", e.text);
	else if (known == ST_OK)
		answer_state(c, m, "present");
	else if (flag(c, "dry_run"))
		answer_state(c, m, "wanted");
	else if (drop_idle(c) >= IMPORTS_MAX || (before && before->busy))
		call_fail(c, 503, "too many imports at once");
	else {
		take_parcel(c, m);
		return;
	}
	message_free(m);
}

/* ------- the body */

/* A piece, or the end, on its way to the writer. */
struct piece {
	struct write write;
	struct call *call; /* borrowed: it owns us */
	struct buf bytes; /* owned */
	struct message *message; /* owned: of the end */
	uint64_t id;
	bool end;
};

static void piece_free(void *state)
{
	struct piece *p = state;

	store_op_release(&p->write.op);
	buf_release(&p->bytes);
	message_free(p->message);
	free(p);
}

static void imported(struct call *c, struct import *im)
{
	struct message *m = im->message;
	char actor[CALL_ACTOR_MAX];

	im->message = NULL;
	forget(c, im);

	call_actor(c, actor);
	log_fact(LOG_INFO, m->id, "imported", F_STR("sender", m->sender),
		 F_INT("recipients", m->nrecipients), F_INT("size", m->bytes),
		 F_STR("actor", actor));
	answer_state(c, m, "imported");
	message_free(m);
}

static void on_written(struct note *note)
{
	struct piece *p = CONTAINER_OF(note, struct piece, write.done);
	struct call *c = p->call;
	const struct store_op *op = &p->write.op;
	struct import *im;

	if (c->stopping) {
		call_end(c);
		return;
	}
	im = find(c, p->id);
	BUG_ON(!im); /* it is busy, so nobody dropped it */
	im->busy = false;
	if (op->status != ST_OK) {
		call_fail(c, op->status == ST_TEMP ? 503 : 409, "%s",
			  op->err.text);
		return;
	}
	im->at += p->bytes.len;
	im->stored = !p->end;
	if (p->end) {
		imported(c, im);
		return;
	}
	/* It takes the piece with it. */
	answer_state(c, im->message, "wanted");
}

static void submit(struct call *c, struct import *im, struct piece *p)
{
	struct store_op *op = &p->write.op;

	im->busy = true;
	op->verb = p->end ? STORE_ENQUEUE : STORE_BODY;
	op->id = im->message->id;
	op->at = im->at;
	op->body = buf_span(&p->bytes);
	/* A copy: when relayd stops, this may outlive the import. */
	if (p->end)
		p->message = message_copy(im->message);
	op->message = p->message;
	p->write.reply_to = c->relay->main_mail;
	p->write.done.run = on_written;
	writer_submit(c->relay->writer, &p->write);
}

/* Each run of relayctl is one entry, which counts on. */
static bool audit_import(struct call *c, const struct message *m)
{
	const char *name = call_param(c, "batch");
	struct batch *b = &imports_of(c)->batch;
	struct err e;

	if (!name || name[0] == '\0' || strlen(name) > BATCH_NAME_MAX ||
	    strcmp(name, b->name) != 0 || b->uid != c->uid) {
		*b = (struct batch){.uid = c->uid};
		if (audit_begin(c, &b->audit, &e) != ST_OK) {
			call_fail_err(c, &e);
			return false;
		}
		if (name && strlen(name) <= BATCH_NAME_MAX)
			memcpy(b->name, name, strlen(name) + 1);
	}
	b->messages++;
	b->recipients += m->nrecipients;
	audit_write(c, &b->audit, "queue import",
		    json_pack("{s:I, s:I}", "messages", (json_int_t)b->messages,
			      "recipients", (json_int_t)b->recipients),
		    NULL);
	return true;
}

/* All of it is there, or should be.  False: the call has been answered, and
 * what came of the message is dropped. */
static bool is_whole(struct call *c, struct import *im, size_t last)
{
	const uint64_t bytes = im->at + last, wanted = im->message->bytes;

	if (bytes == wanted &&
	    digest_value(im->digest) == im->message->checksum)
		return true;
	drop(c, im);
	if (bytes == wanted)
		call_fail(c, 409,
			  "damaged: the checksum of the message is "
			  "another one");
	else
		call_fail(c, 409,
			  "damaged: the message has %" PRIu64
			  " bytes, not %" PRIu64,
			  bytes, wanted);
	return false;
}

static struct piece *take_piece(struct call *c, uint64_t id)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
	size_t len = evbuffer_get_length(in);
	struct piece *p = xcalloc(1, sizeof(*p));

	p->call = c;
	p->id = id;
	p->end = flag(c, "end");
	buf_init(&p->bytes, len + 1);
	BUG_ON(len > 0 &&
	       !buf_add(&p->bytes,
			(struct span){(char *)evbuffer_pullup(in, -1), len}));
	c->state = p;
	c->state_free = piece_free;
	return p;
}

/* The import that the call goes on with; NULL: the call was answered. */
static struct import *find_named(struct call *c, uint64_t *id)
{
	const char *at = call_param(c, "at");
	struct import *im = NULL;
	char *end;

	if (msg_id_parse(c->rest, id))
		im = find(c, *id);
	if (!im)
		call_fail(c, 404, "%.40s: no import of it is under way",
			  c->rest);
	else if (im->busy || !at || strtoull(at, &end, 10) != im->at || *end)
		call_fail(c, 409, "at: wants %" PRIu64, im->at);
	else
		return im;
	return NULL;
}

void endpoint_import_body(struct call *c)
{
	struct import *im;
	struct piece *p;
	uint64_t id = 0;

	im = find_named(c, &id);
	if (!im)
		return;
	im->used_mono_ms = clock_mono_ms();
	p = take_piece(c, id);
	digest_add(im->digest, buf_span(&p->bytes));
	if (p->end && !is_whole(c, im, p->bytes.len))
		return;
	if (!p->end && p->bytes.len == 0) {
		call_fail(c, 400, "a piece of the body is missing");
		return;
	}
	if (p->end && !audit_import(c, im->message))
		return;
	submit(c, im, p);
}
