/* SPDX-License-Identifier: ISC */
/*
 * crl_judge - who signed a list, and what it says of one certificate.
 *
 * A certificate that is listed is revoked even by a list that is stale or not
 * quite the right one, for a revocation is for good (all but "on hold"); that
 * a certificate is not listed means something only in a fresh list that is
 * about it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <gnutls/abstract.h>

#include "tls/cert.h"
#include "tls/crl_list.h"

#define OID_RSA_PSS "1.2.840.113549.1.1.10"

/* --------------------------------------------------------------- signature */

/* RFC 4055: RSA-PSS tells its hash in its parameters. */
static gnutls_sign_algorithm_t pss_algorithm(struct span parameters)
{
	struct der all, field, hash, oid;
	char text[DER_OID_TEXT_MAX];

	if (!der_take(&parameters, DER_SEQUENCE, &all) ||
	    !der_take(&all.content, DER_CONTEXT_IN | 0, &field) ||
	    !der_take(&field.content, DER_SEQUENCE, &hash) ||
	    !der_take(&hash.content, DER_OID, &oid))
		return GNUTLS_SIGN_UNKNOWN;
	der_oid_text(text, oid.content);
	return gnutls_pk_to_sign(GNUTLS_PK_RSA_PSS, gnutls_oid_to_digest(text));
}

static gnutls_sign_algorithm_t algorithm_of(const struct crl *c)
{
	struct span in = c->algorithm;
	char text[DER_OID_TEXT_MAX];
	struct der oid;

	if (!der_take(&in, DER_OID, &oid))
		return GNUTLS_SIGN_UNKNOWN;
	der_oid_text(text, oid.content);
	if (strcmp(text, OID_RSA_PSS) == 0)
		return pss_algorithm(in);
	return gnutls_oid_to_sign(text);
}

bool crl_is_of(const struct crl *c, gnutls_x509_crt_t issuer)
{
	gnutls_datum_t dn = {NULL, 0};
	bool same;

	if (gnutls_x509_crt_get_raw_dn(issuer, &dn) < 0)
		return false;
	same = span_eq(c->issuer,
		       (struct span){(const char *)dn.data, dn.size});
	gnutls_free(dn.data);
	return same;
}

/* RFC 5280 4.2.1.3 */
static bool may_sign_lists(gnutls_x509_crt_t issuer)
{
	unsigned usage = 0;

	if (gnutls_x509_crt_get_key_usage(issuer, &usage, NULL) < 0)
		return true;
	return (usage & GNUTLS_KEY_CRL_SIGN) != 0;
}

static bool is_signed_with(const struct crl *c, gnutls_x509_crt_t issuer,
			   gnutls_sign_algorithm_t algorithm)
{
	const gnutls_datum_t data = {(unsigned char *)c->signed_part.at,
				     (unsigned)c->signed_part.len};
	const gnutls_datum_t signature = {(unsigned char *)c->signature.at,
					  (unsigned)c->signature.len};
	gnutls_pubkey_t key = NULL;
	bool good;

	if (gnutls_pubkey_init(&key) < 0)
		return false;
	good = gnutls_pubkey_import_x509(key, issuer, 0) >= 0 &&
	       gnutls_pubkey_verify_data2(key, algorithm, 0, &data,
					  &signature) >= 0;
	gnutls_pubkey_deinit(key);
	return good;
}

/* The hash of a list of many megabytes takes long. */
static bool is_known_signer(const struct crl *c, const uint8_t *hash)
{
	const uint8_t *known = atomic_load(&c->signer);

	return known && memcmp(known, hash, CERT_KEY_HASH) == 0;
}

static void remember_signer(struct crl *c, const uint8_t *hash)
{
	uint8_t *none = NULL, *copy = xmalloc(CERT_KEY_HASH);

	memcpy(copy, hash, CERT_KEY_HASH);
	if (!atomic_compare_exchange_strong(&c->signer, &none, copy))
		free(copy);
}

static bool is_signed(struct crl *c, gnutls_x509_crt_t issuer,
		      gnutls_sign_algorithm_t algorithm)
{
	uint8_t hash[CERT_KEY_HASH];

	if (!cert_key_hash(issuer, hash))
		return false;
	if (is_known_signer(c, hash))
		return true;
	if (!is_signed_with(c, issuer, algorithm))
		return false;
	remember_signer(c, hash);
	return true;
}

bool crl_signed_by(struct crl *c, gnutls_x509_crt_t issuer,
		   char why[CRL_WHY_MAX])
{
	gnutls_sign_algorithm_t algorithm = algorithm_of(c);

	if (algorithm == GNUTLS_SIGN_UNKNOWN)
		snprintf(why, CRL_WHY_MAX,
			 "is signed with an algorithm that is unknown here");
	else if (!gnutls_sign_is_secure2(algorithm,
					 GNUTLS_SIGN_FLAG_SECURE_FOR_CERTS))
		snprintf(why, CRL_WHY_MAX, "is signed with %s, too weak",
			 gnutls_sign_get_name(algorithm));
	else if (!may_sign_lists(issuer))
		snprintf(why, CRL_WHY_MAX,
			 "is of an issuer who may not sign lists (key usage)");
	else if (!is_signed(c, issuer, algorithm))
		snprintf(why, CRL_WHY_MAX,
			 "is forged or damaged: the signature is not by the "
			 "certificate's issuer");
	else
		return true;
	return false;
}

/* ------------------------------------------------------------------- points */

static bool is_fetchable(const char *url)
{
	static const char http[] = "http://";

	if (strncasecmp(url, http, sizeof(http) - 1) != 0)
		return false;
	for (const char *at = url; *at; at++)
		if (*at <= ' ' || *at > '~')
			return false;
	return true;
}

void crl_points_of(gnutls_x509_crt_t crt, struct crl_points *out)
{
	out->n = 0;
	out->http = 0;
	for (unsigned i = 0; i < CRL_POINTS_MAX; i++) {
		char *url = out->url[out->n];
		size_t len = CRL_URL_MAX - 1;
		unsigned reasons = 0, critical;
		int type = gnutls_x509_crt_get_crl_dist_points(
			crt, i, url, &len, &reasons, &critical);

		if (type == GNUTLS_E_REQUESTED_DATA_NOT_AVAILABLE)
			return;
		if (type != GNUTLS_SAN_URI)
			continue;
		url[len] = '\0';
		if (reasons == 0 && is_fetchable(url))
			out->http |= 1U << out->n;
		out->n++;
	}
}

/* Is the list's point one of the certificate's?  If not, it may be one half of
 * the issuer's lists, and the wrong one (RFC 5280 6.3.3 b 2 i). */
static bool is_of_points(const struct crl *c, const struct crl_points *points)
{
	struct span names = c->point;
	struct der name;

	while (der_read(&names, &name)) {
		if (name.tag != (DER_CONTEXT | 6)) /* a URI */
			continue;
		for (size_t i = 0; i < points->n; i++)
			if (span_eq(name.content, span_of(points->url[i])))
				return true;
	}
	return false;
}

/* ---------------------------------------------------------------- judgement */

static const char *reason_word(int reason)
{
	static const char *const words[] = {
		"no reason told",    "key compromise",
		"CA compromise",     "affiliation changed",
		"superseded",	     "out of use",
		"on hold",	     NULL,
		"no longer on hold", "privilege withdrawn",
		"AA compromise",
	};

	if (reason < 0 || (size_t)reason >= ARRAY_LEN(words) || !words[reason])
		return words[0];
	return words[reason];
}

static bool find_row(const struct crl *c, gnutls_x509_crt_t crt,
		     struct crl_entry *out)
{
	char serial[64];
	size_t len = sizeof(serial);

	/* RFC 5280 4.1.2.2: 20 bytes at most. */
	if (gnutls_x509_crt_get_serial(crt, serial, &len) < 0 || len == 0)
		return false;
	return crl_find(c, (struct span){serial, len}, out);
}

/* Why the rows can't be relied on at all, or NULL. */
static const char *unusable(const struct crl *c)
{
	if (c->is_delta)
		return "is a delta list, which is nothing without its base";
	if (c->is_indirect)
		return "is indirect: it speaks of other issuers as well";
	return NULL;
}

/* Why it means nothing that the certificate is not listed, or NULL. */
static const char *beside_the_point(const struct crl *c,
				    const struct crl_question *q)
{
	bool is_ca = gnutls_x509_crt_get_ca_status(q->crt, NULL) > 0;

	if (c->only_attributes)
		return "is about attribute certificates only";
	if (c->only_users && is_ca)
		return "is about certificates of users only";
	if (c->only_cas && !is_ca)
		return "is about certificates of CAs only";
	if (c->some_reasons)
		return "is about some reasons of revocation only";
	if (c->has_point && !is_of_points(c, q->points))
		return "is of a distribution point that the certificate does "
		       "not name";
	return NULL;
}

static enum tls_crl say_dated(char why[CRL_WHY_MAX], const char *fmt,
			      int64_t wall_ms)
{
	char date[CERT_TIME_MAX];

	cert_time(date, wall_ms);
	snprintf(why, CRL_WHY_MAX, "%s %s", fmt, date);
	return TLS_CRL_UNDETERMINED;
}

static enum tls_crl say(char why[CRL_WHY_MAX], const char *text)
{
	snprintf(why, CRL_WHY_MAX, "%s", text);
	return TLS_CRL_UNDETERMINED;
}

static enum tls_crl revoked(const struct crl_entry *row, char why[CRL_WHY_MAX])
{
	char date[CERT_TIME_MAX];

	cert_time(date, row->revoked_ms);
	snprintf(why, CRL_WHY_MAX, "on %s (%s)", date,
		 reason_word(row->reason));
	return TLS_CRL_REVOKED;
}

enum tls_crl crl_judge(const struct crl *c, const struct crl_question *q,
		       char why[CRL_WHY_MAX])
{
	bool stale = c->next_ms != 0 && c->next_ms < q->wall_ms;
	const char *fault = unusable(c);
	struct crl_entry row;

	why[0] = '\0';
	if (c->unknown[0]) {
		snprintf(why, CRL_WHY_MAX,
			 "has a critical extension that is unknown here (%s)",
			 c->unknown);
		return TLS_CRL_UNDETERMINED;
	}
	if (fault)
		return say(why, fault);
	if (c->this_ms > q->wall_ms + CRL_SKEW_MS)
		return say_dated(why, "is not valid before", c->this_ms);
	if (find_row(c, q->crt, &row) &&
	    !(stale && row.reason == CRL_REASON_HOLD))
		return revoked(&row, why);
	if (stale)
		return say_dated(why, "is stale since", c->next_ms);
	if (c->next_ms == 0)
		return say(why, "has no date of its next update: nobody can "
				"tell if it is fresh");
	fault = beside_the_point(c, q);
	return fault ? say(why, fault) : TLS_CRL_GOOD;
}
