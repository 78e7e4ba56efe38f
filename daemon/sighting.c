/* SPDX-License-Identifier: ISC */
/*
 * sighting - carries a certificate from a worker to the main thread.
 */
#include "daemon/sighting.h"

#include <stdlib.h>

#include "daemon/certificates.h"
#include "daemon/policy.h"

struct sighting {
	struct note note;
	struct relay *relay;
	struct tls_cert_info info;
	struct cert_seen seen; /* its strings are owned */
};

static void on_sighting(struct note *note)
{
	struct sighting *s = CONTAINER_OF(note, struct sighting, note);

	atomic_fetch_sub(&s->relay->sightings, 1);
	certificates_see(s->relay->certificates, &s->seen);
	free((char *)s->seen.where);
	free((char *)s->seen.address);
	free(s);
}

/* NULL: none was shown, or too many are under way. */
static struct sighting *sighting_new(struct relay *relay,
				     const struct transport *tls)
{
	struct sighting *s = xcalloc(1, sizeof(*s));

	if (!tls || !tls_session_peer(tls, &s->info)) {
		free(s);
		return NULL;
	}
	if (atomic_fetch_add(&relay->sightings, 1) >= SIGHTINGS_MAX) {
		atomic_fetch_sub(&relay->sightings, 1);
		free(s);
		return NULL;
	}
	s->relay = relay;
	s->note.run = on_sighting;
	s->seen.info = &s->info;
	s->seen.crl = tls_crl_word(tls_session_verdict(tls)->crl);
	return s;
}

void sighting_of_peer(struct relay *relay, const struct delivery *d,
		      const struct transport *tls)
{
	struct sighting *s = sighting_new(relay, tls);

	if (!s)
		return;
	s->seen.role = CERT_PEER;
	s->seen.where = xstrdup(d->destination);
	s->seen.address = xstrdup(d->address ? d->address : "");
	s->seen.watched = d->route->verify != CONF_VERIFY_NONE;
	s->seen.named =
		d->route->verify != CONF_VERIFY_NAME ||
		tls_session_bears(tls, (const char *const *)d->route->names.at,
				  d->route->names.n);
	mailbox_post(relay->main_mail, &s->note);
}

void sighting_of_client(struct relay *relay, const struct conf_listener *l,
			const struct addr *client, const struct transport *tls)
{
	const struct conf_source *source = policy_source(l, client);
	bool by_name = source && source->client_names.n > 0;
	char address[ADDR_TEXT_MAX];
	struct sighting *s;

	if (!source && l->nsources > 0)
		return;
	s = sighting_new(relay, tls);
	if (!s)
		return;
	addr_host_text(address, client);
	s->seen.role = CERT_CLIENT;
	s->seen.where = xasprintf("%s/%s", l->name, source ? source->name : "");
	s->seen.address = xstrdup(address);
	s->seen.named = true;
	s->seen.watched = l->client_cert == CONF_CLIENT_CERT_REQUIRE;
	if (by_name) {
		const char *const *names =
			(const char *const *)source->client_names.at;

		/* Anybody may show a certificate with these names. */
		s->seen.watched = tls_session_peer_named(
			tls, names, source->client_names.n);
		s->seen.named =
			tls_session_bears(tls, names, source->client_names.n);
	}
	mailbox_post(relay->main_mail, &s->note);
}
