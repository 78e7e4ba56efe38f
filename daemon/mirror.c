/* SPDX-License-Identifier: ISC */
/*
 * mirror - looks at one listener after the other.
 *
 * The handshake itself is told to verify nothing, so that it ends well whatever
 * is shown, and the listener has nothing to complain of; what was shown is
 * judged afterwards, under the system's trust and under our own.
 */
#include "daemon/mirror.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/socket.h"
#include "net/stream.h"
#include "smtp/client.h"

enum {
	PATIENCE_MS = 20 * 1000,
	LINGER_MS = 2000,
	SOON_US = 300 * 1000, /* workers have the new snapshot by then */
	HOUR_S = 3600,
};

struct mirror {
	struct mirror_conf conf;
	struct reflection *at; /* as relay->listening */
	struct event *timer;
	struct tls_trust *system; /* owned; NULL: not loaded */
	bool again; /* asked for while one was under way */

	/* The look under way. */
	bool looking;
	size_t i;
	struct snapshot *snapshot; /* owned reference */
	const struct conf_listener *listener; /* of the snapshot */
	struct stream *stream;
	struct client *client; /* NULL: not in the dialogue */
};

static void look_at_next(struct mirror *m);

const char *mirror_outcome_word(enum mirror_outcome o)
{
	static const char *const words[MIRROR_OUTCOMES] = {
		[MIRROR_UNSEEN] = "unseen",   [MIRROR_FINE] = "fine",
		[MIRROR_PRIVATE] = "private", [MIRROR_FAULTY] = "faulty",
		[MIRROR_FAILED] = "failed",
	};

	BUG_ON(o >= MIRROR_OUTCOMES);
	return words[o];
}

/* ------- whose connection? */

/* While we have our end of it bound nobody else can come from there. */
bool mirror_is_ours(const struct relay *relay, int fd, const struct addr *peer)
{
	uint16_t port = (uint16_t)atomic_load(&relay->mirror_port);
	struct addr local, other;

	if (port == 0 || addr_port(peer) != port)
		return false;
	socket_names(fd, &local, &other);
	return local.len > 0 &&
	       span_eq(addr_host_key(&local), addr_host_key(peer));
}

/* ------- the verdict */

enum mirror_outcome mirror_judge(const struct mirror_facts *f)
{
	if (f->by_system)
		return f->system ? MIRROR_FAULTY : MIRROR_FINE;
	if (f->by_other)
		return f->other ? MIRROR_FAULTY : MIRROR_PRIVATE;
	return f->alone & ~(unsigned)TLS_FAULT_CHAIN ? MIRROR_FAULTY
						     : MIRROR_PRIVATE;
}

static struct tls_trust *system_trust(struct mirror *m)
{
	static const char *const ca[] = {"system"};
	struct err e;

	if (m->snapshot->system_trust)
		return m->snapshot->system_trust;
	if (!m->system && tls_trust_load(&m->system, ca, 1, "1.2", &e) != ST_OK)
		m->system = NULL; /* a machine that has none */
	return m->system;
}

/* False: this trust leads to none of it. */
static bool judge_by(const struct mirror *m, struct tls_trust *trust,
		     struct tls_verdict *v)
{
	const struct tls_policy policy = {
		.verify = trust ? TLS_VERIFY_NAME : TLS_VERIFY_NONE,
		.trust = trust,
	};

	tls_session_judge(stream_transport(m->stream), &policy, v);
	return !(v->faults & TLS_FAULT_CHAIN);
}

/* Its own trust first, then any; NULL: none of them. */
static const char *judge_by_ours(const struct mirror *m, struct tls_verdict *v)
{
	const struct conf *conf = m->snapshot->conf;
	const struct conf_trust *first = m->listener->trust;

	if (first && judge_by(m, snapshot_trust(m->snapshot, first), v))
		return first->name;
	for (size_t i = 0; i < conf->ntrusts; i++)
		if (judge_by(m, m->snapshot->trusts[i], v))
			return conf->trusts[i].name;
	return NULL;
}

/* What to say of it, from the verdict that counts. */
static char *text_of(enum mirror_outcome outcome, const char *ours,
		     const struct tls_verdict *v)
{
	if (outcome == MIRROR_FINE)
		return xstrdup("");
	if (outcome == MIRROR_PRIVATE && ours)
		return xasprintf("trusted by trust \"%s\", not by the system's "
				 "CAs",
				 ours);
	if (outcome == MIRROR_PRIVATE)
		return xasprintf("not trusted by the system's CAs, nor by a "
				 "trust of ours: %s",
				 v->text);
	return xstrdup(v->text);
}

static void judge(struct mirror *m, struct reflection *r)
{
	struct tls_trust *system = system_trust(m);
	struct tls_verdict alone, by_system, by_other;
	struct mirror_facts facts = {.by_system = false};
	const struct tls_verdict *v = &alone;
	const char *ours;

	(void)judge_by(m, NULL, &alone);
	facts.alone = alone.faults;
	facts.by_system = system && judge_by(m, system, &by_system);
	facts.system = facts.by_system ? by_system.faults : 0;
	ours = judge_by_ours(m, &by_other);
	facts.by_other = ours != NULL;
	facts.other = ours ? by_other.faults : 0;
	if (facts.by_system)
		v = &by_system;
	else if (ours)
		v = &by_other;
	r->outcome = mirror_judge(&facts);
	free(r->text);
	/* The system's trust knows best what is missing in a chain. */
	if (r->outcome == MIRROR_PRIVATE && !ours && system)
		r->text = text_of(r->outcome, ours, &by_system);
	else
		r->text = text_of(r->outcome, ours, v);
	snprintf(r->crl, sizeof(r->crl), "%s", tls_crl_word(v->crl));
}

/* ------- what is told */

static void say(const struct mirror *m, const struct reflection *r)
{
	bool bad = r->outcome == MIRROR_FAULTY || r->outcome == MIRROR_FAILED;
	char address[ADDR_TEXT_MAX], date[CLOCK_RFC3339_MAX];

	addr_text(address, &m->conf.relay->listening[m->i].addr);
	clock_rfc3339(date, r->info.not_after_ms);
	log_fact(bad ? LOG_WARN : LOG_INFO, 0, "listener-seen",
		 F_STR("listener", m->listener->name),
		 F_STR("address", address),
		 F_STR("outcome", mirror_outcome_word(r->outcome)),
		 F_STR("subject", r->info.subject),
		 F_STR("names", r->info.names),
		 F_STR("not_after", r->info.not_after_ms ? date : NULL),
		 F_STR("reply", *r->text ? r->text : NULL));
}

/* Takes over r's text. */
static void keep(struct mirror *m, struct reflection *r)
{
	struct reflection *old = &m->at[m->i];
	bool same = old->outcome == r->outcome &&
		    strcmp(old->info.serial, r->info.serial) == 0 &&
		    (r->outcome == MIRROR_FAILED ||
		     strcmp(old->text, r->text) == 0);

	r->seen_ms = clock_wall_ms();
	free(old->text);
	*old = *r;
	if (!same)
		say(m, old);
}

/* ------- one look */

static void close_look(struct mirror *m)
{
	client_free(m->client);
	m->client = NULL;
	stream_free(m->stream);
	m->stream = NULL;
	atomic_store(&m->conf.relay->mirror_port, 0);
}

static void look_failed(struct mirror *m, const char *why)
{
	struct reflection r = {
		.outcome = MIRROR_FAILED,
		.text = xstrdup(why),
	};

	close_look(m);
	keep(m, &r);
	m->i++;
	look_at_next(m);
}

static void start_tls(struct mirror *m)
{
	const struct tls_policy policy = {.verify = TLS_VERIFY_NONE};
	struct transport *tls;
	struct err e;

	if (tls_client_new(&tls, stream_fd(m->stream),
			   m->snapshot->conf->hostname, &policy, NULL,
			   &e) != ST_OK) {
		look_failed(m, e.text);
		return;
	}
	(void)stream_secure(m->stream, tls);
}

static void dialogue_failed(struct mirror *m)
{
	const struct reply *reply = client_reply(m->client);
	enum client_stage stage = client_stage(m->client);
	char *why;

	if (stage == CLIENT_STARTTLS && reply->code == 0)
		why = xstrdup("STARTTLS is not offered");
	else
		why = xasprintf("%s: %u %s", client_stage_word(stage),
				reply->code, reply->text);
	look_failed(m, why);
	free(why);
}

static void talk(struct mirror *m)
{
	struct buf *input = stream_input(m->stream);
	struct span in = buf_span(input);
	size_t before = in.len;
	enum client_wants wants = client_step(m->client, &in);
	struct buf *out = client_output(m->client);

	buf_take(input, before - in.len);
	if (out->len > 0 && !stream_write(m->stream, buf_span(out))) {
		look_failed(m, "the listener reads nothing");
		return;
	}
	buf_clear(out);
	switch (wants) {
	case CLIENT_WANTS_INPUT:
		return;
	case CLIENT_ASKS_TLS:
		start_tls(m);
		return;
	case CLIENT_READY:
	case CLIENT_ASKS_BODY:
	case CLIENT_SETTLED:
	case CLIENT_FAILED:
	case CLIENT_CLOSED:
		dialogue_failed(m);
		return;
	}
}

static void secured(struct mirror *m)
{
	static const struct span quit = {"QUIT\r\n", 6};
	struct reflection r = {.text = NULL};

	if (!tls_session_peer(stream_transport(m->stream), &r.info)) {
		look_failed(m, "no certificate was shown");
		return;
	}
	judge(m, &r);
	keep(m, &r);
	if (stream_write(m->stream, quit)) {
		stream_finish(m->stream, LINGER_MS);
		m->stream = NULL;
	}
	close_look(m);
	m->i++;
	look_at_next(m);
}

static void seen(void *arg, enum stream_event event)
{
	struct mirror *m = arg;

	switch (event) {
	case STREAM_CONNECTED:
		if (m->listener->tls == CONF_TLS_IMPLICIT) {
			start_tls(m);
			return;
		}
		m->client = client_new(&(struct client_conf){
			.hostname = m->snapshot->conf->hostname,
			.tls = CLIENT_TLS_FORCED,
		});
		return;
	case STREAM_READABLE:
		if (m->client)
			talk(m);
		return;
	case STREAM_DRAINED:
		return;
	case STREAM_SECURED:
		secured(m);
		return;
	case STREAM_DEADLINE:
		look_failed(m, "no answer in time");
		return;
	case STREAM_CLOSED:
		look_failed(m, "the connection was closed");
		return;
	case STREAM_FAILED:
		look_failed(m, stream_error(m->stream)->text);
		return;
	}
}

/* ------- one after the other */

/* An address that stands for all is reached over the loopback. */
static void reachable(struct addr *a)
{
	if (a->sa.sa_family == AF_INET &&
	    a->in.sin_addr.s_addr == htonl(INADDR_ANY))
		a->in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else if (a->sa.sa_family == AF_INET6 &&
		 IN6_IS_ADDR_UNSPECIFIED(&a->in6.sin6_addr))
		a->in6.sin6_addr = in6addr_loopback;
}

static void set_port(struct addr *a, uint16_t port)
{
	if (a->sa.sa_family == AF_INET)
		a->in.sin_port = htons(port);
	else
		a->in6.sin6_port = htons(port);
}

/* The listener has to know where we come from before we come: a port that was
 * free a moment ago.  0: there is none. */
static uint16_t choose_port(const struct addr *host)
{
	struct addr from = *host, chosen, none;
	int fd = socket(host->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	uint16_t port = 0;

	set_port(&from, 0);
	if (fd < 0)
		return 0;
	if (bind(fd, &from.sa, from.len) == 0) {
		socket_names(fd, &chosen, &none);
		port = chosen.len > 0 ? addr_port(&chosen) : 0;
	}
	close(fd);
	return port;
}

static void look_at(struct mirror *m, const struct listening *l)
{
	struct addr to = l->addr, from;
	struct err e;

	reachable(&to);
	from = to;
	set_port(&from, choose_port(&to));
	atomic_store(&m->conf.relay->mirror_port, addr_port(&from));
	if (stream_connect(&m->stream, m->conf.base, &to, &from, seen, m, &e) !=
	    ST_OK) {
		look_failed(m, e.text);
		return;
	}
	stream_deadline(m->stream, PATIENCE_MS);
}

static const struct conf_listener *listener_of(const struct conf *conf,
					       const struct addr *addr)
{
	for (size_t i = 0; i < conf->nlisteners; i++)
		for (size_t k = 0; k < conf->listeners[i].naddresses; k++)
			if (addr_eq(&conf->listeners[i].addresses[k], addr))
				return &conf->listeners[i];
	return NULL;
}

static void forget(struct reflection *r)
{
	free(r->text);
	*r = (struct reflection){.text = xstrdup("")};
}

static void end_round(struct mirror *m)
{
	const struct timeval soon = {.tv_usec = SOON_US};
	const struct timeval later = {.tv_sec = HOUR_S};

	snapshot_unref(m->snapshot);
	m->snapshot = NULL;
	m->looking = false;
	evtimer_add(m->timer, m->again ? &soon : &later);
	m->again = false;
}

/* The next one that speaks TLS, or the end of the round. */
static void look_at_next(struct mirror *m)
{
	const struct relay *relay = m->conf.relay;

	for (; m->i < relay->nlistening; m->i++) {
		const struct listening *l = &relay->listening[m->i];

		m->listener = listener_of(m->snapshot->conf, &l->addr);
		if (m->listener && m->listener->tls != CONF_TLS_OFF) {
			look_at(m, l);
			return;
		}
		forget(&m->at[m->i]);
	}
	end_round(m);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct mirror *m = arg;

	(void)fd;
	(void)what;
	m->looking = true;
	m->snapshot = snapshot_ref(m->conf.snapshot(m->conf.arg));
	m->i = 0;
	look_at_next(m);
}

void mirror_look(struct mirror *m)
{
	const struct timeval soon = {.tv_usec = SOON_US};

	if (m->looking)
		m->again = true;
	else
		evtimer_add(m->timer, &soon);
}

const struct reflection *mirror_reflection(const struct mirror *m, size_t i)
{
	return m && i < m->conf.relay->nlistening ? &m->at[i] : NULL;
}

/* ------- lifetime */

struct mirror *mirror_new(const struct mirror_conf *conf)
{
	struct mirror *m = xcalloc(1, sizeof(*m));

	m->conf = *conf;
	m->at = xcalloc(conf->relay->nlistening + 1, sizeof(*m->at));
	for (size_t i = 0; i < conf->relay->nlistening; i++)
		m->at[i].text = xstrdup("");
	m->timer = evtimer_new(conf->base, on_timer, m);
	BUG_ON(!m->timer);
	return m;
}

void mirror_free(struct mirror *m)
{
	if (!m)
		return;
	close_look(m);
	stream_cut_lingering();
	for (size_t i = 0; i < m->conf.relay->nlistening; i++)
		free(m->at[i].text);
	free(m->at);
	event_free(m->timer);
	tls_trust_unref(m->system);
	snapshot_unref(m->snapshot);
	free(m);
}
