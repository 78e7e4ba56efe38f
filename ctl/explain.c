/* SPDX-License-Identifier: ISC */
/*
 * explain - the command that says what holds a message right now.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

enum { SENTENCE_MAX = 1024 };

static void print_more(const struct context *x, const char *label,
		       const char *text)
{
	char prefix[32];

	if (text[0] == '\0')
		return;
	snprintf(prefix, sizeof(prefix), "      %s: ", label);
	print_wrapped(stdout, prefix, x->width, text);
}

/* What each kind of hold means; %s is its destination. */
static const struct meaning {
	const char *hold, *text;
} meanings[] = {
	{"final", "nothing more will happen by itself"},
	{"held", "an operator holds it: relayctl release"},
	{"active", "it is being delivered to %s at this moment"},
	{"no-route", "no route matches the recipient's domain today"},
	{"moving", "routes have changed: it is about to move to another one"},
	{"hosts", "the name of its next hop is being looked up"},
	{"destination-suspended", "%s is suspended by an operator"},
	{"destination-failing", "%s is failing: it goes when a probe succeeds"},
	{"schedule", "its next try is not due yet"},
	{"pause", "%s asked to slow down"},
	{"connections", "%s has as many connections as it may have"},
	{"ramp", "%s came up a moment ago and is tried with little first"},
	{"turn", "nothing holds it: it goes to %s in a moment"},
};

static const char *meaning_of(const char *hold)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (strcmp(meanings[i].hold, hold) == 0)
			return meanings[i].text;
	return hold;
}

/* The meaning with the destination in it. */
static void sentence(char *out, size_t size, const json_t *hold)
{
	const char *text = meaning_of(text_of(hold, "hold"));
	const char *at = strstr(text, "%s");

	if (at)
		snprintf(out, size, "%.*s%s%s", (int)(at - text), text,
			 text_of(hold, "destination"), at + 2);
	else
		snprintf(out, size, "%s", text);
}

static void print_hold(const struct context *x, const json_t *hold)
{
	char text[SENTENCE_MAX], until[HUMAN_TEXT_MAX], left[HUMAN_TEXT_MAX];
	char when[2 * HUMAN_TEXT_MAX + 8];
	int64_t until_ms = time_of(hold, "until");
	int64_t limit = number_of(hold, "limit");

	sentence(text, sizeof(text), hold);
	print_wrapped(stdout, "   ", x->width, text);
	if (until_ms != 0) {
		human_clock(until, until_ms);
		human_in(left, until_ms, x->now_ms);
		snprintf(when, sizeof(when), "%s (%s)", until, left);
		print_more(x, "until", when);
	}
	if (limit > 0) {
		snprintf(text, sizeof(text), "%lld of %lld",
			 (long long)number_of(hold, "count"), (long long)limit);
		print_more(x, "now", text);
	}
	print_more(x, "cause", text_of(hold, "cause"));
	print_more(x, "said", text_of(hold, "reason"));
	print_more(x, "remedy", text_of(hold, "remedy"));
}

static bool explain_line(void *arg, const json_t *row, struct span line)
{
	const struct context *x = arg;
	const json_t *holds = json_object_get(row, "holds"), *hold;
	char since[HUMAN_TEXT_MAX], expires[HUMAN_TEXT_MAX];
	size_t i;

	(void)line;
	human_ago(since, time_of(row, "since"), x->now_ms);
	human_in(expires, time_of(row, "expires"), x->now_ms);
	print_text(stdout, text_of(row, "recipient"));
	printf(": %s since %s", text_of(row, "state"), since);
	if (time_of(row, "expires") != 0)
		printf(", expires %s%s", expires,
		       json_is_true(json_object_get(row, "clock_stands"))
			       ? " (the clock stands still)"
			       : "");
	putchar('\n');
	json_array_foreach(holds, i, hold)
		print_hold(x, hold);
	return !ferror(stdout);
}

int run_queue_explain(struct context *x)
{
	struct sink sink = {.line = explain_line, .arg = x};
	struct target t;
	struct answer a;
	int code;

	if (x->args.json)
		sink.line = print_json_line;
	target_init(&t, x->client, "/v1/queue");
	target_part(&t, x->args.rest[0]);
	target_part(&t, "explain");
	request_send(&t, NULL, &sink, &a);
	code = report(&a);
	answer_release(&a);
	target_release(&t);
	return code;
}
