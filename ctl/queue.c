/* SPDX-License-Identifier: ISC */
/*
 * queue - the commands that list mail: queue list, queue summary.
 */
#include <stdio.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

/* ------- queue list */

static const struct column list_columns[] = {
	{.title = "ID"},
	{.title = "STATE"},
	{.title = "AGE", .align = COLUMN_RIGHT},
	{.title = "SIZE", .align = COLUMN_RIGHT, .drop = 2},
	{.title = "SENDER", .min = 9},
	{.title = "RECIPIENTS", .min = 9},
	{.title = "DESTINATION", .min = 8, .drop = 1},
	{.title = "TRIES", .align = COLUMN_RIGHT, .drop = 3},
	{.title = "NEXT", .align = COLUMN_RIGHT},
	{.title = "CAUSE", .min = 20},
};

struct listing {
	struct table *table;
	int64_t now_ms;
};

/* "a@b", "a@b +2" */
static void recipients_text(char *out, size_t size, const json_t *row)
{
	const json_t *list = json_object_get(row, "recipients");
	const char *first = json_string_value(json_array_get(list, 0));
	size_t n = json_array_size(list);

	if (n > 1)
		snprintf(out, size, "%s +%zu", first ? first : "", n - 1);
	else
		snprintf(out, size, "%s", first ? first : "");
}

/* "17s", "now": the column's title says the rest. */
static void next_text(char out[HUMAN_TEXT_MAX], int64_t wall_ms, int64_t now_ms)
{
	if (wall_ms == 0 || wall_ms <= now_ms)
		human_in(out, wall_ms, now_ms);
	else
		human_short(out, wall_ms - now_ms);
}

static bool list_line(void *arg, const json_t *row, struct span text)
{
	struct listing *l = arg;
	char age[HUMAN_TEXT_MAX], size[UNITS_TEXT_MAX], next[HUMAN_TEXT_MAX];
	char recipients[512], tries[16], cause[80];
	const char *sender = text_of(row, "sender");

	(void)text;
	human_short(age, number_of(row, "age_s") * 1000);
	size_human(size, (uint64_t)number_of(row, "size"));
	next_text(next, time_of(row, "next_attempt"), l->now_ms);
	recipients_text(recipients, sizeof(recipients), row);
	snprintf(tries, sizeof(tries), "%d", (int)number_of(row, "attempts"));
	snprintf(cause, sizeof(cause), "%s%s", text_of(row, "cause"),
		 json_is_true(json_object_get(row, "uncertain"))
			 ? " (uncertain)"
			 : "");
	table_add(l->table,
		  (const char *[]){text_of(row, "id"), text_of(row, "state"),
				   age, size, sender[0] ? sender : "<>",
				   recipients, text_of(row, "destination"),
				   tries, next, cause});
	return !ferror(stdout);
}

/* Sends a request for lines, to a table or as they are. */
static int request_lines(struct context *x, const struct target *t,
			 bool (*line)(void *, const json_t *, struct span),
			 void *arg)
{
	struct sink sink = {.line = line, .arg = arg};
	struct answer a;
	int code;

	if (x->args.json)
		sink.line = print_json_line;
	request_send(t, NULL, &sink, &a);
	code = report(&a);
	answer_release(&a);
	return code;
}

static int finish_table(const struct context *x, struct table *table, int code,
			const char *nothing)
{
	size_t rows = table_end(table);

	if (rows == 0 && code == EXIT_DONE && !x->args.json && x->width > 0)
		puts(nothing);
	return code;
}

int run_queue_list(struct context *x)
{
	struct listing l = {.now_ms = x->now_ms};
	struct target t;
	int code;

	l.table = table_new(stdout, list_columns, ARRAY_LEN(list_columns),
			    x->width);
	target_init(&t, x->client, "/v1/queue");
	args_to_query(&x->args, TAKES_FILTER | TAKES_LIST, &t);
	code = request_lines(x, &t, list_line, &l);
	target_release(&t);
	return finish_table(x, l.table, code, "no messages");
}

/* ------- queue summary */

static const struct column summary_columns[] = {
	{.title = "MESSAGES", .align = COLUMN_RIGHT},
	{.title = "RCPTS", .align = COLUMN_RIGHT},
	{.title = "SIZE", .align = COLUMN_RIGHT},
	{.title = "OLDEST", .align = COLUMN_RIGHT},
	{.title = "EXPIRES", .align = COLUMN_RIGHT},
	{.title = "STATE"},
	{.title = "CAUSE"},
	{.title = "OF", .min = 10},
};

/* What the group has in common besides state and cause. */
static void group_text(char *out, size_t size, const json_t *row)
{
	static const char *const keys[] = {"destination", "sender", "domain"};
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		const char *text = text_of(row, keys[i]);
		int n;

		if (json_object_get(row, keys[i]) == NULL)
			continue;
		if (text[0] == '\0' && i == 1)
			text = "<>";
		if (text[0] == '\0')
			continue;
		n = snprintf(out + used, size - used, "%s%s", used ? " " : "",
			     text);
		if (n < 0 || (size_t)n >= size - used)
			return;
		used += (size_t)n;
	}
}

static bool summary_line(void *arg, const json_t *row, struct span text)
{
	struct listing *l = arg;
	char messages[32], recipients[32], size[UNITS_TEXT_MAX];
	char oldest[HUMAN_TEXT_MAX] = "-", expiry[HUMAN_TEXT_MAX], of[1024];

	(void)text;
	snprintf(messages, sizeof(messages), "%lld",
		 (long long)number_of(row, "messages"));
	snprintf(recipients, sizeof(recipients), "%lld",
		 (long long)number_of(row, "recipients"));
	size_human(size, (uint64_t)number_of(row, "bytes"));
	if (json_is_integer(json_object_get(row, "oldest_s")))
		human_short(oldest, number_of(row, "oldest_s") * 1000);
	next_text(expiry, time_of(row, "next_expiry"), l->now_ms);
	group_text(of, sizeof(of), row);
	table_add(l->table, (const char *[]){messages, recipients, size, oldest,
					     expiry, text_of(row, "state"),
					     text_of(row, "cause"), of});
	if (text_of(row, "cause")[0])
		table_note(l->table, "said", text_of(row, "reply"));
	table_note(l->table, "remedy", text_of(row, "remedy"));
	return !ferror(stdout);
}

int run_queue_summary(struct context *x)
{
	struct listing l = {.now_ms = x->now_ms};
	struct target t;
	int code;

	l.table = table_new(stdout, summary_columns, ARRAY_LEN(summary_columns),
			    x->width);
	target_init(&t, x->client, "/v1/queue/summary");
	args_to_query(&x->args, TAKES_FILTER | TAKES_SUMMARY, &t);
	code = request_lines(x, &t, summary_line, &l);
	target_release(&t);
	return finish_table(x, l.table, code, "no messages");
}
