/* SPDX-License-Identifier: ISC */
/*
 * t_err - error values: status, codes and one clean line.
 */

#include "base/err.h"

#include <check.h>
#include <errno.h>
#include <string.h>

START_TEST(carries_codes)
{
	struct err e;

	ck_assert_int_eq(err_temp(&e, 7, 5, "no %s", "TLS"), ST_TEMP);
	ck_assert_int_eq(e.status, ST_TEMP);
	ck_assert_int_eq(e.subject, 7);
	ck_assert_int_eq(e.detail, 5);
	ck_assert_int_eq(e.reply, 0);
	ck_assert_int_eq(e.os, 0);
	ck_assert_str_eq(e.text, "no TLS");
	ck_assert_int_eq(err_perm(&e, 1, 1, "unknown"), ST_PERM);
	ck_assert_int_eq(e.status, ST_PERM);
	ck_assert_str_eq(e.text, "unknown");
}
END_TEST

START_TEST(text_is_one_clean_line)
{
	const char *empty = "";
	struct err e;

	err_temp(&e, 0, 0, "a\r\nb\tc\x7f");
	ck_assert_str_eq(e.text, "a??b?c?");
	err_temp(&e, 0, 0, "%s", "z\xc3\xbcrich \xff \xc2\x9b");
	ck_assert_str_eq(e.text, "z\xc3\xbcrich ? ??");
	err_temp(&e, 0, 0, "%s", empty);
	ck_assert_int_gt((int)strlen(e.text), 0);
	err_temp(&e, 0, 0, "%300d", 1);
	ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
}
END_TEST

START_TEST(translates_errno)
{
	char name[400];
	struct err e;

	ck_assert_int_eq(err_sys(&e, ENOENT, "open %s", "/x"), ST_TEMP);
	ck_assert_str_eq(e.text, "open /x: No such file or directory");
	ck_assert_int_eq(e.subject, 3);
	ck_assert_int_eq(e.detail, 0);
	ck_assert_int_eq(e.os, ENOENT);
	err_sys(&e, ENOSPC, "write");
	ck_assert_int_eq(e.detail, 1);
	err_sys(&e, EDQUOT, "write");
	ck_assert_int_eq(e.detail, 1);
	err_sys(&e, 99999, "write");
	ck_assert_str_eq(e.text, "write: unknown error");
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	err_sys(&e, EIO, "%s", name);
	ck_assert_uint_eq(strlen(e.text), ERR_TEXT_MAX - 1);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("err");
	TCase *tc = tcase_create("err");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, carries_codes);
	tcase_add_test(tc, text_is_one_clean_line);
	tcase_add_test(tc, translates_errno);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
