/* SPDX-License-Identifier: ISC */
/*
 * watchdog - looks at each thread twice in the time the service manager
 * allows, and pats if none has been silent for longer than that.
 *
 * Workers and the dispatcher note when they last turned.  The writer is
 * asked: a change that changes nothing goes through it and back, as mail
 * does.  A full disk is an answer, too; only silence is not.
 */
#include "daemon/watchdog.h"

#include <stdlib.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/alarm.h"
#include "daemon/dispatch.h"
#include "daemon/notify.h"
#include "daemon/worker.h"

struct watchdog {
	struct relay *relay;
	struct event *tick;
	int64_t patience_ms;
	bool complained; /* of the silence that lasts */

	struct write question; /* to the writer */
	bool asked;
	int64_t asked_mono_ms;
};

static void on_answer(struct note *note)
{
	struct watchdog *w = CONTAINER_OF(note, struct watchdog, question.done);

	store_op_release(&w->question.op);
	w->asked = false;
}

static void ask_writer(struct watchdog *w)
{
	if (w->asked)
		return;
	/* Nothing can have settled before 1970. */
	w->question = (struct write){
		.op = {.verb = STORE_TRIM, .limit = 1},
		.reply_to = w->relay->main_mail,
		.done.run = on_answer,
	};
	w->asked = true;
	w->asked_mono_ms = clock_mono_ms();
	writer_submit(w->relay->writer, &w->question);
}

static bool is_silent(struct watchdog *w, const char *thread, int64_t silent_ms)
{
	if (silent_ms <= w->patience_ms)
		return false;
	if (!w->complained) {
		log_fact(LOG_ERROR, 0, "thread-silent", F_STR("thread", thread),
			 F_SECONDS("silent_s", silent_ms));
		alarm_raise(w->relay->alarms, ALARM_THREAD_SILENT, thread,
			    "the thread %s has been silent for %lld s", thread,
			    (long long)(silent_ms / 1000));
	}
	w->complained = true;
	return true;
}

static bool all_alive(struct watchdog *w)
{
	const struct relay *relay = w->relay;

	for (size_t i = 0; i < relay->nworkers; i++)
		if (is_silent(w, "worker", worker_silent_ms(relay->workers[i])))
			return false;
	if (is_silent(w, "dispatch", dispatch_silent_ms(relay->dispatch)))
		return false;
	return !w->asked ||
	       !is_silent(w, "writer", clock_mono_ms() - w->asked_mono_ms);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct watchdog *w = arg;

	(void)fd;
	(void)what;
	if (all_alive(w)) {
		w->complained = false;
		notify_alive();
	}
	ask_writer(w);
}

struct watchdog *watchdog_new(struct event_base *base, struct relay *relay)
{
	int64_t patience_ms = notify_watchdog_ms();
	int64_t tick_ms = patience_ms / 2;
	struct watchdog *w;
	struct timeval every = {
		.tv_sec = tick_ms / 1000,
		.tv_usec = tick_ms % 1000 * 1000,
	};

	if (patience_ms == 0)
		return NULL;
	w = xcalloc(1, sizeof(*w));
	w->relay = relay;
	w->patience_ms = patience_ms;
	w->tick = event_new(base, -1, EV_PERSIST, on_tick, w);
	BUG_ON(!w->tick || event_add(w->tick, &every) < 0);
	notify_alive();
	return w;
}

void watchdog_stop(struct watchdog *w)
{
	if (w)
		event_del(w->tick);
}

void watchdog_free(struct watchdog *w)
{
	if (!w)
		return;
	BUG_ON(w->asked);
	event_free(w->tick);
	free(w);
}
