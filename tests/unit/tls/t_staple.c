/* SPDX-License-Identifier: ISC */
/*
 * t_staple - when an OCSP response may be shown, and files that hold none; real
 * ones are made in tests/tls.
 */
#include "tls/staple.h"

#include <check.h>
#include <stdlib.h>

#include "base/bytes.h"

#define MINUTE INT64_C(60000)
#define NOW (INT64_C(1700000000) * 1000)

static const struct {
	enum staple_says says;
	int64_t this_ms, next_ms;
	const char *fault; /* a part of it; NULL: none */
} rows[] = {
	{STAPLE_GOOD, NOW - MINUTE, NOW + MINUTE, NULL},
	{STAPLE_GOOD, NOW, NOW + 1, NULL},
	{STAPLE_GOOD, NOW + MINUTE, NOW + 10 * MINUTE, NULL},
	{STAPLE_GOOD, NOW + 6 * MINUTE, NOW + 10 * MINUTE, "not hold yet"},
	{STAPLE_GOOD, NOW - MINUTE, NOW, "expired"},
	{STAPLE_GOOD, NOW - 9 * MINUTE, NOW - MINUTE, "expired"},
	{STAPLE_GOOD, NOW - MINUTE, 0, "until when"},
	{STAPLE_REVOKED, NOW - MINUTE, NOW + MINUTE, "revoked"},
	{STAPLE_UNKNOWN, NOW - MINUTE, NOW + MINUTE, "not know"},
};

START_TEST(test_fault)
{
	const char *fault = staple_fault(rows[_i].says, rows[_i].this_ms,
					 rows[_i].next_ms, NOW);

	if (!rows[_i].fault) {
		ck_assert_ptr_null(fault);
		return;
	}
	ck_assert_ptr_nonnull(fault);
	ck_assert_ptr_nonnull(strstr(fault, rows[_i].fault));
}
END_TEST

static const char *const files[] = {
	"/nonexistent/response",
	"/dev/null",
	"/proc/self/status",
};

START_TEST(test_no_response)
{
	struct staple s = {.until_ms = 0};
	struct err e;

	ck_assert_int_eq(staple_load(&s, files[_i], NULL, NULL, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, files[_i]));
	staple_release(&s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("staple");
	TCase *c = tcase_create("staple");
	SRunner *r;
	int failed;

	tcase_add_loop_test(c, test_fault, 0, (int)ARRAY_LEN(rows));
	tcase_add_loop_test(c, test_no_response, 0, (int)ARRAY_LEN(files));
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
