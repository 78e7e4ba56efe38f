/* SPDX-License-Identifier: ISC */
/*
 * fuzz_data - the content of DATA and of chunks, on the wire and back.
 *
 * The input: a byte that chooses how much room there is for each piece and
 * whether chunks may be bare, then the content.
 */
#include "smtp/data.h"

#include "tests/fuzz/fuzz.h"

enum { CONTENT_MAX = 1024 * 1024 };

static bool has_bare(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '\r' && (i + 1 == s.len || s.at[i + 1] != '\n'))
			return true;
		if (s.at[i] == '\n' && (i == 0 || s.at[i - 1] != '\r'))
			return true;
	}
	return false;
}

static bool ends_in_crlf(struct span s)
{
	return s.len == 0 || span_ends_nocase(s, SPAN("\r\n"));
}

/* ------- DATA */

static void receive(struct data_in *d, struct span *in, enum fuzz_pace pace,
		    size_t room, struct buf *message)
{
	uint32_t state = (uint32_t)in->len;
	struct buf out;

	data_in_init(d);
	buf_init(&out, room);
	while (in->len > 0 && !d->done) {
		struct span piece = {in->at,
				     fuzz_piece(pace, &state, in->len)};
		size_t before = piece.len;

		data_in_feed(d, &piece, &out);
		HOLDS(out.len <= room);
		HOLDS(piece.len == 0 || d->done || out.len == room);
		*in = span_skip(*in, before - piece.len);
		fuzz_add(message, buf_span(&out));
		buf_clear(&out);
	}
	buf_release(&out);
}

static void check_faults(const struct data_in *d, struct span wire,
			 struct span message)
{
	/* Of the wire, for a dot may be taken from between a CR and what is
	 * behind it; it is never taken from before a LF. */
	bool bare = has_bare(wire), nul = memchr(wire.at, '\0', wire.len);

	HOLDS(d->has_bare == bare);
	HOLDS((d->fault != DATA_FINE) == (bare || nul));
	HOLDS(d->has_8bit == !fuzz_ascii(message));
	HOLDS(d->bytes == message.len);
	if (d->fault == DATA_FINE)
		HOLDS(ends_in_crlf(message) && !has_bare(message));
}

static void check_received(struct span in, size_t room)
{
	struct buf wanted, got;
	size_t len;

	buf_init(&wanted, CONTENT_MAX);
	buf_init(&got, CONTENT_MAX);
	len = fuzz_undot(in, &wanted);
	for (int i = 0; i < FUZZ_PACES; i++) {
		struct span rest = in;
		struct data_in d;

		buf_clear(&got);
		receive(&d, &rest, (enum fuzz_pace)i, room, &got);
		HOLDS(d.done == (len > 0));
		if (!d.done)
			continue;
		HOLDS(rest.len == in.len - len);
		HOLDS(span_eq(buf_span(&got), buf_span(&wanted)));
		check_faults(&d, (struct span){in.at, len}, buf_span(&got));
	}
	buf_release(&wanted);
	buf_release(&got);
}

/* ------- the way back */

static void send(struct span in, enum fuzz_pace pace, size_t room,
		 struct buf *wire)
{
	uint32_t state = (uint32_t)in.len;
	struct data_out d;
	struct buf out, end;

	data_out_init(&d);
	buf_init(&out, room);
	buf_init(&end, 8);
	while (in.len > 0) {
		struct span piece = {in.at, fuzz_piece(pace, &state, in.len)};
		size_t before = piece.len;

		data_out_feed(&d, &piece, &out);
		HOLDS(piece.len == 0 || out.len == room);
		in = span_skip(in, before - piece.len);
		fuzz_add(wire, buf_span(&out));
		buf_clear(&out);
	}
	HOLDS(data_out_end(&d, &end));
	fuzz_add(wire, buf_span(&end));
	buf_release(&end);
	buf_release(&out);
}

/* What was sent is received as it was, and its end is where it ends, whatever
 * is in it. */
static void check_sent(struct span in, size_t room)
{
	struct buf wire[FUZZ_PACES], got;
	struct span s;

	buf_init(&got, CONTENT_MAX);
	for (int i = 0; i < FUZZ_PACES; i++) {
		buf_init(&wire[i], 2 * CONTENT_MAX);
		send(in, (enum fuzz_pace)i, room, &wire[i]);
		HOLDS(span_eq(buf_span(&wire[0]), buf_span(&wire[i])));
	}
	s = buf_span(&wire[0]);
	HOLDS(fuzz_undot(s, &got) == s.len);
	if (!ends_in_crlf(in)) {
		HOLDS(got.len == in.len + 2);
		got.len -= 2;
	}
	HOLDS(span_eq(buf_span(&got), in));
	for (int i = 0; i < FUZZ_PACES; i++)
		buf_release(&wire[i]);
	buf_release(&got);
}

/* ------- chunks */

static void check_chunks(struct span in, size_t room, bool may_be_bare)
{
	bool bare = has_bare(in) || !ends_in_crlf(in);
	bool nul = in.len > 0 && memchr(in.at, '\0', in.len) != NULL;

	for (int i = 0; i < FUZZ_PACES; i++) {
		uint32_t state = (uint32_t)in.len;
		struct span rest = in;
		struct buf out, got;
		struct data_in d;

		data_in_init(&d);
		d.may_be_bare = may_be_bare;
		buf_init(&out, room);
		buf_init(&got, CONTENT_MAX);
		while (rest.len > 0) {
			struct span piece = {
				rest.at, fuzz_piece((enum fuzz_pace)i, &state,
						    rest.len)};
			size_t before = piece.len;

			data_in_chunk(&d, &piece, &out);
			rest = span_skip(rest, before - piece.len);
			fuzz_add(&got, buf_span(&out));
			buf_clear(&out);
		}
		data_in_chunks_end(&d);
		HOLDS(d.done && span_eq(buf_span(&got), in));
		HOLDS(d.has_bare == bare && d.bytes == in.len);
		HOLDS(d.has_8bit == !fuzz_ascii(in));
		HOLDS((d.fault != DATA_FINE) == (nul || (bare && !may_be_bare)));
		buf_release(&out);
		buf_release(&got);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	unsigned choice = fuzz_byte(&in);
	size_t room = 1 + choice % 128;

	check_received(in, room);
	check_sent(in, room);
	check_chunks(in, room, choice >= 128);
	return 0;
}
