/* SPDX-License-Identifier: ISC */
/*
 * lmdb_space.c - how full the queue is, and when new mail is refused.
 *
 * A reserve is kept which new mail may not touch, so that settling, deferring
 * and removing go on when mail is already refused.  What is in use is counted
 * from LMDB's list of free pages, once a second and, when there is not much
 * left, before every transaction; in between, what comes is added to it.
 * The file never shrinks: what counts is how many of its pages are in use.
 */
#include <stdlib.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "queue/store_lmdb.h"

enum {
	LOOK_EVERY_MS = 1000,
	RESERVE_PART = 16, /* of the whole */
	RESERVE_BYTES_MIN = 8 * 1024 * 1024,
	/* A message costs its rows and index entries besides its body, and
	 * copies of the pages that these are on. */
	COST_BYTES = 8 * 1024,
	/* Full is where the usual piece of a message no longer fits. */
	ROOM_BYTES = 128 * 1024,
};

void space_init(struct space *sp, const struct store_conf *conf,
		uint64_t max_bytes)
{
	*sp = (struct space){.max_bytes = max_bytes};
	sp->path = xstrdup(conf->path);
	sp->min_free_disk_bytes = conf->min_free_disk_bytes;
	sp->reserve_bytes = max_bytes / RESERVE_PART;
	if (sp->reserve_bytes < RESERVE_BYTES_MIN)
		sp->reserve_bytes = RESERVE_BYTES_MIN;
	if (sp->reserve_bytes > max_bytes / 2)
		sp->reserve_bytes = max_bytes / 2;
	atomic_store(&sp->free_disk_bytes, UINT64_MAX);
	atomic_store(&sp->looked_ms, INT64_MIN);
}

void space_release(struct space *sp)
{
	free(sp->path);
	sp->path = NULL;
}

static bool exceeds(const struct space *sp, uint64_t reserve_bytes)
{
	uint64_t used_bytes =
		atomic_load(&sp->used_bytes) + atomic_load(&sp->added_bytes);

	return used_bytes + reserve_bytes > sp->max_bytes;
}

static bool is_full(const struct space *sp)
{
	return exceeds(sp, sp->reserve_bytes + ROOM_BYTES) ||
	       atomic_load(&sp->disk_failed) ||
	       atomic_load(&sp->free_disk_bytes) < sp->min_free_disk_bytes;
}

bool space_is_scarce(const struct space *sp)
{
	return exceeds(sp, sp->reserve_bytes / 2);
}

bool space_admits(struct store_lmdb *s, uint64_t bytes)
{
	struct space *sp = &s->space;
	uint64_t cost_bytes = bytes + bytes / 8 + COST_BYTES;

	if (is_full(sp) || exceeds(sp, sp->reserve_bytes + cost_bytes))
		return false;
	atomic_fetch_add(&sp->added_bytes, cost_bytes);
	return true;
}

/* True for one caller a second. */
static bool is_due(struct space *sp)
{
	int64_t now_ms = clock_mono_ms();
	int64_t looked_ms = atomic_load(&sp->looked_ms);

	if (looked_ms != INT64_MIN && now_ms - looked_ms < LOOK_EVERY_MS)
		return false;
	return atomic_compare_exchange_strong(&sp->looked_ms, &looked_ms,
					      now_ms);
}

/* If it cannot be asked, a write will tell. */
static void ask_disk(struct space *sp)
{
	struct statvfs v;

	if (statvfs(sp->path, &v) == 0)
		atomic_store(&sp->free_disk_bytes,
			     (uint64_t)v.f_bavail * v.f_frsize);
}

static void look_at_disk(struct space *sp)
{
	ask_disk(sp);
	atomic_store(&sp->disk_failed, false);
}

bool space_is_out(struct store_lmdb *s)
{
	ask_disk(&s->space);
	return atomic_load(&s->space.free_disk_bytes) < ROOM_BYTES;
}

static void count_pages(struct store_lmdb *s)
{
	struct err ignored;
	uint64_t used_bytes;

	if (lmdb_used_bytes(s->lmdb, &used_bytes, &ignored) != ST_OK)
		return;
	atomic_store(&s->space.used_bytes, used_bytes);
	atomic_store(&s->space.added_bytes, 0);
}

void space_look(struct store_lmdb *s)
{
	bool due = is_due(&s->space);

	if (due)
		look_at_disk(&s->space);
	if (due || exceeds(&s->space, 2 * s->space.reserve_bytes))
		count_pages(s);
}

/* While the queue is full no mail comes, perhaps not even a transaction: then
 * it is for those who ask to find out that there is room again.  Otherwise
 * only the writer counts, as it alone knows what it has added. */
void lmdb_space(struct store *store, struct store_space *out)
{
	struct store_lmdb *s = store_lmdb_of(store);
	struct space *sp = &s->space;

	if (is_due(sp)) {
		look_at_disk(sp);
		if (is_full(sp))
			count_pages(s);
	}
	*out = (struct store_space){
		.used_bytes = atomic_load(&sp->used_bytes),
		.max_bytes = sp->max_bytes,
		.free_disk_bytes = atomic_load(&sp->free_disk_bytes),
		.full = is_full(sp),
		.broken = lmdb_is_broken(s->lmdb),
	};
}
