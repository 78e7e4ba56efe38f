/* SPDX-License-Identifier: ISC */
/*
 * mx - finds and orders the hosts that take mail for a domain.
 *
 * One lookup follows the other: the MX records; when there are none, the
 * addresses of the domain itself.  What is known without the DNS (a literal, a
 * name that cannot stand there) goes by way of a lookup, too, that asks nobody:
 * so the answer comes from the event loop, always.
 */
#include "net/mx.h"

#include <arpa/nameser.h>
#include <stdlib.h>

#include "net/domain.h"

enum {
	HOSTS_MAX = 100,
	NEGATIVE_TTL_S = 60, /* like the resolver's cache */
	TTL_MIN_S = 1,
	TTL_MAX_S = 3600,
	MS_PER_S = 1000,
};

struct mx_lookup {
	struct resolver *resolver; /* borrowed */
	struct lookup *lookup; /* under way */
	char *domain; /* owned: A-labels, lower case, no final dot */
	char *own_name; /* owned */
	uint32_t ttl_s;
	mx_seen *seen;
	void *arg; /* seen's */
};

/* ------- names */

/* Neither an address nor something that no host is called. */
static bool is_host(const char *name)
{
	struct host_port hp;
	bool is_name;

	if (strchr(name, ':') || !host_port_parse(name, PORT_SMTP, &hp))
		return false;
	is_name = !hp.is_literal;
	free(hp.host);
	return is_name;
}

/* ------- the order */

/* A record with what it is sorted by. */
struct candidate {
	uint16_t preference;
	uint32_t shuffled; /* the order of equal preferences */
	char *host; /* owned, as domain_plain() has it */
};

/* The finalizer of MurmurHash3: each bit of x changes half of them. */
static uint32_t mix(uint32_t x)
{
	x ^= x >> 16;
	x *= 0x85EBCA6Bu;
	x ^= x >> 13;
	x *= 0xC2B2AE35u;
	return x ^ x >> 16;
}

static int by_preference(const void *left, const void *right)
{
	const struct candidate *a = left, *b = right;

	if (a->preference != b->preference)
		return a->preference < b->preference ? -1 : 1;
	if (a->shuffled != b->shuffled)
		return a->shuffled < b->shuffled ? -1 : 1;
	return strcmp(a->host, b->host);
}

static struct candidate *sorted(const struct mx_record *records, size_t n,
				uint32_t random)
{
	struct candidate *c = xcalloc(n + 1, sizeof(*c));

	for (size_t i = 0; i < n; i++) {
		c[i].preference = records[i].preference;
		c[i].shuffled = mix(random + (uint32_t)i * 0x9E3779B9u);
		c[i].host = domain_plain(records[i].host);
	}
	qsort(c, n, sizeof(*c), by_preference);
	return c;
}

/* RFC 7505 section 3: a null MX has no others beside it; where there are some
 * they count. */
static bool is_null(const struct candidate *c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (*c[i].host != '\0')
			return false;
	return n > 0;
}

/* RFC 5321 section 5.1: ours, its equals and what is worse would send the mail
 * round in a circle.  Returns how many come before them. */
static size_t count_better(const struct candidate *c, size_t n,
			   const char *own_name)
{
	char *own = domain_plain(own_name);
	size_t better = n;

	for (size_t i = 0; i < n && better == n; i++)
		if (strcmp(c[i].host, own) == 0)
			better = i;
	free(own);
	while (better > 0 && better < n &&
	       c[better - 1].preference == c[better].preference)
		better--;
	return better;
}

static bool has_host(const struct mx_answer *a, const char *host)
{
	for (size_t i = 0; i < a->nhosts; i++)
		if (strcmp(a->hosts[i], host) == 0)
			return true;
	return false;
}

/* The best come first, so that they are not those cut off. */
static void take_hosts(struct mx_answer *out, struct candidate *c, size_t n)
{
	out->hosts = xcalloc(HOSTS_MAX, sizeof(*out->hosts));
	for (size_t i = 0; i < n && out->nhosts < HOSTS_MAX; i++) {
		if (!is_host(c[i].host) || has_host(out, c[i].host))
			continue;
		out->hosts[out->nhosts++] = c[i].host;
		c[i].host = NULL;
	}
}

void mx_order(const struct mx_record *records, size_t n, const char *own_name,
	      uint32_t random, struct mx_answer *out)
{
	struct candidate *c = sorted(records, n, random);
	size_t better = count_better(c, n, own_name);

	*out = (struct mx_answer){.kind = MX_FAILED, .lookup = LOOKUP_NODATA};
	take_hosts(out, c, better);
	if (out->nhosts > 0)
		out->kind = MX_HOSTS;
	else if (better < n)
		out->kind = MX_LOOP;
	else if (is_null(c, n))
		out->kind = MX_NULL;
	for (size_t i = 0; i < n; i++)
		free(c[i].host);
	free(c);
}

void mx_answer_release(struct mx_answer *a)
{
	for (size_t i = 0; i < a->nhosts; i++)
		free(a->hosts[i]);
	free(a->hosts);
	*a = (struct mx_answer){.kind = MX_FAILED, .lookup = LOOKUP_NODATA};
}

/* ------- records */

struct records {
	struct mx_record *at; /* owned, as their hosts */
	size_t n;
};

static void add_record(struct records *r, const ns_msg *msg, const ns_rr *rr)
{
	const unsigned char *rdata = ns_rr_rdata(*rr);
	const size_t preference_len = 2;
	char host[NS_MAXDNAME];

	if (ns_rr_rdlen(*rr) <= preference_len ||
	    ns_name_uncompress(ns_msg_base(*msg), ns_msg_end(*msg),
			       rdata + preference_len, host, sizeof(host)) < 0)
		return;
	r->at[r->n++] = (struct mx_record){
		.preference = (uint16_t)(rdata[0] << 8 | rdata[1]),
		.host = xstrdup(host),
	};
}

static void records_parse(struct records *r, ns_msg *msg)
{
	int n = ns_msg_count(*msg, ns_s_an);
	ns_rr rr;

	*r = (struct records){xcalloc((size_t)n + 1, sizeof(*r->at)), 0};
	for (int i = 0; i < n; i++)
		if (ns_parserr(msg, ns_s_an, i, &rr) == 0 &&
		    ns_rr_type(rr) == ns_t_mx && ns_rr_class(rr) == ns_c_in)
			add_record(r, msg, &rr);
}

static void records_release(struct records *r)
{
	for (size_t i = 0; i < r->n; i++)
		free((char *)r->at[i].host);
	free(r->at);
}

/* The records of a section hold no longer than the shortest of them. */
static uint32_t section_ttl(ns_msg *msg, ns_sect section, uint32_t ttl_s)
{
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*msg, section); i++)
		if (ns_parserr(msg, section, i, &rr) == 0 &&
		    ns_rr_ttl(rr) < ttl_s)
			ttl_s = ns_rr_ttl(rr);
	return ttl_s;
}

static int64_t bounded_ms(uint32_t ttl_s)
{
	return (int64_t)(ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s) * MS_PER_S;
}

/* A longer one can't have come by the DNS. */
static bool message_parse(struct span msg, ns_msg *out)
{
	return msg.len <= NS_MAXMSG &&
	       ns_initparse((const unsigned char *)msg.at, (int)msg.len, out) >=
		       0;
}

bool mx_parse(struct span msg, const char *own_name, uint32_t random,
	      struct mx_answer *out)
{
	struct records records;
	uint32_t ttl_s;
	ns_msg parsed;

	if (!message_parse(msg, &parsed))
		return false;
	ttl_s = section_ttl(&parsed, ns_s_an, TTL_MAX_S);
	records_parse(&records, &parsed);
	mx_order(records.at, records.n, own_name, random, out);
	records_release(&records);
	if (out->kind == MX_FAILED && ttl_s > NEGATIVE_TTL_S)
		ttl_s = NEGATIVE_TTL_S;
	out->ttl_ms = bounded_ms(ttl_s);
	return true;
}

/* ------- lookups */

static void mx_lookup_free(struct mx_lookup *l)
{
	free(l->domain);
	free(l->own_name);
	free(l);
}

static void on_closed(void *arg)
{
	mx_lookup_free(arg);
}

static void wait_for(struct mx_lookup *l, struct lookup *lookup)
{
	l->lookup = lookup;
	lookup_set_closed(lookup, on_closed);
}

/* The lookup is over: mx_cancel() is for its owner no more. */
static void answer(struct mx_lookup *l, struct mx_answer *a)
{
	a->ttl_ms = bounded_ms(l->ttl_s);
	l->seen(l->arg, a);
	mx_answer_release(a);
	mx_lookup_free(l);
}

static void answer_failed(struct mx_lookup *l, enum lookup_result why)
{
	struct mx_answer a = {.kind = MX_FAILED, .lookup = why};

	answer(l, &a);
}

/* Where the MX question found the name, the name is there: a server that
 * denies it now has no address for it. */
static void on_addresses(void *arg, enum lookup_result result,
			 const struct addr *addrs, size_t n)
{
	struct mx_lookup *l = arg;
	struct mx_record own = {0, l->domain};
	struct mx_answer a;

	(void)addrs;
	(void)n;
	if (result != LOOKUP_OK) {
		answer_failed(l, result == LOOKUP_NXDOMAIN ? LOOKUP_NODATA
							   : result);
		return;
	}
	mx_order(&own, 1, l->own_name, 0, &a);
	answer(l, &a);
}

static void on_hosts(struct mx_lookup *l, struct span msg)
{
	struct mx_answer a;

	if (!mx_parse(msg, l->own_name, random32(), &a)) {
		answer_failed(l, LOOKUP_SERVFAIL);
		return;
	}
	l->ttl_s = (uint32_t)(a.ttl_ms / MS_PER_S);
	answer(l, &a);
}

static void on_no_hosts(struct mx_lookup *l, struct span msg)
{
	ns_msg parsed;

	if (!message_parse(msg, &parsed)) {
		answer_failed(l, LOOKUP_SERVFAIL);
		return;
	}
	/* The TTL of the SOA, as the server gave it. */
	l->ttl_s = section_ttl(&parsed, ns_s_ns, l->ttl_s);
	wait_for(l, lookup_start(l->resolver, l->domain, PORT_SMTP,
				 on_addresses, l));
}

static void on_records(void *arg, enum lookup_result result,
		       const unsigned char *at, size_t len)
{
	struct span msg = {(const char *)at, len};

	if (result == LOOKUP_OK)
		on_hosts(arg, msg);
	else if (result == LOOKUP_NODATA)
		on_no_hosts(arg, msg);
	else
		answer_failed(arg, result);
}

/* A literal is its own host; it is no name, ours neither. */
static void on_literal(void *arg, enum lookup_result result,
		       const struct addr *addrs, size_t n)
{
	struct mx_lookup *l = arg;
	struct mx_answer a = {.kind = MX_HOSTS};

	(void)addrs;
	(void)n;
	if (result != LOOKUP_OK) {
		answer_failed(l, result);
		return;
	}
	l->ttl_s = TTL_MAX_S;
	a.hosts = xcalloc(1, sizeof(*a.hosts));
	a.hosts[a.nhosts++] = xstrdup(l->domain);
	answer(l, &a);
}

/* "[192.0.2.1]" and "[IPv6:::1]" without the brackets; NULL: none. */
static char *literal_host(const char *domain)
{
	struct host_port hp;

	if (domain[0] != '[' || !host_port_parse(domain, PORT_SMTP, &hp))
		return NULL;
	return hp.host;
}

struct mx_lookup *mx_start(struct resolver *r, const char *domain,
			   const char *own_name, mx_seen *seen, void *arg)
{
	struct mx_lookup *l = xcalloc(1, sizeof(*l));
	char *literal = literal_host(domain);

	l->resolver = r;
	l->seen = seen;
	l->arg = arg;
	l->own_name = xstrdup(own_name);
	l->ttl_s = NEGATIVE_TTL_S;
	l->domain = literal ? literal : domain_a_labels(domain);
	if (literal)
		wait_for(l,
			 lookup_start(r, l->domain, PORT_SMTP, on_literal, l));
	else
		/* "" asks nobody: it is not there. */
		wait_for(l, lookup_records(r,
					   l->domain && is_host(l->domain)
						   ? l->domain
						   : "",
					   ns_t_mx, on_records, l));
	return l;
}

void mx_cancel(struct mx_lookup *l)
{
	if (!l)
		return;
	lookup_cancel(l->lookup);
	mx_lookup_free(l);
}
