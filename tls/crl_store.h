/* SPDX-License-Identifier: ISC */
/*
 * crl_store - revocation lists of URLs on disk, one a file, each with the
 * certificate of its issuer; PEM, readable with certtool.
 *
 * It is a cache: what is damaged or lost is fetched again, so nothing is
 * synced.  A file is replaced as a whole.
 *
 * Thread: any, one at a time for each name.
 */
#ifndef TLS_CRL_STORE_H
#define TLS_CRL_STORE_H

#include "tls/crl.h"

struct crl_stored {
	char             *url;           /* owned */
	bool              may_be_private;
	gnutls_x509_crt_t issuer;        /* owned */
	struct crl       *crl;           /* owned reference */
	int64_t           saved_ms;      /* wall */
};

void crl_stored_release(struct crl_stored *s);

MUST_USE enum status crl_store_save(const char *dir, const char *name,
				    const struct crl_stored *what,
				    struct err *e);
/* A failure is no harm. */
void crl_store_remove(const char *dir, const char *name);
/* Makes dir if need be.  seen() gets every file that can be used, and owns
 * it; others are removed. */
MUST_USE enum status crl_store_load(const char *dir,
				    void (*seen)(void *arg,
						 struct crl_stored *s),
				    void *arg, struct err *e);

#endif
