/* SPDX-License-Identifier: ISC */
/*
 * failure - turns GnuTLS errors and alerts into causes and sentences.
 */
#include "tls/failure.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

/* The alerts that speak of the certificate we showed, or did not show. */
static bool is_about_certificate(int alert)
{
	switch (alert) {
	case GNUTLS_A_SSL3_NO_CERTIFICATE:
	case GNUTLS_A_BAD_CERTIFICATE:
	case GNUTLS_A_UNSUPPORTED_CERTIFICATE:
	case GNUTLS_A_CERTIFICATE_REVOKED:
	case GNUTLS_A_CERTIFICATE_EXPIRED:
	case GNUTLS_A_CERTIFICATE_UNKNOWN:
	case GNUTLS_A_UNKNOWN_CA:
	case GNUTLS_A_ACCESS_DENIED:
	case GNUTLS_A_CERTIFICATE_REQUIRED:
		return true;
	default:
		return false;
	}
}

/* TLS 1.2 has no alert of its own for a certificate that was not shown:
 * RFC 5246 says handshake_failure, GnuTLS sends decode_error. */
static bool is_client_certificate_missing(const struct failure *f)
{
	if (f->alert == GNUTLS_A_CERTIFICATE_REQUIRED)
		return true;
	return f->asked == FAILURE_ASKED_NONE &&
	       (f->alert == GNUTLS_A_HANDSHAKE_FAILURE ||
		f->alert == GNUTLS_A_DECODE_ERROR);
}

static enum cause cause_of_alert(const struct failure *f)
{
	if (f->alert == GNUTLS_A_PROTOCOL_VERSION)
		return CAUSE_IS_TLS_VERSION;
	if (f->role == FAILURE_SERVER)
		return CAUSE_IS_TLS_HANDSHAKE;
	if (is_client_certificate_missing(f))
		return CAUSE_IS_TLS_CLIENT_CERT;
	if (is_about_certificate(f->alert) && f->asked != FAILURE_NOT_ASKED)
		return CAUSE_IS_TLS_CLIENT_CERT;
	return CAUSE_IS_TLS_HANDSHAKE;
}

static bool is_of_peer_certificate(const struct failure *f)
{
	return f->rc == GNUTLS_E_CERTIFICATE_ERROR ||
	       f->rc == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

static bool is_missing(const struct failure *f)
{
	return f->role == FAILURE_SERVER &&
	       (f->rc == GNUTLS_E_NO_CERTIFICATE_FOUND ||
		f->rc == GNUTLS_E_CERTIFICATE_REQUIRED);
}

enum cause failure_cause(const struct failure *f)
{
	if (f->rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
		return cause_of_alert(f);
	if (is_missing(f))
		return CAUSE_IS_TLS_CLIENT_CERT;
	if (is_of_peer_certificate(f) && f->verdict != CAUSE_IS_NONE)
		return f->role == FAILURE_SERVER ? CAUSE_IS_TLS_CLIENT_CERT
						 : f->verdict;
	if (f->rc == GNUTLS_E_UNSUPPORTED_VERSION_PACKET)
		return CAUSE_IS_TLS_VERSION;
	return CAUSE_IS_TLS_HANDSHAKE;
}

/* ---------------------------------------------------------------- sentences */

/* The name of RFC 8446: "handshake_failure". */
static void alert_name(char *out, size_t max, int alert)
{
	static const char prefix[] = "GNUTLS_A_";
	const char *name =
		gnutls_alert_get_strname((gnutls_alert_description_t)alert);
	size_t n = 0;

	if (!name)
		name = "unknown";
	if (strncmp(name, prefix, sizeof(prefix) - 1) == 0)
		name += sizeof(prefix) - 1;
	for (; name[n] && n + 1 < max; n++)
		out[n] = (char)tolower((unsigned char)name[n]);
	out[n] = '\0';
}

static const char *said_by_alert(const struct failure *f)
{
	if (f->role == FAILURE_SERVER)
		return is_about_certificate(f->alert)
			       ? "the client does not accept our certificate"
			       : "the client broke off the handshake";
	if (f->alert == GNUTLS_A_PROTOCOL_VERSION)
		return "the peer shares no TLS version with us";
	if (cause_of_alert(f) != CAUSE_IS_TLS_CLIENT_CERT)
		return "the peer broke off the handshake";
	if (f->asked == FAILURE_ASKED_SHOWN)
		return "the peer does not accept our client certificate";
	return "the peer demands a client certificate, we have none to show";
}

static void explain_alert(const struct failure *f, struct err *e)
{
	char name[48];

	alert_name(name, sizeof(name), f->alert);
	err_temp(e, 7, 0, "%s: alert %s (%d)", said_by_alert(f), name,
		 f->alert);
}

static const char *said_by_code(const struct failure *f)
{
	switch (f->rc) {
	case GNUTLS_E_PREMATURE_TERMINATION:
		return "the peer closed the connection in the middle of the "
		       "TLS handshake (TLS inspection, version or SNI "
		       "refusal?)";
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		return "the peer shares no TLS version with us";
	case GNUTLS_E_UNEXPECTED_PACKET:
		return "what the peer sent in the handshake is not TLS, or not "
		       "what was due";
	case GNUTLS_E_NO_CIPHER_SUITES:
	case GNUTLS_E_UNKNOWN_CIPHER_SUITE:
		return "the peer shares no cipher suite, or no TLS version, "
		       "with us";
	case GNUTLS_E_INSUFFICIENT_CREDENTIALS:
	case GNUTLS_E_UNSUPPORTED_SIGNATURE_ALGORITHM:
		return "the peer cannot verify any of our keys, or shares no "
		       "signature algorithm with us";
	case GNUTLS_E_DH_PRIME_UNACCEPTABLE:
	case GNUTLS_E_INSUFFICIENT_SECURITY:
		return "the peer's key exchange is too weak";
	default:
		return gnutls_strerror(f->rc);
	}
}

void failure_explain(const struct failure *f, struct err *e)
{
	if (f->rc == GNUTLS_E_FATAL_ALERT_RECEIVED)
		explain_alert(f, e);
	else if (is_missing(f))
		err_temp(e, 7, 5, "the client shows no certificate");
	else if (is_of_peer_certificate(f) && f->verdict != CAUSE_IS_NONE)
		err_temp(e, 7, 5, "%s", f->verdict_text);
	else if (f->os != 0)
		err_temp(e, 7, 0,
			 "the connection broke in the TLS handshake: "
			 "%s",
			 strerror(f->os));
	else
		err_temp(e, 7, 0, "TLS handshake: %s", said_by_code(f));
	e->os = f->os;
	/* An orderly close in the middle is no other than a reset. */
	if (e->os == 0 && f->rc == GNUTLS_E_PREMATURE_TERMINATION)
		e->os = ECONNRESET;
}

/* ------------------------------------------------------------------- alerts */

static gnutls_alert_description_t alert_for(enum cause verdict)
{
	if (verdict == CAUSE_IS_TLS_CERT_EXPIRED)
		return GNUTLS_A_CERTIFICATE_EXPIRED;
	if (verdict == CAUSE_IS_TLS_CERT_REVOKED)
		return GNUTLS_A_CERTIFICATE_REVOKED;
	if (verdict == CAUSE_IS_TLS_CERT_UNTRUSTED ||
	    verdict == CAUSE_IS_TLS_CERT_SELF_SIGNED)
		return GNUTLS_A_UNKNOWN_CA;
	return GNUTLS_A_BAD_CERTIFICATE;
}

bool failure_alert(const struct failure *f, gnutls_alert_description_t *out)
{
	int level;

	if (f->os != 0 || f->rc == GNUTLS_E_FATAL_ALERT_RECEIVED ||
	    f->rc == GNUTLS_E_PREMATURE_TERMINATION)
		return false;
	if (is_of_peer_certificate(f))
		*out = alert_for(f->verdict);
	else if (is_missing(f) && f->rc == GNUTLS_E_NO_CERTIFICATE_FOUND)
		*out = GNUTLS_A_HANDSHAKE_FAILURE; /* RFC 5246 7.4.6 */
	else
		*out = (gnutls_alert_description_t)gnutls_error_to_alert(
			f->rc, &level);
	return true;
}
