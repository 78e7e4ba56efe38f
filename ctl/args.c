/* SPDX-License-Identifier: ISC */
/*
 * args - the arguments of a command: options, ids, and the filter they make.
 */
#include "ctl/args.h"

#include <getopt.h>
#include <stdio.h>

/* Behind those of getopt's short options. */
enum { LONG_FIRST = 1000, LONG_JSON = 2000, LONG_HELP };

static const struct option_def {
	unsigned set;
	const char *name;
	const char *key; /* in a query or a filter's JSON */
	const char *arg; /* NULL: a flag */
	const char *help;
} defs[] = {
	[OPTION_STATE] = {TAKES_FILTER, "state", "state", "S",
			  "queued, active, deferred, held, delivered, "
			  "expired, failed; or several: a,b"},
	[OPTION_CAUSE] = {TAKES_FILTER, "cause", "cause", "C",
			  "a cause, or a group: tls dns net peer auth mail "
			  "self ops"},
	[OPTION_DESTINATION] = {TAKES_FILTER | TAKES_DESTINATION, "destination",
				"destination", "PATTERN", "route/host:port"},
	[OPTION_ROUTE] = {TAKES_FILTER | TAKES_ROUTE, "route", "route",
			  "PATTERN", "the route's name"},
	[OPTION_SENDER] = {TAKES_FILTER, "sender", "sender", "PATTERN",
			   "envelope sender; <> is the null sender"},
	[OPTION_RECIPIENT] = {TAKES_FILTER, "recipient", "recipient", "PATTERN",
			      "envelope recipient"},
	[OPTION_MESSAGE_ID] = {TAKES_FILTER, "message-id", "message_id", "M",
			       "the Message-ID header field"},
	[OPTION_OLDER] = {TAKES_FILTER, "older", "older", "T",
			  "received longer ago than 30m, 4h, 2d"},
	[OPTION_NEWER] = {TAKES_FILTER, "newer", "newer", "T",
			  "received less long ago"},
	[OPTION_LARGER] = {TAKES_FILTER, "larger", "larger", "N",
			   "larger than 64K, 10M"},
	[OPTION_UNCERTAIN] = {TAKES_FILTER, "uncertain", "uncertain", NULL,
			      "an attempt broke off after the final dot"},
	[OPTION_SORT] = {TAKES_LIST, "sort", "sort", "F",
			 "received, age, size, attempts, next_attempt, "
			 "expires, sender, destination, cause, state; -F "
			 "turns it round"},
	[OPTION_LIMIT] = {TAKES_LIST | TAKES_LIMIT, "limit", "limit", "N",
			  "at most so many"},
	[OPTION_BY] = {TAKES_SUMMARY, "by", "by", "F,...",
		       "destination, cause, sender, domain"},
	[OPTION_RAW] = {TAKES_SHOW, "raw", "raw", NULL,
			"the message as it was received"},
	[OPTION_BODY] = {TAKES_SHOW, "body", "body", NULL,
			 "what follows its headers"},
	[OPTION_DEFERRED] = {TAKES_STATES, "deferred", "deferred", NULL,
			     "deferred mail"},
	[OPTION_HELD] = {TAKES_STATES, "held", "held", NULL, "held mail"},
	[OPTION_EXPIRED] = {TAKES_STATES, "expired", "expired", NULL,
			    "expired mail, with a fresh lifetime"},
	[OPTION_FAILED] = {TAKES_STATES, "failed", "failed", NULL,
			   "failed mail, with a fresh lifetime"},
	[OPTION_DELIVERED] = {TAKES_STATES, "delivered", "delivered", NULL,
			      "delivered mail, a second time"},
	[OPTION_ALL] = {TAKES_CHANGE, "all", "all", NULL,
			"without a filter or ids: all mail"},
	[OPTION_DRY_RUN] = {TAKES_CHANGE | TAKES_IMPORT, "dry-run", "dry_run",
			    NULL, "only say what would be done"},
	[OPTION_YES] = {TAKES_CHANGE, "yes", "yes", NULL, "do not ask"},
	[OPTION_BOUNCE] = {TAKES_BOUNCE, "bounce", "bounce", NULL,
			   "tell the sender"},
	[OPTION_PURGE] = {TAKES_BOUNCE, "purge", "purge", NULL,
			  "for good: it can't be resubmitted"},
	[OPTION_BY_TIME] = {TAKES_EXTEND, "by", "by", "T",
			    "so much later: 12h, 2d"},
	[OPTION_AGAIN] = {TAKES_IMPORT, "again", "again", NULL,
			  "also what is or was here: a second copy"},
	[OPTION_AGAINST_QUEUE] = {TAKES_CHECK, "against-queue", "against_queue",
				  NULL, "what it means for queued mail"},
	[OPTION_FOR] = {TAKES_FOR, "for", "for", "T",
			"it ends by itself after 30m, 4h, 2d"},
	[OPTION_REASON] = {TAKES_REASON, "reason", "reason", "R",
			   "shown wherever it is in the way"},
	[OPTION_ALLOW] = {TAKES_EXCEPTION, "allow", "allow", "F,...",
			  "expired, name, untrusted, crl, clear"},
	[OPTION_PIN] = {TAKES_EXCEPTION, "pin", "pin", "SHA256",
			"only for the certificate with this key"},
	[OPTION_UNTIL] = {TAKES_EXCEPTION, "until", "until", "T",
			  "it ends by itself after 30m, 24h, 7d; 30d at the "
			  "most"},
	[OPTION_TRANSCRIPT] = {TAKES_TRACE, "transcript", "transcript", NULL,
			       "what was said in the last failed attempt"},
};
_Static_assert(ARRAY_LEN(defs) == OPTION_COUNT, "an option has no definition");

void args_print_options(unsigned sets)
{
	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const struct option_def *d = &defs[i];
		char left[64];

		if ((d->set & sets) == 0)
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", d->name,
			 d->arg ? " " : "", d->arg ? d->arg : "");
		printf("  %-22s %s\n", left, d->help);
	}
}

/* ------- parsing */

static size_t long_options(struct option *out, unsigned sets)
{
	size_t n = 0;

	for (int i = 0; i < OPTION_COUNT; i++)
		if ((defs[i].set & sets) != 0)
			out[n++] = (struct option){
				.name = defs[i].name,
				.has_arg = defs[i].arg ? required_argument
						       : no_argument,
				.val = LONG_FIRST + i,
			};
	out[n++] = (struct option){.name = "json", .val = LONG_JSON};
	out[n++] = (struct option){.name = "help", .val = LONG_HELP};
	out[n] = (struct option){0};
	return n;
}

/* A second one would silently replace the first: with verbs that change
 * mail, better not. */
static bool take(struct args *a, int id, const char *value)
{
	if (a->values[id]) {
		fprintf(stderr, "relayctl: --%s is given twice\n",
			defs[id].name);
		return false;
	}
	a->values[id] = value ? value : "true";
	return true;
}

bool args_parse(struct args *a, unsigned sets, int argc, char **argv)
{
	struct option options[OPTION_COUNT + 3];
	int val;

	long_options(options, sets);
	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while ((val = getopt_long(argc, argv, ":s:h", options, NULL)) != -1) {
		if (val == LONG_JSON) {
			a->json = true;
		} else if (val == LONG_HELP || val == 'h') {
			a->help = true;
		} else if (val == 's') {
			a->socket = optarg;
		} else if (val == ':') {
			fprintf(stderr, "relayctl: %s wants an argument\n",
				argv[optind - 1]);
			return false;
		} else if (val == '?') {
			fprintf(stderr, "relayctl: unknown option %s\n",
				argv[optind - 1]);
			return false;
		} else if (!take(a, val - LONG_FIRST, optarg)) {
			return false;
		}
	}
	a->rest = argv + optind;
	a->nrest = (size_t)(argc - optind);
	return true;
}

/* ------- what is sent */

void args_to_query(const struct args *a, unsigned sets, struct target *t)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if ((defs[i].set & sets) != 0 && a->values[i])
			target_query(t, defs[i].key, a->values[i]);
}

static bool any_given(const struct args *a, unsigned sets)
{
	for (int i = 0; i < OPTION_COUNT; i++)
		if ((defs[i].set & sets) != 0 && a->values[i])
			return true;
	return false;
}

bool args_choose(const struct args *a)
{
	return a->nrest > 0 || a->values[OPTION_ALL] ||
	       any_given(a, TAKES_FILTER | TAKES_STATES);
}

bool args_choose_filter(const struct args *a)
{
	return any_given(a, TAKES_FILTER);
}

static bool add_options(const struct args *a, json_t *filter, json_t *states)
{
	for (int i = 0; i < OPTION_COUNT; i++) {
		if (!a->values[i])
			continue;
		if ((defs[i].set & TAKES_FILTER) &&
		    json_object_set_new(filter, defs[i].key,
					json_string(a->values[i])) != 0)
			return false;
		if (defs[i].set == TAKES_STATES)
			json_array_append_new(states, json_string(defs[i].key));
	}
	return true;
}

static bool add_ids(const struct args *a, json_t *ids)
{
	for (size_t i = 0; i < a->nrest; i++)
		if (json_array_append_new(ids, json_string(a->rest[i])) != 0)
			return false;
	return true;
}

json_t *args_to_order(const struct args *a)
{
	json_t *order = json_object();
	json_t *filter = json_object(), *states = json_array();
	json_t *ids = json_array();

	bool fine = add_options(a, filter, states) && add_ids(a, ids);

	/* What was not said stays out: the daemon logs the order. */
	if (json_object_size(filter) > 0)
		json_object_set(order, "filter", filter);
	if (json_array_size(states) > 0)
		json_object_set(order, "states", states);
	if (json_array_size(ids) > 0)
		json_object_set(order, "ids", ids);
	if (a->values[OPTION_ALL])
		json_object_set_new(order, "all", json_true());
	if (a->values[OPTION_BOUNCE])
		json_object_set_new(order, "bounce", json_true());
	if (a->values[OPTION_PURGE])
		json_object_set_new(order, "purge", json_true());
	if (a->values[OPTION_BY_TIME] &&
	    json_object_set_new(order, "by",
				json_string(a->values[OPTION_BY_TIME])) != 0)
		fine = false;
	json_decref(filter);
	json_decref(states);
	json_decref(ids);
	if (fine)
		return order;
	json_decref(order);
	return NULL;
}
