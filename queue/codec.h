/* SPDX-License-Identifier: ISC */
/*
 * codec - the byte form of what the queue keeps.
 *
 * Every row is sealed: a version byte, the fields, and four bytes of checksum
 * over both.  Decoding checks all of it, and every length, number and flag;
 * it gives false for anything that the encoder did not write, and then leaves
 * nothing to free.  docs/STORE.md lists the fields.
 *
 * Encoders append to an empty buffer; false means that a string or the whole
 * is longer than a row may be.
 *
 * Thread: none; pure.
 */
#ifndef QUEUE_CODEC_H
#define QUEUE_CODEC_H

#include "queue/store.h"

enum {
	CODEC_STRING_MAX = STORE_STRING_MAX, /* of a row */
	CODEC_ROW_MAX = 64 * 1024 * 1024,
	CODEC_EVENT_STRING_MAX = 1024, /* longer ones are cut */
};

/* A message without its recipients; its id is the key. */
MUST_USE bool message_encode(struct buf *out, const struct message *m);
MUST_USE bool message_decode(struct span row, uint64_t id,
			     struct message **out);

/* Lane and destination stand in a recipient's row as numbers. */
struct recipient_names {
	uint32_t lane, destination;
};

/* A recipient; its number is in the key, `lane` and `destination` are decoded
 * as "". */
MUST_USE bool recipient_encode(struct buf *out, const struct recipient *r,
			       const struct recipient_names *names);
MUST_USE bool recipient_decode(struct span row, uint32_t number,
			       struct recipient *out,
			       struct recipient_names *names);
/* Only what is needed to know whether and when it was settled. */
MUST_USE bool recipient_peek(struct span row, enum rcpt_state *state,
			     int64_t *since_ms);

/* A message with its recipients and their names, as it is kept for trace. */
MUST_USE bool settled_encode(struct buf *out, const struct message *m);
MUST_USE bool settled_decode(struct span row, uint64_t id,
			     struct message **out);

/* Cuts long strings. */
MUST_USE bool event_encode(struct buf *out, const struct event *ev);
MUST_USE bool event_decode(struct span row, struct event *out);

/* The name is the key. */
MUST_USE bool destination_encode(struct buf *out,
				 const struct destination_record *d);
MUST_USE bool destination_decode(struct span row, struct span name,
				 struct destination_record *out);

/* The value of a record; kind and key are its key. */
MUST_USE bool record_encode(struct buf *out, const char *value);
MUST_USE bool record_decode(struct span row, char **value); /* owned */

/* What is counted of a group. */
struct group_count {
	uint64_t messages, recipients, bytes;
};
MUST_USE bool group_count_encode(struct buf *out, const struct group_count *c);
MUST_USE bool group_count_decode(struct span row, struct group_count *out);

/* The queue's memory of itself. */
struct ledger {
	struct totals totals;
	uint64_t last_id; /* the highest ever used */
	uint32_t last_name; /* the last number given to a name */
};
MUST_USE bool ledger_encode(struct buf *out, const struct ledger *l);
MUST_USE bool ledger_decode(struct span row, struct ledger *out);

/* A text with the number of those who use it. */
MUST_USE bool name_encode(struct buf *out, struct span text, uint64_t users);
MUST_USE bool name_decode(struct span row, struct span *text, uint64_t *users);

#endif
