/* SPDX-License-Identifier: ISC */
/*
 * address - the grammar of mailboxes and domains.
 *
 * Each take_*() function takes its production of RFC 5321 4.1.2 from the front
 * of a span; false means that the production is not there, and the span is
 * then of no use any more.
 */
#include "smtp/address.h"

#include <arpa/inet.h>

enum { LABEL_MAX = 63, REPLY_SYNTAX = 501 };

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool is_atext(char c)
{
	return is_alnum(c) ||
	       (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool take_char(struct span *s, char c)
{
	if (s->len == 0 || s->at[0] != c)
		return false;
	*s = span_skip(*s, 1);
	return true;
}

/* What lies between the start of `before` and the start of `after`. */
static struct span taken(struct span before, struct span after)
{
	return (struct span){before.at, before.len - after.len};
}

/* RFC 6531 3.3, UTF8-non-ascii: how many bytes of it s begins with.  RFC 5198 2
 * warns of the control characters U+0080 to U+009F. */
static size_t non_ascii(struct span s)
{
	size_t n = span_utf8(s);

	if (n == 2 && (unsigned char)s.at[0] == 0xC2 &&
	    (unsigned char)s.at[1] < 0xA0)
		return 0;
	return n > 1 ? n : 0;
}

/* sub-domain, the underscore beside it, and U-labels; how long one of these is
 * in the DNS is not known here. */
static bool take_label(struct span *s)
{
	size_t n = 0, max = LABEL_MAX;

	while (n < s->len) {
		size_t wide = non_ascii(span_skip(*s, n));
		char c = s->at[n];

		if (wide == 0 && !is_alnum(c) && c != '-' && c != '_')
			break;
		if (wide > 0)
			max = DOMAIN_MAX;
		n += wide > 0 ? wide : 1;
	}
	if (n == 0 || n > max || s->at[0] == '-' || s->at[n - 1] == '-')
		return false;
	*s = span_skip(*s, n);
	return true;
}

static bool literal_valid(struct span inner)
{
	struct span ipv6 = SPAN("IPv6:");
	unsigned char bytes[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN];
	int family = AF_INET;

	if (span_starts_nocase(inner, ipv6)) {
		inner = span_skip(inner, ipv6.len);
		family = AF_INET6;
	}
	if (inner.len >= sizeof(text) ||
	    memchr(inner.at, '\0', inner.len) != NULL)
		return false;
	memcpy(text, inner.at, inner.len);
	text[inner.len] = '\0';
	return inet_pton(family, text, bytes) == 1;
}

static bool take_literal(struct span *s)
{
	struct span inner = *s;
	const char *end;

	if (!take_char(&inner, '[') || inner.len == 0)
		return false;
	end = memchr(inner.at, ']', inner.len);
	if (end == NULL)
		return false;
	inner.len = (size_t)(end - inner.at);
	*s = span_skip(*s, inner.len + 2);
	return literal_valid(inner);
}

static bool take_domain(struct span *s, struct span *out)
{
	struct span start = *s;

	if (s->len > 0 && s->at[0] == '[') {
		if (!take_literal(s))
			return false;
	} else {
		do {
			if (!take_label(s))
				return false;
		} while (take_char(s, '.'));
	}
	*out = taken(start, *s);
	return out->len <= DOMAIN_MAX;
}

static bool take_atom(struct span *s)
{
	size_t n = 0;

	while (n < s->len) {
		size_t wide = non_ascii(span_skip(*s, n));

		if (wide == 0 && !is_atext(s->at[n]))
			break;
		n += wide > 0 ? wide : 1;
	}
	*s = span_skip(*s, n);
	return n > 0;
}

static bool take_quoted(struct span *s)
{
	if (!take_char(s, '"'))
		return false;
	while (s->len > 0 && s->at[0] != '"') {
		bool escaped = take_char(s, '\\');
		size_t wide = escaped ? 0 : non_ascii(*s);

		if (s->len == 0)
			return false;
		if (wide == 0 && (s->at[0] < ' ' || s->at[0] > '~'))
			return false;
		*s = span_skip(*s, wide > 0 ? wide : 1);
	}
	return take_char(s, '"');
}

static bool take_local(struct span *s, struct span *out)
{
	struct span start = *s;

	if (s->len > 0 && s->at[0] == '"') {
		if (!take_quoted(s))
			return false;
	} else {
		do {
			if (!take_atom(s))
				return false;
		} while (take_char(s, '.'));
	}
	*out = taken(start, *s);
	return out->len <= LOCAL_PART_MAX;
}

static bool take_mailbox(struct span *s, struct address *out)
{
	return take_local(s, &out->local) && take_char(s, '@') &&
	       take_domain(s, &out->domain);
}

/* "@a,@b:", if it is there. */
static bool take_route(struct span *s)
{
	struct span domain;

	if (s->len == 0 || s->at[0] != '@')
		return true;
	do {
		if (!take_char(s, '@') || !take_domain(s, &domain))
			return false;
	} while (take_char(s, ','));
	return take_char(s, ':');
}

static bool take_path(struct span *in, struct address *out)
{
	struct span start = *in;
	struct span postmaster = SPAN("postmaster>");
	struct address a = {{NULL, 0}, {NULL, 0}};

	if (!take_char(in, '<'))
		return false;
	if (span_starts_nocase(*in, postmaster)) {
		a.local = (struct span){in->at, postmaster.len - 1};
		*in = span_skip(*in, postmaster.len);
	} else if (!take_char(in, '>')) {
		if (!take_route(in) || !take_mailbox(in, &a) ||
		    !take_char(in, '>'))
			return false;
	}
	*out = a;
	return taken(start, *in).len <= PATH_MAX_LEN;
}

enum status path_parse(struct span *in, int detail, struct address *out,
		       struct err *e)
{
	struct span s = *in;
	struct address a;
	enum status st;

	if (!take_path(&s, &a)) {
		st = err_perm(e, 1, detail, "Bad %s address syntax",
			      detail == 3 ? "recipient" : "sender");
		e->reply = REPLY_SYNTAX;
		return st;
	}
	*in = s;
	*out = a;
	return ST_OK;
}

bool address_parse(struct span s, struct address *out)
{
	struct address a;

	if (!take_mailbox(&s, &a) || s.len > 0)
		return false;
	*out = a;
	return true;
}

static bool is_ascii(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] >= 0x80)
			return false;
	return true;
}

bool address_is_ascii(const struct address *a)
{
	return is_ascii(a->local) && is_ascii(a->domain);
}

bool domain_valid(struct span s)
{
	struct span domain;

	return take_domain(&s, &domain) && s.len == 0;
}

void address_domain_lower(char out[DOMAIN_MAX + 1], const char *address)
{
	/* The last @: one in a quoted local part stands before it. */
	const char *at = strrchr(address, '@');
	size_t len = at != NULL ? strlen(at + 1) : 0;

	if (len > DOMAIN_MAX)
		len = 0;
	for (size_t i = 0; i < len; i++) {
		char c = at[1 + i];

		out[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	out[len] = '\0';
}
