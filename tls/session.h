/* SPDX-License-Identifier: ISC */
/*
 * session - one GnuTLS session as a struct transport, and its verdict on the
 * peer.
 *
 * As a client (a delivery): SNI is the host, the peer is judged inside the
 * handshake, before we send anything; a peer that fails the policy fails the
 * handshake, and tls_session_verdict() says what is wrong.
 * As a server (a listener): several identities are chosen by SNI; client
 * certificates are asked for as told, judged, never fatal unless required; no
 * TLS 1.3 session tickets are sent; clientAuth is not demanded.
 *
 * A write that was answered TRANSPORT_WANTS_* is repeated with at least the
 * same bytes at its beginning.
 *
 * RFC 9525 names, RFC 9325 parameters, RFC 8446.
 *
 * Thread: the worker of its connection.
 */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include "base/cause.h"
#include "net/transport.h"
#include "tls/creds.h"

enum { TLS_VERDICT_TEXT_MAX = 1024, TLS_CRL_TEXT_MAX = 384 };

/* What can be wrong with a peer's certificates, kind by kind. */
enum tls_fault {
	TLS_FAULT_CHAIN = 1,             /* it leads to nobody trusted */
	TLS_FAULT_NAME = 2,
	TLS_FAULT_DATES = 4,
	TLS_FAULT_REVOKED = 8,
	TLS_FAULT_CRL = 16,              /* no fresh revocation list */
	TLS_FAULT_WEAK = 32,
};

enum tls_verify { TLS_VERIFY_NONE, TLS_VERIFY_CA, TLS_VERIFY_NAME };

/* Faults that an exception of an operator forgives, and no others. */
enum tls_forgive {
	TLS_FORGIVE_EXPIRED = 1,
	TLS_FORGIVE_NAME = 2,
	TLS_FORGIVE_UNTRUSTED = 4,       /* also self-signed */
	TLS_FORGIVE_CRL = 8,             /* no fresh list; never: revoked */
};

/*
 * What the peer must prove.  The struct is copied, what it points to is
 * borrowed for the life of the session.
 *
 * A key that matches a pin is enough: dates, names and issuer are not asked
 * then.  One that matches none must pass `verify`; with TLS_VERIFY_NONE there
 * is nothing to pass, and pins alone decide.
 */
struct tls_policy {
	enum tls_verify    verify;
	struct tls_trust  *trust;        /* NULL: the system's, or, with
					  * TLS_VERIFY_NONE, none */
	const char *const *names;        /* accepted; n 0: the host itself.
					  * "*.a.b" takes any name just below */
	size_t             nnames;
	const uint8_t    (*pins)[32];    /* SHA-256 of the SPKI */
	size_t             npins;
	bool               common_name;  /* takes the CN where no SAN is a DNS
					  * name */
	unsigned           forgive;      /* enum tls_forgive; a peer that
					  * needs it is accepted, as verified
					  * by "exception" */
	bool               forgive_pinned;       /* only for this key: */
	uint8_t            forgive_pin[32];      /* SHA-256 of its SPKI */
};

enum tls_ask { TLS_ASK_NOTHING, TLS_ASK_REQUEST, TLS_ASK_REQUIRE };

/* As above: copied, the rest is borrowed for the life of the session. */
struct tls_server_conf {
	struct tls_identity *const *identities;  /* at least one; the first is
						  * for unknown names */
	size_t                      nidentities;
	struct tls_trust           *trust;       /* NULL: none */
	enum tls_ask                ask;         /* for client certificates */
};

/* What revocation lists say of the peer's chain. */
enum tls_crl {
	TLS_CRL_OFF,                     /* they were not to be asked */
	TLS_CRL_GOOD,
	TLS_CRL_REVOKED,
	TLS_CRL_UNDETERMINED,
};

/*
 * What was found wrong with the peer, even where the policy does not mind;
 * CAUSE_IS_NONE and "" if nothing was.  Of several faults the cause is the one
 * that must be mended first, whatever becomes of the others:
 *
 *	tls-pin                 pins are given, none matches, nor does the rest
 *	tls-cert-self-signed    it leads to no trust, but to itself
 *	tls-cert-untrusted      it leads to no trust (issuer, purpose, chain)
 *	tls-cert-revoked
 *	tls-cert-expired        any certificate up to the trusted one; the text
 *	tls-cert-not-yet-valid    says which
 *	tls-cert-weak
 *	tls-crl-unavailable     the trust requires an answer, there is none
 *	tls-cert-name
 */
struct tls_verdict {
	enum cause cause;
	unsigned   faults;                       /* enum tls_fault: all */
	char       text[TLS_VERDICT_TEXT_MAX];   /* which check, subject, names,
						  * issuer, dates, serial */
	enum tls_crl crl;
	char         crl_text[TLS_CRL_TEXT_MAX]; /* why it is revoked, or why
						  * that is not known; or "" */
	bool         crl_pending;        /* a list is being fetched for the
					  * first time */
};
/* "off", "good", "revoked" or "undetermined". */
const char *tls_crl_word(enum tls_crl crl);
/* The same with the reason: "undetermined: why". */
void tls_crl_say(char *out, size_t max, const struct tls_verdict *v);

/* fd (non-blocking) and identity (may be NULL) are borrowed for the life of
 * the session; host is copied.  Errors: ST_TEMP 4.7.0. */
MUST_USE enum status tls_client_new(struct transport **out, int fd,
				    const char *host,
				    const struct tls_policy *policy,
				    struct tls_identity *identity,
				    struct err *e);
MUST_USE enum status tls_server_new(struct transport **out, int fd,
				    const struct tls_server_conf *conf,
				    struct err *e);

/* The rest takes the transport of one of the above. */

/* "TLS1.3", "TLS1.2"; "" before the handshake is done. */
const char *tls_session_version(const struct transport *t);
const char *tls_session_cipher(const struct transport *t);
/* "name", "ca", "pin", "exception" (faults were forgiven) or "none": what was
 * proved, not what was asked.  A
 * server's peer: "ca" when its client certificate verified. */
const char *tls_session_verified(const struct transport *t);
const struct tls_verdict *tls_session_verdict(const struct transport *t);
/* False: the peer showed no certificate. */
bool tls_session_peer(const struct transport *t, struct tls_cert_info *out);
/* Does the peer's certificate, verified, bear one of these names (RFC 9525)?
 * Always false when it was not. */
bool tls_session_peer_named(const struct transport *t, const char *const *names,
			    size_t n);
/* Does it bear one of these names (none given: that of the host), whatever else
 * may be wrong with it?  To tell, not to decide. */
bool tls_session_bears(const struct transport *t, const char *const *names,
		       size_t n);
/* Judges once more what a server has shown, under another policy: to tell, for
 * the session stays what it is. */
void tls_session_judge(const struct transport *t, const struct tls_policy *p,
		       struct tls_verdict *out);
/* The cause of a failed handshake: tls-handshake, tls-version,
 * tls-client-cert, or the verdict's.  CAUSE_IS_NONE: the handshake did not
 * fail.  Under TLS 1.3 a peer that refuses our client certificate says so
 * after the handshake: the first read fails, and it is tls-client-cert. */
enum cause tls_session_failure(const struct transport *t);

#endif
