/* SPDX-License-Identifier: ISC */
/*
 * lmdb_record.c - what is kept besides mail: text under a kind and a key.
 */
#include <stdlib.h>

#include "base/units.h"
#include "queue/store_lmdb.h"

void apply_record(struct work *w, const struct store_op *op)
{
	const struct store_record *r = op->record;
	char text[NAME_BYTES_MAX + 1];
	struct span key = key_record(text, r->kind, span_of(r->key));

	if (r->value != NULL)
		work_put(w, TABLE_RECORD, key,
			 record_encode(work_row(w), r->value));
	else
		tx_del(&w->tx, TABLE_RECORD, key);
}

void transcripts_delete(struct work *w, uint64_t id)
{
	char prefix[MSG_ID_LEN + 2], text[NAME_BYTES_MAX + 1];
	struct walk walk;
	struct span key;

	msg_id_text(prefix, id);
	prefix[MSG_ID_LEN] = '/';
	key = key_record(text, RECORD_TRANSCRIPT,
			 (struct span){prefix, MSG_ID_LEN + 1});
	walk_begin(&walk, &w->tx, TABLE_RECORD);
	for (bool on = walk_first(&walk, key); on;
	     on = walk_next_in(&walk, key))
		walk_del(&walk);
	walk_end(&walk);
}

static bool start(struct walk *w, struct span kind, enum record_order order,
		  struct span after)
{
	bool rising = order == RECORDS_RISING;

	if (after.len == kind.len)
		return rising ? walk_first(w, kind) : walk_last(w, kind);
	if (!(rising ? walk_seek(w, after) : walk_before(w, after)))
		return false;
	if (!span_eq(w->key, after))
		return walk_in(w, kind);
	return rising ? walk_next_in(w, kind) : walk_back_in(w, kind);
}

enum status lmdb_records(struct store *s, enum record_kind kind,
			 enum record_order order, const char *after, size_t max,
			 struct store_record **out, size_t *n, struct err *e)
{
	char text[NAME_BYTES_MAX + 1];
	struct span from = key_record(
		text, kind, after != NULL ? span_of(after) : SPAN(""));
	struct span prefix = {text, 1};
	struct store_record *list = NULL;
	size_t found = 0;
	struct walk w;
	struct tx tx;
	enum status st = tx_begin(&tx, store_lmdb_of(s)->lmdb, TX_READ, e);

	if (st != ST_OK)
		return st;
	walk_begin(&w, &tx, TABLE_RECORD);
	for (bool on = start(&w, prefix, order, from); on && found < max;
	     on = order == RECORDS_RISING ? walk_next_in(&w, prefix)
					  : walk_back_in(&w, prefix)) {
		list = xrealloc(list, found + 1, sizeof(*list));
		list[found].kind = kind;
		if (record_decode(w.value, &list[found].value))
			list[found++].key = span_dup(span_skip(w.key, 1));
	}
	walk_end(&w);
	st = tx_end(&tx, e);
	if (st == ST_OK) {
		*out = list;
		*n = found;
		return ST_OK;
	}
	while (found > 0)
		store_record_release(&list[--found]);
	free(list);
	return st;
}
