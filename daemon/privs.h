/* SPDX-License-Identifier: ISC */
/*
 * privs - the rights of this process: limits itself, and gives up root for
 * conf->user once everything that needs root is done.
 *
 * Thread: main, before any other is started.
 */
#ifndef DAEMON_PRIVS_H
#define DAEMON_PRIVS_H

#include <sys/types.h>

#include "conf/conf.h"

struct privs {
	bool drop; /* we are root and should not be */
	uid_t uid;
	gid_t gid;
	const char *user; /* borrowed from conf */
};

/* What holds whoever we are: umask, no new privileges, no core file (it would
 * hold keys and mail), as many descriptors as allowed, no SIGPIPE. */
void privs_limit(void);

/* Whom to become. ST_PERM: root was told to become a user who is unknown. */
MUST_USE enum status privs_find(struct privs *out, const struct conf *conf,
				struct err *e);
/* Makes queue.path and the control socket's directory where they are
 * missing, for the user. */
MUST_USE enum status privs_prepare(const struct privs *p,
				   const struct conf *conf, struct err *e);
/* Lets the user remove what root has bound. */
void privs_give(const struct privs *p, const char *path);
/* For good. */
MUST_USE enum status privs_drop(const struct privs *p, struct err *e);

#endif
