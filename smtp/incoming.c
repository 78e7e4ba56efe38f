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
	m->piece_given = false;
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
	return m->data.fault != DATA_FINE ||
	       (m->max_bytes != 0 && m->data.bytes > m->max_bytes);
}

enum incoming_result incoming_feed(struct incoming *m, struct span *in)
{
	do {
		if (m->piece_given || m->spoilt)
			buf_clear(&m->piece);
		m->piece_given = false;
		data_in_feed(&m->data, in, &m->piece);
	} while (m->spoilt && in->len > 0 && !m->data.done);

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
	case DATA_FINE:
		break;
	}
	return "552 5.3.4 Message size exceeds fixed limit";
}
