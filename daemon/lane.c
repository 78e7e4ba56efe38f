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
	l->more_far = true;
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

/* Takes the destination of this name out of the old list, unless mail would be
 * treated otherwise now. */
static struct destination *keep(struct lane *l, const struct conf_route *route,
				const char *name)
{
	for (size_t i = 0; i < l->ndestinations; i++) {
		struct destination *d = l->destinations[i];

		if (!d || strcmp(d->name, name) != 0 ||
		    route_policy_differs(d->route, route))
			continue;
		l->destinations[i] = NULL;
		return d;
	}
	return NULL;
}

static void replace_destinations(struct lane *l, struct destination **list,
				 size_t n)
{
	free_destinations(l->destinations, l->ndestinations);
	l->destinations = list;
	l->ndestinations = n;
	l->more_due = true;
	l->more_waiting = true;
}

/* The destinations of these hosts, with what is known of them. */
static void set_hosts(struct lane *l, const struct conf_route *route,
		      const struct host_port *hosts, size_t n)
{
	struct destination **list =
		xcalloc(n ? n : 1, sizeof(struct destination *));

	for (size_t i = 0; i < n; i++) {
		char *name = destination_name(route, &hosts[i]);

		list[i] = keep(l, route, name);
		if (!list[i])
			list[i] = destination_new(route, &hosts[i]);
		list[i]->route = route;
		free(name);
	}
	replace_destinations(l, list, n);
}

/* MX: known hosts stay known, under today's policy. */
static void keep_hosts(struct lane *l, const struct conf_route *route)
{
	struct host_port *hosts = xcalloc(l->ndestinations + 1, sizeof(*hosts));
	size_t n = 0;

	for (size_t i = 0; i < l->ndestinations; i++) {
		if (lane_is_unknown(l, l->destinations[i]))
			continue;
		hosts[n] = l->destinations[i]->host;
		hosts[n].host = xstrdup(hosts[n].host);
		n++;
	}
	set_hosts(l, route, hosts, n);
	for (size_t i = 0; i < n; i++)
		free(hosts[i].host);
	free(hosts);
}

void lane_set_route(struct lane *l, const struct conf_route *route)
{
	if (!route)
		set_hosts(l, route, NULL, 0);
	else if (route->mx)
		keep_hosts(l, route);
	else
		set_hosts(l, route, route->hosts, route->nhosts);
	l->route = route;
	l->refused = false;
	l->hosts_until_mono_ms = 0;
}

void lane_set_hosts(struct lane *l, char *const *names, size_t n, uint16_t port)
{
	struct host_port *hosts = xcalloc(n, sizeof(*hosts));

	for (size_t i = 0; i < n; i++) {
		struct addr literal;

		hosts[i].host = names[i];
		hosts[i].port = port;
		hosts[i].is_literal = addr_parse(names[i], port, &literal);
	}
	set_hosts(l, l->route, hosts, n);
	free(hosts);
}

struct destination *lane_stand_in(struct lane *l)
{
	struct destination *d = keep(l, l->route, l->name);

	if (!d) {
		const struct host_port nowhere = {.host = l->name};

		d = destination_new(l->route, &nowhere);
		free(d->name);
		d->name = xstrdup(l->name);
	}
	struct destination **list = xcalloc(1, sizeof(struct destination *));
	list[0] = d;
	replace_destinations(l, list, 1);
	return d;
}

void lane_set_unknown(struct lane *l, const struct failure *f, int64_t probe_ms,
		      int64_t mono_ms, int64_t wall_ms)
{
	(void)destination_fails(lane_stand_in(l), f, probe_ms, mono_ms,
				wall_ms);
}

bool lane_is_unknown(const struct lane *l, const struct destination *d)
{
	return l->domain && strcmp(d->name, l->name) == 0;
}

struct destination *lane_destination(struct lane *l, const char *name)
{
	for (size_t i = 0; i < l->ndestinations; i++)
		if (strcmp(l->destinations[i]->name, name) == 0)
			return l->destinations[i];
	return NULL;
}

bool lane_is_idle(const struct lane *l)
{
	return !l->ready && l->nblocked == 0 && l->deliveries == 0 &&
	       !l->asking && !l->more_due && !l->more_waiting &&
	       !l->waiting_seen && l->next_due_wall_ms == INT64_MAX;
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
