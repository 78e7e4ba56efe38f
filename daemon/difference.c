/* SPDX-License-Identifier: ISC */
/*
 * difference - compares what two configurations mean for a recipient.
 */
#include "daemon/difference.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/route.h"

/* More than any configuration says of a route. */
enum { TEXT_MAX = 64 * 1024 * 1024 };

const char *expiry_change_word(enum expiry_change e)
{
	static const char *const words[] = {
		[EXPIRY_SAME] = "same",
		[EXPIRY_EARLIER] = "earlier",
		[EXPIRY_LATER] = "later",
		[EXPIRY_NOW] = "now",
	};

	return words[e];
}

/* ------- a route in words */

static void add(struct buf *b, const char *before, const char *text)
{
	BUG_ON(!buf_printf(b, "%s%s", before, text));
}

static void add_list(struct buf *b, const char *key,
		     const struct conf_strings *list)
{
	for (size_t i = 0; i < list->n; i++)
		add(b, i == 0 ? key : ",", list->at[i]);
}

char *route_hosts_text(const struct conf_route *r)
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	if (r && r->mx)
		add(&b, "", "mx");
	for (size_t i = 0; r && !r->mx && i < r->nhosts; i++) {
		/* "route/host:port" without the route. */
		char *name = destination_name(r, &r->hosts[i]);

		add(&b, i == 0 ? "" : ", ", name + strlen(r->name) + 1);
		free(name);
	}
	return buf_string(&b);
}

static void add_pins(struct buf *b, const struct conf_route *r)
{
	for (size_t i = 0; i < r->npins; i++) {
		add(b, i == 0 ? " pins=" : ",", "");
		for (size_t j = 0; j < sizeof(r->pins[i]); j++)
			BUG_ON(!buf_printf(b, "%02x", r->pins[i][j]));
	}
}

static void add_trust(struct buf *b, const struct conf_trust *t)
{
	static const char *const crl[] = {
		[CONF_CRL_OFF] = "off",
		[CONF_CRL_WARN] = "warn",
		[CONF_CRL_REQUIRE] = "require",
	};

	add(b, " trust=", t ? t->name : "system");
	if (!t)
		return;
	add_list(b, " ca=", &t->ca);
	add(b, " crl=", crl[t->crl]);
	add_list(b, " crl_files=", &t->crl_files);
	add(b, " min_tls=", t->min_tls);
}

static void add_login(struct buf *b, const struct conf_route *r)
{
	static const char *const auth[] = {
		[CONF_AUTH_OFF] = "off",
		[CONF_AUTH_PLAIN] = "plain",
		[CONF_AUTH_LOGIN] = "login",
		[CONF_AUTH_XOAUTH2] = "xoauth2",
	};

	if (r->auth == CONF_AUTH_OFF)
		return;
	add(b, " auth=", auth[r->auth]);
	add(b, " auth_user=", r->auth_user ? r->auth_user : "");
	if (r->auth_secret_file && *r->auth_secret_file)
		add(b, " auth_secret_file=", r->auth_secret_file);
	if (r->auth_command && *r->auth_command)
		add(b, " auth_command=", r->auth_command);
}

char *route_security_text(const struct conf_route *r)
{
	struct buf b;

	buf_init(&b, TEXT_MAX);
	if (r)
		add(&b, "", conf_tls_word(r->tls));
	if (r && r->tls != CONF_TLS_OFF) {
		add(&b, " verify=", conf_verify_word(r->verify));
		add_list(&b, " names=", &r->names);
		add_pins(&b, r);
		if (r->common_name)
			add(&b, " common_name=", "true");
		add_trust(&b, r->trust);
		if (r->identity) {
			add(&b, " identity=", r->identity->name);
			add(&b, " certificate=", r->identity->certificate);
		}
		add_login(&b, r);
	}
	return buf_string(&b);
}

/* ------- what changes */

static bool texts_equal(char *a, char *b)
{
	bool equal = strcmp(a, b) == 0;

	free(a);
	free(b);
	return equal;
}

static bool routes_differ(const struct conf_route *a,
			  const struct conf_route *b)
{
	if (!a || !b)
		return a != b;
	return strcmp(a->name, b->name) != 0 ||
	       !texts_equal(route_hosts_text(a), route_hosts_text(b)) ||
	       !texts_equal(route_security_text(a), route_security_text(b)) ||
	       strcmp(a->source_address, b->source_address) != 0;
}

static int64_t expires_ms(const struct conf *conf,
			  const struct conf_route *route,
			  const struct recipient *r, int64_t now_ms)
{
	return recipient_expires_ms(
		r, route ? route->lifetime_ms : conf->queue.lifetime_ms,
		conf->queue.hold_clock_ms, now_ms);
}

/* Mail that an operator holds does not expire. */
static enum expiry_change expiry_of(const struct differences *d,
				    const struct difference *routes,
				    const struct recipient *r, int64_t now_ms)
{
	int64_t then = expires_ms(d->now, routes->from, r, now_ms);
	int64_t next = expires_ms(d->next, routes->to, r, now_ms);

	if (r->state == RCPT_HELD || then == next)
		return EXPIRY_SAME;
	if (next > then)
		return EXPIRY_LATER;
	return next <= now_ms && then > now_ms ? EXPIRY_NOW : EXPIRY_EARLIER;
}

static struct difference *group_of(struct differences *d,
				   const struct difference *wanted)
{
	for (size_t i = 0; i < d->n; i++)
		if (d->at[i].from == wanted->from &&
		    d->at[i].to == wanted->to &&
		    d->at[i].expiry == wanted->expiry)
			return &d->at[i];
	d->at = xrealloc(d->at, d->n + 1, sizeof(*d->at));
	struct difference *g = &d->at[d->n++];
	*g = *wanted;
	g->differs = g->expiry != EXPIRY_SAME ||
		     routes_differ(wanted->from, wanted->to);
	return g;
}

void differences_init(struct differences *d, const struct conf *now,
		      const struct conf *next)
{
	*d = (struct differences){.now = now, .next = next};
}

void differences_release(struct differences *d)
{
	free(d->at);
	d->at = NULL;
	d->n = 0;
}

void differences_see(struct differences *d, const struct message *m,
		     int64_t now_ms)
{
	d->messages++;
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];
		struct difference wanted = {
			.from = route_for(d->now, r->address),
			.to = route_for(d->next, r->address),
		};

		if (rcpt_state_is_final(r->state))
			continue;
		wanted.expiry = expiry_of(d, &wanted, r, now_ms);
		struct difference *g = group_of(d, &wanted);
		g->recipients++;
		/* Ids are never 0. */
		if (g->last_id != m->id) {
			g->last_id = m->id;
			g->messages++;
		}
	}
}
