/* SPDX-License-Identifier: ISC */
/*
 * underway.c - slots of a mapped file.
 *
 * A slot holds when its seal, written last, is the checksum of the rest.  The
 * file has its full size on disk from the beginning: a write to a mapped page
 * that the disk has no room for would end the process.
 */
#include "queue/underway.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/base.h"
#include "base/digest.h"

enum { SLOTS = 16384 };

static const char MAGIC[] = "relayd underway 1";

struct slot {
	struct underway_what what;
	_Atomic uint64_t seal; /* 0: nothing is said */
};
_Static_assert(sizeof(struct slot) == 32, "the form of the file");
_Static_assert(sizeof(MAGIC) <= sizeof(struct slot), "the first is the head");

struct underway {
	struct slot *slots; /* mapped; [0] is the head of the file */
	_Atomic uint32_t next; /* where to look first */
	atomic_bool taken[SLOTS];
};

uint64_t underway_lane(const char *name)
{
	return digest_of(span_of(name));
}

static uint64_t seal_of(const struct underway_what *what)
{
	const struct span s = {(const char *)what, sizeof(*what)};

	return digest_of(s) | 1;
}

static bool is_said(const struct slot *s)
{
	uint64_t seal = atomic_load_explicit(&s->seal, memory_order_acquire);

	return seal != 0 && seal == seal_of(&s->what);
}

/* ------- the file */

static enum status map(struct underway *u, int fd, struct err *e)
{
	const size_t bytes = SLOTS * sizeof(struct slot);
	int rc = posix_fallocate(fd, 0, (off_t)bytes);
	void *at;

	if (rc != 0)
		return err_sys(e, rc, "make room for what is under way");
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return err_sys(e, errno, "map what is under way");
	u->slots = at;
	return ST_OK;
}

/* Keeps what an earlier run has said, and nothing else. */
static void take_over(struct underway *u)
{
	struct slot *head = &u->slots[0];
	bool ours = memcmp(head, MAGIC, sizeof(MAGIC)) == 0;

	for (size_t i = 1; i < SLOTS; i++) {
		if (ours && is_said(&u->slots[i]))
			atomic_store(&u->taken[i], true);
		else
			memset(&u->slots[i], 0, sizeof(u->slots[i]));
	}
	atomic_store(&u->taken[0], true);
	memset(head, 0, sizeof(*head));
	memcpy(head, MAGIC, sizeof(MAGIC));
}

enum status underway_open(struct underway **out, const char *path,
			  struct err *e)
{
	struct underway *u = xcalloc(1, sizeof(*u));
	char *name = xasprintf("%s/underway", path);
	int fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	enum status st;

	if (fd < 0)
		st = err_sys(e, errno, "open %s", name);
	else
		st = map(u, fd, e);
	if (st == ST_OK) {
		take_over(u);
		*out = u;
		u = NULL;
	}
	if (fd >= 0)
		close(fd);
	free(name);
	underway_close(u);
	return st;
}

void underway_close(struct underway *u)
{
	if (u == NULL)
		return;
	if (u->slots != NULL)
		munmap(u->slots, SLOTS * sizeof(struct slot));
	free(u);
}

uint32_t underway_left(const struct underway *u, uint32_t from,
		       struct underway_what *out)
{
	for (uint32_t i = from > 0 ? from : 1; i < SLOTS; i++) {
		if (!is_said(&u->slots[i]))
			continue;
		*out = u->slots[i].what;
		return i;
	}
	return UNDERWAY_NONE;
}

/* ------- slots */

uint32_t underway_enter(struct underway *u)
{
	uint32_t at = atomic_fetch_add(&u->next, 1);

	for (uint32_t i = 0; i < SLOTS; i++, at++) {
		bool expected = false;

		if (atomic_compare_exchange_strong(&u->taken[at % SLOTS],
						   &expected, true))
			return at % SLOTS;
	}
	return UNDERWAY_NONE;
}

void underway_say(struct underway *u, uint32_t slot,
		  const struct underway_what *what)
{
	struct slot *s = &u->slots[slot];

	BUG_ON(slot == 0 || slot >= SLOTS || !atomic_load(&u->taken[slot]));
	s->what = *what;
	atomic_store_explicit(&s->seal, seal_of(what), memory_order_release);
}

void underway_leave(struct underway *u, uint32_t slot)
{
	BUG_ON(slot == 0 || slot >= SLOTS);
	atomic_store_explicit(&u->slots[slot].seal, 0, memory_order_release);
	atomic_store_explicit(&u->taken[slot], false, memory_order_release);
}
