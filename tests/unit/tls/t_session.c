/* SPDX-License-Identifier: ISC */
/*
 * Whom we deliver to: servers' certificates under policies, with TLS 1.2 and
 * TLS 1.3.
 */
#include <check.h>
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
	{ .name = "mid2", .cn = "Other Mid", .ca = true, .issuer = "ca2" },
	{ .name = "good", .cn = "mx", .dns = { MX }, .issuer = "mid" },
	{ .name = "many", .dns = { "a.test", "b.test", MX }, .issuer = "ca" },
	{ .name = "rsa", .cn = "rsa", .key = CERT_KEY_RSA, .dns = { MX },
	  .issuer = "ca" },
	{ .name = "ed", .cn = "ed", .key = CERT_KEY_ED25519, .dns = { MX },
	  .issuer = "ca" },
	{ .name = "expired", .cn = "mx", .dns = { MX }, .issuer = "mid",
	  .from_s = -9 * DAY, .until_s = -DAY },
	{ .name = "early", .cn = "mx", .dns = { MX }, .issuer = "mid",
	  .from_s = DAY, .until_s = 9 * DAY },
	{ .name = "other", .cn = "other", .dns = { "other.example.com" },
	  .issuer = "mid" },
	{ .name = "expired-other", .cn = "other", .dns = { "other.test" },
	  .issuer = "mid", .from_s = -9 * DAY, .until_s = -DAY },
	{ .name = "self", .cn = "self", .dns = { MX } },
	{ .name = "self-expired", .cn = "self", .dns = { MX }, .from_s = -9 *
	  DAY, .until_s = -DAY },
	{ .name = "stranger", .cn = "mx", .dns = { MX }, .issuer = "ca2" },
	{ .name = "stranger-root", .cn = "mx", .dns = { MX }, .issuer = "ca2",
	  .flaw = CERT_ROOT_IN_CHAIN },
	{ .name = "stranger-expired", .cn = "mx", .dns = { MX },
	  .issuer = "mid2", .from_s = -9 * DAY, .until_s = -DAY },
	{ .name = "no-chain", .cn = "mx", .dns = { MX }, .issuer = "mid",
	  .flaw = CERT_WITHOUT_CHAIN },
	{ .name = "root-sent", .cn = "mx", .dns = { MX }, .issuer = "ca",
	  .flaw = CERT_ROOT_IN_CHAIN },
	{ .name = "old-mid", .cn = "Old Mid", .ca = true, .issuer = "ca",
	  .from_s = -9 * DAY, .until_s = -DAY },
	{ .name = "under-old-mid", .cn = "mx", .dns = { MX },
	  .issuer = "old-mid" },
	{ .name = "old-ca", .cn = "Old CA", .ca = true, .from_s = -9 * DAY,
	  .until_s = -DAY },
	{ .name = "under-old-ca", .cn = "mx", .dns = { MX },
	  .issuer = "old-ca" },
	{ .name = "weak", .cn = "mx", .key = CERT_KEY_RSA_1024, .dns = { MX },
	  .issuer = "ca" },
	{ .name = "weak-other", .cn = "mx", .key = CERT_KEY_RSA_1024,
	  .dns = { "other.test" }, .issuer = "ca" },
	{ .name = "sha1", .cn = "mx", .dns = { MX }, .issuer = "ca",
	  .flaw = CERT_SIGNED_WITH_SHA1 },
	{ .name = "wild", .cn = "wild", .dns = { "*.example.com" },
	  .issuer = "ca" },
	{ .name = "wild-part", .cn = "wild", .dns = { "m*.example.com" },
	  .issuer = "ca" },
	{ .name = "ip", .cn = "ip", .ip = { "192.0.2.7", "2001:db8::7" },
	  .issuer = "ca" },
	{ .name = "ip-as-dns", .cn = "ip", .dns = { "192.0.2.7" },
	  .issuer = "ca" },
	{ .name = "cn-only", .cn = MX, .issuer = "ca" },
	{ .name = "cn-wild", .cn = "*.example.com", .issuer = "ca" },
	{ .name = "cn-and-san", .cn = MX, .dns = { "other.test" },
	  .issuer = "ca" },
	{ .name = "idn", .cn = "idn", .dns = { "xn--mnchen-3ya.example.com" },
	  .issuer = "ca" },
	{ .name = "for-clients", .cn = "mx", .dns = { MX }, .issuer = "ca",
	  .purpose = CERT_FOR_CLIENTS },
	{ .name = "for-servers", .cn = "mx", .dns = { MX }, .issuer = "ca",
	  .purpose = CERT_FOR_SERVERS },
	{ .name = "under-leaf", .cn = "mx", .dns = { MX }, .issuer = "good" },
	{ .name = "narrow-ca", .cn = "Narrow CA", .ca = true, .issuer = "ca",
	  .permitted = "example.org" },
	{ .name = "beyond", .cn = "mx", .dns = { MX }, .issuer = "narrow-ca" },
	{ .name = "beyond-by-cn", .cn = MX, .issuer = "narrow-ca" },
	{ .name = "within-by-cn", .cn = "mx.example.org",
	  .issuer = "narrow-ca" },
	{ .name = "keyless-ca", .cn = "Keyless CA", .ca = true, .issuer = "ca",
	  .flaw = CERT_SIGNS_NO_CERTS },
	{ .name = "under-keyless", .cn = "mx", .dns = { MX },
	  .issuer = "keyless-ca" },
	{ .name = "last-ca", .cn = "Last CA", .ca = true, .issuer = "ca",
	  .flaw = CERT_OF_LAST_CA },
	{ .name = "one-more-ca", .cn = "One more CA", .ca = true,
	  .issuer = "last-ca" },
	{ .name = "too-deep", .cn = "mx", .dns = { MX },
	  .issuer = "one-more-ca" },
	{ .name = "renewed", .cn = "mx", .dns = { MX }, .issuer = "mid",
	  .key_of = "expired" },
};

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/session.XXXXXX", tmp ? tmp : "/tmp");
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

static void pin_of(const char *name, uint8_t pin[32])
{
	struct tls_identity *i = identity(name);
	struct tls_cert_info info;

	tls_identity_info(i, &info);
	for (size_t n = 0; n < 32; n++)
		ck_assert_int_eq(
			sscanf(info.spki_sha256 + 2 * n, "%2hhx", &pin[n]), 1);
	tls_identity_unref(i);
}

static const struct {
	const char *priority; /* of the raw peer; NULL: ours */
	const char *version;
} versions[] = {
	{ NULL, "TLS1.3" },
	{ TLS_12, "TLS1.2" },
};

/* ------------------------------------------------- we are the client (rows) */

#define NONE TLS_VERIFY_NONE
#define CA TLS_VERIFY_CA
#define NAME TLS_VERIFY_NAME

static const struct row {
	const char     *certificate, *trust, *host;
	enum tls_verify verify;
	const char     *names[2];
	const char     *pin;             /* the key of this certificate */
	bool            common_name;
	unsigned        forgive;
	const char     *forgive_pin;     /* the key of this certificate */
	const char     *cause;           /* of the verdict */
	const char     *verified;        /* NULL: the handshake fails */
	const char     *text;            /* some of the verdict's */
} rows[] = {
	/* a good one, as far as it is asked */
	{ "good", "ca", MX, NAME, .cause = "", .verified = "name" },
	{ "good", "ca", MX, CA, .cause = "", .verified = "name" },
	{ "good", "ca", MX, NONE, .cause = "", .verified = "name" },
	{ "good", NULL, MX, NONE, .cause = "", .verified = "none" },
	{ "good", "ca", "MX.Example.COM.", NAME, .cause = "",
	  .verified = "name" },
	{ "many", "ca", MX, NAME, .cause = "", .verified = "name" },
	{ "rsa", "ca", MX, NAME, .cause = "", .verified = "name" },
	{ "ed", "ca", MX, NAME, .cause = "", .verified = "name" },
	{ "root-sent", "ca", MX, NAME, .cause = "", .verified = "name" },
	{ "good", "mid", MX, NAME, .cause = "", .verified = "name" },
	{ "good", "good", MX, NAME, .cause = "", .verified = "name" },
	{ "for-servers", "ca", MX, NAME, .cause = "", .verified = "name" },
	/* dates */
	{ "expired", "ca", MX, NAME, .cause = "tls-cert-expired",
	  .text = "the certificate has expired on 20" },
	{ "expired", "ca", MX, CA, .cause = "tls-cert-expired" },
	{ "expired", "ca", MX, NONE, .cause = "tls-cert-expired",
	  .verified = "none" },
	{ "expired", NULL, MX, NONE, .cause = "tls-cert-expired",
	  .verified = "none" },
	{ "early", "ca", MX, NAME, .cause = "tls-cert-not-yet-valid",
	  .text = "not valid yet: not before 20" },
	{ "early", "ca", MX, NONE, .cause = "tls-cert-not-yet-valid",
	  .verified = "none" },
	{ "early", NULL, MX, NONE, .cause = "tls-cert-not-yet-valid",
	  .verified = "none" },
	{ "expired-other", "ca", MX, NAME, .cause = "tls-cert-expired" },
	{ "under-old-mid", "ca", MX, NAME, .cause = "tls-cert-expired",
	  .text = "expired: the intermediate CN=Old Mid, on 20" },
	{ "under-old-mid", "ca", MX, CA, .cause = "tls-cert-expired" },
	{ "under-old-mid", "ca", MX, NONE, .cause = "tls-cert-expired",
	  .verified = "none" },
	{ "under-old-ca", "old-ca", MX, NAME, .cause = "tls-cert-expired",
	  .text = "expired: the trusted CA CN=Old CA, on 20" },
	/* trust */
	{ "stranger", "ca", MX, NAME, .cause = "tls-cert-untrusted",
	  .text = "CN=Other CA is neither sent" },
	{ "stranger", "ca", MX, CA, .cause = "tls-cert-untrusted" },
	{ "stranger", "ca", MX, NONE, .cause = "tls-cert-untrusted",
	  .verified = "none" },
	{ "stranger", NULL, MX, NONE, .cause = "", .verified = "none" },
	{ "stranger-root", "ca", MX, NAME, .cause = "tls-cert-untrusted",
	  .text = "the root CN=Other CA is not in the trust" },
	{ "stranger-expired", "ca", MX, NAME, .cause = "tls-cert-untrusted" },
	{ "no-chain", "ca", MX, NAME, .cause = "tls-cert-untrusted",
	  .text = "CN=Test Mid is neither sent by the peer (chain incompl" },
	{ "no-chain", "mid", MX, NAME, .cause = "", .verified = "name" },
	{ "under-leaf", "ca", MX, NAME, .cause = "tls-cert-untrusted",
	  .text = "issued by one that is no CA" },
	{ "beyond", "ca", MX, NAME, .cause = "tls-cert-untrusted",
	  .text = "outside of what its issuer may certify" },
	{ "beyond-by-cn", "ca", MX, NAME, .common_name = true,
	  .cause = "tls-cert-untrusted" },
	{ "within-by-cn", "ca", "mx.example.org", NAME, .common_name = true,
	  .cause = "", .verified = "name" },
	{ "under-keyless", "ca", MX, NAME, .cause = "tls-cert-untrusted" },
	{ "too-deep", "ca", MX, NAME, .cause = "tls-cert-untrusted" },
	{ "for-clients", "ca", MX, NAME, .cause = "tls-cert-untrusted",
	  .text = "not meant for servers" },
	{ "for-clients", "ca", MX, NONE, .cause = "tls-cert-untrusted",
	  .verified = "none" },
	{ "self", "ca", MX, NAME, .cause = "tls-cert-self-signed",
	  .text = "self-signed and not trusted here" },
	{ "self", "ca", MX, CA, .cause = "tls-cert-self-signed" },
	{ "self", "ca", MX, NONE, .cause = "tls-cert-self-signed",
	  .verified = "none" },
	{ "self", NULL, MX, NONE, .cause = "tls-cert-self-signed",
	  .verified = "none" },
	{ "self", "self", MX, NAME, .cause = "", .verified = "name" },
	{ "self", "self", "other.test", NAME, .cause = "tls-cert-name" },
	{ "self-expired", "ca", MX, NAME, .cause = "tls-cert-self-signed" },
	{ "self-expired", "self-expired", MX, NAME,
	  .cause = "tls-cert-expired" },
	/* strength */
	{ "weak", "ca", MX, NAME, .cause = "tls-cert-weak",
	  .text = "RSA 1024 bits" },
	{ "weak", "ca", MX, CA, .cause = "tls-cert-weak" },
	{ "weak", "ca", MX, NONE, .cause = "tls-cert-weak",
	  .verified = "none" },
	{ "weak", NULL, MX, NONE, .cause = "tls-cert-weak",
	  .verified = "none" },
	{ "weak-other", "ca", MX, NAME, .cause = "tls-cert-weak" },
	{ "sha1", "ca", MX, NAME, .cause = "tls-cert-weak",
	  .text = "signed with ECDSA-SHA1" },
	{ "sha1", "ca", MX, NONE, .cause = "tls-cert-weak",
	  .verified = "none" },
	/* names */
	{ "other", "ca", MX, NAME, .cause = "tls-cert-name",
	  .text = "another name, expected " MX "; subject CN=other, names "
	  "other.example.com, issuer CN=Test Mid, valid 20" },
	{ "other", "ca", MX, CA, .cause = "tls-cert-name", .verified = "ca" },
	{ "other", "ca", MX, NONE, .cause = "tls-cert-name", .verified = "ca" },
	{ "other", NULL, MX, NONE, .cause = "tls-cert-name",
	  .verified = "none" },
	{ "other", "ca", MX, NAME, { "other.example.com" }, .cause = "",
	  .verified = "name" },
	{ "other", "ca", MX, NAME, { "x.test", "other.example.com" },
	  .cause = "", .verified = "name" },
	{ "good", "ca", MX, NAME, { "x.test", "y.test" },
	  .cause = "tls-cert-name", .text = "expected x.test or y.test" },
	{ "good", "ca", MX, NAME, { "*.example.com" }, .cause = "",
	  .verified = "name" },
	{ "wild", "ca", MX, NAME, .cause = "", .verified = "name" },
	{ "wild", "ca", "a.mx.example.com", NAME, .cause = "tls-cert-name" },
	{ "wild", "ca", "example.com", NAME, .cause = "tls-cert-name" },
	{ "wild", "ca", MX, NAME, { "*.example.com" }, .cause = "",
	  .verified = "name" },
	{ "wild-part", "ca", MX, NAME, .cause = "tls-cert-name" },
	{ "ip", "ca", "192.0.2.7", NAME, .cause = "", .verified = "name" },
	{ "ip", "ca", "2001:db8:0::7", NAME, .cause = "", .verified = "name" },
	{ "ip", "ca", "192.0.2.8", NAME, .cause = "tls-cert-name" },
	{ "ip", "ca", MX, NAME, { "192.0.2.7" }, .cause = "",
	  .verified = "name" },
	{ "ip-as-dns", "ca", "192.0.2.7", NAME, .cause = "tls-cert-name" },
	{ "cn-only", "ca", MX, NAME, .cause = "tls-cert-name",
	  .text = "names (none)" },
	{ "cn-only", "ca", MX, NAME, .common_name = true, .cause = "",
	  .verified = "name" },
	{ "cn-only", "ca", "x.test", NAME, .common_name = true,
	  .cause = "tls-cert-name" },
	{ "cn-wild", "ca", MX, NAME, .common_name = true, .cause = "",
	  .verified = "name" },
	{ "cn-and-san", "ca", MX, NAME, .common_name = true,
	  .cause = "tls-cert-name" },
	{ "idn", "ca", "xn--mnchen-3ya.example.com", NAME, .cause = "",
	  .verified = "name" },
	{ "idn", "ca", "m\xC3\xBCnchen.example.com", NAME, .cause = "",
	  .verified = "name" },
	/* pins */
	{ "good", "ca", MX, NAME, .pin = "good", .cause = "",
	  .verified = "pin" },
	{ "self", "ca", "x.test", NAME, .pin = "self", .cause = "",
	  .verified = "pin" },
	{ "expired", "ca", MX, NAME, .pin = "expired", .cause = "",
	  .verified = "pin" },
	{ "renewed", "ca2", MX, NAME, .pin = "expired", .cause = "",
	  .verified = "pin" },
	{ "self", NULL, MX, NONE, .pin = "self", .cause = "",
	  .verified = "pin" },
	{ "good", "ca", MX, NAME, .pin = "self", .cause = "",
	  .verified = "name" },
	{ "other", "ca", MX, CA, .pin = "self", .cause = "tls-cert-name",
	  .verified = "ca" },
	{ "other", "ca", MX, NAME, .pin = "self", .cause = "tls-pin",
	  .text = "matches no pin, and the certificate bears another name" },
	{ "self", "ca", MX, CA, .pin = "good", .cause = "tls-pin" },
	{ "good", "ca", MX, NONE, .pin = "self", .cause = "tls-pin",
	  .text = "matches no pin, expected" },
	{ "good", NULL, MX, NONE, .pin = "self", .cause = "tls-pin" },
	/* exceptions */
	{ "good", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED, .cause = "",
	  .verified = "name" },
	{ "expired", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED,
	  .cause = "tls-cert-expired", .verified = "exception" },
	{ "expired", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED,
	  .forgive_pin = "expired", .cause = "tls-cert-expired",
	  .verified = "exception" },
	{ "expired", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED,
	  .forgive_pin = "good", .cause = "tls-cert-expired" },
	{ "expired", "ca", MX, NAME, .forgive = TLS_FORGIVE_NAME,
	  .cause = "tls-cert-expired" },
	{ "under-old-mid", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED,
	  .cause = "tls-cert-expired", .verified = "exception" },
	{ "expired-other", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED,
	  .cause = "tls-cert-expired" },
	{ "early", "ca", MX, NAME, .forgive = TLS_FORGIVE_EXPIRED,
	  .cause = "tls-cert-not-yet-valid" },
	{ "other", "ca", MX, NAME, .forgive = TLS_FORGIVE_NAME,
	  .cause = "tls-cert-name", .verified = "exception" },
	{ "stranger", "ca", MX, NAME, .forgive = TLS_FORGIVE_UNTRUSTED,
	  .cause = "tls-cert-untrusted", .verified = "exception" },
	{ "no-chain", "ca", MX, NAME, .forgive = TLS_FORGIVE_UNTRUSTED,
	  .cause = "tls-cert-untrusted", .verified = "exception" },
	{ "stranger-expired", "ca", MX, NAME,
	  .forgive = TLS_FORGIVE_UNTRUSTED, .cause = "tls-cert-untrusted" },
	{ "stranger-expired", "ca", MX, NAME,
	  .forgive = TLS_FORGIVE_UNTRUSTED | TLS_FORGIVE_EXPIRED,
	  .cause = "tls-cert-untrusted", .verified = "exception" },
	{ "self", "ca", MX, NAME, .forgive = TLS_FORGIVE_UNTRUSTED,
	  .cause = "tls-cert-self-signed", .verified = "exception" },
	{ "self", "ca", "x.test", NAME, .forgive = TLS_FORGIVE_UNTRUSTED,
	  .cause = "tls-cert-self-signed" },
	{ "self-expired", "ca", MX, NAME, .forgive = TLS_FORGIVE_UNTRUSTED,
	  .cause = "tls-cert-self-signed" },
	{ "weak", "ca", MX, NAME,
	  .forgive = TLS_FORGIVE_UNTRUSTED | TLS_FORGIVE_EXPIRED |
		     TLS_FORGIVE_NAME | TLS_FORGIVE_CRL,
	  .cause = "tls-cert-weak" },
};

static void expect_refused(const struct row *row, const struct tls_pair *p,
			   bool raw_server)
{
	ck_assert_int_eq(p->client.result, TRANSPORT_FAILED);
	ck_assert_str_eq(cause_word(tls_session_failure(p->client.t)),
			 row->cause);
	ck_assert_int_eq(p->client.e.status, ST_TEMP);
	ck_assert_int_eq(p->client.e.detail, 5);
	ck_assert_int_eq(p->server.result, TRANSPORT_FAILED);
	if (!raw_server)
		ck_assert_msg(strstr(p->server.e.text, "accept our cert") !=
				      NULL,
			      "%s", p->server.e.text);
	else /* we showed it nothing of ours */
		ck_assert_ptr_null(gnutls_certificate_get_peers(
			raw_session(p->server.t), &(unsigned){ 0 }));
	ck_assert_str_eq(tls_session_version(p->client.t), "");
}

static void expect_taken(struct tls_pair *p, const char *version)
{
	ck_assert_msg(p->client.result == TRANSPORT_OK, "%s", p->client.e.text);
	ck_assert_msg(p->server.result == TRANSPORT_OK, "%s", p->server.e.text);
	ck_assert_int_eq(tls_session_failure(p->client.t), CAUSE_IS_NONE);
	ck_assert_str_eq(tls_session_version(p->client.t), version);
	ck_assert_uint_gt(strlen(tls_session_cipher(p->client.t)), 0);
	ck_assert(tls_pair_carries(&p->client, &p->server, "EHLO x\r\n"));
	ck_assert(tls_pair_carries(&p->server, &p->client, "250 x\r\n"));
}

static void run_row(const struct row *row, size_t v)
{
	struct tls_identity *server = identity(row->certificate);
	struct tls_identity *ours = identity("ed");
	struct tls_trust *t = trust(row->trust);
	const struct tls_verdict *verdict;
	struct tls_cert_info info;
	uint8_t pin[1][32];
	struct tls_policy policy = { .verify = row->verify,
				     .trust = t,
				     .names = row->names,
				     .nnames = row->names[0] == NULL   ? 0
					       : row->names[1] == NULL ? 1
								       : 2,
				     .pins = pin,
				     .npins = row->pin ? 1 : 0,
				     .common_name = row->common_name,
				     .forgive = row->forgive,
				     .forgive_pinned = row->forgive_pin };
	struct tls_pair p;
	struct err e;

	if (row->pin)
		pin_of(row->pin, pin[0]);
	if (row->forgive_pin)
		pin_of(row->forgive_pin, policy.forgive_pin);
	tls_pair_open(&p);
	ck_assert_int_eq(tls_client_new(&p.client.t, p.client.fd, row->host,
					&policy, ours, &e),
			 ST_OK);
	if (versions[v].priority)
		p.server.t = raw_new(
			p.server.fd,
			&(struct raw_conf){ .kind = RAW_SERVER,
					    .priority = versions[v].priority,
					    .ask = GNUTLS_CERT_REQUEST,
					    .dir = dir,
					    .name = row->certificate });
	else
		ck_assert_int_eq(tls_server_new(&p.server.t, p.server.fd,
						&(struct tls_server_conf){
							.identities = &server,
							.nidentities = 1 },
						&e),
				 ST_OK);
	tls_pair_shake(&p);
	verdict = tls_session_verdict(p.client.t);
	ck_assert_str_eq(cause_word(verdict->cause), row->cause);
	ck_assert_int_eq(verdict->text[0] != '\0', row->cause[0] != '\0');
	if (row->text)
		ck_assert_msg(strstr(verdict->text, row->text) != NULL, "%s",
			      verdict->text);
	ck_assert(tls_session_peer(p.client.t, &info));
	if (row->verified) {
		expect_taken(&p, versions[v].version);
		ck_assert_str_eq(tls_session_verified(p.client.t),
				 row->verified);
	} else {
		expect_refused(row, &p, versions[v].priority != NULL);
	}
	tls_pair_close(&p);
	tls_trust_unref(t);
	tls_identity_unref(server);
	tls_identity_unref(ours);
}

START_TEST(test_row)
{
	for (size_t v = 0; v < ARRAY_LEN(versions); v++)
		run_row(&rows[_i], v);
}
END_TEST

/* ---------------------------------------------------------------------- SNI */

static const struct {
	const char *host, *sni; /* NULL: none */
} snis[] = {
	{ MX, MX },
	{ MX ".", MX },
	{ "192.0.2.1", NULL },
	{ "2001:db8::25", NULL },
	{ "m\xC3\xBCnchen.example.com", "xn--mnchen-3ya.example.com" },
};

START_TEST(test_sni)
{
	struct tls_policy any = { .verify = TLS_VERIFY_NONE };
	char name[256] = "";
	size_t len = sizeof(name);
	struct tls_pair p;
	struct err e;
	unsigned type;
	int rc;

	tls_pair_open(&p);
	ck_assert_int_eq(tls_client_new(&p.client.t, p.client.fd, snis[_i].host,
					&any, NULL, &e),
			 ST_OK);
	p.server.t =
		raw_new(p.server.fd, &(struct raw_conf){ .kind = RAW_SERVER,
							 .priority = "NORMAL",
							 .dir = dir,
							 .name = "good" });
	tls_pair_shake(&p);
	rc = gnutls_server_name_get(raw_session(p.server.t), name, &len, &type,
				    0);
	ck_assert_int_eq(rc >= 0, snis[_i].sni != NULL);
	if (snis[_i].sni)
		ck_assert_str_eq(name, snis[_i].sni);
	tls_pair_close(&p);
}
END_TEST

/* ---------------------------------------------------------- the system's trust */

START_TEST(test_system_default)
{
	struct tls_policy policy = { .verify = TLS_VERIFY_NAME };
	struct tls_identity *server = identity("stranger");
	struct tls_pair p;
	struct err e;

	if (access("/etc/ssl/certs/ca-certificates.crt", R_OK) != 0)
		return;
	for (int i = 0; i < 2; i++) {
		tls_pair_open(&p);
		ck_assert_int_eq(tls_client_new(&p.client.t, p.client.fd, MX,
						&policy, NULL, &e),
				 ST_OK);
		ck_assert_int_eq(tls_server_new(&p.server.t, p.server.fd,
						&(struct tls_server_conf){
							.identities = &server,
							.nidentities = 1 },
						&e),
				 ST_OK);
		tls_pair_shake(&p);
		ck_assert_str_eq(cause_word(tls_session_failure(p.client.t)),
				 "tls-cert-untrusted");
		tls_pair_close(&p);
	}
	tls_identity_unref(server);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *c = tcase_create("session");
	SRunner *runner;
	int failed;

	tcase_set_timeout(c, 60);
	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_row, 0, (int)ARRAY_LEN(rows));
	tcase_add_loop_test(c, test_sni, 0, (int)ARRAY_LEN(snis));
	tcase_add_test(c, test_system_default);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
