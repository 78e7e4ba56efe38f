/* SPDX-License-Identifier: ISC */
/*
 * proxy - reads a PROXY header as the text says, and nothing looser.
 *
 * Who is named here is believed, so what is odd is refused: a header in
 * another form than its proxy meant would be an address made up by somebody.
 */
#include "net/proxy.h"

#include <arpa/inet.h>

enum {
	FIXED_BYTES = 16, /* of version 2, before the addresses */
	INET_BYTES = 12,
	INET6_BYTES = 36,
	VERSION_2 = 0x20,
	COMMAND_LOCAL = 0x20,
	COMMAND_PROXY = 0x21,
	FAMILY_UNSPEC = 0x00,
	FAMILY_TCP = 0x11,
	FAMILY_TCP6 = 0x21,
};

#define SIGNATURE SPAN("\r\n\r\n\0\r\nQUIT\n")

/* Is one of them how the other begins? */
static bool agrees(struct span a, struct span b)
{
	size_t n = a.len < b.len ? a.len : b.len;

	return n == 0 || memcmp(a.at, b.at, n) == 0;
}

static void set_inet(struct addr *out, const void *host, uint16_t port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_port = htons(port)};

	memcpy(&sin.sin_addr, host, sizeof(sin.sin_addr));
	addr_from_sockaddr(out, (const struct sockaddr *)&sin, sizeof(sin));
}

static void set_inet6(struct addr *out, const void *host, uint16_t port)
{
	struct sockaddr_in6 sin6 = {.sin6_family = AF_INET6,
				    .sin6_port = htons(port)};

	memcpy(&sin6.sin6_addr, host, sizeof(sin6.sin6_addr));
	addr_from_sockaddr(out, (const struct sockaddr *)&sin6, sizeof(sin6));
}

/* ------- version 1: "PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n" */

/* Takes the word that a single space ends, or the line. */
static bool take_word(struct span *line, char *out, size_t size)
{
	const char *space =
		line->len > 0 ? memchr(line->at, ' ', line->len) : NULL;
	size_t n = space ? (size_t)(space - line->at) : line->len;

	if (n == 0 || n >= size || memchr(line->at, '\0', n))
		return false;
	memcpy(out, line->at, n);
	out[n] = '\0';
	/* A space at the end of the line leaves an empty word to take. */
	*line = span_skip(*line, n);
	if (space && line->len == 1)
		return false;
	*line = span_skip(*line, space ? 1 : 0);
	return true;
}

static bool take_port(struct span *line, uint16_t *out)
{
	char word[6];
	unsigned port = 0;

	if (!take_word(line, word, sizeof(word)))
		return false;
	if (word[0] == '0' && word[1] != '\0')
		return false;
	for (const char *p = word; *p != '\0'; p++) {
		if (*p < '0' || *p > '9')
			return false;
		port = port * 10 + (unsigned)(*p - '0');
	}
	*out = (uint16_t)port;
	return port <= UINT16_MAX;
}

static bool take_host(struct span *line, int family, void *out)
{
	char word[INET6_ADDRSTRLEN];

	return take_word(line, word, sizeof(word)) &&
	       inet_pton(family, word, out) == 1;
}

static bool text_client(struct span line, int family, struct addr *client)
{
	struct in6_addr from, to; /* room for either family */
	uint16_t from_port, to_port;

	if (!take_host(&line, family, &from) ||
	    !take_host(&line, family, &to) || !take_port(&line, &from_port) ||
	    !take_port(&line, &to_port) || line.len > 0)
		return false;
	if (family == AF_INET)
		set_inet(client, &from, from_port);
	else
		set_inet6(client, &from, from_port);
	return true;
}

static bool text_line(struct span line, struct proxy_header *out)
{
	char word[8];

	line = span_skip(line, sizeof("PROXY ") - 1);
	if (!take_word(&line, word, sizeof(word)))
		return false;
	if (strcmp(word, "TCP4") == 0)
		return text_client(line, AF_INET, &out->client);
	if (strcmp(word, "TCP6") == 0)
		return text_client(line, AF_INET6, &out->client);
	out->is_local = strcmp(word, "UNKNOWN") == 0;
	return out->is_local;
}

static enum proxy_result parse_text(struct span in, struct proxy_header *out)
{
	const char *lf = memchr(in.at, '\n', in.len);
	size_t len = lf ? (size_t)(lf - in.at) + 1 : in.len;

	if (len > PROXY_TEXT_MAX || (!lf && len == PROXY_TEXT_MAX))
		return PROXY_BAD;
	if (!lf)
		return PROXY_MORE;
	if (in.at[len - 2] != '\r')
		return PROXY_BAD;
	out->len = len;
	return text_line((struct span){in.at, len - 2}, out) ? PROXY_DONE
							     : PROXY_BAD;
}

/* ------- version 2 */

static unsigned number(const char *at)
{
	const unsigned char *byte = (const unsigned char *)at;

	return (unsigned)byte[0] << 8 | byte[1];
}

/* Source and destination hosts, then both ports. */
static bool binary_client(struct span block, unsigned char family,
			  struct proxy_header *out)
{
	switch (family) {
	case FAMILY_UNSPEC:
		out->is_local = true;
		return true;
	case FAMILY_TCP:
		if (block.len < INET_BYTES)
			return false;
		set_inet(&out->client, block.at,
			 (uint16_t)number(block.at + 8));
		return true;
	case FAMILY_TCP6:
		if (block.len < INET6_BYTES)
			return false;
		set_inet6(&out->client, block.at,
			  (uint16_t)number(block.at + 32));
		return true;
	default:
		return false;
	}
}

static enum proxy_result parse_binary(struct span in, struct proxy_header *out)
{
	unsigned char command, family;
	size_t len;

	if (in.len > SIGNATURE.len &&
	    (in.at[SIGNATURE.len] & 0xf0) != VERSION_2)
		return PROXY_BAD;
	if (in.len < FIXED_BYTES)
		return PROXY_MORE;
	command = (unsigned char)in.at[SIGNATURE.len];
	family = (unsigned char)in.at[SIGNATURE.len + 1];
	len = FIXED_BYTES + number(in.at + SIGNATURE.len + 2);
	if (len > PROXY_HEADER_MAX)
		return PROXY_BAD;
	if (in.len < len)
		return PROXY_MORE;
	out->len = len;
	out->is_local = command == COMMAND_LOCAL;
	if (out->is_local)
		return PROXY_DONE;
	if (command != COMMAND_PROXY)
		return PROXY_BAD;
	in.len = len;
	return binary_client(span_skip(in, FIXED_BYTES), family, out)
		       ? PROXY_DONE
		       : PROXY_BAD;
}

/* ------- either */

enum proxy_result proxy_parse(struct span in, struct proxy_header *out)
{
	*out = (struct proxy_header){.len = 0};
	if (in.len == 0)
		return PROXY_MORE;
	if (agrees(in, SPAN("PROXY ")))
		return parse_text(in, out);
	if (agrees(in, SIGNATURE))
		return parse_binary(in, out);
	return PROXY_BAD;
}
