/* SPDX-License-Identifier: ISC */
/*
 * addr - socket addresses and networks: parse, print, match.
 *
 * An IPv4-mapped IPv6 address (::ffff:10.0.0.1) is always turned into the IPv4
 * address it stands for, so that networks match it.
 */
#ifndef BASE_ADDR_H
#define BASE_ADDR_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/bytes.h"

enum { ADDR_TEXT_MAX = 64, PORT_SMTP = 25 };

struct addr {
	socklen_t len;
	union {
		struct sockaddr     sa;
		struct sockaddr_in  in;
		struct sockaddr_in6 in6;
	};
};

struct network {
	uint8_t  bytes[16];
	uint8_t  family;                 /* AF_INET or AF_INET6 */
	unsigned bits;
};

/* "192.0.2.1:25", "[::1]:25", or without a port (then default_port). */
MUST_USE bool addr_parse(const char *s, uint16_t default_port, struct addr *out);
void addr_from_sockaddr(struct addr *out, const struct sockaddr *sa,
			socklen_t len);
/* "192.0.2.1:25", "[::1]:25" */
void addr_text(char out[ADDR_TEXT_MAX], const struct addr *a);
/* "192.0.2.1", "::1" */
void addr_host_text(char out[ADDR_TEXT_MAX], const struct addr *a);
/* RFC 5321 4.1.3: "[192.0.2.1]", "[IPv6:::1]" */
void addr_literal_text(char out[ADDR_TEXT_MAX], const struct addr *a);
uint16_t addr_port(const struct addr *a);
bool addr_eq(const struct addr *a, const struct addr *b);
bool addr_is_loopback(const struct addr *a);
/* The bytes of the host without the port, as a key. */
struct span addr_host_key(const struct addr *a);

/* "10.0.0.0/8", "2001:db8::/32", or a single address.  Bits beyond the prefix
 * must be zero. */
MUST_USE bool network_parse(const char *s, struct network *out);
bool network_has(const struct network *n, const struct addr *a);

/* Splits "host:port", "[::1]:port", "[192.0.2.1]", "host" into the host (out,
 * without brackets, owned by the caller) and port; is_literal says that it
 * was an address, is_bare that it was a name without a port. */
struct host_port {
	char    *host;                   /* owned */
	uint16_t port;
	bool     is_literal;
	bool     is_bare;
};
MUST_USE bool host_port_parse(const char *s, uint16_t default_port,
			      struct host_port *out);

#endif
