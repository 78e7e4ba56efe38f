/* SPDX-License-Identifier: ISC */
/*
 * incoming - takes a message off the wire, piece by piece.
 *
 * A spoilt message is read to its end, for what follows are commands again;
 * memory and results are the same however the bytes arrive.
 */
#include "smtp/incoming.h"

static void begin(struct incoming *m)
{
	data_in_init(&m->data);
	header_scan_init(&m->scan);
	m->scan.own_name = m->own_name;
	m->piece_given = false;
	m->too_large = false;
	m->spoilt = false;
}

void incoming_init(struct incoming *m, uint64_t max_bytes)
{
	m->max_bytes = max_bytes;
	buf_init(&m->piece, INCOMING_PIECE_BYTES);
	begin(m);
}

void incoming_release(struct incoming *m)
{
	header_scan_release(&m->scan);
	buf_release(&m->piece);
	begin(m);
}

static bool is_spoilt(const struct incoming *m)
{
	return m->data.fault != DATA_FINE || m->too_large ||
	       (m->max_bytes != 0 && m->data.bytes > m->max_bytes);
}

/* What was given, or does not matter any more, makes room. */
static void make_room(struct incoming *m)
{
	if (m->piece_given || m->spoilt)
		buf_clear(&m->piece);
	m->piece_given = false;
}

/* What is there to tell of all that was heard? */
static enum incoming_result judge(struct incoming *m)
{
	if (is_spoilt(m) && !m->spoilt) {
		m->spoilt = true;
		return INCOMING_SPOILT;
	}
	if (m->spoilt)
		return m->data.done ? INCOMING_SPOILT_END : INCOMING_MORE;
	if (m->piece.len == m->piece.max ||
	    (m->data.done && m->piece.len > 0)) {
		header_scan_feed(&m->scan, buf_span(&m->piece));
		m->piece_given = true;
		return INCOMING_PIECE;
	}
	if (!m->data.done)
		return INCOMING_MORE;
	header_scan_end(&m->scan);
	return INCOMING_WHOLE;
}

enum incoming_result incoming_feed(struct incoming *m, struct span *in)
{
	do {
		make_room(m);
		data_in_feed(&m->data, in, &m->piece);
	} while (m->spoilt && in->len > 0 && !m->data.done);
	return judge(m);
}

void incoming_chunks(struct incoming *m, bool may_be_bare)
{
	m->data.may_be_bare = may_be_bare;
}

/* The sum is never built: a chunk can be as large as a number. */
void incoming_announce(struct incoming *m, uint64_t bytes)
{
	if (m->max_bytes != 0 && (m->data.bytes > m->max_bytes ||
				  bytes > m->max_bytes - m->data.bytes))
		m->too_large = true;
}

enum incoming_result incoming_chunk(struct incoming *m, struct span *part)
{
	do {
		make_room(m);
		data_in_chunk(&m->data, part, &m->piece);
	} while (m->spoilt && part->len > 0);
	return judge(m);
}

enum incoming_result incoming_chunks_end(struct incoming *m)
{
	make_room(m);
	data_in_chunks_end(&m->data);
	return judge(m);
}

struct span incoming_piece(const struct incoming *m)
{
	return buf_span(&m->piece);
}

/* Which fault is named does not depend on which was seen first: that would
 * depend on the packets. */
const char *incoming_refusal(const struct incoming *m)
{
	switch (m->data.fault) {
	case DATA_BARE_CR:
	case DATA_BARE_LF:
		return "554 5.6.11 Bare CR or LF in the message";
	case DATA_NUL:
		return "554 5.6.11 NUL in the message";
	case DATA_NO_LINE_END:
		return "554 5.6.11 The message does not end with CRLF";
	case DATA_FINE:
		break;
	}
	return "552 5.3.4 Message size exceeds fixed limit";
}
