/* SPDX-License-Identifier: ISC */
/*
 * watch - notices that files have changed, however they are replaced.
 *
 * Directories are watched, not files: a file renamed over another, a symbolic
 * link pointed elsewhere (/etc/letsencrypt/live), a whole directory of links
 * swapped (..data of Kubernetes) are changes of a directory on the way to the
 * file.  Every symbolic link on that way is followed and its directory watched
 * too.  Where the system can't tell (a directory we may not read, a network
 * file system), the files are looked at once a minute.
 *
 * The owner is called when the directories have been quiet for a moment, so
 * that a file that is being written is whole and a certificate's key has
 * arrived as well; in a directory that is never quiet, after a second.  That it
 * is called means "look": watch_stamp() says whether anything is different.
 *
 * Thread: the one of its event_base.
 */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include "base/err.h"

struct event_base;
struct watch;

typedef void watch_seen(void *arg);

/* ST_TEMP: no descriptor or memory for it. */
MUST_USE enum status watch_new(struct watch **out, struct event_base *base,
			       watch_seen *seen, void *arg, struct err *e);
/* Follows these files (copied; they need not exist) and no others. */
void watch_follow(struct watch *w, const char *const *files, size_t n);
void watch_free(struct watch *w); /* NULL is fine */

/* A number that differs when one of the files has been replaced, changed, or
 * become readable or unreadable. */
uint64_t watch_stamp(const char *const *files, size_t n);

/* The directories on the way to a file, each called with once or more; the
 * last one that exists stands for what is missing. */
void watch_ways(const char *file, void (*way)(void *arg, const char *directory),
		void *arg);

#endif
