/* SPDX-License-Identifier: ISC */
/*
 * disk_fault - an ill disk, to be preloaded: fdatasync() and fsync() fail
 * while the file $DISK_FAULT/sync exists, and statvfs() says that nothing is
 * free while $DISK_FAULT/full does.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

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
