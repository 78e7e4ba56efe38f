/* SPDX-License-Identifier: ISC */
/*
 * revocation - is any certificate of a verified chain revoked?
 *
 * Thread: any.
 */
#ifndef TLS_REVOCATION_H
#define TLS_REVOCATION_H

#include "tls/chain.h"
#include "tls/session.h"

/* Asks about every certificate of the path but the one that is trusted, and
 * fills v->crl and v->crl_text.  The chain has verified under this trust,
 * which does not ignore lists. */
void revocation_ask(const struct chain *c, const struct tls_trust *trust,
		    struct tls_verdict *v);

#endif
