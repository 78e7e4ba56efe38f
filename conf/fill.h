/* SPDX-License-Identifier: ISC */
/*
 * fill - turns the written options into the members of struct conf.
 */
#ifndef CONF_FILL_H
#define CONF_FILL_H

#include "conf/tree.h"

enum fill_extent {
	FILL_ALL,
	FILL_VALUES_ONLY, /* the tree is not whole: names in it
					  * may refer to what is missing */
};

/* Fills c, which is zeroed, from root; complains of every value that is wrong,
 * and goes on. */
void fill_conf(struct conf *c, const struct section *root,
	       enum fill_extent extent, struct complaints *to);
/* Frees all that fill_conf() allocated. */
void fill_release(struct conf *c);

/* complain() about an option or, with OPTION_COUNT, about the section. */
void complain_of(struct complaints *to, const struct section *s, size_t option,
		 const char *fmt, ...) PRINTF(4, 5);

#endif
