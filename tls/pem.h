/* SPDX-License-Identifier: ISC */
/*
 * pem - PEM files, read whole, with errors that name the file.
 *
 * Thread: any.
 */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <gnutls/gnutls.h>

#include "base/err.h"

/* Errors: ST_PERM 5.7.0: unreadable, empty, or not PEM.  *out is the caller's
 * on ST_OK, for pem_free(). */
MUST_USE enum status pem_load(gnutls_datum_t *out, const char *path,
			      struct err *e);
/* Overwrites the bytes first: they may be a key.  Empty is fine. */
void pem_free(gnutls_datum_t *pem);

#endif
