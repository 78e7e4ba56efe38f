/* SPDX-License-Identifier: ISC */
/*
 * t_bytes - spans and bounded buffers.
 */

#include "base/bytes.h"

#include <check.h>
#include <signal.h>
#include <stdlib.h>

static void ck_span(struct span s, const char *text)
{
	ck_assert_uint_eq(s.len, strlen(text));
	ck_assert(s.len == 0 || memcmp(s.at, text, s.len) == 0);
}

START_TEST(spans_compare)
{
	ck_assert(span_eq(SPAN("abc"), span_of("abc")));
	ck_assert(!span_eq(SPAN("abc"), SPAN("abd")));
	ck_assert(!span_eq(SPAN("abc"), SPAN("ab")));
	ck_assert(span_eq(span_of(NULL), SPAN("")));
	ck_assert(span_eq_nocase(SPAN("MAIL"), SPAN("mAiL")));
	ck_assert(!span_eq_nocase(SPAN("@"), SPAN("`")));
	ck_assert(!span_eq_nocase(SPAN("["), SPAN("{")));
	ck_assert(span_starts_nocase(SPAN("EHLO x"), SPAN("ehlo")));
	ck_assert(!span_starts_nocase(SPAN("EH"), SPAN("ehlo")));
	ck_assert(span_ends_nocase(SPAN("a.EXAMPLE"), SPAN(".example")));
	ck_assert(!span_ends_nocase(SPAN("ample"), SPAN("example")));
	ck_assert(span_ends_nocase(SPAN("x"), SPAN("")));
}
END_TEST

START_TEST(spans_are_cut)
{
	char *s;

	ck_span(span_skip(SPAN("abc"), 1), "bc");
	ck_span(span_skip(SPAN("abc"), 9), "");
	ck_span(span_skip(span_of(NULL), 1), "");
	ck_span(span_trim(SPAN(" \t a b\t ")), "a b");
	ck_span(span_trim(SPAN(" \t ")), "");
	ck_span(span_trim(SPAN("\ra\n")), "\ra\n");
	s = span_dup((struct span){"abcdef", 3});
	ck_assert_str_eq(s, "abc");
	free(s);
}
END_TEST

START_TEST(utf8_is_recognized)
{
	static const struct {
		const char *s;
		size_t len;
	} rows[] = {
		{"", 0},
		{"a", 1},
		{"\xc3\xa9x", 2},
		{"\xe2\x82\xac", 3},
		{"\xf0\x9f\x98\x80", 4},
		{"\xc3", 0},
		{"\xc3(", 0},
		{"\x80", 0},
		{"\xc0\xaf", 0},
		{"\xe0\x80\xaf", 0},
		{"\xed\xa0\x80", 0},
		{"\xed\x9f\xbf", 3},
		{"\xf0\x8f\xbf\xbf", 0},
		{"\xf4\x8f\xbf\xbf", 4},
		{"\xf4\x90\x80\x80", 0},
		{"\xf5\x80\x80\x80", 0},
		{"\xe2\x82", 0},
		{"\xe2\x82\x28", 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(span_utf8(span_of(rows[i].s)) == rows[i].len,
			      "row %zu", i);
}
END_TEST

START_TEST(buffer_is_a_queue)
{
	struct buf b;

	buf_init(&b, 1000);
	ck_span(buf_span(&b), "");
	ck_assert(buf_add(&b, SPAN("hello ")));
	ck_assert(buf_printf(&b, "%s %d", "world", 7));
	ck_span(buf_span(&b), "hello world 7");
	buf_take(&b, 6);
	ck_span(buf_span(&b), "world 7");
	ck_assert(buf_add(&b, SPAN("!")));
	ck_span(buf_span(&b), "world 7!");
	buf_take(&b, 8);
	ck_assert_uint_eq(b.len, 0);
	buf_clear(&b);
	ck_assert(buf_add(&b, SPAN("again")));
	ck_span(buf_span(&b), "again");
	buf_release(&b);
}
END_TEST

START_TEST(buffer_keeps_its_maximum)
{
	struct buf b;

	for (size_t max = 0; max < 200; max++) {
		buf_init(&b, max);
		for (size_t i = 0; i < max; i++)
			ck_assert(buf_add(&b, SPAN("x")));
		ck_assert(!buf_add(&b, SPAN("y")));
		ck_assert(!buf_printf(&b, "y"));
		ck_assert(buf_add(&b, SPAN("")));
		ck_assert(!buf_room(&b, 1));
		ck_assert_uint_eq(buf_span(&b).len, max);
		buf_release(&b);
	}
	buf_init(&b, 4);
	ck_assert(buf_add(&b, SPAN("abc")));
	ck_assert(!buf_add(&b, SPAN("de")));
	ck_span(buf_span(&b), "abc");
	buf_take(&b, 2);
	ck_assert(buf_printf(&b, "%s", "def"));
	ck_span(buf_span(&b), "cdef");
	buf_release(&b);
}
END_TEST

START_TEST(buffer_gives_room)
{
	struct buf b;
	char *room;

	buf_init(&b, 10);
	room = buf_room(&b, 10);
	ck_assert_ptr_nonnull(room);
	memcpy(room, "abc", 3);
	buf_grew(&b, 3);
	ck_span(buf_span(&b), "abc");
	ck_assert_ptr_null(buf_room(&b, 8));
	ck_assert_ptr_nonnull(buf_room(&b, 7));
	buf_release(&b);
}
END_TEST

START_TEST(long_use_takes_no_more_memory)
{
	struct buf b;

	buf_init(&b, 100);
	for (int i = 0; i < 10000; i++) {
		ck_assert(buf_add(&b, SPAN("0123456789")));
		ck_assert(buf_add(&b, SPAN("abc")));
		ck_assert(memcmp(buf_span(&b).at, "0123456789abc", 13) == 0);
		buf_take(&b, 7);
		buf_take(&b, 6);
	}
	ck_assert_uint_le(b.cap, 100);
	buf_release(&b);
}
END_TEST

START_TEST(buffer_becomes_string)
{
	struct buf b;
	char *s;

	buf_init(&b, 6);
	s = buf_string(&b);
	ck_assert_str_eq(s, "");
	free(s);
	ck_assert(buf_add(&b, SPAN("abcdef")));
	buf_take(&b, 2);
	s = buf_string(&b);
	ck_assert_str_eq(s, "cdef");
	free(s);
	ck_assert_ptr_null(b.mem);
}
END_TEST

START_TEST(escapes)
{
	static const struct {
		struct span in;
		const char *out;
	} rows[] = {
		{{"plain 250 \"ok\"", 14}, "plain 250 \"ok\""},
		{{"a\r\n\tb", 5}, "a\\r\\n\\tb"},
		{{"\0\x1b[m\x7f", 5}, "\\x00\\x1b[m\\x7f"},
		{{"c:\\d", 4}, "c:\\x5cd"},
		{{"\xc3\xa9\xe2\x82\xac", 5}, "\xc3\xa9\xe2\x82\xac"},
		{{"\xe9t\xc3", 3}, "\\xe9t\\xc3"},
		{{"\xc2\x9b\xc2\xa0", 4}, "\\xc2\\x9b\xc2\xa0"},
	};
	struct buf b;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_init(&b, 100);
		ck_assert(buf_add_escaped(&b, rows[i].in));
		ck_span(buf_span(&b), rows[i].out);
		buf_release(&b);
	}
	buf_init(&b, 5);
	ck_assert(buf_add(&b, SPAN("ab")));
	ck_assert(!buf_add_escaped(&b, SPAN("c\x01")));
	ck_span(buf_span(&b), "ab");
	ck_assert(buf_add_escaped(&b, SPAN("c\n")));
	ck_span(buf_span(&b), "abc\\n");
	buf_release(&b);
}
END_TEST

START_TEST(taking_too_much_is_a_bug)
{
	struct buf b;

	buf_init(&b, 5);
	buf_take(&b, 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bytes");
	TCase *tc = tcase_create("bytes");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, spans_compare);
	tcase_add_test(tc, spans_are_cut);
	tcase_add_test(tc, utf8_is_recognized);
	tcase_add_test(tc, buffer_is_a_queue);
	tcase_add_test(tc, buffer_keeps_its_maximum);
	tcase_add_test(tc, buffer_gives_room);
	tcase_add_test(tc, long_use_takes_no_more_memory);
	tcase_add_test(tc, buffer_becomes_string);
	tcase_add_test(tc, escapes);
	tcase_add_test_raise_signal(tc, taking_too_much_is_a_bug, SIGABRT);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
