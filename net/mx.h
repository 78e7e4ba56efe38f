/* SPDX-License-Identifier: ISC */
/*
 * mx - which hosts take mail for a domain, in the order to try them.
 *
 * RFC 5321 section 5.1: MX records by preference, equal ones shuffled; a name
 * without MX but with an address is its own host; a CNAME is followed; when we
 * are among the hosts, those not better than us are left out.  RFC 7505: a
 * null MX takes no mail.
 *
 * mx_start() calls back exactly once, from the event loop, unless mx_cancel()
 * or resolver_close() came first.
 *
 * Thread: the worker of the resolver.
 */
#ifndef NET_MX_H
#define NET_MX_H

#include "net/resolver.h"

struct mx_lookup;

enum mx_kind {
	MX_HOSTS,                        /* at least one */
	MX_NULL,                         /* takes no mail, RFC 7505 */
	MX_LOOP,                         /* the best host is ourselves */
	MX_FAILED,                       /* `lookup` says why */
};

struct mx_answer {
	enum mx_kind kind;
	enum lookup_result lookup;       /* MX_FAILED; NXDOMAIN and NODATA (no MX
					    and no address) are for good */
	char  **hosts;                   /* without final dot, lower case */
	size_t  nhosts;
	int64_t ttl_ms;                  /* how long it holds, at most an hour,
					    at least a second */
};

/* The answer is borrowed until the callback returns. */
typedef void mx_seen(void *arg, const struct mx_answer *answer);

/* domain: A-labels, or U-labels (turned into A-labels by libidn2), or an
 * address literal with brackets (its own host).  own_name: ours. */
MUST_USE struct mx_lookup *mx_start(struct resolver *r, const char *domain,
				    const char *own_name, mx_seen *seen,
				    void *arg);
void mx_cancel(struct mx_lookup *l);     /* NULL is fine */

/* The pure part: records as they came, any order. */
struct mx_record {
	uint16_t    preference;
	const char *host;                /* "" or "." is the root */
};
/* Fills out (its strings owned by the caller; mx_answer_release). `random`
 * shuffles equal preferences. */
void mx_order(const struct mx_record *records, size_t n, const char *own_name,
	      uint32_t random, struct mx_answer *out);
/* The same for a DNS message with MX records in its answer section, as a server
 * sent it, and how long they hold.  False: it is no DNS message. */
MUST_USE bool mx_parse(struct span msg, const char *own_name, uint32_t random,
		       struct mx_answer *out);
void mx_answer_release(struct mx_answer *a);

#endif
