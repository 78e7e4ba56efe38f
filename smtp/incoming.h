/* SPDX-License-Identifier: ISC */
/*
 * incoming - the content of a message on its way in: decoded, watched, and
 * given in pieces of a bounded size.
 *
 *	incoming_init(m, max_bytes);
 *	while ((r = incoming_feed(m, &in)) != INCOMING_WHOLE) ...
 *
 * or, for a message in chunks, incoming_chunks() first, then for each chunk
 * incoming_announce() and incoming_chunk(), and incoming_chunks_end() until it
 * is whole.
 *
 * RFC 5321 4.5.2, 4.5.3.1.9; RFC 1870 6.3; RFC 3030 2.
 *
 * Thread: none; belongs to its server.
 * Owns:   its memory, up to one piece; incoming_piece() is valid until the
 *	   next call.
 */
#ifndef SMTP_INCOMING_H
#define SMTP_INCOMING_H

#include "base/bytes.h"
#include "smtp/data.h"
#include "smtp/headers.h"

enum { INCOMING_PIECE_BYTES = 32 * 1024 };

struct incoming {
	uint64_t max_bytes;              /* 0: no limit */
	const char *own_name;            /* for header_scan, borrowed or NULL;
					    the owner's before init */
	struct data_in data;
	struct header_scan scan;
	struct buf piece;
	bool piece_given;                /* and to be forgotten */
	bool too_large;                  /* or will be, with its chunk */
	bool spoilt;                     /* INCOMING_SPOILT was said */
};

enum incoming_result {
	INCOMING_MORE,                   /* *in is empty */
	INCOMING_PIECE,                  /* incoming_piece() has the next one */
	INCOMING_WHOLE,                  /* all pieces were given */
	INCOMING_SPOILT,                 /* it can't be taken; said once, then */
	INCOMING_SPOILT_END,             /* its end was seen */
};

void incoming_init(struct incoming *m, uint64_t max_bytes);
/* Forgets the message and its memory; also makes ready for the next. */
void incoming_release(struct incoming *m);
/* Stops at the end of the message: bytes behind it stay in *in. */
enum incoming_result incoming_feed(struct incoming *m, struct span *in);
/* The message will come in chunks; may_be_bare: bare CR and LF are taken. */
void incoming_chunks(struct incoming *m, bool may_be_bare);
/* A chunk of so many bytes follows. */
void incoming_announce(struct incoming *m, uint64_t bytes);
/* *part: of the chunk; what is not eaten (a piece is full) is given again.
 * Never says INCOMING_WHOLE. */
enum incoming_result incoming_chunk(struct incoming *m, struct span *part);
enum incoming_result incoming_chunks_end(struct incoming *m);
struct span incoming_piece(const struct incoming *m);
/* The reply to a spoilt message, at its end. */
const char *incoming_refusal(const struct incoming *m);

#endif
