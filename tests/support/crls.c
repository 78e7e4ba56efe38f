/* SPDX-License-Identifier: ISC */
/*
 * crls - encodes revocation lists and signs them with GnuTLS.
 */
#include "tests/support/crls.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/support/certs.h"

#define OK(call) BUG_ON((call) < 0)

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S, LIST_MAX = 64 * 1024 * 1024 };

/* Algorithm identifiers and extensions, encoded. */
#define ECDSA_SHA256 "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"
#define ECDSA_SHA1 "\x30\x09\x06\x07\x2a\x86\x48\xce\x3d\x04\x01"
#define SHA256 "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"
#define MGF1 "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define RSA_PSS \
	"\x30\x41\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34" \
	"\xa0\x0f" SHA256 "\xa1\x1c\x30\x1a" MGF1 SHA256 "\xa2\x03\x02\x01\x20"
#define UNKNOWN_CRITICAL "\x30\x0c\x06\x03\x2a\x03\x04\x01\x01\xff\x04\x02\x05\x00"
#define DELTA "\x30\x0d\x06\x03\x55\x1d\x1b\x01\x01\xff\x04\x03\x02\x01\x01"
#define NUMBER "\x30\x0a\x06\x03\x55\x1d\x14\x04\x03\x02\x01\x05"

static void add(struct buf *b, const char *at, size_t len)
{
	BUG_ON(!buf_add(b, (struct span){ at, len }));
}

#define ADD(b, literal) add(b, literal, sizeof(literal) - 1)

static void add_header(struct buf *b, unsigned tag, size_t len)
{
	char bytes[6] = { (char)tag };
	size_t n = 0;

	if (len < 0x80) {
		bytes[1] = (char)len;
		add(b, bytes, 2);
		return;
	}
	for (size_t rest = len; rest > 0; rest >>= 8)
		n++;
	bytes[1] = (char)(0x80 | n);
	for (size_t i = 0; i < n; i++)
		bytes[2 + i] = (char)(len >> 8 * (n - 1 - i));
	add(b, bytes, 2 + n);
}

/* Adds what is in part, and empties it. */
static void wrap(struct buf *b, unsigned tag, struct buf *part)
{
	struct span s = buf_span(part);

	add_header(b, tag, s.len);
	add(b, s.at, s.len);
	buf_clear(part);
}

static void add_time(struct buf *b, int64_t from_now_s)
{
	time_t at = time(NULL) + from_now_s;
	char text[20];
	struct tm tm;
	size_t n;

	gmtime_r(&at, &tm);
	n = strftime(text, sizeof(text), "%Y%m%d%H%M%SZ", &tm);
	add_header(b, 0x18, n);
	add(b, text, n);
}

static gnutls_datum_t load(const char *dir, const char *name, const char *ext)
{
	char *path = certs_path(dir, name, ext);
	gnutls_datum_t pem;

	OK(gnutls_load_file(path, &pem));
	free(path);
	return pem;
}

static gnutls_x509_crt_t certificate(const char *dir, const char *name)
{
	gnutls_datum_t pem = load(dir, name, "pem");
	gnutls_x509_crt_t crt;

	OK(gnutls_x509_crt_init(&crt));
	OK(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM));
	gnutls_free(pem.data);
	return crt;
}

static void add_issuer(struct buf *b, const char *dir, const char *name)
{
	gnutls_x509_crt_t crt = certificate(dir, name);
	gnutls_datum_t dn;

	OK(gnutls_x509_crt_get_raw_dn(crt, &dn));
	add(b, (const char *)dn.data, dn.size);
	gnutls_free(dn.data);
	gnutls_x509_crt_deinit(crt);
}

static void add_row(struct buf *rows, const char *serial, size_t len,
		    const struct crl_spec *spec)
{
	struct buf row, extensions;

	buf_init(&row, LIST_MAX);
	buf_init(&extensions, LIST_MAX);
	add_header(&row, 0x02, len);
	add(&row, serial, len);
	add_time(&row, -2 * HOUR_S);
	if (spec->reason > 0) {
		ADD(&extensions, "\x30\x0a\x06\x03\x55\x1d\x15\x04\x03\x0a\x01");
		add(&extensions, (char[]){ (char)spec->reason }, 1);
	}
	if (spec->scope & CRL_WITH_UNKNOWN_ROW)
		ADD(&extensions, UNKNOWN_CRITICAL);
	if (extensions.len > 0)
		wrap(&row, 0x30, &extensions);
	wrap(rows, 0x30, &row);
	buf_release(&row);
	buf_release(&extensions);
}

static void add_rows(struct buf *tbs, const char *dir,
		     const struct crl_spec *spec)
{
	struct buf rows;
	char serial[64];

	buf_init(&rows, LIST_MAX);
	for (unsigned i = 0; i < spec->more; i++) {
		/* Any order, none of the certificates'. */
		unsigned n = i * 2654435761U;

		memcpy(serial, "\x20\x01\x02\x03", 4);
		memcpy(serial + 4, &n, 4);
		add_row(&rows, serial, 8, spec);
	}
	for (size_t i = 0; i < ARRAY_LEN(spec->revoked) && spec->revoked[i];
	     i++) {
		gnutls_x509_crt_t crt = certificate(dir, spec->revoked[i]);
		size_t len = sizeof(serial);

		OK(gnutls_x509_crt_get_serial(crt, serial, &len));
		add_row(&rows, serial, len, spec);
		gnutls_x509_crt_deinit(crt);
	}
	if (rows.len > 0)
		wrap(tbs, 0x30, &rows);
	buf_release(&rows);
}

static void add_issuing_point(struct buf *extensions,
			      const struct crl_spec *spec)
{
	static const struct {
		unsigned scope;
		const char *der;
		size_t len;
	} fields[] = {
		{ CRL_OF_USERS, "\x81\x01\xff", 3 },
		{ CRL_OF_CAS, "\x82\x01\xff", 3 },
		{ CRL_OF_SOME_REASONS, "\x83\x02\x00\x40", 4 },
		{ CRL_OF_INDIRECT, "\x84\x01\xff", 3 },
		{ CRL_OF_ATTRIBUTES, "\x85\x01\xff", 3 },
	};
	struct buf inner, outer;

	buf_init(&inner, LIST_MAX);
	buf_init(&outer, LIST_MAX);
	if (spec->point) {
		add_header(&inner, 0x86, strlen(spec->point));
		add(&inner, spec->point, strlen(spec->point));
		wrap(&outer, 0xA0, &inner);
		wrap(&inner, 0xA0, &outer);
	}
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		if (spec->scope & fields[i].scope)
			add(&inner, fields[i].der, fields[i].len);
	if (inner.len > 0) {
		wrap(&outer, 0x30, &inner);
		ADD(&inner, "\x06\x03\x55\x1d\x1c\x01\x01\xff");
		wrap(&inner, 0x04, &outer);
		wrap(extensions, 0x30, &inner);
	}
	buf_release(&inner);
	buf_release(&outer);
}

static void add_extensions(struct buf *tbs, const struct crl_spec *spec)
{
	struct buf one, all;

	buf_init(&one, LIST_MAX);
	buf_init(&all, LIST_MAX);
	ADD(&one, NUMBER);
	if (spec->scope & CRL_OF_DELTA)
		ADD(&one, DELTA);
	if (spec->scope & CRL_WITH_UNKNOWN)
		ADD(&one, UNKNOWN_CRITICAL);
	add_issuing_point(&one, spec);
	wrap(&all, 0x30, &one);
	wrap(tbs, 0xA0, &all);
	buf_release(&one);
	buf_release(&all);
}

static void add_algorithm(struct buf *b, const struct crl_spec *spec)
{
	if (spec->hash == CRL_BY_PSS)
		ADD(b, RSA_PSS);
	else if (spec->hash == CRL_BY_SHA1)
		ADD(b, ECDSA_SHA1);
	else
		ADD(b, ECDSA_SHA256);
}

static void add_signature(struct buf *b, const char *dir,
			  const struct crl_spec *spec, struct span tbs)
{
	static const gnutls_sign_algorithm_t algorithms[] = {
		[CRL_BY_SHA256] = GNUTLS_SIGN_ECDSA_SHA256,
		[CRL_BY_SHA1] = GNUTLS_SIGN_ECDSA_SHA1,
		[CRL_BY_PSS] = GNUTLS_SIGN_RSA_PSS_SHA256,
	};
	const char *signer = spec->signer ? spec->signer : spec->issuer;
	gnutls_datum_t pem = load(dir, signer, "key");
	gnutls_datum_t data = { (unsigned char *)(uintptr_t)tbs.at,
				(unsigned)tbs.len };
	gnutls_datum_t signature;
	gnutls_privkey_t key;

	OK(gnutls_privkey_init(&key));
	OK(gnutls_privkey_import_x509_raw(key, &pem, GNUTLS_X509_FMT_PEM, NULL,
					  0));
	OK(gnutls_privkey_sign_data2(key, algorithms[spec->hash], 0, &data,
				     &signature));
	add_header(b, 0x03, signature.size + 1);
	ADD(b, "\0");
	add(b, (const char *)signature.data, signature.size);
	gnutls_free(signature.data);
	gnutls_free(pem.data);
	gnutls_privkey_deinit(key);
}

void crls_make(struct buf *out, const char *dir, const struct crl_spec *spec)
{
	bool is_default = spec->this_s == 0 && spec->next_s == 0;
	struct buf tbs, all;

	buf_init(&tbs, LIST_MAX);
	buf_init(&all, LIST_MAX);
	buf_init(out, LIST_MAX);
	if (!(spec->scope & CRL_OF_VERSION_1))
		ADD(&tbs, "\x02\x01\x01");
	add_algorithm(&tbs, spec);
	add_issuer(&tbs, dir, spec->issuer);
	add_time(&tbs, is_default ? -HOUR_S : spec->this_s);
	if (!(spec->scope & CRL_WITHOUT_NEXT))
		add_time(&tbs, is_default ? DAY_S : spec->next_s);
	add_rows(&tbs, dir, spec);
	if (!(spec->scope & CRL_OF_VERSION_1))
		add_extensions(&tbs, spec);
	wrap(&all, 0x30, &tbs);
	struct span tbs_whole = buf_span(&all);
	add(&tbs, tbs_whole.at, tbs_whole.len);
	add_algorithm(&all, spec);
	add_signature(&all, dir, spec, buf_span(&tbs));
	wrap(out, 0x30, &all);
	buf_release(&tbs);
	buf_release(&all);
}

void crls_make_pem(struct buf *out, const char *dir,
		   const struct crl_spec *spec)
{
	struct buf der;
	struct span s;
	gnutls_datum_t raw, pem;

	crls_make(&der, dir, spec);
	s = buf_span(&der);
	raw = (gnutls_datum_t){ (unsigned char *)(uintptr_t)s.at,
				(unsigned)s.len };
	OK(gnutls_pem_base64_encode2("X509 CRL", &raw, &pem));
	buf_init(out, LIST_MAX);
	add(out, (const char *)pem.data, pem.size);
	gnutls_free(pem.data);
	buf_release(&der);
}

void crls_save(const char *path, const struct buf *crl)
{
	FILE *f = fopen(path, "w");
	struct span s = buf_span(crl);

	BUG_ON(!f || fwrite(s.at, s.len, 1, f) != 1);
	BUG_ON(fclose(f) != 0);
}
