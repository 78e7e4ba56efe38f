/* SPDX-License-Identifier: ISC */
/*
 * t_units - durations, sizes and message ids.
 */

#include "base/units.h"

#include <check.h>
#include <string.h>

START_TEST(durations_parse)
{
	static const struct {
		const char *s;
		int64_t ms; /* -1: refused */
	} rows[] = {
		{"0", 0},	   {"0s", 0},
		{"500ms", 500},	   {"30s", 30000},
		{"5m", 300000},	   {"4h", 14400000},
		{"5d", 432000000}, {"9223372036854775807ms", INT64_MAX},
		{"", -1},	   {"5", -1},
		{"5x", -1},	   {"5 s", -1},
		{" 5s", -1},	   {"-5s", -1},
		{"s", -1},	   {"5sm", -1},
		{"5S", -1},	   {"1h30m", -1},
		{"1.5h", -1},	   {"9223372036854775808ms", -1},
		{"+5s", -1},	   {"106751991168d", -1},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t ms = -1;
		bool ok = duration_parse(rows[i].s, &ms);

		ck_assert_msg(ok == (rows[i].ms >= 0), "%s", rows[i].s);
		ck_assert_msg(ms == rows[i].ms, "%s", rows[i].s);
	}
}
END_TEST

START_TEST(durations_print)
{
	static const struct {
		int64_t ms;
		const char *text, *human;
	} rows[] = {
		{0, "0s", "0s"},
		{1, "1ms", "1ms"},
		{1500, "1500ms", "1s"},
		{8000, "8s", "8s"},
		{90000, "90s", "1m 30s"},
		{720000, "12m", "12m"},
		{5400000, "90m", "1h 30m"},
		{3600000, "1h", "1h"},
		{86400000, "1d", "1d"},
		{3 * 86400000LL + 4 * 3600000LL, "76h", "3d 4h"},
		{3 * 86400000LL + 59 * 60000LL, "4379m", "3d"},
	};
	char out[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		int64_t back_ms = -1;

		duration_text(out, rows[i].ms);
		ck_assert_str_eq(out, rows[i].text);
		ck_assert(duration_parse(out, &back_ms));
		ck_assert(back_ms == rows[i].ms);
		duration_human(out, rows[i].ms);
		ck_assert_str_eq(out, rows[i].human);
	}
	duration_human(out, -5);
	ck_assert_str_eq(out, "0s");
	duration_text(out, INT64_MIN);
	ck_assert_uint_lt(strlen(out), UNITS_TEXT_MAX);
}
END_TEST

START_TEST(sizes_parse)
{
	static const struct {
		const char *s;
		bool ok;
		uint64_t bytes;
	} rows[] = {
		{"0", true, 0},
		{"64K", true, 65536},
		{"150M", true, 157286400},
		{"16G", true, UINT64_C(17179869184)},
		{"1T", true, UINT64_C(1099511627776)},
		{"12345", true, 12345},
		{"18446744073709551615", true, UINT64_MAX},
		{"18446744073709551616", false, 7},
		{"16E", false, 7},
		{"", false, 7},
		{"M", false, 7},
		{"5MB", false, 7},
		{"5m", false, 7},
		{"-1", false, 7},
		{"1.5G", false, 7},
		{"1 K", false, 7},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t bytes = 7;

		ck_assert_msg(size_parse(rows[i].s, &bytes) == rows[i].ok, "%s",
			      rows[i].s);
		ck_assert_msg(bytes == rows[i].bytes, "%s", rows[i].s);
	}
}
END_TEST

START_TEST(sizes_print)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} rows[] = {
		{0, "0"},
		{1023, "1023"},
		{1024, "1.0K"},
		{4404019, "4.2M"},
		{150 << 20, "150M"},
		{10239, "10K"},
		{(1 << 20) - 1, "1.0M"},
		{UINT64_C(16) << 30, "16G"},
		{UINT64_MAX, "16E"},
	};
	char out[UNITS_TEXT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		size_human(out, rows[i].bytes);
		ck_assert_str_eq(out, rows[i].text);
	}
}
END_TEST

START_TEST(message_ids)
{
	static const uint64_t ids[] = {
		0,	    1,
		31,	    32,
		UINT32_MAX, UINT64_MAX - 1,
		UINT64_MAX, UINT64_C(0x0123456789ABCDEF)};
	char text[MSG_ID_LEN + 1];
	uint64_t back = 0;

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		msg_id_text(text, ids[i]);
		ck_assert_uint_eq(strlen(text), MSG_ID_LEN);
		ck_assert(msg_id_parse(text, &back));
		ck_assert(back == ids[i]);
	}
	msg_id_text(text, UINT64_MAX);
	ck_assert_str_eq(text, "FZZZZZZZZZZZZ");
	ck_assert(msg_id_parse("fzzzzzzzzzzzz", &back));
	ck_assert(back == UINT64_MAX);
	ck_assert(msg_id_parse("00000000000o1", &back) && back == 1);
	ck_assert(!msg_id_parse("G000000000000", &back));
	ck_assert(!msg_id_parse("000000000000", &back));
	ck_assert(!msg_id_parse("00000000000000", &back));
	ck_assert(!msg_id_parse("000000000000U", &back));
	ck_assert(!msg_id_parse("000000000000-", &back));
	ck_assert(!msg_id_parse("", &back));
}
END_TEST

START_TEST(text_sorts_like_numbers)
{
	char small[MSG_ID_LEN + 1], large[MSG_ID_LEN + 1];

	for (unsigned bit = 1; bit < 64; bit++) {
		msg_id_text(small, (UINT64_C(1) << bit) - 1);
		msg_id_text(large, UINT64_C(1) << bit);
		ck_assert_int_lt(strcmp(small, large), 0);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("units");
	TCase *tc = tcase_create("units");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, durations_parse);
	tcase_add_test(tc, durations_print);
	tcase_add_test(tc, sizes_parse);
	tcase_add_test(tc, sizes_print);
	tcase_add_test(tc, message_ids);
	tcase_add_test(tc, text_sorts_like_numbers);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
