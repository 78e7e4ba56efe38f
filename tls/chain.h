/* SPDX-License-Identifier: ISC */
/*
 * chain - the certificates a peer sent, and the path from its own to one that
 * is trusted.
 *
 * GnuTLS tells that something in a chain is wrong, not which certificate; the
 * path is there to find the one to be mended.  Peers send others along, and an
 * expired cross certificate that nobody needs is no fault.
 *
 * Thread: the one that has it.
 */
#ifndef TLS_CHAIN_H
#define TLS_CHAIN_H

#include <gnutls/x509.h>

#include "tls/creds.h"

/* GnuTLS' own limit, which its verification does not check in 3.7. */
enum { CHAIN_MAX = 16 };

struct chain {
	gnutls_x509_crt_t certs[CHAIN_MAX];      /* owned; the leaf first */
	unsigned          n;
	gnutls_x509_crt_t path[CHAIN_MAX + 1];   /* leaf to anchor */
	unsigned          npath;
	gnutls_x509_crt_t anchor;                /* owned; the trusted one that
						  * ends the path, or NULL */
};

/* Reads up to the first that is no certificate; n 0: not even the leaf is.
 * trust NULL: there is none, the path is what the peer sent. */
void chain_init(struct chain *c, const gnutls_datum_t *der, unsigned n,
		const struct tls_trust *trust);
void chain_release(struct chain *c);

/* The first certificate on the path for which has_fault() is true, or NULL. */
gnutls_x509_crt_t chain_culprit(const struct chain *c,
				bool (*has_fault)(gnutls_x509_crt_t));

#endif
