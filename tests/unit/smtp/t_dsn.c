/* SPDX-License-Identifier: ISC */
/*
 * t_dsn - the words of NOTIFY, and xtext in both directions.
 */
#include <check.h>

#include "smtp/dsn.h"

enum { TEXT_MAX = 1024 };

static const struct {
	const char *text;
	bool good;
	uint32_t notify;
	const char *back;
} lists[] = {
	{"NEVER", true, DSN_NEVER, "NEVER"},
	{"never", true, DSN_NEVER, "NEVER"},
	{"SUCCESS", true, DSN_SUCCESS, "SUCCESS"},
	{"DELAY,FAILURE,SUCCESS", true, DSN_SUCCESS | DSN_FAILURE | DSN_DELAY,
	 "SUCCESS,FAILURE,DELAY"},
	{"FAILURE,FAILURE", true, DSN_FAILURE, "FAILURE"},
	{"", false, 0, ""},
	{",", false, 0, ""},
	{"SUCCESS,", false, 0, ""},
	{",SUCCESS", false, 0, ""},
	{"NEVER,DELAY", false, 0, ""},
	{"SUCCES", false, 0, ""},
	{"SUCCESSS", false, 0, ""},
	{"SUCCESS DELAY", false, 0, ""},
};

START_TEST(notify)
{
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		uint32_t got = 4711;
		bool good = dsn_notify_parse(span_of(lists[i].text), &got);
		char back[32];

		ck_assert_msg(good == lists[i].good, "%s", lists[i].text);
		ck_assert_uint_eq(got, good ? lists[i].notify : 4711);
		if (!good)
			continue;
		dsn_notify_text(back, got);
		ck_assert_str_eq(back, lists[i].back);
	}
}
END_TEST

/* Every set of bits has its text within the 32 bytes. */
START_TEST(notify_texts)
{
	char text[32];
	uint32_t back;

	for (uint32_t set = 1; set < 16; set++) {
		dsn_notify_text(text, set);
		ck_assert_uint_lt(strlen(text), sizeof(text));
		if ((set & DSN_NEVER) && set != DSN_NEVER)
			continue;
		ck_assert(dsn_notify_parse(span_of(text), &back));
		ck_assert_uint_eq(back, set);
	}
	dsn_notify_text(text, 0);
	ck_assert_str_eq(text, "");
}
END_TEST

static const struct {
	struct span text;
	bool good;
	struct span decoded;
} xtexts[] = {
	{SPAN(""), true, SPAN("")},
	{SPAN("abc"), true, SPAN("abc")},
	{SPAN("a+2Bb+3D"), true, SPAN("a+b=")},
	{SPAN("+00+FF"), true, SPAN("\0\xff")},
	{SPAN("!~"), true, SPAN("!~")},
	{SPAN("a b"), false, SPAN("")},
	{SPAN("a="), false, SPAN("")},
	{SPAN("+"), false, SPAN("")},
	{SPAN("+2"), false, SPAN("")},
	{SPAN("+2b"), false, SPAN("")},
	{SPAN("+G0"), false, SPAN("")},
	{SPAN("+-1"), false, SPAN("")},
	{SPAN("\x7f"), false, SPAN("")},
	{SPAN("\xc3\xa4"), false, SPAN("")},
	{SPAN("a\0b"), false, SPAN("")},
	{SPAN("a\r\n"), false, SPAN("")},
};

START_TEST(xtext)
{
	for (size_t i = 0; i < ARRAY_LEN(xtexts); i++) {
		struct buf out;
		bool good;

		buf_init(&out, TEXT_MAX);
		good = xtext_decode(xtexts[i].text, &out);
		ck_assert_msg(good == xtexts[i].good, "%zu", i);
		ck_assert(good == xtext_valid(xtexts[i].text, TEXT_MAX));
		if (good)
			ck_assert(span_eq(buf_span(&out), xtexts[i].decoded));
		buf_release(&out);
	}
}
END_TEST

START_TEST(xtext_bounds)
{
	struct buf out;

	ck_assert(xtext_valid(SPAN("abc"), 3));
	ck_assert(!xtext_valid(SPAN("abcd"), 3));
	buf_init(&out, 2);
	ck_assert(!xtext_decode(SPAN("abc"), &out));
	buf_clear(&out);
	ck_assert(xtext_decode(SPAN("+2B+2B"), &out));
	buf_clear(&out);
	ck_assert(!xtext_encode(SPAN("="), &out));
	buf_release(&out);
}
END_TEST

/* All bytes there are, there and back. */
START_TEST(xtext_round)
{
	char bytes[256];
	struct buf text, back;

	for (int i = 0; i < 256; i++)
		bytes[i] = (char)i;
	buf_init(&text, TEXT_MAX);
	buf_init(&back, TEXT_MAX);
	ck_assert(xtext_encode((struct span){bytes, sizeof(bytes)}, &text));
	ck_assert(xtext_valid(buf_span(&text), TEXT_MAX));
	ck_assert(xtext_decode(buf_span(&text), &back));
	ck_assert(span_eq(buf_span(&back), (struct span){bytes, 256}));
	buf_release(&text);
	buf_release(&back);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dsn");
	TCase *tc = tcase_create("dsn");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, notify);
	tcase_add_test(tc, notify_texts);
	tcase_add_test(tc, xtext);
	tcase_add_test(tc, xtext_bounds);
	tcase_add_test(tc, xtext_round);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
