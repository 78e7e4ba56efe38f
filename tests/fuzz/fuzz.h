/* SPDX-License-Identifier: ISC */
/*
 * fuzz - what the fuzz targets share.
 *
 * A target is a file fuzz_NAME.c with one LLVMFuzzerTestOneInput().  libFuzzer
 * calls it (make fuzz), and so does replay.c with the inputs in corpus/NAME
 * (make check).  It aborts when a property does not hold, not only when
 * something crashes; and it is a function of its input alone, so that what
 * was found is found again.
 *
 * An input is often a few bytes that choose, strings that end with NUL, and
 * then the bytes to be read; the head of each target says which.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/bytes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A property of the code under test. */
#define HOLDS(cond) BUG_ON(!(cond))

static inline struct span fuzz_input(const uint8_t *data, size_t size)
{
	return (struct span){(const char *)data, size};
}

/* Each takes from the front of *in; where it is empty they give 0, "", or
 * what is left. */
unsigned fuzz_byte(struct span *in);
uint64_t fuzz_number(struct span *in);   /* of eight bytes */
struct span fuzz_take(struct span *in, size_t n);
/* What stands before the next NUL; the NUL goes, too. */
MUST_USE char *fuzz_string(struct span *in);

/* In what pieces the bytes of a peer arrive. */
enum fuzz_pace { FUZZ_WHOLE, FUZZ_BYTEWISE, FUZZ_UNEVEN, FUZZ_PACES };
/* The size of the next piece, of `left` bytes at the most; at least one. */
size_t fuzz_piece(enum fuzz_pace pace, uint32_t *state, size_t left);

/* A stretch of lines that each end in CRLF, without bare CR, bare LF or NUL;
 * no line has over max bytes with its end. */
void fuzz_lines(struct span s, size_t max);
/* Takes a line with its CRLF; it is known to be there. */
struct span fuzz_line(struct span *s);
/* What a server says: whole replies of RFC 5321 4.2.1, each line of one with
 * the same code, and RFC 2034 3: an enhanced code has the class of its reply. */
void fuzz_replies(struct span s);
void fuzz_printable(const char *s);      /* ASCII, and UTF-8; no controls */
bool fuzz_ascii(struct span s);
void fuzz_add(struct buf *b, struct span s);

/*
 * RFC 5321 4.5.2 read in the simplest way there is, for a comparison: the
 * message in s, a stretch behind DATA.  Returns how many bytes of s it takes
 * with its end, 0: the end is not there.
 */
size_t fuzz_undot(struct span s, struct buf *out);

#endif
