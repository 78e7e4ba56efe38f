/* SPDX-License-Identifier: ISC */
/*
 * lane - all mail of one route, and who of its destinations may have it.
 */
#include "daemon/lane.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/route.h"

struct lane *lane_new(const char *name)
{
	struct lane *l = xcalloc(1, sizeof(*l));

	l->name = xstrdup(name);
	l->ready_end = &l->ready;
	l->more_due = true;
	l->more_waiting = true;
	l->next_due_wall_ms = INT64_MAX;
	return l;
}

static void free_destinations(struct destination **list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		destination_free(list[i]);
	free(list);
}

void lane_free(struct lane *l)
{
	BUG_ON(l->deliveries > 0);
	while (l->ready)
		job_free(lane_take_ready(l));
	free_destinations(l->destinations, l->ndestinations);
	free(l->name);
	free(l);
}

/* The destination of this host from the old list, unless mail would be
 * treated otherwise now. */
static struct destination *keep(struct lane *l, const struct conf_route *route,
				const struct host_port *host)
{
	char *name = destination_name(route, host);
	struct destination *kept = NULL;

	for (size_t i = 0; i < l->ndestinations && !kept; i++) {
		struct destination *d = l->destinations[i];

		if (!d || strcmp(d->name, name) != 0 ||
		    route_policy_differs(d->route, route))
			continue;
		kept = d;
		l->destinations[i] = NULL;
	}
	free(name);
	return kept;
}

void lane_set_route(struct lane *l, const struct conf_route *route)
{
	size_t n = route ? route->nhosts : 0;
	struct destination **list =
		xcalloc(n ? n : 1, sizeof(struct destination *));

	for (size_t i = 0; i < n; i++) {
		struct destination *d = keep(l, route, &route->hosts[i]);

		if (!d)
			d = destination_new(route, &route->hosts[i]);
		d->route = route;
		d->host = &route->hosts[i];
		list[i] = d;
	}
	free_destinations(l->destinations, l->ndestinations);
	l->destinations = list;
	l->ndestinations = n;
	l->route = route;
	l->more_due = true;
	l->more_waiting = true;
}

struct destination *lane_destination(struct lane *l, const char *name)
{
	for (size_t i = 0; i < l->ndestinations; i++)
		if (strcmp(l->destinations[i]->name, name) == 0)
			return l->destinations[i];
	return NULL;
}

struct destination *lane_up(struct lane *l)
{
	for (size_t i = 0; i < l->ndestinations; i++)
		if (l->destinations[i]->state == DESTINATION_UP)
			return l->destinations[i];
	return NULL;
}

void lane_add_ready(struct lane *l, struct job *j)
{
	j->next = NULL;
	*l->ready_end = j;
	l->ready_end = &j->next;
	l->nready++;
}

void lane_return_ready(struct lane *l, struct job **list)
{
	while (*list) {
		struct job *j = *list;

		*list = j->next;
		if (!l->ready)
			l->ready_end = &j->next;
		job_push(&l->ready, j);
		l->nready++;
	}
}

struct job *lane_take_ready(struct lane *l)
{
	struct job *j = l->ready;

	if (!j)
		return NULL;
	l->ready = j->next;
	if (!l->ready)
		l->ready_end = &l->ready;
	j->next = NULL;
	l->nready--;
	return j;
}
