/* SPDX-License-Identifier: ISC */
/*
 * creds - identities (a chain and its key) and trust (whom to believe),
 * loaded once, shared by reference count, replaced as a whole on reload.
 *
 * Thread: any; ref and unref are atomic, the content never changes.
 */
#ifndef TLS_CREDS_H
#define TLS_CREDS_H

#include "base/bytes.h"
#include "base/err.h"

struct tls_identity;
struct tls_trust;
struct crl_cache;

/* Reads a PEM chain, its own certificate first, and its PEM key (both may be
 * in one file).  Errors (ST_PERM 5.7.0): unreadable, not PEM, the key is
 * encrypted, key and certificate do not match; text names the file. */
MUST_USE enum status tls_identity_load(struct tls_identity **out,
				       const char *certificate, const char *key,
				       struct err *e);
/* Shows this OCSP response (DER or PEM) with the certificate while it holds.
 * ST_PERM 5.7.0: it would do harm or is none, and is not shown; the identity is
 * fit all the same.  Before i is shared. */
MUST_USE enum status tls_identity_staple(struct tls_identity *i,
					 const char *file, struct err *e);
/* "off", "stapled", or why it is not. */
void tls_identity_staple_say(const struct tls_identity *i, char *out,
			     size_t max);
struct tls_identity *tls_identity_ref(struct tls_identity *i);
void tls_identity_unref(struct tls_identity *i);         /* NULL is fine */

enum { TLS_NAME_MAX = 256 };

/* What a certificate says, for people. */
struct tls_cert_info {
	char    subject[TLS_NAME_MAX], issuer[TLS_NAME_MAX];
	char    names[512];              /* SANs, joined by ", " */
	char    serial[64];
	char    spki_sha256[65];         /* hex */
	int64_t not_before_ms, not_after_ms;     /* wall */
};
void tls_identity_info(const struct tls_identity *i, struct tls_cert_info *out);
/* Does its chain lead to a root of its own or to one of t's (NULL: none)?
 * False: `missing` is the issuer that is in neither. */
MUST_USE bool tls_identity_ends(const struct tls_identity *i,
				const struct tls_trust *t,
				char missing[TLS_NAME_MAX]);

/* ca: "system" or PEM files; min_tls: "1.2" (also NULL) or "1.3".  Errors
 * (ST_PERM 5.7.0): unreadable, no certificate in it, another min_tls. */
MUST_USE enum status tls_trust_load(struct tls_trust **out,
				    const char *const *ca, size_t nca,
				    const char *min_tls, struct err *e);
/* Where Debian keeps what "system" stands for: to see when it changes. */
#define TLS_SYSTEM_CA "/etc/ssl/certs/ca-certificates.crt"

/* What revocation lists decide about peers that this trust has verified. */
enum tls_crl_use {
	TLS_CRL_IGNORE,                  /* they are not asked */
	TLS_CRL_WARN,                    /* who is known to be revoked is */
	TLS_CRL_REQUIRE,                 /* and who may be, is not believed */
};
struct tls_crl_conf {
	enum tls_crl_use   use;
	struct crl_cache  *cache;        /* outlives the trust; NULL: IGNORE */
	const char *const *files;        /* read into the cache; copied */
	size_t             nfiles;
	int64_t            refresh_ms;   /* how often URLs are fetched */
	int64_t            retry_ms;     /* how soon again after a failure */
};
/* Before t is shared. */
void tls_trust_set_crl(struct tls_trust *t, const struct tls_crl_conf *conf);
struct tls_trust *tls_trust_ref(struct tls_trust *t);
void tls_trust_unref(struct tls_trust *t);               /* NULL is fine */

#endif
