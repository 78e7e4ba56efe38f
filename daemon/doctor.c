/* SPDX-License-Identifier: ISC */
/*
 * doctor - gets the secret if the route logs in, resolves the host, and visits
 * all its addresses at the same time.
 */
#include "daemon/doctor.h"

#include <stdlib.h>
#include <event2/event.h>

#include "base/clock.h"
#include "daemon/doctor_state.h"

/* Longer than any step may take; several follow each other. */
enum { WHOLE_S = 180 };

/* ------- list of the worker */

static void link_doctor(struct worker *w, struct doctor *d)
{
	d->next = w->doctors;
	if (d->next)
		d->next->prev = d;
	w->doctors = d;
}

static void unlink_doctor(struct worker *w, struct doctor *d)
{
	if (d->prev)
		d->prev->next = d->next;
	else
		w->doctors = d->next;
	if (d->next)
		d->next->prev = d->prev;
}

unsigned doctor_count(const struct worker *w)
{
	unsigned n = 0;

	for (const struct doctor *d = w->doctors; d; d = d->next)
		n++;
	return n;
}

/* ------- the end */

static void finish(struct doctor *d)
{
	struct examination *x = d->examination;
	struct worker *w = x->worker;

	unlink_doctor(w, d);
	wish_cancel(d->wish);
	secret_unref(d->secret);
	lookup_cancel(d->lookup);
	if (d->deadline)
		event_free(d->deadline);
	for (size_t i = 0; i < d->nvisits; i++)
		visit_release(&d->visits[i]);
	free(d->visits);
	free(d);
	mailbox_post(x->reply_to, &x->done);
	worker_session_ended(w);
}

void doctor_visit_over(struct doctor *d)
{
	if (--d->under_way == 0)
		finish(d);
}

/* Ends it before there is any address: what failed is told of none. */
static void fail(struct doctor *d, const struct facts *facts)
{
	struct examination *x = d->examination;
	struct finding *f;

	x->findings = xcalloc(1, sizeof(*x->findings));
	x->n = 1;
	f = &x->findings[0];
	f->address = xstrdup("");
	diagnose(facts, &f->failure);
	f->diagnosis = DIAGNOSIS_AS_CAUSE;
	finding_set(f, STEP_RESOLVE, STEP_FAIL, "%s", f->failure.reply);
	finish(d);
}

static void cut(struct doctor *d, const char *why)
{
	const struct facts facts = {
		.kind = FACT_LOOKUP,
		.host = d->examination->target.host,
		.lookup = LOOKUP_TIMEOUT,
	};
	size_t left = d->nvisits;

	if (left == 0) {
		fail(d, &facts);
		return;
	}
	/* The last one frees d. */
	for (size_t i = 0; i < left; i++) {
		struct visit *v = &d->visits[i];
		bool last = d->under_way == 1;

		if (!v->stream)
			continue;
		visit_cut(v, why);
		if (last)
			return;
	}
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	cut(arg, "the examination has taken too long");
}

void doctor_stop_all(struct worker *w)
{
	struct doctor *next;

	for (struct doctor *d = w->doctors; d; d = next) {
		next = d->next;
		cut(d, "relayd was stopped");
	}
}

/* ------- the way */

static void visit_all(struct doctor *d, const struct addr *addrs, size_t n)
{
	struct examination *x = d->examination;

	x->findings = xcalloc(n, sizeof(*x->findings));
	x->n = n;
	d->visits = xcalloc(n, sizeof(*d->visits));
	d->nvisits = n;
	d->under_way = n + 1; /* ours, so that d outlives this loop */
	for (size_t i = 0; i < n; i++) {
		d->visits[i] = (struct visit){
			.doctor = d,
			.finding = &x->findings[i],
			.addr = addrs[i],
		};
		visit_start(&d->visits[i]);
	}
	doctor_visit_over(d);
}

static void on_looked_up(void *arg, enum lookup_result result,
			 const struct addr *addrs, size_t n)
{
	struct doctor *d = arg;
	const struct facts facts = {
		.kind = FACT_LOOKUP,
		.host = d->examination->target.host,
		.lookup = result,
	};

	d->lookup = NULL;
	if (result != LOOKUP_OK || n == 0)
		fail(d, &facts);
	else
		visit_all(d, addrs, n > VISITS_MAX ? VISITS_MAX : n);
}

static void resolve(struct doctor *d)
{
	const struct examination *x = d->examination;

	d->lookup = lookup_start(x->worker->resolver, x->target.host,
				 x->target.port, on_looked_up, d);
}

static void on_secret(void *arg, struct secret *s, const struct err *e)
{
	struct doctor *d = arg;

	d->wish = NULL;
	d->secret = s;
	if (!s)
		d->no_secret = *e;
	resolve(d);
}

static void get_secret(struct doctor *d)
{
	const struct examination *x = d->examination;
	struct vault *vault = NULL;

	if (x->route->auth != CONF_AUTH_OFF)
		vault = snapshot_vault(x->snapshot, x->route);
	if (vault)
		d->wish = vault_ask(vault, x->worker->mail, on_secret, d);
	else
		resolve(d);
}

static void on_sent(struct note *note)
{
	struct examination *x = CONTAINER_OF(note, struct examination, ask);
	const struct timeval whole = {.tv_sec = WHOLE_S};
	struct doctor *d = xcalloc(1, sizeof(*d));

	d->examination = x;
	x->doctor = d;
	link_doctor(x->worker, d);
	d->deadline = evtimer_new(x->worker->base, on_deadline, d);
	BUG_ON(!d->deadline || evtimer_add(d->deadline, &whole) < 0);
	if (x->worker->stopping)
		cut(d, "relayd was stopped");
	else
		get_secret(d);
}

void doctor_send(struct examination *x, struct worker *w)
{
	x->worker = w;
	x->ask.run = on_sent;
	mailbox_post(w->mail, &x->ask);
}

void examination_release(struct examination *x)
{
	for (size_t i = 0; i < x->n; i++)
		finding_release(&x->findings[i]);
	free(x->findings);
	x->findings = NULL;
	x->n = 0;
}
