/* SPDX-License-Identifier: ISC */
/*
 * command - one command line, split.
 *
 * RFC 5321 4.1.1, 4.1.2.  The verb is compared without case; an argument is
 * kept as it was written.
 *
 * Thread: none; pure.
 */
#ifndef SMTP_COMMAND_H
#define SMTP_COMMAND_H

#include "base/bytes.h"
#include "base/err.h"

enum { COMMAND_LINE_MAX = 4096, COMMAND_PARAMS_MAX = 16 };

struct command {
	struct span verb;
	struct span args;                /* after the first space, end trimmed */
};

/* An ESMTP parameter, KEYWORD or KEYWORD=value. */
struct param {
	struct span keyword;
	struct span value;
	bool has_value;
};

/* The line without its CRLF.  False: empty, or with control bytes. */
MUST_USE bool command_parse(struct span line, struct command *out);

/* Parses " KEY=value KEY2" to the end.  A value may hold UTF-8: who reads it
 * decides.  Errors: ST_PERM 5.5.4. */
MUST_USE enum status params_parse(struct span s,
				  struct param out[COMMAND_PARAMS_MAX],
				  size_t *n, struct err *e);
/* Decimal digits and nothing else; false also for what a uint64_t can't hold. */
MUST_USE bool number_parse(struct span s, uint64_t *out);

#endif
