/* SPDX-License-Identifier: ISC */
/*
 * banned - functions that no file may call; the Makefile includes this first.
 *
 * They overflow, truncate silently, share a static buffer between threads, or
 * take the stack for a size that someone else chooses.  Instead: snprintf,
 * struct buf, xstrdup, gmtime_r, clock_rfc3339, strchr, mkdtemp.
 */
#ifndef BASE_BANNED_H
#define BASE_BANNED_H

/* Declared before they are poisoned: the declarations use the names. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#undef alloca
#undef strdupa
#undef strndupa

#pragma GCC poison strcpy strcat strncpy strncat stpcpy stpncpy strtok
#pragma GCC poison sprintf vsprintf gets tmpnam tempnam mktemp
#pragma GCC poison localtime gmtime ctime ctime_r asctime asctime_r
#pragma GCC poison alloca strdupa strndupa

#endif
