/* SPDX-License-Identifier: ISC */
/*
 * record - to be preloaded into relayd: writes down, in $POWER_RECORD, what
 * happens to queue.mdb and what is promised meanwhile, in the order in which it
 * happens.  The records are those of tests/power/tape.h.
 *
 * A write is noted before it is done, a sync when it is over: what is in the
 * record between them may have reached the disk or not.
 */
#include "tests/power/tape.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int out = -1;

/* Before relayd gives up root. */
__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("POWER_RECORD");

	if (path != NULL)
		out = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
			   0600);
}

static void note(enum tape_kind kind, uint64_t at, const struct iovec *v,
		 int n)
{
	struct tape head = {.kind = kind, .at = at};
	struct iovec all[64] = {{&head, sizeof(head)}};

	if (out < 0)
		return;
	for (int i = 0; i < n; i++) {
		head.len += (uint32_t)v[i].iov_len;
		if (i + 1 < (int)(sizeof(all) / sizeof(*all)))
			all[i + 1] = v[i];
	}
	pthread_mutex_lock(&lock);
	if (n >= (int)(sizeof(all) / sizeof(*all)) ||
	    NEXT(writev)(out, all, n + 1) !=
		    (ssize_t)(sizeof(head) + head.len))
		abort(); /* half a record proves nothing */
	pthread_mutex_unlock(&lock);
}

static void note_bytes(enum tape_kind kind, uint64_t at, const void *bytes,
		       size_t len)
{
	union {
		const void *ours;
		void *theirs;
	} u = {.ours = bytes};

	note(kind, at, &(struct iovec){u.theirs, len}, 1);
}

static int is_queue(int fd)
{
	static const char name[] = "/queue.mdb";
	char link[64], path[4096];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path));
	return len >= (ssize_t)sizeof(name) - 1 &&
	       memcmp(path + len - (sizeof(name) - 1), name,
		      sizeof(name) - 1) == 0;
}

static int is_synced(int fd)
{
	return (fcntl(fd, F_GETFL) & O_DSYNC) != 0;
}

/* ------- the file */

ssize_t pwrite(int fd, const void *at, size_t n, off_t offset)
{
	ssize_t done;
	int ours = is_queue(fd), synced = ours && is_synced(fd);

	if (ours)
		note_bytes(synced ? TAPE_SYNCED_WRITE : TAPE_WRITE,
			   (uint64_t)offset, at, n);
	done = NEXT(pwrite)(fd, at, n, offset);
	if (synced)
		note(TAPE_WRITE_SYNCED, 0, NULL, 0);
	return done;
}

ssize_t pwrite64(int fd, const void *at, size_t n, off_t offset)
{
	return pwrite(fd, at, n, offset);
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
	if (is_queue(fd))
		note(TAPE_WRITE, (uint64_t)lseek(fd, 0, SEEK_CUR), v, n);
	return NEXT(writev)(fd, v, n);
}

ssize_t pwritev(int fd, const struct iovec *v, int n, off_t offset)
{
	if (is_queue(fd))
		note(TAPE_WRITE, (uint64_t)offset, v, n);
	return NEXT(pwritev)(fd, v, n, offset);
}

int ftruncate(int fd, off_t len)
{
	if (is_queue(fd))
		note(TAPE_TRUNCATE, (uint64_t)len, NULL, 0);
	return NEXT(ftruncate)(fd, len);
}

/* A sync that failed has synced nothing. */
static int synced(int fd, int result)
{
	if (result == 0 && is_queue(fd))
		note(TAPE_SYNC, 0, NULL, 0);
	return result;
}

int fdatasync(int fd)
{
	return synced(fd, NEXT(fdatasync)(fd));
}

int fsync(int fd)
{
	return synced(fd, NEXT(fsync)(fd));
}

/* ------- the promises */

/* Notes the rest of the line behind each word. */
static void look_for(const char *word, enum tape_kind kind, const void *at,
		     size_t len)
{
	const char *p = at, *end = p + len;

	while ((p = memmem(p, (size_t)(end - p), word, strlen(word))) != NULL) {
		const char *eol;

		p += strlen(word);
		eol = memchr(p, '\r', (size_t)(end - p));
		if (eol == NULL)
			return;
		note_bytes(kind, 0, p, (size_t)(eol - p));
	}
}

ssize_t send(int fd, const void *at, size_t n, int flags)
{
	look_for(" Queued as ", TAPE_ACCEPTED, at, n);
	return NEXT(send)(fd, at, n, flags);
}

ssize_t recv(int fd, void *at, size_t n, int flags)
{
	ssize_t got = NEXT(recv)(fd, at, n, flags);

	if (got > 0 && (flags & MSG_PEEK) == 0)
		look_for(" Taken ", TAPE_TAKEN, at, (size_t)got);
	return got;
}
