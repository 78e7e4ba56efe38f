/* SPDX-License-Identifier: ISC */
/*
 * resolver - asks the DNS with libunbound on the worker's event_base.
 *
 * /etc/hosts is read first, then the name servers of /etc/resolv.conf (or
 * those of resolver_conf) are asked.  Answers are cached by their TTL inside
 * libunbound.
 *
 * lookup_start() calls back exactly once, from the event loop, unless
 * lookup_cancel() or resolver_close() came first.  The callback may call all
 * of this header; its lookup is no more.  When one family is known, the other
 * is waited for no longer than a second.  RFC 5321 5.1, RFC 6761 (localhost).
 *
 * Thread: the worker of the base.
 */
#ifndef NET_RESOLVER_H
#define NET_RESOLVER_H

#include "base/addr.h"
#include "base/err.h"

struct event_base;
struct resolver;
struct lookup;

enum lookup_result {
	LOOKUP_OK, /* at least one address */
	LOOKUP_NXDOMAIN,
	LOOKUP_NODATA, /* the name exists, without addresses */
	LOOKUP_TIMEOUT,
	LOOKUP_SERVFAIL,
	LOOKUP_BOGUS,
};

struct resolver_conf {
	const char *servers; /* "127.0.0.1@5353 ...", NULL: system's */
	const char *hosts; /* a hosts file, NULL: system's */
	int64_t timeout_ms; /* for one lookup */
};

MUST_USE enum status resolver_open(struct resolver **out,
				   struct event_base *base,
				   const struct resolver_conf *conf,
				   struct err *e);
void resolver_close(struct resolver *r); /* cancels what is under way */

/* addrs has the given port, A before AAAA interleaved as RFC 6724 would for a
 * host with both; borrowed until the callback returns. */
typedef void lookup_seen(void *arg, enum lookup_result result,
			 const struct addr *addrs, size_t n);

MUST_USE struct lookup *lookup_start(struct resolver *r, const char *host,
				     uint16_t port, lookup_seen *seen,
				     void *arg);
void lookup_cancel(struct lookup *l); /* NULL is fine */

/* What the name servers (the hosts file isn't read) say of the records of one
 * type (ns_t_mx ...): a DNS message, borrowed until the callback returns.
 * LOOKUP_OK: at least one record of the type is in the answer section, aliases
 * have been followed.  LOOKUP_NODATA has a message, too; the others have none.
 */
typedef void records_seen(void *arg, enum lookup_result result,
			  const unsigned char *msg, size_t len);

MUST_USE struct lookup *lookup_records(struct resolver *r, const char *name,
				       int type, records_seen *seen, void *arg);
/* `closed` gets the arg of the lookup when resolver_close() cancels it, to
 * free what would be freed in the callback. */
typedef void lookup_closed(void *arg);
void lookup_set_closed(struct lookup *l, lookup_closed *closed);

/* Forgets every cached answer and the servers' faults, and reads the system's
 * files again (an operator's resubmit).  What is under way is asked anew. */
void resolver_forget(struct resolver *r);

#endif
