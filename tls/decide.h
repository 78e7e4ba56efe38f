/* SPDX-License-Identifier: ISC */
/*
 * decide - what the faults of a certificate mean under a policy.
 *
 * Pure.  Thread: any.
 */
#ifndef TLS_DECIDE_H
#define TLS_DECIDE_H

#include <gnutls/gnutls.h>

#include "tls/session.h"

/* Faults of a chain are GnuTLS' GNUTLS_CERT_* bits and these. */
enum {
	FAULT_CRL = 1 << 28,             /* revocation is to be known, and is not */
	FAULT_SELF_SIGNED = 1 << 29,     /* the leaf, and it is not trusted */
	FAULT_NAME = 1 << 30,
};

/* All that say: it leads to no trusted certificate. */
enum {
	FAULTS_OF_TRUST = GNUTLS_CERT_SIGNER_NOT_FOUND |
			  GNUTLS_CERT_SIGNER_NOT_CA |
			  GNUTLS_CERT_SIGNATURE_FAILURE |
			  GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE |
			  GNUTLS_CERT_PURPOSE_MISMATCH |
			  GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS,
};

/* The cause that stands for a set of faults (session.h has the order), and
 * what is wrong in words. */
enum cause decide_cause(unsigned faults, const char **check);

/* The kinds (enum tls_fault) of a set of faults. */
unsigned decide_kinds(unsigned faults);

enum decide_peer { DECIDE_SERVER, DECIDE_CLIENT };
enum decide_pin { PIN_NOT_SET, PIN_MATCHES, PIN_DIFFERS };
enum decide_proof {
	PROOF_NONE,
	PROOF_CA,
	PROOF_NAME,
	PROOF_PIN,
	PROOF_EXCEPTION,                 /* only because faults were forgiven */
};

struct facts {
	enum tls_verify  verify;
	enum decide_peer peer;           /* names are asked of servers only */
	enum decide_pin  pin;
	bool             trust;          /* was there any to verify against? */
	unsigned         faults;
	unsigned         forgive;        /* enum tls_forgive, for this key */
};

struct decision {
	bool              accepted;
	enum decide_proof proof;
	enum cause        cause;         /* also of what was forgiven */
};

struct decision decide(const struct facts *f);

#endif
