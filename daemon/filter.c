/* SPDX-License-Identifier: ISC */
/*
 * filter - which mail a list or a verb speaks of: FILTER of relayctl(8).
 */
#include "daemon/filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <strings.h>

#include "base/units.h"

enum { PATTERN_MAX = 512 };

const char *shown_state_word(enum rcpt_state s)
{
	return s == STATE_ACTIVE ? "active" : rcpt_state_word(s);
}

void filter_init(struct filter *f)
{
	*f = (struct filter){.older_ms = -1, .newer_ms = -1};
}

void filter_release(struct filter *f)
{
	free(f->cause);
	free(f->destination);
	free(f->route);
	free(f->sender);
	free(f->recipient);
	free(f->message_id);
	filter_init(f);
}

/* ------- parsing */

static bool state_parse(struct span word, unsigned *bits)
{
	for (int s = 0; s < SHOWN_STATES; s++) {
		const char *known = shown_state_word((enum rcpt_state)s);

		if (span_eq(word, span_of(known))) {
			*bits |= state_bit((enum rcpt_state)s);
			return true;
		}
	}
	return false;
}

bool states_parse(const char *list, unsigned *out)
{
	unsigned bits = 0;

	for (;;) {
		size_t len = strcspn(list, ",");
		struct span word = {list, len};

		if (!state_parse(span_trim(word), &bits))
			return false;
		if (list[len] == '\0')
			break;
		list += len + 1;
	}
	*out = bits;
	return true;
}

static bool set_state(struct filter *f, const char *value)
{
	unsigned bits;

	if (!states_parse(value, &bits))
		return false;
	f->states |= bits;
	return true;
}

static bool set_cause(struct filter *f, const char *value)
{
	if (!cause_word_known(value))
		return false;
	free(f->cause);
	f->cause = xstrdup(value);
	return true;
}

/* An empty pattern is more likely an unset variable in a script than a wish;
 * the null sender is written "<>". */
static bool set_pattern(char **out, const char *value)
{
	if (value[0] == '\0' || strlen(value) > PATTERN_MAX)
		return false;
	free(*out);
	*out = xstrdup(value);
	return true;
}

static bool set_destination(struct filter *f, const char *value)
{
	return set_pattern(&f->destination, value);
}

static bool set_route(struct filter *f, const char *value)
{
	return set_pattern(&f->route, value);
}

static bool set_sender(struct filter *f, const char *value)
{
	return set_pattern(&f->sender, value);
}

static bool set_recipient(struct filter *f, const char *value)
{
	return set_pattern(&f->recipient, value);
}

/* The queue keeps Message-IDs without their brackets. */
static bool set_message_id(struct filter *f, const char *value)
{
	struct span s = span_of(value);
	char *bare;
	bool fine;

	if (s.len >= 2 && s.at[0] == '<' && s.at[s.len - 1] == '>')
		s = (struct span){s.at + 1, s.len - 2};
	bare = span_dup(s);
	fine = set_pattern(&f->message_id, bare);
	free(bare);
	return fine;
}

static bool set_older(struct filter *f, const char *value)
{
	return duration_parse(value, &f->older_ms);
}

static bool set_newer(struct filter *f, const char *value)
{
	return duration_parse(value, &f->newer_ms);
}

static bool set_larger(struct filter *f, const char *value)
{
	return size_parse(value, &f->larger_bytes);
}

static bool set_uncertain(struct filter *f, const char *value)
{
	f->uncertain = strcmp(value, "true") == 0;
	return f->uncertain || strcmp(value, "false") == 0;
}

static const struct part {
	const char *key;
	bool (*set)(struct filter *f, const char *value);
	const char *wants;
} parts[] = {
	{"state", set_state,
	 "queued, active, deferred, held, delivered, expired or failed"},
	{"cause", set_cause, "a cause or a group of causes"},
	{"destination", set_destination, "a pattern, not empty"},
	{"route", set_route, "a pattern, not empty"},
	{"sender", set_sender, "a pattern, not empty (<> is the null sender)"},
	{"recipient", set_recipient, "a pattern, not empty"},
	{"message_id", set_message_id, "a Message-ID or pattern, not empty"},
	{"older", set_older, "a duration such as 30m, 4h, 2d"},
	{"newer", set_newer, "a duration such as 30m, 4h, 2d"},
	{"larger", set_larger, "a size such as 64K, 10M"},
	{"uncertain", set_uncertain, "true or false"},
};

enum status filter_set(struct filter *f, const char *key, const char *value,
		       struct err *e)
{
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		if (strcmp(parts[i].key, key) != 0)
			continue;
		if (!parts[i].set(f, value))
			return err_perm(e, 5, 4, "%s \"%.60s\": wants %s", key,
					value, parts[i].wants);
		f->given = true;
		return ST_OK;
	}
	return err_perm(e, 5, 4, "unknown filter \"%.60s\"", key);
}

/* ------- matching */

static bool matches(const char *pattern, const char *text)
{
	return pattern == NULL || strcasecmp(pattern, text) == 0 ||
	       fnmatch(pattern, text, FNM_CASEFOLD) == 0;
}

static bool sender_matches(const char *pattern, const char *sender)
{
	if (pattern != NULL && strcmp(pattern, "<>") == 0)
		return sender[0] == '\0';
	return matches(pattern, sender);
}

bool filter_has_message(const struct filter *f, const struct message *m,
			int64_t now_ms)
{
	int64_t age_ms = now_ms - m->received_ms;

	return (f->older_ms < 0 || age_ms > f->older_ms) &&
	       (f->newer_ms < 0 || age_ms < f->newer_ms) &&
	       (f->larger_bytes == 0 || m->bytes > f->larger_bytes) &&
	       sender_matches(f->sender, m->sender) &&
	       matches(f->message_id, m->message_id);
}

bool filter_has_recipient(const struct filter *f, const struct recipient *r,
			  enum rcpt_state state)
{
	return (f->states == 0 || (f->states & state_bit(state)) != 0) &&
	       (!f->uncertain || r->uncertain) &&
	       (f->cause == NULL || cause_matches(r->cause, f->cause)) &&
	       matches(f->destination, r->destination) &&
	       matches(f->route, r->lane) && matches(f->recipient, r->address);
}
