/* SPDX-License-Identifier: ISC */
/*
 * verify - judges if a peer is who the policy demands.
 *
 * GnuTLS says what is wrong with the chain (PKIX, RFC 5280); names are matched
 * as RFC 9525 says.  A server must be meant for servers if its certificate
 * names purposes; of a client none is asked, for public CAs issue no
 * clientAuth any more.
 *
 * Thread: any.
 */
#ifndef TLS_VERIFY_H
#define TLS_VERIFY_H

#include "tls/decide.h"

struct verify_task {
	enum decide_peer         peer;
	const char              *host;   /* DECIDE_SERVER */
	const struct tls_policy *policy; /* trust NULL: nobody is trusted */
};

struct verify_result {
	bool               accepted;
	enum decide_proof  proof;
	struct tls_verdict verdict;
};

/* der: the certificates as the peer sent them, n > 0. */
void verify_peer(const struct verify_task *task, const gnutls_datum_t *der,
		 unsigned n, struct verify_result *out);

#endif
