/* SPDX-License-Identifier: ISC */
/*
 * fuzz_codec - rows of the queue, damaged in every way a checksum forgives.
 *
 * The input: a byte for the kind of row, then the row.  The checksum that it
 * should have is put behind it, for no fuzzer would guess it.  The decoders
 * promise to refuse whatever the encoder did not write; so what they take is
 * encoded to the same bytes.
 */
#include "queue/codec.h"

#include <stdlib.h>

#include "base/digest.h"
#include "tests/fuzz/fuzz.h"

enum { ID = 4711, NUMBER = 3, CHECKSUM_BYTES = 4 };

/* How far a decoder and its encoder agree on row; out has what was encoded.
 * False: it was refused. */
typedef bool recode(struct span row, struct buf *out);

static bool recode_message(struct span row, struct buf *out)
{
	struct message *m;

	if (!message_decode(row, ID, &m))
		return false;
	HOLDS(m->id == ID && m->nrecipients == 0);
	HOLDS(message_encode(out, m));
	message_free(m);
	return true;
}

static bool recode_recipient(struct span row, struct buf *out)
{
	struct recipient_names names;
	enum rcpt_state state;
	struct recipient r;
	int64_t since_ms;
	bool peeked = recipient_peek(row, &state, &since_ms);

	if (!recipient_decode(row, NUMBER, &r, &names))
		return false;
	HOLDS(peeked && state == r.state && since_ms == r.since_ms);
	HOLDS(r.number == NUMBER && r.state < RCPT_STATES);
	HOLDS(r.lane[0] == '\0' && r.destination[0] == '\0');
	HOLDS(recipient_encode(out, &r, &names));
	recipient_release(&r);
	return true;
}

static bool recode_settled(struct span row, struct buf *out)
{
	struct message *m, *copy;

	if (!settled_decode(row, ID, &m))
		return false;
	copy = message_copy(m);
	HOLDS(settled_encode(out, copy));
	message_free(copy);
	message_free(m);
	return true;
}

/* Nothing of an event gets lost when an older row is written anew. */
static bool same_event(const struct event *a, const struct event *b)
{
	return a->kind == b->kind && a->time_ms == b->time_ms &&
	       a->number == b->number && a->cause == b->cause &&
	       a->attempted == b->attempted && a->uncertain == b->uncertain &&
	       a->duration_ms == b->duration_ms && a->bytes == b->bytes &&
	       strcmp(a->destination, b->destination) == 0 &&
	       strcmp(a->reply, b->reply) == 0 &&
	       strcmp(a->actor, b->actor) == 0;
}

/* A row of the first version, which had no bytes, becomes one of today's. */
static bool recode_event(struct span row, struct buf *out)
{
	struct event ev, copy, again;
	bool old = row.len > 0 && row.at[0] == 1;

	if (!event_decode(row, &ev))
		return false;
	event_copy(&copy, &ev);
	HOLDS(event_encode(out, &copy));
	if (old) {
		HOLDS(event_decode(buf_span(out), &again));
		HOLDS(again.bytes == 0 && same_event(&again, &ev));
		event_release(&again);
	}
	event_release(&copy);
	event_release(&ev);
	return !old;
}

static bool recode_destination(struct span row, struct buf *out)
{
	struct destination_record d;

	if (!destination_decode(row, SPAN("out/mx.example:25"), &d))
		return false;
	HOLDS(strcmp(d.name, "out/mx.example:25") == 0);
	HOLDS(destination_encode(out, &d));
	destination_record_release(&d);
	return true;
}

static bool recode_group(struct span row, struct buf *out)
{
	struct group_count c;

	if (!group_count_decode(row, &c))
		return false;
	HOLDS(group_count_encode(out, &c));
	return true;
}

/* One that was written when there were fewer states grows with those that have
 * come since, and keeps its meaning. */
static bool recode_ledger(struct span row, struct buf *out)
{
	struct ledger l, again;

	if (!ledger_decode(row, &l))
		return false;
	HOLDS(ledger_encode(out, &l));
	if (out->len <= row.len)
		return true;
	HOLDS(ledger_decode(buf_span(out), &again));
	HOLDS(again.last_id == l.last_id && again.last_name == l.last_name);
	HOLDS(memcmp(&again.totals, &l.totals, sizeof(l.totals)) == 0);
	return false;
}

static bool recode_name(struct span row, struct buf *out)
{
	struct span text;
	uint64_t users;

	if (!name_decode(row, &text, &users))
		return false;
	HOLDS(text.len <= CODEC_STRING_MAX);
	HOLDS(name_encode(out, text, users));
	return true;
}

static bool recode_record(struct span row, struct buf *out)
{
	char *value;

	if (!record_decode(row, &value))
		return false;
	HOLDS(record_encode(out, value));
	free(value);
	return true;
}

static recode *const kinds[] = {
	recode_message, recode_recipient, recode_settled, recode_event,
	recode_destination, recode_group, recode_ledger, recode_name,
	recode_record,
};

static void seal(struct buf *row, struct span fields)
{
	uint32_t digest;

	fuzz_add(row, fields);
	digest = (uint32_t)digest_of(buf_span(row));
	for (int i = CHECKSUM_BYTES - 1; i >= 0; i--)
		fuzz_add(row, (struct span){
				      (char[]){(char)(digest >> (8 * i))}, 1});
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	recode *kind = kinds[fuzz_byte(&in) % ARRAY_LEN(kinds)];
	struct buf row, out;
	struct span s;

	buf_init(&row, CODEC_ROW_MAX);
	buf_init(&out, CODEC_ROW_MAX);
	/* As it is: the right checksum would be a miracle. */
	if (kind(in, &out))
		HOLDS(span_eq(in, buf_span(&out)));
	buf_clear(&out);
	seal(&row, in);
	s = buf_span(&row);
	if (kind(s, &out)) {
		HOLDS(span_eq(s, buf_span(&out)));
		/* Each byte counts. */
		buf_clear(&out);
		HOLDS(!kind((struct span){s.at, s.len - 1}, &out));
	}
	buf_release(&row);
	buf_release(&out);
	return 0;
}
