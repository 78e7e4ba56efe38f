/* SPDX-License-Identifier: ISC */
/*
 * base64 - the base64 of RFC 4648 section 4, on one line.
 *
 * Thread: none; pure.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/bytes.h"

enum { BASE64_MAX_BYTES = 64 * 1024 };   /* of what is encoded or decoded */

/* Both append to out; false: nothing was added, it does not fit. */
MUST_USE bool base64_encode(struct buf *out, struct span s);
/* False also for what is no base64: padding is asked for, and nothing else may
 * stand in it, not even white space. */
MUST_USE bool base64_decode(struct buf *out, struct span s);

#endif
