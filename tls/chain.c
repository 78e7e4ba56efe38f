/* SPDX-License-Identifier: ISC */
/*
 * chain - reads the certificates of a peer and walks up from its own.
 */
#include "tls/chain.h"

#include "tls/cert.h"
#include "tls/trust.h"

static void import_all(struct chain *c, const gnutls_datum_t *der, unsigned n)
{
	for (unsigned i = 0; i < n && c->n < CHAIN_MAX; i++) {
		gnutls_x509_crt_t crt = NULL;

		if (gnutls_x509_crt_init(&crt) < 0)
			return;
		if (gnutls_x509_crt_import(crt, &der[i], GNUTLS_X509_FMT_DER) <
		    0) {
			gnutls_x509_crt_deinit(crt);
			return;
		}
		c->certs[c->n++] = crt;
	}
}

/* Two may bear one name: an authority's old key and its new one. */
static bool has_signed(gnutls_x509_crt_t issuer, gnutls_x509_crt_t crt)
{
	unsigned faults = 0;

	return gnutls_x509_crt_check_issuer(crt, issuer) &&
	       gnutls_x509_crt_verify(crt, &issuer, 1,
				      GNUTLS_VERIFY_DISABLE_TIME_CHECKS |
					      GNUTLS_VERIFY_ALLOW_BROKEN,
				      &faults) >= 0 &&
	       !(faults & GNUTLS_CERT_SIGNATURE_FAILURE);
}

/* Among those sent: who issued crt?  NULL: not sent, or crt itself. */
static gnutls_x509_crt_t issuer_sent(const struct chain *c,
				     gnutls_x509_crt_t crt)
{
	if (cert_self_signed(crt))
		return NULL;
	for (unsigned i = 1; i < c->n; i++)
		if (c->certs[i] != crt && has_signed(c->certs[i], crt))
			return c->certs[i];
	return NULL;
}

/* Up to the first certificate that the trust knows the issuer of. */
static void find_path(struct chain *c, const struct tls_trust *trust)
{
	gnutls_x509_crt_t at = c->certs[0];

	while (at && c->npath < CHAIN_MAX) {
		c->path[c->npath++] = at;
		if (trust && gnutls_x509_trust_list_get_issuer(
				     trust_list(trust), at, &c->anchor,
				     GNUTLS_TL_GET_COPY) >= 0) {
			c->path[c->npath++] = c->anchor;
			return;
		}
		c->anchor = NULL;
		at = issuer_sent(c, at);
	}
}

void chain_init(struct chain *c, const gnutls_datum_t *der, unsigned n,
		const struct tls_trust *trust)
{
	*c = (struct chain){.n = 0};
	import_all(c, der, n);
	if (c->n > 0)
		find_path(c, trust);
}

void chain_release(struct chain *c)
{
	for (unsigned i = 0; i < c->n; i++)
		gnutls_x509_crt_deinit(c->certs[i]);
	if (c->anchor)
		gnutls_x509_crt_deinit(c->anchor);
}

gnutls_x509_crt_t chain_culprit(const struct chain *c,
				bool (*has_fault)(gnutls_x509_crt_t))
{
	for (unsigned i = 0; i < c->npath; i++)
		if (has_fault(c->path[i]))
			return c->path[i];
	return NULL;
}
