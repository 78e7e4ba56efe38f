/* SPDX-License-Identifier: ISC */
/*
 * store_mem - the contract of a store, kept in memory: lists, linear searches,
 * everything counted anew when it is asked for.  The fake for tests, and the
 * model that the real back ends are compared with.
 *
 * Thread: as the contract says; the knobs any.
 */
#ifndef TESTS_SUPPORT_STORE_MEM_H
#define TESTS_SUPPORT_STORE_MEM_H

#include "queue/store.h"

struct store *store_mem_open(void);

/* The next n batches fail as if their commit had: ST_TEMP 4.3.0. */
void store_mem_fail_commits(struct store *s, unsigned n);
/* New mail is refused: 452 4.3.1. */
void store_mem_set_full(struct store *s, bool full);
/* Reading this message's body says that it is damaged. */
void store_mem_damage_body(struct store *s, uint64_t id);

#endif
