/* SPDX-License-Identifier: ISC */
/*
 * lmdb_event.c - the history of a message, event by event.
 *
 * It is bounded: beyond EVENTS_KEPT, the oldest attempts and operators' acts
 * make room, while the arrival and what became of each recipient stay; only
 * beyond EVENTS_MAX those go as well, the oldest after the arrival first.
 */
#include "queue/store_lmdb.h"

enum { EVENTS_KEPT = 256, EVENTS_MAX = 4096 };

static bool may_make_room(const struct walk *w)
{
	struct event ev;
	bool may;

	if (!event_decode(w->value, &ev))
		return true;
	may = ev.kind != EVENT_RECEIVED && ev.kind != EVENT_DELIVERED &&
	      ev.kind != EVENT_FAILED && ev.kind != EVENT_EXPIRED &&
	      ev.kind != EVENT_REMOVED;
	event_release(&ev);
	return may;
}

static size_t count_events(struct walk *w, struct span prefix)
{
	size_t n = 0;

	for (bool on = walk_first(w, prefix); on; on = walk_next_in(w, prefix))
		n++;
	return n;
}

static void make_room(struct work *w, uint64_t id, size_t wanted)
{
	struct key prefix = key_id(id);
	struct walk walk;
	size_t n;

	walk_begin(&walk, &w->tx, TABLE_EVENT);
	n = count_events(&walk, key_span(&prefix)) + wanted;
	for (bool on = walk_first(&walk, key_span(&prefix));
	     on && n > EVENTS_KEPT; on = walk_next_in(&walk, key_span(&prefix)))
		if (may_make_room(&walk)) {
			walk_del(&walk);
			n--;
		}
	if (n > EVENTS_MAX && walk_first(&walk, key_span(&prefix)))
		while (n-- > EVENTS_MAX &&
		       walk_next_in(&walk, key_span(&prefix)))
			walk_del(&walk);
	walk_end(&walk);
}

static uint32_t next_sequence(struct work *w, uint64_t id, size_t wanted)
{
	struct key prefix = key_id(id);
	uint32_t first = 0, next = 0;
	struct walk walk;

	walk_begin(&walk, &w->tx, TABLE_EVENT);
	if (walk_last(&walk, key_span(&prefix)))
		next = (uint32_t)key_read(walk.key, 8, 4) + 1;
	if (next + wanted > EVENTS_KEPT && walk_first(&walk, key_span(&prefix)))
		first = (uint32_t)key_read(walk.key, 8, 4);
	walk_end(&walk);
	if (next - first + wanted > EVENTS_KEPT)
		make_room(w, id, wanted);
	return next;
}

void events_append(struct work *w, uint64_t id,
		   const struct event *const *events, size_t n)
{
	uint32_t sequence;

	if (n == 0)
		return;
	sequence = next_sequence(w, id, n);
	for (size_t i = 0; i < n; i++) {
		struct key k = key_id_number(id, sequence++);

		work_put(w, TABLE_EVENT, key_span(&k),
			 event_encode(work_row(w), events[i]));
	}
}

void events_delete(struct work *w, uint64_t id)
{
	struct key prefix = key_id(id);
	struct walk walk;

	walk_begin(&walk, &w->tx, TABLE_EVENT);
	for (bool on = walk_first(&walk, key_span(&prefix)); on;
	     on = walk_next_in(&walk, key_span(&prefix)))
		walk_del(&walk);
	walk_end(&walk);
}
