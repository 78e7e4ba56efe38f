/* SPDX-License-Identifier: ISC */
/*
 * cert - reads what a certificate says into plain text and plain answers.
 *
 * The subject alternative names are decoded once for each question: asking
 * GnuTLS for them one by one decodes the whole extension each time, and a
 * peer may send thousands.
 */
#include "tls/cert.h"

#include <stdio.h>
#include <time.h>
#include <arpa/inet.h>
#include <gnutls/x509-ext.h>
#include <gnutls/crypto.h>

#include "base/clock.h"
#include "tls/name.h"

#define OID_SUBJECT_ALT_NAME "2.5.29.17"

/* NULL: none, or not readable.  The caller frees it. */
static gnutls_subject_alt_names_t names_of(gnutls_x509_crt_t crt)
{
	gnutls_subject_alt_names_t names = NULL;
	gnutls_datum_t der = {NULL, 0};

	if (gnutls_x509_crt_get_extension_by_oid2(crt, OID_SUBJECT_ALT_NAME, 0,
						  &der, NULL) < 0)
		return NULL;
	if (gnutls_subject_alt_names_init(&names) < 0)
		goto out;
	if (gnutls_x509_ext_import_subject_alt_names(&der, names, 0) < 0) {
		gnutls_subject_alt_names_deinit(names);
		names = NULL;
	}
out:
	gnutls_free(der.data);
	return names;
}

static void names_free(gnutls_subject_alt_names_t names)
{
	if (names)
		gnutls_subject_alt_names_deinit(names);
}

/* False: there is no name number i. */
static bool name_at(gnutls_subject_alt_names_t names, unsigned i,
		    unsigned *type, struct span *out)
{
	gnutls_datum_t san = {NULL, 0};

	if (!names ||
	    gnutls_subject_alt_names_get(names, i, type, &san, NULL) < 0)
		return false;
	*out = (struct span){(const char *)san.data, san.size};
	return true;
}

/* ------------------------------------------------------------ description */

/* Copies what fits; bytes that would disturb a line become '?'. */
static void copy_clean(char *out, size_t max, struct span s)
{
	size_t n = s.len < max - 1 ? s.len : max - 1;

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)s.at[i];

		out[i] = c < ' ' || c == 0x7F ? '?' : s.at[i];
	}
	out[n] = '\0';
}

static void copy_dn(char *out, size_t max, gnutls_x509_crt_t crt,
		    int (*get)(gnutls_x509_crt_t, gnutls_datum_t *, unsigned))
{
	gnutls_datum_t dn = {NULL, 0};

	out[0] = '\0';
	if (get(crt, &dn, 0) < 0)
		return;
	copy_clean(out, max, (struct span){(const char *)dn.data, dn.size});
	gnutls_free(dn.data);
}

static bool name_text(char *out, size_t max, unsigned type, struct span san)
{
	switch (type) {
	case GNUTLS_SAN_DNSNAME:
	case GNUTLS_SAN_RFC822NAME:
	case GNUTLS_SAN_URI:
		copy_clean(out, max, san);
		return true;
	case GNUTLS_SAN_IPADDRESS:
		if (san.len != 4 && san.len != 16)
			return false;
		return inet_ntop(san.len == 4 ? AF_INET : AF_INET6, san.at, out,
				 (socklen_t)max) != NULL;
	default:
		return false;
	}
}

/* As many whole names as fit, then "...". */
static void copy_names(char *out, size_t max, gnutls_x509_crt_t crt)
{
	static const char more[] = ", ...";
	gnutls_subject_alt_names_t names = names_of(crt);
	char text[256];
	struct span san;
	unsigned type;
	size_t len = 0;

	out[0] = '\0';
	for (unsigned i = 0; name_at(names, i, &type, &san); i++) {
		const char *comma = len > 0 ? ", " : "";
		size_t need;

		if (!name_text(text, sizeof(text), type, san))
			continue;
		need = strlen(comma) + strlen(text);
		if (len + need + sizeof(more) > max) {
			snprintf(out + len, max - len, "%s", more);
			break;
		}
		len += (size_t)snprintf(out + len, max - len, "%s%s", comma,
					text);
	}
	names_free(names);
}

static void copy_hex(char *out, size_t max, const uint8_t *bytes, size_t n)
{
	out[0] = '\0';
	for (size_t i = 0; i < n && 2 * i + 2 < max; i++)
		snprintf(out + 2 * i, max - 2 * i, "%02x", bytes[i]);
}

void cert_describe(gnutls_x509_crt_t crt, struct tls_cert_info *out)
{
	uint8_t bytes[CERT_KEY_HASH];
	uint8_t serial[64];
	size_t len = sizeof(serial);

	*out = (struct tls_cert_info){.not_before_ms = cert_not_before_ms(crt),
				      .not_after_ms = cert_not_after_ms(crt)};
	copy_dn(out->subject, sizeof(out->subject), crt,
		gnutls_x509_crt_get_dn3);
	copy_dn(out->issuer, sizeof(out->issuer), crt,
		gnutls_x509_crt_get_issuer_dn3);
	copy_names(out->names, sizeof(out->names), crt);
	if (gnutls_x509_crt_get_serial(crt, serial, &len) >= 0)
		copy_hex(out->serial, sizeof(out->serial), serial, len);
	if (cert_key_hash(crt, bytes))
		copy_hex(out->spki_sha256, sizeof(out->spki_sha256), bytes,
			 sizeof(bytes));
}

/* What was read can be read again. */
gnutls_x509_crt_t cert_copy(gnutls_x509_crt_t crt)
{
	gnutls_datum_t der = {NULL, 0};
	gnutls_x509_crt_t copy = NULL;

	BUG_ON(gnutls_x509_crt_init(&copy) < 0 ||
	       gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_DER, &der) < 0 ||
	       gnutls_x509_crt_import(copy, &der, GNUTLS_X509_FMT_DER) < 0);
	gnutls_free(der.data);
	return copy;
}

static int64_t time_ms(time_t at)
{
	return at == (time_t)-1 ? 0 : (int64_t)at * 1000;
}

int64_t cert_not_before_ms(gnutls_x509_crt_t crt)
{
	return time_ms(gnutls_x509_crt_get_activation_time(crt));
}

int64_t cert_not_after_ms(gnutls_x509_crt_t crt)
{
	return time_ms(gnutls_x509_crt_get_expiration_time(crt));
}

void cert_time(char out[CERT_TIME_MAX], int64_t wall_ms)
{
	time_t at = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (!gmtime_r(&at, &tm) ||
	    strftime(out, CERT_TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, CERT_TIME_MAX, "?");
}

bool cert_expired(gnutls_x509_crt_t crt)
{
	return cert_not_after_ms(crt) < clock_wall_ms();
}

bool cert_not_yet_valid(gnutls_x509_crt_t crt)
{
	return cert_not_before_ms(crt) > clock_wall_ms();
}

bool cert_key_hash(gnutls_x509_crt_t crt, uint8_t out[CERT_KEY_HASH])
{
	size_t len = CERT_KEY_HASH;

	return gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, out,
					  &len) >= 0 &&
	       len == CERT_KEY_HASH;
}

/* --------------------------------------------------------------- strength */

bool cert_self_signed(gnutls_x509_crt_t crt)
{
	return gnutls_x509_crt_check_issuer(crt, crt) != 0;
}

bool cert_weak(gnutls_x509_crt_t crt)
{
	unsigned bits = 0;
	int key = gnutls_x509_crt_get_pk_algorithm(crt, &bits);
	int sign = gnutls_x509_crt_get_signature_algorithm(crt);

	if (key < 0 || sign < 0)
		return true;
	if (gnutls_pk_bits_to_sec_param((gnutls_pk_algorithm_t)key, bits) <
	    GNUTLS_SEC_PARAM_MEDIUM)
		return true;
	/* Nobody relies on the signature of a root on itself. */
	return !cert_self_signed(crt) &&
	       !gnutls_sign_is_secure2((gnutls_sign_algorithm_t)sign,
				       GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS);
}

void cert_strength(char *out, size_t max, gnutls_x509_crt_t crt)
{
	unsigned bits = 0;
	int key = gnutls_x509_crt_get_pk_algorithm(crt, &bits);
	int sign = gnutls_x509_crt_get_signature_algorithm(crt);
	const char *key_name =
		key < 0 ? NULL : gnutls_pk_get_name((gnutls_pk_algorithm_t)key);
	const char *sign_name =
		sign < 0 ? NULL
			 : gnutls_sign_get_name((gnutls_sign_algorithm_t)sign);

	snprintf(out, max, "%s %u bits, signed with %s",
		 key_name ? key_name : "unknown key", bits,
		 sign_name ? sign_name : "an unknown algorithm");
}

/* ------------------------------------------------------------------ names */

static bool san_matches(unsigned type, struct span san, struct span host,
			struct span address)
{
	if (address.len > 0)
		return type == GNUTLS_SAN_IPADDRESS && span_eq(san, address);
	return type == GNUTLS_SAN_DNSNAME && name_matches(san, host);
}

/* With several CNs nobody can say which one is meant: none is. */
static bool cn_matches(gnutls_x509_crt_t crt, struct span host)
{
	char cn[256];
	char second[1];
	size_t len = sizeof(cn);
	size_t second_len = sizeof(second);

	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
					  0, cn, &len) < 0)
		return false;
	if (gnutls_x509_crt_get_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 1,
					  0, second, &second_len) !=
	    GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
		return false;
	return name_matches((struct span){cn, len}, host);
}

static bool is_ascii(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s > 0x7E)
			return false;
	return true;
}

/* The wanted name in A-labels, which is what certificates hold; NULL when it
 * cannot be one.  The caller frees it with gnutls_free(). */
static char *in_ascii(const char *wanted)
{
	gnutls_datum_t mapped = {NULL, 0};

	if (gnutls_idna_map(wanted, (unsigned)strlen(wanted), &mapped, 0) < 0)
		return NULL;
	return (char *)mapped.data;
}

static bool ascii_named(gnutls_x509_crt_t crt, const char *wanted,
			enum cert_cn cn)
{
	gnutls_subject_alt_names_t names = names_of(crt);
	uint8_t ip[NAME_IP_MAX];
	struct span address = {(const char *)ip, name_literal(wanted, ip)};
	struct span host = span_of(wanted);
	bool has_dns = false;
	bool found = false;
	struct span san;
	unsigned type;

	for (unsigned i = 0; !found && name_at(names, i, &type, &san); i++) {
		has_dns = has_dns || type == GNUTLS_SAN_DNSNAME;
		found = san_matches(type, san, host, address);
	}
	if (!found && !has_dns && address.len == 0 && cn == CERT_CN_INSTEAD)
		found = cn_matches(crt, host);
	names_free(names);
	return found;
}

bool cert_named(gnutls_x509_crt_t crt, const char *wanted, enum cert_cn cn)
{
	char *ascii;
	bool found;

	if (is_ascii(wanted))
		return ascii_named(crt, wanted, cn);
	ascii = in_ascii(wanted);
	found = ascii && ascii_named(crt, ascii, cn);
	gnutls_free(ascii);
	return found;
}
