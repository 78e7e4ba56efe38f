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
	{FAULT_CRL, CAUSE_IS_TLS_CRL_UNAVAILABLE, "revocation is not known"},
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

unsigned decide_kinds(unsigned faults)
{
	static const struct {
		unsigned faults;
		enum tls_fault kind;
	} table[] = {
		{FAULTS_OF_TRUST | FAULT_SELF_SIGNED, TLS_FAULT_CHAIN},
		{FAULT_NAME, TLS_FAULT_NAME},
		{GNUTLS_CERT_EXPIRED | GNUTLS_CERT_NOT_ACTIVATED,
		 TLS_FAULT_DATES},
		{GNUTLS_CERT_REVOKED, TLS_FAULT_REVOKED},
		{FAULT_CRL, TLS_FAULT_CRL},
		{GNUTLS_CERT_INSECURE_ALGORITHM, TLS_FAULT_WEAK},
	};
	unsigned kinds = 0;

	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		if (faults & table[i].faults)
			kinds |= table[i].kind;
	if (kinds == 0 && faults != 0)
		kinds = TLS_FAULT_CHAIN;
	return kinds;
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

/* GNUTLS_CERT_INVALID comes along with each fault of a chain; it goes with the
 * last of them. */
static unsigned after_pardon(const struct facts *f)
{
	static const struct {
		enum tls_forgive forgive;
		unsigned faults;
	} pardons[] = {
		{TLS_FORGIVE_EXPIRED, GNUTLS_CERT_EXPIRED},
		{TLS_FORGIVE_NAME, FAULT_NAME},
		{TLS_FORGIVE_UNTRUSTED, FAULTS_OF_TRUST | FAULT_SELF_SIGNED},
		{TLS_FORGIVE_CRL, FAULT_CRL},
	};
	unsigned pardoned = 0;
	unsigned left;

	for (size_t i = 0; i < ARRAY_LEN(pardons); i++)
		if (f->forgive & pardons[i].forgive)
			pardoned |= f->faults & pardons[i].faults;
	left = f->faults & ~pardoned;
	if (pardoned & ~(unsigned)FAULT_NAME &&
	    (left & ~(unsigned)FAULT_NAME) == GNUTLS_CERT_INVALID)
		left &= ~(unsigned)GNUTLS_CERT_INVALID;
	return left;
}

static bool is_forgiven(const struct facts *f)
{
	struct facts pardoned = *f;

	pardoned.faults = after_pardon(f);
	return pardoned.faults != f->faults &&
	       is_enough(&pardoned, proof_of(&pardoned));
}

struct decision decide(const struct facts *f)
{
	struct decision d = {.proof = proof_of(f)};
	const char *check;

	d.accepted = is_enough(f, d.proof);
	if (!d.accepted && is_forgiven(f)) {
		d.accepted = true;
		d.proof = PROOF_EXCEPTION;
	}
	if (!d.accepted && f->pin == PIN_DIFFERS)
		d.cause = CAUSE_IS_TLS_PIN;
	else if (d.proof == PROOF_PIN)
		d.cause = CAUSE_IS_NONE;
	else
		d.cause = decide_cause(f->faults, &check);
	return d;
}
