/* SPDX-License-Identifier: ISC */
/*
 * inbound_message - a message on its way from the wire into the store.
 *
 * Memory is bounded: one piece that fills up and PIECES_AHEAD that wait for
 * the writer.  A short message (most are) rides whole in the operation that
 * enqueues it: one transaction, one sync.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/units.h"
#include "daemon/inbound_session.h"
#include "daemon/route.h"
#include "daemon/stats.h"
#include "smtp/headers.h"
#include "tls/session.h"

enum {
	PIECE_MAX = 64 * 1024,
	PIECES_AHEAD = 4,
	HOPS_MAX = 50,
	/* A message may pass here more than once: a next hop that hands it
	 * back for another recipient is no loop yet. */
	OWN_HOPS_MAX = 2,
	TRACE_FIELD_MAX = 4096,
};

/* A write of this session's; it owns the bytes it carries. */
struct inbound_write {
	struct write write;
	struct inbound *session; /* NULL: nobody waits for it */
	struct buf bytes;
};

static struct inbound_write *new_write(struct inbound *s, enum store_verb verb)
{
	struct inbound_write *w = xcalloc(1, sizeof(*w));

	w->session = s;
	w->write.op.verb = verb;
	w->write.op.id = s->message->id;
	w->write.reply_to = s->worker->mail;
	buf_init(&w->bytes, PIECE_MAX);
	return w;
}

static void free_write(struct inbound_write *w)
{
	buf_release(&w->bytes);
	store_op_release(&w->write.op);
	free(w);
}

static struct inbound_write *write_of(struct note *note)
{
	return CONTAINER_OF(note, struct inbound_write, write.done);
}

/* ------- begin and end */

void inbound_message_init(struct inbound *s)
{
	buf_init(&s->piece, PIECE_MAX);
}

void inbound_message_begin(struct inbound *s)
{
	struct store *store = s->worker->relay->store;

	s->message = message_new();
	s->message->id = store->ops->new_id(store);
	s->message->received_ms = clock_wall_ms();
	if (!s->digest)
		s->digest = digest_new();
	digest_reset(s->digest);
	s->stored = false;
	s->whole = false;
	s->failed = false;
}

static void forget(struct inbound *s)
{
	message_free(s->message);
	s->message = NULL;
	buf_release(&s->piece);
	buf_init(&s->piece, PIECE_MAX);
	s->whole = false;
	s->enqueueing = false;
}

static void on_dropped(struct note *note)
{
	free_write(write_of(note));
}

void inbound_message_drop(struct inbound *s)
{
	if (!s->message)
		return;
	/* Behind the pieces in the writer's order; if it fails, the store
	 * sweeps at its next start. */
	if (s->stored) {
		struct inbound_write *w = new_write(s, STORE_DROP);

		w->session = NULL;
		w->write.reply_to = NULL;
		w->write.done.run = on_dropped;
		writer_submit(s->worker->relay->writer, &w->write);
	}
	forget(s);
}

bool inbound_message_idle(struct inbound *s)
{
	if (s->message && !s->enqueueing)
		inbound_message_drop(s);
	if (s->pieces > 0 || s->enqueueing)
		return false;
	digest_free(s->digest);
	s->digest = NULL;
	buf_release(&s->piece);
	return true;
}

bool inbound_message_must_wait(const struct inbound *s)
{
	return s->whole || s->pieces >= PIECES_AHEAD;
}

/* ------- the message itself */

/* RFC 3848, RFC 6531 section 4.3. */
static const char *protocol(const struct inbound *s)
{
	static const char *const words[2][2][2] = {
		{{"ESMTP", "ESMTPA"}, {"ESMTPS", "ESMTPSA"}},
		{{"UTF8SMTP", "UTF8SMTPA"}, {"UTF8SMTPS", "UTF8SMTPSA"}},
	};
	bool in_tls = *s->message->tls != '\0';
	bool logged_in = *server_user(s->server) != '\0';

	if (!server_is_esmtp(s->server))
		return "SMTP";
	return words[s->message->smtputf8][in_tls][logged_in];
}

static void replace(char **field, char *with)
{
	free(*field);
	*field = with;
}

static char *trace_field(const struct inbound *s)
{
	const struct transport *tls =
		s->stream ? stream_transport(s->stream) : NULL;
	struct message *m = s->message;
	char client[ADDR_TEXT_MAX], id[MSG_ID_LEN + 1];
	struct buf field;

	addr_literal_text(client, &s->peer);
	msg_id_text(id, m->id);
	char *tls_text =
		tls ? xasprintf("%s with cipher %s", tls_session_version(tls),
				tls_session_cipher(tls))
		    : NULL;
	const struct received r = {
		.helo = m->helo,
		.client = client,
		.hostname = s->snapshot->conf->hostname,
		.protocol = protocol(s),
		.tls = tls_text,
		.id = id,
		.recipient =
			m->nrecipients == 1 ? m->recipients[0].address : NULL,
		.wall_ms = m->received_ms,
	};
	buf_init(&field, TRACE_FIELD_MAX);
	received_field(&field, &r);
	free(tls_text);
	return buf_string(&field);
}

static void describe_recipients(struct inbound *s)
{
	size_t n;
	const char *const *recipients = server_recipients(s->server, &n);

	BUG_ON(n != s->nroutes);
	for (size_t i = 0; i < n; i++) {
		struct recipient *r;
		struct place place;

		place_init(&place, s->routes[i], recipients[i]);
		r = message_add(s->message, recipients[i], place.lane,
				place.destination);
		place_release(&place);
		r->notify = server_notify(s->server, i);
		replace(&r->orcpt, xstrdup(server_orcpt(s->server, i)));
	}
}

static void describe(struct inbound *s)
{
	const struct transport *tls =
		s->stream ? stream_transport(s->stream) : NULL;
	struct message *m = s->message;
	char client[ADDR_TEXT_MAX];

	addr_text(client, &s->peer);
	m->checksum = digest_value(s->digest);
	m->has_8bit = server_has_8bit(s->server);
	m->smtputf8 = server_smtputf8(s->server);
	m->bare_newlines = server_bare_newlines(s->server);
	replace(&m->ret, xstrdup(server_ret(s->server)));
	replace(&m->envid, xstrdup(server_envid(s->server)));
	replace(&m->sender, xstrdup(server_sender(s->server)));
	replace(&m->message_id, xstrdup(server_message_id(s->server)));
	replace(&m->listener, xstrdup(s->listener->name));
	replace(&m->source, xstrdup(s->source ? s->source->name : ""));
	replace(&m->client, xstrdup(client));
	replace(&m->helo, xstrdup(server_helo(s->server)));
	replace(&m->tls, xstrdup(tls ? tls_session_version(tls) : ""));
	describe_recipients(s);
	replace(&m->trace_field, trace_field(s));
}

static void log_received(const struct inbound *s)
{
	const struct message *m = s->message;
	const char *user = server_user(s->server);
	char *sender = xasprintf("<%s>", m->sender);

	log_fact(LOG_INFO, m->id, "received", F_STR("sender", sender),
		 F_INT("recipients", m->nrecipients), F_INT("size", m->bytes),
		 F_STR("listener", m->listener),
		 F_STR("source", *m->source ? m->source : NULL),
		 F_STR("client", m->client),
		 F_STR("tls", *m->tls ? m->tls : NULL),
		 F_STR("user", *user ? user : NULL),
		 F_STR("message_id", *m->message_id ? m->message_id : NULL));
	free(sender);
}

/* What the store could not do, as the client hears it.  RFC 5321 4.2.5: our
 * own trouble is never the message's, so it is temporary; our log has the
 * words. */
static struct err trouble(const struct inbound *s, const struct err *of)
{
	struct err e;

	log_fact(LOG_ERROR, s->message->id, "store-failed",
		 F_STR("cause", cause_word(CAUSE_IS_SELF_STORE)),
		 F_STR("reply", of->text));
	if (of->subject == 3 && of->detail == 1) {
		(void)!err_temp(&e, 3, 1, "Insufficient system storage");
		e.reply = 452;
	} else {
		(void)!err_temp(&e, 3, 0, "Local error, try again later");
	}
	return e;
}

static void count_received(const struct inbound *s)
{
	struct stats *stats = s->worker->relay->stats;
	const char *listener = s->listener->name;

	stats_add(stats, STAT_RECEIVED, listener, NULL,
		  s->message->nrecipients);
	stats_add(stats, STAT_RECEIVED_MESSAGES, listener, NULL, 1);
	stats_add(stats, STAT_RECEIVED_BYTES, listener, NULL,
		  s->message->bytes);
}

static void on_enqueued(struct note *note)
{
	struct inbound_write *w = write_of(note);
	struct inbound *s = w->session;
	struct err e = w->write.op.err;
	bool refused = w->write.op.status != ST_OK;
	char text[MSG_ID_LEN + 16], id[MSG_ID_LEN + 1];

	FAULT(RECEIVE_COMMITTED);
	msg_id_text(id, s->message->id);
	snprintf(text, sizeof(text), "Queued as %s", id);
	free_write(w);
	if (refused) {
		e = trouble(s, &e);
		s->enqueueing = false;
		inbound_message_drop(s);
	} else {
		log_received(s);
		count_received(s);
		forget(s);
	}
	inbound_committed(s, refused ? &e : NULL, text);
}

static void enqueue(struct inbound *s)
{
	struct inbound_write *w = new_write(s, STORE_ENQUEUE);

	describe(s);
	w->bytes = s->piece;
	buf_init(&s->piece, PIECE_MAX);
	w->write.op.at = s->message->bytes - w->bytes.len;
	w->write.op.body = buf_span(&w->bytes);
	w->write.op.message = s->message;
	w->write.done.run = on_enqueued;
	s->enqueueing = true;
	writer_submit(s->worker->relay->writer, &w->write);
}

/* The end has come and every piece is durable, or one could not be. */
static void conclude(struct inbound *s)
{
	struct err e;

	if (s->failed) {
		e = s->error;
		inbound_message_drop(s);
		inbound_committed(s, &e, NULL);
		return;
	}
	if (server_hops(s->server) > HOPS_MAX ||
	    server_own_hops(s->server) > OWN_HOPS_MAX) {
		(void)err_perm(&e, 4, 6, "Too many hops: mail loop");
		e.reply = 554;
		inbound_message_drop(s);
		inbound_committed(s, &e, NULL);
		return;
	}
	enqueue(s);
}

/* ------- pieces */

static void on_piece(struct note *note)
{
	struct inbound_write *w = write_of(note);
	struct inbound *s = w->session;
	const struct store_op *op = &w->write.op;

	FAULT(RECEIVE_PIECE);
	s->pieces--;
	/* It may be of the message before, which was dropped. */
	if (op->status != ST_OK && s->message && s->message->id == op->id &&
	    !s->failed) {
		s->failed = true;
		s->error = trouble(s, &op->err);
	}
	free_write(w);
	if (!s->over && s->whole && s->pieces == 0)
		conclude(s);
	else
		inbound_caught_up(s);
}

static void submit_piece(struct inbound *s)
{
	struct inbound_write *w = new_write(s, STORE_BODY);

	w->bytes = s->piece;
	buf_init(&s->piece, PIECE_MAX);
	w->write.op.at = s->message->bytes - w->bytes.len;
	w->write.op.body = buf_span(&w->bytes);
	w->write.done.run = on_piece;
	s->stored = true;
	s->pieces++;
	writer_submit(s->worker->relay->writer, &w->write);
}

void inbound_message_body(struct inbound *s, struct span bytes)
{
	digest_add(s->digest, bytes);
	while (bytes.len > 0) {
		size_t room = PIECE_MAX - s->piece.len;
		struct span part = {bytes.at,
				    bytes.len < room ? bytes.len : room};

		/* What can't be kept is still read to its end. */
		if (!s->failed && !buf_add(&s->piece, part))
			BUG_ON(true);
		s->message->bytes += part.len;
		bytes = span_skip(bytes, part.len);
		if (s->piece.len == PIECE_MAX)
			submit_piece(s);
	}
}

void inbound_message_commit(struct inbound *s)
{
	s->whole = true;
	if (s->pieces == 0)
		conclude(s);
}
