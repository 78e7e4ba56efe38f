/* SPDX-License-Identifier: ISC */
/*
 * trust - what a session takes from a struct tls_trust.
 *
 * Thread: any.  The trust list is filled before it is shared and only read
 * afterwards; GnuTLS verifies against one list from many threads (since
 * 3.7.3, GNUTLS-SA-2022-01-17).
 */
#ifndef TLS_TRUST_H
#define TLS_TRUST_H

#include <gnutls/x509.h>

#include "tls/creds.h"

/* Borrowed from t. */
gnutls_x509_trust_list_t trust_list(const struct tls_trust *t);
/* What was set, or IGNORE; borrowed from t. */
const struct tls_crl_conf *trust_crl(const struct tls_trust *t);
/* Did the administrator name this authority in a file?  Who is of the system's
 * trust only is a stranger. */
bool trust_is_own(const struct tls_trust *t, gnutls_x509_crt_t anchor);
/* NULL t: versions from TLS 1.2.  Borrowed from t, or lives for ever. */
MUST_USE enum status trust_priority(const struct tls_trust *t,
				    gnutls_priority_t *out, struct err *e);

/* The system's certificate authorities, loaded at the first call and kept for
 * the life of the process.  Borrowed. */
MUST_USE enum status trust_system(struct tls_trust **out, struct err *e);

#endif
