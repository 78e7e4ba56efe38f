/* SPDX-License-Identifier: ISC */
/*
 * watch - follows directories with inotify(7), and waits until they are quiet.
 *
 * After the first event the descriptor is not looked at until the pause is
 * over, so a busy directory wakes the thread a few times in a second at the
 * most; the kernel keeps, merges, or in the end drops events meanwhile, and
 * that something happened is all we want to know.
 *
 * The directories are found anew before each call: what a link points to may
 * have moved.  They are watched before the files are looked at, so nothing
 * slips in between.
 */
#include "daemon/watch.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <event2/event.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"

enum {
	QUIET_US = 200 * 1000,
	NEVER_QUIET_MS = 1000,
	LOOK_S = 60,
	LINKS_MAX = 40, /* as the kernel's */
	EVENTS = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
		 IN_CLOSE_WRITE | IN_MODIFY | IN_ATTRIB | IN_DELETE_SELF |
		 IN_MOVE_SELF | IN_ONLYDIR,
};

struct directory {
	char *path; /* owned */
	int wd; /* -1: can't be watched */
	bool wanted;
};

struct watch {
	watch_seen *seen;
	void *arg;
	int fd;
	struct event *readable, *quiet, *tick;
	int64_t first_mono_ms; /* event since the last call; 0: none */
	char **files; /* owned */
	size_t nfiles;
	struct directory *at;
	size_t n;
};

/* ------- the way to a file */

struct walk {
	char done[PATH_MAX]; /* of the way, without link or final slash */
	char left[PATH_MAX];
	unsigned links;
};

/* Cuts the next component off the front of left; false: there is none. */
static bool next_part(struct walk *k, char part[NAME_MAX + 1])
{
	const char *from = k->left + strspn(k->left, "/");
	size_t len = strcspn(from, "/");

	if (len == 0 || len > NAME_MAX)
		return false;
	memcpy(part, from, len);
	part[len] = '\0';
	memmove(k->left, from + len, strlen(from + len) + 1);
	return true;
}

static void step_up(struct walk *k)
{
	char *slash = strrchr(k->done, '/');

	if (slash)
		*slash = '\0';
}

/* Puts what a link says in front of what is left. */
static bool take_link(struct walk *k, const char *at)
{
	char target[PATH_MAX], rest[PATH_MAX];
	ssize_t len = readlink(at, target, sizeof(target) - 1);
	int n;

	if (len <= 0 || ++k->links > LINKS_MAX)
		return false;
	target[len] = '\0';
	memcpy(rest, k->left, sizeof(rest));
	n = snprintf(k->left, sizeof(k->left), "%s%s", target, rest);
	if (n < 0 || (size_t)n >= sizeof(k->left))
		return false;
	if (target[0] == '/')
		k->done[0] = '\0';
	return true;
}

void watch_ways(const char *file, void (*way)(void *arg, const char *directory),
		void *arg)
{
	char part[NAME_MAX + 1], at[PATH_MAX + NAME_MAX + 2];
	struct walk k = {.done = ""};
	struct stat st;

	if (*file != '/' && !getcwd(k.done, sizeof(k.done)))
		return;
	snprintf(k.left, sizeof(k.left), "%s", file);
	while (next_part(&k, part)) {
		if (strcmp(part, ".") == 0)
			continue;
		if (strcmp(part, "..") == 0) {
			step_up(&k);
			continue;
		}
		snprintf(at, sizeof(at), "%s/%s", k.done, part);
		if (lstat(at, &st) < 0 || S_ISREG(st.st_mode)) {
			way(arg, *k.done ? k.done : "/");
			return;
		}
		if (S_ISLNK(st.st_mode)) {
			way(arg, *k.done ? k.done : "/");
			if (!take_link(&k, at))
				return;
		} else if (strlen(at) < sizeof(k.done)) {
			memcpy(k.done, at, strlen(at) + 1);
		} else {
			return;
		}
	}
}

/* ------- stamps */

uint64_t watch_stamp(const char *const *files, size_t n)
{
	struct digest *d = digest_new();
	uint64_t stamp;

	for (size_t i = 0; i < n; i++) {
		struct stat st;
		int64_t facts[8] = {0};

		if (stat(files[i], &st) < 0) {
			facts[0] = errno;
		} else {
			facts[1] = (int64_t)st.st_dev;
			facts[2] = (int64_t)st.st_ino;
			facts[3] = (int64_t)st.st_size;
			facts[4] = (int64_t)st.st_mtim.tv_sec;
			facts[5] = (int64_t)st.st_mtim.tv_nsec;
			facts[6] = (int64_t)st.st_ctim.tv_sec;
			facts[7] = (int64_t)st.st_ctim.tv_nsec;
		}
		digest_add(d,
			   (struct span){(const char *)facts, sizeof(facts)});
	}
	stamp = digest_value(d);
	digest_free(d);
	return stamp;
}

/* ------- following directories */

static void want(void *arg, const char *path)
{
	struct watch *w = arg;

	for (size_t i = 0; i < w->n; i++)
		if (strcmp(w->at[i].path, path) == 0) {
			w->at[i].wanted = true;
			return;
		}
	w->at = xrealloc(w->at, w->n + 1, sizeof(*w->at));
	w->at[w->n++] = (struct directory){
		.path = xstrdup(path),
		.wd = -1,
		.wanted = true,
	};
}

/* Adding a directory again costs little and follows one that was replaced
 * under its name. */
static void enter(struct watch *w, struct directory *d)
{
	int wd = inotify_add_watch(w->fd, d->path, EVENTS);

	if (wd < 0 && d->wd >= 0)
		log_fact(LOG_INFO, 0, "unwatched", F_STR("directory", d->path),
			 F_STR("reply", strerror(errno)));
	d->wd = wd;
}

static void leave(struct watch *w, size_t i)
{
	bool shared = false;

	for (size_t k = 0; k < w->n; k++)
		shared |= k != i && w->at[k].wd == w->at[i].wd;
	if (w->at[i].wd >= 0 && !shared)
		inotify_rm_watch(w->fd, w->at[i].wd);
	free(w->at[i].path);
	w->at[i] = w->at[--w->n];
}

static void follow_directories(struct watch *w)
{
	for (size_t i = 0; i < w->n; i++)
		w->at[i].wanted = false;
	for (size_t i = 0; i < w->nfiles; i++)
		watch_ways(w->files[i], want, w);
	for (size_t i = w->n; i-- > 0;)
		if (!w->at[i].wanted)
			leave(w, i);
	for (size_t i = 0; i < w->n; i++)
		enter(w, &w->at[i]);
}

/* ------- events */

/* False: nothing had happened. */
static bool drain(struct watch *w)
{
	char events[4096];
	bool any = false;
	ssize_t len;

	while ((len = read(w->fd, events, sizeof(events))) > 0)
		any = true;
	return any;
}

static void wait_for_quiet(struct watch *w)
{
	const struct timeval pause = {.tv_usec = QUIET_US};

	event_del(w->readable);
	evtimer_add(w->quiet, &pause);
}

static void look(struct watch *w)
{
	w->first_mono_ms = 0;
	follow_directories(w);
	event_add(w->readable, NULL);
	w->seen(w->arg);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	w->first_mono_ms = clock_mono_ms();
	drain(w);
	wait_for_quiet(w);
}

static void on_quiet(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	if (drain(w) && clock_mono_ms() - w->first_mono_ms < NEVER_QUIET_MS)
		wait_for_quiet(w);
	else
		look(w);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct watch *w = arg;

	(void)fd;
	(void)what;
	if (w->first_mono_ms == 0)
		look(w);
}

/* ------- lifetime */

enum status watch_new(struct watch **out, struct event_base *base,
		      watch_seen *seen, void *arg, struct err *e)
{
	const struct timeval every = {.tv_sec = LOOK_S};
	struct watch *w = xcalloc(1, sizeof(*w));

	w->seen = seen;
	w->arg = arg;
	w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (w->fd < 0) {
		enum status st = err_sys(e, errno, "watch files");

		free(w);
		return st;
	}
	w->readable =
		event_new(base, w->fd, EV_READ | EV_PERSIST, on_readable, w);
	w->quiet = evtimer_new(base, on_quiet, w);
	w->tick = event_new(base, -1, EV_PERSIST, on_tick, w);
	BUG_ON(!w->readable || !w->quiet || !w->tick);
	BUG_ON(event_add(w->readable, NULL) < 0 ||
	       event_add(w->tick, &every) < 0);
	*out = w;
	return ST_OK;
}

static void free_files(struct watch *w)
{
	for (size_t i = 0; i < w->nfiles; i++)
		free(w->files[i]);
	free(w->files);
	w->files = NULL;
	w->nfiles = 0;
}

void watch_follow(struct watch *w, const char *const *files, size_t n)
{
	free_files(w);
	w->files = xcalloc(n + 1, sizeof(*w->files));
	for (size_t i = 0; i < n; i++)
		w->files[w->nfiles++] = xstrdup(files[i]);
	follow_directories(w);
}

void watch_free(struct watch *w)
{
	if (!w)
		return;
	while (w->n > 0)
		leave(w, w->n - 1);
	free(w->at);
	free_files(w);
	event_free(w->readable);
	event_free(w->quiet);
	event_free(w->tick);
	close(w->fd);
	free(w);
}
