/* SPDX-License-Identifier: ISC */
/*
 * t_print - tables: aligned, cut to the width, escaped; times for people.
 */
#include "ctl/print.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl/human.h"

static const struct column columns[] = {
	{ .title = "ID" },
	{ .title = "N", .align = COLUMN_RIGHT, .drop = 1 },
	{ .title = "TEXT", .min = 6 },
	{ .title = "END" },
};

/* What the table of these rows looks like; owned. */
static char *table(unsigned width, const char *const (*rows)[4], size_t n)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct table *t = table_new(out, columns, ARRAY_LEN(columns), width);

	for (size_t i = 0; i < n; i++)
		table_add(t, rows[i]);
	ck_assert_uint_eq(table_end(t), n);
	fclose(out);
	return text;
}

static const char *const plain[][4] = {
	{ "a", "1", "short", "x" },
	{ "bcd", "1000", "a rather long text", "" },
};

START_TEST(columns_are_aligned)
{
	char *text = table(0, plain, 2);

	ck_assert_str_eq(text, "ID     N TEXT               END\n"
			       "a      1 short              x\n"
			       "bcd 1000 a rather long text\n");
	free(text);
}
END_TEST

START_TEST(what_is_too_wide_is_cut)
{
	char *text = table(24, plain, 2);

	ck_assert_str_eq(text, "ID     N TEXT        END\n"
			       "a      1 short       x\n"
			       "bcd 1000 a rather l+\n");
	free(text);
}
END_TEST

START_TEST(columns_are_left_out_before_lines_overflow)
{
	char *text = table(18, plain, 2);

	ck_assert_str_eq(text, "ID  TEXT       END\n"
			       "a   short      x\n"
			       "bcd a rather +\n");
	free(text);
}
END_TEST

START_TEST(no_line_is_wider_than_asked)
{
	static const char *const rows[][4] = {
		{ "0123456789", "1", "gr\xc3\xbc\xc3\x9f", "0123456789" },
		{ "1", "2", "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc"
			    "\xc3\xbc\xc3\xbc\xc3\xbc",
		  "0" },
	};
	char *text = table(30, rows, 2);

	for (char *line = text; *line;) {
		unsigned n = 0;

		for (; *line != '\n'; line++)
			n += (*line & 0xc0) != 0x80;
		ck_assert_uint_le(n, 30);
		line++;
	}
	free(text);
}
END_TEST

START_TEST(peers_cannot_draw_on_the_terminal)
{
	static const char *const rows[][4] = {
		{ "a", "1", "\033[2J\nline", "\xff" },
	};
	char *text = table(0, rows, 1);

	ck_assert_ptr_null(strchr(text, '\033'));
	ck_assert_ptr_nonnull(strstr(text, "\\x1b[2J\\nline"));
	ck_assert_ptr_nonnull(strstr(text, "\\xff"));
	free(text);
}
END_TEST

START_TEST(an_empty_table_prints_nothing)
{
	char *text = table(80, plain, 0);

	ck_assert_str_eq(text, "");
	free(text);
}
END_TEST

/* More rows than are kept: later ones keep the columns of the first. */
START_TEST(long_tables_stream)
{
	char *text = NULL;
	size_t len, lines = 0;
	FILE *out = open_memstream(&text, &len);
	struct table *t = table_new(out, columns, ARRAY_LEN(columns), 30);

	for (int i = 0; i < 2000; i++) {
		const char *cells[] = { "id", "7", i < 1000 ? "x" : "xxxxxxxxxx",
					"end" };

		table_add(t, cells);
		if (i == 1000) {
			fflush(out);
			ck_assert_uint_gt(len, 0);
		}
	}
	ck_assert_uint_eq(table_end(t), 2000);
	fclose(out);
	for (const char *p = text; *p; p++)
		lines += *p == '\n';
	ck_assert_uint_eq(lines, 2001);
	ck_assert_ptr_nonnull(strstr(text, "id 7 x    end\n"));
	ck_assert_ptr_nonnull(strstr(text, "id 7 xxx+ end\n"));
	free(text);
}
END_TEST

START_TEST(notes_are_wrapped_below_their_row)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);
	struct table *t = table_new(out, columns, ARRAY_LEN(columns), 36);

	table_add(t, plain[0]);
	table_note(t, "said", "");
	table_note(t, "remedy", "have it renewed; the mail goes by itself");
	table_end(t);
	fclose(out);
	ck_assert_str_eq(text, "ID N TEXT  END\n"
			       "a  1 short x\n"
			       "   remedy: have it renewed; the mail\n"
			       "           goes by itself\n");
	free(text);
}
END_TEST

START_TEST(lines_of_a_message_stay_lines)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	print_lines(out, "A: b\r\n\tfolded \033[1m\r\nlast");
	fclose(out);
	ck_assert_str_eq(text, "A: b\n\tfolded \\x1b[1m\nlast\n");
	free(text);
}
END_TEST

START_TEST(times_read_well)
{
	const int64_t now = 1764000000000;
	char text[HUMAN_TEXT_MAX];

	ck_assert_int_eq(human_parse_ms("2025-11-24T16:00:00.000Z"), now);
	ck_assert_int_eq(human_parse_ms("yesterday"), 0);
	ck_assert_int_eq(human_parse_ms(NULL), 0);
	human_ago(text, now - 180000, now);
	ck_assert_str_eq(text, "3m ago");
	human_ago(text, now, now);
	ck_assert_str_eq(text, "just now");
	human_ago(text, 0, now);
	ck_assert_str_eq(text, "-");
	human_in(text, now + 120000, now);
	ck_assert_str_eq(text, "in 2m");
	human_in(text, now - 5000, now);
	ck_assert_str_eq(text, "now");
	human_short(text, 47 * 3600 * 1000LL);
	ck_assert_str_eq(text, "47h");
	human_short(text, 72 * 3600 * 1000LL);
	ck_assert_str_eq(text, "3d");
	human_count(text, 1, "message");
	ck_assert_str_eq(text, "1 message");
	human_count(text, 0, "message");
	ck_assert_str_eq(text, "0 messages");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("print");
	TCase *tc = tcase_create("print");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, columns_are_aligned);
	tcase_add_test(tc, what_is_too_wide_is_cut);
	tcase_add_test(tc, columns_are_left_out_before_lines_overflow);
	tcase_add_test(tc, no_line_is_wider_than_asked);
	tcase_add_test(tc, peers_cannot_draw_on_the_terminal);
	tcase_add_test(tc, an_empty_table_prints_nothing);
	tcase_add_test(tc, long_tables_stream);
	tcase_add_test(tc, notes_are_wrapped_below_their_row);
	tcase_add_test(tc, lines_of_a_message_stay_lines);
	tcase_add_test(tc, times_read_well);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
