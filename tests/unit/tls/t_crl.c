/* SPDX-License-Identifier: ISC */
/*
 * What revocation lists say of a certificate, and which of them say nothing.
 */
#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/certs.h"
#include "tests/support/crls.h"
#include "tls/crl.h"

#define URL "http://crl.example.com/ca.crl"
#define OTHER_URL "http://crl.example.com/other.crl"

static char dir[256];

static void make_certificates(void)
{
	const char *tmp = getenv("TMPDIR");
	static const struct cert_spec specs[] = {
		{ .name = "root", .cn = "Root", .ca = true },
		{ .name = "ca", .cn = "CA", .issuer = "root", .ca = true },
		/* The same name, another key. */
		{ .name = "stranger", .cn = "CA", .ca = true },
		{ .name = "mute", .cn = "Mute", .ca = true,
		  .flaw = CERT_SIGNS_NO_LISTS },
		{ .name = "rsa", .cn = "RSA", .ca = true, .key = CERT_KEY_RSA },
		{ .name = "mx", .cn = "mx", .issuer = "ca", .lists = { URL } },
		{ .name = "bare", .cn = "bare", .issuer = "ca" },
		{ .name = "many", .cn = "many", .issuer = "ca",
		  .lists = { "ldap://crl.example.com/ca", URL, OTHER_URL } },
		{ .name = "muted", .cn = "muted", .issuer = "mute" },
		{ .name = "rsa-mx", .cn = "rsa-mx", .issuer = "rsa" },
	};

	snprintf(dir, sizeof(dir), "%s/crl.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		certs_make(dir, &specs[i]);
}

static void remove_certificates(void)
{
	certs_remove(dir);
}

static gnutls_x509_crt_t certificate(const char *name)
{
	char *path = certs_path(dir, name, "pem");
	gnutls_datum_t pem;
	gnutls_x509_crt_t crt;

	ck_assert_int_ge(gnutls_load_file(path, &pem), 0);
	ck_assert_int_ge(gnutls_x509_crt_init(&crt), 0);
	ck_assert_int_ge(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM),
			 0);
	gnutls_free(pem.data);
	free(path);
	return crt;
}

static struct crl *read_all(const struct buf *bytes)
{
	struct span in = buf_span(bytes);
	struct crl *c = NULL;
	struct err e;

	ck_assert_msg(crl_read(&c, &in, &e) == ST_OK, "%s", e.text);
	ck_assert_uint_eq(in.len, 0);
	return c;
}

/* The whole question: is it of the issuer, signed by it, and what does it
 * say? */
static enum tls_crl ask(struct crl *c, const char *name, const char *issuer,
			char why[CRL_WHY_MAX])
{
	gnutls_x509_crt_t crt = certificate(name);
	gnutls_x509_crt_t ca = certificate(issuer);
	enum tls_crl answer = TLS_CRL_UNDETERMINED;
	struct crl_points points;

	crl_points_of(crt, &points);
	if (!crl_is_of(c, ca))
		snprintf(why, CRL_WHY_MAX, "is of another issuer");
	else if (crl_signed_by(c, ca, why))
		answer = crl_judge(c,
				   &(struct crl_question){
					   .crt = crt,
					   .points = &points,
					   .wall_ms = clock_wall_ms(),
				   },
				   why);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_crt_deinit(ca);
	return answer;
}

#define GOOD TLS_CRL_GOOD
#define REVOKED TLS_CRL_REVOKED
#define UNKNOWN TLS_CRL_UNDETERMINED

static const struct {
	const char *certificate, *issuer;
	struct crl_spec spec;
	enum tls_crl answer;
	const char *why; /* some of it */
} rows[] = {
	{ "mx", "ca", { .issuer = "ca" }, GOOD, "" },
	{ "mx", "ca", { .issuer = "ca", .more = 1000 }, GOOD, "" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_VERSION_1 }, GOOD, "" },
	{ "mx", "ca", { .issuer = "ca", .revoked = { "mx" } }, REVOKED,
	  "(no reason told)" },
	{ "mx", "ca", { .issuer = "ca", .revoked = { "mx" }, .reason = 1 },
	  REVOKED, "(key compromise)" },
	{ "mx", "ca", { .issuer = "ca", .revoked = { "bare", "mx", "many" },
	  .more = 10000 }, REVOKED, "on 20" },
	{ "mx", "ca", { .issuer = "ca", .revoked = { "bare" } }, GOOD, "" },
	{ "ca", "root", { .issuer = "root" }, GOOD, "" },
	{ "ca", "root", { .issuer = "root", .revoked = { "ca" } }, REVOKED,
	  "" },
	{ "rsa-mx", "rsa", { .issuer = "rsa", .hash = CRL_BY_PSS,
	  .revoked = { "rsa-mx" } }, REVOKED, "" },
	/* dates */
	{ "mx", "ca", { .issuer = "ca", .this_s = -200, .next_s = -1 }, UNKNOWN,
	  "is stale since 20" },
	{ "mx", "ca", { .issuer = "ca", .this_s = -200, .next_s = -1,
	  .revoked = { "mx" } }, REVOKED, "" },
	{ "mx", "ca", { .issuer = "ca", .this_s = -200, .next_s = -1,
	  .revoked = { "mx" }, .reason = 6 }, UNKNOWN, "is stale" },
	{ "mx", "ca", { .issuer = "ca", .revoked = { "mx" }, .reason = 6 },
	  REVOKED, "(on hold)" },
	{ "mx", "ca", { .issuer = "ca", .this_s = 1000, .next_s = 2000 },
	  UNKNOWN, "is not valid before 20" },
	{ "mx", "ca", { .issuer = "ca", .this_s = 200, .next_s = 2000 }, GOOD,
	  "" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_WITHOUT_NEXT }, UNKNOWN,
	  "no date of its next update" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_WITHOUT_NEXT,
	  .revoked = { "mx" } }, REVOKED, "" },
	/* signatures */
	{ "mx", "ca", { .issuer = "ca", .signer = "stranger",
	  .revoked = { "mx" } }, UNKNOWN, "is forged or damaged" },
	{ "mx", "ca", { .issuer = "root", .revoked = { "mx" } }, UNKNOWN,
	  "another issuer" },
	{ "mx", "ca", { .issuer = "ca", .hash = CRL_BY_SHA1 }, UNKNOWN,
	  "too weak" },
	{ "muted", "mute", { .issuer = "mute", .revoked = { "muted" } },
	  UNKNOWN, "may not sign lists" },
	/* what it is about */
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_DELTA,
	  .revoked = { "mx" } }, UNKNOWN, "is a delta list" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_INDIRECT }, UNKNOWN,
	  "is indirect" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_USERS }, GOOD, "" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_CAS }, UNKNOWN,
	  "of CAs only" },
	{ "ca", "root", { .issuer = "root", .scope = CRL_OF_CAS }, GOOD, "" },
	{ "ca", "root", { .issuer = "root", .scope = CRL_OF_USERS }, UNKNOWN,
	  "of users only" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_ATTRIBUTES }, UNKNOWN,
	  "attribute certificates only" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_SOME_REASONS }, UNKNOWN,
	  "some reasons" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_OF_SOME_REASONS,
	  .revoked = { "mx" } }, REVOKED, "" },
	{ "mx", "ca", { .issuer = "ca", .point = URL }, GOOD, "" },
	{ "many", "ca", { .issuer = "ca", .point = OTHER_URL }, GOOD, "" },
	{ "mx", "ca", { .issuer = "ca", .point = OTHER_URL }, UNKNOWN,
	  "a distribution point that the certificate does not name" },
	{ "bare", "ca", { .issuer = "ca", .point = URL }, UNKNOWN,
	  "a distribution point" },
	{ "bare", "ca", { .issuer = "ca" }, GOOD, "" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_WITH_UNKNOWN,
	  .revoked = { "mx" } }, UNKNOWN, "unknown here (1.2.3.4)" },
	{ "mx", "ca", { .issuer = "ca", .scope = CRL_WITH_UNKNOWN_ROW,
	  .revoked = { "bare" } }, UNKNOWN, "unknown here (1.2.3.4)" },
};

START_TEST(test_answer)
{
	char why[CRL_WHY_MAX] = "";
	struct buf der, pem;
	struct crl *c;

	crls_make(&der, dir, &rows[_i].spec);
	c = read_all(&der);
	ck_assert_int_eq(ask(c, rows[_i].certificate, rows[_i].issuer, why),
			 rows[_i].answer);
	ck_assert_msg(strstr(why, rows[_i].why) != NULL, "%s", why);
	crl_unref(c);

	crls_make_pem(&pem, dir, &rows[_i].spec);
	c = read_all(&pem);
	ck_assert_int_eq(ask(c, rows[_i].certificate, rows[_i].issuer, why),
			 rows[_i].answer);
	crl_unref(c);
	buf_release(&der);
	buf_release(&pem);
}
END_TEST

/* A list as GnuTLS makes it. */
START_TEST(test_of_gnutls)
{
	gnutls_x509_crt_t ca = certificate("ca"), mx = certificate("mx");
	gnutls_datum_t pem, list;
	gnutls_x509_privkey_t key;
	char why[CRL_WHY_MAX];
	gnutls_x509_crl_t made;
	time_t now = time(NULL);
	char *path = certs_path(dir, "ca", "key");
	struct buf bytes;

	ck_assert_int_ge(gnutls_load_file(path, &pem), 0);
	gnutls_x509_privkey_init(&key);
	ck_assert_int_ge(
		gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM), 0);
	gnutls_x509_crl_init(&made);
	gnutls_x509_crl_set_version(made, 2);
	gnutls_x509_crl_set_this_update(made, now);
	gnutls_x509_crl_set_next_update(made, now + 1000);
	gnutls_x509_crl_set_number(made, "\1", 1);
	gnutls_x509_crl_set_crt(made, mx, now);
	ck_assert_int_ge(gnutls_x509_crl_sign2(made, ca, key,
					       GNUTLS_DIG_SHA256, 0),
			 0);
	ck_assert_int_ge(gnutls_x509_crl_export2(made, GNUTLS_X509_FMT_DER,
						 &list),
			 0);
	buf_init(&bytes, 1 << 20);
	ck_assert(buf_add(&bytes,
			  (struct span){ (char *)list.data, list.size }));
	struct crl *c = read_all(&bytes);
	ck_assert_uint_eq(crl_entries(c), 1);
	ck_assert_int_eq(crl_this_update_ms(c), (int64_t)now * 1000);
	ck_assert_int_eq(crl_next_update_ms(c), (int64_t)(now + 1000) * 1000);
	ck_assert_int_eq(ask(c, "mx", "ca", why), TLS_CRL_REVOKED);
	ck_assert_int_eq(ask(c, "many", "ca", why), TLS_CRL_GOOD);
	crl_unref(c);
	buf_release(&bytes);
	gnutls_free(list.data);
	gnutls_free(pem.data);
	gnutls_x509_crl_deinit(made);
	gnutls_x509_privkey_deinit(key);
	gnutls_x509_crt_deinit(ca);
	gnutls_x509_crt_deinit(mx);
	free(path);
}
END_TEST

static void expect_unreadable(struct span bytes, const char *why)
{
	struct crl *c = NULL;
	struct err e;

	ck_assert_int_eq(crl_read(&c, &bytes, &e), ST_PERM);
	ck_assert_msg(strstr(e.text, why) != NULL, "%s", e.text);
}

START_TEST(test_unreadable)
{
	static char big[CRL_BYTES_MAX + 1] = "0";

	expect_unreadable(SPAN(""), "empty");
	expect_unreadable(SPAN(" \n"), "empty");
	expect_unreadable(SPAN("<!DOCTYPE html><html>"), "an HTML page");
	expect_unreadable(SPAN("\r\n<html>"), "an HTML page");
	expect_unreadable(SPAN("404 not found"), "neither DER nor PEM");
	expect_unreadable(SPAN("0\x82\x10"), "not readable");
	expect_unreadable(SPAN("0\x82\x10\x01xx"), "cut short: 6 of 4101");
	expect_unreadable(SPAN("0\x03\x02\x01\x01"), "not readable");
	expect_unreadable(SPAN("-----BEGIN CERTIFICATE-----\n"),
			  "PEM of something else");
	expect_unreadable(SPAN("-----BEGIN X509 CRL-----\nMAo=\n"),
			  "without its end");
	expect_unreadable(SPAN("-----BEGIN X509 CRL-----\n!!\n"
			       "-----END X509 CRL-----\n"),
			  "base64");
	expect_unreadable((struct span){ big, sizeof(big) }, "too large");
}
END_TEST

/* Every prefix is refused, and every single byte may change: nothing crashes,
 * and the signature no longer holds. */
START_TEST(test_damage)
{
	const struct crl_spec spec = { .issuer = "ca", .point = URL,
				       .revoked = { "bare", "many" },
				       .reason = 1 };
	char why[CRL_WHY_MAX];
	struct buf der;
	struct span whole;
	struct err e;

	crls_make(&der, dir, &spec);
	whole = buf_span(&der);
	for (size_t n = 4; n < whole.len; n++)
		expect_unreadable((struct span){ whole.at, n }, "cut short");
	for (size_t i = 0; i < whole.len; i++) {
		char *at = (char *)(uintptr_t)whole.at;
		struct span in = whole;
		struct crl *c = NULL;

		at[i] ^= 0x11;
		if (crl_read(&c, &in, &e) == ST_OK)
			ck_assert_int_eq(ask(c, "mx", "ca", why), UNKNOWN);
		crl_unref(c);
		at[i] ^= 0x11;
	}
	buf_release(&der);
}
END_TEST

START_TEST(test_several_in_a_file)
{
	static const struct crl_spec specs[] = {
		{ .issuer = "root" },
		{ .issuer = "ca", .revoked = { "mx" } },
	};
	struct buf file, one;
	char why[CRL_WHY_MAX];
	struct crl *c[2] = { NULL, NULL };
	struct err e;

	buf_init(&file, 1 << 20);
	for (size_t i = 0; i < 2; i++) {
		crls_make_pem(&one, dir, &specs[i]);
		ck_assert(buf_add(&file, SPAN("# a comment\n")));
		ck_assert(buf_add(&file, buf_span(&one)));
		buf_release(&one);
	}
	ck_assert(buf_add(&file, SPAN("# the end\n")));
	struct span in = buf_span(&file);
	for (size_t i = 0; i < 2; i++)
		ck_assert_int_eq(crl_read(&c[i], &in, &e), ST_OK);
	ck_assert_uint_eq(in.len, 0);
	ck_assert_int_eq(ask(c[0], "ca", "root", why), GOOD);
	ck_assert_int_eq(ask(c[1], "mx", "ca", why), REVOKED);
	crl_unref(c[0]);
	crl_unref(c[1]);
	buf_release(&file);
}
END_TEST

START_TEST(test_points)
{
	gnutls_x509_crt_t crt = certificate("many");
	struct crl_points points;

	crl_points_of(crt, &points);
	ck_assert_uint_eq(points.n, 3);
	ck_assert_str_eq(points.url[1], URL);
	/* ldap can't be fetched. */
	ck_assert_uint_eq(points.http, 6);
	gnutls_x509_crt_deinit(crt);
	crt = certificate("bare");
	crl_points_of(crt, &points);
	ck_assert_uint_eq(points.n, 0);
	gnutls_x509_crt_deinit(crt);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crl");
	TCase *c = tcase_create("crl");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(c, make_certificates, remove_certificates);
	tcase_add_loop_test(c, test_answer, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(c, test_of_gnutls);
	tcase_add_test(c, test_unreadable);
	tcase_add_test(c, test_damage);
	tcase_add_test(c, test_several_in_a_file);
	tcase_add_test(c, test_points);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
