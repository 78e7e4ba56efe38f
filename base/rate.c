/* SPDX-License-Identifier: ISC */
/*
 * rate - a hash table of minutes under a mutex.
 *
 * uthash keeps the order in which entries were added, and an entry is added
 * when its minute begins: so the first one is always the one to end first, and
 * what is over is taken from there.
 */
#include "base/rate.h"

#include <pthread.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 0
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(text) bug_found(text, __FILE__, __LINE__, __func__)
#include <uthash.h>

enum { MINUTE_MS = 60 * 1000 };

struct minute {
	UT_hash_handle hh;
	int64_t began_mono_ms;
	unsigned count;
	char key[];
};

struct rate {
	pthread_mutex_t lock;
	struct minute *minutes; /* under lock */
	size_t keys_max;
};

struct rate *rate_new(size_t keys_max)
{
	struct rate *r = xcalloc(1, sizeof(*r));

	BUG_ON(keys_max == 0);
	BUG_ON(pthread_mutex_init(&r->lock, NULL) != 0);
	r->keys_max = keys_max;
	return r;
}

static void drop(struct rate *r, struct minute *m)
{
	HASH_DEL(r->minutes, m);
	free(m);
}

void rate_free(struct rate *r)
{
	if (!r)
		return;
	while (r->minutes)
		drop(r, r->minutes);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static void drop_ended(struct rate *r, int64_t now_mono_ms)
{
	while (r->minutes &&
	       now_mono_ms - r->minutes->began_mono_ms >= MINUTE_MS)
		drop(r, r->minutes);
}

static struct minute *begin(struct rate *r, struct span key,
			    int64_t now_mono_ms)
{
	struct minute *m;

	if (HASH_COUNT(r->minutes) >= r->keys_max)
		drop(r, r->minutes);
	m = xcalloc(1, sizeof(*m) + key.len);
	m->began_mono_ms = now_mono_ms;
	memcpy(m->key, key.at, key.len);
	HASH_ADD_KEYPTR(hh, r->minutes, m->key, key.len, m);
	return m;
}

bool rate_take(struct rate *r, struct span key, unsigned limit,
	       int64_t now_mono_ms)
{
	struct minute *m;
	bool taken;

	BUG_ON(key.len == 0);
	if (limit == 0)
		return true;
	pthread_mutex_lock(&r->lock);
	drop_ended(r, now_mono_ms);
	HASH_FIND(hh, r->minutes, key.at, key.len, m);
	if (!m)
		m = begin(r, key, now_mono_ms);
	taken = m->count < limit;
	m->count += taken;
	pthread_mutex_unlock(&r->lock);
	return taken;
}

size_t rate_keys(struct rate *r)
{
	pthread_mutex_lock(&r->lock);
	size_t n = HASH_COUNT(r->minutes);
	pthread_mutex_unlock(&r->lock);
	return n;
}
