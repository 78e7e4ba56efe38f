/* SPDX-License-Identifier: ISC */
/*
 * check - what the options of a configuration must be to each other.
 */
#ifndef CONF_CHECK_H
#define CONF_CHECK_H

#include "conf/tree.h"

/* Completes c, filled from root, by the defaults that depend on other options
 * and complains of what does not go together. */
void check_conf(struct conf *c, const struct section *root,
		struct complaints *to);

#endif
