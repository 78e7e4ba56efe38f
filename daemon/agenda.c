/* SPDX-License-Identifier: ISC */
/*
 * agenda - a binary heap of lanes; each knows its place, counted from 1, so that
 * it can be moved.
 */
#include "daemon/agenda.h"

#include <stdlib.h>

#include "daemon/lane.h"

enum { ROOM_MIN = 16 };

static void set(struct agenda *a, size_t i, struct lane *l)
{
	a->at[i] = l;
	l->agenda_place = i + 1;
}

static bool is_before(const struct agenda *a, size_t i, size_t j)
{
	return a->at[i]->look_mono_ms < a->at[j]->look_mono_ms;
}

static void swap(struct agenda *a, size_t i, size_t j)
{
	struct lane *l = a->at[i];

	set(a, i, a->at[j]);
	set(a, j, l);
}

static void rise(struct agenda *a, size_t i)
{
	for (size_t up; i > 0; i = up) {
		up = (i - 1) / 2;
		if (!is_before(a, i, up))
			return;
		swap(a, i, up);
	}
}

static void sink(struct agenda *a, size_t i)
{
	for (;;) {
		size_t least = 2 * i + 1;

		if (least >= a->n)
			return;
		if (least + 1 < a->n && is_before(a, least + 1, least))
			least++;
		if (!is_before(a, least, i))
			return;
		swap(a, i, least);
		i = least;
	}
}

void agenda_release(struct agenda *a)
{
	free(a->at);
	*a = (struct agenda){NULL, 0, 0};
}

void agenda_put(struct agenda *a, struct lane *l, int64_t mono_ms)
{
	l->look_mono_ms = mono_ms;
	if (l->agenda_place == 0) {
		if (a->n == a->room) {
			a->room = a->room ? 2 * a->room : ROOM_MIN;
			a->at = xrealloc(a->at, a->room, sizeof(struct lane *));
		}
		set(a, a->n++, l);
	}
	rise(a, l->agenda_place - 1);
	sink(a, l->agenda_place - 1);
}

void agenda_hurry(struct agenda *a, struct lane *l, int64_t mono_ms)
{
	if (l->agenda_place == 0 || mono_ms < l->look_mono_ms)
		agenda_put(a, l, mono_ms);
}

void agenda_remove(struct agenda *a, struct lane *l)
{
	size_t i = l->agenda_place;
	struct lane *last;

	if (i-- == 0)
		return;
	last = a->at[--a->n];
	l->agenda_place = 0;
	if (last == l)
		return;
	set(a, i, last);
	rise(a, i);
	sink(a, last->agenda_place - 1);
}

struct lane *agenda_first(const struct agenda *a)
{
	return a->n > 0 ? a->at[0] : NULL;
}
