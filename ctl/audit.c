/* SPDX-License-Identifier: ISC */
/*
 * audit - the command that shows who changed what.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

enum { REQUEST_TEXT_MAX = 2048, IDS_SHOWN = 3 };

static const struct column columns[] = {
	{.title = "TIME"},
	{.title = "WHO"},
	{.title = "VERB"},
	{.title = "CHANGED", .min = 8},
	{.title = "REQUEST", .min = 10},
};

/* A text under construction; what does not fit is left out. */
struct text {
	char at[REQUEST_TEXT_MAX];
	size_t len;
};

static void say(struct text *t, const char *before, const char *word)
{
	int n = snprintf(t->at + t->len, sizeof(t->at) - t->len, "%s%s%s",
			 t->len ? " " : "", before, word);

	if (n > 0 && (size_t)n < sizeof(t->at) - t->len)
		t->len += (size_t)n;
	else
		t->at[t->len] = '\0';
}

/* "--cause tls --older 1h", as it would be typed. */
static void say_options(struct text *t, const json_t *o)
{
	json_t *value;
	const char *key;

	json_object_foreach((json_t *)o, key, value) {
		char *option = xasprintf("--%s ", key);

		for (char *at = option; *at; at++)
			if (*at == '_')
				*at = '-';
		say(t, option, json_string_value(value));
		free(option);
	}
}

static void say_list(struct text *t, const json_t *list, const char *before,
		     size_t max)
{
	char more[HUMAN_TEXT_MAX];
	size_t n = json_array_size(list);

	for (size_t i = 0; i < n && i < max; i++)
		say(t, before, json_string_value(json_array_get(list, i)));
	if (n <= max)
		return;
	snprintf(more, sizeof(more), "+%zu", n - max);
	say(t, "", more);
}

static void request_text(struct text *t, const json_t *request)
{
	json_t *value;
	const char *key;

	t->at[0] = '\0';
	t->len = 0;
	json_object_foreach((json_t *)request, key, value) {
		if (strcmp(key, "filter") == 0)
			say_options(t, value);
		else if (strcmp(key, "states") == 0)
			say_list(t, value, "--", SIZE_MAX);
		else if (strcmp(key, "ids") == 0)
			say_list(t, value, "", IDS_SHOWN);
		else if (json_is_true(value))
			say(t, "--", key);
		else if (json_is_string(value))
			say(t, "", json_string_value(value));
	}
}

/* What it came to. */
static void outcome_text(char *out, size_t size, const json_t *entry)
{
	const json_t *names = json_object_get(entry, "destinations");
	char recipients[HUMAN_TEXT_MAX], messages[HUMAN_TEXT_MAX];
	bool broken = json_is_false(json_object_get(entry, "complete"));

	out[0] = '\0';
	if (json_object_get(entry, "recipients")) {
		human_count(recipients, number_of(entry, "recipients"),
			    "recipient");
		human_count(messages, number_of(entry, "messages"), "message");
		snprintf(out, size, "%s in %s%s", recipients, messages,
			 broken ? ", broken off" : "");
	} else if (names) {
		human_count(messages, (int64_t)json_array_size(names),
			    "destination");
		snprintf(out, size, "%s", messages);
	} else if (json_is_false(json_object_get(entry, "reloaded"))) {
		snprintf(out, size, "refused");
	}
}

struct listing {
	struct table *table;
};

static bool audit_line(void *arg, const json_t *entry, struct span line)
{
	struct listing *l = arg;
	char time[HUMAN_TEXT_MAX], who[80], outcome[2 * HUMAN_TEXT_MAX + 32];
	struct text request;

	(void)line;
	human_clock(time, time_of(entry, "time"));
	if (text_of(entry, "user")[0])
		snprintf(who, sizeof(who), "%s", text_of(entry, "user"));
	else
		snprintf(who, sizeof(who), "uid %lld",
			 (long long)number_of(entry, "uid"));
	outcome_text(outcome, sizeof(outcome), entry);
	request_text(&request, json_object_get(entry, "request"));
	table_add(l->table, (const char *[]){time, who, text_of(entry, "verb"),
					     outcome, request.at});
	table_note(l->table, "error", text_of(entry, "error"));
	return !ferror(stdout);
}

int run_audit(struct context *x)
{
	struct listing l;
	struct sink sink = {.line = audit_line, .arg = &l};
	struct target t;
	struct answer a;
	size_t rows;
	int code;

	l.table = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	if (x->args.json)
		sink.line = print_json_line;
	target_init(&t, x->client, "/v1/audit");
	args_to_query(&x->args, TAKES_LIMIT, &t);
	request_send(&t, NULL, &sink, &a);
	rows = table_end(l.table);
	code = report(&a);
	if (rows == 0 && code == EXIT_DONE && !x->args.json && x->width > 0)
		puts("nothing was changed yet");
	answer_release(&a);
	target_release(&t);
	return code;
}
