/* SPDX-License-Identifier: ISC */
/*
 * name - does a name in a certificate stand for the name we want?
 *
 * RFC 9525: letters without case, one trailing dot ignored, a wildcard only as
 * the whole left-most label, standing for exactly one label, and never right
 * under a top level domain ("*.com").  Host names are A-labels here.
 *
 * A wanted name may be a wildcard as well ("*.contoso.com", as in Exchange's
 * TlsDomain): it takes the same wildcard, or any name one label below it.
 *
 * Pure.  Thread: any.
 */
#ifndef TLS_NAME_H
#define TLS_NAME_H

#include "base/bytes.h"

enum { NAME_IP_MAX = 16 };

/* presented: a dNSName, with bytes that nobody has checked. */
bool name_matches(struct span presented, struct span wanted);

/* The bytes of an address literal without brackets ("192.0.2.1", "::1"):
 * 4, 16, or 0 when it is none.  Such a name matches an iPAddress only. */
size_t name_literal(const char *name, uint8_t out[NAME_IP_MAX]);

#endif
