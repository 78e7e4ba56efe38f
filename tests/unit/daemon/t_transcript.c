/* SPDX-License-Identifier: ISC */
/*
 * t_transcript - what is kept of a dialogue, what is hidden, and how much it
 * may become.
 */
#include "daemon/transcript.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>

static struct transcript *t;

static void setup(void)
{
	t = transcript_new(1000);
}

static void teardown(void)
{
	transcript_free(t);
}

static void shows(const char *expected)
{
	char *text = transcript_text(t);

	ck_assert_str_eq(text, expected);
	free(text);
}

static bool mentions(const char *word)
{
	char *text = transcript_text(t);
	bool found = strstr(text, word) != NULL;

	free(text);
	return found;
}

START_TEST(a_dialogue)
{
	transcript_note(t, 1000, "connecting to %s", "mx:25");
	transcript_heard(t, 1040, SPAN("220-one\r\n220 two\r\n"));
	transcript_said(t, 1041, SPAN("EHLO me\r\n"));
	transcript_heard(t, 1050, SPAN("250 \x1b[31m\n"));
	transcript_ready(t);
	transcript_said(t, 1060, SPAN("MAIL FROM:<a@b>\r\nDATA\r\n"));
	transcript_sent(t, 1070, 60);
	transcript_sent(t, 2071, 40);
	transcript_heard(t, 3000, SPAN("451 no\r\n"));
	shows("   0.000 = connecting to mx:25\n"
	      "   0.040 < 220-one\n"
	      "   0.040 < 220 two\n"
	      "   0.041 > EHLO me\n"
	      "   0.050 < 250 \\x1b[31m\n"
	      "   0.060 > MAIL FROM:<a@b>\n"
	      "   0.060 > DATA\n"
	      "   1.071 = 100 bytes of the message\n"
	      "   2.000 < 451 no\n");
	transcript_next(t);
	transcript_said(t, 4000, SPAN("RSET\r\n"));
	transcript_sent(t, 5000, 7);
	shows("   0.000 = connecting to mx:25\n"
	      "   0.040 < 220-one\n"
	      "   0.040 < 220 two\n"
	      "   0.041 > EHLO me\n"
	      "   0.050 < 250 \\x1b[31m\n"
	      "   3.000 > RSET\n"
	      "   4.000 = 7 bytes of the message\n");
}
END_TEST

START_TEST(nothing_at_all)
{
	shows("");
}
END_TEST

/* What was secret, however the peer repeats it. */
START_TEST(secrets_are_hidden)
{
	char text[19] = "was hunter2!, aHV2";

	transcript_hide(t, SPAN("hunter2!"));
	transcript_hide(t, SPAN("aHV2"));
	transcript_said_secret(t, 1000, SPAN("AUTH PLAIN AGpvZQBodW50ZXIyIQ==\r\n"));
	transcript_heard(t, 1000,
			 SPAN("535 5.7.8 AGpvZQBodW50ZXIyIQ== is hunter2!\r\n"));
	transcript_said_secret(t, 1000, SPAN("AUTH LOGIN\r\n"));
	transcript_heard(t, 1000, SPAN("334 VXNlcm5hbWU6\r\n"));
	transcript_said_secret(t, 1000, SPAN("am9lam9l\r\n"));
	transcript_said_secret(t, 1000, SPAN("aHVudGVyMiE=\r\n"));
	transcript_heard(t, 1000, SPAN("500 what aHVudGVyMiE=?\r\n"));
	transcript_mask(t, text, sizeof(text));
	ck_assert_str_eq(text, "was [hidden], [hid");
	transcript_ready(t);
	transcript_heard(t, 1000, SPAN("250 hunter2!\r\n"));
	shows("   0.000 > AUTH PLAIN [hidden]\n"
	      "   0.000 < 535 5.7.8 [hidden] is [hidden]\n"
	      "   0.000 > AUTH LOGIN\n"
	      "   0.000 < 334 VXNlcm5hbWU6\n"
	      "   0.000 > [hidden]\n"
	      "   0.000 > [hidden]\n"
	      "   0.000 < 500 what [hidden]?\n"
	      "   0.000 < 250 hunter2!\n");
}
END_TEST

/* Even where nobody said that it is a secret. */
START_TEST(an_auth_line_is_always_hidden)
{
	transcript_said(t, 1000, SPAN("EHLO x\r\nauth xoauth2 dXNlcj0=\r\n"));
	shows("   0.000 > EHLO x\n"
	      "   0.000 > auth xoauth2 [hidden]\n");
}
END_TEST

START_TEST(it_is_bounded)
{
	char line[3000], *text;

	memset(line, '\1', sizeof(line));
	line[sizeof(line) - 1] = '\n';
	transcript_note(t, 1000, "the beginning");
	for (int i = 0; i < 10; i++)
		transcript_heard(t, 1000, (struct span){line, sizeof(line)});
	transcript_ready(t);
	for (int i = 0; i < 1000; i++) {
		int len = snprintf(line, sizeof(line), "RCPT TO:<%d@x>\r\n", i);

		transcript_said(t, 1000, (struct span){line, (size_t)len});
	}
	text = transcript_text(t);
	ck_assert_uint_le(strlen(text), TRANSCRIPT_MAX);
	ck_assert_uint_gt(strlen(text), TRANSCRIPT_MAX / 2);
	free(text);
	ck_assert(mentions("the beginning"));
	ck_assert(mentions("lines left out"));
	ck_assert(mentions("<999@x>"));
	ck_assert(!mentions("<0@x>"));
	transcript_next(t);
	ck_assert(!mentions("left out"));
	ck_assert(mentions("the beginning"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("transcript");
	TCase *tc = tcase_create("transcript");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_dialogue);
	tcase_add_test(tc, nothing_at_all);
	tcase_add_test(tc, secrets_are_hidden);
	tcase_add_test(tc, an_auth_line_is_always_hidden);
	tcase_add_test(tc, it_is_bounded);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
