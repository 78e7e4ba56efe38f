/* SPDX-License-Identifier: ISC */
/*
 * recover.c - each slot that is left becomes an attempt whose answer was lost,
 * as if the connection had broken there.
 */
#include "daemon/recover.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "daemon/route.h"
#include "daemon/settle.h"

static bool was_under_way(const struct underway_what *what,
			  const struct recipient *r)
{
	return (r->state == RCPT_QUEUED || r->state == RCPT_DEFERRED ||
		r->state == RCPT_HELD) &&
	       r->number >= what->first && r->number <= what->last &&
	       underway_lane(r->lane) == what->lane;
}

static struct settlement *begin(struct relay *relay, const struct conf *conf,
				const struct message *m,
				const struct recipient *r)
{
	const struct attempt attempt = {
		.queue = &conf->queue,
		.route = route_for(conf, r->address),
		.destination = r->destination,
		.began_mono_ms = clock_mono_ms(),
		.attempted = true,
	};

	return settlement_new(relay, m->id, &attempt);
}

/* NULL: all of them were settled, or are gone. */
static struct settlement *mark(struct relay *relay, const struct conf *conf,
			       const struct message *m,
			       const struct underway_what *what)
{
	static const struct failure lost = {
		.cause = CAUSE_IS_CONNECTION_LOST,
		.reach = AT_RECIPIENT,
		.status = ST_TEMP,
		.enhanced = "4.4.2",
		.reply = "relayd ended before the answer to the end of the "
			 "message was recorded",
	};
	struct settlement *s = NULL;

	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		if (!was_under_way(what, r))
			continue;
		if (s == NULL)
			s = begin(relay, conf, m, r);
		settlement_failed(s, r, &lost, true);
		settlement_due_now(s);
	}
	return s;
}

static enum status recover_one(struct relay *relay, const struct conf *conf,
			       uint32_t slot, const struct underway_what *what,
			       struct err *e)
{
	struct settlement *s = NULL;
	struct message *m;

	switch (relay->store->ops->load(relay->store, what->id, &m, e)) {
	case ST_TEMP:
		return ST_TEMP;
	case ST_PERM: /* it is gone, or damaged beyond an attempt */
		break;
	case ST_OK:
		s = mark(relay, conf, m, what);
		message_free(m);
		break;
	}
	if (s == NULL) {
		underway_leave(relay->underway, slot);
		return ST_OK;
	}
	settlement_keep_underway(s, slot);
	FAULT(RECOVER_BEGUN);
	return settlement_apply(s, e);
}

enum status recover(struct relay *relay, const struct conf *conf, struct err *e)
{
	enum status st = ST_OK;
	struct underway_what what;
	uint32_t slot = 0;

	for (;;) {
		slot = underway_left(relay->underway, slot + 1, &what);
		if (slot == UNDERWAY_NONE || st != ST_OK)
			return st;
		st = recover_one(relay, conf, slot, &what, e);
		FAULT(RECOVER_APPLIED);
	}
}
