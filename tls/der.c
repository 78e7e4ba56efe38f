/* SPDX-License-Identifier: ISC */
/*
 * der - reads DER (X.690), value by value, without copying.
 */
#include "tls/der.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

enum { LENGTH_BYTES_MAX = 4, TAG_LONG = 0x1F };

static unsigned byte_at(struct span s, size_t i)
{
	return (unsigned char)s.at[i];
}

/* The length of the header and of the content; false: bad, or too short to
 * tell. */
static bool read_header(struct span in, size_t *header, size_t *content)
{
	unsigned first;
	size_t n, len = 0;

	if (in.len < 2 || (byte_at(in, 0) & TAG_LONG) == TAG_LONG)
		return false;
	first = byte_at(in, 1);
	n = first & 0x7F;
	if (first < 0x80) {
		*header = 2;
		*content = first;
		return true;
	}
	if (n == 0 || n > LENGTH_BYTES_MAX || in.len < 2 + n)
		return false;
	for (size_t i = 0; i < n; i++)
		len = len << 8 | byte_at(in, 2 + i);
	if (len < 0x80 || (n > 1 && byte_at(in, 2) == 0))
		return false;
	*header = 2 + n;
	*content = len;
	return true;
}

bool der_read(struct span *in, struct der *out)
{
	size_t header, content;

	if (!read_header(*in, &header, &content) || content > in->len - header)
		return false;
	out->tag = byte_at(*in, 0);
	out->content = (struct span){in->at + header, content};
	out->whole = (struct span){in->at, header + content};
	*in = span_skip(*in, header + content);
	return true;
}

bool der_take(struct span *in, unsigned tag, struct der *out)
{
	return in->len > 0 && byte_at(*in, 0) == tag && der_read(in, out);
}

size_t der_announced(struct span in)
{
	size_t header, content;

	return read_header(in, &header, &content) ? header + content : 0;
}

bool der_take_boolean(struct span *in, unsigned tag, bool *out)
{
	struct span rest = *in;
	struct der value;

	*out = false;
	if (in->len == 0 || byte_at(*in, 0) != tag)
		return true;
	if (!der_take(&rest, tag, &value) || value.content.len != 1)
		return false;
	*out = byte_at(value.content, 0) != 0;
	*in = rest;
	return true;
}

/* ------------------------------------------------------------------- times */

static bool two_digits(struct span *s, int *out)
{
	if (s->len < 2)
		return false;
	for (size_t i = 0; i < 2; i++)
		if (s->at[i] < '0' || s->at[i] > '9')
			return false;
	*out = (s->at[0] - '0') * 10 + (s->at[1] - '0');
	*s = span_skip(*s, 2);
	return true;
}

/* RFC 5280 4.1.2.5.1: 50 to 99 are of the last century. */
static bool read_year(struct span *s, bool has_century, int *out)
{
	int century = 0, year;

	if (has_century && !two_digits(s, &century))
		return false;
	if (!two_digits(s, &year))
		return false;
	if (!has_century)
		century = year >= 50 ? 19 : 20;
	*out = century * 100 + year;
	return true;
}

bool der_take_time(struct span *in, int64_t *wall_ms)
{
	struct span rest = *in, s;
	struct der value;
	struct tm tm = {.tm_isdst = 0};
	int year, month;

	if (!der_read(&rest, &value) ||
	    (value.tag != DER_UTC_TIME && value.tag != DER_GENERALIZED_TIME))
		return false;
	s = value.content;
	if (!read_year(&s, value.tag == DER_GENERALIZED_TIME, &year) ||
	    !two_digits(&s, &month) || !two_digits(&s, &tm.tm_mday) ||
	    !two_digits(&s, &tm.tm_hour) || !two_digits(&s, &tm.tm_min) ||
	    !two_digits(&s, &tm.tm_sec) || !span_eq(s, SPAN("Z")))
		return false;
	if (month < 1 || month > 12 || tm.tm_mday < 1 || tm.tm_mday > 31 ||
	    tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return false;
	tm.tm_year = year - 1900;
	tm.tm_mon = month - 1;
	*wall_ms = (int64_t)timegm(&tm) * 1000;
	*in = rest;
	return true;
}

/* -------------------------------------------------------------------- OIDs */

static bool add_number(char out[DER_OID_TEXT_MAX], size_t *len, uint64_t n)
{
	int wrote = snprintf(out + *len, DER_OID_TEXT_MAX - *len,
			     *len > 0 ? ".%" PRIu64 : "%" PRIu64, n);

	if (wrote < 0 || (size_t)wrote >= DER_OID_TEXT_MAX - *len)
		return false;
	*len += (size_t)wrote;
	return true;
}

/* X.690 8.19: the first number holds the first two components. */
static bool add_component(char out[DER_OID_TEXT_MAX], size_t *len, uint64_t n)
{
	uint64_t first = n < 80 ? n / 40 : 2;

	if (*len > 0)
		return add_number(out, len, n);
	return add_number(out, len, first) &&
	       add_number(out, len, n - 40 * first);
}

void der_oid_text(char out[DER_OID_TEXT_MAX], struct span content)
{
	uint64_t n = 0;
	size_t len = 0;
	bool good = content.len > 0 && content.len < DER_OID_TEXT_MAX;
	bool ended = true;

	for (size_t i = 0; good && i < content.len; i++) {
		unsigned byte = byte_at(content, i);

		good = n <= UINT64_MAX >> 7;
		n = n << 7 | (byte & 0x7F);
		ended = (byte & 0x80) == 0;
		if (ended) {
			good = good && add_component(out, &len, n);
			n = 0;
		}
	}
	if (!good || !ended)
		snprintf(out, DER_OID_TEXT_MAX, "?");
}
