/* SPDX-License-Identifier: ISC */
/*
 * staple - an OCSP response about one of our own certificates, to be shown with
 * it (RFC 6066 section 8, RFC 6960).
 *
 * Somebody else fetches it into a file.  Only one that helps is shown: about
 * this certificate, signed for its issuer, in its time, and good.
 *
 * Thread: any; filled before it is shared.
 */
#ifndef TLS_STAPLE_H
#define TLS_STAPLE_H

#include <gnutls/x509.h>

#include "base/err.h"

struct staple {
	gnutls_ocsp_data_st data;        /* response is owned */
	int64_t until_ms;                /* wall: its nextUpdate */
};

/* issuer NULL: not in our chain, the signature can't be checked.  Errors:
 * ST_PERM 5.7.0, the text names the file. */
MUST_USE enum status staple_load(struct staple *out, const char *file,
				 gnutls_x509_crt_t leaf,
				 gnutls_x509_crt_t issuer, struct err *e);
void staple_release(struct staple *s);   /* all zero is fine */

/* ------- the pure part */

enum staple_says { STAPLE_GOOD, STAPLE_REVOKED, STAPLE_UNKNOWN };
/* NULL: it may be shown at now_ms.  next_ms 0: it names no end. */
const char *staple_fault(enum staple_says says, int64_t this_ms,
			 int64_t next_ms, int64_t now_ms);

#endif
