/* SPDX-License-Identifier: ISC */
/*
 * control_certificate - what the control API says of certificates.
 */
#include <event2/buffer.h>

#include "base/clock.h"
#include "daemon/certificates.h"
#include "daemon/endpoint.h"
#include "daemon/mirror.h"
#include "daemon/renewal.h"

/* Whole days, towards the past: one that ended this morning has -1 left. */
static int64_t days_left(int64_t not_after_ms)
{
	const int64_t day_ms = 24LL * 3600 * 1000;
	int64_t left_ms = not_after_ms - clock_wall_ms();

	return left_ms >= 0 ? left_ms / day_ms
			    : -((-left_ms + day_ms - 1) / day_ms);
}

static void add_info(json_t *o, const struct tls_cert_info *info)
{
	int64_t now_ms = clock_wall_ms();

	json_object_set_new(o, "subject", view_text(info->subject));
	json_object_set_new(o, "issuer", view_text(info->issuer));
	json_object_set_new(o, "names", view_text(info->names));
	json_object_set_new(o, "serial", view_text(info->serial));
	json_object_set_new(o, "spki_sha256", view_text(info->spki_sha256));
	json_object_set_new(o, "not_before", view_time(info->not_before_ms));
	json_object_set_new(o, "not_after", view_time(info->not_after_ms));
	json_object_set_new(o, "days_left",
			    json_integer(days_left(info->not_after_ms)));
	json_object_set_new(
		o, "stage",
		json_string(stage_word(foresight_stage(
			info->not_before_ms, info->not_after_ms, now_ms))));
}

/* Why the files of an identity are not what is in use; "" where they are. */
static const char *refused(const struct call *c, const char *identity)
{
	struct refusal r;

	for (size_t i = 0; renewal_refusal(c->conf->renewal, i, &r); i++)
		if (!r.is_trust && strcmp(r.name, identity) == 0)
			return r.problem;
	return "";
}

static json_t *own(const struct call *c, size_t i)
{
	const struct conf_identity *identity =
		&c->snapshot->conf->identities[i];
	struct tls_cert_info info;
	char ocsp[ERR_TEXT_MAX];
	json_t *o = json_object();

	tls_identity_info(c->snapshot->identities[i], &info);
	json_object_set_new(o, "kind", json_string(cert_role_word(CERT_OWN)));
	json_object_set_new(o, "name", view_text(identity->name));
	json_object_set_new(o, "identity", view_text(identity->name));
	json_object_set_new(o, "file", view_text(identity->certificate));
	add_info(o, &info);
	json_object_set_new(o, "crl", json_string("off"));
	tls_identity_staple_say(c->snapshot->identities[i], ocsp, sizeof(ocsp));
	json_object_set_new(o, "ocsp", view_text(ocsp));
	json_object_set_new(o, "refused",
			    view_text(refused(c, identity->name)));
	return o;
}

static json_t *other(const struct certificate *at)
{
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(cert_role_word(at->role)));
	json_object_set_new(o, "name", view_text(at->where));
	json_object_set_new(o, "address", view_text(at->address));
	add_info(o, &at->info);
	json_object_set_new(o, "crl", view_text(*at->crl ? at->crl : "off"));
	json_object_set_new(o, "watched", json_boolean(at->watched));
	json_object_set_new(o, "named", json_boolean(at->named));
	json_object_set_new(o, "first_seen", view_time(at->first_seen_ms));
	json_object_set_new(o, "last_seen", view_time(at->last_seen_ms));
	return o;
}

/* How a listener of ours looks from outside; NULL: it does not speak TLS, or
 * nobody has looked yet. */
static json_t *listener(const struct call *c, size_t i)
{
	const struct listening *l = &c->relay->listening[i];
	const struct reflection *r = mirror_reflection(c->conf->mirror, i);
	char address[ADDR_TEXT_MAX];
	json_t *o;

	if (!r || r->outcome == MIRROR_UNSEEN)
		return NULL;
	o = json_object();
	addr_text(address, &l->addr);
	json_object_set_new(o, "kind", json_string("listener"));
	json_object_set_new(o, "name", view_text(l->listener));
	json_object_set_new(o, "address", view_text(address));
	json_object_set_new(o, "outcome",
			    json_string(mirror_outcome_word(r->outcome)));
	json_object_set_new(o, "text", view_text(r->text));
	add_info(o, &r->info);
	if (r->info.not_after_ms == 0)
		json_object_set_new(o, "days_left", json_null());
	json_object_set_new(o, "crl", view_text(*r->crl ? r->crl : "off"));
	json_object_set_new(o, "last_seen", view_time(r->seen_ms));
	return o;
}

json_t *certificates_listeners(struct call *c)
{
	json_t *list = json_array();

	for (size_t i = 0; mirror_reflection(c->conf->mirror, i); i++) {
		json_t *o = listener(c, i);

		if (o)
			json_array_append_new(list, o);
	}
	return list;
}

/* Our own, and those of others that somebody has to do something about. */
json_t *certificates_status(struct call *c)
{
	int64_t now_ms = clock_wall_ms();
	json_t *list = json_array();

	for (size_t i = 0; i < c->snapshot->conf->nidentities; i++)
		json_array_append_new(list, own(c, i));
	for (const struct certificate *at =
		     certificates_first(c->relay->certificates);
	     at; at = certificates_next(at))
		if (at->role != CERT_OWN && at->watched &&
		    certificate_stage(at, now_ms) > STAGE_FRESH)
			json_array_append_new(list, other(at));
	return list;
}

/* There are a few thousand at the most. */
void endpoint_certificates(struct call *c)
{
	struct evbuffer *out = evbuffer_new();

	BUG_ON(!out);
	for (size_t i = 0; i < c->snapshot->conf->nidentities; i++)
		call_line(out, own(c, i));
	for (size_t i = 0; mirror_reflection(c->conf->mirror, i); i++)
		call_line(out, listener(c, i));
	for (const struct certificate *at =
		     certificates_first(c->relay->certificates);
	     at; at = certificates_next(at))
		if (at->role != CERT_OWN)
			call_line(out, other(at));
	call_stream(c, "application/x-ndjson");
	call_send(c, out, call_end);
	evbuffer_free(out);
}

json_t *certificates_refused(struct call *c)
{
	json_t *list = json_array();
	struct refusal r;

	for (size_t i = 0; renewal_refusal(c->conf->renewal, i, &r); i++) {
		json_t *o = json_object();

		json_object_set_new(o, r.is_trust ? "trust" : "identity",
				    view_text(r.name));
		json_object_set_new(o, "reason", view_text(r.problem));
		json_object_set_new(o, "since", view_time(r.since_ms));
		json_array_append_new(list, o);
	}
	return list;
}
