/* SPDX-License-Identifier: ISC */
/*
 * crls - makes revocation lists for tests, good ones and bad ones.
 *
 * They are encoded by hand: GnuTLS and certtool make no reasons, no issuing
 * distribution points and no delta lists.  Issuers and certificates are what
 * certs_make() left in dir.  A failure is a bug of the test: it aborts.
 */
#ifndef TESTS_SUPPORT_CRLS_H
#define TESTS_SUPPORT_CRLS_H

#include "base/bytes.h"

enum crl_spec_scope {
	CRL_OF_DELTA = 1 << 0,
	CRL_OF_INDIRECT = 1 << 1,
	CRL_OF_USERS = 1 << 2,
	CRL_OF_CAS = 1 << 3,
	CRL_OF_ATTRIBUTES = 1 << 4,
	CRL_OF_SOME_REASONS = 1 << 5,
	CRL_WITH_UNKNOWN = 1 << 6,       /* a critical extension */
	CRL_WITH_UNKNOWN_ROW = 1 << 7,   /* the same, of a row */
	CRL_WITHOUT_NEXT = 1 << 8,       /* no nextUpdate */
	CRL_OF_VERSION_1 = 1 << 9,
};

struct crl_spec {
	const char *issuer;              /* whose name it bears */
	const char *signer;              /* whose key signs; NULL: the issuer's */
	const char *revoked[3];          /* certificates */
	unsigned    more;                /* and this many others */
	int         reason;              /* 0: none is told */
	unsigned    scope;
	const char *point;               /* of the issuing distribution point */
	enum { CRL_BY_SHA256, CRL_BY_SHA1, CRL_BY_PSS } hash;
	int64_t     this_s, next_s;      /* counted from now; both 0: from an
					  * hour ago until in a day */
};

/* DER; to be released. */
void crls_make(struct buf *out, const char *dir, const struct crl_spec *spec);
/* The same in PEM. */
void crls_make_pem(struct buf *out, const char *dir,
		   const struct crl_spec *spec);
/* Writes it into a file. */
void crls_save(const char *path, const struct buf *crl);

#endif
