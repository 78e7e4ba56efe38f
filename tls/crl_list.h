/* SPDX-License-Identifier: ISC */
/*
 * crl_list - the content of a struct crl, for the files that make it and that
 * judge by it.
 *
 * Spans point into der.  The serial numbers of 100 000 entries are found by a
 * sorted list of places: a tree of the whole list, as libraries make it, takes
 * many times its size.
 *
 * Thread: any.
 */
#ifndef TLS_CRL_LIST_H
#define TLS_CRL_LIST_H

#include <stdatomic.h>

#include "tls/crl.h"

struct crl {
	atomic_uint refs;
	char       *der;                 /* owned */
	size_t      len;
	struct span signed_part;         /* TBSCertList */
	struct span signature;
	struct span algorithm;           /* AlgorithmIdentifier's content */
	struct span issuer;              /* Name */
	int64_t     this_ms, next_ms;    /* wall; next 0: not told */
	uint32_t   *entries;             /* owned; places in der, by serial */
	size_t      n;
	/* What it is about: RFC 5280 5.2.5 and others. */
	bool        is_delta, is_indirect;
	bool        only_users, only_cas, only_attributes, some_reasons;
	bool        has_point;           /* is of one distribution point ... */
	struct span point;               /* ... of one of these GeneralNames */
	char        unknown[DER_OID_TEXT_MAX];   /* critical, and not known; "" */
	/* The hash of the key that is known to have signed it, so that it is
	 * not proved for each session anew; owned, NULL: none yet. */
	_Atomic(uint8_t *) signer;
};

/* One row of the list. */
struct crl_entry {
	struct span serial;              /* without leading zeros */
	int64_t     revoked_ms;          /* wall */
	int         reason;              /* RFC 5280 5.3.1; -1: not told */
	bool        is_indirect;         /* of another issuer */
	char        unknown[DER_OID_TEXT_MAX];   /* as above */
};

enum { CRL_REASON_HOLD = 6 };

/* Takes the next row from *in. */
MUST_USE bool crl_take_entry(struct span *in, struct crl_entry *out);
/* The row of a serial number; false: it is not there. */
MUST_USE bool crl_find(const struct crl *c, struct span serial,
		       struct crl_entry *out);

#endif
