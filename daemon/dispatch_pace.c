/* SPDX-License-Identifier: ISC */
/*
 * dispatch_pace - keeps the paces of services, and asks them before anything
 * is given to a destination.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"

/* Who waits for a connection of another lane to end looks again after this. */
enum { SLOT_PAUSE_MS = 500 };

/* NULL: nothing is known of it. */
static struct pace *find(const struct dispatch *d,
			 const struct destination *dest)
{
	char *service;
	struct pace *p;

	if (!d->paces)
		return NULL;
	service = pace_service(dest->host.host, dest->host.port);
	HASH_FIND_STR(d->paces, service, p);
	free(service);
	return p;
}

struct pace *pace_enter(struct dispatch *d, const struct destination *dest)
{
	struct pace *p = find(d, dest);

	if (!p) {
		char *service = pace_service(dest->host.host, dest->host.port);

		p = pace_new(service);
		free(service);
		HASH_ADD_KEYPTR(hh, d->paces, p->service, strlen(p->service),
				p);
	}
	p->connections++;
	return p;
}

static void forget_idle(struct dispatch *d, struct pace *p, int64_t mono_ms)
{
	if (!pace_is_idle(p, mono_ms))
		return;
	HASH_DEL(d->paces, p);
	pace_free(p);
}

void pace_leave(struct dispatch *d, struct pace *p)
{
	p->connections--;
	forget_idle(d, p, clock_mono_ms());
}

static bool is_paused(const struct dispatch *d, const struct destination *dest)
{
	const struct pace *p = find(d, dest);

	return p && pace_is_paused(p, clock_mono_ms());
}

struct destination *dispatch_up(struct dispatch *d, struct lane *l)
{
	for (size_t i = 0; i < l->ndestinations; i++)
		if (l->destinations[i]->state == DESTINATION_UP &&
		    !is_paused(d, l->destinations[i]))
			return l->destinations[i];
	return NULL;
}

const struct pace *dispatch_pause(const struct dispatch *d,
				  const struct lane *l)
{
	for (size_t i = 0; i < l->ndestinations; i++)
		if (l->destinations[i]->state == DESTINATION_UP &&
		    is_paused(d, l->destinations[i]))
			return find(d, l->destinations[i]);
	return NULL;
}

bool dispatch_may(struct dispatch *d, const struct destination *dest,
		  enum pace_use use)
{
	int64_t now = clock_mono_ms();
	const struct pace *p = find(d, dest);
	bool may;

	if (!p)
		return true;
	may = use == PACE_OPEN ? pace_may_open(p, now) : pace_may_use(p, now);
	if (!may)
		dispatch_wake_at(d, pace_is_paused(p, now)
					    ? p->pause_until_mono_ms
					    : now + SLOT_PAUSE_MS);
	return may;
}

/* ------- what deliveries report */

void dispatch_slow(struct dispatch *d, const struct destination *dest,
		   struct delivery *v)
{
	int64_t now = clock_mono_ms();
	int64_t unit_ms = retry_pause_ms(&d->snapshot->conf->queue.probe_ms, 1,
					 0, random32());

	if (!pace_slow(v->pace, &v->failure, unit_ms, now))
		return;
	log_fact(LOG_WARN, 0, "service-busy",
		 F_STR("service", v->pace->service),
		 F_STR("destination", dest->name),
		 F_STR("cause", cause_word(v->failure.cause)),
		 F_INT("connections", v->pace->limit),
		 F_INT("pause_s", (v->pace->pause_until_mono_ms - now) / 1000),
		 F_STR("reply", v->failure.reply));
}

/* ------- operators */

void paces_resume(struct dispatch *d)
{
	struct pace *p;

	for (p = d->paces; p; p = p->hh.next)
		pace_resume(p);
}

void pace_show(const struct dispatch *d, const struct destination *dest,
	       struct destination_view *view)
{
	int64_t now = clock_mono_ms(), until_ms;
	const struct pace *p = find(d, dest);

	if (!p || !pace_is_paused(p, now))
		return;
	until_ms = clock_wall_ms() + p->pause_until_mono_ms - now;
	if (until_ms > view->pause_until_ms)
		view->pause_until_ms = until_ms;
}

void paces_trim(struct dispatch *d)
{
	int64_t now = clock_mono_ms();
	struct pace *p, *next;

	for (p = d->paces; p; p = next) {
		next = p->hh.next;
		forget_idle(d, p, now);
	}
}

void paces_close(struct dispatch *d)
{
	struct pace *p, *next;

	HASH_ITER(hh, d->paces, p, next) {
		HASH_DEL(d->paces, p);
		pace_free(p);
	}
}
