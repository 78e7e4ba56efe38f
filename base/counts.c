/* SPDX-License-Identifier: ISC */
/*
 * counts - a hash table of numbers under a mutex.
 */
#include "base/counts.h"

#include <pthread.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 0
#define uthash_malloc(size) xmalloc(size)
#define uthash_fatal(text) bug_found(text, __FILE__, __LINE__, __func__)
#include <uthash.h>

struct number {
	UT_hash_handle hh;
	uint64_t n;
	size_t key_len;
	char key[];
};

struct counts {
	pthread_mutex_t lock;
	struct number *numbers; /* under lock */
};

struct counts *counts_new(void)
{
	struct counts *c = xcalloc(1, sizeof(*c));

	BUG_ON(pthread_mutex_init(&c->lock, NULL) != 0);
	return c;
}

void counts_free(struct counts *c)
{
	struct number *x, *next;

	if (c == NULL)
		return;
	HASH_ITER(hh, c->numbers, x, next) {
		HASH_DEL(c->numbers, x);
		free(x);
	}
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static struct number *find(struct counts *c, struct span key)
{
	struct number *x;

	HASH_FIND(hh, c->numbers, key.at, key.len, x);
	return x;
}

static struct number *find_or_add(struct counts *c, struct span key)
{
	struct number *x = find(c, key);

	if (x == NULL && HASH_COUNT(c->numbers) >= COUNTS_MAX) {
		key = SPAN("");
		x = find(c, key);
	}
	if (x != NULL)
		return x;
	x = xcalloc(1, sizeof(*x) + key.len + 1);
	x->key_len = key.len;
	if (key.len > 0)
		memcpy(x->key, key.at, key.len);
	HASH_ADD(hh, c->numbers, key, key.len, x);
	return x;
}

void counts_add(struct counts *c, struct span key, uint64_t n)
{
	pthread_mutex_lock(&c->lock);
	find_or_add(c, key)->n += n;
	pthread_mutex_unlock(&c->lock);
}

static int compare(const struct number *a, const struct number *b)
{
	size_t len = a->key_len < b->key_len ? a->key_len : b->key_len;
	int rc = memcmp(a->key, b->key, len);

	if (rc != 0)
		return rc;
	return (a->key_len > b->key_len) - (a->key_len < b->key_len);
}

void counts_each(struct counts *c, counts_seen *seen, void *arg)
{
	pthread_mutex_lock(&c->lock);
	HASH_SORT(c->numbers, compare);
	for (struct number *x = c->numbers; x != NULL; x = x->hh.next)
		seen(arg, (struct span){x->key, x->key_len}, x->n);
	pthread_mutex_unlock(&c->lock);
}
