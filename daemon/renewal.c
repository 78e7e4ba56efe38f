/* SPDX-License-Identifier: ISC */
/*
 * renewal - looks which credentials have other files than when they were read
 * last, reads those again, and publishes what is good.
 *
 * A stamp is taken before its files are read: what changes in between is seen
 * at the next look.  Each content is tried once, so a bad one is complained of
 * once.
 */
#include "daemon/renewal.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/watch.h"

enum kind { ITEM_IDENTITY, ITEM_TRUST, ITEM_SYSTEM, ITEM_SECRET };

struct item {
	enum kind kind;
	size_t at; /* in the configuration's list of them */
	const char *name; /* borrowed from the configuration */
	const char **files; /* owned; strings of the configuration */
	size_t nfiles;
	uint64_t stamp; /* of what was tried last */
	char *problem; /* owned; NULL: it was good */
	int64_t since_ms; /* of the problem */
};

struct renewal {
	struct renewal_conf conf;
	struct watch *watch;
	struct snapshot *snapshot; /* in force; owned reference */
	struct item *items;
	size_t nitems;
};

/* ------- what is followed */

static void free_items(struct renewal *r)
{
	for (size_t i = 0; i < r->nitems; i++) {
		free(r->items[i].files);
		free(r->items[i].problem);
	}
	free(r->items);
	r->items = NULL;
	r->nitems = 0;
}

static void add_item(struct renewal *r, const struct item *item)
{
	r->items = xrealloc(r->items, r->nitems + 1, sizeof(*r->items));
	r->items[r->nitems++] = *item;
}

static const char **one_file(const char *file)
{
	const char **files = xcalloc(1, sizeof(*files));

	files[0] = file;
	return files;
}

static void add_credentials(struct renewal *r, const struct snapshot *s)
{
	const struct conf *conf = s->conf;

	for (size_t i = 0; i < conf->nidentities; i++) {
		struct item item = {
			.kind = ITEM_IDENTITY,
			.at = i,
			.name = conf->identities[i].name,
			.stamp = s->identity_stamps[i],
		};

		item.files = snapshot_identity_files(&conf->identities[i],
						     &item.nfiles);
		add_item(r, &item);
	}
	for (size_t i = 0; i < conf->ntrusts; i++) {
		struct item item = {
			.kind = ITEM_TRUST,
			.at = i,
			.name = conf->trusts[i].name,
			.stamp = s->trust_stamps[i],
		};

		item.files =
			snapshot_trust_files(&conf->trusts[i], &item.nfiles);
		add_item(r, &item);
	}
	if (s->system_trust)
		add_item(r, &(struct item){
				    .kind = ITEM_SYSTEM,
				    .name = "system",
				    .files = one_file(TLS_SYSTEM_CA),
				    .nfiles = 1,
				    .stamp = s->system_stamp,
			    });
}

static void add_secrets(struct renewal *r, const struct conf *conf)
{
	for (size_t i = 0; i < conf->nroutes; i++) {
		const char *const file = conf->routes[i].auth_secret_file;

		if (!file || *file == '\0')
			continue;
		add_item(r, &(struct item){
				    .kind = ITEM_SECRET,
				    .at = i,
				    .name = conf->routes[i].name,
				    .files = one_file(file),
				    .nfiles = 1,
				    .stamp = watch_stamp(&file, 1),
			    });
	}
}

static void follow_files(struct renewal *r)
{
	const char **files = NULL;
	size_t n = 0;

	for (size_t i = 0; i < r->nitems; i++)
		for (size_t k = 0; k < r->items[i].nfiles; k++) {
			files = xrealloc(files, n + 1, sizeof(*files));
			files[n++] = r->items[i].files[k];
		}
	watch_follow(r->watch, files, n);
	free(files);
}

void renewal_follow(struct renewal *r, struct snapshot *s)
{
	struct snapshot *old = r->snapshot;
	bool other = !old || old->conf != s->conf;

	r->snapshot = snapshot_ref(s);
	if (other) {
		free_items(r);
		add_credentials(r, s);
		add_secrets(r, s->conf);
		follow_files(r);
		/* What changed between reading and watching. */
		renewal_look(r);
	}
	snapshot_unref(old);
}

/* ------- reading again */

static void say_renewed(const struct item *item,
			const struct tls_identity *before,
			const struct tls_identity *now)
{
	struct tls_cert_info info, was;
	char date[CLOCK_RFC3339_MAX], old_date[CLOCK_RFC3339_MAX];

	tls_identity_info(now, &info);
	tls_identity_info(before, &was);
	clock_rfc3339(date, info.not_after_ms);
	clock_rfc3339(old_date, was.not_after_ms);
	log_fact(LOG_INFO, 0, "certificate-renewed",
		 F_STR("identity", item->name), F_STR("subject", info.subject),
		 F_STR("names", info.names), F_STR("issuer", info.issuer),
		 F_STR("not_after", date), F_STR("not_after_before", old_date));
}

static void say_unstapled(const struct item *item,
			  const struct conf_identity *id,
			  const struct tls_identity *now)
{
	char text[ERR_TEXT_MAX];

	tls_identity_staple_say(now, text, sizeof(text));
	if (*id->ocsp_response && strcmp(text, "stapled") != 0)
		log_fact(LOG_WARN, 0, "certificate-unstapled",
			 F_STR("identity", item->name), F_STR("reply", text));
}

static enum status read_identity(const struct renewal *r,
				 const struct item *item, struct fresh *fresh,
				 struct err *e)
{
	const struct conf_identity *id =
		&r->snapshot->conf->identities[item->at];
	enum status st =
		snapshot_read_identity(id, &fresh->identities[item->at], e);

	if (st != ST_OK)
		return st;
	say_renewed(item, r->snapshot->identities[item->at],
		    fresh->identities[item->at]);
	say_unstapled(item, id, fresh->identities[item->at]);
	return ST_OK;
}

static enum status read_trust(const struct renewal *r, const struct item *item,
			      struct fresh *fresh, struct err *e)
{
	const struct snapshot *s = r->snapshot;
	enum status st;

	if (item->kind == ITEM_TRUST)
		st = snapshot_read_trust(s, &s->conf->trusts[item->at],
					 &fresh->trusts[item->at], e);
	else
		st = snapshot_read_trust(s, NULL, &fresh->system_trust, e);
	if (st == ST_OK)
		log_fact(LOG_INFO, 0, "trust-renewed",
			 F_STR("trust", item->name));
	return st;
}

/* Its vault reads the file when it is asked next. */
static void see_secret(const struct item *item)
{
	log_fact(LOG_INFO, 0, "secret-changed", F_STR("route", item->name),
		 F_STR("file", item->files[0]));
}

static enum status read_item(const struct renewal *r, const struct item *item,
			     struct fresh *fresh, struct err *e)
{
	switch (item->kind) {
	case ITEM_IDENTITY:
		return read_identity(r, item, fresh, e);
	case ITEM_TRUST:
	case ITEM_SYSTEM:
		return read_trust(r, item, fresh, e);
	case ITEM_SECRET:
		break;
	}
	see_secret(item);
	return ST_OK;
}

static void refuse(struct item *item, const struct err *e)
{
	bool is_trust = item->kind != ITEM_IDENTITY;

	if (!item->problem)
		item->since_ms = clock_wall_ms();
	free(item->problem);
	item->problem = xstrdup(e->text);
	log_fact(LOG_ERROR, 0,
		 is_trust ? "trust-refused" : "certificate-refused",
		 F_STR(is_trust ? "trust" : "identity", item->name),
		 F_STR("reply", e->text),
		 F_STR("remedy", "mend the files; the ones read before stay in "
				 "use until then"));
}

/* True: there is something to publish. */
static bool look_at(const struct renewal *r, struct item *item,
		    struct fresh *fresh)
{
	uint64_t stamp = watch_stamp(item->files, item->nfiles);
	struct err e;

	if (stamp == item->stamp)
		return false;
	item->stamp = stamp;
	if (read_item(r, item, fresh, &e) != ST_OK) {
		refuse(item, &e);
		return false;
	}
	free(item->problem);
	item->problem = NULL;
	return true;
}

void renewal_look(struct renewal *r)
{
	const struct conf *conf = r->snapshot->conf;
	struct fresh fresh = {
		.identities = xcalloc(conf->nidentities + 1,
				      sizeof(struct tls_identity *)),
		.trusts =
			xcalloc(conf->ntrusts + 1, sizeof(struct tls_trust *)),
	};
	bool any = false;

	for (size_t i = 0; i < r->nitems; i++)
		any |= look_at(r, &r->items[i], &fresh);
	if (any)
		r->conf.publish(r->conf.arg,
				snapshot_with(r->snapshot, &fresh));
	free(fresh.identities);
	free(fresh.trusts);
}

static void on_changed(void *arg)
{
	renewal_look(arg);
}

/* ------- what was refused */

bool renewal_refusal(const struct renewal *r, size_t i, struct refusal *out)
{
	for (size_t k = 0; r && k < r->nitems; k++) {
		const struct item *item = &r->items[k];

		if (!item->problem || i-- > 0)
			continue;
		*out = (struct refusal){
			.is_trust = item->kind != ITEM_IDENTITY,
			.name = item->name,
			.problem = item->problem,
			.since_ms = item->since_ms,
		};
		return true;
	}
	return false;
}

/* ------- lifetime */

enum status renewal_new(struct renewal **out, const struct renewal_conf *conf,
			struct err *e)
{
	struct renewal *r = xcalloc(1, sizeof(*r));
	enum status st;

	r->conf = *conf;
	st = watch_new(&r->watch, conf->base, on_changed, r, e);
	if (st == ST_OK)
		*out = r;
	else
		free(r);
	return st;
}

void renewal_free(struct renewal *r)
{
	if (!r)
		return;
	watch_free(r->watch);
	free_items(r);
	snapshot_unref(r->snapshot);
	free(r);
}
