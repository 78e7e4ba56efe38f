/* SPDX-License-Identifier: ISC */
/*
 * destination - one next hop under one policy, and what is known of it.
 */
#include "daemon/destination.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/route.h"

enum { PAUSE_AFTER_REFUSAL_MS = 10 * 1000 };

const char *destination_state_word(enum destination_state s)
{
	switch (s) {
	case DESTINATION_UP:
		return "up";
	case DESTINATION_FAILING:
		return "failing";
	case DESTINATION_SUSPENDED:
		break;
	}
	return "suspended";
}

struct destination *destination_new(const struct conf_route *route,
				    const struct host_port *host)
{
	struct destination *d = xcalloc(1, sizeof(*d));

	d->name = destination_name(route, host);
	d->route = route;
	d->host = *host;
	d->host.host = xstrdup(host->host);
	d->reply = xstrdup("");
	d->crl = xstrdup("");
	d->reason = xstrdup("");
	d->next_probe_mono_ms = INT64_MAX;
	ramp_start(&d->ramp);
	return d;
}

void destination_free(struct destination *d)
{
	if (!d)
		return;
	free(d->host.host);
	free(d->name);
	free(d->reply);
	free(d->crl);
	free(d->reason);
	free(d);
}

static void set_reply(struct destination *d, const char *reply)
{
	char *copy = xstrdup(reply);

	free(d->reply);
	d->reply = copy;
}

/* A refusal of one more connection, while others are served, asks us to slow
 * down; it says nothing against the destination.  A TLS failure always does:
 * the older connections only outlived it. */
static bool only_slow_down(const struct destination *d, const struct failure *f)
{
	return d->connections > 0 && d->state == DESTINATION_UP &&
	       cause_group(f->cause) != CAUSE_TLS &&
	       cause_group(f->cause) != CAUSE_AUTH;
}

bool destination_fails(struct destination *d, const struct failure *f,
		       int64_t probe_ms, int64_t mono_ms, int64_t wall_ms)
{
	bool was_up = d->state == DESTINATION_UP;

	if (only_slow_down(d, f)) {
		d->ramp.window = d->connections;
		d->pause_until_mono_ms = mono_ms + PAUSE_AFTER_REFUSAL_MS;
		return false;
	}
	if (d->state == DESTINATION_SUSPENDED)
		return false;
	if (was_up)
		d->since_wall_ms = wall_ms;
	d->state = DESTINATION_FAILING;
	d->cause = f->cause;
	snprintf(d->enhanced, sizeof(d->enhanced), "%s", f->enhanced);
	set_reply(d, f->reply);
	d->next_probe_mono_ms = mono_ms + probe_ms;
	return was_up;
}

bool destination_recovers(struct destination *d, int64_t wall_ms)
{
	if (d->state != DESTINATION_FAILING)
		return false;
	destination_forget(d, wall_ms);
	return true;
}

void destination_forget(struct destination *d, int64_t wall_ms)
{
	d->pause_until_mono_ms = 0;
	if (d->state != DESTINATION_FAILING)
		return;
	d->state = DESTINATION_UP;
	d->cause = CAUSE_IS_NONE;
	d->since_wall_ms = wall_ms;
	d->next_probe_mono_ms = INT64_MAX;
	set_reply(d, "");
	ramp_start(&d->ramp);
}

void destination_suspend(struct destination *d, int64_t until_wall_ms,
			 const char *reason, int64_t wall_ms)
{
	char *copy = xstrdup(reason);

	if (d->state != DESTINATION_SUSPENDED)
		d->since_wall_ms = wall_ms;
	d->state = DESTINATION_SUSPENDED;
	d->cause = CAUSE_IS_NONE;
	d->next_probe_mono_ms = INT64_MAX;
	d->probe_asked = false;
	d->until_wall_ms = until_wall_ms;
	set_reply(d, "");
	free(d->reason);
	d->reason = copy;
}

bool destination_resume(struct destination *d, int64_t wall_ms)
{
	if (d->state != DESTINATION_SUSPENDED)
		return false;
	d->state = DESTINATION_FAILING;
	destination_forget(d, wall_ms);
	d->until_wall_ms = 0;
	free(d->reason);
	d->reason = xstrdup("");
	return true;
}

void destination_recall(struct destination *d,
			const struct destination_record *r, int64_t mono_ms)
{
	d->since_wall_ms = r->since_ms;
	d->cause = r->cause;
	set_reply(d, r->reply);
	if (r->suspended) {
		d->state = DESTINATION_SUSPENDED;
		d->until_wall_ms = r->until_ms;
		free(d->reason);
		d->reason = xstrdup(r->reason);
	} else if (r->failing) {
		/* The certificate may have been mended while we were away. */
		d->state = DESTINATION_FAILING;
		d->next_probe_mono_ms = mono_ms;
	}
}

void destination_to_record(const struct destination *d,
			   struct destination_record *out)
{
	*out = (struct destination_record){
		.name = xstrdup(d->name),
		.failing = d->state == DESTINATION_FAILING,
		.suspended = d->state == DESTINATION_SUSPENDED,
		.cause = d->cause,
		.since_ms = d->since_wall_ms,
		.until_ms = d->until_wall_ms,
		.reply = xstrdup(d->reply),
		.reason = xstrdup(d->reason),
	};
}

unsigned destination_room(const struct destination *d, int64_t mono_ms)
{
	if (d->state != DESTINATION_UP || mono_ms < d->pause_until_mono_ms)
		return 0;
	if (d->ramp.window == 0)
		return UINT32_MAX;
	unsigned window = ramp_window(&d->ramp, d->route->max_connections);
	return d->in_flight < window ? window - d->in_flight : 0;
}

void destination_failure(const struct destination *d, struct failure *out)
{
	*out = (struct failure){
		.status = ST_TEMP,
		.reach = AT_DESTINATION,
		.cause = d->state == DESTINATION_SUSPENDED ? CAUSE_IS_SUSPENDED
							   : d->cause,
	};
	/* RFC 3463: X.4.1, no answer from the host. */
	snprintf(out->enhanced, sizeof(out->enhanced), "%s",
		 d->state == DESTINATION_FAILING && d->enhanced[0] ? d->enhanced
								   : "4.4.1");
	snprintf(out->reply, sizeof(out->reply), "%s",
		 d->state == DESTINATION_SUSPENDED ? d->reason : d->reply);
}

void destination_view(const struct destination *d, int64_t mono_ms,
		      int64_t wall_ms, struct destination_view *out)
{
	*out = (struct destination_view){
		.name = xstrdup(d->name),
		.state = d->state,
		.cause = d->state == DESTINATION_SUSPENDED ? CAUSE_IS_SUSPENDED
							   : d->cause,
		.since_ms = d->since_wall_ms,
		.until_ms = d->until_wall_ms,
		.connections = d->connections,
		.max_connections = d->route->max_connections,
		.in_flight = d->in_flight,
		.window = d->ramp.window,
		.reply = xstrdup(d->reply),
		.reason = xstrdup(d->reason),
		.crl = xstrdup(d->crl),
	};
	if (d->next_probe_mono_ms != INT64_MAX)
		out->next_probe_ms = wall_ms + d->next_probe_mono_ms - mono_ms;
	if (d->pause_until_mono_ms > mono_ms)
		out->pause_until_ms =
			wall_ms + d->pause_until_mono_ms - mono_ms;
}
