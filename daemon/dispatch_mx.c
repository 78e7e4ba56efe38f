/* SPDX-License-Identifier: ISC */
/*
 * dispatch_mx - the hosts of lanes where MX decides.
 *
 * The first mail of such a lane asks a worker's resolver; until the answer
 * comes the lane stands still.  An answer holds for its TTL; when it is over
 * and there is mail, the lane asks again, and meanwhile goes on with what it
 * knows.  A question that failed makes the lane wait like any failing
 * destination.  A domain that takes no mail fails its mail for good; what has
 * failed stays and can be resubmitted.
 *
 * An operator's resubmit forgets what DNS said: the lanes wait for a new
 * answer, and one that was asked for before counts no more (dns_epoch).
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/dispatch_state.h"
#include "daemon/mx_query.h"
#include "daemon/worker.h"

static void link_query(struct dispatch *d, struct mx_query *q)
{
	q->next = d->queries;
	if (q->next)
		q->next->prev = q;
	d->queries = q;
}

static void unlink_query(struct dispatch *d, struct mx_query *q)
{
	if (q->next)
		q->next->prev = q->prev;
	if (q->prev)
		q->prev->next = q->next;
	else
		d->queries = q->next;
}

/* ------- what an answer means */

static void refuse_for_good(struct lane *l, enum cause cause, const char *code,
			    const char *what)
{
	l->refused = true;
	l->refusal = (struct failure){
		.status = ST_PERM,
		.reach = AT_RECIPIENT,
		.cause = cause,
	};
	snprintf(l->refusal.enhanced, sizeof(l->refusal.enhanced), "%s", code);
	snprintf(l->refusal.reply, sizeof(l->refusal.reply), "domain %s %s",
		 l->domain, what);
}

static void lookup_failed(struct dispatch *d, struct lane *l,
			  enum lookup_result result)
{
	const struct facts facts = {
		.kind = FACT_LOOKUP,
		.host = l->domain,
		.lookup = result,
	};
	struct failure failure;

	switch (result) {
	case LOOKUP_NXDOMAIN:
		refuse_for_good(l, CAUSE_IS_DNS_NXDOMAIN, "5.1.2",
				"does not exist");
		return;
	case LOOKUP_NODATA:
		refuse_for_good(l, CAUSE_IS_DNS_NOMX, "5.1.2",
				"has neither MX nor address records");
		return;
	case LOOKUP_OK:
	case LOOKUP_TIMEOUT:
	case LOOKUP_SERVFAIL:
	case LOOKUP_BOGUS:
		break;
	}
	diagnose(&facts, &failure);
	log_fact(LOG_WARN, 0, "mx-failed", F_STR("destination", l->name),
		 F_STR("cause", cause_word(failure.cause)),
		 F_STR("reply", failure.reply));
	lane_set_unknown(l, &failure,
			 retry_pause_ms(&d->snapshot->conf->queue.probe_ms, 1,
					0, random32()),
			 clock_mono_ms(), clock_wall_ms());
}

static void apply(struct dispatch *d, struct lane *l,
		  const struct mx_answer *answer)
{
	l->refused = false;
	l->hosts_until_mono_ms = clock_mono_ms() + answer->ttl_ms;
	switch (answer->kind) {
	case MX_HOSTS:
		lane_set_hosts(l, answer->hosts, answer->nhosts,
			       d->relay->mx_port);
		return;
	case MX_NULL:
		refuse_for_good(l, CAUSE_IS_DNS_NULL_MX, "5.1.10",
				"says that it takes no mail (null MX)");
		return;
	case MX_LOOP:
		refuse_for_good(l, CAUSE_IS_LOOP, "5.4.6",
				"has this relay as its best MX: the mail would "
				"come back");
		return;
	case MX_FAILED:
		lookup_failed(d, l, answer->lookup);
		return;
	}
}

static void on_answered(struct note *note)
{
	struct mx_query *q = CONTAINER_OF(note, struct mx_query, answered);
	struct dispatch *d = q->dispatch;
	struct lane *l;

	HASH_FIND_STR(d->lanes, q->lane, l);
	if (l) {
		l->asking = false;
		dispatch_touch(d, l);
		/* A reload may have made it another kind of lane. */
		if (l->route && l->domain && q->epoch == d->dns_epoch) {
			apply(d, l, &q->answer);
			memory_apply(d, l);
		}
	}
	unlink_query(d, q);
	mx_query_free(q);
}

/* ------- asking */

static bool has_mail(const struct lane *l)
{
	return l->ready || l->more_due || l->more_waiting || l->waiting_seen;
}

static void ask(struct dispatch *d, struct lane *l)
{
	struct mx_query *q =
		mx_query_new(l->name, l->domain, d->snapshot->conf->hostname);
	size_t which = d->next_worker++ % d->relay->nworkers;

	l->asking = true;
	q->dispatch = d;
	q->epoch = d->dns_epoch;
	q->answered.run = on_answered;
	link_query(d, q);
	mx_query_send(q, d->relay->workers[which], d->mail);
}

bool lane_know_hosts(struct dispatch *d, struct lane *l)
{
	bool fresh = clock_mono_ms() < l->hosts_until_mono_ms;

	if (!fresh && !l->asking && has_mail(l))
		ask(d, l);
	if (fresh && has_mail(l))
		dispatch_wake_at(d, l->hosts_until_mono_ms);
	/* Hosts whose time is over serve until the answer; those that are
	 * forgotten, and an old refusal, do not. */
	return fresh || (l->ndestinations > 0 && l->hosts_until_mono_ms > 0);
}

void lane_forget_hosts(struct lane *l)
{
	l->hosts_until_mono_ms = 0;
	l->refused = false;
}

void dispatch_forget_dns(struct dispatch *d)
{
	struct lane *l;

	d->dns_epoch++;
	for (l = d->lanes; l; l = l->hh.next)
		lane_forget_hosts(l);
	/* Before all that is asked from now on. */
	for (size_t i = 0; i < d->relay->nworkers; i++)
		worker_forget_dns(d->relay->workers[i]);
}
