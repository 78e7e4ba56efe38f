/* SPDX-License-Identifier: ISC */
/*
 * t_base64 - the examples of RFC 4648, what is refused, and bounds.
 */
#include <check.h>

#include "base/base64.h"

static const struct {
	struct span bytes, text;
} pairs[] = {
	{SPAN(""), SPAN("")},
	{SPAN("f"), SPAN("Zg==")},
	{SPAN("fo"), SPAN("Zm8=")},
	{SPAN("foo"), SPAN("Zm9v")},
	{SPAN("foob"), SPAN("Zm9vYg==")},
	{SPAN("\0a\0b"), SPAN("AGEAYg==")},
	{SPAN("\xfb\xff\xbf"), SPAN("+/+/")},
};

START_TEST(both_ways)
{
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		struct buf out;

		buf_init(&out, 64);
		ck_assert(base64_encode(&out, pairs[i].bytes));
		ck_assert(span_eq(buf_span(&out), pairs[i].text));
		buf_clear(&out);
		ck_assert(base64_decode(&out, pairs[i].text));
		ck_assert(span_eq(buf_span(&out), pairs[i].bytes));
		buf_release(&out);
	}
}
END_TEST

static const struct span bad[] = {
	SPAN("Z"),	  SPAN("Zg"),	    SPAN("Zg="),  SPAN("Zg==="),
	SPAN("Zh=="),	  SPAN("Zg==Zg=="), SPAN("Z g="), SPAN("Zm9v\n\n\n\n"),
	SPAN("Zm\0v"),	  SPAN("Zm9-"),	    SPAN("===="), SPAN("\xc3\xa4zz"),
	SPAN("    Zg=="), SPAN("Zg=\v"),
};

START_TEST(refused)
{
	struct buf out;

	buf_init(&out, 64);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		ck_assert_msg(!base64_decode(&out, bad[i]), "%zu", i);
		ck_assert_uint_eq(out.len, 0);
	}
	buf_release(&out);
}
END_TEST

/* What does not fit adds nothing. */
START_TEST(bounds)
{
	static char large[BASE64_MAX_BYTES + 4];
	struct buf out;

	buf_init(&out, 3);
	ck_assert(base64_decode(&out, SPAN("Zm9v")));
	ck_assert(!base64_decode(&out, SPAN("Zg==")));
	ck_assert(!base64_encode(&out, SPAN("f")));
	ck_assert_uint_eq(out.len, 3);
	buf_release(&out);
	memset(large, 'A', sizeof(large));
	buf_init(&out, SIZE_MAX / 2);
	ck_assert(!base64_decode(&out, (struct span){large, sizeof(large)}));
	ck_assert(!base64_encode(&out, (struct span){large, sizeof(large)}));
	buf_release(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("base64");
	TCase *tc = tcase_create("base64");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, both_ways);
	tcase_add_test(tc, refused);
	tcase_add_test(tc, bounds);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
