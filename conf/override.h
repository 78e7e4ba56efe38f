/* SPDX-License-Identifier: ISC */
/*
 * override - options given by --set in place of those in the file.
 */
#ifndef CONF_OVERRIDE_H
#define CONF_OVERRIDE_H

#include "conf/tree.h"

/* "queue.path=/tmp/q", "route.to-cloud.tls=forced".  Complains as
 * "--set KEY: text". */
MUST_USE bool override_apply(struct section *root, const char *assignment,
			     struct conf_strings *files, struct complaints *to);

#endif
