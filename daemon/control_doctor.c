/* SPDX-License-Identifier: ISC */
/*
 * control_doctor - the endpoint of check tls: chooses the route, has the
 * doctor examine the host, says what was found and what that blocks.
 *
 * The doctor works in a worker and comes back within minutes; meanwhile this
 * thread serves others.
 */
#include <event2/buffer.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "daemon/census.h"
#include "daemon/doctor.h"
#include "daemon/endpoint.h"
#include "daemon/route.h"

/* At once: each is as many connections as its host has addresses. */
enum { CONSULTATIONS_MAX = 4 };

struct consultation {
	struct call *call; /* borrowed: it owns us */
	struct host_port target; /* its string owned */
	bool has_port;
	struct conf_route no_route; /* the policy where no route is meant */
	struct examination examination;
	bool counted; /* among those at once */
};

static void consultation_free(void *state)
{
	struct consultation *k = state;

	if (k->counted)
		k->call->relay->consultations--;
	examination_release(&k->examination);
	free(k->target.host);
	free(k);
}

/* ------- whose policy? */

static const struct conf_route *named(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->nroutes; i++)
		if (strcmp(conf->routes[i].name, name) == 0)
			return &conf->routes[i];
	return NULL;
}

/* The route's host that is meant, or NULL. */
static const struct host_port *host_of(const struct conf_route *r,
				       const struct consultation *k)
{
	for (size_t i = 0; i < r->nhosts; i++)
		if (strcmp(r->hosts[i].host, k->target.host) == 0 &&
		    (!k->has_port || r->hosts[i].port == k->target.port))
			return &r->hosts[i];
	return NULL;
}

/* A host that MX led to is known by the destinations of today. */
static const struct conf_route *route_of_destination(const struct call *c)
{
	const struct dispatch_question *q = &c->question;
	const struct consultation *k = c->state;
	const struct conf *conf = c->snapshot->conf;

	for (size_t i = 0; i < q->nviews; i++) {
		const struct conf_route *r =
			exception_route(conf, q->views[i].name);
		char *name = r ? destination_name(r, &k->target) : NULL;
		bool is = name && strcmp(name, q->views[i].name) == 0;

		free(name);
		if (is)
			return r;
	}
	return NULL;
}

/* NULL: no route has anything to do with it.  Sets the port that was not
 * given. */
static const struct conf_route *choose(struct call *c, const char *name)
{
	struct consultation *k = c->state;
	const struct conf *conf = c->snapshot->conf;
	const struct conf_route *r = NULL;
	const struct host_port *host = NULL;

	if (name)
		r = named(conf, name);
	for (size_t i = 0; i < conf->nroutes && !r; i++)
		if (host_of(&conf->routes[i], k))
			r = &conf->routes[i];
	if (r)
		host = host_of(r, k);
	if (host)
		k->target.port = host->port;
	else if (!k->has_port)
		k->target.port = r && r->mx ? c->relay->mx_port : PORT_SMTP;
	return r ? r : route_of_destination(c);
}

static const struct conf_route *strict_route(struct consultation *k)
{
	static char none[] = "";
	enum { CONNECT_TIMEOUT_MS = 30 * 1000 };

	k->no_route = (struct conf_route){
		.name = none,
		.tls = CONF_TLS_FORCED,
		.verify = CONF_VERIFY_NAME,
		.connect_timeout_ms = CONNECT_TIMEOUT_MS,
		.source_address = none,
		.auth_user = none,
		.auth_secret_file = none,
		.auth_command = none,
	};
	return &k->no_route;
}

/* ------- the verdict */

static json_t *policy(const struct conf_route *r)
{
	static const char *const tls[] = {
		[CONF_TLS_OFF] = "off",
		[CONF_TLS_OPPORTUNISTIC] = "opportunistic",
		[CONF_TLS_FORCED] = "forced",
		[CONF_TLS_IMPLICIT] = "implicit",
	};
	static const char *const verify[] = {
		[CONF_VERIFY_NONE] = "none",
		[CONF_VERIFY_CA] = "ca",
		[CONF_VERIFY_NAME] = "name",
	};

	return json_pack("{s:s, s:s, s:b}", "tls", tls[r->tls], "verify",
			 verify[r->verify], "auth", r->auth != CONF_AUTH_OFF);
}

/* What waits for the destination now. */
static void count_waiting(const struct call *c, const char *destination,
			  json_t *o)
{
	const struct dispatch_question *q = &c->question;
	json_int_t messages = 0, recipients = 0;
	struct census census;
	struct err e;

	if (census_take(c->relay->store, q->active, q->nactive, &census, &e) !=
	    ST_OK)
		return;
	for (size_t i = 0; i < census.n; i++) {
		const struct group *g = &census.groups[i];
		bool waits =
			g->state == RCPT_QUEUED || g->state == RCPT_DEFERRED;

		if (!waits || strcmp(g->destination, destination) != 0)
			continue;
		messages += (json_int_t)g->messages;
		recipients += (json_int_t)g->recipients;
	}
	census_release(&census);
	json_object_set_new(o, "messages", json_integer(messages));
	json_object_set_new(o, "recipients", json_integer(recipients));
}

static size_t count_ill(const struct examination *x)
{
	size_t n = 0;

	for (size_t i = 0; i < x->n; i++)
		n += x->findings[i].failure.cause != CAUSE_IS_NONE;
	return n;
}

static json_t *failing_at(const struct examination *x)
{
	json_t *list = json_array();

	for (size_t i = 0; i < x->n; i++)
		if (x->findings[i].failure.cause != CAUSE_IS_NONE)
			json_array_append_new(
				list, json_string(x->findings[i].address));
	return list;
}

static json_t *exception_of(const struct call *c, const char *destination)
{
	struct exception *x;
	struct err e;
	json_t *o;

	if (exception_find(c->relay->store, destination, &x, &e) != ST_OK)
		return json_null();
	o = exception_show(x);
	exception_unref(x);
	return o;
}

static json_t *verdict(const struct call *c)
{
	const struct consultation *k = c->state;
	const struct examination *x = &k->examination;
	bool routed = x->route != &k->no_route;
	char *destination =
		routed ? destination_name(x->route, &k->target) : xstrdup("");
	const struct finding *worst;
	enum diagnosis d = finding_conclude(x->findings, x->n, &worst);
	enum cause cause = worst ? worst->failure.cause : CAUSE_IS_NONE;
	const char *probable = diagnosis_cause(d);
	json_t *o = json_object();

	json_object_set_new(o, "verdict",
			    json_string(worst ? "failing" : "healthy"));
	json_object_set_new(o, "host", view_text(k->target.host));
	json_object_set_new(o, "port", json_integer(k->target.port));
	json_object_set_new(o, "route", view_text(x->route->name));
	json_object_set_new(o, "policy", policy(x->route));
	json_object_set_new(o, "destination", view_text(destination));
	json_object_set_new(o, "addresses", json_integer((json_int_t)x->n));
	json_object_set_new(o, "failing",
			    json_integer((json_int_t)count_ill(x)));
	json_object_set_new(o, "failing_at", failing_at(x));
	json_object_set_new(o, "diagnosis",
			    json_string(diagnosis_word(d, cause)));
	json_object_set_new(o, "cause", json_string(cause_word(cause)));
	json_object_set_new(o, "reply",
			    view_text(worst ? worst->failure.reply : ""));
	json_object_set_new(o, "probable_cause", json_string(probable));
	json_object_set_new(o, "remedy",
			    json_string(diagnosis_remedy(d, cause)));
	json_object_set_new(o, "messages", json_integer(0));
	json_object_set_new(o, "recipients", json_integer(0));
	if (worst && routed)
		count_waiting(c, destination, o);
	json_object_set_new(o, "exception",
			    routed ? exception_of(c, destination)
				   : json_null());
	free(destination);
	return o;
}

static void answer(struct call *c)
{
	const struct consultation *k = c->state;
	const struct examination *x = &k->examination;
	struct evbuffer *out = evbuffer_new();

	BUG_ON(!out);
	for (size_t i = 0; i < x->n; i++)
		call_line(out, finding_show(&x->findings[i]));
	call_line(out, verdict(c));
	call_send(c, out, call_end);
	evbuffer_free(out);
}

/* ------- the way */

static void on_examined(struct note *note)
{
	struct consultation *k =
		CONTAINER_OF(note, struct consultation, examination.done);
	struct call *c = k->call;

	if (c->stopping)
		call_end(c);
	else
		call_ask(c, ORDER_VIEW, NULL, answer);
}

static void examine(struct call *c)
{
	struct consultation *k = c->state;
	struct relay *relay = c->relay;
	const char *name = json_string_value(json_object_get(c->body, "route"));
	const struct conf_route *r = choose(c, name);

	if (name && !r) {
		call_fail(c, 404, "there is no route \"%.60s\"", name);
		return;
	}
	if (relay->consultations >= CONSULTATIONS_MAX) {
		call_fail(c, 503, "%d hosts are being examined: wait a moment",
			  CONSULTATIONS_MAX);
		return;
	}
	k->counted = true;
	k->examination = (struct examination){
		.snapshot = c->snapshot,
		.route = r ? r : strict_route(k),
		.target = k->target,
		.reply_to = relay->main_mail,
		.done.run = on_examined,
	};
	/* It takes its time: the reader sees that it is under way. */
	call_stream(c, "application/x-ndjson");
	doctor_send(&k->examination,
		    relay->workers[relay->consulted++ % relay->nworkers]);
	relay->consultations++;
}

static bool read_target(struct consultation *k, const char *text)
{
	struct host_port other;

	if (!text || !host_port_parse(text, PORT_SMTP, &k->target))
		return false;
	if (!host_port_parse(text, PORT_SMTP + 1, &other))
		return false;
	k->has_port = other.port == k->target.port;
	free(other.host);
	return true;
}

static void lower(char *s)
{
	for (; *s != '\0'; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + ('a' - 'A'));
}

void endpoint_check_tls(struct call *c)
{
	const char *text = json_string_value(json_object_get(c->body, "host"));
	struct consultation *k = xcalloc(1, sizeof(*k));

	k->call = c;
	c->state = k;
	c->state_free = consultation_free;
	if (!read_target(k, text)) {
		call_fail(c, 400,
			  "host \"%.80s\": wants HOST, HOST:PORT or "
			  "[ADDRESS]:PORT",
			  text ? text : "");
		return;
	}
	lower(k->target.host);
	call_ask(c, ORDER_VIEW, NULL, examine);
}
