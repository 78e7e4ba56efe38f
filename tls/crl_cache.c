/* SPDX-License-Identifier: ISC */
/*
 * crl_cache - the life of the cache, the lists of files, and what comes of
 * fetching those of URLs.
 */
#include "tls/crl_cache.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "tls/cert.h"
#include "tls/crl_store.h"
#include "tls/crl_table.h"

enum { AGAIN_MIN_MS = 1000 };

struct crl_cache *crl_cache_new(void)
{
	struct crl_cache *c = xcalloc(1, sizeof(*c));

	BUG_ON(pthread_mutex_init(&c->lock, NULL) != 0);
	c->promised_mono_ms = INT64_MAX;
	return c;
}

void crl_cache_free(struct crl_cache *c)
{
	if (!c)
		return;
	while (c->sources)
		crl_source_drop(c, c->sources);
	pthread_mutex_destroy(&c->lock);
	free(c->dir);
	free(c);
}

static void take_stored(void *arg, struct crl_stored *s)
{
	struct crl_cache *c = arg;
	int64_t age_ms = clock_wall_ms() - s->saved_ms;
	char id[CRL_ID_MAX];

	if (crl_source_id(id, s->url, s->issuer) && !crl_source_find(c, id)) {
		struct crl_source *e = crl_source_add(c, id, s->url);

		e->issuer = s->issuer;
		e->may_be_private = s->may_be_private;
		crl_lists_add(&e->lists, s->crl);
		e->tried_mono_ms = clock_mono_ms() - (age_ms > 0 ? age_ms : 0);
		crl_source_plan(e);
		s->issuer = NULL;
		s->crl = NULL;
	}
	crl_stored_release(s);
}

enum status crl_cache_open(struct crl_cache *c, const char *dir, struct err *e)
{
	enum status st = crl_store_load(dir, take_stored, c, e);

	if (st == ST_OK)
		c->dir = xstrdup(dir);
	return st;
}

void crl_cache_watch(struct crl_cache *c, void (*wanted)(void *arg), void *arg)
{
	c->wanted = wanted;
	c->arg = arg;
}

/* --------------------------------------------------------------------- files */

/* All lists of a file; none after a failure. */
static enum status read_lists(struct crl_lists *out, const char *path,
			      struct err *e)
{
	gnutls_datum_t data = {NULL, 0};
	enum status st = ST_OK;
	struct span in;
	struct err why;
	int rc;

	*out = (struct crl_lists){.n = 0};
	errno = 0;
	rc = gnutls_load_file(path, &data);
	if (rc < 0)
		return err_perm(e, 7, 0, "%s: %s", path,
				errno ? strerror(errno) : gnutls_strerror(rc));
	in = (struct span){(const char *)data.data, data.size};
	do {
		if (out->n == CRL_LISTS_MAX)
			st = err_perm(e, 7, 0, "%s: more than %d lists", path,
				      CRL_LISTS_MAX);
		else if (crl_read(&out->at[out->n], &in, &why) != ST_OK)
			st = err_perm(e, 7, 0, "%s: the list is %s", path,
				      why.text);
		else
			out->n++;
	} while (st == ST_OK && in.len > 0);
	gnutls_free(data.data);
	if (st != ST_OK)
		crl_lists_release(out);
	return st;
}

static struct crl_source *file_entry(struct crl_cache *c, const char *path)
{
	char id[CRL_ID_MAX];
	struct crl_source *e;

	if (!crl_source_id(id, path, NULL))
		return NULL;
	e = crl_source_find(c, id);
	return e ? e : crl_source_add(c, id, path);
}

enum status crl_cache_read_file(struct crl_cache *c, const char *path,
				struct err *e)
{
	struct crl_lists lists;
	struct crl_source *entry;
	enum status st = read_lists(&lists, path, e);

	if (st != ST_OK)
		return st;
	if (c) {
		pthread_mutex_lock(&c->lock);
		entry = file_entry(c, path);
		if (entry) {
			struct crl_lists old = entry->lists;

			entry->lists = lists;
			lists = old;
		}
		pthread_mutex_unlock(&c->lock);
	}
	crl_lists_release(&lists);
	return ST_OK;
}

/* ---------------------------------------------------------------- monitoring */

static void see_list(struct crl_view *v, const struct crl *crl)
{
	bool older =
		!v->has_list || crl_this_update_ms(crl) < v->this_update_ms;

	v->has_list = true;
	if (!older)
		return;
	v->this_update_ms = crl_this_update_ms(crl);
	v->next_update_ms = crl_next_update_ms(crl);
}

/* A URL of two issuers is one source. */
static struct crl_view *view_of(struct crl_view *views, size_t *n,
				const char *source)
{
	for (size_t i = 0; i < *n; i++)
		if (strcmp(views[i].source, source) == 0)
			return &views[i];
	snprintf(views[*n].source, sizeof(views[*n].source), "%s", source);
	return &views[(*n)++];
}

void crl_cache_view(struct crl_cache *c, struct crl_view **out, size_t *n)
{
	*n = 0;
	*out = NULL;
	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	*out = xcalloc(HASH_COUNT(c->sources) + 1, sizeof(**out));
	for (struct crl_source *e = c->sources; e; e = e->hh.next) {
		struct crl_view *v = view_of(*out, n, e->source);

		v->failing = v->failing || e->failure[0] != '\0';
		for (size_t i = 0; i < e->lists.n; i++)
			see_list(v, e->lists.at[i]);
	}
	pthread_mutex_unlock(&c->lock);
}

/* ------------------------------------------------------------------ fetching */

void crl_cache_forget(struct crl_cache *c)
{
	int64_t now = clock_mono_ms();
	bool news = false;

	pthread_mutex_lock(&c->lock);
	for (struct crl_source *e = c->sources; e; e = e->hh.next) {
		int64_t soon = e->tried_mono_ms + AGAIN_MIN_MS;

		if (!e->issuer || (!e->unsatisfied && e->failures == 0))
			continue;
		e->due_mono_ms = soon > now ? soon : now;
		news = crl_source_is_news(c, e) || news;
	}
	pthread_mutex_unlock(&c->lock);
	crl_cache_wake(c, news);
}

bool crl_cache_take(struct crl_cache *c, struct crl_want *out,
		    int64_t *again_mono_ms)
{
	int64_t now = clock_mono_ms();
	struct crl_source *first = NULL;

	pthread_mutex_lock(&c->lock);
	crl_cache_sweep(c, NULL);
	*again_mono_ms = INT64_MAX;
	for (struct crl_source *e = c->sources; e; e = e->hh.next)
		if (e->issuer && !e->busy &&
		    (!first || e->due_mono_ms < first->due_mono_ms))
			first = e;
	if (first)
		*again_mono_ms = first->due_mono_ms;
	if (first && first->due_mono_ms <= now) {
		first->busy = true;
		snprintf(out->url, sizeof(out->url), "%s", first->source);
		memcpy(out->id, first->id, sizeof(out->id));
		out->may_be_private = first->may_be_private;
	} else {
		first = NULL;
	}
	c->promised_mono_ms = first ? now : *again_mono_ms;
	pthread_mutex_unlock(&c->lock);
	return first != NULL;
}

/* Reads a list and proves that it is the issuer's; NULL: *failure says why it
 * can't be used. */
static struct crl *read_fetched(struct span bytes, gnutls_x509_crt_t issuer,
				char failure[CRL_TEXT_MAX])
{
	char why[CRL_WHY_MAX];
	struct crl *crl = NULL;
	struct err e;

	if (crl_read(&crl, &bytes, &e) != ST_OK) {
		snprintf(failure, CRL_TEXT_MAX, "the list is %s", e.text);
		return NULL;
	}
	if (!crl_is_of(crl, issuer))
		snprintf(failure, CRL_TEXT_MAX,
			 "the list is of another issuer");
	else if (!crl_signed_by(crl, issuer, why))
		snprintf(failure, CRL_TEXT_MAX, "the list %s", why);
	else
		return crl;
	crl_unref(crl);
	return NULL;
}

/* Who has an older list to show, may want to hide a revocation. */
static bool is_rollback(const struct crl_source *e, const struct crl *crl)
{
	return e->lists.n > 0 &&
	       crl_this_update_ms(crl) < crl_this_update_ms(e->lists.at[0]);
}

static bool is_stale(const struct crl *crl)
{
	return crl_next_update_ms(crl) != 0 &&
	       crl_next_update_ms(crl) < clock_wall_ms();
}

/* Takes over crl; true: it is another one than before. */
static bool put(struct crl_source *e, struct crl *crl)
{
	bool same = is_rollback(e, crl) ||
		    (e->lists.n > 0 &&
		     span_eq(crl_der(crl), crl_der(e->lists.at[0])));

	if (same) {
		crl_unref(crl);
		return false;
	}
	crl_lists_release(&e->lists);
	crl_lists_add(&e->lists, crl);
	return true;
}

static void conclude(struct crl_source *e, struct crl *crl,
		     struct crl_outcome *out)
{
	bool failed = e->failures > 0;
	char date[CERT_TIME_MAX];

	if (crl)
		out->changed = put(e, crl);
	if (crl && is_stale(e->lists.at[0])) {
		cert_time(date, crl_next_update_ms(e->lists.at[0]));
		snprintf(out->failure, sizeof(out->failure),
			 "the list is stale since %s", date);
	}
	out->first = strcmp(e->failure, out->failure) != 0 || out->changed;
	memcpy(e->failure, out->failure, sizeof(e->failure));
	e->failures = out->failure[0] ? e->failures + 1 : 0;
	out->first = out->first || failed != (e->failures > 0);
	if (e->lists.n > 0) {
		out->entries = crl_entries(e->lists.at[0]);
		out->next_update_ms = crl_next_update_ms(e->lists.at[0]);
	}
	e->busy = false;
	e->tried_mono_ms = clock_mono_ms();
	crl_source_plan(e);
}

/* What is to be written, if anything; the issuer is a copy. */
static void to_save(const struct crl_cache *c, const struct crl_source *e,
		    struct crl_stored *out)
{
	if (!c->dir || e->lists.n == 0)
		return;
	*out = (struct crl_stored){
		.url = xstrdup(e->source),
		.may_be_private = e->may_be_private,
		.issuer = cert_copy(e->issuer),
		.crl = crl_ref(e->lists.at[0]),
	};
}

void crl_cache_done(struct crl_cache *c, const struct crl_want *want_done,
		    struct span bytes, const char *failure,
		    struct crl_outcome *out)
{
	struct crl_stored stored = {.url = NULL};
	gnutls_x509_crt_t issuer = NULL;
	struct crl *crl = NULL;
	struct crl_source *e;
	struct err err;

	*out = (struct crl_outcome){.changed = false};
	pthread_mutex_lock(&c->lock);
	/* What is busy is not dropped. */
	e = crl_source_find(c, want_done->id);
	BUG_ON(!e || !e->busy);
	issuer = cert_copy(e->issuer);
	pthread_mutex_unlock(&c->lock);
	if (failure)
		snprintf(out->failure, sizeof(out->failure), "%s", failure);
	else
		crl = read_fetched(bytes, issuer, out->failure);
	gnutls_x509_crt_deinit(issuer);
	pthread_mutex_lock(&c->lock);
	conclude(e, crl, out);
	c->promised_mono_ms = clock_mono_ms();
	if (crl)
		to_save(c, e, &stored);
	crl_cache_sweep(c, NULL);
	pthread_mutex_unlock(&c->lock);
	/* A list that could not be kept is fetched again after a restart. */
	if (stored.crl &&
	    crl_store_save(c->dir, want_done->id, &stored, &err) != ST_OK)
		snprintf(out->unkept, sizeof(out->unkept), "%s", err.text);
	crl_stored_release(&stored);
}
