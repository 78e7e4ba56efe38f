/* SPDX-License-Identifier: ISC */
/*
 * secret - the password or token that a route logs in with, and where it
 * comes from.
 *
 * A vault has a thread only while it fetches; it is joined before the next
 * one starts, or with the vault.  Answers are posted under the vault's lock,
 * so that a wish either still stands in its list and can be taken out, or
 * waits in its asker's mailbox, which frees it.
 */
#include "daemon/secret.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "daemon/secret_fetch.h"

enum {
	TIMEOUT_MS = 30 * 1000,
	AGE_MAX_MS = 45 * 60 * 1000, /* tokens live for an hour, usually */
};

struct secret {
	atomic_uint refs;
	int64_t fetched_mono_ms;
	char text[SECRET_MAX + 1];
};

struct wish {
	struct wish *next;
	struct vault *vault;
	struct mailbox *reply_to;
	struct note note;
	secret_seen *seen; /* NULL: cancelled */
	void *arg;
	bool posted;
	struct secret *secret; /* the answer; owned */
	struct err err;
};

struct vault {
	atomic_uint refs;
	char *file, *command; /* owned */
	int64_t timeout_ms;
	int stop_fd; /* readable: the vault goes */

	pthread_mutex_t lock; /* of all below */
	struct thread *thread; /* of the last fetch */
	bool fetching;
	struct wish *wishes; /* not answered yet; owned */
	struct secret *secret; /* the last one; NULL: none */
	struct file_stamp stamp; /* of the file it was read from */
};

/* ------- a secret */

static struct secret *secret_new(void)
{
	struct secret *s = xcalloc(1, sizeof(*s));

	atomic_init(&s->refs, 1);
	s->fetched_mono_ms = clock_mono_ms();
	return s;
}

struct secret *secret_ref(struct secret *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void secret_unref(struct secret *s)
{
	if (!s ||
	    atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	explicit_bzero(s->text, sizeof(s->text));
	free(s);
}

const char *secret_text(const struct secret *s)
{
	return s->text;
}

/* ------- answers */

/* In the asker's thread. */
static void on_answer(struct note *note)
{
	struct wish *w = CONTAINER_OF(note, struct wish, note);

	if (w->seen)
		w->seen(w->arg, w->secret, &w->err);
	else
		secret_unref(w->secret);
	free(w);
}

/* Under the lock.  secret NULL: e says why. */
static void answer(struct wish *w, struct secret *secret, const struct err *e)
{
	BUG_ON(!secret && !e);
	w->secret = secret ? secret_ref(secret) : NULL;
	if (!secret)
		w->err = *e;
	w->note.run = on_answer;
	w->posted = true;
	mailbox_post(w->reply_to, &w->note);
}

static void answer_all(struct vault *v, struct secret *secret,
		       const struct err *e)
{
	while (v->wishes) {
		struct wish *w = v->wishes;

		v->wishes = w->next;
		answer(w, secret, e);
	}
}

/* ------- the vault's thread */

/* A new secret, or NULL: *e says why; the one that is still good is kept by
 * not asking (program) or by its stamp (file). */
static struct secret *fetch(struct vault *v, const struct file_stamp *old,
			    struct file_stamp *stamp, struct err *e)
{
	struct secret *s = secret_new();
	enum status st;

	if (*v->command)
		st = fetch_from_program(s->text, sizeof(s->text), v->command,
					v->timeout_ms, v->stop_fd, e);
	else
		st = fetch_from_file(s->text, sizeof(s->text), v->file, old,
				     stamp, e);
	if (st != ST_OK) {
		secret_unref(s);
		return NULL;
	}
	return s;
}

/* Under the lock.  False: the file is as it was when the secret was read, but
 * meanwhile that was refused, and it has to be read after all. */
static bool keep(struct vault *v, struct secret *s,
		 const struct file_stamp *stamp, const struct err *e)
{
	/* An empty text: the file is as it was. */
	if (s && *s->text == '\0') {
		secret_unref(s);
		if (!v->secret)
			return false;
	} else {
		secret_unref(v->secret);
		v->secret = s;
		v->stamp = *stamp;
	}
	answer_all(v, v->secret, e);
	v->fetching = false;
	return true;
}

static void thread_main(void *arg)
{
	struct vault *v = arg;
	bool kept;

	do {
		struct file_stamp old, stamp = {.known = false};
		struct err e;

		pthread_mutex_lock(&v->lock);
		old = v->stamp;
		pthread_mutex_unlock(&v->lock);

		struct secret *s = fetch(v, &old, &stamp, &e);

		pthread_mutex_lock(&v->lock);
		kept = keep(v, s, &stamp, &e);
		pthread_mutex_unlock(&v->lock);
	} while (!kept);
}

/* Under the lock. */
static void start_fetching(struct vault *v)
{
	struct err e;

	/* The last one has done all but return. */
	thread_join(v->thread);
	v->thread = NULL;
	v->fetching = true;
	if (thread_start(&v->thread, "secret", thread_main, v, &e) != ST_OK) {
		v->fetching = false;
		answer_all(v, NULL, &e);
	}
}

/* ------- */

struct vault *vault_new(const struct vault_conf *conf)
{
	struct vault *v = xcalloc(1, sizeof(*v));

	atomic_init(&v->refs, 1);
	v->file = xstrdup(conf->file);
	v->command = xstrdup(conf->command);
	v->timeout_ms = conf->timeout_ms ? conf->timeout_ms : TIMEOUT_MS;
	/* Without it a program is waited for until it ends. */
	v->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	BUG_ON(pthread_mutex_init(&v->lock, NULL) != 0);
	return v;
}

struct vault *vault_ref(struct vault *v)
{
	atomic_fetch_add_explicit(&v->refs, 1, memory_order_relaxed);
	return v;
}

void vault_unref(struct vault *v)
{
	if (!v ||
	    atomic_fetch_sub_explicit(&v->refs, 1, memory_order_acq_rel) != 1)
		return;
	BUG_ON(v->wishes);
	if (v->stop_fd >= 0)
		eventfd_write(v->stop_fd, 1);
	thread_join(v->thread);
	if (v->stop_fd >= 0)
		close(v->stop_fd);
	secret_unref(v->secret);
	pthread_mutex_destroy(&v->lock);
	free(v->file);
	free(v->command);
	free(v);
}

static bool is_fresh(const struct vault *v)
{
	if (!v->secret || !*v->command)
		return false;
	return clock_mono_ms() - v->secret->fetched_mono_ms < AGE_MAX_MS;
}

struct wish *vault_ask(struct vault *v, struct mailbox *reply_to,
		       secret_seen *seen, void *arg)
{
	struct wish *w = xcalloc(1, sizeof(*w));

	w->vault = v;
	w->reply_to = reply_to;
	w->seen = seen;
	w->arg = arg;
	pthread_mutex_lock(&v->lock);
	if (is_fresh(v)) {
		answer(w, v->secret, NULL);
	} else {
		w->next = v->wishes;
		v->wishes = w;
		if (!v->fetching)
			start_fetching(v);
	}
	pthread_mutex_unlock(&v->lock);
	return w;
}

void wish_cancel(struct wish *w)
{
	if (!w)
		return;
	struct vault *v = w->vault;
	bool posted;

	pthread_mutex_lock(&v->lock);
	posted = w->posted;
	if (!posted) {
		struct wish **at = &v->wishes;

		while (*at != w)
			at = &(*at)->next;
		*at = w->next;
	}
	pthread_mutex_unlock(&v->lock);
	if (posted)
		w->seen = NULL;
	else
		free(w);
}

void vault_refused(struct vault *v, const struct secret *s)
{
	pthread_mutex_lock(&v->lock);
	if (v->secret == s) {
		secret_unref(v->secret);
		v->secret = NULL;
		v->stamp.known = false;
	}
	pthread_mutex_unlock(&v->lock);
}
