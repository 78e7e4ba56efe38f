/* SPDX-License-Identifier: ISC */
/*
 * lmdb_key.c - how each key is put together.
 */
#include "queue/lmdb_key.h"

enum { LANE = 4, BYTE = 1, CAUSE = 2, NAME = 4, TIME = 8, ID = 8, NUMBER = 4 };

struct key key_id(uint64_t id)
{
	struct key k = {.len = 0};

	key_add(&k, id, ID);
	return k;
}

struct key key_id_number(uint64_t id, uint32_t number)
{
	struct key k = key_id(id);

	key_add(&k, number, NUMBER);
	return k;
}

struct key key_body(uint64_t id, uint64_t at)
{
	struct key k = key_id(id);

	key_add(&k, at, 8);
	return k;
}

struct key key_lane(uint32_t lane, enum rcpt_wait wait)
{
	struct key k = {.len = 0};

	key_add(&k, lane, LANE);
	key_add(&k, wait, BYTE);
	return k;
}

struct key key_due(const struct place *p, uint64_t id, uint32_t number)
{
	struct key k = key_lane(p->lane, p->wait);

	key_add(&k, key_of_time(p->due_ms), TIME);
	key_add(&k, id, ID);
	key_add(&k, number, NUMBER);
	return k;
}

struct key key_count(const struct place *p)
{
	struct key k = {.len = 0};

	key_add(&k, p->state, BYTE);
	key_add(&k, p->cause, CAUSE);
	key_add(&k, p->destination, NAME);
	return k;
}

struct key key_group(const struct place *p, uint64_t id, uint32_t number)
{
	struct key k = key_count(p);

	key_add(&k, id, ID);
	key_add(&k, number, NUMBER);
	return k;
}

struct key key_keep(unsigned class, int64_t settled_ms, uint64_t id)
{
	struct key k = {.len = 0};

	key_add(&k, class, BYTE);
	key_add(&k, key_of_time(settled_ms), TIME);
	key_add(&k, id, ID);
	return k;
}

struct key key_message_id(uint64_t hash, uint64_t id)
{
	struct key k = {.len = 0};

	key_add(&k, hash, 8);
	key_add(&k, id, ID);
	return k;
}

struct key key_name_number(uint32_t number)
{
	struct key k = {.len = 0};

	key_add(&k, 'n', BYTE);
	key_add(&k, number, NAME);
	return k;
}

static struct span key_text(char out[NAME_BYTES_MAX + 1], char first,
			    struct span text)
{
	BUG_ON(text.len > NAME_BYTES_MAX);
	out[0] = first;
	memcpy(out + 1, text.at, text.len);
	return (struct span){out, text.len + 1};
}

struct span key_name_text(char out[NAME_BYTES_MAX + 1], struct span text)
{
	return key_text(out, 't', text);
}

struct span key_record(char out[NAME_BYTES_MAX + 1], enum record_kind kind,
		       struct span key)
{
	return key_text(out, (char)kind, key);
}
