/* SPDX-License-Identifier: ISC */
/*
 * login - are this user and this password in that file?
 *
 * A line of a password file is "user:hash" with a hash of crypt(5); empty
 * lines and lines that begin with # are none.  The file is read again when it
 * has changed.  To hash a password takes long on purpose, so one thread does
 * it for all workers; an unknown user takes as long as a known one.
 *
 * Passwords are wiped from memory as soon as they were judged, and never
 * logged.
 *
 * Thread: login_start and _stop main; login_put the thread of the question.
 */
#ifndef DAEMON_LOGIN_H
#define DAEMON_LOGIN_H

#include <stdatomic.h>

#include "base/mailbox.h"

struct login;

enum login_outcome {
	LOGIN_RIGHT,
	LOGIN_WRONG,
	LOGIN_UNKNOWN,                   /* the file can't be read: .error */
};

/* A question and its answer; made by login_question(). */
struct login_question {
	char *file, *user, *password;    /* owned */
	struct mailbox *reply_to;        /* borrowed */
	struct note done;                /* the asker sets .run */
	void *asker;                     /* for it */
	atomic_bool dropped;             /* nobody waits for the outcome */

	enum login_outcome outcome;      /* in done.run */
	struct err error;                /* why it is unknown */

	struct note asked;               /* login's, until done */
	struct login *login;
};

MUST_USE enum status login_start(struct login **out, struct err *e);
/* Answers what was asked before, then ends the thread.  NULL is fine. */
void login_stop(struct login *l);

/* Copies the strings. */
MUST_USE struct login_question *login_question(const char *file,
					       const char *user,
					       const char *password);
/* Wipes the password.  NULL is fine; not between login_put() and done. */
void login_question_free(struct login_question *q);

/* Posts q->done to q->reply_to exactly once, with the outcome.  False: too
 * many are waiting, and nothing was taken. */
MUST_USE bool login_put(struct login *l, struct login_question *q);

#endif
