/* SPDX-License-Identifier: ISC */
/*
 * check - looks at a loaded configuration as its peers will.
 */
#include "daemon/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tls/name.h"

/* A certificate is about to expire in the last twelfth of its life: a week of
 * ninety days, a month of a year. */
enum { LAST_PART = 12 };

struct check {
	const struct check_report *report;
	unsigned problems;
};

static void say(conf_complain *complain, const struct check_report *report,
		const struct conf_place *place, const char *text)
{
	char *line = xasprintf("%s:%d: %s", place->file, place->line, text);

	complain(report->arg, line);
	free(line);
}

static void say_problem(struct check *c, const struct conf_place *place,
			const char *text)
{
	c->problems++;
	say(c->report->problem, c->report, place, text);
}

static void say_warning(struct check *c, const struct conf_place *place,
			const char *text)
{
	say(c->report->warning, c->report, place, text);
}

/* ------- certificates */

static void check_dates(struct check *c, const struct conf_identity *id,
			const struct tls_cert_info *info, int64_t wall_ms)
{
	int64_t life_ms = info->not_after_ms - info->not_before_ms;
	int64_t left_ms = info->not_after_ms - wall_ms;
	char date[CLOCK_RFC3339_MAX];
	char text[ERR_TEXT_MAX];

	clock_rfc3339(date, info->not_after_ms);
	if (left_ms <= 0) {
		snprintf(text, sizeof(text),
			 "identity \"%s\": the certificate expired on %s",
			 id->name, date);
		say_problem(c, &id->place, text);
	} else if (wall_ms < info->not_before_ms) {
		clock_rfc3339(date, info->not_before_ms);
		snprintf(text, sizeof(text),
			 "identity \"%s\": the certificate is not valid before "
			 "%s",
			 id->name, date);
		say_problem(c, &id->place, text);
	} else if (left_ms < life_ms / LAST_PART) {
		snprintf(text, sizeof(text),
			 "identity \"%s\": the certificate expires on %s",
			 id->name, date);
		say_warning(c, &id->place, text);
	}
}

/* False too if the list of names was cut short: then nobody knows. */
static bool lacks_name(const struct tls_cert_info *info, const char *hostname)
{
	const char *at = info->names;

	if (strlen(at) + 1 == sizeof(info->names))
		return false;
	while (*at != '\0') {
		size_t len = strcspn(at, ", ");

		if (name_matches((struct span){at, len}, span_of(hostname)))
			return false;
		at += len;
		at += strspn(at, ", ");
	}
	return true;
}

/* Senders that verify our name know us as hostname, as a rule. */
static void check_listener(struct check *c, const struct snapshot *s,
			   const struct conf_listener *l)
{
	struct tls_cert_info info;
	char text[ERR_TEXT_MAX];

	if (l->tls == CONF_TLS_OFF || l->nidentities == 0)
		return;
	for (size_t i = 0; i < l->nidentities; i++) {
		tls_identity_info(snapshot_identity(s, l->identities[i]),
				  &info);
		if (!lacks_name(&info, s->conf->hostname))
			return;
	}
	snprintf(text, sizeof(text),
		 "listener \"%s\": no certificate of its identities bears the "
		 "hostname %s",
		 l->name, s->conf->hostname);
	say_warning(c, &l->place, text);
}

static void check_staple(struct check *c, const struct conf_identity *id,
			 const struct tls_identity *loaded)
{
	char why[ERR_TEXT_MAX], text[2 * ERR_TEXT_MAX];

	tls_identity_staple_say(loaded, why, sizeof(why));
	if (*id->ocsp_response == '\0' || strcmp(why, "stapled") == 0)
		return;
	snprintf(text, sizeof(text),
		 "identity \"%s\": the OCSP response is not shown: %s",
		 id->name, why);
	say_warning(c, &id->place, text);
}

/* ------- chains */

static bool is_known_here(const struct snapshot *s,
			  const struct tls_identity *id,
			  const struct tls_trust *system,
			  char missing[TLS_NAME_MAX])
{
	if (tls_identity_ends(id, system, missing))
		return true;
	for (size_t i = 0; i < s->conf->ntrusts; i++)
		if (tls_identity_ends(id, s->trusts[i], missing))
			return true;
	return false;
}

/* A peer that verifies us has to find the way to a root it knows; we have only
 * the roots of this machine to try. */
static void check_chains(struct check *c, const struct snapshot *s)
{
	static const char *const system_only[] = {"system"};
	const struct conf *conf = s->conf;
	struct tls_trust *system = NULL;
	char text[ERR_TEXT_MAX * 2], missing[TLS_NAME_MAX];
	struct err e;

	/* A machine without them knows one less. */
	if (conf->nidentities > 0 &&
	    tls_trust_load(&system, system_only, 1, NULL, &e) != ST_OK)
		system = NULL;
	for (size_t i = 0; i < conf->nidentities; i++) {
		const struct conf_identity *id = &conf->identities[i];

		if (is_known_here(s, s->identities[i], system, missing))
			continue;
		snprintf(
			text, sizeof(text),
			"identity \"%s\": the chain is incomplete, or its root "
			"is not known here: %s is missing in %s",
			id->name, missing, id->certificate);
		say_warning(c, &id->place, text);
	}
	tls_trust_unref(system);
}

/* ------- routes */

/* A certificate may bear an address (RFC 9525 6.2), but hardly any does. */
static void check_route(struct check *c, const struct conf_route *r)
{
	char text[ERR_TEXT_MAX];

	if (r->tls == CONF_TLS_OFF || r->verify != CONF_VERIFY_NAME ||
	    r->names.n > 0 || r->npins > 0)
		return;
	for (size_t i = 0; i < r->nhosts; i++) {
		if (!r->hosts[i].is_literal)
			continue;
		snprintf(text, sizeof(text),
			 "route \"%s\": verify = \"name\" can't be met by host "
			 "%s unless its certificate bears this address: set "
			 "names or pins",
			 r->name, r->hosts[i].host);
		say_warning(c, &r->place, text);
	}
}

unsigned check_snapshot(const struct snapshot *s, int64_t wall_ms,
			const struct check_report *report)
{
	const struct conf *conf = s->conf;
	struct check c = {.report = report};
	struct tls_cert_info info;

	for (size_t i = 0; i < conf->nidentities; i++) {
		tls_identity_info(s->identities[i], &info);
		check_dates(&c, &conf->identities[i], &info, wall_ms);
		check_staple(&c, &conf->identities[i], s->identities[i]);
	}
	for (size_t i = 0; i < conf->nlisteners; i++)
		check_listener(&c, s, &conf->listeners[i]);
	check_chains(&c, s);
	for (size_t i = 0; i < conf->nroutes; i++)
		check_route(&c, &conf->routes[i]);
	return c.problems;
}

/* ------- files */

static void check_path(struct check *c, const struct conf *conf,
		       const struct conf_place *place, const char *path)
{
	char text[ERR_TEXT_MAX];

	if (eaccess(path, R_OK) == 0)
		return;
	snprintf(text, sizeof(text), "user %s can't read %s: %s", conf->user,
		 path, strerror(errno));
	say_warning(c, place, text);
}

void check_readable(const struct conf *conf, const struct check_report *report)
{
	const struct conf_place top = {.file = conf->file, .line = 1};
	struct check c = {.report = report};

	check_path(&c, conf, &top, conf->file);
	for (size_t i = 0; i < conf->nidentities; i++) {
		const struct conf_identity *id = &conf->identities[i];

		check_path(&c, conf, &id->place, id->certificate);
		check_path(&c, conf, &id->place, id->key);
	}
	for (size_t i = 0; i < conf->nlisteners; i++) {
		const struct conf_listener *l = &conf->listeners[i];

		if (*l->auth_file)
			check_path(&c, conf, &l->place, l->auth_file);
	}
	for (size_t i = 0; i < conf->ntrusts; i++) {
		const struct conf_trust *t = &conf->trusts[i];

		for (size_t j = 0; j < t->ca.n; j++)
			if (strcmp(t->ca.at[j], "system") != 0)
				check_path(&c, conf, &t->place, t->ca.at[j]);
		for (size_t j = 0; j < t->crl_files.n; j++)
			check_path(&c, conf, &t->place, t->crl_files.at[j]);
	}
}

bool check_file(const struct conf_file *f, const struct check_report *report,
		struct conf **out)
{
	struct conf *conf = conf_read(f->file, f->overrides, f->noverrides,
				      report->problem, report->arg);
	struct snapshot *s;
	unsigned problems;

	if (!conf)
		return false;
	s = snapshot_load(conf, NULL, report->problem, report->arg);
	if (!s)
		return false;
	problems = check_snapshot(s, clock_wall_ms(), report);
	if (out)
		*out = conf_ref(s->conf);
	snapshot_unref(s);
	return problems == 0;
}
