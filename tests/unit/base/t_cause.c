/* SPDX-License-Identifier: ISC */
/*
 * t_cause - the list of causes: words, groups, remedies.
 */

#include "base/cause.h"

#include <check.h>
#include <string.h>

START_TEST(words_are_unique)
{
	for (unsigned a = CAUSE_IS_NONE + 1; a < CAUSE_COUNT; a++) {
		enum cause back;

		ck_assert(cause_parse(cause_word((enum cause)a), &back));
		ck_assert_uint_eq(back, a);
		ck_assert_str_ne(cause_remedy((enum cause)a), "");
	}
}
END_TEST

START_TEST(groups_match)
{
	ck_assert(cause_matches(CAUSE_IS_TLS_PIN, "tls-pin"));
	ck_assert(cause_matches(CAUSE_IS_TLS_PIN, "tls"));
	ck_assert(!cause_matches(CAUSE_IS_TLS_PIN, "dns"));
	ck_assert(!cause_matches(CAUSE_IS_TLS_PIN, "tls-"));
	ck_assert(!cause_matches(CAUSE_IS_NONE, ""));
	ck_assert(!cause_matches(CAUSE_IS_NONE, "other"));
	ck_assert_int_eq(cause_group(CAUSE_IS_EXPIRED), CAUSE_MAIL);
	ck_assert_str_eq(cause_group_word(CAUSE_OPS), "ops");
	ck_assert_str_eq(cause_group_word(CAUSE_OTHER), "other");
}
END_TEST

START_TEST(words_are_known)
{
	static const char *const known[] = {"tls",
					    "dns",
					    "net",
					    "peer",
					    "auth",
					    "mail",
					    "self",
					    "ops",
					    "held",
					    "expired",
					    "tls-cert-expired"};
	enum cause c = CAUSE_IS_LOOP;

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		ck_assert(cause_word_known(known[i]));
	ck_assert(!cause_word_known(""));
	ck_assert(!cause_word_known("other"));
	ck_assert(!cause_word_known("TLS"));
	ck_assert(!cause_parse("", &c));
	ck_assert(!cause_parse("tls", &c));
	ck_assert_int_eq(c, CAUSE_IS_LOOP);
	ck_assert_str_eq(cause_word(CAUSE_IS_NONE), "");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("cause");
	TCase *tc = tcase_create("cause");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, words_are_unique);
	tcase_add_test(tc, groups_match);
	tcase_add_test(tc, words_are_known);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
