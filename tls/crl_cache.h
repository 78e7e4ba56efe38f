/* SPDX-License-Identifier: ISC */
/*
 * crl_cache - the revocation lists that are at hand, of files and of URLs, and
 * which URLs are to be fetched when.
 *
 * A session asks about a certificate of a verified chain; what is not at hand
 * is noted as wanted, and the answer is "undetermined" until somebody who
 * knows HTTP has fetched it:
 *
 *	while (crl_cache_take(c, &want, &again_mono_ms))
 *		... fetch want.url ...
 *		crl_cache_done(c, &want, bytes, NULL, &outcome);
 *
 * A URL's list is taken in only when it is signed by the issuer whose
 * certificate it was asked for; one that is not, or cannot be had, does not
 * replace the one at hand, which counts until it is stale.  The lists of URLs
 * are kept on disk over restarts.
 *
 * Schedule: a list is fetched again after `refresh`, or when half of the time
 * to its next update has passed; after a failure at the next question that
 * comes `retry` later, or in growing steps.  What nobody asked for in a week
 * is forgotten.
 *
 * Thread: any; crl_cache_new, _open, _watch and _free: while nobody else uses
 * it.  No call waits for the network; only _open, _read_file and _done use the
 * disk.
 */
#ifndef TLS_CRL_CACHE_H
#define TLS_CRL_CACHE_H

#include "tls/crl.h"

enum { CRL_ID_MAX = 65, CRL_TEXT_MAX = 320 };

struct crl_cache;

struct crl_cache *crl_cache_new(void);
void crl_cache_free(struct crl_cache *c);        /* NULL is fine */
/* Keeps the lists of URLs in dir, which is made, and takes in those that are
 * there.  What can't be used is passed over: it is fetched again. */
MUST_USE enum status crl_cache_open(struct crl_cache *c, const char *dir,
				    struct err *e);
/* Calls wanted(arg), in the thread that asks, whenever crl_cache_take() would
 * give something earlier than it said. */
void crl_cache_watch(struct crl_cache *c, void (*wanted)(void *arg), void *arg);

/* ------- files */

/* Reads the lists of a file, anew if it was read before; after a failure
 * (ST_PERM 5.7.0, the text names the file) those of before stay.  c NULL: only
 * looks whether it can be read. */
MUST_USE enum status crl_cache_read_file(struct crl_cache *c, const char *path,
					 struct err *e);

/* ------- questions */

struct crl_ask {
	gnutls_x509_crt_t  crt, issuer;  /* of a chain that verified */
	const char *const *files;        /* that were read */
	size_t             nfiles;
	int64_t            refresh_ms, retry_ms;
	bool               may_be_private;       /* the URL may lead into a
						  * private network */
};

struct crl_answer {
	enum tls_crl state;
	bool pending;                    /* a list that may tell more is being
					  * fetched for the first time */
	char text[CRL_TEXT_MAX];         /* "on 2026-... (key compromise), says
					  * http://..." or "http://...: the list
					  * is stale since ..."; "" if good */
};
void crl_cache_ask(struct crl_cache *c, const struct crl_ask *ask,
		   struct crl_answer *out);

/* Forgets failures: what has no good answer is due now. */
void crl_cache_forget(struct crl_cache *c);

/* ------- what is at hand, for monitoring */

struct crl_view {
	char    source[CRL_URL_MAX];     /* URL or path */
	bool    failing;                 /* it could not be had at last */
	bool    has_list;
	int64_t this_update_ms, next_update_ms;  /* wall; next 0: not told; of
					  * several in a file, the oldest */
};
/* One for each source; *out is the caller's, to be freed.  c NULL: none. */
void crl_cache_view(struct crl_cache *c, struct crl_view **out, size_t *n);

/* ------- fetching */

struct crl_want {
	char url[CRL_URL_MAX];
	bool may_be_private;
	char id[CRL_ID_MAX];             /* the cache's */
};

/* False: nothing is due before *again_mono_ms (INT64_MAX: never). */
MUST_USE bool crl_cache_take(struct crl_cache *c, struct crl_want *out,
			     int64_t *again_mono_ms);

struct crl_outcome {
	bool changed;                    /* another list than before: answers
					  * may be others now */
	bool first;                      /* this failure, or the success, is
					  * news */
	char failure[CRL_TEXT_MAX];      /* "" if it can be used */
	char unkept[CRL_TEXT_MAX];       /* why it is not on disk, or "" */
	size_t  entries;
	int64_t next_update_ms;          /* wall */
};

/* Ends what crl_cache_take() began, which is to be called again.  failure: why there are no bytes, or
 * NULL. */
void crl_cache_done(struct crl_cache *c, const struct crl_want *want,
		    struct span bytes, const char *failure,
		    struct crl_outcome *out);

#endif
