/* SPDX-License-Identifier: ISC */
/*
 * bytes - spans (borrowed bytes) and buffers (owned bytes with a maximum).
 *
 * A struct span is passed by value and owns nothing.  A struct buf is a queue
 * of bytes: add at the end, take from the front.  It cannot be made without
 * its maximum; an addition that would exceed it adds nothing and returns
 * false, so a peer can never make us grow.
 *
 * Thread: none; a buffer belongs to whoever holds it.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <string.h>

#include "base/base.h"

struct span {
	const char *at;         /* borrowed; may be NULL when len is 0 */
	size_t      len;
};

#define SPAN(literal) ((struct span){ (literal), sizeof(literal) - 1 })

struct span span_of(const char *s);              /* NULL gives an empty span */
bool span_eq(struct span a, struct span b);
bool span_eq_nocase(struct span a, struct span b);             /* ASCII only */
bool span_starts_nocase(struct span s, struct span prefix);
bool span_ends_nocase(struct span s, struct span suffix);
struct span span_skip(struct span s, size_t n);            /* all of it: empty */
struct span span_trim(struct span s);                /* SP and HTAB, both ends */
MUST_USE char *span_dup(struct span s);
/* Bytes of the valid UTF-8 character (RFC 3629) that s begins with; 0: it
 * begins with none. */
size_t span_utf8(struct span s);

struct buf {
	char  *mem;             /* owned */
	size_t head;            /* bytes taken from the front of mem */
	size_t len;             /* bytes held, from mem + head */
	size_t cap;
	size_t max;             /* len never exceeds it */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_release(struct buf *b);
/* Empties the buffer and keeps its memory. */
void buf_clear(struct buf *b);
struct span buf_span(const struct buf *b);       /* until the next call on b */
MUST_USE bool buf_add(struct buf *b, struct span s);
MUST_USE bool buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
/* Room for n more bytes at the returned place, or NULL when that would
 * exceed the maximum; buf_grew() then says how many were written. */
MUST_USE char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);
void buf_take(struct buf *b, size_t n);
/* The content as an owned string; the buffer is released. */
MUST_USE char *buf_string(struct buf *b);

/* Appends s so that it can stand in one line of a log or on a terminal:
 * printable ASCII as it is, backslash and the rest as \xNN, \r, \n, \t.
 * Valid UTF-8 above U+009F stays.  False, and nothing added, when it did not
 * fit. */
MUST_USE bool buf_add_escaped(struct buf *b, struct span s);

#endif
