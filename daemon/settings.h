/* SPDX-License-Identifier: ISC */
/*
 * settings - the configuration of the running daemon: read at the start,
 * replaced as a whole or not at all by a reload.
 *
 * Thread: main.
 */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "daemon/check.h"

/* At the start: the first problem, and how many others there are, in *e. */
MUST_USE enum status settings_read(struct conf **out,
				   const struct conf_file *file, struct err *e);
/* Takes its own reference of conf. */
MUST_USE enum status settings_load(struct snapshot **out, struct conf *conf,
				   struct crl_cache *crls, struct err *e);

/* For a reload: what is to replace `then`, or NULL after complaints, of which
 * the log hears as well. */
MUST_USE struct snapshot *settings_next(const struct conf_file *file,
					const struct snapshot *then,
					conf_complain *complain, void *arg);

/* Level and format of the log; debug beats the file's level. */
void settings_apply_log(const struct conf *conf, bool debug);
/* Says in the log what is in force now, and what is dubious about it. */
void settings_log(const struct snapshot *s);

#endif
