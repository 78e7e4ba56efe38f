/* SPDX-License-Identifier: ISC */
/*
 * t_diagnosis - what the doctor concludes from what a host showed.
 */
#include "daemon/diagnosis.h"

#include <check.h>
#include <string.h>

#include "daemon/finding.h"

#define NOT_OFFERED .cause = CAUSE_IS_TLS_NOT_OFFERED
#define MASKED .cause = CAUSE_IS_TLS_MASKED
#define UNTRUSTED .cause = CAUSE_IS_TLS_CERT_UNTRUSTED
#define EXCHANGE "mx Microsoft ESMTP MAIL Service ready"
#define CLOUD "DB5.mail.protection.outlook.com Microsoft ESMTP MAIL Service"

static const struct {
	struct symptoms symptoms;
	const char *word;
} rows[] = {
	{ { .cause = CAUSE_IS_NONE }, "healthy" },
	/* no STARTTLS */
	{ { NOT_OFFERED }, "starttls-not-offered" },
	{ { NOT_OFFERED, .greeting = "mx ESMTP Postfix" },
	  "starttls-not-offered" },
	{ { MASKED, .masked = true }, "starttls-masked" },
	{ { MASKED, .masked = true, .ehlo_refused = true }, "starttls-masked" },
	{ { NOT_OFFERED, .masked = true, .greeting = EXCHANGE },
	  "starttls-masked" },
	{ { MASKED, .ehlo_refused = true }, "smtp-only" },
	{ { MASKED, .ehlo_refused = true, .ehlo = "you are on a Blocklist" },
	  "blocklisted" },
	{ { NOT_OFFERED, .greeting = "see www.spamhaus.org/query/ip/1.2.3.4" },
	  "blocklisted" },
	{ { NOT_OFFERED, .ehlo = "hello\nBLACKLISTED\nSIZE" }, "blocklisted" },
	{ { NOT_OFFERED, .greeting = EXCHANGE }, "exchange-certificate" },
	{ { NOT_OFFERED, .greeting = EXCHANGE, .ehlo = "on a block list" },
	  "blocklisted" },
	{ { NOT_OFFERED, .greeting = CLOUD }, "blocklisted-by-cloud" },
	{ { NOT_OFFERED, .greeting = EXCHANGE,
	    .host = "contoso-com.mail.protection.outlook.com" },
	  "blocklisted-by-cloud" },
	{ { NOT_OFFERED, .host = "contoso-com.j-v1.mx.microsoft" },
	  "blocklisted-by-cloud" },
	/* the handshake */
	{ { .cause = CAUSE_IS_TLS_REFUSED }, "starttls-refused" },
	{ { .cause = CAUSE_IS_TLS_VERSION }, "version-floor" },
	{ { .cause = CAUSE_IS_TLS_HANDSHAKE, .cut = true }, "hello-reset" },
	{ { .cause = CAUSE_IS_TLS_HANDSHAKE }, "tls-handshake" },
	{ { .cause = CAUSE_IS_TLS_TIMEOUT }, "tls-timeout" },
	/* the certificate */
	{ { UNTRUSTED, .issuer = "CN=Example CA" }, "tls-cert-untrusted" },
	{ { UNTRUSTED, .issuer = "CN=FGT60F,O=Fortinet,C=US" },
	  "tls-inspection" },
	{ { UNTRUSTED, .issuer = "CN=Zscaler Intermediate Root CA" },
	  "tls-inspection" },
	{ { .cause = CAUSE_IS_TLS_CERT_SELF_SIGNED,
	    .subject = "CN=SonicWall Firewall DPI-SSL" },
	  "tls-inspection" },
	{ { .cause = CAUSE_IS_TLS_CERT_NAME, .subject = "CN=mx2.example" },
	  "tls-cert-name" },
	{ { .cause = CAUSE_IS_TLS_CERT_EXPIRED, .issuer = "O=Fortinet" },
	  "tls-cert-expired" },
	/* the rest */
	{ { .cause = CAUSE_IS_PEER_BLOCKLISTED }, "blocklisted" },
	{ { .cause = CAUSE_IS_CONNECT_REFUSED }, "connect-refused" },
	{ { .cause = CAUSE_IS_AUTH_FAILED }, "auth-failed" },
};

START_TEST(test_row)
{
	struct symptoms s = rows[_i].symptoms;
	const char **texts[] = { &s.host, &s.greeting, &s.ehlo, &s.subject,
				 &s.issuer };
	enum diagnosis d;

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (!*texts[i])
			*texts[i] = "";
	d = diagnosis_of(&s);
	ck_assert_str_eq(diagnosis_word(d, s.cause), rows[_i].word);
	if (d != DIAGNOSIS_HEALTHY)
		ck_assert_uint_gt(strlen(diagnosis_remedy(d, s.cause)), 0);
}
END_TEST

/* Words are stable and tell one from the other. */
START_TEST(test_words)
{
	for (int d = DIAGNOSIS_AS_CAUSE + 1; d < DIAGNOSES; d++) {
		const char *word = diagnosis_word((enum diagnosis)d, 0);

		ck_assert_uint_gt(strlen(word), 0);
		ck_assert_uint_gt(strlen(diagnosis_cause((enum diagnosis)d)),
				  0);
		for (int o = DIAGNOSIS_HEALTHY; o < d; o++)
			ck_assert_str_ne(
				word, diagnosis_word((enum diagnosis)o, 0));
	}
}
END_TEST

START_TEST(test_nodes)
{
	struct finding list[3] = { { .address = NULL } };
	const struct finding *worst;

	ck_assert_int_eq(finding_conclude(list, 3, &worst), DIAGNOSIS_HEALTHY);
	ck_assert_ptr_null(worst);
	list[1].failure.cause = CAUSE_IS_TLS_CERT_EXPIRED;
	list[1].diagnosis = DIAGNOSIS_AS_CAUSE;
	ck_assert_int_eq(finding_conclude(list, 3, &worst),
			 DIAGNOSIS_IS_BAD_NODE);
	ck_assert_ptr_eq(worst, &list[1]);
	list[0] = list[2] = list[1];
	ck_assert_int_eq(finding_conclude(list, 3, &worst), DIAGNOSIS_AS_CAUSE);
	ck_assert_ptr_eq(worst, &list[0]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("diagnosis");
	TCase *c = tcase_create("diagnosis");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, test_row, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(c, test_words);
	tcase_add_test(c, test_nodes);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
