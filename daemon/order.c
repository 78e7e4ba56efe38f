/* SPDX-License-Identifier: ISC */
/*
 * order - what a verb that changes mail was told to do: to which recipients,
 * and what it says of those it leaves alone.
 */
#include "daemon/order.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"

#define IN(state) (1u << (RCPT_##state))
#define IN_ACTIVE (1u << STATE_ACTIVE)
#define IN_WAITING (IN(QUEUED) | IN(DEFERRED))
#define IN_FINAL (IN(DELIVERED) | IN(EXPIRED) | IN(FAILED))

/* Who names a message wants it sent, held or failed as it may be; but only
 * who says `delivered` wants a second copy.  What is on its way right now
 * cannot be hurried. */
const struct verb verb_resubmit = {
	.word = "resubmit",
	.event = "resubmitted",
	.change = CHANGE_RESUBMIT,
	.kind = EVENT_RESUBMITTED,
	.possible = IN_WAITING | IN(HELD) | IN_FINAL,
	.usual = IN_WAITING,
	.named = IN_WAITING | IN(HELD) | IN(EXPIRED) | IN(FAILED),
	.mentioned = IN(HELD) | IN(EXPIRED) | IN(FAILED) | IN_ACTIVE,
};

/* What is active is held when its attempt does not deliver it. */
const struct verb verb_hold = {
	.word = "hold",
	.event = "held",
	.change = CHANGE_HOLD,
	.kind = EVENT_HELD,
	.possible = IN_WAITING | IN_ACTIVE,
	.usual = IN_WAITING | IN_ACTIVE,
	.named = IN_WAITING | IN_ACTIVE,
};

const struct verb verb_release = {
	.word = "release",
	.event = "released",
	.change = CHANGE_RELEASE,
	.kind = EVENT_RELEASED,
	.possible = IN(HELD),
	.usual = IN(HELD),
	.named = IN(HELD),
};

/* To where failed mail is; what is final is there, or needs no removing. */
const struct verb verb_remove = {
	.word = "remove",
	.event = "removed",
	.change = CHANGE_DISCARD,
	.kind = EVENT_REMOVED,
	.possible = IN_WAITING | IN(HELD) | IN_ACTIVE,
	.usual = IN_WAITING | IN(HELD) | IN_ACTIVE,
	.named = IN_WAITING | IN(HELD) | IN_ACTIVE,
	.mentioned = IN_FINAL,
};

const struct verb verb_extend = {
	.word = "extend",
	.event = "extended",
	.change = CHANGE_EXTEND,
	.kind = EVENT_EXTENDED,
	.possible = IN_WAITING | IN(HELD) | IN_ACTIVE,
	.usual = IN_WAITING | IN(HELD) | IN_ACTIVE,
	.named = IN_WAITING | IN(HELD) | IN_ACTIVE,
	.mentioned = IN(EXPIRED),
};

const struct verb verb_purge = {
	.word = "remove",
	.event = "purged",
	.change = CHANGE_REMOVE,
	.kind = EVENT_REMOVED,
	.possible = IN_WAITING | IN(HELD) | IN_FINAL | IN_ACTIVE,
	.usual = IN_WAITING | IN(HELD) | IN_FINAL | IN_ACTIVE,
	.named = IN_WAITING | IN(HELD) | IN_FINAL | IN_ACTIVE,
};

static const int64_t by_max_ms = INT64_C(3650) * 24 * 3600 * 1000;

void order_init(struct order *o, const struct verb *verb)
{
	*o = (struct order){.verb = verb};
	filter_init(&o->filter);
}

void order_release(struct order *o)
{
	filter_release(&o->filter);
	free(o->ids);
}

/* ------- parsing */

/* A filter's value as text: numbers are seconds or bytes. */
static bool value_text(const char *key, const json_t *value, char *out,
		       size_t size)
{
	bool duration = strcmp(key, "older") == 0 || strcmp(key, "newer") == 0;
	int n = -1;

	if (json_is_string(value))
		n = snprintf(out, size, "%s", json_string_value(value));
	else if (json_is_integer(value))
		n = snprintf(out, size, "%lld%s",
			     (long long)json_integer_value(value),
			     duration ? "s" : "");
	else if (json_is_boolean(value))
		n = snprintf(out, size, "%s",
			     json_is_true(value) ? "true" : "false");
	return n >= 0 && (size_t)n < size;
}

static enum status read_filter(struct order *o, const json_t *value,
			       struct err *e)
{
	json_t *part;
	const char *key;

	if (!json_is_object(value))
		return err_perm(e, 5, 4, "filter: wants an object");
	json_object_foreach((json_t *)value, key, part) {
		char text[1024];
		enum status st;

		if (!value_text(key, part, text, sizeof(text)))
			return err_perm(e, 5, 4, "%.60s: wants a short text",
					key);
		st = filter_set(&o->filter, key, text, e);
		if (st != ST_OK)
			return st;
	}
	return ST_OK;
}

static enum status read_states(struct order *o, const json_t *value,
			       struct err *e)
{
	const json_t *word;
	size_t i;

	if (!json_is_array(value))
		return err_perm(e, 5, 4, "states: wants a list");
	json_array_foreach(value, i, word) {
		unsigned bits;

		if (!json_is_string(word) ||
		    !states_parse(json_string_value(word), &bits))
			return err_perm(e, 5, 4, "states: unknown state");
		o->states |= bits;
	}
	return ST_OK;
}

static int id_cmp(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x == *y ? 0 : *x < *y ? -1 : 1;
}

static enum status read_ids(struct order *o, const json_t *value, struct err *e)
{
	const json_t *text;
	size_t i, n = 0;

	if (!json_is_array(value))
		return err_perm(e, 5, 4, "ids: wants a list");
	free(o->ids);
	o->ids = xcalloc(json_array_size(value) + 1, sizeof(*o->ids));
	json_array_foreach(value, i, text) {
		if (!json_is_string(text) ||
		    !msg_id_parse(json_string_value(text), &o->ids[n]))
			return err_perm(e, 5, 4, "\"%.60s\" is no message id",
					json_is_string(text)
						? json_string_value(text)
						: "");
		n++;
	}
	qsort(o->ids, n, sizeof(*o->ids), id_cmp);
	for (i = 0; i < n; i++)
		if (i == 0 || o->ids[i] != o->ids[i - 1])
			o->ids[o->nids++] = o->ids[i];
	return ST_OK;
}

static enum status read_flag(bool *flag, const char *key, const json_t *value,
			     struct err *e)
{
	if (!json_is_boolean(value))
		return err_perm(e, 5, 4, "%s: wants true or false", key);
	*flag = json_is_true(value);
	return ST_OK;
}

static bool is_removal(const struct order *o)
{
	return o->verb == &verb_remove || o->verb == &verb_purge;
}

static enum status read_bounce(struct order *o, const json_t *value,
			       struct err *e)
{
	enum status st = read_flag(&o->bounce, "bounce", value, e);

	if (st == ST_OK && o->bounce && !is_removal(o))
		st = err_perm(e, 5, 4, "bounce: only for what is removed");
	return st;
}

static enum status read_purge(struct order *o, const json_t *value,
			      struct err *e)
{
	bool purge = false;
	enum status st = read_flag(&purge, "purge", value, e);

	if (st != ST_OK)
		return st;
	if (!is_removal(o))
		return err_perm(e, 5, 4, "purge: only for what is removed");
	o->verb = purge ? &verb_purge : &verb_remove;
	return ST_OK;
}

static enum status read_by(struct order *o, const json_t *value, struct err *e)
{
	const char *text = json_string_value(value);

	if (o->verb != &verb_extend)
		return err_perm(e, 5, 4, "by: only for what is extended");
	if (!text || !duration_parse(text, &o->by_ms) || o->by_ms == 0 ||
	    o->by_ms > by_max_ms)
		return err_perm(e, 5, 4,
				"by \"%.40s\": wants a duration such as 12h, "
				"2d",
				text ? text : "");
	return ST_OK;
}

static enum status read_member(struct order *o, const char *key,
			       const json_t *value, struct err *e)
{
	if (strcmp(key, "filter") == 0)
		return read_filter(o, value, e);
	if (strcmp(key, "states") == 0)
		return read_states(o, value, e);
	if (strcmp(key, "ids") == 0)
		return read_ids(o, value, e);
	if (strcmp(key, "all") == 0)
		return read_flag(&o->all, key, value, e);
	if (strcmp(key, "dry_run") == 0)
		return read_flag(&o->dry_run, key, value, e);
	if (strcmp(key, "progress") == 0)
		return read_flag(&o->progress, key, value, e);
	if (strcmp(key, "bounce") == 0)
		return read_bounce(o, value, e);
	if (strcmp(key, "purge") == 0)
		return read_purge(o, value, e);
	if (strcmp(key, "by") == 0)
		return read_by(o, value, e);
	return err_perm(e, 5, 4, "unknown key \"%.60s\"", key);
}

/* `states` and the filter's `state` are both asked for. */
static enum status join_states(struct order *o, struct err *e)
{
	unsigned both = o->states & o->filter.states;

	if (o->states != 0 && o->filter.states != 0 && both == 0)
		return err_perm(e, 5, 4,
				"state: the filter and the verb name "
				"different states");
	o->states = both ? both : o->states | o->filter.states;
	o->filter.states = 0;
	return ST_OK;
}

enum status order_parse(struct order *o, const json_t *request, struct err *e)
{
	json_t *value;
	const char *key;

	json_object_foreach((json_t *)request, key, value) {
		enum status st = read_member(o, key, value, e);

		if (st != ST_OK)
			return st;
	}
	if (!o->filter.given && o->states == 0 && o->nids == 0 && !o->all)
		return err_perm(e, 5, 4, "give a filter, ids, or all");
	if (o->verb == &verb_extend && o->by_ms == 0)
		return err_perm(e, 5, 4, "by: say by how much");
	return join_states(o, e);
}

/* ------- choosing */

/* Mail that was removed does not come back with what failed otherwise. */
static bool is_buried(const struct order *o, const struct recipient *r)
{
	return o->verb == &verb_resubmit && recipient_is_discarded(r) &&
	       o->nids == 0 && o->filter.cause == NULL;
}

enum choice order_choose(const struct order *o, const struct recipient *r,
			 enum rcpt_state state)
{
	const struct verb *v = o->verb;
	bool named = o->nids > 0;
	unsigned wanted = o->states;
	unsigned bit = state_bit(state);

	if (!filter_has_recipient(&o->filter, r, state))
		return CHOICE_NO;
	if (wanted == 0)
		wanted = named ? v->named : v->usual;
	if ((wanted & v->possible & bit) != 0)
		return is_buried(o, r) ? CHOICE_REMOVED : CHOICE_YES;
	/* Of states that were not asked for nothing needs to be said, unless
	 * the message was named. */
	if (named || (o->states & bit) != 0)
		return CHOICE_SKIP;
	return o->states == 0 && (v->mentioned & bit) != 0 ? CHOICE_SKIP
							   : CHOICE_NO;
}
