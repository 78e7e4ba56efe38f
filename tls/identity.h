/* SPDX-License-Identifier: ISC */
/*
 * identity - what a session takes from a struct tls_identity.
 *
 * Thread: any; the content never changes, so sessions of all workers sign with
 * one key object.
 */
#ifndef TLS_IDENTITY_H
#define TLS_IDENTITY_H

#include <gnutls/abstract.h>

#include "tls/creds.h"

/* In the form of GnuTLS; borrowed from i. */
struct identity_offer {
	gnutls_pcert_st     *chain;
	unsigned             len;
	gnutls_privkey_t     key;
	gnutls_ocsp_data_st *staple;     /* NULL: none */
};
void identity_offer(struct tls_identity *i, struct identity_offer *out);

/* The best of the identities for a client: one whose key it can verify, and
 * among those the first that bears the name it asks for (sni NULL: it asks for
 * none); in the end the first of all.  n > 0. */
struct tls_identity *identity_choose(struct tls_identity *const *identities,
				     size_t n, gnutls_session_t session,
				     const char *sni);

#endif
