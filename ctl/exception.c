/* SPDX-License-Identifier: ISC */
/*
 * exception - the commands that speak of TLS exceptions: add, list, remove.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

static const struct column columns[] = {
	{.title = "EXCEPTION", .min = 12},
	{.title = "ALLOWS"},
	{.title = "ENDS", .align = COLUMN_RIGHT},
	{.title = "BY"},
};

static void join(char *out, size_t max, const json_t *list)
{
	const json_t *word;
	size_t i, len = 0;

	out[0] = '\0';
	json_array_foreach(list, i, word) {
		const char *text = json_string_value(word);

		if (!text || len + strlen(text) + 2 > max)
			return;
		len += (size_t)snprintf(out + len, max - len, "%s%s",
					i > 0 ? "," : "", text);
	}
}

static void add_row(const struct context *x, struct table *t, const json_t *row)
{
	char allow[80], ends[HUMAN_TEXT_MAX];

	join(allow, sizeof(allow), json_object_get(row, "allow"));
	human_in(ends, time_of(row, "until"), x->now_ms);
	table_add(t, (const char *[]){text_of(row, "destination"), allow, ends,
				      text_of(row, "actor")});
	table_note(t, "key", text_of(row, "pin"));
	table_note(t, "reason", text_of(row, "reason"));
}

void print_exceptions(const struct context *x, const json_t *list)
{
	const json_t *row;
	struct table *t;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	t = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	json_array_foreach(list, i, row)
		add_row(x, t, row);
	table_end(t);
}

/* ------- list */

struct listing {
	const struct context *x;
	struct table *table;
};

static bool list_row(void *arg, const json_t *row, struct span text)
{
	const struct listing *l = arg;

	(void)text;
	add_row(l->x, l->table, row);
	return true;
}

int run_exception_list(struct context *x)
{
	struct listing l = {.x = x};
	struct sink sink = {.line = list_row, .arg = &l};
	struct target t;
	struct answer a;
	int code;

	l.table = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	if (x->args.json)
		sink.line = print_json_line;
	target_init(&t, x->client, "/v1/exceptions");
	request_send(&t, NULL, &sink, &a);
	if (table_end(l.table) == 0 && !x->args.json && x->width > 0 &&
	    a.outcome == OUTCOME_OK)
		puts("no exceptions");
	code = report(&a);
	answer_release(&a);
	target_release(&t);
	return code;
}

/* ------- changes */

/* Prints "added" or "removed" with what it is; body is NULL when an argument
 * is no UTF-8, and stolen. */
static int change(struct context *x, const char *path, json_t *body,
		  const char *done)
{
	struct target t;
	struct answer a;
	int code;

	if (!body) {
		complain("an argument is not UTF-8");
		return EXIT_USAGE;
	}
	target_init(&t, x->client, path);
	request_send(&t, body, NULL, &a);
	code = report(&a);
	if (code == EXIT_DONE && x->args.json) {
		print_json(a.object);
	} else if (code == EXIT_DONE) {
		char allow[80], ends[HUMAN_TEXT_MAX];

		join(allow, sizeof(allow), json_object_get(a.object, "allow"));
		human_in(ends, time_of(a.object, "until"), x->now_ms);
		printf("%s exception: ", done);
		print_text(stdout, text_of(a.object, "destination"));
		printf(", %s, ends %s\n", allow, ends);
	}
	answer_release(&a);
	target_release(&t);
	json_decref(body);
	return code;
}

static json_t *words_of(const char *list)
{
	json_t *words = json_array();

	while (*list != '\0') {
		size_t len = strcspn(list, ",");

		json_array_append_new(words, json_stringn(list, len));
		list += len;
		list += *list == ',';
	}
	return words;
}

static bool is_complete(const struct args *a)
{
	static const struct {
		enum option_id id;
		const char *name;
	} wanted[] = {
		{OPTION_DESTINATION, "--destination"},
		{OPTION_ALLOW, "--allow"},
		{OPTION_UNTIL, "--until"},
		{OPTION_REASON, "--reason"},
	};

	for (size_t i = 0; i < ARRAY_LEN(wanted); i++) {
		if (a->values[wanted[i].id])
			continue;
		complain("exception add: %s is missing", wanted[i].name);
		return false;
	}
	return true;
}

int run_exception_add(struct context *x)
{
	const struct args *a = &x->args;
	json_t *body;

	if (!is_complete(a))
		return EXIT_USAGE;
	body = json_pack("{s:s, s:o, s:s, s:s, s:s*}", "destination",
			 a->values[OPTION_DESTINATION], "allow",
			 words_of(a->values[OPTION_ALLOW]), "until",
			 a->values[OPTION_UNTIL], "reason",
			 a->values[OPTION_REASON], "pin",
			 a->values[OPTION_PIN]);
	return change(x, "/v1/exceptions", body, "added");
}

int run_exception_remove(struct context *x)
{
	const struct args *a = &x->args;
	const char *name = a->values[OPTION_DESTINATION];

	if ((name != NULL) == (a->nrest == 1)) {
		complain("exception remove: wants one destination");
		return EXIT_USAGE;
	}
	return change(
		x, "/v1/exceptions/remove",
		json_pack("{s:s}", "destination", name ? name : a->rest[0]),
		"removed");
}
