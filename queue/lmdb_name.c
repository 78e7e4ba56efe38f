/* SPDX-License-Identifier: ISC */
/*
 * lmdb_name.c - lanes and destinations as numbers, so that keys are short.
 *
 * A name lives as long as rows of recipients use it; then both its rows go,
 * or else a relay to a million domains would remember them all.  Numbers are
 * given in turn and start over after 2^32, passing those in use.
 *
 * When the disk has damaged the row of a number, "#NUMBER" stands for its
 * text, in both directions, so that the mail behind it can still be found.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "queue/store_lmdb.h"

bool name_find(struct tx *tx, const char *text, uint32_t *out)
{
	char mem[NAME_BYTES_MAX + 1];
	struct span name = span_of(text), value;
	unsigned long number;
	char *end;

	*out = NAME_NONE;
	if (name.len == 0)
		return true;
	if (name.len > NAME_BYTES_MAX)
		return false;
	if (tx_get(tx, TABLE_NAME, key_name_text(mem, name), &value)) {
		*out = (uint32_t)key_read(value, 0, 4);
		return true;
	}
	if (text[0] != '#')
		return false;
	number = strtoul(text + 1, &end, 10);
	*out = (uint32_t)number;
	return *end == '\0' && number > 0 && number <= UINT32_MAX;
}

char *name_text(struct tx *tx, uint32_t number)
{
	struct key k = key_name_number(number);
	struct span row, text;
	uint64_t users;

	if (number == NAME_NONE)
		return xstrdup("");
	if (tx_get(tx, TABLE_NAME, key_span(&k), &row) &&
	    name_decode(row, &text, &users))
		return span_dup(text);
	return xasprintf("#%" PRIu32, number);
}

static uint32_t new_number(struct work *w)
{
	struct key k;

	do {
		w->ledger.last_name++;
		k = key_name_number(w->ledger.last_name);
	} while (w->ledger.last_name == NAME_NONE ||
		 tx_has(&w->tx, TABLE_NAME, key_span(&k)));
	return w->ledger.last_name;
}

static void put_users(struct work *w, uint32_t number, struct span text,
		      uint64_t users)
{
	struct key k = key_name_number(number);

	/* text may point into the row that is replaced: encode first. */
	work_put(w, TABLE_NAME, key_span(&k),
		 name_encode(work_row(w), text, users));
}

uint32_t name_use(struct work *w, const char *text)
{
	char mem[NAME_BYTES_MAX + 1];
	struct span name = span_of(text), row, kept;
	uint64_t users = 0;
	uint32_t number;
	struct key k;

	if (name.len == 0)
		return NAME_NONE;
	BUG_ON(name.len > NAME_BYTES_MAX);
	if (!name_find(&w->tx, text, &number)) {
		struct key value = {.len = 0};

		number = new_number(w);
		key_add(&value, number, 4);
		tx_put(&w->tx, TABLE_NAME, key_name_text(mem, name),
		       key_span(&value));
	}
	k = key_name_number(number);
	if (!tx_get(&w->tx, TABLE_NAME, key_span(&k), &row) ||
	    !name_decode(row, &kept, &users))
		users = 0;
	put_users(w, number, name, users + 1);
	return number;
}

void name_drop(struct work *w, uint32_t number)
{
	char mem[NAME_BYTES_MAX + 1];
	struct key k = key_name_number(number);
	struct span row, text, text_key;
	uint64_t users;

	if (number == NAME_NONE ||
	    !tx_get(&w->tx, TABLE_NAME, key_span(&k), &row) ||
	    !name_decode(row, &text, &users) || text.len > NAME_BYTES_MAX)
		return;
	if (users > 1) {
		put_users(w, number, text, users - 1);
		return;
	}
	text_key = key_name_text(mem, text);
	tx_del(&w->tx, TABLE_NAME, key_span(&k));
	tx_del(&w->tx, TABLE_NAME, text_key);
}
