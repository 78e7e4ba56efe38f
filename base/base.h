/* SPDX-License-Identifier: ISC */
/*
 * base - the few macros and checks that every file uses.
 *
 * BUG_ON() is for what cannot happen: it is always compiled in, prints the
 * condition and the last log lines, and aborts.  The store is crash-only, so
 * an abort loses nothing.  Never use it on what a peer, a disk or an
 * administrator can cause.
 *
 * xmalloc() and its kin never return NULL; they are for sizes we choose.
 * Sizes that a peer chooses go into a struct buf with a maximum.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, field)                                         \
	((type *)(void *)((char *)(ptr) - offsetof(type, field)))

#define BUG_ON(cond)                                                           \
	((cond) ? bug_found(#cond, __FILE__, __LINE__, __func__) : (void)0)

/* Prints a report to standard error and aborts. */
_Noreturn void bug_found(const char *cond, const char *file, int line,
			 const char *func);

MUST_USE void *xmalloc(size_t size);
MUST_USE void *xcalloc(size_t n, size_t size);
/* NULL p is fine; n * size may not overflow. */
MUST_USE void *xrealloc(void *p, size_t n, size_t size);
MUST_USE char *xstrdup(const char *s);
/* A string of len bytes from at; NULs inside end it early for readers. */
MUST_USE char *xstrndup(const char *at, size_t len);
MUST_USE char *xasprintf(const char *fmt, ...) PRINTF(1, 2);

/* Any 32 bits, for jitter; not for secrets. */
uint32_t random32(void);

#endif
