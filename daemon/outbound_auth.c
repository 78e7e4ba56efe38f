/* SPDX-License-Identifier: ISC */
/*
 * outbound_auth - what a session logs in with at its destination.
 *
 * The secret is got before anything else, so that no next hop is kept waiting
 * for a program, and dropped as soon as we are in.
 */
#include "daemon/outbound_session.h"
#include "daemon/terms.h"

static void on_secret(void *arg, struct secret *s, const struct err *e)
{
	struct outbound *o = arg;
	struct failure failure;

	o->wish = NULL;
	o->secret = s;
	if (s) {
		outbound_resolve(o);
		return;
	}
	struct facts facts = outbound_facts(o, FACT_NO_SECRET);
	facts.text = e->text;
	diagnose(&facts, &failure);
	outbound_address_failed(o, &failure);
}

void outbound_begin(struct outbound *o)
{
	const struct delivery *d = o->delivery;
	struct vault *vault = snapshot_vault(d->snapshot, d->route);

	if (vault)
		o->wish = vault_ask(vault, o->worker->mail, on_secret, o);
	else
		outbound_resolve(o);
}

void outbound_fill_auth(const struct outbound *o, struct client_conf *conf)
{
	if (!o->secret)
		return;
	terms_auth(o->delivery->route, o->secret, conf);
	transcript_hide(o->delivery->transcript,
			span_of(secret_text(o->secret)));
}

void outbound_auth_failed(struct outbound *o)
{
	const struct delivery *d = o->delivery;

	/* A 4xx says nothing about the secret. */
	if (o->secret && client_reply(o->client)->code >= 500)
		vault_refused(snapshot_vault(d->snapshot, d->route), o->secret);
}

void outbound_drop_secret(struct outbound *o)
{
	secret_unref(o->secret);
	o->secret = NULL;
}
