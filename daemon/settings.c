/* SPDX-License-Identifier: ISC */
/*
 * settings - reads relayd.conf for the running daemon.
 */
#include "daemon/settings.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"

/* ------- the start */

/* A start that failed says why in one line: the first complaint. */
struct first {
	struct err *e;
	unsigned n;
};

static void keep_first(void *arg, const char *line)
{
	struct first *f = arg;

	if (f->n++ == 0)
		(void)!err_perm(f->e, 3, 5, "%s", line);
}

static enum status add_others(const struct first *f)
{
	char line[ERR_TEXT_MAX];

	if (f->n > 1) {
		memcpy(line, f->e->text, sizeof(line));
		(void)!err_perm(f->e, 3, 5, "%.*s (%u more: relayd -n)",
				ERR_TEXT_MAX - 40, line, f->n - 1);
	}
	return ST_PERM;
}

enum status settings_read(struct conf **out, const struct conf_file *file,
			  struct err *e)
{
	struct first first = {.e = e};
	struct conf *conf = conf_read(file->file, file->overrides,
				      file->noverrides, keep_first, &first);

	if (!conf)
		return add_others(&first);
	*out = conf;
	return ST_OK;
}

enum status settings_load(struct snapshot **out, struct conf *conf,
			  struct crl_cache *crls, struct err *e)
{
	struct first first = {.e = e};
	struct snapshot *s =
		snapshot_load(conf_ref(conf), crls, keep_first, &first);

	if (!s)
		return add_others(&first);
	*out = s;
	return ST_OK;
}

/* ------- a reload */

struct asker {
	conf_complain *complain;
	void *arg;
};

static void complain_twice(void *arg, const char *line)
{
	const struct asker *a = arg;

	log_text(LOG_ERROR, "reload-refused", "%s", line);
	a->complain(a->arg, line);
}

struct snapshot *settings_next(const struct conf_file *file,
			       const struct snapshot *then,
			       conf_complain *complain, void *arg)
{
	struct asker a = {.complain = complain, .arg = arg};
	struct conf *conf = conf_read(file->file, file->overrides,
				      file->noverrides, complain_twice, &a);

	if (!conf)
		return NULL;
	if (!conf_can_replace(then->conf, conf, complain_twice, &a)) {
		conf_unref(conf);
		return NULL;
	}
	return snapshot_load(conf, then->crls, complain_twice, &a);
}

/* ------- what is in force */

void settings_apply_log(const struct conf *conf, bool debug)
{
	log_set_level(debug ? LOG_DEBUG : conf->log_level);
	log_set_format(conf->log_format);
}

static void log_warning(void *arg, const char *line)
{
	(void)arg;
	log_text(LOG_WARN, "config-warning", "%s", line);
}

/* An expired certificate is no reason to stop the mail of others. */
static void log_problem(void *arg, const char *line)
{
	(void)arg;
	log_text(LOG_ERROR, "config-problem", "%s", line);
}

static void log_certificate(const struct conf_identity *id,
			    const struct tls_identity *loaded)
{
	struct tls_cert_info info;
	char date[CLOCK_RFC3339_MAX];

	tls_identity_info(loaded, &info);
	clock_rfc3339(date, info.not_after_ms);
	log_fact(LOG_INFO, 0, "certificate", F_STR("identity", id->name),
		 F_STR("subject", info.subject), F_STR("names", info.names),
		 F_STR("not_after", date));
}

void settings_log(const struct snapshot *s)
{
	const struct check_report to_log = {
		.problem = log_problem,
		.warning = log_warning,
	};
	const struct conf *conf = s->conf;

	for (size_t i = 0; i < conf->nidentities; i++)
		log_certificate(&conf->identities[i], s->identities[i]);
	(void)check_snapshot(s, clock_wall_ms(), &to_log);
	/* Root has been given up by now: what can't be read can't be
	 * reloaded. */
	check_readable(conf, &to_log);
}
