/* SPDX-License-Identifier: ISC */
/*
 * Whom we let in: clients' certificates, what is asked of them, which of our
 * own certificates they get, and how a refusal looks from the other side.
 */
#include <check.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/certs.h"
#include "tests/support/tls_pair.h"
#include "tls/session.h"

#define TLS_12 "NORMAL:-VERS-ALL:+VERS-TLS1.2"
#define MX "mx.example.com"

static char dir[256];

enum { HOUR = 3600, DAY = 24 * HOUR };

static const struct cert_spec specs[] = {
	{ .name = "ca", .cn = "Test CA", .ca = true },
	{ .name = "mid", .cn = "Test Mid", .ca = true, .issuer = "ca" },
	{ .name = "ca2", .cn = "Other CA", .ca = true },
	{ .name = "good", .cn = "mx", .dns = { MX }, .issuer = "mid" },
	{ .name = "rsa", .cn = "rsa", .key = CERT_KEY_RSA, .dns = { MX },
	  .issuer = "ca" },
	{ .name = "expired", .cn = "mx", .dns = { MX }, .issuer = "mid",
	  .from_s = -9 * DAY, .until_s = -DAY },
	{ .name = "early", .cn = "mx", .dns = { MX }, .issuer = "mid",
	  .from_s = DAY, .until_s = 9 * DAY },
	{ .name = "other", .cn = "other", .dns = { "other.example.com" },
	  .issuer = "mid" },
	{ .name = "self", .cn = "self", .dns = { MX } },
	{ .name = "stranger", .cn = "mx", .dns = { MX }, .issuer = "ca2" },
	{ .name = "weak", .cn = "mx", .key = CERT_KEY_RSA_1024, .dns = { MX },
	  .issuer = "ca" },
	{ .name = "wild", .cn = "wild", .dns = { "*.example.com" },
	  .issuer = "ca" },
	{ .name = "cn-only", .cn = MX, .issuer = "ca" },
	{ .name = "for-clients", .cn = "mx", .dns = { MX }, .issuer = "ca",
	  .purpose = CERT_FOR_CLIENTS },
	{ .name = "for-servers", .cn = "mx", .dns = { MX }, .issuer = "ca",
	  .purpose = CERT_FOR_SERVERS },
};

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/server.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		certs_make(dir, &specs[i]);
}

static void teardown(void)
{
	certs_remove(dir);
}

static struct tls_identity *identity(const char *name)
{
	return tls_pair_identity(dir, name);
}

/* NULL name: none. */
static struct tls_trust *trust(const char *name)
{
	return name ? tls_pair_trust(dir, name, "1.2") : NULL;
}

static const struct {
	const char *priority; /* of the raw peer; NULL: ours */
	const char *version;
} versions[] = {
	{ NULL, "TLS1.3" },
	{ TLS_12, "TLS1.2" },
};

/* --------------------------------------------------- certificates of clients */

static const struct client_row {
	const char  *certificate;        /* of the client; NULL: none */
	const char  *trust;
	enum tls_ask ask;
	const char  *failure;            /* NULL: it is let in */
	const char  *cause;              /* of the verdict */
	const char  *verified;
	bool         named;              /* as MX */
} client_rows[] = {
	{ "good", "ca", TLS_ASK_NOTHING, NULL, "", "none", false },
	{ NULL, "ca", TLS_ASK_NOTHING, NULL, "", "none", false },
	{ "good", "ca", TLS_ASK_REQUEST, NULL, "", "ca", true },
	{ "rsa", "ca", TLS_ASK_REQUEST, NULL, "", "ca", true },
	{ "wild", "ca", TLS_ASK_REQUEST, NULL, "", "ca", true },
	{ "other", "ca", TLS_ASK_REQUEST, NULL, "", "ca", false },
	{ "cn-only", "ca", TLS_ASK_REQUEST, NULL, "", "ca", false },
	{ "for-servers", "ca", TLS_ASK_REQUEST, NULL, "", "ca", true },
	{ "for-clients", "ca", TLS_ASK_REQUEST, NULL, "", "ca", true },
	{ NULL, "ca", TLS_ASK_REQUEST, NULL, "", "none", false },
	{ "expired", "ca", TLS_ASK_REQUEST, NULL, "tls-cert-expired", "none",
	  false },
	{ "stranger", "ca", TLS_ASK_REQUEST, NULL, "tls-cert-untrusted", "none",
	  false },
	{ "self", "ca", TLS_ASK_REQUEST, NULL, "tls-cert-self-signed", "none",
	  false },
	{ "weak", "ca", TLS_ASK_REQUEST, NULL, "tls-cert-weak", "none", false },
	{ "good", NULL, TLS_ASK_REQUEST, NULL, "", "none", false },
	{ "good", "ca", TLS_ASK_REQUIRE, NULL, "", "ca", true },
	{ "for-servers", "ca", TLS_ASK_REQUIRE, NULL, "", "ca", true },
	{ "other", "ca", TLS_ASK_REQUIRE, NULL, "", "ca", false },
	{ NULL, "ca", TLS_ASK_REQUIRE, "tls-client-cert", "", "none", false },
	{ "expired", "ca", TLS_ASK_REQUIRE, "tls-client-cert",
	  "tls-cert-expired", "none", false },
	{ "early", "ca", TLS_ASK_REQUIRE, "tls-client-cert",
	  "tls-cert-not-yet-valid", "none", false },
	{ "stranger", "ca", TLS_ASK_REQUIRE, "tls-client-cert",
	  "tls-cert-untrusted", "none", false },
	{ "self", "ca", TLS_ASK_REQUIRE, "tls-client-cert",
	  "tls-cert-self-signed", "none", false },
	{ "good", NULL, TLS_ASK_REQUIRE, "tls-client-cert",
	  "tls-cert-untrusted", "none", false },
};

static void run_client_row(const struct client_row *row, size_t v)
{
	static const char *const mx[] = { "x.test", MX };
	struct tls_identity *server = identity("good");
	struct tls_identity *client =
		row->certificate ? identity(row->certificate) : NULL;
	struct tls_trust *t = trust(row->trust);
	struct tls_policy any = { .verify = TLS_VERIFY_NONE };
	struct tls_cert_info info;
	struct tls_pair p;
	struct err e;
	bool shown = row->certificate && row->ask != TLS_ASK_NOTHING;

	tls_pair_open(&p);
	if (versions[v].priority)
		p.client.t = raw_new(
			p.client.fd,
			&(struct raw_conf){ .priority = versions[v].priority,
					    .dir = dir,
					    .name = row->certificate });
	else
		ck_assert_int_eq(tls_client_new(&p.client.t, p.client.fd, MX,
						&any, client, &e),
				 ST_OK);
	ck_assert_int_eq(
		tls_server_new(&p.server.t, p.server.fd,
			       &(struct tls_server_conf){ .identities = &server,
							  .nidentities = 1,
							  .trust = t,
							  .ask = row->ask },
			       &e),
		ST_OK);
	tls_pair_shake(&p);
	ck_assert_str_eq(cause_word(tls_session_failure(p.server.t)),
			 row->failure ? row->failure : "");
	ck_assert_int_eq(p.server.result,
			 row->failure ? TRANSPORT_FAILED : TRANSPORT_OK);
	ck_assert_str_eq(cause_word(tls_session_verdict(p.server.t)->cause),
			 row->cause);
	ck_assert_str_eq(tls_session_verified(p.server.t), row->verified);
	ck_assert_int_eq(tls_session_peer(p.server.t, &info), shown);
	ck_assert_int_eq(tls_session_peer_named(p.server.t, mx, 2), row->named);
	tls_pair_close(&p);
	tls_trust_unref(t);
	tls_identity_unref(server);
	tls_identity_unref(client);
}

START_TEST(test_client_row)
{
	for (size_t v = 0; v < ARRAY_LEN(versions); v++)
		run_client_row(&client_rows[_i], v);
}
END_TEST

/* --------------------------------------------- our certificate is not taken */

/* Under TLS 1.3 the refusal is read after our side of the handshake. */
static void expect_client_cert(struct tls_pair *p, bool write_first)
{
	char byte[64];
	size_t n;

	tls_side_hang_up(&p->server);
	if (write_first) {
		p->client.result = p->client.t->ops->write(p->client.t, "EHLO",
							   4, &n, &p->client.e);
		if (p->client.result == TRANSPORT_OK)
			p->client.result = p->client.t->ops->read(
				p->client.t, byte, sizeof(byte), &n,
				&p->client.e);
	} else if (p->client.result == TRANSPORT_OK) {
		p->client.result = p->client.t->ops->read(
			p->client.t, byte, sizeof(byte), &n, &p->client.e);
	}
	ck_assert_int_eq(p->client.result, TRANSPORT_FAILED);
	ck_assert_str_eq(cause_word(tls_session_failure(p->client.t)),
			 "tls-client-cert");
}

static const struct {
	const char *certificate; /* ours */
	const char *priority; /* of a raw server; NULL: ours */
	bool write_first;
	const char *text;
	bool rude; /* the server resets the connection behind its alert */
} refusals[] = {
	{ "stranger", NULL, false, "not accept our client certificate", false },
	{ "stranger", NULL, true, "alert unknown_ca (48)", false },
	{ "stranger", NULL, true, "alert unknown_ca (48)", true },
	{ "expired", NULL, false, "alert certificate_expired (45)", false },
	{ NULL, NULL, false, "alert certificate_required (116)", false },
	{ NULL, NULL, true, "we have none to show", false },
	{ NULL, NULL, true, "we have none to show", true },
	{ NULL, TLS_12, false, "we have none to show", false },
};

START_TEST(test_refusal)
{
	struct tls_identity *server = identity("good");
	struct tls_identity *ours = refusals[_i].certificate
					    ? identity(refusals[_i].certificate)
					    : NULL;
	struct tls_trust *t = trust("ca");
	struct tls_policy policy = { .verify = TLS_VERIFY_NAME, .trust = t };
	struct tls_pair p;
	struct err e;

	if (refusals[_i].rude)
		tls_pair_open_rude(&p);
	else
		tls_pair_open(&p);
	ck_assert_int_eq(
		tls_client_new(&p.client.t, p.client.fd, MX, &policy, ours, &e),
		ST_OK);
	if (refusals[_i].priority)
		p.server.t = raw_new(
			p.server.fd,
			&(struct raw_conf){ .kind = RAW_SERVER,
					    .priority = refusals[_i].priority,
					    .ask = GNUTLS_CERT_REQUIRE,
					    .dir = dir,
					    .name = "good" });
	else
		ck_assert_int_eq(
			tls_server_new(&p.server.t, p.server.fd,
				       &(struct tls_server_conf){
					       .identities = &server,
					       .nidentities = 1,
					       .trust = t,
					       .ask = TLS_ASK_REQUIRE },
				       &e),
			ST_OK);
	tls_pair_shake(&p);
	expect_client_cert(&p, refusals[_i].write_first);
	ck_assert_msg(strstr(p.client.e.text, refusals[_i].text) != NULL, "%s",
		      p.client.e.text);
	tls_pair_close(&p);
	tls_trust_unref(t);
	tls_identity_unref(server);
	tls_identity_unref(ours);
}
END_TEST

/* ---------------------------------------------------------------------- SNI */

static const struct {
	const char *host;
	const char *subject; /* of what the server shows */
	const char *priority; /* of the client */
} choices[] = {
	{ MX, "CN=mx", "NORMAL" },
	{ "other.example.com", "CN=other", "NORMAL" },
	{ "www.example.com", "CN=wild", "NORMAL" },
	{ "unknown.test", "CN=mx", "NORMAL" },
	{ NULL, "CN=mx", "NORMAL" },
	{ MX, "CN=mx", TLS_12 },
	{ "other.example.com", "CN=other", TLS_12 },
	/* one that cannot verify ECDSA */
	{ MX, "CN=rsa",
	  "NORMAL:-SIGN-ALL:+SIGN-RSA-PSS-RSAE-SHA256:+SIGN-RSA-SHA256" },
	{ "other.example.com", "CN=rsa", TLS_12 ":-SIGN-ALL:+SIGN-RSA-SHA256" },
};

START_TEST(test_choice)
{
	struct tls_identity *four[] = { identity("good"), identity("other"),
					identity("wild"), identity("rsa") };
	const gnutls_datum_t *shown;
	gnutls_datum_t subject;
	gnutls_x509_crt_t crt;
	struct tls_pair p;
	struct err e;
	unsigned n;

	tls_pair_open(&p);
	p.client.t =
		raw_new(p.client.fd,
			&(struct raw_conf){ .priority = choices[_i].priority,
					    .host = choices[_i].host,
					    .dir = dir,
					    .name = NULL });
	ck_assert_int_eq(
		tls_server_new(&p.server.t, p.server.fd,
			       &(struct tls_server_conf){ .identities = four,
							  .nidentities = 4 },
			       &e),
		ST_OK);
	tls_pair_shake(&p);
	ck_assert_msg(p.client.result == TRANSPORT_OK, "%s", p.client.e.text);
	shown = gnutls_certificate_get_peers(raw_session(p.client.t), &n);
	ck_assert_ptr_nonnull(shown);
	ck_assert_int_ge(gnutls_x509_crt_init(&crt), 0);
	ck_assert_int_ge(
		gnutls_x509_crt_import(crt, shown, GNUTLS_X509_FMT_DER), 0);
	ck_assert_int_ge(gnutls_x509_crt_get_dn3(crt, &subject, 0), 0);
	ck_assert_str_eq((const char *)subject.data, choices[_i].subject);
	gnutls_free(subject.data);
	gnutls_x509_crt_deinit(crt);
	tls_pair_close(&p);
	for (size_t i = 0; i < ARRAY_LEN(four); i++)
		tls_identity_unref(four[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("server");
	TCase *c = tcase_create("server");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_client_row, 0, (int)ARRAY_LEN(client_rows));
	tcase_add_loop_test(c, test_refusal, 0, (int)ARRAY_LEN(refusals));
	tcase_add_loop_test(c, test_choice, 0, (int)ARRAY_LEN(choices));
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
