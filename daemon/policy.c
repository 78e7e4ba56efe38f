/* SPDX-License-Identifier: ISC */
/*
 * policy - may this client, with this TLS, send to this recipient?
 *
 * Who the client is (network, certificate name) picks the source; what the
 * source says (TLS, recipients) is then the law.  A client whose certificate
 * names do not match simply is not that source: the next one is looked at.
 */
#include "daemon/policy.h"

#include <stdlib.h>

#include "daemon/route.h"
#include "tls/session.h"

static bool in_networks(const struct conf_source *s, const struct addr *addr)
{
	if (s->nnetworks == 0)
		return true;
	for (size_t i = 0; i < s->nnetworks; i++)
		if (network_has(&s->networks[i], addr))
			return true;
	return false;
}

const struct conf_source *policy_source(const struct conf_listener *listener,
					const struct addr *client)
{
	for (size_t i = 0; i < listener->nsources; i++)
		if (in_networks(&listener->sources[i], client))
			return &listener->sources[i];
	return NULL;
}

static bool is_named(const struct conf_source *s,
		     const struct policy_client *client)
{
	if (s->client_names.n == 0)
		return true;
	return client->tls &&
	       tls_session_peer_named(client->tls,
				      (const char *const *)s->client_names.at,
				      s->client_names.n);
}

static bool is_source(const struct conf_source *s,
		      const struct policy_client *client)
{
	return in_networks(s, client->addr) && is_named(s, client) &&
	       (client->logged_in || !s->authenticated);
}

static const struct conf_source *find_source(const struct conf_listener *l,
					     const struct policy_client *client)
{
	for (size_t i = 0; i < l->nsources; i++)
		if (is_source(&l->sources[i], client))
			return &l->sources[i];
	return NULL;
}

/* The client could be one of these sources if it used TLS. */
static bool would_be_source_in_tls(const struct conf_listener *l,
				   const struct policy_client *client)
{
	for (size_t i = 0; i < l->nsources; i++) {
		const struct conf_source *s = &l->sources[i];

		if (!client->tls && s->forced_tls &&
		    in_networks(s, client->addr))
			return true;
	}
	return false;
}

/* The same, if it logged in. */
static bool would_be_source_by_login(const struct conf_listener *l,
				     const struct policy_client *client)
{
	struct policy_client then = *client;

	then.logged_in = true;
	return !client->logged_in && find_source(l, &then) != NULL;
}

/* The same, if the lists that say whether its certificate was revoked could be
 * had: that is our trouble, and may pass. */
static bool would_be_source_by_lists(const struct conf_listener *l,
				     const struct policy_client *client)
{
	if (!client->tls || tls_session_verdict(client->tls)->cause !=
				    CAUSE_IS_TLS_CRL_UNAVAILABLE)
		return false;
	for (size_t i = 0; i < l->nsources; i++) {
		const struct conf_source *s = &l->sources[i];

		if (s->client_names.n > 0 && in_networks(s, client->addr) &&
		    (client->logged_in || !s->authenticated))
			return true;
	}
	return false;
}

static enum status ask_for_patience(const struct policy_client *client,
				    struct err *e)
{
	enum status st =
		err_temp(e, 7, 5, "Revocation of your certificate: %.150s",
			 tls_session_verdict(client->tls)->crl_text);

	e->reply = 450;
	return st;
}

static enum status demand_login(struct err *e)
{
	enum status st = err_perm(e, 7, 0, "Authentication required");

	e->reply = 530;
	return st;
}

static enum status demand_tls(struct err *e)
{
	enum status st =
		err_perm(e, 7, 0, "Must issue a STARTTLS command first");

	e->reply = 530;
	return st;
}

static enum status check_source(const struct conf_listener *listener,
				const struct policy_client *client,
				const struct conf_source **out, struct err *e)
{
	*out = NULL;
	if (listener->nsources == 0) {
		if (addr_is_loopback(client->addr))
			return ST_OK;
		return err_perm(e, 7, 1, "Relaying is not allowed from here");
	}
	const struct conf_source *s = find_source(listener, client);
	if (!s && would_be_source_in_tls(listener, client))
		return demand_tls(e);
	if (!s && would_be_source_by_login(listener, client))
		return demand_login(e);
	if (!s && would_be_source_by_lists(listener, client))
		return ask_for_patience(client, e);
	if (!s)
		return err_perm(e, 7, 1, "Relaying is not allowed from here");
	if (s->forced_tls && !client->tls)
		return demand_tls(e);
	*out = s;
	return ST_OK;
}

enum status policy_sender(const struct conf_listener *listener,
			  const struct policy_client *client, struct err *e)
{
	const struct conf_source *source;
	enum status st = check_source(listener, client, &source, e);

	/* Who may not relay at all hears it at RCPT, where the recipient can
	 * be named; only demands for TLS or a login come before. */
	return st != ST_OK && e->reply == 530 ? st : ST_OK;
}

static bool takes_domain(const struct conf_source *s, const char *domain)
{
	/* RFC 5321 4.5.1: `postmaster` alone is always taken. */
	if (domain[0] == '\0')
		return true;
	for (size_t i = 0; i < s->recipients.n; i++)
		if (conf_domain_matches(s->recipients.at[i], domain))
			return true;
	return false;
}

static bool takes_recipient(const struct conf_source *s, const char *recipient)
{
	if (!s || s->recipients.n == 0)
		return true;
	char *domain = domain_of(recipient);
	bool takes = takes_domain(s, domain);
	free(domain);
	return takes;
}

enum status policy_recipient(const struct conf *conf,
			     const struct conf_listener *listener,
			     const struct policy_client *client,
			     const char *recipient, struct policy_answer *out,
			     struct err *e)
{
	const struct conf_source *source;
	enum status st = check_source(listener, client, &source, e);

	if (st != ST_OK)
		return st;
	if (!takes_recipient(source, recipient))
		return err_perm(e, 7, 1,
				"Relaying to <%s> is not allowed from here",
				recipient);
	const struct conf_route *route = route_for(conf, recipient);
	if (!route)
		return err_perm(e, 4, 4, "No route to <%s>", recipient);
	out->source = source;
	out->route = route;
	return ST_OK;
}
