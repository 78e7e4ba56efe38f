/* SPDX-License-Identifier: ISC */
/*
 * t_certificate_record - a known certificate goes into the store and comes
 * back; what is no such text is none.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "daemon/certificates.h"

START_TEST(test_round)
{
	struct certificate *c = xcalloc(1, sizeof(*c)), *back;
	char *text;

	c->role = CERT_PEER;
	c->where = xstrdup("out/mx.example.net:25");
	c->address = xstrdup("192.0.2.1:25");
	c->previous = xstrdup("07 abc");
	snprintf(c->info.subject, sizeof(c->info.subject), "CN=\"mx\",O=\\,x");
	snprintf(c->info.issuer, sizeof(c->info.issuer), "CN=ca");
	snprintf(c->info.names, sizeof(c->info.names), "mx.example.net, b");
	snprintf(c->info.serial, sizeof(c->info.serial), "01ff");
	snprintf(c->info.spki_sha256, sizeof(c->info.spki_sha256), "aa");
	snprintf(c->crl, sizeof(c->crl), "good");
	c->info.not_before_ms = -1;
	c->info.not_after_ms = INT64_C(4102444800000);
	c->watched = true;
	c->first_seen_ms = 3;
	c->last_seen_ms = 4;
	c->told = STAGE_TWELFTH;
	c->told_previous = STAGE_THIRD;
	text = certificate_to_text(c);
	back = certificate_from_text(text);
	ck_assert_ptr_nonnull(back);
	ck_assert_int_eq(back->role, c->role);
	ck_assert_str_eq(back->where, c->where);
	ck_assert_str_eq(back->address, c->address);
	ck_assert_str_eq(back->previous, c->previous);
	ck_assert_int_eq(
		memcmp(&back->info, &c->info, sizeof(struct tls_cert_info)), 0);
	ck_assert_str_eq(back->crl, c->crl);
	ck_assert(back->watched);
	ck_assert(!back->named);
	ck_assert_int_eq(back->first_seen_ms, 3);
	ck_assert_int_eq(back->last_seen_ms, 4);
	ck_assert_int_eq(back->told, STAGE_TWELFTH);
	ck_assert_int_eq(back->told_previous, STAGE_THIRD);
	certificate_free(back);
	certificate_free(c);
	free(text);
}
END_TEST

/* Bytes that are no UTF-8 come from peers. */
START_TEST(test_odd_bytes)
{
	struct certificate *c = xcalloc(1, sizeof(*c)), *back;
	char *text;

	c->role = CERT_CLIENT;
	c->where = xstrdup("in/\xff");
	c->address = xstrdup("");
	c->previous = xstrdup("");
	snprintf(c->info.subject, sizeof(c->info.subject), "CN=\xe4\xf6");
	text = certificate_to_text(c);
	back = certificate_from_text(text);
	ck_assert_ptr_nonnull(back);
	ck_assert_str_eq(back->info.subject, "CN=\\xe4\\xf6");
	certificate_free(back);
	certificate_free(c);
	free(text);
}
END_TEST

static const char *const rubbish[] = {
	"", "[]", "7", "{\"role\":3}", "{\"role\":-1}", "{",
};

START_TEST(test_rubbish)
{
	ck_assert_ptr_null(certificate_from_text(rubbish[_i]));
}
END_TEST

START_TEST(test_later_version)
{
	struct certificate *c =
		certificate_from_text("{\"role\":1,\"told\":99,\"x\":[]}");

	ck_assert_ptr_nonnull(c);
	ck_assert_int_eq(c->told, STAGE_FRESH);
	ck_assert_str_eq(c->where, "");
	certificate_free(c);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("certificate_record");
	TCase *c = tcase_create("certificate_record");
	SRunner *r;
	int failed;

	tcase_add_test(c, test_round);
	tcase_add_test(c, test_odd_bytes);
	tcase_add_loop_test(c, test_rubbish, 0, (int)ARRAY_LEN(rubbish));
	tcase_add_test(c, test_later_version);
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
