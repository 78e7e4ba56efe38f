/* SPDX-License-Identifier: ISC */
/*
 * disk_fault - an ill disk, to be preloaded.  While the file of this name is
 * in $DISK_FAULT,
 *
 *	sync	fdatasync() and fsync() fail;
 *	full	statvfs() says that nothing is free;
 *	room	it is: files grow by LAST_BYTES more in all;
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

enum { PAGE_BYTES = 4096, LAST_BYTES = 6000 };

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

/* How much of n bytes has room there. */
static size_t room(int fd, off_t at, size_t n)
{
	static size_t last = LAST_BYTES;
	size_t inside, growth;
	struct stat st;

	if (!has("room") || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) ||
	    at + (off_t)n <= st.st_size)
		return n;
	inside = at < st.st_size ? (size_t)(st.st_size - at) : 0;
	growth = n - inside < last ? n - inside : last;
	last -= growth;
	return inside + growth;
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
	size_t fit = room(fd, offset, n);

	if (fit == 0 && n > 0) {
		errno = ENOSPC;
		return -1;
	}
	return next(fd, at, fit, offset);
}

/* LMDB's for pages that lie side by side, after lseek(). */
ssize_t writev(int fd, const struct iovec *at, int n)
{
	ssize_t (*next)(int, const struct iovec *, int) =
		(ssize_t (*)(int, const struct iovec *, int))dlsym(RTLD_NEXT,
								   "writev");
	off_t from = lseek(fd, 0, SEEK_CUR);
	size_t all = 0, left;
	int fit = 0;

	for (int i = 0; i < n; i++)
		all += at[i].iov_len;
	left = from < 0 ? all : room(fd, from, all);
	if (left == all)
		return next(fd, at, n);
	/* Whole pieces only: that is enough to come short. */
	for (; at[fit].iov_len <= left; left -= at[fit++].iov_len)
		;
	if (fit > 0)
		return next(fd, at, fit);
	errno = ENOSPC;
	return -1;
}

int statvfs(const char *path, struct statvfs *v)
{
	int (*next)(const char *, struct statvfs *) =
		(int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT,
							       "statvfs");
	int result = next(path, v);

	if (result == 0 && (has("full") || has("room")))
		v->f_bavail = 0;
	return result;
}
