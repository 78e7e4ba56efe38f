/* SPDX-License-Identifier: ISC */
/*
 * revocation - asks the lists about one certificate of a chain after another.
 */
#include "tls/revocation.h"

#include <stdio.h>

#include "tls/cert.h"
#include "tls/crl_cache.h"
#include "tls/trust.h"

/* Which certificate it is about; nothing where the text begins with a list
 * that the leaf names. */
static void say_whose(struct tls_verdict *v, const struct chain *c,
		      gnutls_x509_crt_t crt, const char *text)
{
	bool of_none = strncmp(text, "has ", 4) == 0;
	struct tls_cert_info info;

	if (crt == c->certs[0]) {
		snprintf(v->crl_text, sizeof(v->crl_text), "%s%.340s",
			 of_none ? "the certificate " : "", text);
		return;
	}
	cert_describe(crt, &info);
	snprintf(v->crl_text, sizeof(v->crl_text),
		 "the intermediate %.60s%s%.300s", info.subject,
		 of_none ? " " : ": ", text);
}

void revocation_ask(const struct chain *c, const struct tls_trust *trust,
		    struct tls_verdict *v)
{
	const struct tls_crl_conf *conf = trust_crl(trust);
	struct crl_ask ask = {
		.files = conf->files,
		.nfiles = conf->nfiles,
		.refresh_ms = conf->refresh_ms,
		.retry_ms = conf->retry_ms,
		.may_be_private = c->anchor && trust_is_own(trust, c->anchor),
	};

	v->crl = TLS_CRL_GOOD;
	for (unsigned i = 0; i + 1 < c->npath; i++) {
		struct crl_answer answer;

		/* One that is trusted itself is its own issuer. */
		if (cert_self_signed(c->path[i]))
			return;
		ask.crt = c->path[i];
		ask.issuer = c->path[i + 1];
		crl_cache_ask(conf->cache, &ask, &answer);
		v->crl_pending = v->crl_pending || answer.pending;
		/* All are asked, so that all lists are fetched at once; the
		 * first that is not known is told, or one that is revoked. */
		if (answer.state == TLS_CRL_GOOD ||
		    (answer.state == TLS_CRL_UNDETERMINED &&
		     v->crl != TLS_CRL_GOOD))
			continue;
		v->crl = answer.state;
		say_whose(v, c, ask.crt, answer.text);
		if (answer.state == TLS_CRL_REVOKED)
			return;
	}
}
