/* SPDX-License-Identifier: ISC */
/*
 * outbound - the life of a delivery session, and the carrying of bytes
 * between its stream and smtp/client.
 *
 *	take -> get the secret -> resolve -> connect
 *	     -> talk (greeting, EHLO, STARTTLS, AUTH) -> ready
 *	     -> message -> message -> ... -> parked at the dispatcher
 *	     -> more messages, or QUIT -> over
 *
 * The delivery is the right to decide: while the dispatcher has it
 * (o->delivery == NULL) the session only watches its connection.
 */
#include "daemon/outbound.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/dispatch.h"
#include "daemon/outbound_session.h"
#include "tls/session.h"

enum {
	BODY_BLOCK_TIMEOUT_MS = 3 * 60 * 1000, /* RFC 5321 4.5.3.2.5 */
	PARKED_TIMEOUT_MS = 5 * 60 * 1000,
	LINGER_MS = 5000,
	/* Given and not yet written; with a piece of the body behind it, it
	 * stays under STREAM_OUTPUT_MAX. */
	BODY_AHEAD_MAX = 96 * 1024,
};

/* ------- list of the worker */

static void link_session(struct outbound *o)
{
	struct worker *w = o->worker;

	o->next = w->outbounds;
	if (o->next)
		o->next->prev = o;
	w->outbounds = o;
}

static void unlink_session(struct outbound *o)
{
	if (o->prev)
		o->prev->next = o->next;
	else
		o->worker->outbounds = o->next;
	if (o->next)
		o->next->prev = o->prev;
}

unsigned outbound_count(const struct worker *w)
{
	unsigned n = 0;

	for (const struct outbound *o = w->outbounds; o; o = o->next)
		n++;
	return n;
}

/* ------- end */

static void free_session(struct outbound *o)
{
	BUG_ON(o->job);
	wish_cancel(o->wish);
	outbound_drop_secret(o);
	outbound_drop_hosts(o);
	stream_free(o->stream);
	client_free(o->client);
	digest_free(o->digest);
	free(o->peer);
	free(o);
}

void outbound_hang_up(struct outbound *o)
{
	struct buf *out = client_output(o->client);

	client_quit(o->client);
	if (stream_write(o->stream, buf_span(out)))
		stream_finish(o->stream, LINGER_MS);
	else
		stream_free(o->stream);
	o->stream = NULL;
	o->quits = false;
}

void outbound_over(struct outbound *o)
{
	struct delivery *d = o->delivery;
	struct worker *w = o->worker;

	BUG_ON(!d);
	if (o->quits)
		outbound_hang_up(o);
	unlink_session(o);
	d->session = NULL;
	d->report = DELIVERY_OVER;
	d->connected = o->established;
	d->sent_bytes = o->sent_bytes;
	snprintf(d->tls, sizeof(d->tls), "%s", o->tls);
	snprintf(d->verified, sizeof(d->verified), "%s", o->verified);
	job_splice(&d->returned, &d->jobs);
	free_session(o);
	dispatch_throw(w->relay->dispatch, d);
	worker_session_ended(w);
}

/* ------- talk */

struct facts outbound_facts(const struct outbound *o, enum fact_kind kind)
{
	const struct client *c = o->client;

	return (struct facts){
		.kind = kind,
		.host = o->peer ? o->peer : o->delivery->destination,
		.stage = c ? client_stage(c) : CLIENT_GREETING,
		.in_tls = c && client_in_tls(c),
		.smart_host = !o->delivery->route->mx,
		.offers = c ? client_offers(c) : 0,
		.ehlo_refused = c && client_ehlo_refused(c),
		.reply = c ? client_reply(c) : NULL,
		.greeting = c ? client_greeting(c) : NULL,
	};
}

/* The machine can go no further on this connection. */
static void talk_failed(struct outbound *o)
{
	const struct client *c = o->client;
	bool forced = delivery_tls(o->delivery) == CONF_TLS_FORCED;
	enum fact_kind kind = FACT_REPLY;
	struct failure failure;

	if (client_protocol_error(c))
		kind = FACT_PROTOCOL;
	else if (client_stage(c) == CLIENT_STARTTLS && forced &&
		 !(client_offers(c) & OFFER_STARTTLS))
		kind = FACT_NO_STARTTLS;
	else if (client_stage(c) == CLIENT_AUTH && !client_reply(c)->code)
		kind = FACT_NO_AUTH;
	if (kind == FACT_REPLY && client_stage(c) == CLIENT_AUTH)
		outbound_auth_failed(o);
	struct facts facts = outbound_facts(o, kind);
	o->quits = true;
	if (o->established) {
		outbound_broke(o, &facts);
		return;
	}
	diagnose(&facts, &failure);
	/* A peer may repeat what we logged in with. */
	transcript_mask(o->delivery->transcript, failure.reply,
			sizeof(failure.reply));
	outbound_address_failed(o, &failure);
}

/* For the next answer. */
static int64_t patience_ms(const struct outbound *o)
{
	if (client_stage(o->client) == CLIENT_STARTTLS)
		return o->delivery->route->starttls_timeout_ms;
	return client_timeout_ms(o->client);
}

/* ------- for the trace */

/* What is about to be written. */
static void note_said(struct outbound *o, struct span said)
{
	struct transcript *t = o->delivery->transcript;
	int64_t now_ms = clock_mono_ms();

	o->sent_bytes += said.len;
	if (o->body_given)
		transcript_sent(t, now_ms, said.len);
	else if (client_stage(o->client) == CLIENT_AUTH)
		transcript_said_secret(t, now_ms, said);
	else
		transcript_said(t, now_ms, said);
	o->body_given = false;
}

void outbound_note_failure(struct outbound *o, const struct failure *f)
{
	transcript_note(o->delivery->transcript, clock_mono_ms(), "%s: %s",
			cause_word(f->cause), f->reply);
}

/* Moves what the machine says to the stream; false: o is over. */
static bool flush(struct outbound *o)
{
	struct buf *out = client_output(o->client);

	if (out->len == 0)
		return true;
	note_said(o, buf_span(out));
	if (!stream_write(o->stream, buf_span(out))) {
		/* The peer reads nothing while we speak: it can't be a body,
		 * for that is given by portions. */
		struct facts facts = outbound_facts(o, FACT_TIMEOUT);
		outbound_broke(o, &facts);
		return false;
	}
	buf_clear(out);
	return true;
}

void outbound_quit(struct outbound *o)
{
	o->quits = true;
	outbound_over(o);
}

/* For the trace: that mail goes in clear text, and why.  A peer that was
 * judged at another address, or before the handshake broke, is not this
 * one. */
static void note_clear(struct outbound *o)
{
	bool forced = o->delivery->route->tls == CONF_TLS_FORCED;
	struct facts facts = outbound_facts(o, FACT_NO_STARTTLS);
	struct failure failure;

	o->tls[0] = '\0';
	snprintf(o->verified, sizeof(o->verified), "%s",
		 forced ? "exception" : "");
	free(o->delivery->certificate);
	o->delivery->certificate = NULL;
	if (o->clear_cause ||
	    delivery_tls(o->delivery) != CONF_TLS_OPPORTUNISTIC)
		return;
	diagnose(&facts, &failure);
	o->clear_cause = failure.cause;
}

static void ready(struct outbound *o)
{
	bool clear = !client_in_tls(o->client);

	/* Promise 5: whatever led here, nothing goes out in clear text. */
	BUG_ON(clear && delivery_tls(o->delivery) == CONF_TLS_FORCED);
	if (clear)
		note_clear(o);
	o->established = true;
	outbound_drop_secret(o);
	transcript_ready(o->delivery->transcript);
	if (o->delivery->probe)
		outbound_quit(o);
	else
		outbound_next(o);
}

/* One step of the machine over the input. */
static enum client_wants step(struct outbound *o)
{
	struct buf *input = stream_input(o->stream);
	struct span in = buf_span(input);
	size_t before = in.len;
	enum client_wants wants = client_step(o->client, &in);

	transcript_heard(o->delivery->transcript, clock_mono_ms(),
			 (struct span){buf_span(input).at, before - in.len});
	buf_take(input, before - in.len);
	return wants;
}

void outbound_talk(struct outbound *o)
{
	for (;;) {
		enum client_wants wants = step(o);

		if (!flush(o))
			return;
		switch (wants) {
		case CLIENT_WANTS_INPUT:
			stream_deadline(o->stream, patience_ms(o));
			return;
		case CLIENT_ASKS_TLS:
			outbound_start_tls(o);
			return;
		case CLIENT_ASKS_BODY:
			if (stream_output_bytes(o->stream) >= BODY_AHEAD_MAX) {
				/* On with STREAM_DRAINED. */
				stream_deadline(o->stream,
						BODY_BLOCK_TIMEOUT_MS);
				return;
			}
			if (!outbound_give_body(o))
				return;
			break;
		case CLIENT_READY:
			ready(o);
			return;
		case CLIENT_SETTLED:
			outbound_settle(o);
			return;
		case CLIENT_FAILED:
		case CLIENT_CLOSED:
			talk_failed(o);
			return;
		}
	}
}

/* ------- what the stream sees */

static void connection_broke(struct outbound *o, enum fact_kind kind)
{
	struct facts facts = outbound_facts(o, kind);
	struct transport *tls = stream_transport(o->stream);
	struct failure failure;

	facts.handshaking = o->shaking;
	if (kind == FACT_LOST)
		facts.text = stream_error(o->stream)->text;
	if (kind == FACT_LOST && !o->client) {
		facts.kind = FACT_CONNECT;
		facts.os = stream_error(o->stream)->os;
	} else if (kind == FACT_TIMEOUT && !o->client) {
		facts.kind = FACT_CONNECT;
		facts.os = ETIMEDOUT;
	} else if (kind == FACT_LOST && tls && tls_session_failure(tls)) {
		facts.kind = FACT_TLS;
		facts.tls_cause = tls_session_failure(tls);
	}
	if (o->established) {
		outbound_broke(o, &facts);
		return;
	}
	diagnose(&facts, &failure);
	outbound_address_failed(o, &failure);
}

/* Nobody waits for us while the dispatcher decides: whatever the peer does
 * then, a 421 or a close, only ends the connection. */
static void parked_stream_seen(struct outbound *o)
{
	stream_free(o->stream);
	o->stream = NULL;
	o->gone = true;
}

void outbound_stream_seen(void *arg, enum stream_event event)
{
	struct outbound *o = arg;

	if (!o->delivery) {
		if (event != STREAM_DRAINED)
			parked_stream_seen(o);
		return;
	}
	switch (event) {
	case STREAM_CONNECTED:
		outbound_connected(o);
		return;
	case STREAM_SECURED:
		outbound_secured(o);
		return;
	case STREAM_READABLE:
	case STREAM_DRAINED:
		if (!o->shaking)
			outbound_talk(o);
		return;
	case STREAM_DEADLINE:
		connection_broke(o, FACT_TIMEOUT);
		return;
	case STREAM_CLOSED:
	case STREAM_FAILED:
		connection_broke(o, FACT_LOST);
		return;
	}
}

/* ------- what the dispatcher throws */

void outbound_park(struct outbound *o)
{
	struct delivery *d = o->delivery;

	o->delivery = NULL;
	d->report = DELIVERY_IDLE;
	d->connected = true;
	stream_deadline(o->stream, PARKED_TIMEOUT_MS);
	dispatch_throw(o->worker->relay->dispatch, d);
}

static void start(struct worker *w, struct delivery *d)
{
	struct outbound *o = xcalloc(1, sizeof(*o));

	o->underway = UNDERWAY_NONE;

	o->worker = w;
	o->delivery = d;
	d->session = o;
	d->began_mono_ms = clock_mono_ms();
	d->transcript = transcript_new(d->began_mono_ms);
	link_session(o);
	if (w->stopping)
		outbound_over(o);
	else
		outbound_begin(o);
}

static void resume(struct outbound *o, struct delivery *d)
{
	o->delivery = d;
	if (o->gone)
		outbound_over(o);
	else if (!d->jobs || o->stopping)
		outbound_quit(o);
	else
		outbound_next(o);
}

static void on_thrown(struct note *note)
{
	struct delivery *d = CONTAINER_OF(note, struct delivery, note);

	if (d->session)
		resume(d->session, d);
	else
		start(d->worker, d);
}

void outbound_throw(struct delivery *d)
{
	d->note.run = on_thrown;
	mailbox_post(d->worker->mail, &d->note);
}

/* ------- stop */

void outbound_stop_all(struct worker *w)
{
	struct outbound *next;

	for (struct outbound *o = w->outbounds; o; o = next) {
		next = o->next;
		o->stopping = true;
		if (!o->delivery)
			continue;
		if (!o->established)
			outbound_over(o);
		else
			job_splice(&o->delivery->returned, &o->delivery->jobs);
	}
}

void outbound_abort_all(struct worker *w)
{
	struct outbound *next;

	for (struct outbound *o = w->outbounds; o; o = next) {
		next = o->next;
		o->stopping = true;
		if (!o->delivery) {
			if (o->stream)
				parked_stream_seen(o);
		} else if (o->established) {
			struct facts facts = outbound_facts(o, FACT_LOST);
			facts.text = "relayd was stopped";
			outbound_broke(o, &facts);
		} else {
			outbound_over(o);
		}
	}
}
