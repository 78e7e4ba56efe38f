/* SPDX-License-Identifier: ISC */
/*
 * fuzz_crl - revocation lists, PEM and DER.
 *
 * The input: two certificates, the issuer's and one to be judged, each with two
 * bytes of length in DER; eight bytes of the time at which; then the list.
 *
 * GnuTLS reads the same list, for a comparison: both must come to the same
 * number of rows and the same dates, and what GnuTLS calls revoked is never
 * called good here.
 */
#include "tls/crl_list.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tls/der.h"

enum { MS_PER_S = 1000 };

static gnutls_datum_t datum(struct span s)
{
	return (gnutls_datum_t){(unsigned char *)s.at, (unsigned)s.len};
}

static gnutls_x509_crt_t read_cert(struct span *in)
{
	size_t len = fuzz_byte(in) << 8;
	gnutls_datum_t der = datum(fuzz_take(in, len | fuzz_byte(in)));
	gnutls_x509_crt_t crt;

	BUG_ON(gnutls_x509_crt_init(&crt) < 0);
	if (gnutls_x509_crt_import(crt, &der, GNUTLS_X509_FMT_DER) >= 0)
		return crt;
	gnutls_x509_crt_deinit(crt);
	return NULL;
}

/* Every row is found by its number, and the numbers are in order. */
static void check_rows(const struct crl *c)
{
	struct crl_entry last = {.reason = -1}, row, found;

	for (size_t i = 0; i < c->n; i++) {
		struct span in = {c->der + c->entries[i],
				  c->len - c->entries[i]};

		HOLDS(crl_take_entry(&in, &row));
		HOLDS(crl_find(c, row.serial, &found));
		HOLDS(span_eq(found.serial, row.serial));
		HOLDS(i == 0 || last.serial.len <= row.serial.len);
		HOLDS(i == 0 || last.serial.len < row.serial.len ||
		      memcmp(last.serial.at, row.serial.at, row.serial.len) <=
			      0);
		HOLDS(c->is_indirect || !row.is_indirect);
		HOLDS(c->unknown[0] != '\0' || row.unknown[0] == '\0');
		last = row;
	}
}

/* Neither shorter nor longer, and the same out of PEM. */
static void check_whole(const struct crl *c)
{
	struct span der = crl_der(c), in = {der.at, der.len - 1};
	gnutls_datum_t raw = datum(der), pem;
	char *longer = xcalloc(der.len + 1, 1);
	struct crl *again;
	struct err e;

	HOLDS(crl_read(&again, &in, &e) != ST_OK);
	memcpy(longer, der.at, der.len);
	in = (struct span){longer, der.len + 1};
	HOLDS(crl_read(&again, &in, &e) != ST_OK);
	free(longer);
	HOLDS(gnutls_pem_base64_encode2("X509 CRL", &raw, &pem) >= 0);
	in = (struct span){(const char *)pem.data, pem.size};
	HOLDS(crl_read(&again, &in, &e) == ST_OK && in.len == 0);
	HOLDS(span_eq(crl_der(again), der));
	HOLDS(crl_entries(again) == crl_entries(c));
	gnutls_free(pem.data);
	crl_unref(again);
}

static gnutls_x509_crl_t read_other(const struct crl *c)
{
	gnutls_datum_t raw = datum(crl_der(c));
	gnutls_x509_crl_t other;

	BUG_ON(gnutls_x509_crl_init(&other) < 0);
	if (gnutls_x509_crl_import(other, &raw, GNUTLS_X509_FMT_DER) >= 0)
		return other;
	gnutls_x509_crl_deinit(other);
	return NULL;
}

static void check_other(const struct crl *c, gnutls_x509_crl_t other)
{
	time_t this_s = gnutls_x509_crl_get_this_update(other);
	time_t next_s = gnutls_x509_crl_get_next_update(other);
	int n = gnutls_x509_crl_get_crt_count(other);

	HOLDS(n < 0 ? crl_entries(c) == 0 : crl_entries(c) == (size_t)n);
	/* It knows no times before 1970. */
	HOLDS(this_s <= 0 ||
	      (int64_t)this_s * MS_PER_S == crl_this_update_ms(c));
	HOLDS(next_s <= 0 ||
	      (int64_t)next_s * MS_PER_S == crl_next_update_ms(c));
}

static void check_judgement(const struct crl *c, gnutls_x509_crl_t other,
			    gnutls_x509_crt_t crt, int64_t now_ms)
{
	struct crl_points points;
	struct crl_question q = {crt, &points, now_ms};
	char why[CRL_WHY_MAX];
	enum tls_crl verdict;

	crl_points_of(crt, &points);
	HOLDS(points.n <= CRL_POINTS_MAX && points.http >> points.n == 0);
	verdict = crl_judge(c, &q, why);
	fuzz_printable(why);
	HOLDS((verdict == TLS_CRL_GOOD) == (why[0] == '\0'));
	if (verdict == TLS_CRL_GOOD) {
		HOLDS(crl_next_update_ms(c) >= now_ms);
		HOLDS(crl_this_update_ms(c) <= now_ms + CRL_SKEW_MS);
		HOLDS(!c->is_delta && !c->is_indirect && !c->some_reasons);
		HOLDS(c->unknown[0] == '\0');
	}
	if (other != NULL && crl_entries(c) > 0) {
		int revoked = gnutls_x509_crt_check_revocation(crt, &other, 1);

		HOLDS(revoked <= 0 || verdict != TLS_CRL_GOOD);
	}
}

static void check_list(struct crl *c, gnutls_x509_crt_t issuer,
		       gnutls_x509_crt_t crt, int64_t now_ms)
{
	gnutls_x509_crl_t other = read_other(c);
	char why[CRL_WHY_MAX] = "";

	check_rows(c);
	check_whole(c);
	if (other != NULL)
		check_other(c, other);
	if (issuer != NULL && !crl_signed_by(c, issuer, why)) {
		fuzz_printable(why);
		HOLDS(why[0] != '\0');
	}
	if (issuer != NULL)
		(void)crl_is_of(c, issuer);
	if (crt != NULL)
		check_judgement(c, other, crt, now_ms);
	if (other != NULL)
		gnutls_x509_crl_deinit(other);
}

static void read_lists(struct span in, gnutls_x509_crt_t issuer,
		       gnutls_x509_crt_t crt, int64_t now_ms)
{
	enum status st = ST_OK;

	while (in.len > 0 && st == ST_OK) {
		size_t before = in.len;
		struct crl *c;
		struct err e;

		st = crl_read(&c, &in, &e);
		if (st != ST_OK) {
			HOLDS(st == ST_PERM && e.text[0] != '\0');
			fuzz_printable(e.text);
			break;
		}
		HOLDS(in.len < before);
		check_list(c, issuer, crt, now_ms);
		crl_unref(c);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	gnutls_x509_crt_t issuer = read_cert(&in), crt = read_cert(&in);
	int64_t now_ms = (int64_t)(fuzz_number(&in) >> 16);

	read_lists(in, issuer, crt, now_ms);
	if (issuer != NULL)
		gnutls_x509_crt_deinit(issuer);
	if (crt != NULL)
		gnutls_x509_crt_deinit(crt);
	return 0;
}
