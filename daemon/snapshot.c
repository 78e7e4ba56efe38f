/* SPDX-License-Identifier: ISC */
/*
 * snapshot - loads what a configuration names and counts who uses it.
 *
 * Every identity and trust is tried even after one has failed, so that one
 * run of `relayd -n` shows all that is wrong.
 */
#include "daemon/snapshot.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/watch.h"
#include "tls/crl_cache.h"

enum { SYSTEM_REFRESH_MS = 4 * 60 * 60 * 1000 };

struct complaints {
	conf_complain *complain;
	void *arg;
	bool any;
};

static void say(struct complaints *c, const struct conf_place *place,
		const char *section, const char *name, const struct err *e)
{
	char *line = xasprintf("%s:%d: %s \"%s\": %s", place->file, place->line,
			       section, name, e->text);

	c->complain(c->arg, line);
	c->any = true;
	free(line);
}

const char **snapshot_identity_files(const struct conf_identity *i, size_t *n)
{
	const char **files = xcalloc(3, sizeof(*files));

	files[0] = i->certificate;
	files[1] = i->key;
	files[2] = i->ocsp_response;
	*n = *i->ocsp_response ? 3 : 2;
	return files;
}

const char **snapshot_trust_files(const struct conf_trust *t, size_t *n)
{
	const char **files =
		xcalloc(t->ca.n + t->crl_files.n + 1, sizeof(*files));

	*n = t->ca.n + t->crl_files.n;
	for (size_t i = 0; i < t->ca.n; i++)
		files[i] = strcmp(t->ca.at[i], "system") == 0 ? TLS_SYSTEM_CA
							      : t->ca.at[i];
	for (size_t i = 0; i < t->crl_files.n; i++)
		files[t->ca.n + i] = t->crl_files.at[i];
	return files;
}

static uint64_t stamp_of(const char **files, size_t n)
{
	uint64_t stamp = watch_stamp(files, n);

	free(files);
	return stamp;
}

enum status snapshot_read_identity(const struct conf_identity *i,
				   struct tls_identity **out, struct err *e)
{
	enum status st = tls_identity_load(out, i->certificate, i->key, e);
	struct err harmless;

	if (st == ST_OK && *i->ocsp_response)
		(void)!tls_identity_staple(*out, i->ocsp_response, &harmless);
	return st;
}

static void load_identities(struct snapshot *s, struct complaints *c)
{
	const struct conf *conf = s->conf;
	struct err e;

	s->identities =
		xcalloc(conf->nidentities + 1, sizeof(struct tls_identity *));
	s->identity_stamps = xcalloc(conf->nidentities + 1, sizeof(uint64_t));
	for (size_t i = 0; i < conf->nidentities; i++) {
		const struct conf_identity *id = &conf->identities[i];
		size_t n;
		const char **files = snapshot_identity_files(id, &n);

		s->identity_stamps[i] = stamp_of(files, n);
		if (snapshot_read_identity(id, &s->identities[i], &e) != ST_OK)
			say(c, &id->place, "identity", id->name, &e);
	}
}

static enum tls_crl_use use_of(enum conf_crl crl)
{
	switch (crl) {
	case CONF_CRL_OFF:
		return TLS_CRL_IGNORE;
	case CONF_CRL_WARN:
		return TLS_CRL_WARN;
	case CONF_CRL_REQUIRE:
		break;
	}
	return TLS_CRL_REQUIRE;
}

/* Lists that are not asked need not be readable. */
static enum status read_lists(const struct snapshot *s,
			      const struct conf_trust *t, struct err *e)
{
	enum status st = ST_OK;

	for (size_t i = 0; st == ST_OK && i < t->crl_files.n; i++)
		if (t->crl != CONF_CRL_OFF)
			st = crl_cache_read_file(s->crls, t->crl_files.at[i],
						 e);
	return st;
}

enum status snapshot_read_trust(const struct snapshot *s,
				const struct conf_trust *t,
				struct tls_trust **out, struct err *e)
{
	static const char *const system_only[] = {"system"};
	/* The presets of conf/options.def stand for those who name no trust. */
	struct tls_crl_conf crl = {
		.use = TLS_CRL_WARN,
		.cache = s->crls,
		.refresh_ms = SYSTEM_REFRESH_MS,
		/* A list is as likely to come back as a destination. */
		.retry_ms = s->conf->queue.probe_ms,
	};
	enum status st;

	if (!t) {
		st = tls_trust_load(out, system_only, 1, "1.2", e);
	} else {
		crl.use = use_of(t->crl);
		crl.files = (const char *const *)t->crl_files.at;
		crl.nfiles = t->crl_files.n;
		crl.refresh_ms = t->crl_refresh_ms;
		st = read_lists(s, t, e);
		if (st == ST_OK)
			st = tls_trust_load(out, (const char *const *)t->ca.at,
					    t->ca.n, t->min_tls, e);
	}
	if (st == ST_OK)
		tls_trust_set_crl(*out, &crl);
	return st;
}

static void load_trusts(struct snapshot *s, struct complaints *c)
{
	const struct conf *conf = s->conf;
	struct err e;

	s->trusts = xcalloc(conf->ntrusts + 1, sizeof(struct tls_trust *));
	s->trust_stamps = xcalloc(conf->ntrusts + 1, sizeof(uint64_t));
	for (size_t i = 0; i < conf->ntrusts; i++) {
		const struct conf_trust *t = &conf->trusts[i];
		size_t n;
		const char **files = snapshot_trust_files(t, &n);

		s->trust_stamps[i] = stamp_of(files, n);
		if (snapshot_read_trust(s, t, &s->trusts[i], &e) != ST_OK)
			say(c, &t->place, "trust", t->name, &e);
	}
}

/* A machine without the system's certificates is at fault only if a route has
 * to prove its peer with them. */
static void load_system_trust(struct snapshot *s, struct complaints *c)
{
	static const char *const file[] = {TLS_SYSTEM_CA};
	const struct conf *conf = s->conf;
	const struct conf_route *wants = NULL, *needs = NULL;
	struct err e;

	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct conf_route *r = &conf->routes[i];

		if (r->trust || r->tls == CONF_TLS_OFF)
			continue;
		wants = r;
		if (r->verify != CONF_VERIFY_NONE && r->npins == 0)
			needs = r;
	}
	s->system_stamp = watch_stamp(file, 1);
	if (wants &&
	    snapshot_read_trust(s, NULL, &s->system_trust, &e) != ST_OK) {
		s->system_trust = NULL;
		if (needs)
			say(c, &needs->place, "route", needs->name, &e);
	}
}

/* Secrets change without a reload, so they are read when they are needed. */
static void make_vaults(struct snapshot *s)
{
	const struct conf *conf = s->conf;

	s->vaults = xcalloc(conf->nroutes + 1, sizeof(struct vault *));
	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct conf_route *r = &conf->routes[i];

		if (r->auth != CONF_AUTH_OFF)
			s->vaults[i] = vault_new(&(struct vault_conf){
				.file = r->auth_secret_file,
				.command = r->auth_command,
			});
	}
}

struct snapshot *snapshot_load(struct conf *conf, struct crl_cache *crls,
			       conf_complain *complain, void *arg)
{
	struct snapshot *s = xcalloc(1, sizeof(*s));
	struct complaints c = {.complain = complain, .arg = arg};

	s->conf = conf;
	s->crls = crls;
	atomic_init(&s->refs, 1);
	load_identities(s, &c);
	load_trusts(s, &c);
	load_system_trust(s, &c);
	make_vaults(s);
	if (c.any) {
		snapshot_unref(s);
		return NULL;
	}
	return s;
}

/* As they were when read last: a renewal keeps its own books. */
static uint64_t *copy_stamps(const uint64_t *stamps, size_t n)
{
	uint64_t *copy = xcalloc(n + 1, sizeof(*copy));

	memcpy(copy, stamps, n * sizeof(*copy));
	return copy;
}

struct snapshot *snapshot_with(const struct snapshot *then,
			       const struct fresh *fresh)
{
	struct snapshot *s = xcalloc(1, sizeof(*s));
	size_t nids = then->conf->nidentities, ntrusts = then->conf->ntrusts;

	s->conf = conf_ref(then->conf);
	s->crls = then->crls;
	atomic_init(&s->refs, 1);
	s->identities = xcalloc(nids + 1, sizeof(struct tls_identity *));
	for (size_t i = 0; i < nids; i++)
		s->identities[i] =
			fresh->identities[i]
				? fresh->identities[i]
				: tls_identity_ref(then->identities[i]);
	s->trusts = xcalloc(ntrusts + 1, sizeof(struct tls_trust *));
	for (size_t i = 0; i < ntrusts; i++)
		s->trusts[i] = fresh->trusts[i]
				       ? fresh->trusts[i]
				       : tls_trust_ref(then->trusts[i]);
	s->system_trust = fresh->system_trust;
	if (!s->system_trust && then->system_trust)
		s->system_trust = tls_trust_ref(then->system_trust);
	s->vaults = xcalloc(s->conf->nroutes + 1, sizeof(struct vault *));
	for (size_t i = 0; i < s->conf->nroutes; i++)
		if (then->vaults[i])
			s->vaults[i] = vault_ref(then->vaults[i]);
	s->identity_stamps = copy_stamps(then->identity_stamps, nids);
	s->trust_stamps = copy_stamps(then->trust_stamps, ntrusts);
	s->system_stamp = then->system_stamp;
	return s;
}

struct snapshot *snapshot_ref(struct snapshot *s)
{
	atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
	return s;
}

void snapshot_unref(struct snapshot *s)
{
	if (!s ||
	    atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < s->conf->nidentities; i++)
		tls_identity_unref(s->identities[i]);
	for (size_t i = 0; i < s->conf->ntrusts; i++)
		tls_trust_unref(s->trusts[i]);
	tls_trust_unref(s->system_trust);
	for (size_t i = 0; i < s->conf->nroutes; i++)
		vault_unref(s->vaults[i]);
	free(s->vaults);
	free(s->identity_stamps);
	free(s->trust_stamps);
	free(s->identities);
	free(s->trusts);
	conf_unref(s->conf);
	free(s);
}

struct tls_identity *snapshot_identity(const struct snapshot *s,
				       const struct conf_identity *i)
{
	if (!i)
		return NULL;
	BUG_ON(i < s->conf->identities ||
	       i >= s->conf->identities + s->conf->nidentities);
	return s->identities[i - s->conf->identities];
}

struct tls_trust *snapshot_trust(const struct snapshot *s,
				 const struct conf_trust *t)
{
	if (!t)
		return s->system_trust;
	BUG_ON(t < s->conf->trusts || t >= s->conf->trusts + s->conf->ntrusts);
	return s->trusts[t - s->conf->trusts];
}

struct vault *snapshot_vault(const struct snapshot *s,
			     const struct conf_route *r)
{
	BUG_ON(r < s->conf->routes || r >= s->conf->routes + s->conf->nroutes);
	return s->vaults[r - s->conf->routes];
}
