/* SPDX-License-Identifier: ISC */
/*
 * crl_table - the entries of the cache, their bounds and their schedule.
 */
#include "tls/crl_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <gnutls/crypto.h>

#include "base/clock.h"
#include "tls/cert.h"
#include "tls/crl_store.h"

enum {
	SOURCES_MAX = 512,
	REFRESH_MS = 4 * 60 * 60 * 1000, /* until somebody asks */
	RETRY_MS = 60 * 1000,
};

static const size_t bytes_max = (size_t)256 << 20;
static const int64_t idle_max_ms = (int64_t)7 * 24 * 60 * 60 * 1000;

static void hex(char out[CRL_ID_MAX], const uint8_t hash[32])
{
	for (size_t i = 0; i < 32; i++)
		snprintf(out + 2 * i, CRL_ID_MAX - 2 * i, "%02x", hash[i]);
}

/* issuer NULL: a file.  False: its key can't be read. */
bool crl_source_id(char out[CRL_ID_MAX], const char *source,
		   gnutls_x509_crt_t issuer)
{
	char key[CRL_ID_MAX] = "";
	uint8_t hash[CERT_KEY_HASH];
	char *text;
	int rc;

	if (issuer) {
		if (!cert_key_hash(issuer, hash))
			return false;
		hex(key, hash);
	}
	text = xasprintf("%s\n%s", source, key);
	rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, text, strlen(text), hash);
	free(text);
	hex(out, hash);
	return rc >= 0;
}

struct crl_source *crl_source_find(struct crl_cache *c, const char *id)
{
	struct crl_source *e;

	HASH_FIND_STR(c->sources, id, e);
	return e;
}

struct crl_source *crl_source_add(struct crl_cache *c, const char *id,
				  const char *source)
{
	struct crl_source *e = xcalloc(1, sizeof(*e));

	memcpy(e->id, id, sizeof(e->id));
	e->source = xstrdup(source);
	e->refresh_ms = REFRESH_MS;
	e->retry_ms = RETRY_MS;
	e->asked_mono_ms = clock_mono_ms();
	HASH_ADD_STR(c->sources, id, e);
	return e;
}

void crl_lists_add(struct crl_lists *l, struct crl *crl)
{
	BUG_ON(l->n == CRL_LISTS_MAX);
	l->at[l->n++] = crl;
}

void crl_lists_release(struct crl_lists *l)
{
	while (l->n > 0)
		crl_unref(l->at[--l->n]);
}

void crl_source_drop(struct crl_cache *c, struct crl_source *e)
{
	HASH_DEL(c->sources, e);
	crl_lists_release(&e->lists);
	if (e->issuer)
		gnutls_x509_crt_deinit(e->issuer);
	free(e->source);
	free(e);
}

static size_t bytes_of(const struct crl_cache *c)
{
	size_t bytes = 0;

	for (const struct crl_source *e = c->sources; e; e = e->hh.next)
		for (size_t i = 0; i < e->lists.n; i++)
			bytes += crl_der(e->lists.at[i]).len;
	return bytes;
}

/* The URL that nobody asked for longest, or NULL. */
static struct crl_source *oldest(const struct crl_cache *c,
				 const struct crl_source *but)
{
	struct crl_source *found = NULL;

	for (struct crl_source *e = c->sources; e; e = e->hh.next)
		if (e->issuer && !e->busy && e != but &&
		    (!found || e->asked_mono_ms < found->asked_mono_ms))
			found = e;
	return found;
}

static void forget_entry(struct crl_cache *c, struct crl_source *e)
{
	if (c->dir)
		crl_store_remove(c->dir, e->id);
	crl_source_drop(c, e);
}

/* Keeps within the bounds, and drops what nobody asks for any more. */
void crl_cache_sweep(struct crl_cache *c, const struct crl_source *but)
{
	int64_t now = clock_mono_ms();
	struct crl_source *e;

	while ((e = oldest(c, but)) && (HASH_COUNT(c->sources) > SOURCES_MAX ||
					bytes_of(c) > bytes_max ||
					e->asked_mono_ms + idle_max_ms < now))
		forget_entry(c, e);
}

/* ---------------------------------------------------------------- schedule */

/* Half of what is left, and half again, so that a late publisher is found out
 * in time, and an early one is not bothered. */
static int64_t refresh_pause_ms(const struct crl_source *e)
{
	int64_t next_ms =
		e->lists.n > 0 ? crl_next_update_ms(e->lists.at[0]) : 0;
	int64_t half_ms = (next_ms - clock_wall_ms()) / 2;
	int64_t pause_ms = e->refresh_ms;

	if (next_ms != 0 && half_ms < pause_ms)
		pause_ms = half_ms;
	return pause_ms < e->retry_ms ? e->retry_ms : pause_ms;
}

static int64_t failure_pause_ms(const struct crl_source *e)
{
	int64_t pause_ms = e->retry_ms;

	for (unsigned i = 1; i < e->failures && pause_ms < e->refresh_ms; i++)
		pause_ms *= 2;
	return pause_ms;
}

void crl_source_plan(struct crl_source *e)
{
	e->due_mono_ms =
		e->tried_mono_ms +
		(e->failures > 0 ? failure_pause_ms(e) : refresh_pause_ms(e));
}

/* True: whoever fetches has to be woken. */
bool crl_source_is_news(struct crl_cache *c, const struct crl_source *e)
{
	if (e->busy || e->due_mono_ms >= c->promised_mono_ms)
		return false;
	c->promised_mono_ms = e->due_mono_ms;
	return true;
}

void crl_cache_wake(struct crl_cache *c, bool news)
{
	if (news && c->wanted)
		c->wanted(c->arg);
}
