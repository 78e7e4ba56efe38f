/* SPDX-License-Identifier: ISC */
/*
 * order - what a verb that changes mail was told to do: to which recipients,
 * and what it says of those it leaves alone.
 *
 * Parsed from the JSON of a request:
 *	{"filter": {"cause": "tls", "older": "1h"}, "states": ["deferred"],
 *	 "ids": ["0QK..."], "all": false, "dry_run": false, "progress": false}
 * and, where the verb takes it, "bounce": true, "purge": true, "by": "2d".
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_ORDER_H
#define DAEMON_ORDER_H

#include <jansson.h>

#include "daemon/filter.h"

struct verb {
	const char *word;                /* "resubmit" */
	const char *event;               /* of the log line */
	enum change_kind change;
	enum event_kind  kind;
	/* Sets of states: where it can apply at all, where it does unless
	 * told, and where it does to a message that is named. */
	unsigned possible, usual, named;
	unsigned mentioned;              /* left alone, and worth a word */
};
extern const struct verb verb_resubmit, verb_hold, verb_release, verb_remove,
	verb_purge, verb_extend;

struct order {
	const struct verb *verb;
	struct filter filter;            /* without its states */
	unsigned states;                 /* asked for; 0: as usual */
	uint64_t *ids;                   /* owned, in order, each once */
	size_t    nids;
	bool all, dry_run, progress;
	bool bounce;                     /* of a removal: senders are told */
	int64_t by_ms;                   /* of an extension */
};

void order_init(struct order *o, const struct verb *verb);
void order_release(struct order *o);
/* ST_PERM: the text names what is wrong, or says that nothing was chosen. */
MUST_USE enum status order_parse(struct order *o, const json_t *request,
				 struct err *e);

enum choice { CHOICE_NO, CHOICE_SKIP, CHOICE_REMOVED, CHOICE_YES };
/* SKIP: left alone because of its state, which should be said; REMOVED: because
 * an operator removed it, and it was neither named nor asked for by cause. */
enum choice order_choose(const struct order *o, const struct recipient *r,
			 enum rcpt_state state);

#endif
