/* SPDX-License-Identifier: ISC */
/*
 * replace - may a new configuration take the place of the one that runs?
 *
 * Sockets, the queue and threads are made once, at start; a change of what
 * they were made from is refused rather than ignored.
 */
#include "conf/complain.h"

static void compare(struct complaints *to, const struct conf *now,
		    const char *option, bool is_same)
{
	if (!is_same)
		complain(to, (struct conf_place){now->file, 0},
			 "%s has changed, which needs a restart", option);
}

static bool listens_at(const struct conf *c, const struct addr *a)
{
	for (size_t i = 0; i < c->nlisteners; i++)
		for (size_t k = 0; k < c->listeners[i].naddresses; k++)
			if (addr_eq(&c->listeners[i].addresses[k], a))
				return true;
	return false;
}

/* Every address of `a` must be one of `b`. */
static void compare_addresses(struct complaints *to, const struct conf *a,
			      const struct conf *b, struct conf_place *place,
			      const char *change)
{
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i < a->nlisteners; i++) {
		const struct conf_listener *l = &a->listeners[i];

		for (size_t k = 0; k < l->naddresses; k++) {
			if (listens_at(b, &l->addresses[k]))
				continue;
			addr_text(text, &l->addresses[k]);
			complain(to, place ? *place : l->place,
				 "listener \"%s\": address %s %s, which needs "
				 "a restart",
				 l->name, text, change);
		}
	}
}

bool conf_can_replace(const struct conf *then, const struct conf *now,
		      conf_complain *say, void *arg)
{
	struct complaints to = {.say = say, .arg = arg};
	struct conf_place file = {now->file, 0};

	compare(&to, now, "user", strcmp(then->user, now->user) == 0);
	compare(&to, now, "workers", then->workers == now->workers);
	compare(&to, now, "queue.path",
		strcmp(then->queue.path, now->queue.path) == 0);
	compare(&to, now, "queue.max_size",
		then->queue.max_bytes == now->queue.max_bytes);
	compare(&to, now, "control.socket",
		strcmp(then->control.socket, now->control.socket) == 0);
	compare(&to, now, "control.group",
		strcmp(then->control.group, now->control.group) == 0);
	compare(&to, now, "control.metrics",
		addr_eq(&then->control.metrics, &now->control.metrics));
	compare_addresses(&to, now, then, NULL, "is new");
	compare_addresses(&to, then, now, &file, "is gone");
	return to.count == 0;
}
