/* SPDX-License-Identifier: ISC */
/*
 * sync_fault - makes fdatasync() and fsync() of a process fail while the file
 * named by SYNC_FAULT exists; to be preloaded.
 */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static int failing(void)
{
	const char *flag = getenv("SYNC_FAULT");

	return flag && access(flag, F_OK) == 0;
}

static int sync_or_fail(int fd, const char *name)
{
	int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, name);

	if (failing()) {
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
