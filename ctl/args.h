/* SPDX-License-Identifier: ISC */
/*
 * args - the arguments of a command: options, ids, and the filter they make.
 *
 * Thread: none.
 */
#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include <jansson.h>

#include "ctl/request.h"

/* Sets of options; a command takes some of them. */
enum option_set {
	TAKES_FILTER = 1,
	TAKES_LIST = 2,
	TAKES_SUMMARY = 4,
	TAKES_SHOW = 8,
	TAKES_CHANGE = 16,
	TAKES_STATES = 32,               /* --deferred ... of resubmit */
	TAKES_BOUNCE = 64,
	TAKES_CHECK = 128,
	TAKES_FOR = 256,
	TAKES_REASON = 512,
	TAKES_LIMIT = 1024,
	TAKES_EXTEND = 2048,
	TAKES_IMPORT = 4096,
	TAKES_EXCEPTION = 8192,
	TAKES_ROUTE = 16384,
	TAKES_DESTINATION = 32768,
	TAKES_TRACE = 65536,
};

enum option_id {
	OPTION_STATE,
	OPTION_CAUSE,
	OPTION_DESTINATION,
	OPTION_ROUTE,
	OPTION_SENDER,
	OPTION_RECIPIENT,
	OPTION_MESSAGE_ID,
	OPTION_OLDER,
	OPTION_NEWER,
	OPTION_LARGER,
	OPTION_UNCERTAIN,
	OPTION_SORT,
	OPTION_LIMIT,
	OPTION_BY,
	OPTION_RAW,
	OPTION_BODY,
	OPTION_DEFERRED,
	OPTION_HELD,
	OPTION_EXPIRED,
	OPTION_FAILED,
	OPTION_DELIVERED,
	OPTION_ALL,
	OPTION_DRY_RUN,
	OPTION_YES,
	OPTION_BOUNCE,
	OPTION_AGAINST_QUEUE,
	OPTION_FOR,
	OPTION_REASON,
	OPTION_PURGE,
	OPTION_BY_TIME,
	OPTION_AGAIN,
	OPTION_ALLOW,
	OPTION_PIN,
	OPTION_UNTIL,
	OPTION_TRANSCRIPT,
	OPTION_COUNT
};

struct args {
	const char *values[OPTION_COUNT];        /* borrowed; NULL: not given,
						    "true" for a flag */
	char **rest;                     /* borrowed: what is no option */
	size_t nrest;
	bool json, help;                 /* also taken behind the command */
	const char *socket;              /* NULL: not given */
};

/* argv[0] is the command's last word.  False after a message to standard
 * error. */
MUST_USE bool args_parse(struct args *a, unsigned sets, int argc, char **argv);
/* The help lines of these sets. */
void args_print_options(unsigned sets);

/* The options of these sets as parameters of a query. */
void args_to_query(const struct args *a, unsigned sets, struct target *t);
/* The request of a verb that changes mail, owned by the caller; NULL when an
 * argument is no UTF-8: what cannot be said must not be left out. */
json_t *args_to_order(const struct args *a);
/* Does it say which mail (filter, states, ids, --all)? */
bool args_choose(const struct args *a);
/* Is there a filter? */
bool args_choose_filter(const struct args *a);

#endif
