/* SPDX-License-Identifier: ISC */
/*
 * check - what the options of a configuration must be to each other.
 *
 * Each check runs on sections whose values may have been refused before: what
 * is written is asked of the section, so that one mistake is one complaint.
 */
#include "conf/check.h"

#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/fill.h"
#include "conf/values.h"

/* The i-th of a list's n good values: its place, if all of them are good. */
static struct conf_place place_of(const struct section *s, size_t option,
				  size_t i, size_t n)
{
	const struct setting *set = section_setting(s, option);

	return set->nvalues == n && i < n ? set->values[i].place
					  : section_place(s, option);
}

static void need(struct complaints *to, const struct section *s, size_t option,
		 const char *what)
{
	if (!section_has(s, option))
		complain_of(to, s, OPTION_COUNT, "%s is missing: %s",
			    option_row(option)->name, what);
}

static void need_not_empty(struct complaints *to, const struct section *s,
			   size_t option)
{
	const struct setting *set = section_setting(s, option);

	if (set->written && set->nvalues == 0)
		complain_of(to, s, option, "%s must not be empty",
			    option_row(option)->name);
}

/* -------------------------------------------------------------------- main */

/* The full name of this machine; its short one if there is no other. */
static char *own_name(void)
{
	struct addrinfo hints = {.ai_flags = AI_CANONNAME};
	struct addrinfo *found = NULL;
	char name[256] = "";
	char *full = NULL;

	if (gethostname(name, sizeof(name) - 1) != 0 ||
	    !value_is_host_name(name))
		return xstrdup("localhost");
	if (strchr(name, '.') || getaddrinfo(name, NULL, &hints, &found) != 0)
		return xstrdup(name);
	if (found->ai_canonname && strchr(found->ai_canonname, '.') &&
	    value_is_host_name(found->ai_canonname))
		full = xstrdup(found->ai_canonname);
	freeaddrinfo(found);
	return full ? full : xstrdup(name);
}

static void check_main(struct conf *c, const struct section *root,
		       struct complaints *to)
{
	if (!c->hostname && !section_has(root, OPT_main_hostname))
		c->hostname = own_name();
	if (c->alarm_command && *c->alarm_command && c->alarm_command[0] != '/')
		complain_of(to, root, OPT_main_alarm_command,
			    "alarm_command expects an absolute path");
	if (!c->postmaster && !section_has(root, OPT_main_postmaster))
		c->postmaster = xasprintf("postmaster@%s",
					  c->hostname ? c->hostname : "");
}

static void check_identity(const struct section *s, struct complaints *to)
{
	need(to, s, OPT_identity_certificate, "name its PEM file");
	need(to, s, OPT_identity_key, "name its PEM file");
}

/* ---------------------------------------------------------------- listener */

static bool has_star(const struct conf_strings *domains)
{
	for (size_t i = 0; i < domains->n; i++)
		if (strcmp(domains->at[i], "*") == 0)
			return true;
	return false;
}

static void check_source(const struct conf_listener *l,
			 const struct conf_source *src, const struct section *s,
			 struct complaints *to)
{
	bool named = section_has(s, OPT_source_client_names);

	if (src->forced_tls && l->tls == CONF_TLS_OFF)
		complain_of(to, s, OPT_source_tls,
			    "tls = \"forced\" can never be met: the listener "
			    "\"%s\" has no TLS",
			    l->name);
	if (named && (l->client_cert == CONF_CLIENT_CERT_NONE || !l->trust))
		complain_of(to, s, OPT_source_client_names,
			    "client_names need a certificate: give listener "
			    "\"%s\" a trust and client_certificate",
			    l->name);
	if (src->authenticated && (!l->auth_file || !*l->auth_file))
		complain_of(to, s, OPT_source_authenticated,
			    "authenticated = true can never be met: the "
			    "listener \"%s\" has no auth_file",
			    l->name);
	if (!named && !src->authenticated &&
	    !section_has(s, OPT_source_networks) &&
	    (!section_has(s, OPT_source_recipients) ||
	     has_star(&src->recipients)))
		complain_of(to, s, OPTION_COUNT,
			    "lets anybody relay anywhere; give networks, "
			    "client_names, authenticated or recipients");
}

static void check_client_cert(struct conf_listener *l, const struct section *s,
			      struct complaints *to)
{
	bool trusts = section_has(s, OPT_listener_trust);

	if (!section_has(s, OPT_listener_client_certificate)) {
		if (trusts && l->tls != CONF_TLS_OFF)
			l->client_cert = CONF_CLIENT_CERT_REQUEST;
		return;
	}
	if (l->client_cert == CONF_CLIENT_CERT_NONE)
		return;
	if (l->tls == CONF_TLS_OFF)
		complain_of(to, s, OPT_listener_client_certificate,
			    "client_certificate needs TLS, but tls is off");
	else if (!trusts)
		complain_of(to, s, OPT_listener_client_certificate,
			    "client_certificate needs a trust to be judged by");
}

static void check_listener(struct conf_listener *l, const struct section *s,
			   struct complaints *to)
{
	bool identified = section_has(s, OPT_listener_identity);
	size_t n = 0;

	need(to, s, OPT_listener_address, "where should it listen?");
	if (!section_has(s, OPT_listener_tls))
		l->tls = identified ? CONF_TLS_OPPORTUNISTIC : CONF_TLS_OFF;
	else if (l->tls != CONF_TLS_OFF && !identified)
		complain_of(to, s, OPT_listener_tls,
			    "tls = \"%s\" needs an identity",
			    conf_tls_word(l->tls));
	if (l->auth_file && *l->auth_file && l->tls == CONF_TLS_OFF)
		complain_of(to, s, OPT_listener_auth_file,
			    "auth_file needs TLS: passwords never travel in "
			    "clear text");
	check_client_cert(l, s, to);
	for (size_t i = 0; i < s->nsubs; i++)
		check_source(l, &l->sources[n++], &s->subs[i], to);
}

/* The one that stands later is complained of. */
static void check_same_address(const struct conf *c,
			       const struct section **sections, size_t l,
			       size_t a, struct complaints *to)
{
	const struct conf_listener *mine = &c->listeners[l];
	const struct addr *addr = &mine->addresses[a];
	char text[ADDR_TEXT_MAX];

	for (size_t i = 0; i <= l; i++) {
		const struct conf_listener *other = &c->listeners[i];
		size_t end = i < l ? other->naddresses : a;

		for (size_t k = 0; k < end; k++) {
			if (!addr_eq(addr, &other->addresses[k]))
				continue;
			addr_text(text, addr);
			complain(to,
				 place_of(sections[l], OPT_listener_address, a,
					  mine->naddresses),
				 "listener \"%s\": address %s is already that "
				 "of listener \"%s\"",
				 mine->name, text, other->name);
			return;
		}
	}
}

/* ------------------------------------------------------------------- route */

static void check_next_hop(const struct section *s, struct complaints *to)
{
	const struct setting *mx = section_setting(s, OPT_route_mx);
	bool by_hosts = section_has(s, OPT_route_hosts);
	bool by_mx = false;

	if (mx->nvalues > 0 && !value_parse(option_row(OPT_route_mx), NULL,
					    mx->values[0].text, &by_mx))
		return;
	if (by_mx && by_hosts)
		complain_of(to, s, OPT_route_mx,
			    "mx and hosts exclude each other");
	if (!by_mx && !by_hosts)
		complain_of(to, s, OPTION_COUNT,
			    "hosts is missing: where should the mail go?");
}

static void check_verify(struct conf_route *r, const struct section *s,
			 struct complaints *to)
{
	static const size_t tls_only[] = {OPT_route_verify, OPT_route_names,
					  OPT_route_pins};

	if (!section_has(s, OPT_route_verify))
		r->verify = r->tls == CONF_TLS_FORCED ? CONF_VERIFY_NAME
						      : CONF_VERIFY_NONE;
	if (r->tls == CONF_TLS_OFF) {
		for (size_t i = 0; i < ARRAY_LEN(tls_only); i++)
			if (section_has(s, tls_only[i]))
				complain_of(to, s, tls_only[i],
					    "%s means nothing with tls off",
					    option_row(tls_only[i])->name);
		return;
	}
	/* Where verify is left to its default, tls may be loosened for a while
	 * without taking away what holds when it is forced again. */
	if (!section_has(s, OPT_route_verify))
		return;
	if (r->verify != CONF_VERIFY_NAME && section_has(s, OPT_route_names))
		complain_of(to, s, OPT_route_names,
			    "names are looked at only with verify = \"name\"");
	if (r->verify == CONF_VERIFY_NONE && section_has(s, OPT_route_pins))
		complain_of(to, s, OPT_route_pins,
			    "pins are looked at only with verify = \"ca\" or "
			    "\"name\"");
}

/* A secret never travels in clear text, so TLS must be sure to be there. */
static void check_auth(const struct conf_route *r, const struct section *s,
		       struct complaints *to)
{
	static const size_t more[] = {OPT_route_auth_user,
				      OPT_route_auth_secret_file,
				      OPT_route_auth_command};
	bool by_file = r->auth_secret_file && *r->auth_secret_file;
	bool by_command = r->auth_command && *r->auth_command;

	if (r->auth == CONF_AUTH_OFF) {
		for (size_t i = 0; i < ARRAY_LEN(more); i++)
			if (section_has(s, more[i]) &&
			    *section_setting(s, more[i])->values[0].text)
				complain_of(to, s, more[i],
					    "%s means nothing with auth off",
					    option_row(more[i])->name);
		return;
	}
	if (r->tls != CONF_TLS_FORCED)
		complain_of(to, s, OPT_route_auth,
			    "auth needs tls = \"forced\"");
	if (!r->auth_user || !*r->auth_user)
		complain_of(to, s, OPT_route_auth, "auth needs auth_user");
	if (by_file == by_command)
		complain_of(to, s, OPT_route_auth,
			    "auth needs auth_secret_file or auth_command, and "
			    "not both");
	if (by_command && r->auth_command[0] != '/')
		complain_of(to, s, OPT_route_auth_command,
			    "auth_command expects an absolute path");
}

static void check_source_address(const struct conf_route *r,
				 const struct section *s, struct complaints *to)
{
	struct addr a;

	if (!r->source_address || !*r->source_address)
		return;
	if (!addr_parse(r->source_address, 0, &a) || addr_port(&a) != 0)
		complain_of(to, s, OPT_route_source_address,
			    "source_address expects an address such as "
			    "192.0.2.1 or 2001:db8::1, not \"%s\"",
			    r->source_address);
}

static void inherit(struct conf_route *r, const struct section *s,
		    const struct conf_queue *q)
{
	size_t bytes = q->retry.n * sizeof(*q->retry.at_ms);

	if (!section_has(s, OPT_route_lifetime))
		r->lifetime_ms = q->lifetime_ms;
	if (!section_has(s, OPT_route_warn_after))
		r->warn_after_ms = q->warn_after_ms;
	if (section_setting(s, OPT_route_retry)->written || bytes == 0)
		return;
	r->retry.at_ms = xmalloc(bytes);
	memcpy(r->retry.at_ms, q->retry.at_ms, bytes);
	r->retry.n = q->retry.n;
}

static void check_route(struct conf_route *r, const struct section *s,
			const struct conf_queue *q, struct complaints *to)
{
	need(to, s, OPT_route_domains, "which recipients is it for?");
	check_next_hop(s, to);
	check_verify(r, s, to);
	check_auth(r, s, to);
	check_source_address(r, s, to);
	need_not_empty(to, s, OPT_route_retry);
	inherit(r, s, q);
}

struct claim {
	const char *domain;
	const struct conf_route *route;
	struct conf_place place;
	size_t order;
};

static int by_domain(const void *va, const void *vb)
{
	const struct claim *a = va, *b = vb;
	int diff = strcmp(a->domain, b->domain);

	if (diff != 0)
		return diff;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* The route of a domain must not depend on the order of the file. */
static void check_domains(const struct conf *c, const struct section **sections,
			  struct complaints *to)
{
	struct claim *claims;
	size_t n = 0, k = 0;

	for (size_t i = 0; i < c->nroutes; i++)
		n += c->routes[i].domains.n;
	claims = xcalloc(n, sizeof(*claims));
	for (size_t i = 0; i < c->nroutes; i++) {
		const struct conf_route *r = &c->routes[i];

		for (size_t d = 0; d < r->domains.n; d++, k++)
			claims[k] = (struct claim){r->domains.at[d], r,
						   place_of(sections[i],
							    OPT_route_domains,
							    d, r->domains.n),
						   k};
	}
	qsort(claims, n, sizeof(*claims), by_domain);
	for (size_t i = 1; i < n; i++)
		if (strcmp(claims[i].domain, claims[i - 1].domain) == 0)
			complain(to, claims[i].place,
				 "route \"%s\": domain %s is already that of "
				 "route \"%s\"",
				 claims[i].route->name, claims[i].domain,
				 claims[i - 1].route->name);
	free(claims);
}

/* --------------------------------------------------------------------- all */

/* The sections of a kind in order, as their structs stand in conf. */
static const struct section **sections_of(const struct section *root,
					  enum kind kind)
{
	const struct section **at =
		xcalloc(root->nsubs + 1, sizeof(struct section *));
	size_t n = 0;

	for (size_t i = 0; i < root->nsubs; i++)
		if (root->subs[i].kind == kind)
			at[n++] = &root->subs[i];
	return at;
}

static void check_listeners(struct conf *c, const struct section *root,
			    struct complaints *to)
{
	const struct section **s = sections_of(root, KIND_listener);

	if (c->nlisteners == 0)
		complain(to, root->place,
			 "no listener: nothing could be received");
	for (size_t i = 0; i < c->nlisteners; i++) {
		check_listener(&c->listeners[i], s[i], to);
		for (size_t a = 0; a < c->listeners[i].naddresses; a++)
			check_same_address(c, s, i, a, to);
	}
	free(s);
}

static void check_routes(struct conf *c, const struct section *root,
			 struct complaints *to)
{
	const struct section **s = sections_of(root, KIND_route);

	for (size_t i = 0; i < c->nroutes; i++)
		check_route(&c->routes[i], s[i], &c->queue, to);
	check_domains(c, s, to);
	free(s);
}

void check_conf(struct conf *c, const struct section *root,
		struct complaints *to)
{
	check_main(c, root, to);
	for (size_t i = 0; i < root->nsubs; i++) {
		const struct section *s = &root->subs[i];

		if (s->kind == KIND_identity)
			check_identity(s, to);
		if (s->kind == KIND_trust)
			need_not_empty(to, s, OPT_trust_ca);
		if (s->kind == KIND_queue)
			need_not_empty(to, s, OPT_queue_retry);
	}
	check_listeners(c, root, to);
	check_routes(c, root, to);
}
