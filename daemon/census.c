/* SPDX-License-Identifier: ISC */
/*
 * census - the queue counted by state, cause and destination, with what is
 * being delivered right now shown as `active`.
 *
 * Counters and messages are read one after the other while the queue moves
 * on, so a number may be one off for a moment; none becomes negative.
 */
#include "daemon/census.h"

#include <stdlib.h>

static struct group *find(struct census *census, enum rcpt_state state,
			  enum cause cause, const char *destination)
{
	for (size_t i = 0; i < census->n; i++) {
		struct group *g = &census->groups[i];

		if (g->state == state && g->cause == cause &&
		    strcmp(g->destination, destination) == 0)
			return g;
	}
	return NULL;
}

static struct group *find_or_add(struct census *census, enum rcpt_state state,
				 enum cause cause, const char *destination)
{
	struct group *g = find(census, state, cause, destination);

	if (g)
		return g;
	census->groups = xrealloc(census->groups, census->n + 1,
				  sizeof(*census->groups));
	g = &census->groups[census->n++];
	*g = (struct group){
		.state = state,
		.cause = cause,
		.destination = xstrdup(destination),
	};
	return g;
}

static void take_away(uint64_t *count, uint64_t n)
{
	*count -= n < *count ? n : *count;
}

static bool same_group(const struct recipient *a, const struct recipient *b)
{
	return a->state == b->state && a->cause == b->cause &&
	       strcmp(a->destination, b->destination) == 0;
}

/* How many of m's recipients are where r is. */
static uint64_t companions(const struct message *m, const struct recipient *r)
{
	uint64_t n = 0;

	for (size_t i = 0; i < m->nrecipients; i++)
		n += same_group(&m->recipients[i], r);
	return n;
}

/* n recipients of m that are where r is are active. */
static void move(struct census *census, const struct message *m,
		 const struct recipient *r, uint64_t n)
{
	struct group *from, *to;

	if (!find(census, r->state, r->cause, r->destination))
		return;
	to = find_or_add(census, STATE_ACTIVE, r->cause, r->destination);
	to->recipients += n;
	to->messages++;
	to->bytes += m->bytes;
	if (to->oldest_ms == 0 || m->received_ms < to->oldest_ms)
		to->oldest_ms = m->received_ms;
	/* Sought only now: the addition may have moved it. */
	from = find(census, r->state, r->cause, r->destination);
	take_away(&from->recipients, n);
	if (n < companions(m, r))
		return;
	take_away(&from->messages, 1);
	take_away(&from->bytes, m->bytes);
}

/* Moves m's active recipients, which are the n of `active`. */
static void move_message(struct census *census, const struct message *m,
			 const struct due *active, size_t n)
{
	const struct recipient **rest = xcalloc(n, sizeof(struct recipient *));

	for (size_t i = 0; i < n; i++) {
		const struct recipient *r =
			message_recipient(m, active[i].number);

		if (r && (r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED))
			rest[i] = r;
	}
	for (size_t i = 0; i < n; i++) {
		const struct recipient *r = rest[i];
		uint64_t together = 0;

		if (!r)
			continue;
		for (size_t k = i; k < n; k++) {
			if (!rest[k] || !same_group(rest[k], r))
				continue;
			rest[k] = NULL;
			together++;
		}
		move(census, m, r, together);
	}
	free(rest);
}

static void drop_empty(struct census *census)
{
	size_t n = 0;

	for (size_t i = 0; i < census->n; i++) {
		if (census->groups[i].recipients > 0)
			census->groups[n++] = census->groups[i];
		else
			free(census->groups[i].destination);
	}
	census->n = n;
}

enum status census_take(struct store *store, const struct due *active,
			size_t nactive, struct census *out, struct err *e)
{
	enum status st = store->ops->groups(store, &out->groups, &out->n, e);

	if (st != ST_OK)
		return st;
	for (size_t i = 0, n; i < nactive; i += n) {
		struct message *m;
		struct err gone;

		for (n = 1; i + n < nactive; n++)
			if (active[i + n].id != active[i].id)
				break;
		if (store->ops->load(store, active[i].id, &m, &gone) != ST_OK)
			continue;
		move_message(out, m, active + i, n);
		message_free(m);
	}
	drop_empty(out);
	return ST_OK;
}

void census_release(struct census *census)
{
	for (size_t i = 0; i < census->n; i++)
		free(census->groups[i].destination);
	free(census->groups);
	*census = (struct census){0};
}
