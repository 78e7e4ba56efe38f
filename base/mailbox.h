/* SPDX-License-Identifier: ISC */
/*
 * mailbox - hands notes from many threads to one.
 *
 * A note is embedded in the object it speaks of; posting moves that object to
 * the reader's thread, where note->run(note) is called once, in the order of
 * posting.  Because each object has one note, a mailbox holds no more than
 * there are objects: its bound is theirs.  A note may be posted again only
 * after it has run.
 *
 * Thread: mailbox_post any; mailbox_run the reader; open before, close after
 *         all of them.
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include "base/err.h"

struct mailbox;

struct note {
	struct note *next;               /* the mailbox's while posted */
	void (*run)(struct note *note);  /* in the reader's thread */
};

MUST_USE enum status mailbox_open(struct mailbox **out, struct err *e);
void mailbox_close(struct mailbox *m);   /* NULL is fine; must be empty */

void mailbox_post(struct mailbox *m, struct note *note);
/* From the first call on readable while notes wait; for poll() or an event
 * loop. */
int mailbox_fd(struct mailbox *m);
/* Runs the notes that were posted before the call; returns how many.
 * Clears the fd with it, so no wake-up is lost. */
size_t mailbox_run(struct mailbox *m);
/* Waits for a note until timeout_ms passed (-1: for ever), then runs those
 * that are there; returns how many. For threads without an event loop. */
size_t mailbox_wait(struct mailbox *m, int64_t timeout_ms);

#endif
