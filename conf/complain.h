/* SPDX-License-Identifier: ISC */
/*
 * complain - says what is wrong with a configuration, and where.
 */
#ifndef CONF_COMPLAIN_H
#define CONF_COMPLAIN_H

#include "conf/conf.h"

struct complaints {
	conf_complain *say;
	void *arg;
	unsigned count;
};

/* "FILE:LINE: text", or "FILE: text" where the line is 0.  Control bytes are
 * escaped. */
void complain(struct complaints *to, struct conf_place place, const char *fmt,
	      ...) PRINTF(3, 4);
void complain_v(struct complaints *to, struct conf_place place, const char *fmt,
		va_list ap) __attribute__((format(printf, 3, 0)));

#endif
