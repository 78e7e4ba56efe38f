/* SPDX-License-Identifier: ISC */
/*
 * certs - makes keys and certificates with GnuTLS and writes them as PEM.
 */
#include "tests/support/certs.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <gnutls/abstract.h>
#include <gnutls/x509-ext.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define OK(call) BUG_ON((call) < 0)

enum { PEM_MAX = 64 * 1024, HOUR_S = 3600, DAY_S = 24 * HOUR_S };

char *certs_path(const char *dir, const char *name, const char *ext)
{
	return xasprintf("%s/%s.%s", dir, name, ext);
}

void certs_remove(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d && (entry = readdir(d))) {
		char *path = xasprintf("%s/%s", dir, entry->d_name);

		unlink(path);
		free(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static gnutls_datum_t read_pem(const char *dir, const char *name,
			       const char *ext)
{
	char *path = certs_path(dir, name, ext);
	gnutls_datum_t pem;

	OK(gnutls_load_file(path, &pem));
	free(path);
	return pem;
}

static void write_pem(const char *dir, const char *name, const char *ext,
		      const gnutls_datum_t *pem, size_t n)
{
	char *path = certs_path(dir, name, ext);
	FILE *f = fopen(path, "w");

	BUG_ON(!f);
	for (size_t i = 0; i < n; i++)
		BUG_ON(pem[i].size > 0 &&
		       fwrite(pem[i].data, pem[i].size, 1, f) != 1);
	BUG_ON(fclose(f) != 0);
	free(path);
}

static gnutls_x509_privkey_t read_key(const char *dir, const char *name)
{
	gnutls_datum_t pem = read_pem(dir, name, "key");
	gnutls_x509_privkey_t key;

	OK(gnutls_x509_privkey_init(&key));
	OK(gnutls_x509_privkey_import(key, &pem, GNUTLS_X509_FMT_PEM));
	gnutls_free(pem.data);
	return key;
}

static gnutls_x509_crt_t read_crt(const char *dir, const char *name)
{
	gnutls_datum_t pem = read_pem(dir, name, "pem");
	gnutls_x509_crt_t crt;

	OK(gnutls_x509_crt_init(&crt));
	OK(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM));
	gnutls_free(pem.data);
	return crt;
}

static gnutls_x509_privkey_t make_key(enum cert_key kind)
{
	static const struct {
		gnutls_pk_algorithm_t algo;
		unsigned bits;
	} kinds[] = {
		[CERT_KEY_EC] = { GNUTLS_PK_EC, 256 },
		[CERT_KEY_ED25519] = { GNUTLS_PK_EDDSA_ED25519, 256 },
		[CERT_KEY_RSA] = { GNUTLS_PK_RSA, 2048 },
		[CERT_KEY_RSA_1024] = { GNUTLS_PK_RSA, 1024 },
	};
	gnutls_x509_privkey_t key;

	OK(gnutls_x509_privkey_init(&key));
	OK(gnutls_x509_privkey_generate(key, kinds[kind].algo, kinds[kind].bits,
					0));
	return key;
}

static void write_key(const char *dir, const char *name,
		      gnutls_x509_privkey_t key)
{
	gnutls_datum_t pem;

	OK(gnutls_x509_privkey_export2_pkcs8(key, GNUTLS_X509_FMT_PEM, NULL,
					     GNUTLS_PKCS_PLAIN, &pem));
	write_pem(dir, name, "key", &pem, 1);
	gnutls_free(pem.data);
}

static void set_names(gnutls_x509_crt_t crt, const struct cert_spec *spec)
{
	unsigned char ip[16];

	for (size_t i = 0; i < ARRAY_LEN(spec->dns) && spec->dns[i]; i++)
		OK(gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_DNSNAME, spec->dns[i],
			(unsigned)strlen(spec->dns[i]), GNUTLS_FSAN_APPEND));
	for (size_t i = 0; i < ARRAY_LEN(spec->ip) && spec->ip[i]; i++) {
		bool is_v4 = inet_pton(AF_INET, spec->ip[i], ip) == 1;

		BUG_ON(!is_v4 && inet_pton(AF_INET6, spec->ip[i], ip) != 1);
		OK(gnutls_x509_crt_set_subject_alt_name(
			crt, GNUTLS_SAN_IPADDRESS, ip, is_v4 ? 4 : 16,
			GNUTLS_FSAN_APPEND));
	}
}

static void set_constraint(gnutls_x509_crt_t crt, const char *permitted)
{
	gnutls_datum_t name = { (unsigned char *)xstrdup(permitted),
				(unsigned)strlen(permitted) };
	gnutls_x509_name_constraints_t nc;

	OK(gnutls_x509_name_constraints_init(&nc));
	OK(gnutls_x509_name_constraints_add_permitted(nc, GNUTLS_SAN_DNSNAME,
						      &name));
	OK(gnutls_x509_crt_set_name_constraints(crt, nc, 1));
	gnutls_x509_name_constraints_deinit(nc);
	free(name.data);
}

static void set_uses(gnutls_x509_crt_t crt, const struct cert_spec *spec)
{
	static const char *const purposes[] = {
		[CERT_FOR_SERVERS] = GNUTLS_KP_TLS_WWW_SERVER,
		[CERT_FOR_CLIENTS] = GNUTLS_KP_TLS_WWW_CLIENT,
	};
	unsigned usage = GNUTLS_KEY_DIGITAL_SIGNATURE;

	if (spec->ca && spec->flaw == CERT_SIGNS_NO_LISTS)
		usage |= GNUTLS_KEY_KEY_CERT_SIGN;
	else if (spec->ca && spec->flaw == CERT_SIGNS_NO_CERTS)
		usage |= GNUTLS_KEY_CRL_SIGN;
	else if (spec->ca)
		usage |= GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_CRL_SIGN;
	else if (spec->key == CERT_KEY_RSA || spec->key == CERT_KEY_RSA_1024)
		usage |= GNUTLS_KEY_KEY_ENCIPHERMENT;
	OK(gnutls_x509_crt_set_basic_constraints(
		crt, spec->ca, spec->flaw == CERT_OF_LAST_CA ? 0 : -1));
	OK(gnutls_x509_crt_set_key_usage(crt, usage));
	if (spec->purpose != CERT_FOR_ANYTHING)
		OK(gnutls_x509_crt_set_key_purpose_oid(
			crt, purposes[spec->purpose], 0));
	if (spec->permitted)
		set_constraint(crt, spec->permitted);
	for (size_t i = 0; i < ARRAY_LEN(spec->lists) && spec->lists[i]; i++)
		OK(gnutls_x509_crt_set_crl_dist_points2(
			crt, GNUTLS_SAN_URI, spec->lists[i],
			(unsigned)strlen(spec->lists[i]), 0));
}

static void set_times(gnutls_x509_crt_t crt, const struct cert_spec *spec)
{
	bool is_default = spec->from_s == 0 && spec->until_s == 0;
	time_t now = time(NULL);

	OK(gnutls_x509_crt_set_activation_time(
		crt, now + (is_default ? -HOUR_S : spec->from_s)));
	OK(gnutls_x509_crt_set_expiration_time(
		crt, now + (is_default ? 30 * DAY_S : spec->until_s)));
}

static gnutls_x509_crt_t make_crt(const struct cert_spec *spec,
				  gnutls_x509_privkey_t key)
{
	static unsigned char serial[4] = { 0x11, 0x22, 0x33, 0x00 };
	unsigned char id[20];
	size_t len = sizeof(id);
	gnutls_x509_crt_t crt;

	OK(gnutls_x509_crt_init(&crt));
	OK(gnutls_x509_crt_set_version(crt, 3));
	OK(gnutls_x509_crt_set_key(crt, key));
	serial[3]++;
	OK(gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)));
	OK(gnutls_x509_crt_get_key_id(crt, 0, id, &len));
	OK(gnutls_x509_crt_set_subject_key_id(crt, id, len));
	if (spec->cn)
		OK(gnutls_x509_crt_set_dn_by_oid(
			crt, GNUTLS_OID_X520_COMMON_NAME, 0, spec->cn,
			(unsigned)strlen(spec->cn)));
	set_names(crt, spec);
	set_uses(crt, spec);
	set_times(crt, spec);
	return crt;
}

/* What goes into the file after the leaf. */
static gnutls_datum_t chain_of(const char *dir, const struct cert_spec *spec)
{
	gnutls_datum_t none = { NULL, 0 };
	gnutls_x509_crt_t issuer;
	bool is_root;

	if (!spec->issuer || spec->flaw == CERT_WITHOUT_CHAIN)
		return none;
	issuer = read_crt(dir, spec->issuer);
	is_root = gnutls_x509_crt_check_issuer(issuer, issuer);
	gnutls_x509_crt_deinit(issuer);
	if (is_root && spec->flaw != CERT_ROOT_IN_CHAIN)
		return none;
	return read_pem(dir, spec->issuer, "pem");
}

static void sign_crt(const char *dir, const struct cert_spec *spec,
		     gnutls_x509_crt_t crt, gnutls_x509_privkey_t key)
{
	gnutls_digest_algorithm_t digest = spec->flaw == CERT_SIGNED_WITH_SHA1
						   ? GNUTLS_DIG_SHA1
						   : GNUTLS_DIG_SHA256;
	gnutls_x509_crt_t issuer =
		spec->issuer ? read_crt(dir, spec->issuer) : crt;
	gnutls_x509_privkey_t issuer_key =
		spec->issuer ? read_key(dir, spec->issuer) : key;
	unsigned char id[64];
	size_t len = sizeof(id);

	if (gnutls_x509_privkey_get_pk_algorithm(issuer_key) ==
	    GNUTLS_PK_EDDSA_ED25519)
		digest = GNUTLS_DIG_SHA512;
	OK(gnutls_x509_crt_get_subject_key_id(issuer, id, &len, NULL));
	OK(gnutls_x509_crt_set_authority_key_id(crt, id, len));
	OK(gnutls_x509_crt_sign2(crt, issuer, issuer_key, digest, 0));
	if (spec->issuer) {
		gnutls_x509_crt_deinit(issuer);
		gnutls_x509_privkey_deinit(issuer_key);
	}
}

void certs_make(const char *dir, const struct cert_spec *spec)
{
	gnutls_x509_privkey_t key = spec->key_of ? read_key(dir, spec->key_of)
						 : make_key(spec->key);
	gnutls_x509_crt_t crt = make_crt(spec, key);
	gnutls_datum_t pem[2] = { { NULL, 0 }, { NULL, 0 } };

	sign_crt(dir, spec, crt, key);
	OK(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem[0]));
	pem[1] = chain_of(dir, spec);
	write_pem(dir, spec->name, "pem", pem, 2);
	write_key(dir, spec->name, key);
	gnutls_free(pem[0].data);
	gnutls_free(pem[1].data);
	gnutls_x509_crt_deinit(crt);
	gnutls_x509_privkey_deinit(key);
}
