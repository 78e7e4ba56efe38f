/* SPDX-License-Identifier: ISC */
/*
 * rate - counts events per key and minute with a limit, shared by threads.
 *
 * A key's minute begins with its first event; what comes within it is counted,
 * and what was refused is not.  Memory is bounded: a key that counts nothing
 * takes none, and when `keys_max` of them are in their minute, the one whose
 * minute began first is forgotten, and may begin anew.
 *
 * Thread: any.
 * Units:  now_mono_ms as clock_mono_ms(); it does not go back.
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include "base/bytes.h"

struct rate;

MUST_USE struct rate *rate_new(size_t keys_max);
void rate_free(struct rate *r);          /* NULL is fine */
/* Counts one more event under key, unless its minute has `limit` already.  A
 * limit of 0 is none: then nothing is counted. */
MUST_USE bool rate_take(struct rate *r, struct span key, unsigned limit,
			int64_t now_mono_ms);
/* Keys that are kept. */
size_t rate_keys(struct rate *r);

#endif
