/* SPDX-License-Identifier: ISC */
/*
 * alarm.c - the log line, the thread that runs the command, and what it
 * remembers of the last hour.
 */
#include "daemon/alarm.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/thread.h"
#include "daemon/program.h"
#include "daemon/view.h"

enum {
	COMMAND_TIMEOUT_MS = 60 * 1000,
	SILENCE_MS = 60 * 60 * 1000,
	REMEMBERED_MAX = 1024,
	TEXT_MAX = 1024,
	ARGUMENTS = 3, /* word, subject, text */
};

static const char *const words[] = {
#define ALARM(name, word, sentence) [ALARM_##name] = word,
#include "daemon/alarm.def"
#undef ALARM
};
_Static_assert(ARRAY_LEN(words) == ALARMS, "an alarm without a word");

/* One that was told. */
struct told {
	enum alarm what;
	char *subject; /* owned */
	int64_t mono_ms;
};

struct alarms {
	struct mailbox *mail;
	struct thread *thread;
	struct note stop; /* wakes it */
	char *command, *hostname; /* owned; the thread's, with what follows */
	struct told told[REMEMBERED_MAX];
	size_t ntold;
	int stop_fd; /* readable: the command is to be killed */
	atomic_uint waiting;
	atomic_bool stopping;
};

struct raised {
	struct note note;
	struct alarms *alarms;
	enum alarm what;
	char *subject, *text; /* owned */
	int64_t wall_ms;
};

struct settings {
	struct note note;
	struct alarms *alarms;
	char *command, *hostname; /* owned */
};

const char *alarm_word(enum alarm what)
{
	return words[what];
}

/* ------- the command */

static void forget_old(struct alarms *a, int64_t now)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->ntold; i++) {
		if (now - a->told[i].mono_ms < SILENCE_MS)
			a->told[kept++] = a->told[i];
		else
			free(a->told[i].subject);
	}
	a->ntold = kept;
}

/* Remembers it, if it was not told within the hour. */
static bool is_news(struct alarms *a, const struct raised *r)
{
	int64_t now = clock_mono_ms();

	forget_old(a, now);
	if (r->what == ALARM_DESTINATION_UP)
		return true; /* once for each time it was down */
	for (size_t i = 0; i < a->ntold; i++)
		if (a->told[i].what == r->what &&
		    strcmp(a->told[i].subject, r->subject) == 0)
			return false;
	if (a->ntold == REMEMBERED_MAX)
		return false;
	a->told[a->ntold++] = (struct told){r->what, xstrdup(r->subject), now};
	return true;
}

static char *as_json(const struct alarms *a, const struct raised *r)
{
	json_t *o = json_object();
	char *text;

	json_object_set_new(o, "alarm", json_string(words[r->what]));
	json_object_set_new(o, "time", view_time(r->wall_ms));
	json_object_set_new(o, "hostname", view_text(a->hostname));
	json_object_set_new(o, "subject", view_text(r->subject));
	json_object_set_new(o, "text", view_text(r->text));
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	BUG_ON(!text);
	json_decref(o);
	return text;
}

static void complain(const struct alarms *a, const struct program_end *end)
{
	char why[64] = "did not end in time";

	if (end->in_time && WIFEXITED(end->status) &&
	    WEXITSTATUS(end->status) == 0)
		return;
	if (end->in_time && WIFEXITED(end->status))
		snprintf(why, sizeof(why), "ended with status %d",
			 WEXITSTATUS(end->status));
	else if (end->in_time)
		snprintf(why, sizeof(why), "was ended by signal %d",
			 WTERMSIG(end->status));
	log_fact(LOG_ERROR, 0, "alarm-command-failed",
		 F_STR("command", a->command), F_STR("text", why),
		 F_STR("stderr", *end->errors ? end->errors : NULL));
}

static void run_command(struct alarms *a, const struct raised *r)
{
	char *argv[PROGRAM_ARGUMENTS_MAX + 1 + ARGUMENTS];
	char *command = xstrdup(a->command), *json = as_json(a, r);
	char word[32];
	struct program_end end;
	struct err e;
	size_t n = 0;

	snprintf(word, sizeof(word), "%s", words[r->what]);
	program_split(command, argv);
	while (argv[n])
		n++;
	argv[n++] = word;
	argv[n++] = r->subject;
	argv[n++] = r->text;
	argv[n] = NULL;
	const struct program p = {
		.argv = argv,
		.input = span_of(json),
		.timeout_ms = COMMAND_TIMEOUT_MS,
		.stop_fd = a->stop_fd,
	};
	if (program_run(&p, &end, &e) == ST_OK)
		complain(a, &end);
	else
		log_fact(LOG_ERROR, 0, "alarm-command-failed",
			 F_STR("command", a->command), F_STR("text", e.text));
	free(command);
	free(json);
}

/* ------- the thread */

static void say(enum alarm what, const char *subject, const char *text)
{
	log_fact(what == ALARM_DESTINATION_UP ? LOG_INFO : LOG_ERROR, 0,
		 "alarm", F_STR("alarm", words[what]),
		 F_STR("subject", *subject ? subject : NULL),
		 F_STR("text", text));
}

static void run_raised(struct note *note)
{
	struct raised *r = CONTAINER_OF(note, struct raised, note);
	struct alarms *a = r->alarms;

	atomic_fetch_sub(&a->waiting, 1);
	if (is_news(a, r)) {
		say(r->what, r->subject, r->text);
		if (a->command[0] != '\0' && !atomic_load(&a->stopping))
			run_command(a, r);
	}
	free(r->subject);
	free(r->text);
	free(r);
}

static void run_settings(struct note *note)
{
	struct settings *s = CONTAINER_OF(note, struct settings, note);
	struct alarms *a = s->alarms;

	free(a->command);
	free(a->hostname);
	a->command = s->command;
	a->hostname = s->hostname;
	free(s);
}

/* Nothing but a reason to look at `stopping`. */
static void run_stop(struct note *note)
{
	(void)note;
}

static void alarms_main(void *arg)
{
	struct alarms *a = arg;

	while (!atomic_load(&a->stopping))
		mailbox_wait(a->mail, -1);
}

static void alarms_free(struct alarms *a)
{
	for (size_t i = 0; i < a->ntold; i++)
		free(a->told[i].subject);
	mailbox_close(a->mail);
	if (a->stop_fd >= 0)
		close(a->stop_fd);
	free(a->command);
	free(a->hostname);
	free(a);
}

enum status alarms_start(struct alarms **out, struct err *e)
{
	struct alarms *a = xcalloc(1, sizeof(*a));
	enum status st;

	a->stop.run = run_stop;
	a->command = xstrdup("");
	a->hostname = xstrdup("");
	a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	st = a->stop_fd >= 0 ? mailbox_open(&a->mail, e)
			     : err_sys(e, errno, "eventfd");
	if (st == ST_OK)
		st = thread_start(&a->thread, "alarms", alarms_main, a, e);
	if (st == ST_OK) {
		*out = a;
		a = NULL;
	}
	if (a)
		alarms_free(a);
	return st;
}

void alarms_stop(struct alarms *a)
{
	if (!a)
		return;
	atomic_store(&a->stopping, true);
	mailbox_post(a->mail, &a->stop);
	BUG_ON(eventfd_write(a->stop_fd, 1) != 0);
	thread_join(a->thread);
	mailbox_run(a->mail); /* it may not have seen all */
	alarms_free(a);
}

void alarms_configure(struct alarms *a, const char *command,
		      const char *hostname)
{
	struct settings *s = xcalloc(1, sizeof(*s));

	s->alarms = a;
	s->command = xstrdup(command);
	s->hostname = xstrdup(hostname);
	s->note.run = run_settings;
	mailbox_post(a->mail, &s->note);
}

/* ------- the others' side */

static void post(struct alarms *a, enum alarm what, const char *subject,
		 const char *text)
{
	struct raised *r;

	if (atomic_fetch_add(&a->waiting, 1) >= ALARMS_WAITING_MAX) {
		atomic_fetch_sub(&a->waiting, 1);
		say(what, subject, text);
		return;
	}
	r = xcalloc(1, sizeof(*r));
	r->alarms = a;
	r->what = what;
	r->subject = xstrdup(subject);
	r->text = xstrdup(text);
	r->wall_ms = clock_wall_ms();
	r->note.run = run_raised;
	mailbox_post(a->mail, &r->note);
}

void alarm_raise(struct alarms *a, enum alarm what, const char *subject,
		 const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (a)
		post(a, what, subject, text);
	else
		say(what, subject, text);
}
