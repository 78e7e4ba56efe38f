/* SPDX-License-Identifier: ISC */
/*
 * t_reply - replies heard whole and byte by byte, and replies to say.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/reply.h"

static const struct {
	const char *wire;
	enum reply_result result;
	int code;
	unsigned class, subject, detail;
	const char *text;
	const char *line;                /* by reply_line() */
} replies[] = {
	{"250 Ok\r\n", REPLY_DONE, 250, 0, 0, 0, "Ok", "250 Ok"},
	{"250 Ok\n", REPLY_DONE, 250, 0, 0, 0, "Ok", "250 Ok"},
	{"250\r\n", REPLY_DONE, 250, 0, 0, 0, "", "250"},
	{"250 \r\n", REPLY_DONE, 250, 0, 0, 0, "", "250"},
	{"250 2.1.5 Ok\r\n", REPLY_DONE, 250, 2, 1, 5, "Ok", "250 2.1.5 Ok"},
	{"250 2.1.5\r\n", REPLY_DONE, 250, 2, 1, 5, "", "250 2.1.5"},
	{"451 4.7.500 busy\r\n", REPLY_DONE, 451, 4, 7, 500, "busy",
	 "451 4.7.500 busy"},
	{"451 5.7.3 STARTTLS\r\n", REPLY_DONE, 451, 5, 7, 3, "STARTTLS",
	 "451 5.7.3 STARTTLS"},
	{"550 5.1.1x\r\n", REPLY_DONE, 550, 0, 0, 0, "5.1.1x", "550 5.1.1x"},
	{"550 5.1.\r\n", REPLY_DONE, 550, 0, 0, 0, "5.1.", "550 5.1."},
	{"550 5.1 x\r\n", REPLY_DONE, 550, 0, 0, 0, "5.1 x", "550 5.1 x"},
	{"550 5.1.1234 x\r\n", REPLY_DONE, 550, 0, 0, 0, "5.1.1234 x",
	 "550 5.1.1234 x"},
	{"550 3.1.1 x\r\n", REPLY_DONE, 550, 0, 0, 0, "3.1.1 x", "550 3.1.1 x"},
	{"550-5.1.1 no\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n", REPLY_DONE,
	 550, 5, 1, 1, "no\nsuch\nuser", "550 5.1.1 no such user"},
	{"550-5.1.1 no\r\n550-5.7.1 other\r\n550 plain\r\n", REPLY_DONE, 550, 5,
	 1, 1, "no\n5.7.1 other\nplain", "550 5.1.1 no 5.7.1 other plain"},
	{"250-\r\n250\r\n", REPLY_DONE, 250, 0, 0, 0, "\n", "250"},
	{"250-a\n250-b\r\n250 c\n", REPLY_DONE, 250, 0, 0, 0, "a\nb\nc",
	 "250 a b c"},
	{"599 \xff\x01\r\r\n", REPLY_DONE, 599, 0, 0, 0, "\xff\x01\r",
	 "599 \xff\x01\r"},
	{"", REPLY_MORE, 0, 0, 0, 0, "", ""},
	{"250-a\r\n", REPLY_MORE, 0, 0, 0, 0, NULL, NULL},
	{"250 Ok", REPLY_MORE, 0, 0, 0, 0, "", ""},
	{"\r\n", REPLY_BROKEN, 0, 0, 0, 0, "", ""},
	{"25\r\n", REPLY_BROKEN, 0, 0, 0, 0, "25", "25"},
	{"2500 x\r\n", REPLY_BROKEN, 0, 0, 0, 0, "2500 x", "2500 x"},
	{"250x\r\n", REPLY_BROKEN, 0, 0, 0, 0, "250x", "250x"},
	{"250\tx\r\n", REPLY_BROKEN, 0, 0, 0, 0, "250\tx", "250\tx"},
	{" 250 x\r\n", REPLY_BROKEN, 0, 0, 0, 0, " 250 x", " 250 x"},
	{"150 x\r\n", REPLY_BROKEN, 0, 0, 0, 0, "150 x", "150 x"},
	{"600 x\r\n", REPLY_BROKEN, 0, 0, 0, 0, "600 x", "600 x"},
	{"HTTP/1.1 400\r\n", REPLY_BROKEN, 0, 0, 0, 0, "HTTP/1.1 400",
	 "HTTP/1.1 400"},
	{"250-a\r\n251 b\r\n", REPLY_BROKEN, 0, 0, 0, 0, "251 b", "251 b"},
	{"250-a\r\nb\r\n", REPLY_BROKEN, 0, 0, 0, 0, "b", "b"},
};

static void check_reply(size_t i, const struct reply *r,
			enum reply_result result)
{
	struct buf line;

	ck_assert_msg(result == replies[i].result, "reply %zu", i);
	if (replies[i].text == NULL)
		return;
	buf_init(&line, 4096);
	reply_line(&line, r);
	ck_assert_int_eq(r->code, replies[i].code);
	ck_assert_uint_eq(r->class, replies[i].class);
	ck_assert_uint_eq(r->subject, replies[i].subject);
	ck_assert_uint_eq(r->detail, replies[i].detail);
	ck_assert_str_eq(r->text, replies[i].text);
	ck_assert_uint_eq(r->len, strlen(replies[i].text));
	ck_assert(span_eq(buf_span(&line), span_of(replies[i].line)));
	buf_release(&line);
}

START_TEST(whole)
{
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		struct span in = span_of(replies[i].wire);
		struct reply_parser p;

		reply_parser_init(&p);
		check_reply(i, &p.reply, reply_parse(&p, &in));
	}
}
END_TEST

START_TEST(byte_by_byte)
{
	for (size_t i = 0; i < ARRAY_LEN(replies); i++) {
		struct span in = {replies[i].wire, 0};
		const char *end = in.at + strlen(in.at);
		enum reply_result result = REPLY_MORE;
		struct reply_parser p;

		reply_parser_init(&p);
		while (result == REPLY_MORE && in.at + in.len < end) {
			in.len++;
			result = reply_parse(&p, &in);
		}
		check_reply(i, &p.reply, result);
	}
}
END_TEST

/* One after the other in the same parser; nothing behind a reply is taken. */
START_TEST(in_a_row)
{
	struct span in = SPAN("250-2.0.0 a\r\n250 b\r\n354 go\r\n250 c\r\n");
	struct reply_parser p;

	reply_parser_init(&p);
	ck_assert(reply_parse(&p, &in) == REPLY_DONE);
	ck_assert_str_eq(p.reply.text, "a\nb");
	ck_assert_uint_eq(in.len, 15);
	ck_assert(reply_parse(&p, &in) == REPLY_DONE);
	ck_assert_int_eq(p.reply.code, 354);
	ck_assert_uint_eq(p.reply.class, 0);
	ck_assert_str_eq(p.reply.text, "go");
	ck_assert(reply_parse(&p, &in) == REPLY_DONE);
	ck_assert_str_eq(p.reply.text, "c");
	ck_assert(reply_parse(&p, &in) == REPLY_MORE);
	ck_assert_uint_eq(in.len, 0);
}
END_TEST

START_TEST(nul_becomes_question_mark)
{
	struct span in = SPAN("250 a\0b\r\n");
	struct reply_parser p;

	reply_parser_init(&p);
	ck_assert(reply_parse(&p, &in) == REPLY_DONE);
	ck_assert_str_eq(p.reply.text, "a?b");
}
END_TEST

/* A line with its end may have REPLY_LINE_MAX bytes and not one more. */
START_TEST(line_bound)
{
	static char wire[REPLY_LINE_MAX + 2];
	struct reply_parser p;
	struct span in;

	memset(wire, 'x', sizeof(wire));
	memcpy(wire, "250 ", 4);
	wire[REPLY_LINE_MAX - 1] = '\n';
	reply_parser_init(&p);
	in = (struct span){wire, REPLY_LINE_MAX - 1};
	ck_assert(reply_parse(&p, &in) == REPLY_MORE);
	in = (struct span){wire, REPLY_LINE_MAX};
	ck_assert(reply_parse(&p, &in) == REPLY_DONE);
	ck_assert_uint_eq(p.reply.len, REPLY_TEXT_MAX - 1);
	wire[REPLY_LINE_MAX - 1] = 'x';
	wire[REPLY_LINE_MAX] = '\n';
	in = (struct span){wire, REPLY_LINE_MAX};
	ck_assert(reply_parse(&p, &in) == REPLY_BROKEN);
	in = (struct span){wire, REPLY_LINE_MAX + 1};
	ck_assert(reply_parse(&p, &in) == REPLY_BROKEN);
}
END_TEST

START_TEST(lines_bound)
{
	for (unsigned more = 0; more < 2; more++) {
		struct buf wire;
		struct span in;
		struct reply_parser p;

		buf_init(&wire, 4096);
		for (unsigned i = 1; i < REPLY_LINES_MAX + more; i++)
			ck_assert(buf_add(&wire, SPAN("250-x\r\n")));
		ck_assert(buf_add(&wire, SPAN("250 x\r\n")));
		in = buf_span(&wire);
		reply_parser_init(&p);
		ck_assert(reply_parse(&p, &in) ==
			  (more ? REPLY_BROKEN : REPLY_DONE));
		buf_release(&wire);
	}
}
END_TEST

START_TEST(line_is_cut)
{
	struct span in = SPAN("250 2.0.0 abcdef\r\n");
	struct reply_parser p;
	struct buf out;

	reply_parser_init(&p);
	ck_assert(reply_parse(&p, &in) == REPLY_DONE);
	buf_init(&out, 12);
	reply_line(&out, &p.reply);
	ck_assert(span_eq(buf_span(&out), SPAN("250 2.0.0 ab")));
	buf_release(&out);
}
END_TEST

START_TEST(from_err)
{
	struct err temp, perm, fixed;
	struct buf out;

	(void)err_temp(&temp, 3, 1, "No space on %s", "disk");
	(void)err_perm(&perm, 7, 1, "Relaying\r\ndenied");
	(void)err_perm(&fixed, 6, 11, "Bare LF");
	fixed.reply = 554;
	buf_init(&out, 4096);
	reply_from_err(&out, &temp);
	reply_from_err(&out, &perm);
	reply_from_err(&out, &fixed);
	ck_assert(span_eq(buf_span(&out), SPAN("451 4.3.1 No space on disk\r\n"
					       "550 5.7.1 Relaying??denied\r\n"
					       "554 5.6.11 Bare LF\r\n")));
	buf_release(&out);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("reply");
	TCase *tc = tcase_create("reply");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, whole);
	tcase_add_test(tc, byte_by_byte);
	tcase_add_test(tc, in_a_row);
	tcase_add_test(tc, nul_becomes_question_mark);
	tcase_add_test(tc, line_bound);
	tcase_add_test(tc, lines_bound);
	tcase_add_test(tc, line_is_cut);
	tcase_add_test(tc, from_err);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
