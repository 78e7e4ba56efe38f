/* SPDX-License-Identifier: ISC */
/*
 * crl - reads a list, PEM or DER.
 *
 * GnuTLS reads lists too, but neither the reasons nor the scope of what it
 * read can be had from it, and it keeps a tree of every row.  Here the list
 * stays as it came; every row is looked at once, because one with a critical
 * extension that nobody knows makes all of them worthless (RFC 5280 5.3).
 */
#include "tls/crl.h"

#include <stdlib.h>

#include "tls/crl_list.h"

#define OID_DELTA "2.5.29.27"
#define OID_ISSUING_POINT "2.5.29.28"
#define OID_ISSUER_KEY "2.5.29.35"
#define OID_NUMBER "2.5.29.20"
#define OID_REASON "2.5.29.21"
#define OID_CERTIFICATE_ISSUER "2.5.29.29"

static const char begin_pem[] = "-----BEGIN ";
static const char begin_crl[] = "-----BEGIN X509 CRL-----";
static const char end_crl[] = "-----END X509 CRL-----";

/* -------------------------------------------------------------- extensions */

struct extension {
	char oid[DER_OID_TEXT_MAX];
	bool critical;
	struct span value;
};

static bool take_extension(struct span *in, struct extension *out)
{
	struct der all, oid, value;

	if (!der_take(in, DER_SEQUENCE, &all) ||
	    !der_take(&all.content, DER_OID, &oid) ||
	    !der_take_boolean(&all.content, DER_BOOLEAN, &out->critical) ||
	    !der_take(&all.content, DER_OCTET_STRING, &value) ||
	    all.content.len > 0)
		return false;
	der_oid_text(out->oid, oid.content);
	out->value = value.content;
	return true;
}

static void note_unknown(char unknown[DER_OID_TEXT_MAX],
			 const struct extension *x)
{
	if (x->critical && unknown[0] == '\0')
		memcpy(unknown, x->oid, DER_OID_TEXT_MAX);
}

/* DistributionPointName: the full names of it, which are all that can be
 * compared. */
static void take_point(struct crl *c, struct span *in)
{
	struct der field, name;

	c->has_point = der_take(in, DER_CONTEXT_IN | 0, &field);
	if (c->has_point && der_take(&field.content, DER_CONTEXT_IN | 0, &name))
		c->point = name.content;
}

/* RFC 5280 5.2.5 */
static bool read_issuing_point(struct crl *c, struct span value)
{
	struct der all, reasons;
	struct span in;

	if (!der_take(&value, DER_SEQUENCE, &all) || value.len > 0)
		return false;
	in = all.content;
	take_point(c, &in);
	if (!der_take_boolean(&in, DER_CONTEXT | 1, &c->only_users) ||
	    !der_take_boolean(&in, DER_CONTEXT | 2, &c->only_cas))
		return false;
	c->some_reasons = der_take(&in, DER_CONTEXT | 3, &reasons);
	return der_take_boolean(&in, DER_CONTEXT | 4, &c->is_indirect) &&
	       der_take_boolean(&in, DER_CONTEXT | 5, &c->only_attributes) &&
	       in.len == 0;
}

static bool read_extensions(struct crl *c, struct span in)
{
	struct extension x;
	struct der all;

	if (!der_take(&in, DER_SEQUENCE, &all) || in.len > 0)
		return false;
	while (all.content.len > 0) {
		if (!take_extension(&all.content, &x))
			return false;
		if (strcmp(x.oid, OID_DELTA) == 0)
			c->is_delta = true;
		else if (strcmp(x.oid, OID_ISSUING_POINT) == 0) {
			if (!read_issuing_point(c, x.value))
				return false;
		} else if (strcmp(x.oid, OID_ISSUER_KEY) != 0 &&
			   strcmp(x.oid, OID_NUMBER) != 0)
			note_unknown(c->unknown, &x);
	}
	return true;
}

/* -------------------------------------------------------------------- rows */

static struct span plain_serial(struct span integer)
{
	while (integer.len > 1 && integer.at[0] == '\0')
		integer = span_skip(integer, 1);
	return integer;
}

static int compare_serials(struct span a, struct span b)
{
	if (a.len != b.len)
		return a.len < b.len ? -1 : 1;
	return a.len > 0 ? memcmp(a.at, b.at, a.len) : 0;
}

static bool read_entry_extension(struct crl_entry *out,
				 const struct extension *x)
{
	struct span in = x->value;
	struct der reason;

	if (strcmp(x->oid, OID_CERTIFICATE_ISSUER) == 0) {
		out->is_indirect = true;
	} else if (strcmp(x->oid, OID_REASON) == 0) {
		if (!der_take(&in, DER_ENUMERATED, &reason) ||
		    reason.content.len != 1)
			return false;
		out->reason = (unsigned char)reason.content.at[0];
	} else {
		note_unknown(out->unknown, x);
	}
	return true;
}

bool crl_take_entry(struct span *in, struct crl_entry *out)
{
	struct der row, serial, extensions;
	struct extension x;

	*out = (struct crl_entry){.reason = -1};
	if (!der_take(in, DER_SEQUENCE, &row) ||
	    !der_take(&row.content, DER_INTEGER, &serial) ||
	    serial.content.len == 0 ||
	    !der_take_time(&row.content, &out->revoked_ms))
		return false;
	out->serial = plain_serial(serial.content);
	if (row.content.len == 0)
		return true;
	if (!der_take(&row.content, DER_SEQUENCE, &extensions) ||
	    row.content.len > 0)
		return false;
	while (extensions.content.len > 0)
		if (!take_extension(&extensions.content, &x) ||
		    !read_entry_extension(out, &x))
			return false;
	return true;
}

/* The rows were read before, so they can be. */
static struct crl_entry entry_at(const struct crl *c, uint32_t at)
{
	struct span in = {c->der + at, c->len - at};
	struct crl_entry entry;

	BUG_ON(!crl_take_entry(&in, &entry));
	return entry;
}

static struct span serial_at(const struct crl *c, uint32_t at)
{
	struct span in = {c->der + at, c->len - at};
	struct der row, serial;

	BUG_ON(!der_take(&in, DER_SEQUENCE, &row) ||
	       !der_take(&row.content, DER_INTEGER, &serial));
	return plain_serial(serial.content);
}

static int by_serial(const void *a, const void *b, void *arg)
{
	const struct crl *c = arg;

	return compare_serials(serial_at(c, *(const uint32_t *)a),
			       serial_at(c, *(const uint32_t *)b));
}

bool crl_find(const struct crl *c, struct span serial, struct crl_entry *out)
{
	size_t low = 0, high = c->n;

	serial = plain_serial(serial);
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_serials(serial,
					    serial_at(c, c->entries[middle]));

		if (order == 0) {
			*out = entry_at(c, c->entries[middle]);
			return true;
		}
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return false;
}

static bool read_entries(struct crl *c, struct span in)
{
	struct span all = in;
	struct crl_entry entry;

	for (c->n = 0; in.len > 0; c->n++) {
		if (!crl_take_entry(&in, &entry))
			return false;
		c->is_indirect = c->is_indirect || entry.is_indirect;
		if (entry.unknown[0] && !c->unknown[0])
			memcpy(c->unknown, entry.unknown, sizeof(c->unknown));
	}
	c->entries = xcalloc(c->n + 1, sizeof(*c->entries));
	for (size_t i = 0; i < c->n; i++) {
		c->entries[i] = (uint32_t)(all.at - c->der);
		BUG_ON(!crl_take_entry(&all, &entry));
	}
	qsort_r(c->entries, c->n, sizeof(*c->entries), by_serial, c);
	return true;
}

/* ---------------------------------------------------------------- the list */

static bool read_signed_part(struct crl *c, struct span in)
{
	struct der version, algorithm, issuer, entries, extensions;
	struct span outer = c->algorithm;

	if (der_take(&in, DER_INTEGER, &version) &&
	    !span_eq(version.content, SPAN("\1")))
		return false;
	/* RFC 5280 5.1.2.2: the one outside is not signed. */
	if (!der_take(&in, DER_SEQUENCE, &algorithm) ||
	    !span_eq(algorithm.content, outer) ||
	    !der_take(&in, DER_SEQUENCE, &issuer) ||
	    !der_take_time(&in, &c->this_ms))
		return false;
	c->issuer = issuer.whole;
	if (in.len > 0 && (unsigned char)in.at[0] != DER_SEQUENCE &&
	    (unsigned char)in.at[0] != (DER_CONTEXT_IN | 0) &&
	    !der_take_time(&in, &c->next_ms))
		return false;
	if (der_take(&in, DER_SEQUENCE, &entries) &&
	    !read_entries(c, entries.content))
		return false;
	if (der_take(&in, DER_CONTEXT_IN | 0, &extensions) &&
	    !read_extensions(c, extensions.content))
		return false;
	return in.len == 0;
}

static bool read_list(struct crl *c)
{
	struct span in = {c->der, c->len};
	struct der all, tbs, algorithm, signature;

	if (!der_take(&in, DER_SEQUENCE, &all) || in.len > 0 ||
	    !der_take(&all.content, DER_SEQUENCE, &tbs) ||
	    !der_take(&all.content, DER_SEQUENCE, &algorithm) ||
	    !der_take(&all.content, DER_BIT_STRING, &signature) ||
	    all.content.len > 0)
		return false;
	/* No unused bits. */
	if (signature.content.len < 2 || signature.content.at[0] != '\0')
		return false;
	c->signed_part = tbs.whole;
	c->algorithm = algorithm.content;
	c->signature = span_skip(signature.content, 1);
	return read_signed_part(c, tbs.content);
}

struct crl *crl_ref(struct crl *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

void crl_unref(struct crl *c)
{
	if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
		return;
	free(atomic_load(&c->signer));
	free(c->entries);
	free(c->der);
	free(c);
}

/* Takes over der. */
static enum status make(struct crl **out, char *der, size_t len, struct err *e)
{
	struct crl *c = xcalloc(1, sizeof(*c));
	struct span in = {der, len};
	size_t announced = der_announced(in);

	atomic_init(&c->refs, 1);
	atomic_init(&c->signer, NULL);
	c->der = der;
	c->len = len;
	if (read_list(c)) {
		*out = c;
		return ST_OK;
	}
	crl_unref(c);
	if (announced > len)
		return err_perm(e, 7, 0, "cut short: %zu of %zu bytes", len,
				announced);
	return err_perm(e, 7, 0, "not readable as a revocation list");
}

/* ---------------------------------------------------------------- encodings */

static struct span without_blanks(struct span s)
{
	while (s.len > 0 && strchr(" \t\r\n", s.at[0]))
		s = span_skip(s, 1);
	return s;
}

static const char *find(struct span in, const char *what, size_t len)
{
	return in.len > 0 ? memmem(in.at, in.len, what, len) : NULL;
}

static enum status read_pem(struct crl **out, struct span *in, struct err *e)
{
	const char *begin = find(*in, begin_crl, sizeof(begin_crl) - 1);
	const char *end;
	gnutls_datum_t block, der = {NULL, 0};
	enum status st;

	if (!begin)
		return err_perm(e, 7, 0,
				"PEM of something else: no BEGIN X509 CRL");
	*in = span_skip(*in, (size_t)(begin - in->at));
	end = find(*in, end_crl, sizeof(end_crl) - 1);
	if (!end)
		return err_perm(e, 7, 0, "cut short: PEM without its end");
	block.data = (unsigned char *)begin;
	block.size = (unsigned)(end - begin) + sizeof(end_crl) - 1;
	*in = span_skip(*in, block.size);
	if (gnutls_pem_base64_decode2("X509 CRL", &block, &der) < 0)
		return err_perm(e, 7, 0, "damaged: its base64 is wrong");
	st = make(out, xstrndup((const char *)der.data, der.size), der.size, e);
	gnutls_free(der.data);
	if (!find(*in, begin_crl, sizeof(begin_crl) - 1))
		*in = span_skip(*in, in->len);
	return st;
}

enum status crl_read(struct crl **out, struct span *in, struct err *e)
{
	struct span text = without_blanks(*in);
	bool is_der = in->len > 0 && in->at[0] == DER_SEQUENCE;

	/* PEM is larger by a third. */
	if (in->len / (is_der ? 1 : 2) > CRL_BYTES_MAX)
		return err_perm(e, 7, 0, "too large: over %d MiB",
				CRL_BYTES_MAX >> 20);
	if (text.len == 0)
		return err_perm(e, 7, 0, "empty");
	if (is_der) {
		struct span all = *in;

		*in = span_skip(*in, in->len);
		return make(out, xstrndup(all.at, all.len), all.len, e);
	}
	if (find(*in, begin_pem, sizeof(begin_pem) - 1))
		return read_pem(out, in, e);
	if (text.at[0] == '<')
		return err_perm(e, 7, 0, "an HTML page (a login page?)");
	return err_perm(e, 7, 0, "neither DER nor PEM");
}

int64_t crl_this_update_ms(const struct crl *c)
{
	return c->this_ms;
}

int64_t crl_next_update_ms(const struct crl *c)
{
	return c->next_ms;
}

size_t crl_entries(const struct crl *c)
{
	return c->n;
}

struct span crl_der(const struct crl *c)
{
	return (struct span){c->der, c->len};
}
