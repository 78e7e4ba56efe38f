/* SPDX-License-Identifier: ISC */
/*
 * base - allocation that cannot fail, and the report of a bug.
 */
#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

/* Without the heap and without stdio's locks: both may be what broke. */
_Noreturn static void die(const char *report, int len)
{
	ssize_t ignored;

	if (len > 0)
		ignored = write(STDERR_FILENO, report, (size_t)len);
	(void)ignored;
	log_dump(STDERR_FILENO);
	abort();
}

void bug_found(const char *cond, const char *file, int line, const char *func)
{
	char report[512];
	int len;

	len = snprintf(report, sizeof(report),
		       "relayd: bug: %s at %s:%d in %s(), process %ld, "
		       "thread %ld; the last log lines:\n",
		       cond, file, line, func, (long)getpid(),
		       (long)syscall(SYS_gettid));
	if (len >= (int)sizeof(report))
		len = (int)sizeof(report) - 1;
	die(report, len);
}

_Noreturn static void no_memory(size_t size)
{
	char report[128];
	int len;

	len = snprintf(report, sizeof(report),
		       "relayd: out of memory: %zu bytes refused; "
		       "the last log lines:\n",
		       size);
	die(report, len);
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);

	if (!p)
		no_memory(size);
	return p;
}

void *xcalloc(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size ? size : 1);

	if (!p)
		no_memory(size);
	return p;
}

void *xrealloc(void *p, size_t n, size_t size)
{
	size_t total;

	BUG_ON(__builtin_mul_overflow(n, size, &total));
	p = realloc(p, total ? total : 1);
	if (!p)
		no_memory(total);
	return p;
}

char *xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

char *xstrndup(const char *at, size_t len)
{
	char *s = xmalloc(len + 1);

	if (len > 0)
		memcpy(s, at, len);
	s[len] = '\0';
	return s;
}

char *xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *s;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&s, fmt, ap);
	va_end(ap);
	if (len < 0)
		no_memory(0);
	return s;
}

uint32_t random32(void)
{
	uint32_t bits = 0;

	/* Four bytes never come short, and never block after boot. */
	(void)!getrandom(&bits, sizeof(bits), 0);
	return bits;
}
