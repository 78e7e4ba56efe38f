/* SPDX-License-Identifier: ISC */
/*
 * clock_fault - clocks that are ahead or behind, to be preloaded: the
 * monotonic one by as many seconds as the file $CLOCK_FAULT says, the wall
 * clock by those of $CLOCK_FAULT.wall.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* By bare system calls: a sanitizer would take the descriptor, which comes and
 * goes in every thread, for one that relayd's threads share. */
static long ahead_s(const char *which)
{
	const char *base = getenv("CLOCK_FAULT");
	char path[4096], text[32] = "";
	long fd, n;

	snprintf(path, sizeof(path), "%s%s", base ? base : "", which);
	fd = base ? syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC)
		  : -1;
	if (fd < 0)
		return 0;
	n = syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	text[n > 0 ? n : 0] = '\0';
	return atol(text);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	int (*next)(clockid_t, struct timespec *) =
		(int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT,
							     "clock_gettime");
	int result = next(id, t);

	if (result == 0 &&
	    (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE))
		t->tv_sec += ahead_s("");
	if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE))
		t->tv_sec += ahead_s(".wall");
	return result;
}
