/* SPDX-License-Identifier: ISC */
/*
 * scan - makes the text of a configuration fit for libconfuse.
 */
#ifndef CONF_SCAN_H
#define CONF_SCAN_H

#include "conf/complain.h"

/*
 * Blanks the comments of a text, in place; lines and columns stay where they
 * are.  False, after a complaint, when the text holds what libconfuse's lexer
 * would swallow without a word or never recover from.  Its first line is at
 * `first`, whose line is 0 where lines mean nothing.
 */
MUST_USE bool scan_text(char *text, size_t len, struct conf_place first,
			struct complaints *to);

#endif
