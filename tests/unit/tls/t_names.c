/* SPDX-License-Identifier: ISC */
/*
 * Names of certificates against names we want (RFC 9525 6).
 */
#include <check.h>

#include "tls/name.h"

#define NUL_INSIDE "mx.example.com\0.evil.test"

static const struct {
	struct span presented;
	const char *wanted;
	bool matches;
} rows[] = {
	{ SPAN("mx.example.com"), "mx.example.com", true },
	{ SPAN("MX.Example.COM"), "mx.eXample.com", true },
	{ SPAN("mx.example.com."), "mx.example.com", true },
	{ SPAN("mx.example.com"), "mx.example.com.", true },
	{ SPAN("mx.example.com"), "mx.example.org", false },
	{ SPAN("mx.example.com"), "example.com", false },
	{ SPAN("example.com"), "mx.example.com", false },
	{ SPAN("localhost"), "localhost", true },
	/* Wildcards stand for one whole label. */
	{ SPAN("*.example.com"), "mx.example.com", true },
	{ SPAN("*.EXAMPLE.com."), "mx.example.COM", true },
	{ SPAN("*.example.com"), "a.mx.example.com", false },
	{ SPAN("*.example.com"), "example.com", false },
	{ SPAN("*.example.com"), ".example.com", false },
	{ SPAN("*.example.com"), "xn--mnchen-3ya.example.com", true },
	{ SPAN("m*.example.com"), "mx.example.com", false },
	{ SPAN("*x.example.com"), "mx.example.com", false },
	{ SPAN("mx.*.com"), "mx.example.com", false },
	{ SPAN("*.*.com"), "mx.example.com", false },
	{ SPAN("**.example.com"), "mx.example.com", false },
	{ SPAN("*"), "localhost", false },
	{ SPAN("*."), "localhost", false },
	{ SPAN("*.com"), "example.com", false },
	{ SPAN("*.com."), "example.com", false },
	{ SPAN("*.mail.protection.outlook.com"),
	  "contoso-com.mail.protection.outlook.com", true },
	/* A wanted wildcard, as in TlsDomain. */
	{ SPAN("mail.contoso.com"), "*.contoso.com", true },
	{ SPAN("*.contoso.com"), "*.contoso.com", true },
	{ SPAN("contoso.com"), "*.contoso.com", false },
	{ SPAN("a.mail.contoso.com"), "*.contoso.com", false },
	{ SPAN("*.mail.contoso.com"), "*.contoso.com", false },
	{ SPAN("example.com"), "*.com", false },
	{ SPAN("m*.contoso.com"), "m*.contoso.com", false },
	/* What no name is. */
	{ SPAN(""), "", false },
	{ SPAN("."), ".", false },
	{ SPAN("a..example.com"), "a..example.com", false },
	{ SPAN("mx.example.com.."), "mx.example.com", false },
	{ SPAN("mx.example.com "), "mx.example.com", false },
	{ SPAN("mx example.com"), "mx example.com", false },
	{ SPAN(NUL_INSIDE), "mx.example.com", false },
	{ SPAN("mx.example.com\0"), "mx.example.com", false },
	{ SPAN("m\xC3\xBCnchen.example.com"), "m\xC3\xBCnchen.example.com",
	  false },
};

START_TEST(test_row)
{
	bool found = name_matches(rows[_i].presented, span_of(rows[_i].wanted));

	ck_assert_msg(found == rows[_i].matches, "%s against %s: %d",
		      rows[_i].presented.at, rows[_i].wanted, found);
}
END_TEST

START_TEST(test_literal)
{
	static const struct {
		const char *text;
		size_t len;
	} literals[] = {
		{ "192.0.2.1", 4 },	{ "::1", 16 },
		{ "2001:db8::25", 16 }, { "192.0.2", 0 },
		{ "192.0.2.256", 0 },	{ "mx.example.com", 0 },
		{ "[192.0.2.1]", 0 },	{ "", 0 },
		{ "1.2.3.4.", 0 },
	};
	uint8_t ip[NAME_IP_MAX];

	ck_assert_uint_eq(name_literal(literals[_i].text, ip),
			  literals[_i].len);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("names");
	TCase *c = tcase_create("names");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, test_row, 0, (int)ARRAY_LEN(rows));
	tcase_add_loop_test(c, test_literal, 0, 9);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
