/* SPDX-License-Identifier: ISC */
/*
 * failure - what a broken handshake means: a cause and a sentence.
 *
 * Pure.  Thread: any.
 */
#ifndef TLS_FAILURE_H
#define TLS_FAILURE_H

#include <gnutls/gnutls.h>

#include "base/cause.h"
#include "base/err.h"

enum failure_role { FAILURE_CLIENT, FAILURE_SERVER };

/* Did the peer ask for our certificate, and had we one to show? */
enum failure_asked {
	FAILURE_NOT_ASKED,
	FAILURE_ASKED_SHOWN,
	FAILURE_ASKED_NONE,
};

struct failure {
	enum failure_role  role;
	int                rc;           /* GNUTLS_E_* */
	int                alert;        /* received, when rc says so */
	int                os;           /* errno, when rc is of the socket */
	enum failure_asked asked;
	enum cause         verdict;      /* on the peer's certificate */
	const char        *verdict_text;
};

enum cause failure_cause(const struct failure *f);
/* Fills *e (ST_TEMP: 4.7.5 for certificates, 4.7.0 for the rest; os,
 * ECONNRESET also when the peer closed before the end). */
void failure_explain(const struct failure *f, struct err *e);
/* What to tell the peer before hanging up; false: nothing. */
bool failure_alert(const struct failure *f, gnutls_alert_description_t *out);

#endif
