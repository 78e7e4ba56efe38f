/* SPDX-License-Identifier: ISC */
/*
 * snapshot - a configuration with the credentials it names, loaded: what a
 * reload replaces as a whole.
 *
 * It never changes; threads and sessions share it by reference count, and a
 * session keeps the one it began with.
 *
 * Thread: any.
 */
#ifndef DAEMON_SNAPSHOT_H
#define DAEMON_SNAPSHOT_H

#include "conf/conf.h"
#include "daemon/secret.h"
#include "tls/session.h"

struct snapshot {
	struct conf *conf; /* owned reference */
	struct tls_identity **identities; /* as conf->identities */
	struct tls_trust **trusts; /* as conf->trusts */
	struct tls_trust *system_trust; /* for routes that name none */
	struct vault **vaults; /* as conf->routes; NULL: no auth */
	struct crl_cache *crls; /* borrowed, outlives it; NULL: lists are not
				   asked */
	/* watch_stamp() of their files, from before they were read. */
	uint64_t *identity_stamps, *trust_stamps, system_stamp;
	uint64_t number; /* higher than that of those in force before it; set
			    before it is published */
	_Atomic unsigned refs;
};

/* Takes over the caller's reference of conf, also on failure.  NULL after
 * complaints: "FILE:LINE: text" names the identity or trust at fault. */
MUST_USE struct snapshot *snapshot_load(struct conf *conf,
					struct crl_cache *crls,
					conf_complain *complain, void *arg);
/* Reads a trust of the configuration, and its revocation lists into the cache;
 * t NULL: the system's. */
MUST_USE enum status snapshot_read_trust(const struct snapshot *s,
					 const struct conf_trust *t,
					 struct tls_trust **out,
					 struct err *e);
/* The configuration of `then` with its credentials, but for those that are
 * given instead; takes over these references, but not the arrays. */
struct fresh {
	struct tls_identity **identities; /* as conf->identities; NULL: stays */
	struct tls_trust **trusts; /* as conf->trusts; NULL: stays */
	struct tls_trust *system_trust; /* NULL: stays */
};
MUST_USE struct snapshot *snapshot_with(const struct snapshot *then,
					const struct fresh *fresh);
struct snapshot *snapshot_ref(struct snapshot *s);
void snapshot_unref(struct snapshot *s); /* NULL is fine */

/* Borrowed; NULL for NULL. */
struct tls_identity *snapshot_identity(const struct snapshot *s,
				       const struct conf_identity *i);
/* The trust of a route or listener; the system's for a route without one. */
struct tls_trust *snapshot_trust(const struct snapshot *s,
				 const struct conf_trust *t);
/* Reads it with its OCSP response, where there is one; that this can't be shown
 * is no failure, tls_identity_staple_say() tells. */
MUST_USE enum status snapshot_read_identity(const struct conf_identity *i,
					    struct tls_identity **out,
					    struct err *e);
/* The files of an identity or trust; the array is the caller's, the strings
 * are the configuration's. */
MUST_USE const char **snapshot_identity_files(const struct conf_identity *i,
					      size_t *n);
MUST_USE const char **snapshot_trust_files(const struct conf_trust *t,
					   size_t *n);
/* What the route logs in with; NULL: it does not. */
struct vault *snapshot_vault(const struct snapshot *s,
			     const struct conf_route *r);

#endif
