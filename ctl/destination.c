/* SPDX-License-Identifier: ISC */
/*
 * destination - the commands that speak of destinations: list, probe.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

static const struct column columns[] = {
	{ .title = "DESTINATION", .min = 12 },
	{ .title = "STATE" },
	{ .title = "SINCE", .align = COLUMN_RIGHT },
	{ .title = "MESSAGES", .align = COLUMN_RIGHT },
	{ .title = "CONNS", .align = COLUMN_RIGHT, .drop = 1 },
	{ .title = "PROBE", .align = COLUMN_RIGHT },
	{ .title = "CAUSE", .min = 12 },
};

struct listing {
	struct table *table;
	int64_t now_ms;
};

static bool destination_line(void *arg, const json_t *row, struct span text)
{
	struct listing *l = arg;
	char since[HUMAN_TEXT_MAX], probe[HUMAN_TEXT_MAX], messages[32];
	char connections[32];

	(void)text;
	human_ago(since, time_of(row, "since"), l->now_ms);
	human_in(probe, time_of(row, "next_probe"), l->now_ms);
	snprintf(messages, sizeof(messages), "%lld",
		 (long long)number_of(row, "messages"));
	snprintf(connections, sizeof(connections), "%lld",
		 (long long)number_of(row, "connections"));
	table_add(l->table,
		  (const char *[]){ text_of(row, "destination"),
				    text_of(row, "state"), since, messages,
				    connections, probe,
				    text_of(row, "cause") });
	table_note(l->table, "said", text_of(row, "reply"));
	table_note(l->table, "remedy", text_of(row, "remedy"));
	return !ferror(stdout);
}

static int list(struct context *x, const char *path, const json_t *body)
{
	struct listing l = { .now_ms = x->now_ms };
	struct sink sink = { .line = destination_line, .arg = &l };
	struct target t;
	struct answer a;
	int code;

	if (x->args.json)
		sink.line = print_json_line;
	l.table = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	target_init(&t, x->client, path);
	request_send(&t, body, &sink, &a);
	if (table_end(l.table) == 0 && a.outcome == OUTCOME_OK &&
	    !x->args.json && x->width > 0)
		puts("no destinations");
	code = report(&a);
	answer_release(&a);
	target_release(&t);
	return code;
}

int run_destination_list(struct context *x)
{
	return list(x, "/v1/destinations", NULL);
}

/* The probe goes on when this returns: the list tells its outcome. */
int run_destination_probe(struct context *x)
{
	json_t *body = json_pack("{s:s}", "destination", x->args.rest[0]);
	int code;

	if (!body) {
		complain("an argument is not UTF-8");
		return EXIT_USAGE;
	}
	code = list(x, "/v1/destinations/probe", body);
	json_decref(body);
	return code;
}
