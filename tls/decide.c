/* SPDX-License-Identifier: ISC */
/*
 * decide - turns faults into a cause, and facts into yes or no.
 */
#include "tls/decide.h"

/*
 * The first row that applies is the cause.  Trust comes first: renewing an
 * expired certificate that would not be trusted afterwards either is work for
 * nothing.  The name comes last: it means something only on a certificate that
 * is good.
 */
static const struct {
	unsigned fault;
	enum cause cause;
	const char *check;
} checks[] = {
	{FAULT_SELF_SIGNED, CAUSE_IS_TLS_CERT_SELF_SIGNED,
	 "the certificate is self-signed and not trusted here"},
	{GNUTLS_CERT_SIGNER_NOT_FOUND, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "the issuer is not trusted"},
	{GNUTLS_CERT_SIGNER_NOT_CA, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "a certificate in the chain was issued by one that is no CA"},
	{GNUTLS_CERT_SIGNATURE_FAILURE, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "a signature in the chain is wrong"},
	{GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "the certificate is outside of what its issuer may certify"},
	{GNUTLS_CERT_PURPOSE_MISMATCH, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "the certificate is not meant for servers (extended key usage)"},
	{GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "the chain has a critical extension that is unknown here"},
	{GNUTLS_CERT_REVOKED, CAUSE_IS_TLS_CERT_REVOKED,
	 "the certificate was revoked"},
	{GNUTLS_CERT_EXPIRED, CAUSE_IS_TLS_CERT_EXPIRED,
	 "the certificate has expired"},
	{GNUTLS_CERT_NOT_ACTIVATED, CAUSE_IS_TLS_CERT_NOT_YET_VALID,
	 "the certificate is not valid yet"},
	{GNUTLS_CERT_INSECURE_ALGORITHM, CAUSE_IS_TLS_CERT_WEAK,
	 "a key or signature in the chain is too weak"},
	{~(unsigned)FAULT_NAME, CAUSE_IS_TLS_CERT_UNTRUSTED,
	 "the certificate is not valid"},
	{FAULT_NAME, CAUSE_IS_TLS_CERT_NAME,
	 "the certificate bears another name"},
};

enum cause decide_cause(unsigned faults, const char **check)
{
	for (size_t i = 0; i < ARRAY_LEN(checks); i++) {
		if (faults & checks[i].fault) {
			*check = checks[i].check;
			return checks[i].cause;
		}
	}
	*check = "";
	return CAUSE_IS_NONE;
}

static enum decide_proof proof_of(const struct facts *f)
{
	if (f->pin == PIN_MATCHES)
		return PROOF_PIN;
	if (!f->trust || (f->faults & ~(unsigned)FAULT_NAME))
		return PROOF_NONE;
	if (f->peer == DECIDE_CLIENT || (f->faults & FAULT_NAME))
		return PROOF_CA;
	return PROOF_NAME;
}

static bool is_enough(const struct facts *f, enum decide_proof proof)
{
	if (proof == PROOF_PIN)
		return true;
	switch (f->verify) {
	case TLS_VERIFY_NONE:
		return f->pin == PIN_NOT_SET;
	case TLS_VERIFY_CA:
		return proof != PROOF_NONE;
	case TLS_VERIFY_NAME:
		return proof == PROOF_NAME;
	}
	BUG_ON(true);
	return false;
}

struct decision decide(const struct facts *f)
{
	struct decision d = {.proof = proof_of(f)};
	const char *check;

	d.accepted = is_enough(f, d.proof);
	if (!d.accepted && f->pin == PIN_DIFFERS)
		d.cause = CAUSE_IS_TLS_PIN;
	else if (d.proof == PROOF_PIN)
		d.cause = CAUSE_IS_NONE;
	else
		d.cause = decide_cause(f->faults, &check);
	return d;
}
