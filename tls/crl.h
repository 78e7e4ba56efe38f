/* SPDX-License-Identifier: ISC */
/*
 * crl - one certificate revocation list, and what it says of a certificate
 * (RFC 5280 sections 5 and 6.3).
 *
 * GnuTLS honours stale lists, and forged ones, so none is ever given to it:
 * who signed a list, its dates and what it is about are looked at here.
 *
 * A list is good for a certificate if crl_is_of() and crl_signed_by() say that
 * it is from the certificate's issuer; only then does crl_judge() mean
 * anything.
 *
 * Pure.  Thread: any; shared by reference count, the content never changes.
 */
#ifndef TLS_CRL_H
#define TLS_CRL_H

#include <gnutls/x509.h>

#include "base/err.h"
#include "tls/der.h"
#include "tls/session.h"

enum {
	CRL_BYTES_MAX = 32 * 1024 * 1024,
	CRL_WHY_MAX = 192,
	CRL_POINTS_MAX = 8,
	CRL_URL_MAX = 512,
	CRL_SKEW_MS = 5 * 60 * 1000,     /* by which clocks may differ */
};

struct crl;

/* Takes the first list of *in, PEM or DER (sniffed); what follows it in a PEM
 * file stays in *in.  Errors (ST_PERM 5.7.0): e->text completes "the list is
 * ..." ("an HTML page", "cut short", "empty" ...). */
MUST_USE enum status crl_read(struct crl **out, struct span *in, struct err *e);
struct crl *crl_ref(struct crl *c);
void crl_unref(struct crl *c);           /* NULL is fine */

int64_t crl_this_update_ms(const struct crl *c);         /* wall */
int64_t crl_next_update_ms(const struct crl *c);         /* wall; 0: none */
size_t crl_entries(const struct crl *c);
struct span crl_der(const struct crl *c);                /* borrowed from c */

/* Does it bear the name of this issuer? */
bool crl_is_of(const struct crl *c, gnutls_x509_crt_t issuer);
/* Is the signature by the issuer's key, and may the issuer sign lists? False:
 * why completes "the list ...".  Long lists take long, the first time. */
MUST_USE bool crl_signed_by(struct crl *c, gnutls_x509_crt_t issuer,
			    char why[CRL_WHY_MAX]);

/* The names of a certificate's distribution points. */
struct crl_points {
	char   url[CRL_POINTS_MAX][CRL_URL_MAX]; /* any URI */
	size_t n;
	unsigned http;                   /* bits: url[i] can be fetched and
					  * answers for all reasons */
};
void crl_points_of(gnutls_x509_crt_t crt, struct crl_points *out);

struct crl_question {
	gnutls_x509_crt_t        crt;
	const struct crl_points *points;         /* of crt */
	int64_t                  wall_ms;        /* now */
};

/* TLS_CRL_GOOD, _REVOKED or _UNDETERMINED; why of the latter two completes
 * "the list ..." and "revoked ...". */
MUST_USE enum tls_crl crl_judge(const struct crl *c,
				const struct crl_question *q,
				char why[CRL_WHY_MAX]);

#endif
