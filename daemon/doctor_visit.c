/* SPDX-License-Identifier: ISC */
/*
 * doctor_visit - one address, step by step: connect, banner, EHLO, STARTTLS,
 * handshake, certificate, login, QUIT.
 *
 * Under opportunistic TLS it insists on TLS as well: mail would go without,
 * but whoever asks wants to know why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/doctor_state.h"
#include "daemon/terms.h"
#include "tls/session.h"

enum {
	STEP_TIMEOUT_MS = 30 * 1000,
	LINGER_MS = 2000,
};

static void talk(struct visit *v);

/* ------- the end */

void visit_release(struct visit *v)
{
	stream_free(v->stream);
	client_free(v->client);
	free(v->peer);
	free(v->ehlo);
}

static const struct conf_route *route_of(const struct visit *v)
{
	return v->doctor->examination->route;
}

static void keep_clear_text(struct visit *v)
{
	if (!v->client || v->ehlo)
		return;
	v->ehlo = xstrdup(client_ehlo(v->client));
	v->masked = client_offers(v->client) & OFFER_MASKED;
	v->refused = client_ehlo_refused(v->client);
}

static void over(struct visit *v)
{
	struct finding *f = v->finding;

	keep_clear_text(v);
	const struct symptoms symptoms = {
		.cause = f->failure.cause,
		.host = v->doctor->examination->target.host,
		.greeting = v->client ? client_greeting(v->client) : "",
		.ehlo = v->ehlo ? v->ehlo : "",
		.subject = v->peer_cert.subject,
		.issuer = v->peer_cert.issuer,
		.ehlo_refused = v->refused,
		.masked = v->masked,
		.cut = v->shaking && v->stream &&
		       (stream_error(v->stream)->os == ECONNRESET ||
			stream_error(v->stream)->os == EPIPE),
	};
	f->diagnosis = diagnosis_of(&symptoms);
	stream_free(v->stream);
	v->stream = NULL;
	doctor_visit_over(v->doctor);
}

static struct facts facts_of(const struct visit *v, enum fact_kind kind)
{
	const struct client *c = v->client;

	return (struct facts){
		.kind = kind,
		.host = v->peer,
		.stage = c ? client_stage(c) : CLIENT_GREETING,
		.in_tls = c && client_in_tls(c),
		.offers = c ? client_offers(c) : 0,
		.ehlo_refused = c && client_ehlo_refused(c),
		.reply = c ? client_reply(c) : NULL,
		.greeting = c ? client_greeting(c) : NULL,
		.handshaking = v->shaking,
	};
}

static enum finding_step step_of(const struct visit *v)
{
	static const enum finding_step steps[CLIENT_STAGES] = {
		[CLIENT_GREETING] = STEP_BANNER,
		[CLIENT_EHLO] = STEP_EHLO,
		[CLIENT_HELO] = STEP_EHLO,
		[CLIENT_STARTTLS] = STEP_STARTTLS,
		[CLIENT_AUTH] = STEP_AUTH,
	};

	if (!v->client)
		return STEP_CONNECT;
	if (v->shaking)
		return STEP_HANDSHAKE;
	return steps[client_stage(v->client)];
}

static void fail(struct visit *v, enum finding_step step,
		 const struct facts *facts)
{
	struct finding *f = v->finding;

	diagnose(facts, &f->failure);
	finding_set(f, step, STEP_FAIL, "%s", f->failure.reply);
	over(v);
}

void visit_cut(struct visit *v, const char *why)
{
	struct facts facts = facts_of(v, FACT_LOST);

	facts.text = why;
	fail(v, step_of(v), &facts);
}

/* ------- what the dialogue showed */

/* "PIPELINING, SIZE 0, STARTTLS": the answer to EHLO without its first line. */
static void note_ehlo(struct visit *v)
{
	const char *lf = strchr(client_ehlo(v->client), '\n');

	finding_set(v->finding, STEP_EHLO, STEP_OK, "%s",
		    lf ? lf + 1 : "no extensions");
}

static void note_dialogue(struct visit *v)
{
	const struct client *c = v->client;
	struct finding *f = v->finding;
	bool masked = client_offers(c) & OFFER_MASKED;

	if (client_in_tls(c) || client_stage(c) == CLIENT_GREETING)
		return;
	finding_set(f, STEP_BANNER, masked ? STEP_WARN : STEP_OK, "%s",
		    client_greeting(c));
	if (client_stage(c) == CLIENT_EHLO)
		return;
	if (client_ehlo_refused(c))
		finding_set(f, STEP_EHLO, STEP_FAIL,
			    "refused: %s (HELO is taken)", client_ehlo(c));
	else
		note_ehlo(v);
	if (masked && !client_ehlo_refused(c))
		f->steps[STEP_EHLO].result = STEP_WARN;
}

/* ------- what the certificate showed */

static enum finding_result grade(const struct tls_verdict *verdict,
				 unsigned faults, bool accepted)
{
	if (!(verdict->faults & faults))
		return STEP_OK;
	return accepted ? STEP_WARN : STEP_FAIL;
}

static void note_dates(struct finding *f, enum finding_result result,
		       const struct tls_cert_info *info)
{
	const int64_t day_ms = 24LL * 3600 * 1000;
	int64_t left_ms = info->not_after_ms - clock_wall_ms();
	char from[CLOCK_RFC3339_MAX], until[CLOCK_RFC3339_MAX];

	clock_rfc3339(from, info->not_before_ms);
	clock_rfc3339(until, info->not_after_ms);
	if (left_ms < 0)
		finding_set(f, STEP_DATES, result,
			    "valid from %.10s, expired on %s", from, until);
	else
		finding_set(f, STEP_DATES, result,
			    "valid from %.10s to %.10s, %lld days left", from,
			    until, (long long)(left_ms / day_ms));
}

static void note_certificate(struct visit *v, bool accepted)
{
	const struct transport *tls = stream_transport(v->stream);
	const struct tls_verdict *verdict = tls_session_verdict(tls);
	const struct conf_route *route = route_of(v);
	struct tls_cert_info *info = &v->peer_cert;
	struct finding *f = v->finding;
	char crl[TLS_CRL_TEXT_MAX + 32];

	if (!tls_session_peer(tls, info))
		return;
	finding_set(f, STEP_CHAIN,
		    grade(verdict, TLS_FAULT_CHAIN | TLS_FAULT_WEAK, accepted),
		    "%s, issued by %s, key %s", info->subject, info->issuer,
		    info->spki_sha256);
	finding_set(f, STEP_NAMES, grade(verdict, TLS_FAULT_NAME, accepted),
		    "%s; wanted: %s%s", info->names[0] ? info->names : "none",
		    route->names.n > 0 ? route->names.at[0]
				       : v->doctor->examination->target.host,
		    route->names.n > 1 ? ", ..." : "");
	note_dates(f, grade(verdict, TLS_FAULT_DATES, accepted), info);
	tls_crl_say(crl, sizeof(crl), verdict);
	finding_set(f, STEP_CRL,
		    verdict->crl == TLS_CRL_OFF
			    ? STEP_SKIPPED
			    : grade(verdict, TLS_FAULT_REVOKED | TLS_FAULT_CRL,
				    accepted),
		    "%s", crl);
	if (verdict->crl == TLS_CRL_UNDETERMINED &&
	    f->steps[STEP_CRL].result == STEP_OK)
		f->steps[STEP_CRL].result = STEP_WARN;
}

static bool is_of_certificate(enum cause cause)
{
	switch ((int)cause) {
	case CAUSE_IS_TLS_CERT_EXPIRED:
	case CAUSE_IS_TLS_CERT_NOT_YET_VALID:
	case CAUSE_IS_TLS_CERT_UNTRUSTED:
	case CAUSE_IS_TLS_CERT_SELF_SIGNED:
	case CAUSE_IS_TLS_CERT_NAME:
	case CAUSE_IS_TLS_CERT_REVOKED:
	case CAUSE_IS_TLS_CRL_UNAVAILABLE:
	case CAUSE_IS_TLS_CERT_WEAK:
	case CAUSE_IS_TLS_PIN:
		return true;
	default:
		return false;
	}
}

/* The peer's certificate did not meet the policy, and we hung up. */
static void certificate_failed(struct visit *v, const struct facts *facts)
{
	struct finding *f = v->finding;

	finding_set(f, STEP_HANDSHAKE, STEP_OK,
		    "ended by us: the certificate does not meet the policy");
	note_certificate(v, false);
	diagnose(facts, &f->failure);
	over(v);
}

/* ------- failures */

static void talk_failed(struct visit *v)
{
	const struct client *c = v->client;
	enum fact_kind kind = FACT_REPLY;

	note_dialogue(v);
	if (client_protocol_error(c))
		kind = FACT_PROTOCOL;
	else if (client_stage(c) == CLIENT_STARTTLS &&
		 !(client_offers(c) & OFFER_STARTTLS))
		kind = FACT_NO_STARTTLS;
	else if (client_stage(c) == CLIENT_AUTH && !client_reply(c)->code)
		kind = FACT_NO_AUTH;
	struct facts facts = facts_of(v, kind);
	finding_reached(v->finding, step_of(v));
	fail(v, step_of(v), &facts);
}

static void broke(struct visit *v, enum fact_kind kind)
{
	struct facts facts = facts_of(v, kind);
	struct transport *tls = stream_transport(v->stream);
	enum cause cause = tls ? tls_session_failure(tls) : CAUSE_IS_NONE;
	enum finding_step step = step_of(v);

	if (kind == FACT_LOST)
		facts.text = stream_error(v->stream)->text;
	if (!v->client) {
		facts.kind = FACT_CONNECT;
		facts.os = kind == FACT_TIMEOUT ? ETIMEDOUT
						: stream_error(v->stream)->os;
	} else if (kind == FACT_LOST && cause) {
		facts.kind = FACT_TLS;
		facts.tls_cause = cause;
		step = STEP_HANDSHAKE;
	}
	if (v->client)
		note_dialogue(v);
	if (is_of_certificate(cause))
		certificate_failed(v, &facts);
	else
		fail(v, step, &facts);
}

/* ------- the way */

static void start_tls(struct visit *v)
{
	const struct examination *x = v->doctor->examination;
	const struct tls_policy policy = terms_tls(x->snapshot, x->route);
	struct transport *tls;
	struct err e;

	note_dialogue(v);
	finding_set(v->finding, STEP_STARTTLS, STEP_OK, "%d %s",
		    client_reply(v->client)->code,
		    client_reply(v->client)->text);
	if (tls_client_new(&tls, stream_fd(v->stream), x->target.host, &policy,
			   snapshot_identity(x->snapshot, x->route->identity),
			   &e) != ST_OK) {
		struct facts facts = facts_of(v, FACT_SELF);

		facts.text = e.text;
		fail(v, STEP_HANDSHAKE, &facts);
		return;
	}
	keep_clear_text(v);
	v->shaking = true;
	stream_deadline(v->stream, STEP_TIMEOUT_MS);
	/* Bytes behind the 220 are thrown away, as for mail. */
	size_t injected = stream_secure(v->stream, tls);
	if (injected > 0)
		finding_set(v->finding, STEP_STARTTLS, STEP_WARN,
			    "%zu bytes were sent in clear text behind the "
			    "220, and thrown away",
			    injected);
}

static void secured(struct visit *v)
{
	const struct transport *tls = stream_transport(v->stream);

	v->shaking = false;
	finding_set(v->finding, STEP_HANDSHAKE, STEP_OK, "%s %s, verified: %s",
		    tls_session_version(tls), tls_session_cipher(tls),
		    tls_session_verified(tls));
	note_certificate(v, true);
	client_tls_started(v->client);
	talk(v);
}

/* The policy is met; is the login? */
static void ready(struct visit *v)
{
	const struct doctor *d = v->doctor;
	const struct conf_route *route = route_of(v);
	struct finding *f = v->finding;

	note_dialogue(v);
	if (!client_in_tls(v->client))
		finding_set(f, STEP_STARTTLS, STEP_SKIPPED,
			    "the route does not use TLS");
	client_quit(v->client);
	(void)!stream_write(v->stream, buf_span(client_output(v->client)));
	if (route->auth != CONF_AUTH_OFF && !d->secret) {
		struct facts facts = facts_of(v, FACT_NO_SECRET);

		facts.text = d->no_secret.text;
		fail(v, STEP_AUTH, &facts);
		return;
	}
	if (route->auth != CONF_AUTH_OFF)
		finding_set(f, STEP_AUTH, STEP_OK, "as %s", route->auth_user);
	stream_finish(v->stream, LINGER_MS);
	v->stream = NULL;
	over(v);
}

static enum client_wants step(struct visit *v)
{
	struct buf *input = stream_input(v->stream);
	struct span in = buf_span(input);
	size_t before = in.len;
	enum client_wants wants = client_step(v->client, &in);
	struct buf *out = client_output(v->client);

	buf_take(input, before - in.len);
	/* Commands are short. */
	BUG_ON(!stream_write(v->stream, buf_span(out)));
	buf_clear(out);
	return wants;
}

static void talk(struct visit *v)
{
	switch (step(v)) {
	case CLIENT_WANTS_INPUT:
		stream_deadline(v->stream, STEP_TIMEOUT_MS);
		return;
	case CLIENT_ASKS_TLS:
		start_tls(v);
		return;
	case CLIENT_READY:
		ready(v);
		return;
	case CLIENT_FAILED:
	case CLIENT_CLOSED:
		talk_failed(v);
		return;
	case CLIENT_ASKS_BODY:
	case CLIENT_SETTLED:
		break;
	}
	BUG_ON(true); /* there is no message */
}

static void connected(struct visit *v)
{
	const struct doctor *d = v->doctor;
	const struct conf_route *route = route_of(v);
	struct client_conf conf = {
		.hostname = d->examination->snapshot->conf->hostname,
		.tls = route->tls == CONF_TLS_OFF ? CLIENT_TLS_OFF
						  : CLIENT_TLS_FORCED,
	};
	char from[ADDR_TEXT_MAX];

	addr_host_text(from, stream_local(v->stream));
	finding_set(v->finding, STEP_CONNECT, STEP_OK, "from %s in %lld ms",
		    from, (long long)(clock_mono_ms() - v->began_mono_ms));
	if (d->secret)
		terms_auth(route, d->secret, &conf);
	v->client = client_new(&conf);
	talk(v);
}

static void on_seen(void *arg, enum stream_event event)
{
	struct visit *v = arg;

	switch (event) {
	case STREAM_CONNECTED:
		connected(v);
		return;
	case STREAM_SECURED:
		secured(v);
		return;
	case STREAM_READABLE:
	case STREAM_DRAINED:
		if (!v->shaking)
			talk(v);
		return;
	case STREAM_DEADLINE:
		broke(v, FACT_TIMEOUT);
		return;
	case STREAM_CLOSED:
	case STREAM_FAILED:
		broke(v, FACT_LOST);
		return;
	}
}

/* False: nothing came of it, *e says why. */
static enum status start_connecting(struct visit *v, struct err *e)
{
	const struct doctor *d = v->doctor;
	const char *source = route_of(v)->source_address;
	struct addr from;

	if (*source == '\0')
		return stream_connect(&v->stream, d->examination->worker->base,
				      &v->addr, NULL, on_seen, v, e);
	BUG_ON(!addr_parse(source, 0, &from)); /* conf/ has checked it */
	if (from.sa.sa_family != v->addr.sa.sa_family)
		return err_sys(e, EAFNOSUPPORT, "source_address %s", source);
	return stream_connect(&v->stream, d->examination->worker->base,
			      &v->addr, &from, on_seen, v, e);
}

void visit_start(struct visit *v)
{
	const struct host_port *target = &v->doctor->examination->target;
	char text[ADDR_TEXT_MAX];
	struct err e;

	addr_text(text, &v->addr);
	v->finding->address = xstrdup(text);
	v->peer = target->is_literal ? xstrdup(text)
				     : xasprintf("%s[%s]", target->host, text);
	v->began_mono_ms = clock_mono_ms();
	if (!target->is_literal)
		finding_set(v->finding, STEP_RESOLVE, STEP_OK, "%s",
			    target->host);
	if (start_connecting(v, &e) == ST_OK) {
		stream_deadline(v->stream, route_of(v)->connect_timeout_ms);
		return;
	}
	struct facts facts = facts_of(v, FACT_CONNECT);
	facts.os = e.os;
	if (*route_of(v)->source_address && e.os == EADDRNOTAVAIL) {
		facts.kind = FACT_SELF;
		facts.text = e.text;
	}
	fail(v, STEP_CONNECT, &facts);
}
