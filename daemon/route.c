/* SPDX-License-Identifier: ISC */
/*
 * route - names lanes and destinations, and tells when a route has changed in
 * a way that matters to mail which waits under it.
 */
#include "daemon/route.h"

#include <stdlib.h>
#include <string.h>

#include "net/domain.h"
#include "smtp/address.h"

char *domain_of(const char *address)
{
	char domain[DOMAIN_MAX + 1];
	char *a_labels;

	address_domain_lower(domain, address);
	a_labels = domain_a_labels(domain);
	/* Without A-labels it is nobody's in the configuration. */
	return a_labels ? a_labels : xstrdup(domain);
}

const struct conf_route *route_for(const struct conf *conf, const char *address)
{
	char *domain = domain_of(address);

	/* RFC 5321 4.5.1: `postmaster` alone is ours; it goes where mail for
	 * our own name goes. */
	if (domain[0] == '\0') {
		free(domain);
		domain = domain_plain(conf->hostname);
	}
	const struct conf_route *route = conf_route_for(conf, domain);
	free(domain);
	return route;
}

char *destination_name(const struct conf_route *route,
		       const struct host_port *host)
{
	if (strchr(host->host, ':'))
		return xasprintf("%s/[%s]:%u", route->name, host->host,
				 (unsigned)host->port);
	return xasprintf("%s/%s:%u", route->name, host->host,
			 (unsigned)host->port);
}

void place_init(struct place *p, const struct conf_route *route,
		const char *address)
{
	char *domain;

	if (!route->mx) {
		p->lane = xstrdup(route->name);
		p->destination = destination_name(route, &route->hosts[0]);
		return;
	}
	domain = domain_of(address);
	p->lane = xasprintf("%s/%s", route->name, domain);
	free(domain);
	p->destination = xstrdup(p->lane);
}

void place_release(struct place *p)
{
	free(p->lane);
	free(p->destination);
}

const struct conf_route *lane_route(const struct conf *conf, const char *lane,
				    const char **domain)
{
	const char *slash = strchr(lane, '/');
	size_t len = slash ? (size_t)(slash - lane) : strlen(lane);

	*domain = slash ? slash + 1 : NULL;
	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct conf_route *r = &conf->routes[i];

		if (strncmp(r->name, lane, len) == 0 && r->name[len] == '\0')
			return r->mx == (slash != NULL) ? r : NULL;
	}
	return NULL;
}

/* ------- did the policy change? */

static bool strings_differ(const struct conf_strings *a,
			   const struct conf_strings *b)
{
	if (a->n != b->n)
		return true;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->at[i], b->at[i]) != 0)
			return true;
	return false;
}

static bool hosts_differ(const struct conf_route *a, const struct conf_route *b)
{
	if (a->mx != b->mx || a->nhosts != b->nhosts)
		return true;
	for (size_t i = 0; i < a->nhosts; i++)
		if (a->hosts[i].port != b->hosts[i].port ||
		    a->hosts[i].is_bare != b->hosts[i].is_bare ||
		    strcmp(a->hosts[i].host, b->hosts[i].host) != 0)
			return true;
	return false;
}

static bool pins_differ(const struct conf_route *a, const struct conf_route *b)
{
	return a->npins != b->npins ||
	       (a->npins > 0 &&
		memcmp(a->pins, b->pins, a->npins * sizeof(*a->pins)) != 0);
}

static bool trusts_differ(const struct conf_trust *a,
			  const struct conf_trust *b)
{
	if (!a || !b)
		return a != b;
	return strcmp(a->name, b->name) != 0 ||
	       strings_differ(&a->ca, &b->ca) || a->crl != b->crl ||
	       strings_differ(&a->crl_files, &b->crl_files) ||
	       strcmp(a->min_tls, b->min_tls) != 0;
}

static bool identities_differ(const struct conf_identity *a,
			      const struct conf_identity *b)
{
	if (!a || !b)
		return a != b;
	return strcmp(a->name, b->name) != 0 ||
	       strcmp(a->certificate, b->certificate) != 0 ||
	       strcmp(a->key, b->key) != 0;
}

static bool texts_differ(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") != 0;
}

static bool logins_differ(const struct conf_route *a,
			  const struct conf_route *b)
{
	return a->auth != b->auth || texts_differ(a->auth_user, b->auth_user) ||
	       texts_differ(a->auth_secret_file, b->auth_secret_file) ||
	       texts_differ(a->auth_command, b->auth_command);
}

bool route_policy_differs(const struct conf_route *a,
			  const struct conf_route *b)
{
	return hosts_differ(a, b) || a->tls != b->tls ||
	       a->verify != b->verify || strings_differ(&a->names, &b->names) ||
	       pins_differ(a, b) || a->common_name != b->common_name ||
	       trusts_differ(a->trust, b->trust) ||
	       identities_differ(a->identity, b->identity) ||
	       logins_differ(a, b) ||
	       texts_differ(a->source_address, b->source_address);
}
