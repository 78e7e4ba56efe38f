/* SPDX-License-Identifier: ISC */
/*
 * resolver - asks libunbound for the A and AAAA records of a host at once and
 * answers when both are there, or for the records of one type.
 *
 * libunbound runs on the event_base that it is given: its sockets and timers
 * are events beside ours.  It may answer from inside ub_resolve_event() (from
 * /etc/hosts, its cache); the owner hears of it in the next turn of the loop
 * only, from on_event(), where no code of libunbound is on the stack.  So a
 * callback may do what it likes with the resolver.
 *
 * The hosts file is for addresses: a context that has read it says that its
 * names have nothing else, be they in the DNS with MX records or not.  So there
 * are two contexts, and one has not.
 *
 * libunbound cannot be told to forget.  resolver_forget() makes new contexts
 * and asks again there what is still under way.
 *
 * Contexts share nothing, but making and deleting one sets variables of the
 * whole library, locks among them, without any lock.  So one thread at a time
 * does that, for the milliseconds it takes; questions and answers need none.
 */
#include "net/resolver.h"

#include <arpa/nameser.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <pthread.h>
#include <stdlib.h>
#include <unbound-event.h>
#include <unbound.h>

#include "base/clock.h"

enum {
	ADDRS_MAX = 16, /* of a family; nobody tries more */
	OTHER_WAIT_MS = 1000, /* for the other family, once one is there */
};

/* The questions of a lookup for addresses; one for records has the first. */
enum family { FAMILY_V4, FAMILY_V6, FAMILIES };

enum source { HOSTS_AND_DNS, DNS_ONLY, SOURCES };

/* Contexts of all threads come and go under it. */
static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;

struct question {
	struct lookup *lookup; /* borrowed: ours */
	int type;
	bool pending;
	int id; /* libunbound's, while pending */
	enum lookup_result result; /* when not pending */
	struct addr addrs[ADDRS_MAX];
	size_t naddrs;
	unsigned char *msg; /* owned, for records; NULL: none */
	size_t msg_len;
};

struct lookup {
	struct resolver *resolver; /* borrowed */
	struct lookup *prev, *next;
	enum source source;
	lookup_seen *seen; /* for addresses, or ... */
	records_seen *records_seen;
	lookup_closed *closed; /* NULL: nobody wants to know */
	void *arg; /* of these */
	char *host; /* owned */
	uint16_t port;
	struct question questions[FAMILIES];
	size_t nquestions;
	/* Time is over, or (activated) all questions are answered. */
	struct event event;
	int64_t until_mono_ms;
};

struct resolver {
	struct event_base *base; /* borrowed */
	struct ub_ctx *ubs[SOURCES]; /* owned */
	char *servers; /* owned; NULL: the system's */
	char *hosts; /* owned; NULL: the system's */
	int64_t timeout_ms;
	struct lookup *lookups; /* under way */
};

/* ------- answers */

static void add_addr(struct question *q, const unsigned char *rdata, size_t len)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	struct addr *a = &q->addrs[q->naddrs];
	in_port_t port = htons(q->lookup->port);

	if (q->naddrs == ADDRS_MAX)
		return;
	if (len == sizeof(in.sin_addr)) {
		memcpy(&in.sin_addr, rdata, len);
		in.sin_port = port;
		addr_from_sockaddr(a, (struct sockaddr *)&in, sizeof(in));
	} else if (len == sizeof(in6.sin6_addr)) {
		memcpy(&in6.sin6_addr, rdata, len);
		in6.sin6_port = port;
		addr_from_sockaddr(a, (struct sockaddr *)&in6, sizeof(in6));
	} else {
		return;
	}
	q->naddrs++;
}

/* Aliases stand in the answer, too; libunbound has followed them. */
static size_t take_records(struct question *q, ns_msg *msg)
{
	size_t n = 0;
	ns_rr rr;

	for (int i = 0; i < ns_msg_count(*msg, ns_s_an); i++) {
		if (ns_parserr(msg, ns_s_an, i, &rr) < 0)
			break;
		if ((int)ns_rr_type(rr) != q->type ||
		    ns_rr_class(rr) != ns_c_in)
			continue;
		if (q->lookup->seen)
			add_addr(q, ns_rr_rdata(rr), ns_rr_rdlen(rr));
		n++;
	}
	return q->lookup->seen ? q->naddrs : n;
}

static void keep_message(struct question *q, const void *packet, int len)
{
	q->msg_len = (size_t)len;
	q->msg = xmalloc(q->msg_len);
	memcpy(q->msg, packet, q->msg_len);
}

static enum lookup_result judge(struct question *q, const void *packet, int len)
{
	ns_msg msg;

	if (ns_initparse(packet, len, &msg) < 0)
		return LOOKUP_SERVFAIL;
	switch (ns_msg_getflag(msg, ns_f_rcode)) {
	case ns_r_noerror:
		if (q->lookup->records_seen)
			keep_message(q, packet, len);
		return take_records(q, &msg) > 0 ? LOOKUP_OK : LOOKUP_NODATA;
	case ns_r_nxdomain:
		return LOOKUP_NXDOMAIN;
	default:
		return LOOKUP_SERVFAIL;
	}
}

static void wait_ms(struct lookup *l, int64_t ms)
{
	struct timeval tv = {.tv_sec = (time_t)(ms / 1000),
			     .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

	event_add(&l->event, &tv);
}

/* An address of one family is good enough not to wait long for those of the
 * other: some name servers never answer AAAA. */
static void wait_for_other(struct lookup *l)
{
	if (l->until_mono_ms - clock_mono_ms() > OTHER_WAIT_MS)
		wait_ms(l, OTHER_WAIT_MS);
}

static bool is_under_way(const struct lookup *l)
{
	for (size_t i = 0; i < l->nquestions; i++)
		if (l->questions[i].pending)
			return true;
	return false;
}

static void settle(struct question *q, enum lookup_result result)
{
	struct lookup *l = q->lookup;

	q->pending = false;
	q->result = result;
	if (!is_under_way(l))
		event_active(&l->event, EV_TIMEOUT, 1);
	else if (result == LOOKUP_OK)
		wait_for_other(l);
}

/* Called by libunbound.  The packet has a meaning only with rcode 0, which
 * says that there is one: what the servers said stands in it. */
static void on_answer(void *arg, int rcode, void *packet, int len, int sec,
		      char *why_bogus, int was_ratelimited)
{
	struct question *q = arg;
	const int is_bogus = 1;

	(void)why_bogus;
	(void)was_ratelimited;
	if (rcode == ns_r_noerror && sec == is_bogus)
		settle(q, LOOKUP_BOGUS);
	else if (rcode == ns_r_noerror)
		settle(q, judge(q, packet, len));
	else
		settle(q, rcode == ns_r_nxdomain ? LOOKUP_NXDOMAIN
						 : LOOKUP_SERVFAIL);
}

/* ------- questions */

/* What cannot stand in the DNS is not there. */
static enum lookup_result refused(int ub_error)
{
	return ub_error == UB_SYNTAX ? LOOKUP_NXDOMAIN : LOOKUP_SERVFAIL;
}

static void ask(struct question *q)
{
	struct lookup *l = q->lookup;
	int r;

	q->naddrs = 0;
	r = ub_resolve_event(l->resolver->ubs[l->source], l->host, q->type,
			     ns_c_in, q, on_answer, &q->id);
	/* The answer may have come already. */
	if (r != UB_NOERROR && q->pending)
		settle(q, refused(r));
}

static void ask_all(struct lookup *l)
{
	for (size_t i = 0; i < l->nquestions; i++)
		l->questions[i].pending = true;
	for (size_t i = 0; i < l->nquestions; i++)
		ask(&l->questions[i]);
}

/* on_answer() will not be called any more. */
static void unask_all(struct lookup *l, struct ub_ctx *ub)
{
	for (size_t i = 0; i < l->nquestions; i++) {
		struct question *q = &l->questions[i];

		if (!q->pending)
			continue;
		ub_cancel(ub, q->id);
		q->result = LOOKUP_TIMEOUT;
		q->pending = false;
	}
}

/* RFC 6761 6.3: never leaves this machine. */
static bool is_localhost(const char *host)
{
	struct span s = span_of(host);

	if (s.len > 0 && s.at[s.len - 1] == '.')
		s.len--;
	return span_eq_nocase(s, SPAN("localhost")) ||
	       span_ends_nocase(s, SPAN(".localhost"));
}

static void answer_localhost(struct lookup *l)
{
	const struct in_addr v4 = {htonl(INADDR_LOOPBACK)};

	add_addr(&l->questions[FAMILY_V4], (const unsigned char *)&v4,
		 sizeof(v4));
	add_addr(&l->questions[FAMILY_V6], in6addr_loopback.s6_addr,
		 sizeof(in6addr_loopback));
	event_active(&l->event, EV_TIMEOUT, 1);
}

static void answer_literal(struct lookup *l, const struct addr *a)
{
	struct question *q = &l->questions[FAMILY_V4];

	q->addrs[q->naddrs++] = *a;
	event_active(&l->event, EV_TIMEOUT, 1);
}

/* ------- lookups */

static void link_in(struct lookup *l)
{
	struct resolver *r = l->resolver;

	l->next = r->lookups;
	if (l->next)
		l->next->prev = l;
	r->lookups = l;
}

static void unlink_from(struct lookup *l)
{
	if (l->next)
		l->next->prev = l->prev;
	if (l->prev)
		l->prev->next = l->next;
	else
		l->resolver->lookups = l->next;
}

/* The first of each family, then the second ... */
static size_t interleave(const struct lookup *l, struct addr *out)
{
	size_t n = 0;

	for (size_t i = 0; i < ADDRS_MAX; i++)
		for (enum family f = 0; f < FAMILIES; f++)
			if (i < l->questions[f].naddrs)
				out[n++] = l->questions[f].addrs[i];
	return n;
}

/* Without an address: the most doubtful of the two, in the order of the enum.
 * Where one says that there is none and the other cannot say, nobody knows. */
static enum lookup_result verdict(const struct lookup *l)
{
	enum lookup_result v4 = l->questions[FAMILY_V4].result;
	enum lookup_result v6 = l->questions[FAMILY_V6].result;

	return v4 > v6 ? v4 : v6;
}

static void lookup_free(struct lookup *l)
{
	event_del(&l->event);
	for (size_t i = 0; i < l->nquestions; i++)
		free(l->questions[i].msg);
	free(l->host);
	free(l);
}

static struct ub_ctx *ub_of(const struct lookup *l)
{
	return l->resolver->ubs[l->source];
}

static void tell(struct lookup *l)
{
	struct addr addrs[ADDRS_MAX * FAMILIES];
	const struct question *q = l->questions;
	size_t n;

	if (l->records_seen) {
		l->records_seen(l->arg, q->result, q->msg, q->msg_len);
		return;
	}
	n = interleave(l, addrs);
	l->seen(l->arg, n > 0 ? LOOKUP_OK : verdict(l), addrs, n);
}

/* No touch of l's resolver after the callback: it may have closed it. */
static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct lookup *l = arg;

	(void)fd;
	(void)what;
	unask_all(l, ub_of(l));
	unlink_from(l);
	tell(l);
	lookup_free(l);
}

static void add_question(struct lookup *l, int type)
{
	struct question *q = &l->questions[l->nquestions++];

	q->lookup = l;
	q->type = type;
}

static struct lookup *lookup_new(struct resolver *r, const char *host,
				 void *arg)
{
	struct lookup *l = xcalloc(1, sizeof(*l));

	l->resolver = r;
	l->arg = arg;
	l->host = xstrdup(host);
	evtimer_assign(&l->event, r->base, on_event, l);
	l->until_mono_ms = clock_mono_ms() + r->timeout_ms;
	wait_ms(l, r->timeout_ms);
	link_in(l);
	return l;
}

struct lookup *lookup_start(struct resolver *r, const char *host, uint16_t port,
			    lookup_seen *seen, void *arg)
{
	struct lookup *l = lookup_new(r, host, arg);
	struct addr literal;

	l->seen = seen;
	l->port = port;
	l->source = HOSTS_AND_DNS;
	add_question(l, ns_t_a);
	add_question(l, ns_t_aaaa);
	if (addr_parse(host, port, &literal))
		answer_literal(l, &literal);
	else if (is_localhost(host))
		answer_localhost(l);
	else
		ask_all(l);
	return l;
}

struct lookup *lookup_records(struct resolver *r, const char *name, int type,
			      records_seen *seen, void *arg)
{
	struct lookup *l = lookup_new(r, name, arg);

	l->records_seen = seen;
	l->source = DNS_ONLY;
	add_question(l, type);
	ask_all(l);
	return l;
}

void lookup_set_closed(struct lookup *l, lookup_closed *closed)
{
	l->closed = closed;
}

void lookup_cancel(struct lookup *l)
{
	if (!l)
		return;
	unask_all(l, ub_of(l));
	unlink_from(l);
	lookup_free(l);
}

/* ------- libunbound's context */

/*
 * A relay asks few questions of few servers, and must notice soon when a
 * server or a record has been mended: what is bad is remembered for a short
 * time only.  And it must know silence from failure: without the retries
 * libunbound would call a server that says nothing failed before our time is
 * over.
 */
static const struct {
	const char *name, *value;
} options[] = {
	{"cache-max-negative-ttl:", "60"},
	{"infra-host-ttl:", "1"},
	{"infra-keep-probing:", "yes"},
	{"outbound-msg-retry:", "16"},
	/* A name server on this machine is as good as others. */
	{"do-not-query-localhost:", "no"},
	{"outgoing-range:", "128"},
	{"outgoing-num-tcp:", "8"},
};

static enum status ub_failed(struct err *e, int r, const char *what)
{
	return err_perm(e, 3, 5, "resolver: %s: %s", what, ub_strerror(r));
}

static enum status add_server(struct ub_ctx *ub, struct span server,
			      struct err *e)
{
	char *text = span_dup(server);
	int r = ub_ctx_set_fwd(ub, text);
	enum status st = ST_OK;

	if (r != UB_NOERROR)
		st = ub_failed(e, r, text);
	free(text);
	return st;
}

static enum status add_servers(struct ub_ctx *ub, const char *servers,
			       struct err *e)
{
	struct span rest = span_trim(span_of(servers));
	enum status st = ST_OK;

	while (rest.len > 0 && st == ST_OK) {
		const char *end = memchr(rest.at, ' ', rest.len);
		struct span first = rest;

		if (end)
			first.len = (size_t)(end - rest.at);
		st = add_server(ub, first, e);
		rest = span_trim(span_skip(rest, first.len));
	}
	return st;
}

static enum status set_options(struct ub_ctx *ub, struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(options); i++) {
		int r = ub_ctx_set_option(ub, options[i].name,
					  options[i].value);

		if (r != UB_NOERROR)
			return ub_failed(e, r, options[i].name);
	}
	return ST_OK;
}

static enum status configure(const struct resolver *r, struct ub_ctx *ub,
			     enum source source, struct err *e)
{
	enum status st;
	int err;

	/* libunbound writes to standard error else. */
	ub_ctx_debugout(ub, NULL);
	st = set_options(ub, e);
	if (st != ST_OK)
		return st;
	/* A hosts file that is missing, or has a line that cannot be read, is
	 * no reason not to start: the lines before it count. */
	if (source == HOSTS_AND_DNS)
		ub_ctx_hosts(ub, r->hosts);
	if (r->servers)
		return add_servers(ub, r->servers, e);
	err = ub_ctx_resolvconf(ub, NULL);
	if (err != UB_NOERROR)
		return ub_failed(e, err, "/etc/resolv.conf");
	return ST_OK;
}

/* Under the lock. */
static enum status context_open(struct ub_ctx **out, const struct resolver *r,
				enum source source, struct err *e)
{
	struct ub_ctx *ub = ub_ctx_create_event(r->base);
	enum status st;

	if (!ub)
		return err_temp(e, 3, 0, "resolver: libunbound won't start");
	st = configure(r, ub, source, e);
	if (st != ST_OK)
		goto out;
	/* RFC 6761 6.2 leaves `test` to those who use it; it is a name for
	 * private servers to answer.  Must come last: the context is fixed
	 * from then on. */
	ub_ctx_zone_add(ub, "test.", "transparent");
	*out = ub;
	ub = NULL;
out:
	ub_ctx_delete(ub);
	return st;
}

static void contexts_close(struct ub_ctx *ubs[SOURCES])
{
	pthread_mutex_lock(&contexts_lock);
	for (enum source s = 0; s < SOURCES; s++)
		ub_ctx_delete(ubs[s]);
	pthread_mutex_unlock(&contexts_lock);
}

/* All or none. */
static enum status contexts_open(struct ub_ctx *out[SOURCES],
				 const struct resolver *r, struct err *e)
{
	struct ub_ctx *ubs[SOURCES] = {NULL};
	enum status st = ST_OK;

	pthread_mutex_lock(&contexts_lock);
	for (enum source s = 0; s < SOURCES && st == ST_OK; s++)
		st = context_open(&ubs[s], r, s, e);
	pthread_mutex_unlock(&contexts_lock);
	if (st == ST_OK)
		memcpy(out, ubs, sizeof(ubs));
	else
		contexts_close(ubs);
	return st;
}

/* ------- the resolver */

enum status resolver_open(struct resolver **out, struct event_base *base,
			  const struct resolver_conf *conf, struct err *e)
{
	struct resolver *r = xcalloc(1, sizeof(*r));
	enum status st;

	r->base = base;
	r->servers = conf->servers ? xstrdup(conf->servers) : NULL;
	r->hosts = conf->hosts ? xstrdup(conf->hosts) : NULL;
	r->timeout_ms = conf->timeout_ms;
	st = contexts_open(r->ubs, r, e);
	if (st != ST_OK)
		goto out;
	*out = r;
	r = NULL;
out:
	resolver_close(r);
	return st;
}

static void drop(struct lookup *l)
{
	lookup_closed *closed = l->closed;
	void *arg = l->arg;

	lookup_cancel(l);
	if (closed)
		closed(arg);
}

void resolver_close(struct resolver *r)
{
	if (!r)
		return;
	while (r->lookups)
		drop(r->lookups);
	contexts_close(r->ubs);
	free(r->servers);
	free(r->hosts);
	free(r);
}

void resolver_forget(struct resolver *r)
{
	struct ub_ctx *old[SOURCES];
	struct err e;

	memcpy(old, r->ubs, sizeof(old));
	/* Where the name servers can't be read just now the old ones serve. */
	if (contexts_open(r->ubs, r, &e) != ST_OK)
		return;
	for (struct lookup *l = r->lookups; l; l = l->next)
		if (is_under_way(l)) {
			unask_all(l, old[l->source]);
			ask_all(l);
		}
	contexts_close(old);
}
