/* SPDX-License-Identifier: ISC */
/*
 * counts - numbers that only grow, each under a key, shared by threads.
 *
 * Keys are never forgotten; beyond COUNTS_MAX of them, new ones count under
 * the empty key.
 *
 * Thread: any.
 */
#ifndef BASE_COUNTS_H
#define BASE_COUNTS_H

#include "base/bytes.h"

enum { COUNTS_MAX = 16384 };

struct counts;

MUST_USE struct counts *counts_new(void);
void counts_free(struct counts *c); /* NULL is fine */
void counts_add(struct counts *c, struct span key, uint64_t n);

/* Called for each key in their order as bytes; the key is borrowed until it
 * returns, and it may not call counts_add. */
typedef void counts_seen(void *arg, struct span key, uint64_t n);
void counts_each(struct counts *c, counts_seen *seen, void *arg);

#endif
