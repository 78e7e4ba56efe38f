/* SPDX-License-Identifier: ISC */
/*
 * mailbox - a list of notes under a mutex and an eventfd to wake its reader.
 *
 * The eventfd is written by the post that finds the reader watching it, and
 * read when the list is taken.  So whenever notes wait, either the fd is
 * readable, or about to be, or the reader is about to take them.  It is
 * written behind the lock, lest the reader wakes up and finds it locked; one
 * that has seen the last note may close the mailbox at once, and is made to
 * wait for those who are still ringing.
 *
 * A reader that asked for the fd watches it always.  One that uses
 * mailbox_wait does while it waits: as long as it is busy, nobody has to wake
 * it, and neither side makes a call of the system.
 */
#include "base/mailbox.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"

struct mailbox {
	pthread_mutex_t lock;
	struct note *first; /* under lock */
	struct note **end; /* under lock */
	bool watched; /* under lock: a note must make the fd readable */
	bool rung; /* under lock: it is readable, or about to be */
	_Atomic unsigned ringing; /* posts that are about to write it */
	int fd;
};

enum status mailbox_open(struct mailbox **out, struct err *e)
{
	struct mailbox *m;
	int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open a mailbox");
	m = xcalloc(1, sizeof(*m));
	BUG_ON(pthread_mutex_init(&m->lock, NULL) != 0);
	m->end = &m->first;
	m->fd = fd;
	*out = m;
	return ST_OK;
}

void mailbox_close(struct mailbox *m)
{
	if (!m)
		return;
	pthread_mutex_lock(&m->lock);
	BUG_ON(m->first);
	pthread_mutex_unlock(&m->lock);
	while (atomic_load(&m->ringing) > 0)
		sched_yield();
	pthread_mutex_destroy(&m->lock);
	close(m->fd);
	free(m);
}

static void wake(int fd)
{
	const uint64_t one = 1;
	ssize_t n;

	do
		n = write(fd, &one, sizeof(one));
	while (n < 0 && errno == EINTR);
	BUG_ON(n != sizeof(one));
}

/* Under lock: must the caller ring() when he has let go of it? */
static bool must_ring(struct mailbox *m)
{
	if (!m->first || !m->watched || m->rung)
		return false;
	m->rung = true;
	atomic_fetch_add(&m->ringing, 1);
	return true;
}

/* Once it is done, the mailbox may be gone. */
static void ring(struct mailbox *m)
{
	wake(m->fd);
	atomic_fetch_sub(&m->ringing, 1);
}

void mailbox_post(struct mailbox *m, struct note *note)
{
	bool rings;

	note->next = NULL;
	pthread_mutex_lock(&m->lock);
	*m->end = note;
	m->end = &note->next;
	rings = must_ring(m);
	pthread_mutex_unlock(&m->lock);
	if (rings)
		ring(m);
}

int mailbox_fd(struct mailbox *m)
{
	bool rings;

	pthread_mutex_lock(&m->lock);
	m->watched = true;
	rings = must_ring(m);
	pthread_mutex_unlock(&m->lock);
	if (rings)
		ring(m);
	return m->fd;
}

/* False: it is not readable yet, but will be. */
static bool quiet(int fd)
{
	uint64_t count;
	ssize_t n;

	do
		n = read(fd, &count, sizeof(count));
	while (n < 0 && errno == EINTR);
	BUG_ON(n < 0 && errno != EAGAIN);
	return n == sizeof(count);
}

static struct note *take_all(struct mailbox *m)
{
	struct note *first;

	pthread_mutex_lock(&m->lock);
	first = m->first;
	m->first = NULL;
	m->end = &m->first;
	if (m->rung && quiet(m->fd))
		m->rung = false;
	pthread_mutex_unlock(&m->lock);
	return first;
}

size_t mailbox_run(struct mailbox *m)
{
	struct note *note = take_all(m);
	size_t count = 0;

	while (note) {
		/* Once it runs, the note may be posted again or freed. */
		struct note *next = note->next;

		note->run(note);
		note = next;
		count++;
	}
	return count;
}

/* poll() takes an int; longer waits just come back early. */
static int poll_timeout(int64_t left_ms)
{
	const int64_t most_ms = 3600000;

	return (int)(left_ms < most_ms ? left_ms : most_ms);
}

/* Until the fd is readable, or the time is over. */
static void wait_for_fd(struct mailbox *m, int64_t timeout_ms)
{
	int64_t until_ms = clock_mono_ms() + timeout_ms;
	struct pollfd p = {.fd = m->fd, .events = POLLIN};
	int n;

	for (;;) {
		int64_t left_ms = until_ms - clock_mono_ms();

		if (left_ms < 0)
			left_ms = 0;
		n = poll(&p, 1, timeout_ms < 0 ? -1 : poll_timeout(left_ms));
		if (n > 0 || (n == 0 && left_ms <= poll_timeout(left_ms)))
			break;
		BUG_ON(n < 0 && errno != EINTR);
	}
}

size_t mailbox_wait(struct mailbox *m, int64_t timeout_ms)
{
	bool was_watched, empty;

	pthread_mutex_lock(&m->lock);
	empty = !m->first;
	was_watched = m->watched;
	m->watched = was_watched || empty;
	pthread_mutex_unlock(&m->lock);
	if (empty) {
		wait_for_fd(m, timeout_ms);
		pthread_mutex_lock(&m->lock);
		m->watched = was_watched;
		pthread_mutex_unlock(&m->lock);
	}
	return mailbox_run(m);
}
