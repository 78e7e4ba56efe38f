/* SPDX-License-Identifier: ISC */
/*
 * t_mirror - what a strict sender would think of our own certificate.
 */
#include "daemon/mirror.h"

#include <check.h>
#include <stdlib.h>

static const struct {
	struct mirror_facts facts;
	enum mirror_outcome outcome;
} rows[] = {
	{{0, true, 0, false, 0}, MIRROR_FINE},
	{{0, true, 0, true, 0}, MIRROR_FINE},
	{{TLS_FAULT_NAME, true, TLS_FAULT_NAME, false, 0}, MIRROR_FAULTY},
	{{TLS_FAULT_DATES, true, TLS_FAULT_DATES, true, TLS_FAULT_DATES},
	 MIRROR_FAULTY},
	{{0, true, TLS_FAULT_REVOKED, false, 0}, MIRROR_FAULTY},
	{{0, true, TLS_FAULT_CRL, false, 0}, MIRROR_FAULTY},
	/* A private CA is no fault, all else is. */
	{{0, false, 0, true, 0}, MIRROR_PRIVATE},
	{{0, false, 0, true, TLS_FAULT_REVOKED}, MIRROR_FAULTY},
	{{TLS_FAULT_NAME, false, 0, true, TLS_FAULT_NAME}, MIRROR_FAULTY},
	{{0, false, 0, false, 0}, MIRROR_PRIVATE},
	{{TLS_FAULT_CHAIN, false, 0, false, 0}, MIRROR_PRIVATE},
	{{TLS_FAULT_CHAIN | TLS_FAULT_DATES, false, 0, false, 0},
	 MIRROR_FAULTY},
	{{TLS_FAULT_WEAK, false, 0, false, 0}, MIRROR_FAULTY},
};

START_TEST(test_judge)
{
	ck_assert_int_eq(mirror_judge(&rows[_i].facts), rows[_i].outcome);
}
END_TEST

START_TEST(test_words)
{
	for (enum mirror_outcome o = 0; o < MIRROR_OUTCOMES; o++)
		ck_assert_str_ne(mirror_outcome_word(o), "");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("mirror");
	TCase *c = tcase_create("mirror");
	SRunner *r;
	int failed;

	tcase_add_loop_test(c, test_judge, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(c, test_words);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
