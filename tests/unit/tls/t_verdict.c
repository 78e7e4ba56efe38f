/* SPDX-License-Identifier: ISC */
/*
 * What faults mean under a policy, and what broken handshakes mean.
 */
#include <check.h>
#include <errno.h>

#include "tls/decide.h"
#include "tls/failure.h"

#define INVALID GNUTLS_CERT_INVALID
#define UNKNOWN (INVALID | GNUTLS_CERT_SIGNER_NOT_FOUND)
#define EXPIRED (INVALID | GNUTLS_CERT_EXPIRED)
#define EARLY (INVALID | GNUTLS_CERT_NOT_ACTIVATED)
#define REVOKED (INVALID | GNUTLS_CERT_REVOKED)
#define WEAK (INVALID | GNUTLS_CERT_INSECURE_ALGORITHM)

static const struct {
	unsigned faults;
	enum cause cause;
} order[] = {
	{ 0, CAUSE_IS_NONE },
	{ UNKNOWN, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ UNKNOWN | FAULT_SELF_SIGNED, CAUSE_IS_TLS_CERT_SELF_SIGNED },
	{ UNKNOWN | FAULT_SELF_SIGNED | EXPIRED,
	  CAUSE_IS_TLS_CERT_SELF_SIGNED },
	{ UNKNOWN | EXPIRED | FAULT_NAME, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ UNKNOWN | REVOKED, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ INVALID | GNUTLS_CERT_SIGNER_NOT_CA, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ INVALID | GNUTLS_CERT_SIGNATURE_FAILURE,
	  CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ INVALID | GNUTLS_CERT_SIGNER_CONSTRAINTS_FAILURE,
	  CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ INVALID | GNUTLS_CERT_PURPOSE_MISMATCH, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ INVALID | GNUTLS_CERT_UNKNOWN_CRIT_EXTENSIONS,
	  CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ REVOKED, CAUSE_IS_TLS_CERT_REVOKED },
	{ REVOKED | EXPIRED | EARLY, CAUSE_IS_TLS_CERT_REVOKED },
	{ EXPIRED, CAUSE_IS_TLS_CERT_EXPIRED },
	{ EXPIRED | EARLY | WEAK | FAULT_NAME, CAUSE_IS_TLS_CERT_EXPIRED },
	{ EARLY, CAUSE_IS_TLS_CERT_NOT_YET_VALID },
	{ EARLY | WEAK, CAUSE_IS_TLS_CERT_NOT_YET_VALID },
	{ WEAK, CAUSE_IS_TLS_CERT_WEAK },
	{ WEAK | FAULT_NAME, CAUSE_IS_TLS_CERT_WEAK },
	{ FAULT_CRL, CAUSE_IS_TLS_CRL_UNAVAILABLE },
	{ FAULT_CRL | FAULT_NAME, CAUSE_IS_TLS_CRL_UNAVAILABLE },
	{ REVOKED | FAULT_CRL, CAUSE_IS_TLS_CERT_REVOKED },
	{ FAULT_NAME, CAUSE_IS_TLS_CERT_NAME },
	{ INVALID, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ INVALID | FAULT_NAME, CAUSE_IS_TLS_CERT_UNTRUSTED },
	{ 1U << 25, CAUSE_IS_TLS_CERT_UNTRUSTED },
};

START_TEST(test_order)
{
	const char *check;
	enum cause cause = decide_cause(order[_i].faults, &check);

	ck_assert_str_eq(cause_word(cause), cause_word(order[_i].cause));
	ck_assert(cause == CAUSE_IS_NONE ? check[0] == '\0' : check[0] != '\0');
}
END_TEST

#define V_NONE TLS_VERIFY_NONE
#define V_CA TLS_VERIFY_CA
#define V_NAME TLS_VERIFY_NAME
#define SERVER DECIDE_SERVER
#define CLIENT DECIDE_CLIENT

static const struct {
	struct facts facts;
	struct decision expected;
} decisions[] = {
	/* nothing demanded: anything goes, what was proved is told */
	{ { V_NONE, SERVER, PIN_NOT_SET, true, 0, 0 }, { true, PROOF_NAME,
	  CAUSE_IS_NONE } },
	{ { V_NONE, SERVER, PIN_NOT_SET, false, 0, 0 }, { true, PROOF_NONE,
	  CAUSE_IS_NONE } },
	{ { V_NONE, SERVER, PIN_NOT_SET, true, FAULT_NAME, 0 }, { true, PROOF_CA,
	  CAUSE_IS_TLS_CERT_NAME } },
	{ { V_NONE, SERVER, PIN_NOT_SET, true, EXPIRED, 0 }, { true, PROOF_NONE,
	  CAUSE_IS_TLS_CERT_EXPIRED } },
	/* a CA */
	{ { V_CA, SERVER, PIN_NOT_SET, true, 0, 0 }, { true, PROOF_NAME,
	  CAUSE_IS_NONE } },
	{ { V_CA, SERVER, PIN_NOT_SET, true, FAULT_NAME, 0 }, { true, PROOF_CA,
	  CAUSE_IS_TLS_CERT_NAME } },
	{ { V_CA, SERVER, PIN_NOT_SET, true, UNKNOWN, 0 }, { false, PROOF_NONE,
	  CAUSE_IS_TLS_CERT_UNTRUSTED } },
	{ { V_CA, SERVER, PIN_NOT_SET, true, WEAK | FAULT_NAME, 0 }, { false,
	  PROOF_NONE, CAUSE_IS_TLS_CERT_WEAK } },
	{ { V_CA, SERVER, PIN_NOT_SET, false, 0, 0 }, { false, PROOF_NONE,
	  CAUSE_IS_NONE } },
	/* a CA and the name */
	{ { V_NAME, SERVER, PIN_NOT_SET, true, 0, 0 }, { true, PROOF_NAME,
	  CAUSE_IS_NONE } },
	{ { V_NAME, SERVER, PIN_NOT_SET, true, FAULT_NAME, 0 }, { false, PROOF_CA,
	  CAUSE_IS_TLS_CERT_NAME } },
	{ { V_NAME, SERVER, PIN_NOT_SET, true, EXPIRED | FAULT_NAME, 0 }, { false,
	  PROOF_NONE, CAUSE_IS_TLS_CERT_EXPIRED } },
	/* pins: a match is enough, none falls back to the rest */
	{ { V_NAME, SERVER, PIN_MATCHES, true, UNKNOWN | EXPIRED | FAULT_NAME, 0 },
	  { true, PROOF_PIN, CAUSE_IS_NONE } },
	{ { V_NONE, SERVER, PIN_MATCHES, false, FAULT_SELF_SIGNED, 0 }, { true,
	  PROOF_PIN, CAUSE_IS_NONE } },
	{ { V_NAME, SERVER, PIN_DIFFERS, true, 0, 0 }, { true, PROOF_NAME,
	  CAUSE_IS_NONE } },
	{ { V_CA, SERVER, PIN_DIFFERS, true, FAULT_NAME, 0 }, { true, PROOF_CA,
	  CAUSE_IS_TLS_CERT_NAME } },
	{ { V_NAME, SERVER, PIN_DIFFERS, true, FAULT_NAME, 0 }, { false, PROOF_CA,
	  CAUSE_IS_TLS_PIN } },
	{ { V_CA, SERVER, PIN_DIFFERS, true, EXPIRED, 0 }, { false, PROOF_NONE,
	  CAUSE_IS_TLS_PIN } },
	{ { V_NONE, SERVER, PIN_DIFFERS, true, 0, 0 }, { false, PROOF_NAME,
	  CAUSE_IS_TLS_PIN } },
	/* of clients no name is asked */
	{ { V_CA, CLIENT, PIN_NOT_SET, true, 0, 0 }, { true, PROOF_CA,
	  CAUSE_IS_NONE } },
	{ { V_NONE, CLIENT, PIN_NOT_SET, true, UNKNOWN, 0 }, { true, PROOF_NONE,
	  CAUSE_IS_TLS_CERT_UNTRUSTED } },
	{ { V_CA, CLIENT, PIN_NOT_SET, true, EXPIRED, 0 }, { false, PROOF_NONE,
	  CAUSE_IS_TLS_CERT_EXPIRED } },
};

#define F_EXPIRED TLS_FORGIVE_EXPIRED
#define F_NAME TLS_FORGIVE_NAME
#define F_UNTRUSTED TLS_FORGIVE_UNTRUSTED
#define F_CRL TLS_FORGIVE_CRL
#define STALE FAULT_CRL
#define SELF (UNKNOWN | FAULT_SELF_SIGNED)

/* Each row under verify = name without pins: is it forgiven, and only then? */
static const struct {
	unsigned faults, forgive;
	bool accepted;
	enum decide_proof proof;
} pardons[] = {
	{ 0, 0, true, PROOF_NAME },
	{ 0, F_EXPIRED | F_NAME | F_UNTRUSTED, true, PROOF_NAME },
	{ EXPIRED, F_EXPIRED, true, PROOF_EXCEPTION },
	{ EXPIRED, F_NAME | F_UNTRUSTED | F_CRL, false, PROOF_NONE },
	{ EXPIRED | FAULT_NAME, F_EXPIRED, false, PROOF_NONE },
	{ EXPIRED | FAULT_NAME, F_NAME, false, PROOF_NONE },
	{ EXPIRED | FAULT_NAME, F_EXPIRED | F_NAME, true, PROOF_EXCEPTION },
	{ EARLY, F_EXPIRED | F_NAME | F_UNTRUSTED | F_CRL, false, PROOF_NONE },
	{ FAULT_NAME, F_NAME, true, PROOF_EXCEPTION },
	{ FAULT_NAME, F_EXPIRED | F_UNTRUSTED | F_CRL, false, PROOF_CA },
	{ UNKNOWN, F_UNTRUSTED, true, PROOF_EXCEPTION },
	{ UNKNOWN, F_EXPIRED | F_NAME | F_CRL, false, PROOF_NONE },
	{ UNKNOWN | EXPIRED, F_UNTRUSTED, false, PROOF_NONE },
	{ UNKNOWN | EXPIRED, F_UNTRUSTED | F_EXPIRED, true, PROOF_EXCEPTION },
	{ SELF, F_UNTRUSTED, true, PROOF_EXCEPTION },
	{ SELF | FAULT_NAME, F_UNTRUSTED, false, PROOF_NONE },
	{ SELF | FAULT_NAME, F_UNTRUSTED | F_NAME, true, PROOF_EXCEPTION },
	{ STALE, F_CRL, true, PROOF_EXCEPTION },
	{ STALE, F_EXPIRED | F_NAME | F_UNTRUSTED, false, PROOF_NONE },
	/* never */
	{ REVOKED, F_EXPIRED | F_NAME | F_UNTRUSTED | F_CRL, false,
	  PROOF_NONE },
	{ REVOKED | EXPIRED, F_EXPIRED | F_CRL, false, PROOF_NONE },
	{ WEAK, F_EXPIRED | F_NAME | F_UNTRUSTED | F_CRL, false, PROOF_NONE },
	{ INVALID, F_EXPIRED | F_NAME | F_UNTRUSTED | F_CRL, false,
	  PROOF_NONE },
	{ INVALID | FAULT_NAME, F_NAME, false, PROOF_NONE },
};

START_TEST(test_pardon)
{
	const struct facts f = { .verify = V_NAME,
				 .peer = SERVER,
				 .trust = true,
				 .faults = pardons[_i].faults,
				 .forgive = pardons[_i].forgive };
	struct decision d = decide(&f);
	const char *check;

	ck_assert_int_eq(d.accepted, pardons[_i].accepted);
	ck_assert_int_eq(d.proof, pardons[_i].proof);
	/* What was forgiven is still told. */
	ck_assert_int_eq(d.cause, decide_cause(f.faults, &check));
}
END_TEST

/* Pins alone decide where nothing else is verified. */
START_TEST(test_pins_are_not_forgiven)
{
	struct facts f = { .verify = V_NONE,
			   .peer = SERVER,
			   .pin = PIN_DIFFERS,
			   .trust = true,
			   .faults = SELF | EXPIRED | FAULT_NAME,
			   .forgive = F_EXPIRED | F_NAME | F_UNTRUSTED };

	ck_assert(!decide(&f).accepted);
	f.verify = V_CA;
	ck_assert_int_eq(decide(&f).proof, PROOF_EXCEPTION);
	/* The name is not asked for: it need not be forgiven. */
	f.faults = EXPIRED | FAULT_NAME;
	f.forgive = F_EXPIRED;
	ck_assert(decide(&f).accepted);
}
END_TEST

START_TEST(test_kinds)
{
	ck_assert_uint_eq(decide_kinds(0), 0);
	ck_assert_uint_eq(decide_kinds(EXPIRED), TLS_FAULT_DATES);
	ck_assert_uint_eq(decide_kinds(EARLY | FAULT_NAME),
			  TLS_FAULT_DATES | TLS_FAULT_NAME);
	ck_assert_uint_eq(decide_kinds(SELF | WEAK),
			  TLS_FAULT_CHAIN | TLS_FAULT_WEAK);
	ck_assert_uint_eq(decide_kinds(REVOKED), TLS_FAULT_REVOKED);
	ck_assert_uint_eq(decide_kinds(STALE), TLS_FAULT_CRL);
	ck_assert_uint_eq(decide_kinds(INVALID), TLS_FAULT_CHAIN);
}
END_TEST

START_TEST(test_decision)
{
	struct decision d = decide(&decisions[_i].facts);

	ck_assert_int_eq(d.accepted, decisions[_i].expected.accepted);
	ck_assert_int_eq(d.proof, decisions[_i].expected.proof);
	ck_assert_str_eq(cause_word(d.cause),
			 cause_word(decisions[_i].expected.cause));
}
END_TEST

START_TEST(test_crl_words)
{
	static const struct {
		struct tls_verdict verdict;
		const char *words;
	} rows[] = {
		{ { .crl = TLS_CRL_OFF }, "off" },
		{ { .crl = TLS_CRL_GOOD }, "good" },
		{ { .crl = TLS_CRL_REVOKED, .crl_text = "on a day" },
		  "revoked" },
		{ { .crl = TLS_CRL_UNDETERMINED, .crl_text = "stale" },
		  "undetermined: stale" },
	};
	char words[64];

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		tls_crl_say(words, sizeof(words), &rows[i].verdict);
		ck_assert_str_eq(words, rows[i].words);
	}
}
END_TEST

#define ALERT GNUTLS_E_FATAL_ALERT_RECEIVED
#define WE_ARE_CLIENT .role = FAILURE_CLIENT
#define WE_ARE_SERVER .role = FAILURE_SERVER

static const struct {
	struct failure failure;
	enum cause cause;
	const char *text; /* some of it */
} failures[] = {
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_PROTOCOL_VERSION },
	  CAUSE_IS_TLS_VERSION, "alert protocol_version (70)" },
	{ { WE_ARE_CLIENT, .rc = GNUTLS_E_UNSUPPORTED_VERSION_PACKET },
	  CAUSE_IS_TLS_VERSION, "no TLS version" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_HANDSHAKE_FAILURE },
	  CAUSE_IS_TLS_HANDSHAKE, "alert handshake_failure (40)" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_HANDSHAKE_FAILURE,
	  .asked = FAILURE_ASKED_SHOWN }, CAUSE_IS_TLS_HANDSHAKE,
	  "handshake_failure" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_HANDSHAKE_FAILURE,
	  .asked = FAILURE_ASKED_NONE }, CAUSE_IS_TLS_CLIENT_CERT,
	  "we have none" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_CERTIFICATE_REQUIRED,
	  .asked = FAILURE_ASKED_NONE }, CAUSE_IS_TLS_CLIENT_CERT,
	  "certificate_required" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_UNKNOWN_CA,
	  .asked = FAILURE_ASKED_SHOWN }, CAUSE_IS_TLS_CLIENT_CERT,
	  "does not accept our client certificate" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_BAD_CERTIFICATE,
	  .asked = FAILURE_ASKED_SHOWN }, CAUSE_IS_TLS_CLIENT_CERT,
	  "bad_certificate (42)" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_CERTIFICATE_EXPIRED,
	  .asked = FAILURE_ASKED_SHOWN }, CAUSE_IS_TLS_CLIENT_CERT,
	  "certificate_expired" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_CERTIFICATE_UNKNOWN,
	  .asked = FAILURE_ASKED_SHOWN }, CAUSE_IS_TLS_CLIENT_CERT,
	  "certificate_unknown" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_BAD_CERTIFICATE },
	  CAUSE_IS_TLS_HANDSHAKE, "bad_certificate" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = GNUTLS_A_UNRECOGNIZED_NAME },
	  CAUSE_IS_TLS_HANDSHAKE, "unrecognized_name" },
	{ { WE_ARE_CLIENT, .rc = ALERT, .alert = 213 }, CAUSE_IS_TLS_HANDSHAKE,
	  "unknown (213)" },
	{ { WE_ARE_CLIENT, .rc = GNUTLS_E_PREMATURE_TERMINATION },
	  CAUSE_IS_TLS_HANDSHAKE, "in the middle of the TLS handshake" },
	{ { WE_ARE_CLIENT, .rc = GNUTLS_E_PULL_ERROR, .os = ECONNRESET },
	  CAUSE_IS_TLS_HANDSHAKE, "Connection reset" },
	{ { WE_ARE_CLIENT, .rc = GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR,
	  .verdict = CAUSE_IS_TLS_CERT_EXPIRED, .verdict_text = "too old" },
	  CAUSE_IS_TLS_CERT_EXPIRED, "too old" },
	{ { WE_ARE_SERVER, .rc = GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR,
	  .verdict = CAUSE_IS_TLS_CERT_EXPIRED, .verdict_text = "too old" },
	  CAUSE_IS_TLS_CLIENT_CERT, "too old" },
	{ { WE_ARE_SERVER, .rc = GNUTLS_E_NO_CERTIFICATE_FOUND },
	  CAUSE_IS_TLS_CLIENT_CERT, "no certificate" },
	{ { WE_ARE_SERVER, .rc = GNUTLS_E_CERTIFICATE_REQUIRED },
	  CAUSE_IS_TLS_CLIENT_CERT, "no certificate" },
	{ { WE_ARE_SERVER, .rc = ALERT, .alert = GNUTLS_A_CERTIFICATE_EXPIRED },
	  CAUSE_IS_TLS_HANDSHAKE, "does not accept our certificate" },
	{ { WE_ARE_SERVER, .rc = ALERT, .alert = GNUTLS_A_PROTOCOL_VERSION },
	  CAUSE_IS_TLS_VERSION, "protocol_version" },
	{ { WE_ARE_SERVER, .rc = GNUTLS_E_NO_CIPHER_SUITES },
	  CAUSE_IS_TLS_HANDSHAKE, "cipher suite" },
};

START_TEST(test_failure)
{
	const struct failure *f = &failures[_i].failure;
	struct err e;

	ck_assert_str_eq(cause_word(failure_cause(f)),
			 cause_word(failures[_i].cause));
	failure_explain(f, &e);
	ck_assert_int_eq(e.status, ST_TEMP);
	if (f->rc == GNUTLS_E_PREMATURE_TERMINATION)
		ck_assert_int_eq(e.os, ECONNRESET);
	else
		ck_assert_int_eq(e.os, f->os);
	ck_assert_msg(strstr(e.text, failures[_i].text) != NULL, "%s", e.text);
}
END_TEST

START_TEST(test_alert)
{
	static const struct {
		struct failure failure;
		int alert; /* -1: none */
	} rows[] = {
		{ { WE_ARE_CLIENT,
		    .rc = GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR,
		    .verdict = CAUSE_IS_TLS_CERT_EXPIRED },
		  GNUTLS_A_CERTIFICATE_EXPIRED },
		{ { WE_ARE_CLIENT,
		    .rc = GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR,
		    .verdict = CAUSE_IS_TLS_CERT_SELF_SIGNED },
		  GNUTLS_A_UNKNOWN_CA },
		{ { WE_ARE_CLIENT,
		    .rc = GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR,
		    .verdict = CAUSE_IS_TLS_CERT_NAME },
		  GNUTLS_A_BAD_CERTIFICATE },
		{ { WE_ARE_SERVER, .rc = GNUTLS_E_NO_CERTIFICATE_FOUND },
		  GNUTLS_A_HANDSHAKE_FAILURE },
		{ { WE_ARE_SERVER, .rc = GNUTLS_E_CERTIFICATE_REQUIRED },
		  GNUTLS_A_CERTIFICATE_REQUIRED },
		{ { WE_ARE_SERVER, .rc = GNUTLS_E_UNSUPPORTED_VERSION_PACKET },
		  GNUTLS_A_PROTOCOL_VERSION },
		{ { WE_ARE_SERVER, .rc = ALERT, .alert = 40 }, -1 },
		{ { WE_ARE_SERVER, .rc = GNUTLS_E_PREMATURE_TERMINATION }, -1 },
		{ { WE_ARE_SERVER, .rc = GNUTLS_E_PULL_ERROR, .os = EPIPE },
		  -1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		gnutls_alert_description_t alert;
		bool any = failure_alert(&rows[i].failure, &alert);

		ck_assert_int_eq(any, rows[i].alert >= 0);
		if (any)
			ck_assert_int_eq((int)alert, rows[i].alert);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("verdict");
	TCase *c = tcase_create("verdict");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, test_order, 0, (int)ARRAY_LEN(order));
	tcase_add_loop_test(c, test_decision, 0, (int)ARRAY_LEN(decisions));
	tcase_add_loop_test(c, test_pardon, 0, (int)ARRAY_LEN(pardons));
	tcase_add_test(c, test_pins_are_not_forgiven);
	tcase_add_test(c, test_kinds);
	tcase_add_loop_test(c, test_failure, 0, (int)ARRAY_LEN(failures));
	tcase_add_test(c, test_alert);
	tcase_add_test(c, test_crl_words);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
