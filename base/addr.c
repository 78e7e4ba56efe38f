/* SPDX-License-Identifier: ISC */
/*
 * addr - socket addresses and networks: parse, print, match.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>

enum { HOST_NAME_MAX_LEN = 253, LABEL_MAX_LEN = 63 };

static void set_in(struct addr *out, struct in_addr host, in_port_t net_port)
{
	*out = (struct addr){.len = sizeof(out->in)};
	out->in.sin_family = AF_INET;
	out->in.sin_addr = host;
	out->in.sin_port = net_port;
}

static void set_in6(struct addr *out, const struct sockaddr_in6 *sa)
{
	struct in_addr mapped;

	if (IN6_IS_ADDR_V4MAPPED(&sa->sin6_addr)) {
		memcpy(&mapped, sa->sin6_addr.s6_addr + 12, sizeof(mapped));
		set_in(out, mapped, sa->sin6_port);
		return;
	}
	*out = (struct addr){.len = sizeof(out->in6)};
	out->in6 = *sa;
}

void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa,
			socklen_t len)
{
	struct sockaddr_in in;
	struct sockaddr_in6 in6;

	if (sa->sa_family == AF_INET && len >= sizeof(in)) {
		memcpy(&in, sa, sizeof(in));
		set_in(out, in.sin_addr, in.sin_port);
	} else if (sa->sa_family == AF_INET6 && len >= sizeof(in6)) {
		memcpy(&in6, sa, sizeof(in6));
		set_in6(out, &in6);
	} else {
		*out = (struct addr){.len = 0};
	}
}

static bool host_parse(const char *host, uint16_t port, struct addr *out)
{
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct in_addr in;

	if (inet_pton(AF_INET, host, &in) == 1) {
		set_in(out, in, htons(port));
		return true;
	}
	if (inet_pton(AF_INET6, host, &in6.sin6_addr) == 1) {
		in6.sin6_port = htons(port);
		set_in6(out, &in6);
		return true;
	}
	return false;
}

/* 1 to 5 digits and nothing else. */
static bool port_parse(const char *s, uint16_t *out)
{
	unsigned port = 0;

	if (*s == '\0' || strlen(s) > 5)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9')
			return false;
		port = port * 10 + (unsigned)(*s - '0');
	}
	if (port > UINT16_MAX)
		return false;
	*out = (uint16_t)port;
	return true;
}

/*
 * Cuts "host:port", "[host]:port" or "host" in two.  Without brackets a
 * second colon means an IPv6 address without a port.
 */
static bool split(const char *s, struct span *host, uint16_t *port,
		  bool *bracketed)
{
	const char *colon = strchr(s, ':');
	const char *close;

	*bracketed = *s == '[';
	if (*bracketed) {
		close = strchr(s, ']');
		if (!close || (close[1] != '\0' && close[1] != ':'))
			return false;
		*host = (struct span){s + 1, (size_t)(close - s - 1)};
		return close[1] == '\0' || port_parse(close + 2, port);
	}
	if (!colon || strchr(colon + 1, ':')) {
		*host = span_of(s);
		return true;
	}
	*host = (struct span){s, (size_t)(colon - s)};
	return port_parse(colon + 1, port);
}

bool addr_parse(const char *s, uint16_t default_port, struct addr *out)
{
	uint16_t port = default_port;
	char text[ADDR_TEXT_MAX];
	struct span host;
	bool bracketed;

	if (!split(s, &host, &port, &bracketed) || host.len >= sizeof(text))
		return false;
	memcpy(text, host.at, host.len);
	text[host.len] = '\0';
	return host_parse(text, port, out);
}

void addr_host_text(char out[ADDR_TEXT_MAX], const struct addr *a)
{
	const char *text = NULL;

	if (a->len > 0 && a->sa.sa_family == AF_INET)
		text = inet_ntop(AF_INET, &a->in.sin_addr, out, ADDR_TEXT_MAX);
	else if (a->len > 0 && a->sa.sa_family == AF_INET6)
		text = inet_ntop(AF_INET6, &a->in6.sin6_addr, out,
				 ADDR_TEXT_MAX);
	if (!text)
		snprintf(out, ADDR_TEXT_MAX, "unknown");
}

void addr_text(char out[ADDR_TEXT_MAX], const struct addr *a)
{
	char host[ADDR_TEXT_MAX];
	bool v6 = a->len > 0 && a->sa.sa_family == AF_INET6;

	addr_host_text(host, a);
	snprintf(out, ADDR_TEXT_MAX, v6 ? "[%.45s]:%u" : "%.45s:%u", host,
		 (unsigned)addr_port(a));
}

void addr_literal_text(char out[ADDR_TEXT_MAX], const struct addr *a)
{
	char host[ADDR_TEXT_MAX];
	bool v6 = a->len > 0 && a->sa.sa_family == AF_INET6;

	addr_host_text(host, a);
	snprintf(out, ADDR_TEXT_MAX, "[%s%.45s]", v6 ? "IPv6:" : "", host);
}

uint16_t addr_port(const struct addr *a)
{
	if (a->len == 0)
		return 0;
	return ntohs(a->sa.sa_family == AF_INET ? a->in.sin_port
						: a->in6.sin6_port);
}

struct span addr_host_key(const struct addr *a)
{
	if (a->len == 0)
		return (struct span){NULL, 0};
	if (a->sa.sa_family == AF_INET)
		return (struct span){(const char *)&a->in.sin_addr,
				     sizeof(a->in.sin_addr)};
	return (struct span){(const char *)&a->in6.sin6_addr,
			     sizeof(a->in6.sin6_addr)};
}

bool addr_eq(const struct addr *a, const struct addr *b)
{
	return addr_port(a) == addr_port(b) &&
	       span_eq(addr_host_key(a), addr_host_key(b));
}

bool addr_is_loopback(const struct addr *a)
{
	if (a->len == 0)
		return false;
	if (a->sa.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

static bool has_prefix(const uint8_t *bytes, const uint8_t *prefix,
		       unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(bytes, prefix, whole) != 0)
		return false;
	return rest == 0 ||
	       (bytes[whole] >> (8 - rest)) == (prefix[whole] >> (8 - rest));
}

static bool is_zero_after(const uint8_t *bytes, unsigned bits, unsigned total)
{
	for (unsigned i = bits; i < total; i++)
		if (bytes[i / 8] & (0x80u >> (i % 8)))
			return false;
	return true;
}

/* ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
static void network_unmap(struct network *n)
{
	static const uint8_t mapped[12] = {[10] = 0xFF, [11] = 0xFF};

	if (n->family != AF_INET6 || n->bits < 96 ||
	    memcmp(n->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memmove(n->bytes, n->bytes + 12, 4);
	memset(n->bytes + 4, 0, 12);
	n->family = AF_INET;
	n->bits -= 96;
}

bool network_parse(const char *s, struct network *out)
{
	const char *slash = strchr(s, '/');
	size_t len = slash ? (size_t)(slash - s) : strlen(s);
	struct network n = {.family = AF_INET};
	char text[ADDR_TEXT_MAX];
	uint16_t bits;
	unsigned total;

	if (len >= sizeof(text))
		return false;
	memcpy(text, s, len);
	text[len] = '\0';
	if (inet_pton(AF_INET, text, n.bytes) != 1) {
		n.family = AF_INET6;
		if (inet_pton(AF_INET6, text, n.bytes) != 1)
			return false;
	}
	total = n.family == AF_INET ? 32 : 128;
	bits = (uint16_t)total;
	if (slash && !port_parse(slash + 1, &bits))
		return false;
	if (bits > total || !is_zero_after(n.bytes, bits, total))
		return false;
	n.bits = bits;
	network_unmap(&n);
	*out = n;
	return true;
}

bool network_has(const struct network *n, const struct addr *a)
{
	if (a->len == 0 || a->sa.sa_family != n->family)
		return false;
	return has_prefix((const uint8_t *)addr_host_key(a).at, n->bytes,
			  n->bits);
}

/* Underscores are no host name by RFC 952, but in use. */
static bool is_host_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

static bool is_host_name(struct span s)
{
	size_t label = 0;

	if (s.len > 0 && s.at[s.len - 1] == '.')
		s.len--;
	if (s.len == 0 || s.len > HOST_NAME_MAX_LEN)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.at[i] == '.') {
			if (label == 0)
				return false;
			label = 0;
		} else if (!is_host_char(s.at[i]) || ++label > LABEL_MAX_LEN) {
			return false;
		}
	}
	return label > 0;
}

/* "[IPv6:::1]" as in a mail address is understood, too. */
static struct span skip_ipv6_tag(struct span host)
{
	const struct span tag = SPAN("IPv6:");

	return span_starts_nocase(host, tag) ? span_skip(host, tag.len) : host;
}

bool host_port_parse(const char *s, uint16_t default_port,
		     struct host_port *out)
{
	uint16_t port = default_port;
	struct span host;
	struct addr addr;
	bool bracketed, is_literal;
	char *text;

	if (!split(s, &host, &port, &bracketed) || port == 0)
		return false;
	if (bracketed)
		host = skip_ipv6_tag(host);
	text = span_dup(host);
	is_literal = host_parse(text, port, &addr);
	if (!is_literal && (bracketed || !is_host_name(host))) {
		free(text);
		return false;
	}
	*out = (struct host_port){
		.host = text,
		.port = port,
		.is_literal = is_literal,
		.is_bare = !is_literal && !strchr(s, ':'),
	};
	return true;
}
