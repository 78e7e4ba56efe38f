/* SPDX-License-Identifier: ISC */
/*
 * crl_table - the table of lists, for the files of the cache and nobody else.
 *
 *	crl_cache.c     its life; files; what is fetched
 *	crl_ask.c       questions about a certificate
 *	crl_table.c     entries, bounds and schedule
 *
 * One mutex guards it.  It is held for looking up and for putting in; lists
 * are read, judged and written without it, by reference.
 *
 * A URL has an entry for each issuer that it was asked for: one URL for two
 * issuers is odd, but the wrong list for one of them must not displace the
 * right one for the other.
 *
 * Thread: any, with the lock held.
 */
#ifndef TLS_CRL_TABLE_H
#define TLS_CRL_TABLE_H

#include <pthread.h>
#include <uthash.h>

#include "tls/crl_cache.h"

enum { CRL_LISTS_MAX = 64 };             /* in a file */

struct crl_lists {
	struct crl *at[CRL_LISTS_MAX];   /* owned references */
	size_t n;
};
/* Takes over the reference. */
void crl_lists_add(struct crl_lists *l, struct crl *crl);
void crl_lists_release(struct crl_lists *l);

struct crl_source {
	UT_hash_handle hh;
	char id[CRL_ID_MAX];
	char *source;                    /* URL or path; owned */
	gnutls_x509_crt_t issuer;        /* of a URL; NULL: a file; owned */
	struct crl_lists lists;          /* of a URL: at most one */
	char failure[CRL_TEXT_MAX];      /* of the last attempt; "" */

	/* URLs. */
	bool may_be_private;
	bool busy;                       /* taken, and not done */
	bool unsatisfied;                /* the last answer was not "good" */
	unsigned failures;               /* in a row */
	int64_t due_mono_ms, tried_mono_ms, asked_mono_ms;
	int64_t refresh_ms, retry_ms;
};

struct crl_cache {
	pthread_mutex_t lock;            /* of all below */
	struct crl_source *sources;      /* hash, by id */
	char *dir;                       /* owned; NULL: nothing is kept */
	void (*wanted)(void *arg);
	void *arg;
	int64_t promised_mono_ms;        /* when somebody will look again */
};

/* issuer NULL: a file.  False: its key can't be read.  Needs no lock. */
MUST_USE bool crl_source_id(char out[CRL_ID_MAX], const char *source,
			    gnutls_x509_crt_t issuer);
/* NULL: there is none. */
struct crl_source *crl_source_find(struct crl_cache *c, const char *id);
struct crl_source *crl_source_add(struct crl_cache *c, const char *id,
				  const char *source);
void crl_source_drop(struct crl_cache *c, struct crl_source *s);

/* Keeps within the bounds, and drops what nobody asks for any more; `but`
 * (may be NULL) stays. */
void crl_cache_sweep(struct crl_cache *c, const struct crl_source *but);
/* Sets when a URL is due next. */
void crl_source_plan(struct crl_source *s);
/* True: crl_cache_wake() is due, without the lock. */
MUST_USE bool crl_source_is_news(struct crl_cache *c,
				 const struct crl_source *s);
void crl_cache_wake(struct crl_cache *c, bool news);

#endif
