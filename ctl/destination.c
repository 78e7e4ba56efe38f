/* SPDX-License-Identifier: ISC */
/*
 * destination - the commands that speak of destinations: list, probe,
 * suspend, resume.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

enum {
	PROBE_WAIT_MS = 60 * 1000,
	PROBE_LOOK_MS = 200,
};

static const struct column columns[] = {
	{.title = "DESTINATION", .min = 12},
	{.title = "STATE"},
	{.title = "SINCE", .align = COLUMN_RIGHT},
	{.title = "MESSAGES", .align = COLUMN_RIGHT},
	{.title = "CONNS", .align = COLUMN_RIGHT, .drop = 1},
	{.title = "PROBE", .align = COLUMN_RIGHT},
	{.title = "CAUSE", .min = 12},
};

void note_suspension(struct table *t, const json_t *row, int64_t now_ms)
{
	int64_t until_ms = time_of(row, "until");
	char until[HUMAN_TEXT_MAX], left[HUMAN_TEXT_MAX];
	char text[HUMAN_TEXT_MAX * 2 + 8];

	if (until_ms != 0) {
		human_clock(until, until_ms);
		human_in(left, until_ms, now_ms);
		snprintf(text, sizeof(text), "%s (%s)", until, left);
		table_note(t, "until", text);
	}
	table_note(t, "reason", text_of(row, "reason"));
}

static void add_row(struct table *t, const json_t *row, int64_t now_ms)
{
	char since[HUMAN_TEXT_MAX], probe[HUMAN_TEXT_MAX], messages[32];
	char connections[32];

	human_ago(since, time_of(row, "since"), now_ms);
	human_in(probe, time_of(row, "next_probe"), now_ms);
	snprintf(messages, sizeof(messages), "%lld",
		 (long long)number_of(row, "messages"));
	snprintf(connections, sizeof(connections), "%lld",
		 (long long)number_of(row, "connections"));
	table_add(t,
		  (const char *[]){text_of(row, "destination"),
				   text_of(row, "state"), since, messages,
				   connections, probe, text_of(row, "cause")});
	note_suspension(t, row, now_ms);
	table_note(t, "said", text_of(row, "reply"));
	if (strncmp(text_of(row, "crl"), "undetermined", 12) == 0)
		table_note(t, "crl", text_of(row, "crl"));
	table_note(t, "remedy", text_of(row, "remedy"));
}

/* ------- asking */

static bool keep_line(void *arg, const json_t *row, struct span text)
{
	(void)text;
	json_array_append(arg, (json_t *)row);
	return true;
}

/* Appends the rows of an answer to the list; the exit status. */
static int request_rows(struct context *x, const char *path, const json_t *body,
			json_t *rows)
{
	const struct sink sink = {.line = keep_line, .arg = rows};
	struct target t;
	struct answer a;
	int code;

	target_init(&t, x->client, path);
	request_send(&t, body, &sink, &a);
	code = report(&a);
	answer_release(&a);
	target_release(&t);
	return code;
}

static void print_rows(const struct context *x, const json_t *rows)
{
	struct table *t =
		table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row) {
		if (x->args.json)
			print_json(row);
		else
			add_row(t, row, x->now_ms);
	}
	if (table_end(t) == 0 && !x->args.json && x->width > 0)
		puts("no destinations");
}

int run_destination_list(struct context *x)
{
	json_t *rows = json_array();
	int code = request_rows(x, "/v1/destinations", NULL, rows);

	if (code == EXIT_DONE)
		print_rows(x, rows);
	json_decref(rows);
	return code;
}

/* ------- probe */

static const json_t *find_row(const json_t *rows, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (strcmp(text_of(row, "destination"), name) == 0)
			return row;
	return NULL;
}

/* It is up, or its next probe is another one than that we asked for. */
static bool is_over(const json_t *row, int64_t asked_ms)
{
	return strcmp(text_of(row, "state"), "failing") != 0 ||
	       time_of(row, "next_probe") > asked_ms + 1000;
}

/* Those of now that are probed, as they are now; *over: all have their
 * outcome. */
static json_t *outcomes(const json_t *probed, const json_t *now,
			int64_t asked_ms, bool *over)
{
	json_t *rows = json_array(), *row;
	size_t i;

	*over = true;
	json_array_foreach(probed, i, row) {
		const json_t *found =
			find_row(now, text_of(row, "destination"));

		if (!found)
			continue;
		*over &= is_over(found, asked_ms);
		json_array_append(rows, (json_t *)found);
	}
	return rows;
}

/* Looks again until all probes are over, or have taken too long. */
static int await(struct context *x, const json_t *probed)
{
	const int64_t asked_ms = x->now_ms;

	for (;;) {
		json_t *now = json_array(), *rows;
		int code = request_rows(x, "/v1/destinations", NULL, now);
		bool over;

		rows = outcomes(probed, now, asked_ms, &over);
		x->now_ms = clock_wall_ms();
		over |= code != EXIT_DONE ||
			x->now_ms - asked_ms > PROBE_WAIT_MS;
		if (over && code == EXIT_DONE)
			print_rows(x, rows);
		json_decref(rows);
		json_decref(now);
		if (over)
			return code;
		usleep(PROBE_LOOK_MS * 1000);
	}
}

/* Asks for something to be done with the destinations that are meant, and
 * appends them to rows; the exit status. */
static int request_order(struct context *x, const char *path, json_t *rows)
{
	json_t *body =
		json_pack("{s:s, s:s*, s:s*}", "destination", x->args.rest[0],
			  "for", x->args.values[OPTION_FOR], "reason",
			  x->args.values[OPTION_REASON]);
	int code;

	if (!body) {
		complain("an argument is not UTF-8");
		return EXIT_USAGE;
	}
	code = request_rows(x, path, body, rows);
	json_decref(body);
	return code;
}

int run_destination_probe(struct context *x)
{
	json_t *probed = json_array();
	int code = request_order(x, "/v1/destinations/probe", probed);

	if (code == EXIT_DONE)
		code = await(x, probed);
	json_decref(probed);
	return code;
}

/* ------- suspend, resume */

static int order(struct context *x, const char *path)
{
	json_t *rows = json_array();
	int code = request_order(x, path, rows);

	if (code == EXIT_DONE)
		print_rows(x, rows);
	json_decref(rows);
	return code;
}

int run_destination_suspend(struct context *x)
{
	return order(x, "/v1/destinations/suspend");
}

int run_destination_resume(struct context *x)
{
	return order(x, "/v1/destinations/resume");
}
