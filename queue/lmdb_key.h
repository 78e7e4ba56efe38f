/* SPDX-License-Identifier: ISC */
/*
 * lmdb_key - keys of the LMDB tables: numbers of fixed width, the most
 * significant byte first, so that bytes and numbers sort alike.
 *
 * docs/STORE.md lists the keys of every table.
 */
#ifndef QUEUE_LMDB_KEY_H
#define QUEUE_LMDB_KEY_H

#include "queue/store.h"

enum { KEY_BYTES_MAX = 32, NAME_BYTES_MAX = STORE_NAME_MAX };

struct key {
	unsigned char bytes[KEY_BYTES_MAX];
	size_t len;
};

static inline struct span key_span(const struct key *k)
{
	return (struct span){(const char *)k->bytes, k->len};
}

static inline void key_add(struct key *k, uint64_t number, unsigned bytes)
{
	BUG_ON(k->len + bytes > KEY_BYTES_MAX);
	while (bytes-- > 0)
		k->bytes[k->len++] = (unsigned char)(number >> (8 * bytes));
}

/* The number of `bytes` bytes at `at`; 0 beyond the key's end. */
static inline uint64_t key_read(struct span key, size_t at, unsigned bytes)
{
	uint64_t number = 0;

	if (at + bytes > key.len)
		return 0;
	while (bytes-- > 0)
		number = number << 8 | (unsigned char)key.at[at++];
	return number;
}

/* Signed times sort as unsigned ones when their sign is turned. */
static inline uint64_t key_of_time(int64_t ms)
{
	return (uint64_t)ms ^ (UINT64_C(1) << 63);
}

static inline int64_t key_to_time(uint64_t number)
{
	return (int64_t)(number ^ (UINT64_C(1) << 63));
}

/* Where a recipient stands in the indexes. */
struct place {
	enum rcpt_state state;
	enum cause cause;
	enum rcpt_wait wait;
	int64_t due_ms;
	uint32_t lane, destination; /* numbers of names */
};

static inline bool place_is_scheduled(const struct place *p)
{
	return p->state == RCPT_QUEUED || p->state == RCPT_DEFERRED;
}

/* message, partial, settled; the prefix of recipient, body and event */
struct key key_id(uint64_t id);
/* recipient, event: number or sequence; body: offset */
struct key key_id_number(uint64_t id, uint32_t number);
struct key key_body(uint64_t id, uint64_t at);

enum { DUE_AT_LANE = 0, DUE_AT_TIME = 5, DUE_AT_ID = 13, DUE_AT_NUMBER = 21 };
struct key key_lane(uint32_t lane, enum rcpt_wait wait); /* due's prefix */
struct key key_due(const struct place *p, uint64_t id, uint32_t number);

enum { GROUP_AT_DESTINATION = 3, GROUP_AT_ID = 7, GROUP_AT_NUMBER = 15 };
struct key key_count(const struct place *p); /* count; group's prefix */
struct key key_group(const struct place *p, uint64_t id, uint32_t number);

enum { KEEP_AT_TIME = 1, KEEP_AT_ID = 9 };
struct key key_keep(unsigned class, int64_t settled_ms, uint64_t id);

enum { MESSAGE_ID_AT_ID = 8 };
struct key key_message_id(uint64_t hash, uint64_t id);

struct key key_name_number(uint32_t number);
/* Into a buffer of the caller, as texts are longer than a struct key. */
struct span key_name_text(char out[NAME_BYTES_MAX + 1], struct span text);
struct span key_record(char out[NAME_BYTES_MAX + 1], enum record_kind kind,
		       struct span key);

#endif
