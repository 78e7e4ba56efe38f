/* SPDX-License-Identifier: ISC */
/*
 * crl_fetch - the thread that fetches the revocation lists which the cache
 * wants, and tells the dispatcher when one has changed.
 *
 * A URL comes out of somebody's certificate, so it is followed with care: by
 * http only, at most three redirects, 32 MiB, 30 seconds; no proxy.  It may
 * lead to an address that is not public only if the certificate is of an
 * authority that the administrator named, and a redirect only if the first
 * address was such a one already.  Every address is looked at when it is
 * connected to, whatever the name resolved to before.
 *
 * Thread: crl_fetch_start and _stop main.
 */
#ifndef DAEMON_CRL_FETCH_H
#define DAEMON_CRL_FETCH_H

#include "tls/crl_cache.h"

struct crl_fetch;
struct dispatch;

/* Both outlive it.  While it runs it watches the cache. */
MUST_USE enum status crl_fetch_start(struct crl_fetch **out,
				     struct crl_cache *cache,
				     struct dispatch *dispatch, struct err *e);
/* Breaks off what is under way.  NULL is fine. */
void crl_fetch_stop(struct crl_fetch *f);

/* For `relayd -V`. */
const char *crl_fetch_libcurl_version(void);

#endif
