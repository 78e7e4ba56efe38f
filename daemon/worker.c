/* SPDX-License-Identifier: ISC */
/*
 * worker - runs an event loop in a thread of its own.
 *
 * The loop is turned by hand, one round of events at a time: after each turn
 * the worker notes that it is alive and looks whether it may end.  A tick
 * makes it turn at least once a second.  Nothing but the mailbox and one
 * atomic is touched by another thread while it runs, so libevent needs no
 * locks.
 */
#include "daemon/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/thread.h"
#include "daemon/doctor.h"
#include "daemon/inbound.h"
#include "daemon/outbound.h"
#include "net/stream.h"

enum {
	TICK_S = 1,
};

/* What main and the worker say to each other. */
struct worker_thread {
	struct thread *thread; /* main's; NULL: not started */
	struct note *drained; /* to post at the end; borrowed */
	struct event *mail_event, *tick, *deadline;
	struct door *doors; /* as acceptors */
	_Atomic int64_t turned_mono_ms;
};

/* What an acceptor calls back with. */
struct door {
	struct worker *worker;
	struct listening *listening;
};

/* An order from another thread, done once in the worker's. */
struct order {
	struct note note;
	struct worker *worker;
	struct snapshot *snapshot; /* publish */
	int64_t within_ms; /* stop */
	struct note *drained; /* stop */
};

static void order_post(struct worker *w, const struct order *content,
		       void (*run)(struct note *))
{
	struct order *o = xcalloc(1, sizeof(*o));

	*o = *content;
	o->worker = w;
	o->note.run = run;
	mailbox_post(w->mail, &o->note);
}

static struct order *order_of(struct note *note)
{
	return CONTAINER_OF(note, struct order, note);
}

/* ------- the worker's thread */

/* Streams whose sessions have ended may still have last words to say. */
static bool worker_is_over(const struct worker *w)
{
	if (!w->stopping || inbound_count(w) > 0 || outbound_count(w) > 0 ||
	    doctor_count(w) > 0)
		return false;
	return stream_lingering() == 0 || clock_mono_ms() >= w->stop_by_mono_ms;
}

static void on_accepted(void *arg, int fd, const struct addr *peer)
{
	struct door *door = arg;

	inbound_start(door->worker, door->listening, fd, peer);
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	mailbox_run(w->mail);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	(void)arg; /* it only makes the loop turn */
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct worker *w = arg;

	(void)fd;
	(void)what;
	inbound_abort_all(w);
	outbound_abort_all(w);
}

static void worker_main(void *arg)
{
	struct worker *w = arg;
	struct worker_thread *t = w->thread;

	while (!worker_is_over(w)) {
		BUG_ON(event_base_loop(w->base, EVLOOP_ONCE) < 0);
		atomic_store(&t->turned_mono_ms, clock_mono_ms());
	}
	stream_cut_lingering();
	if (t->drained)
		mailbox_post(w->relay->main_mail, t->drained);
}

static void close_doors(struct worker *w)
{
	for (size_t i = 0; i < w->relay->nlistening; i++) {
		acceptor_free(w->acceptors[i]);
		w->acceptors[i] = NULL;
	}
}

static void run_publish(struct note *note)
{
	struct order *o = order_of(note);

	snapshot_unref(o->worker->snapshot);
	o->worker->snapshot = o->snapshot;
	free(o);
}

static void run_forget_dns(struct note *note)
{
	struct order *o = order_of(note);

	resolver_forget(o->worker->resolver);
	free(o);
}

static void run_stop(struct note *note)
{
	struct order *o = order_of(note);
	struct worker *w = o->worker;
	struct timeval in = {
		.tv_sec = o->within_ms / 1000,
		.tv_usec = o->within_ms % 1000 * 1000,
	};

	w->stopping = true;
	w->stop_by_mono_ms = clock_mono_ms() + o->within_ms;
	w->thread->drained = o->drained;
	free(o);
	close_doors(w);
	BUG_ON(evtimer_add(w->thread->deadline, &in) < 0);
	inbound_stop_all(w);
	outbound_stop_all(w);
	doctor_stop_all(w);
}

void worker_session_ended(struct worker *w)
{
	/* Ends this turn of the loop, not the loop. */
	if (w->stopping)
		event_base_loopbreak(w->base);
}

/* ------- the main thread */

static void event_free_any(struct event *ev)
{
	if (ev)
		event_free(ev);
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	struct worker_thread *t = w->thread;

	if (w->mail)
		while (mailbox_run(w->mail) > 0)
			;
	close_doors(w);
	if (w->resolver)
		resolver_close(w->resolver);
	event_free_any(t->mail_event);
	event_free_any(t->tick);
	event_free_any(t->deadline);
	mailbox_close(w->mail);
	if (w->base)
		event_base_free(w->base);
	snapshot_unref(w->snapshot);
	free(w->acceptors);
	free(t->doors);
	free(t);
	free(w);
}

static enum status make_events(struct worker *w, struct err *e)
{
	const struct timeval tick = {.tv_sec = TICK_S};
	struct worker_thread *t = w->thread;

	t->mail_event = event_new(w->base, mailbox_fd(w->mail),
				  EV_READ | EV_PERSIST, on_mail, w);
	t->tick = event_new(w->base, -1, EV_PERSIST, on_tick, w);
	t->deadline = evtimer_new(w->base, on_deadline, w);
	if (!t->mail_event || !t->tick || !t->deadline ||
	    event_add(t->mail_event, NULL) < 0 || event_add(t->tick, &tick) < 0)
		return err_temp(e, 3, 0, "worker %u: out of memory for events",
				w->number);
	return ST_OK;
}

static enum status make_doors(struct worker *w, struct err *e)
{
	struct relay *relay = w->relay;

	for (size_t i = 0; i < relay->nlistening; i++) {
		struct door *door = &w->thread->doors[i];

		door->worker = w;
		door->listening = &relay->listening[i];
		w->acceptors[i] = acceptor_new(w->base, door->listening->fd,
					       on_accepted, door);
		if (!w->acceptors[i])
			return err_temp(e, 3, 0, "worker %u: cannot accept",
					w->number);
	}
	return ST_OK;
}

static enum status make_loop(struct worker *w, struct err *e)
{
	const struct resolver_conf names = {
		.servers = w->relay->resolver_servers,
		.timeout_ms = w->relay->lookup_timeout_ms,
	};
	enum status st;

	w->base = event_base_new();
	if (!w->base)
		return err_temp(e, 3, 0, "worker %u: no event loop", w->number);
	st = mailbox_open(&w->mail, e);
	if (st == ST_OK)
		st = resolver_open(&w->resolver, w->base, &names, e);
	if (st == ST_OK)
		st = make_events(w, e);
	if (st == ST_OK)
		st = make_doors(w, e);
	return st;
}

enum status worker_new(struct worker **out, struct relay *relay,
		       unsigned number, struct snapshot *snapshot,
		       struct err *e)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	size_t ndoors = relay->nlistening + 1; /* never 0 */
	enum status st;

	w->relay = relay;
	w->number = number;
	w->snapshot = snapshot_ref(snapshot);
	w->acceptors = xcalloc(ndoors, sizeof(struct acceptor *));
	w->thread = xcalloc(1, sizeof(*w->thread));
	w->thread->doors = xcalloc(ndoors, sizeof(*w->thread->doors));
	atomic_init(&w->thread->turned_mono_ms, clock_mono_ms());
	st = make_loop(w, e);
	if (st == ST_OK) {
		*out = w;
		w = NULL;
	}
	worker_free(w);
	return st;
}

enum status worker_run(struct worker *w, struct err *e)
{
	char name[16];

	snprintf(name, sizeof(name), "worker%u", w->number);
	return thread_start(&w->thread->thread, name, worker_main, w, e);
}

void worker_publish(struct worker *w, struct snapshot *snapshot)
{
	order_post(w, &(struct order){.snapshot = snapshot_ref(snapshot)},
		   run_publish);
}

void worker_forget_dns(struct worker *w)
{
	order_post(w, &(struct order){.within_ms = 0}, run_forget_dns);
}

void worker_stop(struct worker *w, int64_t within_ms, struct note *drained)
{
	order_post(w,
		   &(struct order){.within_ms = within_ms, .drained = drained},
		   run_stop);
}

void worker_join(struct worker *w)
{
	if (!w)
		return;
	/* Without a thread: deliveries may wait in its mailbox all the same,
	 * and have to be given back. */
	if (w->thread->thread)
		thread_join(w->thread->thread);
	else
		worker_main(w);
	w->thread->thread = NULL;
}

int64_t worker_silent_ms(const struct worker *w)
{
	return clock_mono_ms() - atomic_load(&w->thread->turned_mono_ms);
}
