/* SPDX-License-Identifier: ISC */
/*
 * Identities and trust from files, good and bad.
 */
#include <check.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/certs.h"
#include "tls/identity.h"

#define SYSTEM_BUNDLE "/etc/ssl/certs/ca-certificates.crt"

static char dir[256];

static const struct cert_spec specs[] = {
	{ .name = "ca", .cn = "Test CA", .ca = true },
	{ .name = "mid", .cn = "Test Intermediate", .ca = true,
	  .issuer = "ca" },
	{ .name = "ec", .cn = "mx", .dns = { "mx.example.com",
	  "*.example.org" }, .ip = { "192.0.2.1", "2001:db8::25" },
	  .issuer = "mid" },
	{ .name = "rsa", .cn = "mx", .key = CERT_KEY_RSA, .issuer = "ca" },
	{ .name = "ed", .cn = "mx", .key = CERT_KEY_ED25519, .issuer = "ca" },
	{ .name = "whole", .cn = "mx", .issuer = "ca",
	  .flaw = CERT_ROOT_IN_CHAIN },
};

static char *path(const char *name, const char *ext)
{
	return certs_path(dir, name, ext);
}

static gnutls_datum_t load(const char *name, const char *ext)
{
	char *file = path(name, ext);
	gnutls_datum_t data;

	ck_assert_int_ge(gnutls_load_file(file, &data), 0);
	free(file);
	return data;
}

static void save(const char *name, const char *ext, const void *at, size_t len)
{
	char *file = path(name, ext);
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert(len == 0 || fwrite(at, len, 1, f) == 1);
	ck_assert_int_eq(fclose(f), 0);
	free(file);
}

/* Joins two files of dir into a third. */
static void join(const char *name, const char *ext, gnutls_datum_t a,
		 gnutls_datum_t b)
{
	char *both = xmalloc(a.size + b.size);

	memcpy(both, a.data, a.size);
	memcpy(both + a.size, b.data, b.size);
	save(name, ext, both, a.size + b.size);
	free(both);
	gnutls_free(a.data);
	gnutls_free(b.data);
}

static void make_encrypted_key(void)
{
	gnutls_datum_t plain = load("ec", "key");
	gnutls_datum_t pem;
	gnutls_x509_privkey_t key;

	ck_assert_int_ge(gnutls_x509_privkey_init(&key), 0);
	ck_assert_int_ge(
		gnutls_x509_privkey_import(key, &plain, GNUTLS_X509_FMT_PEM),
		0);
	ck_assert_int_ge(gnutls_x509_privkey_export2_pkcs8(
				 key, GNUTLS_X509_FMT_PEM, "secret",
				 GNUTLS_PKCS_PBES2_AES_256, &pem),
			 0);
	save("locked", "key", pem.data, pem.size);
	gnutls_free(pem.data);
	gnutls_free(plain.data);
	gnutls_x509_privkey_deinit(key);
}

static void make_der(void)
{
	gnutls_datum_t pem = load("ec", "pem");
	gnutls_datum_t der;

	ck_assert_int_ge(gnutls_pem_base64_decode2("CERTIFICATE", &pem, &der),
			 0);
	save("der", "pem", der.data, der.size);
	gnutls_free(der.data);
	gnutls_free(pem.data);
}

static void setup(void)
{
	static const char broken[] = "-----BEGIN CERTIFICATE-----\nAAAA\n"
				     "-----END CERTIFICATE-----\n";
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/creds.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		certs_make(dir, &specs[i]);
	make_encrypted_key();
	make_der();
	save("empty", "pem", "", 0);
	save("text", "pem", "hello\n", 6);
	save("broken", "pem", broken, sizeof(broken) - 1);
	/* key and certificate in one file, and a chain in the wrong order */
	join("both", "pem", load("ec", "key"), load("ec", "pem"));
	join("half", "pem", load("whole", "pem"), load("mid", "pem"));
	join("bundle", "pem", load("ca", "pem"), load("mid", "pem"));
}

static void teardown(void)
{
	certs_remove(dir);
}

/* ----------------------------------------------------------------- identity */

static const struct {
	const char *certificate, *cert_ext, *key, *key_ext;
	const char *wrong; /* some of the text; NULL: it loads */
	unsigned len;
} identities[] = {
	{ "ec", "pem", "ec", "key", NULL, 2 },
	{ "rsa", "pem", "rsa", "key", NULL, 1 },
	{ "ed", "pem", "ed", "key", NULL, 1 },
	{ "whole", "pem", "whole", "key", NULL, 2 },
	{ "both", "pem", "both", "pem", NULL, 2 },
	{ "half", "pem", "whole", "key", NULL, 2 },
	{ "ec", "pem", "rsa", "key", "rsa.key: not the key of the first", 0 },
	{ "rsa", "pem", "ed", "key", "ed.key: not the key of the first", 0 },
	{ "ec", "pem", "ca", "key", "ca.key: not the key of the first", 0 },
	{ "bundle", "pem", "mid", "key", "not the key of the first", 0 },
	{ "ec", "pem", "locked", "key", "locked.key: the key is encrypted", 0 },
	{ "ec", "pem", "ec", "pem", "ec.pem: no private key in it", 0 },
	{ "ec", "key", "ec", "key", "ec.key: no certificate in it", 0 },
	{ "ec", "pem", "absent", "key", "absent.key: No such file", 0 },
	{ "absent", "pem", "ec", "key", "absent.pem: No such file", 0 },
	{ "empty", "pem", "ec", "key", "empty.pem: the file is empty", 0 },
	{ "text", "pem", "ec", "key", "text.pem: not PEM", 0 },
	{ "der", "pem", "ec", "key", "der.pem: DER or PKCS#12, not PEM", 0 },
	{ "broken", "pem", "ec", "key", "broken.pem: bad certificate", 0 },
	{ "ec", "pem", "broken", "pem", "broken.pem: no private key", 0 },
};

START_TEST(test_identity)
{
	char *certificate =
		path(identities[_i].certificate, identities[_i].cert_ext);
	char *key = path(identities[_i].key, identities[_i].key_ext);
	struct tls_identity *i = NULL;
	struct err e = { .text = "" };
	enum status st = tls_identity_load(&i, certificate, key, &e);

	if (identities[_i].wrong) {
		ck_assert_int_eq(st, ST_PERM);
		ck_assert_ptr_null(i);
		ck_assert_int_eq(e.subject, 7);
		ck_assert_msg(strstr(e.text, identities[_i].wrong) != NULL,
			      "%s", e.text);
	} else {
		struct identity_offer offer;
		char said[64];

		ck_assert_msg(st == ST_OK, "%s", e.text);
		identity_offer(i, &offer);
		ck_assert_uint_eq(offer.len, identities[_i].len);
		ck_assert_ptr_null(offer.staple);
		tls_identity_staple_say(i, said, sizeof(said));
		ck_assert_str_eq(said, "off");
		ck_assert_ptr_eq(tls_identity_ref(i), i);
		tls_identity_unref(i);
		tls_identity_unref(i);
	}
	free(certificate);
	free(key);
}
END_TEST

START_TEST(test_unreadable)
{
	char *key = path("ec", "key");
	struct tls_identity *i = NULL;
	struct err e;

	ck_assert_int_eq(tls_identity_load(&i, dir, key, &e), ST_PERM);
	ck_assert_msg(strstr(e.text, "Is a directory") != NULL, "%s", e.text);
	tls_identity_unref(NULL);
	free(key);
}
END_TEST

/* SHA-256 of the public key in DER, by another way than the code's. */
static void pin_of(const char *name, char out[65])
{
	gnutls_datum_t pem = load(name, "pem");
	gnutls_datum_t der;
	gnutls_x509_crt_t crt;
	gnutls_pubkey_t key;
	uint8_t hash[32];

	ck_assert_int_ge(gnutls_x509_crt_init(&crt), 0);
	ck_assert_int_ge(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM),
			 0);
	ck_assert_int_ge(gnutls_pubkey_init(&key), 0);
	ck_assert_int_ge(gnutls_pubkey_import_x509(key, crt, 0), 0);
	ck_assert_int_ge(gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der),
			 0);
	ck_assert_int_ge(
		gnutls_hash_fast(GNUTLS_DIG_SHA256, der.data, der.size, hash),
		0);
	for (size_t i = 0; i < sizeof(hash); i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	gnutls_pubkey_deinit(key);
	gnutls_x509_crt_deinit(crt);
	gnutls_free(der.data);
	gnutls_free(pem.data);
}

START_TEST(test_info)
{
	char *certificate = path("ec", "pem");
	char *key = path("ec", "key");
	struct tls_identity *i = NULL;
	struct tls_cert_info info;
	char pin[65];
	struct err e;

	ck_assert_int_eq(tls_identity_load(&i, certificate, key, &e), ST_OK);
	tls_identity_info(i, &info);
	ck_assert_str_eq(info.subject, "CN=mx");
	ck_assert_str_eq(info.issuer, "CN=Test Intermediate");
	ck_assert_str_eq(info.names, "mx.example.com, *.example.org, "
				     "192.0.2.1, 2001:db8::25");
	ck_assert_uint_eq(strlen(info.serial), 8);
	ck_assert_int_eq(strncmp(info.serial, "112233", 6), 0);
	ck_assert_int_lt(info.not_before_ms, clock_wall_ms());
	ck_assert_int_gt(info.not_after_ms, clock_wall_ms());
	pin_of("ec", pin);
	ck_assert_str_eq(info.spki_sha256, pin);
	tls_identity_unref(i);
	free(certificate);
	free(key);
}
END_TEST

/* -------------------------------------------------------------------- trust */

static const struct {
	const char *files[3]; /* names in dir, or "system" */
	const char *min_tls;
	const char *wrong;
} trusts[] = {
	{ { "ca" }, "1.2", NULL },
	{ { "ca" }, "1.3", NULL },
	{ { "ca" }, NULL, NULL },
	{ { "ca", "mid" }, "1.2", NULL },
	{ { "ca", "ca" }, "1.2", NULL },
	{ { "bundle" }, "1.2", NULL },
	{ { "both" }, "1.2", NULL },
	{ { NULL }, "1.2", "at least one ca" },
	{ { "ca" }, "1.1", "min_tls \"1.1\"" },
	{ { "ca" }, "", "min_tls \"\"" },
	{ { "absent" }, "1.2", "absent.pem: No such file" },
	{ { "ca", "absent" }, "1.2", "absent.pem: No such file" },
	{ { "empty" }, "1.2", "empty.pem: the file is empty" },
	{ { "text" }, "1.2", "text.pem: not PEM" },
	{ { "der" }, "1.2", "der.pem: DER" },
	{ { "broken" }, "1.2", "broken.pem: bad certificate" },
};

START_TEST(test_trust)
{
	char *files[3] = { NULL, NULL, NULL };
	struct tls_trust *t = NULL;
	struct err e = { .text = "" };
	enum status st;
	size_t n = 0;

	for (; n < 3 && trusts[_i].files[n]; n++)
		files[n] = path(trusts[_i].files[n], "pem");
	st = tls_trust_load(&t, (const char *const *)files, n,
			    trusts[_i].min_tls, &e);
	if (trusts[_i].wrong) {
		ck_assert_int_eq(st, ST_PERM);
		ck_assert_ptr_null(t);
		ck_assert_msg(strstr(e.text, trusts[_i].wrong) != NULL, "%s",
			      e.text);
	} else {
		ck_assert_msg(st == ST_OK, "%s", e.text);
		ck_assert_ptr_eq(tls_trust_ref(t), t);
		tls_trust_unref(t);
		tls_trust_unref(t);
	}
	for (size_t i = 0; i < n; i++)
		free(files[i]);
}
END_TEST

START_TEST(test_key_is_no_trust)
{
	char *file = path("ec", "key");
	const char *const files[] = { file };
	struct tls_trust *t = NULL;
	struct err e;

	ck_assert_int_eq(tls_trust_load(&t, files, 1, NULL, &e), ST_PERM);
	ck_assert_msg(strstr(e.text, "no certificate in it") != NULL, "%s",
		      e.text);
	tls_trust_unref(NULL);
	free(file);
}
END_TEST

START_TEST(test_system)
{
	static const char *const files[] = { "system" };
	struct tls_trust *t = NULL;
	struct err e = { .text = "" };
	enum status st = tls_trust_load(&t, files, 1, "1.2", &e);

	if (access(SYSTEM_BUNDLE, R_OK) == 0)
		ck_assert_msg(st == ST_OK, "%s", e.text);
	else
		ck_assert_int_eq(st, ST_PERM);
	tls_trust_unref(t);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("creds");
	TCase *c = tcase_create("creds");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_identity, 0, (int)ARRAY_LEN(identities));
	tcase_add_test(c, test_unreadable);
	tcase_add_test(c, test_info);
	tcase_add_loop_test(c, test_trust, 0, (int)ARRAY_LEN(trusts));
	tcase_add_test(c, test_key_is_no_trust);
	tcase_add_test(c, test_system);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
