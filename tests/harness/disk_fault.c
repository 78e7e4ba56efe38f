/* SPDX-License-Identifier: ISC */
/*
 * disk_fault - an ill disk, to be preloaded.  While the file of this name is
 * in $DISK_FAULT,
 *
 *	sync	fdatasync() and fsync() fail;
 *	full	statvfs() says that nothing is free;
 *	room	writes beyond the end of a file find no room: what statvfs()
 *		says is another matter;
 *	root	pwrite() of less than a page fails: that is how LMDB writes the
 *		page that makes a commit the truth.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

static int has(const char *fault)
{
	const char *directory = getenv("DISK_FAULT");
	char path[4096];

	if (!directory)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", directory, fault);
	return access(path, F_OK) == 0;
}

static int sync_or_fail(int fd, const char *name)
{
	int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

	if (has("sync")) {
		errno = EIO;
		return -1;
	}
	return next(fd);
}

int fdatasync(int fd)
{
	return sync_or_fail(fd, "fdatasync");
}

int fsync(int fd)
{
	return sync_or_fail(fd, "fsync");
}

/* Logs and pipes have no end to be beyond: they are written elsewhere. */
static int no_room(int fd, off_t end)
{
	struct stat st;

	return has("room") && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       end > st.st_size;
}

ssize_t pwrite(int fd, const void *at, size_t n, off_t offset)
{
	ssize_t (*next)(int, const void *, size_t, off_t) =
		(ssize_t (*)(int, const void *, size_t, off_t))dlsym(RTLD_NEXT,
								     "pwrite");

	if (n < PAGE_BYTES && has("root")) {
		errno = EIO;
		return -1;
	}
	if (no_room(fd, offset + (off_t)n)) {
		errno = ENOSPC;
		return -1;
	}
	return next(fd, at, n, offset);
}

/* LMDB's for pages that lie side by side, after lseek(). */
ssize_t writev(int fd, const struct iovec *at, int n)
{
	ssize_t (*next)(int, const struct iovec *, int) =
		(ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT,
								   "writev");
	off_t end = lseek(fd, 0, SEEK_CUR);

	for (int i = 0; end >= 0 && i < n; i++)
		end += (off_t)at[i].iov_len;
	if (end >= 0 && no_room(fd, end)) {
		errno = ENOSPC;
		return -1;
	}
	return next(fd, at, n);
}

int statvfs(const char *path, struct statvfs *v)
{
	int (*next)(const char *, struct statvfs *) =
		(int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT,
							       "statvfs");
	int result = next(path, v);

	if (result == 0 && has("full"))
		v->f_bavail = 0;
	return result;
}
