/* SPDX-License-Identifier: ISC */
/*
 * t_command - command lines and their parameters, good and bad.
 */
#include <check.h>
#include <stdlib.h>

#include "smtp/command.h"

static const struct {
	struct span line;
	const char *verb, *args;         /* NULL: refused */
} lines[] = {
	{SPAN("NOOP"), "NOOP", ""},
	{SPAN("noop "), "noop", ""},
	{SPAN("NOOP \t "), "NOOP", ""},
	{SPAN("EHLO a.example"), "EHLO", "a.example"},
	{SPAN("EHLO  a.example  "), "EHLO", "a.example"},
	{SPAN("MAIL FROM:<a@b> SIZE=1 "), "MAIL", "FROM:<a@b> SIZE=1"},
	{SPAN("MAIL\tFROM:<a@b>"), "MAIL", "FROM:<a@b>"},
	{SPAN("X \xff"), "X", "\xff"},
	{SPAN(""), NULL, NULL},
	{SPAN(" "), NULL, NULL},
	{SPAN(" NOOP"), NULL, NULL},
	{SPAN("NO\0OP"), NULL, NULL},
	{SPAN("NOOP\r"), NULL, NULL},
	{SPAN("NOOP x\ry"), NULL, NULL},
	{SPAN("NOOP x\ny"), NULL, NULL},
	{SPAN("NOOP \x7f"), NULL, NULL},
	{SPAN("\x01"), NULL, NULL},
};

START_TEST(command_lines)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		struct command c;
		bool good = command_parse(lines[i].line, &c);

		ck_assert_msg(good == (lines[i].verb != NULL), "line %zu", i);
		if (!good)
			continue;
		ck_assert(span_eq(c.verb, span_of(lines[i].verb)));
		ck_assert(span_eq(c.args, span_of(lines[i].args)));
	}
}
END_TEST

static const struct {
	const char *text;
	int n;                           /* -1: refused */
	const char *last_keyword, *last_value;
} params[] = {
	{"", 0, NULL, NULL},
	{"   ", 0, NULL, NULL},
	{" SIZE=1", 1, "SIZE", "1"},
	{"  SIZE=1  ", 1, "SIZE", "1"},
	{" SMTPUTF8", 1, "SMTPUTF8", NULL},
	{" SIZE=1 BODY=8BITMIME", 2, "BODY", "8BITMIME"},
	{" X-A=!\"~ 8=2", 2, "8", "2"},
	{" A=1 B=1 C=1 D=1 E=1 F=1 G=1 H=1 I=1 J=1 K=1 L=1 M=1 N=1 O=1 P=1", 16,
	 "P", "1"},
	{" A=1 B=1 C=1 D=1 E=1 F=1 G=1 H=1 I=1 J=1 K=1 L=1 M=1 N=1 O=1 P=1 Q",
	 -1, NULL, NULL},
	{"SIZE=1", -1, NULL, NULL},
	{" SIZE=", -1, NULL, NULL},
	{" =1", -1, NULL, NULL},
	{" -A=1", -1, NULL, NULL},
	{" A_B=1", -1, NULL, NULL},
	{" A=1=2", -1, NULL, NULL},
	{" A=\t", -1, NULL, NULL},
	{" A=\xff", -1, NULL, NULL},
	{" A=1 a=2", -1, NULL, NULL},
	{" A B A", -1, NULL, NULL},
	{"\tA=1", -1, NULL, NULL},
};

START_TEST(parameters)
{
	for (size_t i = 0; i < ARRAY_LEN(params); i++) {
		struct param out[COMMAND_PARAMS_MAX];
		struct param *last;
		struct err e;
		size_t n = 77;
		enum status st =
			params_parse(span_of(params[i].text), out, &n, &e);

		ck_assert_msg((st == ST_OK) == (params[i].n >= 0), "\"%s\"",
			      params[i].text);
		if (st != ST_OK) {
			ck_assert_uint_eq(n, 77);
			ck_assert_uint_eq(e.reply, 501);
			ck_assert_uint_eq(e.subject, 5);
			ck_assert_uint_eq(e.detail, 4);
			continue;
		}
		ck_assert_uint_eq(n, (size_t)params[i].n);
		if (n == 0)
			continue;
		last = &out[n - 1];
		ck_assert(span_eq(last->keyword,
				  span_of(params[i].last_keyword)));
		ck_assert(last->has_value == (params[i].last_value != NULL));
		ck_assert(span_eq(last->value, span_of(params[i].last_value)));
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("command");
	TCase *tc = tcase_create("command");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, command_lines);
	tcase_add_test(tc, parameters);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
