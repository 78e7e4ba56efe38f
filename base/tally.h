/* SPDX-License-Identifier: ISC */
/*
 * tally - counts things per key with a limit, shared by threads.
 *
 * A key that counts nothing takes no memory.
 *
 * Thread: any.
 */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include "base/bytes.h"

struct tally;

MUST_USE struct tally *tally_new(void);
void tally_free(struct tally *t);
/* Counts one more under key, unless there are `limit` already. */
MUST_USE bool tally_take(struct tally *t, struct span key, unsigned limit);
void tally_give(struct tally *t, struct span key);

#endif
