/* SPDX-License-Identifier: ISC */
/*
 * grace.c - the grace begins with the first refusal of this kind since the
 * recipient was accepted or resubmitted, which the history knows.
 */
#include "daemon/grace.h"

#include "base/clock.h"

struct search {
	uint32_t number;
	int64_t began_ms; /* 0: not yet */
};

static bool see(void *arg, const struct event *ev)
{
	struct search *s = arg;

	if (ev->number != s->number && ev->number != ALL_RECIPIENTS)
		return true;
	if (ev->kind == EVENT_RESUBMITTED)
		s->began_ms = 0;
	else if (ev->kind == EVENT_DEFERRED &&
		 ev->cause == CAUSE_IS_SELF_CONFIG && s->began_ms == 0)
		s->began_ms = ev->time_ms;
	return true;
}

bool grace_holds(struct store *store, uint64_t id, const struct recipient *r,
		 const struct failure *f, int64_t grace_ms)
{
	struct search s = {.number = r->number};
	struct message *m = NULL;
	struct err e;

	if (f->status != ST_PERM || f->cause != CAUSE_IS_SELF_CONFIG ||
	    grace_ms == 0)
		return false;
	if (r->cause != CAUSE_IS_SELF_CONFIG)
		return true;
	/* What can't be read decides nothing for good. */
	if (store->ops->history(store, id, &m, see, &s, &e) != ST_OK)
		return true;
	message_free(m);
	return s.began_ms == 0 || clock_wall_ms() - s.began_ms < grace_ms;
}
