/* SPDX-License-Identifier: ISC */
/*
 * units - durations (500ms 30s 5m 4h 5d), sizes (64K 150M 16G) and message
 * ids as people write them.
 *
 * Parsers return false and leave *out alone on anything else, on a missing
 * unit of a duration (but for a bare 0) and on overflow.
 */
#ifndef BASE_UNITS_H
#define BASE_UNITS_H

#include "base/base.h"

enum { UNITS_TEXT_MAX = 32, MSG_ID_LEN = 13 };

MUST_USE bool duration_parse(const char *s, int64_t *out_ms);
/* The largest unit that is exact: 90000 is "90s", 5400000 is "90m". */
void duration_text(char out[UNITS_TEXT_MAX], int64_t ms);
/* For people, two units at the most: "3d 4h", "12m", "8s". */
void duration_human(char out[UNITS_TEXT_MAX], int64_t ms);
MUST_USE bool size_parse(const char *s, uint64_t *out_bytes);
void size_human(char out[UNITS_TEXT_MAX], uint64_t bytes);       /* "4.2M" */

/* A message id is a 64-bit number written as 13 characters of Crockford
 * base32, so that text and number sort alike.  Lower case is accepted. */
void msg_id_text(char out[MSG_ID_LEN + 1], uint64_t id);
MUST_USE bool msg_id_parse(const char *s, uint64_t *out);

#endif
