/* SPDX-License-Identifier: ISC */
/*
 * tally - a hash table of counters under a mutex.
 */
#include "base/tally.h"

#include <pthread.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 0
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(text) bug_found(text, __FILE__, __LINE__, __func__)
#include <uthash.h>

struct counter {
	UT_hash_handle hh;
	unsigned count; /* never 0 */
	size_t key_len;
	char key[];
};

struct tally {
	pthread_mutex_t lock;
	struct counter *counters; /* under lock */
};

struct tally *tally_new(void)
{
	struct tally *t = xcalloc(1, sizeof(*t));

	BUG_ON(pthread_mutex_init(&t->lock, NULL) != 0);
	return t;
}

void tally_free(struct tally *t)
{
	struct counter *c, *next;

	if (!t)
		return;
	HASH_ITER(hh, t->counters, c, next) {
		HASH_DEL(t->counters, c);
		free(c);
	}
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static struct counter *find(struct tally *t, struct span key)
{
	struct counter *c;

	HASH_FIND(hh, t->counters, key.at, key.len, c);
	return c;
}

static struct counter *add(struct tally *t, struct span key)
{
	struct counter *c = xcalloc(1, sizeof(*c) + key.len);

	memcpy(c->key, key.at, key.len);
	c->key_len = key.len;
	HASH_ADD_KEYPTR(hh, t->counters, c->key, c->key_len, c);
	return c;
}

bool tally_take(struct tally *t, struct span key, unsigned limit)
{
	struct counter *c;
	bool taken;

	BUG_ON(key.len == 0);
	pthread_mutex_lock(&t->lock);
	c = find(t, key);
	taken = (c ? c->count : 0) < limit;
	if (taken) {
		if (!c)
			c = add(t, key);
		c->count++;
	}
	pthread_mutex_unlock(&t->lock);
	return taken;
}

void tally_give(struct tally *t, struct span key)
{
	struct counter *c;

	pthread_mutex_lock(&t->lock);
	c = find(t, key);
	BUG_ON(!c);
	if (--c->count == 0) {
		HASH_DEL(t->counters, c);
		free(c);
	}
	pthread_mutex_unlock(&t->lock);
}
