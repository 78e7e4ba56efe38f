/* SPDX-License-Identifier: ISC */
/*
 * t_data - messages on the wire and back, at every place they may be cut; and
 * what must never end one.
 */
#include <check.h>
#include <stdlib.h>

#include "smtp/data.h"

enum { ROOM = 4096 };

/* Decodes wire in pieces that end at each of `cuts`, with room for `room`
 * bytes at a time; appends to out and returns what was left behind the end. */
static size_t decode(struct data_in *d, struct span wire, const size_t cuts[2],
		     size_t room, struct buf *out)
{
	size_t ends[3] = {cuts[0], cuts[1], wire.len};
	struct span in = {wire.at, 0};
	struct buf piece;

	data_in_init(d);
	buf_init(&piece, room);
	for (size_t i = 0; i < 3; i++) {
		in.len = (size_t)(wire.at + ends[i] - in.at);
		while (in.len > 0 && !d->done) {
			data_in_feed(d, &in, &piece);
			ck_assert(buf_add(out, buf_span(&piece)));
			buf_clear(&piece);
		}
	}
	buf_release(&piece);
	return (size_t)(wire.at + wire.len - in.at);
}

static void encode(struct span message, const size_t cuts[2], size_t room,
		   struct buf *out)
{
	size_t ends[3] = {cuts[0], cuts[1], message.len};
	struct span in = {message.at, 0};
	struct data_out d;
	struct buf piece;

	data_out_init(&d);
	buf_init(&piece, room);
	for (size_t i = 0; i < 3; i++) {
		in.len = (size_t)(message.at + ends[i] - in.at);
		while (in.len > 0) {
			data_out_feed(&d, &in, &piece);
			ck_assert(buf_add(out, buf_span(&piece)));
			buf_clear(&piece);
		}
	}
	ck_assert(data_out_end(&d, out));
	buf_release(&piece);
}

static const struct {
	struct span message, wire;
} pairs[] = {
	{SPAN(""), SPAN(".\r\n")},
	{SPAN("\r\n"), SPAN("\r\n.\r\n")},
	{SPAN("a\r\n"), SPAN("a\r\n.\r\n")},
	{SPAN(".\r\n"), SPAN("..\r\n.\r\n")},
	{SPAN("..\r\n"), SPAN("...\r\n.\r\n")},
	{SPAN(".a\r\n"), SPAN("..a\r\n.\r\n")},
	{SPAN("a.\r\n.\r\n"), SPAN("a.\r\n..\r\n.\r\n")},
	{SPAN("\r\n\r\n.\r\n\r\n"), SPAN("\r\n\r\n..\r\n\r\n.\r\n")},
	{SPAN("a\r\n.b\r\n..c\r\n"), SPAN("a\r\n..b\r\n...c\r\n.\r\n")},
	{SPAN("\xff\x01\x7f\t \r\n"), SPAN("\xff\x01\x7f\t \r\n.\r\n")},
};

/* Both ways, cut at every two places, with little and much room. */
START_TEST(round_trip)
{
	static const size_t rooms[] = {1, 2, 3, 5, ROOM};
	struct span message = pairs[_i].message, wire = pairs[_i].wire;
	struct buf out;
	struct data_in d;
	size_t cuts[2];

	buf_init(&out, ROOM);
	for (size_t r = 0; r < ARRAY_LEN(rooms); r++)
		for (cuts[0] = 0; cuts[0] <= wire.len; cuts[0]++)
			for (cuts[1] = cuts[0]; cuts[1] <= wire.len;
			     cuts[1]++) {
				ck_assert_uint_eq(
					decode(&d, wire, cuts, rooms[r], &out),
					0);
				ck_assert(d.done);
				ck_assert(d.fault == DATA_FINE);
				ck_assert_uint_eq(d.bytes, message.len);
				ck_assert(span_eq(buf_span(&out), message));
				buf_clear(&out);
			}
	for (size_t r = 0; r < ARRAY_LEN(rooms); r++)
		for (cuts[0] = 0; cuts[0] <= message.len; cuts[0]++)
			for (cuts[1] = cuts[0]; cuts[1] <= message.len;
			     cuts[1]++) {
				encode(message, cuts, rooms[r], &out);
				ck_assert(span_eq(buf_span(&out), wire));
				buf_clear(&out);
			}
	buf_release(&out);
}
END_TEST

/* A dot before other bytes goes even where it was not needed. */
START_TEST(needless_stuffing)
{
	struct span wire = SPAN(".abc\r\n.\r\n");
	size_t cuts[2] = {0, 0};
	struct data_in d;
	struct buf out;

	buf_init(&out, ROOM);
	ck_assert_uint_eq(decode(&d, wire, cuts, ROOM, &out), 0);
	ck_assert(span_eq(buf_span(&out), SPAN("abc\r\n")));
	buf_release(&out);
}
END_TEST

/* What looks like an end to somebody and must not be one to us.  Each is put
 * between text and a true end, with commands behind it. */
static const struct {
	struct span text;
	enum data_fault fault;
} smuggled[] = {
	{SPAN("\n.\n"), DATA_BARE_LF},
	{SPAN("\n.\r\n"), DATA_BARE_LF},
	{SPAN("\n.\r"), DATA_BARE_LF},
	{SPAN("\r.\r"), DATA_BARE_CR},
	{SPAN("\r.\n"), DATA_BARE_CR},
	{SPAN("\r.\r\n"), DATA_BARE_CR},
	{SPAN("\r\n.\n"), DATA_BARE_LF},
	{SPAN("\r\n.\r"), DATA_BARE_CR},
	{SPAN("\r\n.\r\r\n"), DATA_BARE_CR},
	{SPAN("\r\n.\r.\r\n"), DATA_BARE_CR},
	{SPAN("\r\r\n.\r\r\n"), DATA_BARE_CR},
	{SPAN("\r\n\r.\r\n"), DATA_BARE_CR},
	{SPAN("\n\n.\r\n"), DATA_BARE_LF},
	{SPAN("\r\n\n.\r\n"), DATA_BARE_LF},
	{SPAN("\n\r.\n\r"), DATA_BARE_LF},
	{SPAN("\r\n.\0\r\n"), DATA_NUL},
	{SPAN("\r\n\0.\r\n"), DATA_NUL},
	{SPAN("\r\0\n.\r\n"), DATA_BARE_CR},
	{SPAN("\r\n.\r\0\n"), DATA_BARE_CR},
	{SPAN("\0\r\n"), DATA_NUL},
};

START_TEST(smuggling)
{
	struct span behind = SPAN("QUIT\r\n");
	struct data_in d;
	struct buf wire, out;
	size_t cuts[2];

	buf_init(&wire, ROOM);
	buf_init(&out, ROOM);
	ck_assert(buf_add(&wire, SPAN("text")));
	ck_assert(buf_add(&wire, smuggled[_i].text));
	ck_assert(buf_add(&wire, SPAN("MAIL FROM:<evil>\r\n.\r\nQUIT\r\n")));
	for (cuts[0] = 0; cuts[0] <= wire.len; cuts[0]++) {
		cuts[1] = cuts[0];
		ck_assert_uint_eq(decode(&d, buf_span(&wire), cuts, ROOM, &out),
				  behind.len);
		ck_assert(d.done);
		ck_assert_int_eq(d.fault, smuggled[_i].fault);
		buf_clear(&out);
	}
	buf_release(&wire);
	buf_release(&out);
}
END_TEST

/* Every wire of up to seven bytes over the dangerous alphabet: it ends only at
 * CRLF . CRLF (or . CRLF at its start), and is faulty iff a CR or LF is bare. */
START_TEST(exhaustive)
{
	static const char alphabet[] = {'\r', '\n', '.', 'a'};
	struct buf out;

	buf_init(&out, ROOM);
	for (unsigned n = 0; n < 4u * 4 * 4 * 4 * 4 * 4 * 4; n++) {
		char wire[9] = "\r\n";
		size_t cuts[2] = {3, 5}, end = 9;
		bool faulty = false;
		struct data_in d;
		size_t left;

		for (unsigned i = 0, rest = n; i < 7; i++, rest /= 4)
			wire[2 + i] = alphabet[rest % 4];
		for (size_t i = 0; i + 5 <= 9 && end == 9; i++)
			if (memcmp(wire + i, "\r\n.\r\n", 5) == 0)
				end = i + 5;
		for (size_t i = 0; i < end; i++) {
			if (wire[i] == '\n' && (i == 0 || wire[i - 1] != '\r'))
				faulty = true;
			if (wire[i] == '\r' && i + 1 < end &&
			    wire[i + 1] != '\n')
				faulty = true;
		}
		left = decode(&d, (struct span){wire, 9}, cuts, 2, &out);
		ck_assert_uint_eq(left, 9 - end);
		ck_assert(d.done ==
			  (end < 9 || memcmp(wire + 4, "\r\n.\r\n", 5) == 0));
		ck_assert_msg((d.fault != DATA_FINE) == faulty, "%u", n);
		buf_clear(&out);
	}
	buf_release(&out);
}
END_TEST

/* Long texts, which are looked at many bytes at once, come out as they do
 * byte by byte. */
START_TEST(whole_or_by_byte)
{
	static const char letters[] = "abcdefghijk..\r\r\r\r\n\n\n\n\0\xe4";
	uint32_t dice = 1;

	for (int round = 0; round < 300; round++) {
		char text[64];
		struct span wire = {text, sizeof(text)};
		const size_t cuts[2] = {wire.len, wire.len};
		struct buf whole, single;
		struct data_in a, b;

		for (size_t i = 0; i < wire.len; i++) {
			dice = dice * 1664525 + 1013904223;
			text[i] = dice >> 30 ? 'x'
					     : letters[(dice >> 8) %
						       (sizeof(letters) - 1)];
			if (i > 0 && text[i] == '\n' && dice & 64)
				text[i - 1] = '\r';
		}
		buf_init(&whole, SIZE_MAX - 1);
		buf_init(&single, SIZE_MAX - 1);
		ck_assert_uint_eq(decode(&a, wire, cuts, ROOM, &whole),
				  decode(&b, wire, cuts, 1, &single));
		ck_assert(span_eq(buf_span(&whole), buf_span(&single)));
		ck_assert(a.fault == b.fault && a.has_bare == b.has_bare);
		ck_assert(a.has_8bit == b.has_8bit && a.bytes == b.bytes);
		ck_assert(a.done == b.done && a.state == b.state);
		buf_clear(&whole);
		buf_clear(&single);
		encode(wire, cuts, ROOM, &whole);
		encode(wire, cuts, 1, &single);
		ck_assert(span_eq(buf_span(&whole), buf_span(&single)));
		buf_release(&whole);
		buf_release(&single);
	}
}
END_TEST

START_TEST(eight_bit)
{
	size_t cuts[2] = {0, 0};
	struct data_in d;
	struct buf out;

	buf_init(&out, ROOM);
	(void)decode(&d, SPAN("abc\r\n.\r\n"), cuts, ROOM, &out);
	ck_assert(!d.has_8bit);
	(void)decode(&d, SPAN("ab\x80\r\n.\r\n"), cuts, 1, &out);
	ck_assert(d.has_8bit);
	(void)decode(&d, SPAN(".\xff\r\n.\r\n"), cuts, 1, &out);
	ck_assert(d.has_8bit);
	buf_release(&out);
}
END_TEST

/* Sending what did not come by DATA: nothing but the end is added. */
START_TEST(odd_ends)
{
	static const struct {
		struct span message, wire;
	} odd[] = {
		{SPAN("a"), SPAN("a\r\n.\r\n")},
		{SPAN("a\n"), SPAN("a\n\r\n.\r\n")},
		{SPAN("a\r"), SPAN("a\r\r\n.\r\n")},
		{SPAN("\n"), SPAN("\n\r\n.\r\n")},
		{SPAN("."), SPAN("..\r\n.\r\n")},
		{SPAN("a\n.b\r\n"), SPAN("a\n.b\r\n.\r\n")},
	};
	struct buf out;

	buf_init(&out, ROOM);
	for (size_t i = 0; i < ARRAY_LEN(odd); i++)
		for (size_t cut = 0; cut <= odd[i].message.len; cut++) {
			size_t cuts[2] = {cut, cut};

			encode(odd[i].message, cuts, 1 + cut, &out);
			ck_assert(span_eq(buf_span(&out), odd[i].wire));
			buf_clear(&out);
		}
	buf_release(&out);
}
END_TEST

START_TEST(no_room_for_the_end)
{
	struct span in = SPAN("ab");
	struct data_out d;
	struct buf out;

	buf_init(&out, 6);
	data_out_init(&d);
	data_out_feed(&d, &in, &out);
	ck_assert(!data_out_end(&d, &out));
	ck_assert_uint_eq(out.len, 2);
	buf_release(&out);
}
END_TEST

/* Chunks: what stays a fault, and where the pieces are cut is no matter. */
static const struct {
	struct span bytes;
	enum data_fault strict, passthrough;
	bool has_bare;
} chunks[] = {
	{SPAN(""), DATA_FINE, DATA_FINE, false},
	{SPAN("a\r\n"), DATA_FINE, DATA_FINE, false},
	{SPAN(".\r\n\r\n..\r\n"), DATA_FINE, DATA_FINE, false},
	{SPAN("a"), DATA_NO_LINE_END, DATA_FINE, true},
	{SPAN("a\r"), DATA_BARE_CR, DATA_FINE, true},
	{SPAN("\n"), DATA_BARE_LF, DATA_FINE, true},
	{SPAN("a\r\n\n"), DATA_BARE_LF, DATA_FINE, true},
	{SPAN("a\r\r\n"), DATA_BARE_CR, DATA_FINE, true},
	{SPAN("a\rb\r\n"), DATA_BARE_CR, DATA_FINE, true},
	{SPAN("a\n\0\r\n"), DATA_BARE_LF, DATA_NUL, true},
	{SPAN("\0\r\n"), DATA_NUL, DATA_NUL, false},
	{SPAN("\r\0\r\n"), DATA_BARE_CR, DATA_NUL, true},
};

START_TEST(chunk_faults)
{
	struct span all = chunks[_i].bytes;

	for (size_t cut = 0; cut <= all.len; cut++) {
		for (int bare = 0; bare < 2; bare++) {
			struct span parts[] = {{all.at, cut},
					       span_skip(all, cut)};
			struct data_in d;
			struct buf out;

			buf_init(&out, 64);
			data_in_init(&d);
			d.may_be_bare = bare;
			data_in_chunk(&d, &parts[0], &out);
			data_in_chunk(&d, &parts[1], &out);
			data_in_chunks_end(&d);
			data_in_chunks_end(&d);
			ck_assert(d.done);
			ck_assert(span_eq(buf_span(&out), all));
			ck_assert_uint_eq(d.bytes, all.len);
			ck_assert_int_eq(d.fault, bare ? chunks[_i].passthrough
						       : chunks[_i].strict);
			ck_assert(d.has_bare == chunks[_i].has_bare);
			buf_release(&out);
		}
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("data");
	TCase *tc = tcase_create("data");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, round_trip, 0, ARRAY_LEN(pairs));
	tcase_add_test(tc, needless_stuffing);
	tcase_add_loop_test(tc, smuggling, 0, ARRAY_LEN(smuggled));
	tcase_add_test(tc, exhaustive);
	tcase_add_test(tc, whole_or_by_byte);
	tcase_add_test(tc, eight_bit);
	tcase_add_test(tc, odd_ends);
	tcase_add_test(tc, no_room_for_the_end);
	tcase_add_loop_test(tc, chunk_faults, 0, ARRAY_LEN(chunks));
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
