/* SPDX-License-Identifier: ISC */
/*
 * dispatch_fading - announces what queue.keep_expired will take: mail with
 * expired or failed recipients that is trimmed within a day, beyond which
 * nobody can resubmit it.
 *
 * It is counted every hour, a page of it in a turn.  When there is some, the
 * log says so, once a day; the figures are metrics.
 */
#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"

enum {
	PAGE = 256, /* messages in one turn */
	AHEAD_MS = 24 * 3600 * 1000,
	COUNT_EVERY_MS = 3600 * 1000,
	SAY_EVERY_MS = 24 * 3600 * 1000,
};

static void say(struct dispatch *d, int64_t now)
{
	const struct fading_view *v = &d->fading.view;
	char next[CLOCK_RFC3339_MAX];

	if (v->recipients == 0) {
		d->fading.said_mono_ms = 0;
		return;
	}
	if (d->fading.said_mono_ms != 0 &&
	    now - d->fading.said_mono_ms < SAY_EVERY_MS)
		return;
	d->fading.said_mono_ms = now;
	clock_rfc3339(next, v->next_ms);
	log_fact(LOG_WARN, 0, "trim-soon", F_INT("recipients", v->recipients),
		 F_INT("messages", v->messages), F_STR("next", next),
		 F_STR("text", "expired and failed mail that will be gone "
			       "within a day: relayctl queue list --state "
			       "expired,failed"));
}

static void publish(struct dispatch *d, const struct conf_queue *queue,
		    int64_t now)
{
	const struct fading *f = &d->fading.walk;

	d->fading.view = (struct fading_view){
		.next_ms = f->oldest_ms ? f->oldest_ms + queue->keep_expired_ms
					: 0,
		.messages = f->messages,
		.recipients = f->recipients,
	};
	d->fading.walk = (struct fading){.over = false};
	d->fading.next_mono_ms = now + COUNT_EVERY_MS;
	say(d, now);
}

void fading_turn(struct dispatch *d)
{
	const struct conf_queue *queue = &d->snapshot->conf->queue;
	struct store *store = d->relay->store;
	int64_t now = clock_mono_ms();
	int64_t before_ms = clock_wall_ms() + AHEAD_MS - queue->keep_expired_ms;
	struct err e;

	if (now < d->fading.next_mono_ms)
		return;
	if (store->ops->fading(store, before_ms, PAGE, &d->fading.walk, &e) !=
	    ST_OK) {
		log_text(LOG_ERROR, "queue-unread", "%s", e.text);
		d->fading.walk = (struct fading){.over = false};
		d->fading.next_mono_ms = now + COUNT_EVERY_MS;
		return;
	}
	if (d->fading.walk.over)
		publish(d, queue, now);
	dispatch_wake_at(
		d, d->fading.walk.messages > 0 ? now : d->fading.next_mono_ms);
}
