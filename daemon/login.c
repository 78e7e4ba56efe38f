/* SPDX-License-Identifier: ISC */
/*
 * login - judges passwords by the hashes in a file.
 *
 * Whoever is not in the file is judged by the first hash that is, and found
 * wrong: the time it takes must not tell who exists.
 */
#include "daemon/login.h"

#include <crypt.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/thread.h"

enum {
	/* A hash takes a tenth of a second or so; who has to wait for more of
	 * them than this had better come back. */
	WAITING_MAX = 100,
	LINE_MAX_BYTES = 1024,
	USERS_MAX = 100000,
};

struct user {
	char *name, *hash; /* owned */
};

/* A password file as it was when last read. */
struct users {
	struct users *next;
	char *file;
	struct stat seen;
	struct user *at; /* owned, in the order of the file */
	size_t n, room;
};

struct login {
	struct thread *thread;
	struct mailbox *mail;
	struct note stop;
	atomic_uint waiting;

	/* The thread's own. */
	bool stopping;
	struct users *files; /* one for each password file asked for */
	struct crypt_data crypt;
};

/* ------- the files */

static void users_clear(struct users *u)
{
	for (size_t i = 0; i < u->n; i++) {
		free(u->at[i].name);
		free(u->at[i].hash);
	}
	free(u->at);
	u->at = NULL;
	u->n = 0;
	u->room = 0;
}

static void users_free(struct users *u)
{
	users_clear(u);
	free(u->file);
	free(u);
}

static void users_add(struct users *u, struct span name, struct span hash)
{
	if (u->n == u->room) {
		u->room = u->room ? 2 * u->room : 16;
		u->at = xrealloc(u->at, u->room, sizeof(*u->at));
	}
	u->at[u->n++] = (struct user){span_dup(name), span_dup(hash)};
}

/* False: the line can't be used. */
static bool take_line(struct users *u, struct span line)
{
	const char *colon;
	struct span name, hash;
	char *text;
	int judged;

	while (line.len > 0 && strchr(" \t\r\n", line.at[line.len - 1]))
		line.len--;
	if (line.len == 0 || line.at[0] == '#')
		return true;
	colon = memchr(line.at, ':', line.len);
	if (!colon || colon == line.at)
		return false;
	name = (struct span){line.at, (size_t)(colon - line.at)};
	hash = span_skip(line, name.len + 1);
	text = span_dup(hash);
	judged = crypt_checksalt(text);
	free(text);
	if (hash.len == 0 || judged == CRYPT_SALT_INVALID ||
	    judged == CRYPT_SALT_METHOD_DISABLED)
		return false;
	users_add(u, name, hash);
	return true;
}

static void warn_of_line(const struct users *u, unsigned number)
{
	log_fact(LOG_WARN, 0, "auth-file", F_STR("file", u->file),
		 F_INT("line", number),
		 F_STR("text", "is not user:hash with a hash of crypt(5)"));
}

static bool read_lines(struct users *u, FILE *f)
{
	char line[LINE_MAX_BYTES];
	unsigned number = 0;
	bool goes_on = false;

	while (fgets(line, sizeof(line), f) && u->n < USERS_MAX) {
		size_t len = strlen(line);
		bool went_on = goes_on;

		goes_on = len + 1 == sizeof(line) && line[len - 1] != '\n';
		if (went_on)
			continue;
		number++;
		if (goes_on || !take_line(u, (struct span){line, len}))
			warn_of_line(u, number);
	}
	explicit_bzero(line, sizeof(line));
	return !ferror(f);
}

static bool is_same(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Reads the file if it is new or has changed. */
static enum status users_refresh(struct users *u, struct err *e)
{
	FILE *f = fopen(u->file, "re");
	enum status st = ST_OK;
	struct stat now;

	if (!f)
		return err_sys(e, errno, "%s", u->file);
	if (fstat(fileno(f), &now) < 0) {
		st = err_sys(e, errno, "%s", u->file);
	} else if (!is_same(&u->seen, &now)) {
		users_clear(u);
		u->seen = now;
		if (!read_lines(u, f)) {
			u->seen = (struct stat){.st_size = -1};
			st = err_sys(e, errno, "%s", u->file);
		}
	}
	fclose(f);
	return st;
}

static struct users *users_of(struct login *l, const char *file)
{
	struct users *u = l->files;

	while (u && strcmp(u->file, file) != 0)
		u = u->next;
	if (u)
		return u;
	u = xcalloc(1, sizeof(*u));
	u->file = xstrdup(file);
	u->seen.st_size = -1; /* like no file */
	u->next = l->files;
	l->files = u;
	return u;
}

/* ------- the judgement */

static bool equals(const char *a, const char *b)
{
	size_t len = strlen(a);
	unsigned diff = 0;

	if (strlen(b) != len)
		return false;
	for (size_t i = 0; i < len; i++)
		diff |= (unsigned char)a[i] ^ (unsigned char)b[i];
	return diff == 0;
}

static const struct user *users_find(const struct users *u, const char *name)
{
	for (size_t i = 0; i < u->n; i++)
		if (strcmp(u->at[i].name, name) == 0)
			return &u->at[i];
	return NULL;
}

static bool is_right(struct login *l, const struct users *u,
		     const struct login_question *q)
{
	const struct user *user = users_find(u, q->user);
	const char *made;
	bool right = false;

	if (u->n == 0)
		return false;
	made = crypt_r(q->password, user ? user->hash : u->at[0].hash,
		       &l->crypt);
	if (made && made[0] != '*' && user)
		right = equals(made, user->hash);
	explicit_bzero(&l->crypt, sizeof(l->crypt));
	return right;
}

static void judge(struct login *l, struct login_question *q)
{
	struct users *u = users_of(l, q->file);

	if (users_refresh(u, &q->error) != ST_OK)
		q->outcome = LOGIN_UNKNOWN;
	else
		q->outcome = is_right(l, u, q) ? LOGIN_RIGHT : LOGIN_WRONG;
}

/* ------- the thread */

static void run_question(struct note *note)
{
	struct login_question *q =
		CONTAINER_OF(note, struct login_question, asked);
	struct login *l = q->login;

	q->outcome = LOGIN_WRONG;
	if (!atomic_load(&q->dropped))
		judge(l, q);
	explicit_bzero(q->password, strlen(q->password));
	atomic_fetch_sub(&l->waiting, 1);
	mailbox_post(q->reply_to, &q->done);
}

static void run_stop(struct note *note)
{
	struct login *l = CONTAINER_OF(note, struct login, stop);

	l->stopping = true;
}

static void login_main(void *arg)
{
	struct login *l = arg;

	while (!l->stopping)
		mailbox_wait(l->mail, -1);
}

static void login_free(struct login *l)
{
	struct users *u;

	while ((u = l->files) != NULL) {
		l->files = u->next;
		users_free(u);
	}
	mailbox_close(l->mail);
	free(l);
}

enum status login_start(struct login **out, struct err *e)
{
	struct login *l = xcalloc(1, sizeof(*l));
	enum status st;

	l->stop.run = run_stop;
	st = mailbox_open(&l->mail, e);
	if (st == ST_OK)
		st = thread_start(&l->thread, "login", login_main, l, e);
	if (st == ST_OK) {
		*out = l;
		l = NULL;
	}
	if (l)
		login_free(l);
	return st;
}

void login_stop(struct login *l)
{
	if (!l)
		return;
	mailbox_post(l->mail, &l->stop);
	thread_join(l->thread);
	login_free(l);
}

/* ------- the askers' side */

struct login_question *login_question(const char *file, const char *user,
				      const char *password)
{
	struct login_question *q = xcalloc(1, sizeof(*q));

	q->file = xstrdup(file);
	q->user = xstrdup(user);
	q->password = xstrdup(password);
	return q;
}

void login_question_free(struct login_question *q)
{
	if (!q)
		return;
	explicit_bzero(q->password, strlen(q->password));
	free(q->password);
	free(q->user);
	free(q->file);
	free(q);
}

bool login_put(struct login *l, struct login_question *q)
{
	if (atomic_fetch_add(&l->waiting, 1) >= WAITING_MAX) {
		atomic_fetch_sub(&l->waiting, 1);
		return false;
	}
	q->login = l;
	q->asked.run = run_question;
	mailbox_post(l->mail, &q->asked);
	return true;
}
