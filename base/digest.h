/* SPDX-License-Identifier: ISC */
/*
 * digest - a checksum over bytes that come in pieces (XXH3, 64 bits).
 *
 * It finds damage, not forgery: taken at the door, checked at the exit.
 *
 * Thread: none; a digest belongs to whoever holds it.
 */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include "base/bytes.h"

struct digest;

MUST_USE struct digest *digest_new(void);
void digest_free(struct digest *d);      /* NULL is fine */
/* Begins anew. */
void digest_reset(struct digest *d);
void digest_add(struct digest *d, struct span bytes);
uint64_t digest_value(const struct digest *d);
/* All at once. */
uint64_t digest_of(struct span bytes);

#endif
