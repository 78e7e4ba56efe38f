/* SPDX-License-Identifier: ISC */
/*
 * outbound_connect - the way of a session to its destination: connect, secure;
 * address after address.
 *
 * Every address of the host is tried in turn until one meets the whole policy
 * of the route.  When none does, the failure reported is the one of the
 * address that came furthest: "certificate expired" of the IPv4 address says
 * more than "unreachable" of the IPv6 one.
 *
 * Opportunistic TLS tries an address a second time in clear text, but only
 * when the handshake itself failed: what is wrong with a certificate under a
 * policy that verifies is no reason to go without.  Forced TLS has no such
 * second try, unless an operator's exception makes it opportunistic for a
 * time; there is no other code path from it to clear text.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/outbound_session.h"
#include "daemon/sighting.h"
#include "daemon/terms.h"
#include "tls/session.h"

/* ------- connect */

static void note_address(struct outbound *o)
{
	bool is_literal = o->delivery->host->is_literal;
	char text[ADDR_TEXT_MAX];

	addr_text(text, &o->addrs[o->at]);
	free(o->delivery->address);
	o->delivery->address = xstrdup(text);
	free(o->peer);
	o->peer = is_literal ? xstrdup(text)
			     : xasprintf("%s[%s]", outbound_host(o), text);
}

/* *from: the route's source address; false: it has none. */
static bool source_of(const struct outbound *o, struct addr *from)
{
	const char *text = o->delivery->route->source_address;

	if (*text == '\0')
		return false;
	BUG_ON(!addr_parse(text, 0, from)); /* conf/ has checked it */
	return true;
}

/* An address that this machine does not have is our own fault. */
static void source_failed(struct outbound *o, const struct err *e)
{
	struct facts facts = outbound_facts(o, FACT_SELF);
	struct failure failure;
	char text[ERR_TEXT_MAX + 64];

	snprintf(text, sizeof(text), "source_address %s: %s",
		 o->delivery->route->source_address, e->text);
	facts.text = text;
	diagnose(&facts, &failure);
	failure.cause = CAUSE_IS_SELF_CONFIG;
	outbound_address_failed(o, &failure);
}

static enum status start_connecting(struct outbound *o, struct err *e)
{
	const struct addr *to = &o->addrs[o->at];
	struct addr from;
	bool bound = source_of(o, &from);

	if (bound && from.sa.sa_family != to->sa.sa_family)
		return err_sys(e, EAFNOSUPPORT, "source_address");
	return stream_connect(&o->stream, o->worker->base, to,
			      bound ? &from : NULL, outbound_stream_seen, o, e);
}

void outbound_try_address(struct outbound *o)
{
	struct failure failure;
	struct err e;

	note_address(o);
	o->tls[0] = o->verified[0] = '\0';
	transcript_note(o->delivery->transcript, clock_mono_ms(),
			"connecting to %s", o->peer);
	if (start_connecting(o, &e) == ST_OK) {
		stream_deadline(o->stream,
				o->delivery->route->connect_timeout_ms);
		return;
	}
	if (e.os == EADDRNOTAVAIL && *o->delivery->route->source_address) {
		source_failed(o, &e);
		return;
	}
	struct facts facts = outbound_facts(o, FACT_CONNECT);
	facts.os = e.os;
	diagnose(&facts, &failure);
	outbound_address_failed(o, &failure);
}

void outbound_connected(struct outbound *o)
{
	static const enum client_tls how[] = {
		[CONF_TLS_OFF] = CLIENT_TLS_OFF,
		[CONF_TLS_OPPORTUNISTIC] = CLIENT_TLS_IF_OFFERED,
		[CONF_TLS_FORCED] = CLIENT_TLS_FORCED,
		[CONF_TLS_IMPLICIT] = CLIENT_TLS_FORCED,
	};
	enum conf_tls tls = delivery_tls(o->delivery);
	bool second = tls == CONF_TLS_OPPORTUNISTIC && o->clear_cause;
	struct client_conf conf = {
		.hostname = o->delivery->snapshot->conf->hostname,
		.tls = second ? CLIENT_TLS_OFF : how[tls],
	};

	outbound_fill_auth(o, &conf);
	o->client = client_new(&conf);
	outbound_talk(o);
}

/* ------- secure */

void outbound_start_tls(struct outbound *o)
{
	const struct conf_route *route = o->delivery->route;
	const struct snapshot *snapshot = o->delivery->snapshot;
	struct tls_policy policy = terms_tls(snapshot, route);
	struct transport *tls;
	struct err e;

	exception_forgive(o->delivery->exception, &policy);
	if (tls_client_new(&tls, stream_fd(o->stream), outbound_tls_name(o),
			   &policy,
			   snapshot_identity(snapshot, route->identity),
			   &e) != ST_OK) {
		struct facts facts = outbound_facts(o, FACT_SELF);
		struct failure failure;

		facts.text = e.text;
		diagnose(&facts, &failure);
		failure.cause = CAUSE_IS_SELF_CONFIG;
		outbound_address_failed(o, &failure);
		return;
	}
	o->shaking = true;
	/* Of the whole: what the peer sends does not put it off. */
	stream_deadline(o->stream, route->starttls_timeout_ms);
	/* Bytes that came in clear behind the 220 are thrown away: whoever put
	 * them there (RFC 3207 section 4.2), they are not the peer's under
	 * TLS. */
	size_t injected = stream_secure(o->stream, tls);
	if (injected > 0)
		log_fact(LOG_WARN, 0, "starttls-injection",
			 F_STR("destination", o->delivery->destination),
			 F_INT("bytes", injected));
}

static void note_certificate(struct outbound *o)
{
	char crl[TLS_CRL_TEXT_MAX + 16];
	const struct transport *tls = stream_transport(o->stream);
	struct tls_cert_info info;
	char until[CLOCK_RFC3339_MAX];

	if (!tls || !tls_session_peer(tls, &info))
		return;
	sighting_of_peer(o->worker->relay, o->delivery, tls);
	clock_rfc3339(until, info.not_after_ms);
	tls_crl_say(crl, sizeof(crl),
		    tls_session_verdict(stream_transport(o->stream)));
	o->delivery->crl_pending =
		tls_session_verdict(stream_transport(o->stream))->crl_pending;
	free(o->delivery->crl);
	o->delivery->crl = xstrdup(crl);
	free(o->delivery->certificate);
	o->delivery->certificate = xasprintf(
		"subject=%s names=%s issuer=%s not_after=%s "
		"serial=%s crl=%s",
		info.subject, info.names, info.issuer, until, info.serial, crl);
}

void outbound_secured(struct outbound *o)
{
	const struct transport *tls = stream_transport(o->stream);

	o->shaking = false;
	o->clear_cause = CAUSE_IS_NONE;
	snprintf(o->tls, sizeof(o->tls), "%s", tls_session_version(tls));
	snprintf(o->verified, sizeof(o->verified), "%s",
		 tls_session_verified(tls));
	note_certificate(o);
	transcript_note(o->delivery->transcript, clock_mono_ms(),
			"%s, verified: %s", o->tls, o->verified);
	client_tls_started(o->client);
	outbound_talk(o);
}

/* ------- it did not work */

/* How far an address came, so that the best failure is told. */
static unsigned progress_of(const struct outbound *o)
{
	if (!o->client)
		return 1;
	return 2 + (unsigned)client_stage(o->client) + (o->shaking ? 1 : 0);
}

/* Only the handshake itself, or the refusal to begin it. */
static bool may_go_clear(const struct outbound *o, const struct failure *f)
{
	if (delivery_tls(o->delivery) != CONF_TLS_OPPORTUNISTIC ||
	    o->clear_cause)
		return false;
	switch ((int)f->cause) {
	case CAUSE_IS_TLS_REFUSED:
	case CAUSE_IS_TLS_HANDSHAKE:
	case CAUSE_IS_TLS_TIMEOUT:
	case CAUSE_IS_TLS_VERSION:
	case CAUSE_IS_TLS_CLIENT_CERT:
		return true;
	default:
		return false;
	}
}

static void close_address(struct outbound *o)
{
	if (o->stream && o->shaking)
		note_certificate(o);
	if (o->quits)
		outbound_hang_up(o);
	stream_free(o->stream);
	o->stream = NULL;
	client_free(o->client);
	o->client = NULL;
	o->shaking = false;
}

void outbound_address_failed(struct outbound *o, const struct failure *f)
{
	unsigned progress = progress_of(o);
	bool again = o->naddrs > 0 && may_go_clear(o, f);

	outbound_note_failure(o, f);
	if (progress >= o->progress) {
		o->progress = progress;
		o->failure = *f;
	}
	close_address(o);
	if (again) {
		o->clear_cause = f->cause;
		outbound_try_address(o);
		return;
	}
	o->clear_cause = CAUSE_IS_NONE;
	/* Other addresses won't like our secret better, and those of a busy
	 * service are as busy. */
	if (f->reach != AT_SELF && f->cause != CAUSE_IS_AUTH_FAILED &&
	    !failure_is_throttle(f)) {
		if (o->naddrs > 0 && ++o->at < o->naddrs) {
			outbound_try_address(o);
			return;
		}
		if (outbound_next_host(o))
			return;
	}
	o->delivery->failed = true;
	o->delivery->failure = o->failure;
	outbound_over(o);
}
