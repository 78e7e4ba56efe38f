/* SPDX-License-Identifier: ISC */
/*
 * lmdb_body.c - bodies, in pieces that suit LMDB's pages.
 *
 * A value of more than about half a page gets pages of its own; 16 bytes of
 * the first are LMDB's.  So a piece is cut to fill whole pages exactly, and
 * the rest goes into a piece which is small enough to share a page, unless it
 * would not be: then the last page stays partly empty.  A body of 4,096 bytes
 * takes one page and some 60 bytes instead of two pages.
 *
 * Every piece begins with eight bytes: the checksum of its bytes, mixed with
 * its id and offset so that a piece in the wrong place is noticed as well.
 */
#include "base/digest.h"
#include "queue/store_lmdb.h"

enum {
	PAGE = 4096,
	PAGE_HEAD = 16, /* LMDB's, once per value */
	CHECKSUM = 8,
	SHARES_PAGE_MAX = 2000, /* bytes of a value inside a page */
	PIECE_PAGES_MAX = 16, /* runs of free pages are rare */
	PIECE_MAX = PIECE_PAGES_MAX * PAGE - PAGE_HEAD - CHECKSUM,
};

/* How much of `left` bytes the next piece takes. */
static size_t cut(size_t left)
{
	size_t full, rest;

	if (left + CHECKSUM <= SHARES_PAGE_MAX)
		return left;
	if (left >= PIECE_MAX)
		return PIECE_MAX;
	/* The bytes that fill all pages but the last one. */
	rest = (left + PAGE_HEAD + CHECKSUM) % PAGE;
	full = left - rest;
	if (rest == 0 || rest + CHECKSUM > SHARES_PAGE_MAX || rest >= left)
		return left;
	return full;
}

static uint64_t checksum(uint64_t id, uint64_t at, struct span bytes)
{
	return digest_of(bytes) ^ id ^ (at << 1);
}

uint64_t body_end(struct tx *tx, uint64_t id)
{
	struct key prefix = key_id(id);
	uint64_t end = 0;
	struct walk w;

	walk_begin(&w, tx, TABLE_BODY);
	if (walk_last(&w, key_span(&prefix)) && w.value.len > CHECKSUM)
		end = key_read(w.key, 8, 8) + w.value.len - CHECKSUM;
	walk_end(&w);
	return end;
}

static void put_piece(struct work *w, uint64_t id, uint64_t at,
		      struct span bytes)
{
	struct key k = key_body(id, at), sum = {.len = 0};
	char *mem = tx_reserve(&w->tx, TABLE_BODY, key_span(&k),
			       bytes.len + CHECKSUM);

	if (mem == NULL)
		return;
	key_add(&sum, checksum(id, at, bytes), CHECKSUM);
	memcpy(mem, sum.bytes, CHECKSUM);
	memcpy(mem + CHECKSUM, bytes.at, bytes.len);
}

void body_append(struct work *w, uint64_t id, uint64_t at, struct span bytes)
{
	while (bytes.len > 0 && tx_ok(&w->tx)) {
		size_t n = cut(bytes.len);

		put_piece(w, id, at, (struct span){bytes.at, n});
		bytes = span_skip(bytes, n);
		at += n;
	}
}

void body_delete(struct work *w, uint64_t id)
{
	struct key prefix = key_id(id);
	struct walk walk;

	walk_begin(&walk, &w->tx, TABLE_BODY);
	for (bool on = walk_first(&walk, key_span(&prefix)); on;
	     on = walk_next_in(&walk, key_span(&prefix)))
		walk_del(&walk);
	walk_end(&walk);
}

bool body_piece_is_sound(struct span key, struct span value)
{
	uint64_t id = key_read(key, 0, 8), at = key_read(key, 8, 8);
	uint64_t sum = key_read(value, 0, CHECKSUM);

	return value.len > CHECKSUM &&
	       sum == checksum(id, at, span_skip(value, CHECKSUM));
}

enum status body_read(struct tx *tx, uint64_t id, uint64_t at, struct buf *out,
		      struct err *e)
{
	struct key prefix = key_id(id), k = key_body(id, at);
	enum status st = ST_OK;
	struct walk w;
	bool on;

	walk_begin(&w, tx, TABLE_BODY);
	on = walk_before(&w, key_span(&k)) && key_read(w.key, 0, 8) == id;
	while (on && out->len < out->max && st == ST_OK) {
		uint64_t start = key_read(w.key, 8, 8);
		uint64_t skip = at - start;
		struct span bytes = span_skip(w.value, CHECKSUM);

		if (start > at || skip >= bytes.len)
			break;
		if (!body_piece_is_sound(w.key, w.value))
			st = damaged_message(e, id);
		bytes = span_skip(bytes, (size_t)skip);
		if (bytes.len > out->max - out->len)
			bytes.len = out->max - out->len;
		if (st == ST_OK && buf_add(out, bytes))
			at += bytes.len;
		on = walk_next_in(&w, key_span(&prefix));
	}
	walk_end(&w);
	return st;
}
