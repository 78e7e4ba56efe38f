/* SPDX-License-Identifier: ISC */
/*
 * outbound_resolve - the addresses of a session's destination.
 *
 * They are those of its host.  A host that is configured as a name without a
 * port may be a mail domain instead: when the DNS says for certain that it has
 * no address, its MX hosts stand for it, in their order (RFC 5321 5.1), each
 * looked up when those before it have failed.  All of them are one destination.
 *
 * Anybody on the way may have forged an MX record.  So the name of an MX host
 * never becomes one that a certificate is accepted for in place of the
 * configured one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/outbound_session.h"

static void look_up(struct outbound *o);

const char *outbound_host(const struct outbound *o)
{
	return o->mx_hosts ? o->mx_hosts[o->mx_at] : o->delivery->host->host;
}

const char *outbound_tls_name(const struct outbound *o)
{
	const struct conf_route *route = o->delivery->route;
	bool proves = route->verify == CONF_VERIFY_NAME && route->names.n == 0;

	return proves ? o->delivery->host->host : outbound_host(o);
}

/* ------- MX */

static void lookup_failed(struct outbound *o, enum lookup_result result)
{
	struct facts facts = outbound_facts(o, FACT_LOOKUP);
	struct failure failure;

	facts.host = outbound_host(o);
	facts.lookup = result;
	diagnose(&facts, &failure);
	outbound_address_failed(o, &failure);
}

/* The configuration names a domain which takes no mail, or takes it from us.
 * It may be mended: the mail waits. */
static void mx_refused(struct outbound *o, enum cause cause,
		       const char *enhanced, const char *what)
{
	struct failure failure = {
		.status = ST_TEMP,
		.reach = AT_DESTINATION,
		.cause = cause,
	};

	snprintf(failure.enhanced, sizeof(failure.enhanced), "%s", enhanced);
	snprintf(failure.reply, sizeof(failure.reply), "host %s %s",
		 outbound_host(o), what);
	outbound_address_failed(o, &failure);
}

static void take_hosts(struct outbound *o, const struct mx_answer *answer)
{
	o->mx_hosts = xcalloc(answer->nhosts, sizeof(*o->mx_hosts));
	for (size_t i = 0; i < answer->nhosts; i++)
		o->mx_hosts[i] = xstrdup(answer->hosts[i]);
	o->nmx_hosts = answer->nhosts;
	look_up(o);
}

static void on_mx(void *arg, const struct mx_answer *answer)
{
	struct outbound *o = arg;

	o->mx_lookup = NULL;
	switch (answer->kind) {
	case MX_HOSTS:
		take_hosts(o, answer);
		return;
	case MX_NULL:
		mx_refused(o, CAUSE_IS_DNS_NULL_MX, "4.1.10",
			   "has no address, and its MX says that it takes no "
			   "mail (null MX)");
		return;
	case MX_LOOP:
		mx_refused(o, CAUSE_IS_LOOP, "4.4.6",
			   "has no address, and this relay is its best MX");
		return;
	case MX_FAILED:
		lookup_failed(o, answer->lookup);
		return;
	}
}

static void ask_mx(struct outbound *o)
{
	const struct delivery *d = o->delivery;

	o->mx_lookup = mx_start(o->worker->resolver, d->host->host,
				d->snapshot->conf->hostname, on_mx, o);
}

bool outbound_next_host(struct outbound *o)
{
	if (o->mx_at + 1 >= o->nmx_hosts)
		return false;
	o->mx_at++;
	free(o->addrs);
	o->addrs = NULL;
	o->naddrs = 0;
	o->at = 0;
	look_up(o);
	return true;
}

void outbound_drop_hosts(struct outbound *o)
{
	lookup_cancel(o->lookup);
	mx_cancel(o->mx_lookup);
	for (size_t i = 0; i < o->nmx_hosts; i++)
		free(o->mx_hosts[i]);
	free(o->mx_hosts);
	free(o->addrs);
}

/* ------- addresses */

static void on_looked_up(void *arg, enum lookup_result result,
			 const struct addr *addrs, size_t n)
{
	struct outbound *o = arg;

	o->lookup = NULL;
	if (result == LOOKUP_NODATA && o->delivery->host->is_bare &&
	    !o->mx_hosts) {
		ask_mx(o);
		return;
	}
	if (result != LOOKUP_OK || n == 0) {
		lookup_failed(o, result);
		return;
	}
	o->addrs = xcalloc(n, sizeof(*addrs));
	memcpy(o->addrs, addrs, n * sizeof(*addrs));
	o->naddrs = n;
	outbound_try_address(o);
}

static void look_up(struct outbound *o)
{
	uint16_t port = o->mx_hosts ? o->worker->relay->mx_port
				    : o->delivery->host->port;

	o->lookup = lookup_start(o->worker->resolver, outbound_host(o), port,
				 on_looked_up, o);
}

void outbound_resolve(struct outbound *o)
{
	look_up(o);
}
