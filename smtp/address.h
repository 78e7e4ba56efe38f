/* SPDX-License-Identifier: ISC */
/*
 * address - mailboxes and domains: parse, check, compare.
 *
 * RFC 5321 4.1.2 (Mailbox, Domain, address-literal, Quoted-string), RFC 6531 3.3
 * (the same with UTF-8), RFC 5322 for nothing.  The local part is kept as it was written (its case and quotes
 * matter to others); the domain is compared without case.
 *
 * Thread: none; pure.
 */
#ifndef SMTP_ADDRESS_H
#define SMTP_ADDRESS_H

#include "base/bytes.h"
#include "base/err.h"

/* RFC 5321 4.5.3.1 asks for 64, 255 and 256 at least, and not to stop there:
 * the IMCEAEX- addresses of Exchange have far longer local parts. */
enum {
	LOCAL_PART_MAX = 512,
	DOMAIN_MAX = 255,
	PATH_MAX_LEN = 1024,             /* with < and > and a source route */
};

/* The parts of an address; borrowed from the text that was parsed. */
struct address {
	struct span local;               /* with its quotes, if any */
	struct span domain;              /* empty: `postmaster` alone */
};

/*
 * Parses a path at the front of *in: "<user@dom>", "<>" (local and domain
 * empty), "<@a,@b:user@dom>" (the source route is ignored, RFC 5321 4.1.1.3,
 * appendix F.2), "<postmaster>" (4.1.1.3, domain empty).  Advances *in past
 * '>'.  UTF-8 is taken, other 8-bit bytes and the control characters of Unicode
 * are refused; whether SMTPUTF8 allows it is for the caller to know, who hears
 * of it behind the path: address_is_ascii().
 * Errors: 501, ST_PERM 5.1.7 (sender) or 5.1.3 (recipient) as `detail` says.
 */
MUST_USE enum status path_parse(struct span *in, int detail,
				struct address *out, struct err *e);
/* "user@dom" without brackets, whole.  The domain may hold underscores: there
 * are hosts that are named so. */
MUST_USE bool address_parse(struct span s, struct address *out);
/* False: it may be said only with SMTPUTF8. */
MUST_USE bool address_is_ascii(const struct address *a);
MUST_USE bool domain_valid(struct span s); /* or an address literal */
/* The domain of "user@DOM" in lower case, or "" if there is none. */
void address_domain_lower(char out[DOMAIN_MAX + 1], const char *address);

#endif
