/* SPDX-License-Identifier: ISC */
/*
 * inbound - one connection of a client.
 *
 * Two things end separately: the connection and the writes that are under way
 * for its message.  When the connection ends first, the session stays until
 * the writer has answered, and then drops the unfinished body.
 *
 * The order of promises: pieces of the body are submitted as they fill up, at
 * most PIECES_AHEAD of them not yet durable (then reading stops); the message
 * itself is submitted only when all of them are; 250 is said only when that
 * is durable, too.
 */
#include "daemon/inbound.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/units.h"
#include "daemon/inbound_session.h"
#include "daemon/mirror.h"
#include "daemon/policy.h"
#include "daemon/sighting.h"
#include "daemon/stats.h"
#include "net/stream.h"
#include "tls/session.h"

enum {
	MAX_ERRORS = 20,
	LINGER_MS = 5000,
	HANDSHAKE_MAX_MS = 60 * 1000,
};

/* ------- list of the worker */

static void link_session(struct inbound *s)
{
	struct worker *w = s->worker;

	s->next = w->inbounds;
	if (s->next)
		s->next->prev = s;
	w->inbounds = s;
}

static void unlink_session(struct inbound *s)
{
	if (s->prev)
		s->prev->next = s->next;
	else
		s->worker->inbounds = s->next;
	if (s->next)
		s->next->prev = s->prev;
}

unsigned inbound_count(const struct worker *w)
{
	unsigned n = 0;

	for (const struct inbound *s = w->inbounds; s; s = s->next)
		n++;
	return n;
}

/* ------- end */

static void free_session(struct inbound *s)
{
	struct worker *w = s->worker;

	unlink_session(s);
	inbound_uncount(s);
	stream_free(s->stream);
	server_free(s->server);
	free(s->identities);
	free(s->routes);
	snapshot_unref(s->snapshot);
	free(s);
	worker_session_ended(w);
}

/* The connection is gone: nothing but answers is waited for. */
static void free_if_idle(struct inbound *s)
{
	if (inbound_message_idle(s) && !s->login)
		free_session(s);
}

void inbound_over(struct inbound *s)
{
	inbound_proxy_end(s);
	inbound_login_drop(s);
	stream_free(s->stream);
	s->stream = NULL;
	s->over = true;
	free_if_idle(s);
}

/* Lets the last words out, then ends. */
static void finish(struct inbound *s)
{
	stream_finish(s->stream, LINGER_MS);
	s->stream = NULL;
	inbound_over(s);
}

/* ------- replies */

static bool flush(struct inbound *s)
{
	struct buf *out = server_output(s->server);

	if (out->len == 0)
		return true;
	if (!stream_write(s->stream, buf_span(out))) {
		inbound_over(s);
		return false;
	}
	buf_clear(out);
	return true;
}

void inbound_log_refusal(const struct inbound *s, const char *what,
			 const struct err *e)
{
	char client[ADDR_TEXT_MAX];

	stats_add(s->worker->relay->stats, STAT_REFUSED, s->listener->name,
		  what, 1);
	addr_text(client, &s->peer);
	log_fact(LOG_INFO, 0, "refused", F_STR("what", what),
		 F_STR("listener", s->listener->name), F_STR("client", client),
		 F_STR("sender", server_sender(s->server)),
		 F_STR("rcpt", server_recipient(s->server)),
		 F_STR("reply", e->text));
}

/* ------- what the machine asks */

static struct policy_client policy_client(const struct inbound *s)
{
	return (struct policy_client){
		.addr = &s->peer,
		.tls = stream_transport(s->stream),
		.logged_in = *server_user(s->server) != '\0',
	};
}

static enum status check_room(const struct inbound *s, struct err *e)
{
	struct store *store = s->worker->relay->store;
	struct store_space space;

	store->ops->space(store, &space);
	uint64_t free_bytes = space.max_bytes > space.used_bytes
				      ? space.max_bytes - space.used_bytes
				      : 0;
	if (!space.full && server_declared_bytes(s->server) < free_bytes)
		return ST_OK;
	enum status st = err_temp(e, 3, 1, "Insufficient system storage");
	e->reply = 452;
	return st;
}

static void answer_mail(struct inbound *s)
{
	struct policy_client client = policy_client(s);
	struct err e;

	s->nroutes = 0;
	if (policy_sender(s->listener, &client, &e) != ST_OK ||
	    inbound_count_mail(s, &e) != ST_OK || check_room(s, &e) != ST_OK) {
		inbound_log_refusal(s, "MAIL", &e);
		server_refuse(s->server, &e);
		return;
	}
	server_accept(s->server, NULL);
}

static void answer_recipient(struct inbound *s)
{
	struct policy_client client = policy_client(s);
	struct policy_answer answer;
	struct err e;

	if (inbound_count_recipient(s, &e) != ST_OK ||
	    policy_recipient(s->snapshot->conf, s->listener, &client,
			     server_recipient(s->server), &answer,
			     &e) != ST_OK) {
		inbound_log_refusal(s, "RCPT", &e);
		server_refuse(s->server, &e);
		return;
	}
	s->routes = xrealloc(s->routes, s->nroutes + 1,
			     sizeof(struct conf_route *));
	s->routes[s->nroutes++] = answer.route;
	s->source = answer.source;
	server_accept(s->server, NULL);
}

static void answer_data(struct inbound *s)
{
	struct err e;

	if (check_room(s, &e) != ST_OK) {
		inbound_log_refusal(s, "DATA", &e);
		server_refuse(s->server, &e);
		return;
	}
	inbound_message_begin(s);
	server_accept(s->server, NULL);
}

/* For all of it: what the client sends does not put it off. */
static int64_t handshake_ms(const struct conf_listener *l)
{
	return l->timeout_ms < HANDSHAKE_MAX_MS ? l->timeout_ms
						: HANDSHAKE_MAX_MS;
}

static void start_tls(struct inbound *s)
{
	static const enum tls_ask ask[] = {
		[CONF_CLIENT_CERT_NONE] = TLS_ASK_NOTHING,
		[CONF_CLIENT_CERT_REQUEST] = TLS_ASK_REQUEST,
		[CONF_CLIENT_CERT_REQUIRE] = TLS_ASK_REQUIRE,
	};
	const struct conf_listener *l = s->listener;

	if (!s->identities) {
		s->identities =
			xcalloc(l->nidentities, sizeof(struct tls_identity *));
		for (size_t i = 0; i < l->nidentities; i++)
			s->identities[i] = snapshot_identity(s->snapshot,
							     l->identities[i]);
	}
	const struct tls_server_conf conf = {
		.identities = s->identities,
		.nidentities = l->nidentities,
		.trust =
			l->trust ? snapshot_trust(s->snapshot, l->trust) : NULL,
		.ask = ask[l->client_cert],
	};
	struct transport *tls;
	struct err e;

	if (tls_server_new(&tls, stream_fd(s->stream), &conf, &e) != ST_OK) {
		log_text(LOG_ERROR, "tls-failed", "%s", e.text);
		inbound_over(s);
		return;
	}
	s->shaking = true;
	stream_deadline(s->stream, handshake_ms(l));
	/* RFC 3207 section 4.2: what came behind STARTTLS in clear text is
	 * somebody else's; the session ends with it. */
	if (stream_secure(s->stream, tls) > 0) {
		log_fact(LOG_WARN, 0, "starttls-injection",
			 F_STR("listener", l->name));
		inbound_over(s);
	}
}

/* ------- the loop */

/* One step of the machine over the input. */
static enum server_wants step(struct inbound *s)
{
	struct buf *input = stream_input(s->stream);
	struct span in = buf_span(input);
	size_t before = in.len;
	enum server_wants wants = server_step(s->server, &in);

	buf_take(input, before - in.len);
	return wants;
}

/* For the store, or for the judge of a password. */
static bool must_wait(const struct inbound *s)
{
	return s->login || inbound_message_must_wait(s);
}

void inbound_run(struct inbound *s)
{
	for (;;) {
		if (must_wait(s)) {
			if (flush(s))
				stream_pause(s->stream);
			return;
		}
		enum server_wants wants = step(s);

		if (!flush(s))
			return;
		switch (wants) {
		case SERVER_WANTS_INPUT:
			stream_resume(s->stream);
			stream_deadline(s->stream, s->listener->timeout_ms);
			return;
		case SERVER_WANTS_FLUSH:
			/* The stream tells of DRAINED only from the low mark
			 * on. */
			if (stream_output_bytes(s->stream) < STREAM_OUTPUT_LOW)
				break;
			stream_pause(s->stream);
			stream_deadline(s->stream, s->listener->timeout_ms);
			return;
		case SERVER_ASKS_AUTH:
			inbound_login_ask(s);
			break;
		case SERVER_ASKS_MAIL:
			answer_mail(s);
			break;
		case SERVER_ASKS_RCPT:
			answer_recipient(s);
			break;
		case SERVER_ASKS_DATA:
			answer_data(s);
			break;
		case SERVER_GIVES_BODY:
			inbound_message_body(s, server_body(s->server));
			break;
		case SERVER_ASKS_COMMIT:
			/* The answer runs the machine on, at once or later. */
			stream_pause(s->stream);
			inbound_message_commit(s);
			return;
		case SERVER_DROPS:
			inbound_message_drop(s);
			break;
		case SERVER_ASKS_TLS:
			start_tls(s);
			return;
		case SERVER_CLOSES:
			finish(s);
			return;
		}
	}
}

void inbound_caught_up(struct inbound *s)
{
	if (!s->over)
		inbound_run(s);
	else
		free_if_idle(s);
}

void inbound_committed(struct inbound *s, const struct err *refusal,
		       const char *text)
{
	if (s->over) {
		inbound_caught_up(s);
		return;
	}
	if (refusal) {
		inbound_log_refusal(s, "message", refusal);
		server_refuse(s->server, refusal);
	} else {
		server_accept(s->server, text);
	}
	if (s->stopping)
		server_shut_down(s->server, "relayd is being stopped");
	inbound_run(s);
}

/* ------- what the stream sees */

static void note_certificate(const struct inbound *s)
{
	sighting_of_client(s->worker->relay, s->listener, &s->peer,
			   stream_transport(s->stream));
}

static void secured(struct inbound *s)
{
	s->shaking = false;
	note_certificate(s);
	if (s->listener->tls == CONF_TLS_IMPLICIT)
		server_greet(s->server, NULL);
	else
		server_tls_started(s->server);
	inbound_run(s);
}

static void log_broken(const struct inbound *s)
{
	const struct transport *tls = stream_transport(s->stream);
	char client[ADDR_TEXT_MAX];

	if (s->ours)
		return;
	addr_text(client, &s->peer);
	log_fact(s->shaking ? LOG_WARN : LOG_INFO, 0, "connection-lost",
		 F_STR("listener", s->listener->name), F_STR("client", client),
		 F_STR("state",
		       s->shaking ? "TLS handshake" : server_state(s->server)),
		 F_STR("cause", s->shaking && tls
					? cause_word(tls_session_failure(tls))
					: NULL),
		 F_STR("reply", stream_error(s->stream)->text));
}

static void timed_out(struct inbound *s)
{
	/* While we work it is not the client who is late. */
	if (!s->shaking && must_wait(s)) {
		stream_deadline(s->stream, s->listener->timeout_ms);
		return;
	}
	if (s->proxy)
		inbound_proxy_log(s, "the header did not come in time");
	if (s->shaking || s->proxy) {
		inbound_over(s);
		return;
	}
	server_expire(s->server, "Timeout, closing the connection");
	if (flush(s))
		finish(s);
}

static void seen(void *arg, enum stream_event event)
{
	struct inbound *s = arg;

	switch (event) {
	case STREAM_CONNECTED:
		return;
	case STREAM_READABLE:
	case STREAM_DRAINED:
		if (!s->shaking && !s->proxy)
			inbound_run(s);
		return;
	case STREAM_SECURED:
		secured(s);
		return;
	case STREAM_DEADLINE:
		timed_out(s);
		return;
	case STREAM_CLOSED:
		/* A client may close its side and still read our answers. */
		if (s->shaking || s->message)
			inbound_over(s);
		else
			finish(s);
		return;
	case STREAM_FAILED:
		if (s->shaking)
			note_certificate(s);
		log_broken(s);
		inbound_over(s);
		return;
	}
}

/* ------- begin */

/* By address: that a reload can't change; names it may. */
static const struct conf_listener *find_listener(const struct conf *conf,
						 const struct addr *addr)
{
	for (size_t i = 0; i < conf->nlisteners; i++)
		for (size_t k = 0; k < conf->listeners[i].naddresses; k++)
			if (addr_eq(&conf->listeners[i].addresses[k], addr))
				return &conf->listeners[i];
	return NULL;
}

/* RFC 5321 4.3.1: a client waits for the greeting.  One that has spoken before
 * it talks to somebody else, or to nobody. */
static enum status check_silence(const struct inbound *s, struct err *e)
{
	int bytes = 0;

	if (ioctl(stream_fd(s->stream), FIONREAD, &bytes) < 0 || bytes == 0)
		return ST_OK;
	return err_perm(e, 5, 1, "SMTP synchronization error");
}

static struct server *new_server(const struct inbound *s)
{
	static const enum server_tls tls[] = {
		[CONF_TLS_OFF] = SERVER_TLS_OFF,
		[CONF_TLS_OPPORTUNISTIC] = SERVER_TLS_OFFERED,
		[CONF_TLS_FORCED] = SERVER_TLS_FORCED,
		[CONF_TLS_IMPLICIT] = SERVER_TLS_OFF,
	};
	static const enum server_chunking chunking[] = {
		[CONF_CHUNKING_OFF] = SERVER_CHUNKING_OFF,
		[CONF_CHUNKING_STRICT] = SERVER_CHUNKING_STRICT,
		[CONF_CHUNKING_PASSTHROUGH] = SERVER_CHUNKING_PASSTHROUGH,
	};
	const struct conf_listener *l = s->listener;
	const struct server_conf conf = {
		.hostname = s->snapshot->conf->hostname,
		.tls = tls[l->tls],
		.in_tls = l->tls == CONF_TLS_IMPLICIT,
		.max_message_bytes = l->max_message_bytes,
		.max_recipients = l->max_recipients,
		.max_mails = l->max_messages_per_connection,
		.chunking = chunking[l->chunking],
		.auth = *l->auth_file != '\0',
		.max_errors = MAX_ERRORS,
	};

	return server_new(&conf);
}

/* Refused before anything was said; a TLS client could not read it. */
static void turn_away(struct inbound *s, const struct err *refusal)
{
	inbound_log_refusal(s, "connection", refusal);
	if (s->listener->tls == CONF_TLS_IMPLICIT) {
		inbound_over(s);
		return;
	}
	server_greet(s->server, refusal);
	inbound_run(s);
}

void inbound_welcome(struct inbound *s)
{
	bool in_tls = s->listener->tls == CONF_TLS_IMPLICIT;
	struct err refusal;

	if (inbound_count_client(s, &refusal) != ST_OK ||
	    (!in_tls && check_silence(s, &refusal) != ST_OK)) {
		turn_away(s, &refusal);
	} else if (in_tls) {
		start_tls(s);
	} else {
		server_greet(s->server, NULL);
		inbound_run(s);
	}
}

void inbound_start(struct worker *w, struct listening *listening, int fd,
		   const struct addr *peer)
{
	struct inbound *s = xcalloc(1, sizeof(*s));
	struct err refusal;

	s->worker = w;
	s->listening = listening;
	s->snapshot = snapshot_ref(w->snapshot);
	s->listener = find_listener(w->snapshot->conf, &listening->addr);
	BUG_ON(!s->listener);
	stats_add(w->relay->stats, STAT_SESSIONS, s->listener->name, NULL, 1);
	s->peer = *peer;
	s->ours = mirror_is_ours(w->relay, fd, peer);
	s->server = new_server(s);
	s->stream = stream_accepted(w->base, fd, seen, s);
	inbound_message_init(s);
	link_session(s);
	if (inbound_count_connection(s, &refusal) != ST_OK)
		turn_away(s, &refusal);
	else if (inbound_proxy_expected(s))
		inbound_proxy_begin(s);
	else
		inbound_welcome(s);
}

/* ------- stop */

void inbound_stop_all(struct worker *w)
{
	struct inbound *next;

	for (struct inbound *s = w->inbounds; s; s = next) {
		next = s->next;
		s->stopping = true;
		if (s->over || s->message)
			continue;
		if (s->shaking || s->proxy) {
			inbound_over(s);
			continue;
		}
		server_shut_down(s->server, "relayd is being stopped");
		inbound_run(s);
	}
}

void inbound_abort_all(struct worker *w)
{
	struct inbound *next;

	for (struct inbound *s = w->inbounds; s; s = next) {
		next = s->next;
		s->stopping = true;
		if (!s->over)
			inbound_over(s);
	}
}
