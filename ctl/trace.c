/* SPDX-License-Identifier: ISC */
/*
 * trace - the command that tells a message's history.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

enum { YEAR_LEN = sizeof("2026-") - 1 };

static const struct column columns[] = {
	{.title = "TIME"},
	{.title = "EVENT"},
	{.title = "TOOK", .align = COLUMN_RIGHT, .drop = 3},
	{.title = "SENT", .align = COLUMN_RIGHT, .drop = 4},
	{.title = "RECIPIENT", .min = 12},
	{.title = "DESTINATION", .min = 16, .drop = 2},
	{.title = "TLS"},
	{.title = "STATUS", .drop = 1},
	{.title = "CAUSE", .min = 20},
};

struct history {
	struct context *x;
	struct table *table; /* of the message in hand, or NULL */
	bool any; /* a message was printed */
};

static void end_message(struct history *h)
{
	if (h->table)
		table_end(h->table);
	h->table = NULL;
}

/* The event that begins a message. */
static void print_received(struct history *h, const json_t *ev)
{
	const char *sender = text_of(ev, "sender");
	char size[UNITS_TEXT_MAX], count[HUMAN_TEXT_MAX], at[HUMAN_TEXT_MAX];

	end_message(h);
	if (h->any)
		putchar('\n');
	h->any = true;
	size_human(size, (uint64_t)number_of(ev, "size"));
	human_clock(at, time_of(ev, "time"));
	human_count(count,
		    (int64_t)json_array_size(json_object_get(ev, "recipients")),
		    "recipient");
	printf("%s received %s from <", text_of(ev, "id"), at);
	print_text(stdout, sender);
	printf("> for %s, %s\n", count, size);
	printf("   client: ");
	print_text(stdout, text_of(ev, "client"));
	if (text_of(ev, "helo")[0]) {
		fputs(", ", stdout);
		print_text(stdout, text_of(ev, "helo"));
	}
	printf(", %s\n",
	       text_of(ev, "tls")[0] ? text_of(ev, "tls") : "without TLS");
	if (text_of(ev, "message_id")[0]) {
		printf("   message-id: ");
		print_text(stdout, text_of(ev, "message_id"));
		putchar('\n');
	}
	h->table = table_new(stdout, columns, ARRAY_LEN(columns), h->x->width);
}

/* "TLS1.3 name": the version, and what of the peer was proved. */
static void tls_text(char *out, size_t size, const json_t *ev)
{
	const char *tls = text_of(ev, "tls");
	const char *verified = text_of(ev, "verified");

	snprintf(out, size, "%s%s%s", tls, tls[0] && verified[0] ? " " : "",
		 tls[0] ? verified : "");
}

/* The destination as verbs take it, which a narrow table leaves out, and the
 * address, where that is another text. */
static void note_host(struct history *h, const json_t *ev)
{
	const char *name = text_of(ev, "destination");
	const char *address = text_of(ev, "address");
	bool known = strstr(name, address) != NULL;
	char *text;

	if (address[0] == '\0')
		return;
	text = known ? xstrdup(name) : xasprintf("%s, %s", name, address);
	table_note(h->table, "host", text);
	free(text);
}

static void print_event(struct history *h, const json_t *ev)
{
	char at[HUMAN_TEXT_MAX], took[32] = "", tls[64];
	char sent[UNITS_TEXT_MAX] = "";
	int64_t bytes = number_of(ev, "bytes");
	double duration_s =
		json_number_value(json_object_get(ev, "duration_s"));
	bool uncertain = json_is_true(json_object_get(ev, "uncertain"));

	human_clock(at, time_of(ev, "time"));
	/* The year stands above. */
	if (strlen(at) > YEAR_LEN)
		memmove(at, at + YEAR_LEN, strlen(at + YEAR_LEN) + 1);
	if (duration_s > 0)
		snprintf(took, sizeof(took), "%.1fs", duration_s);
	if (bytes > 0)
		size_human(sent, (uint64_t)bytes);
	tls_text(tls, sizeof(tls), ev);
	table_add(h->table, (const char *[]){at, text_of(ev, "event"), took,
					     sent, text_of(ev, "recipient"),
					     text_of(ev, "destination"), tls,
					     text_of(ev, "status"),
					     text_of(ev, "cause")});
	table_note(h->table, "by", text_of(ev, "actor"));
	note_host(h, ev);
	table_note(h->table, "said", text_of(ev, "reply"));
	table_note(h->table, "certificate", text_of(ev, "certificate"));
	if (uncertain)
		table_note(h->table, "uncertain",
			   "broke off after the final dot: it may have "
			   "arrived");
}

/* The daemon has escaped it; a backslash is one that it wrote. */
static void print_escaped(const char *text)
{
	char *copy = xstrdup(text), *at = copy;

	for (;;) {
		size_t len = strcspn(at, "\\\n");
		char end = at[len];

		at[len] = '\0';
		print_text(stdout, at);
		if (end == '\0')
			break;
		putchar(end);
		at += len + 1;
	}
	free(copy);
}

/* Behind the events of its message. */
static void print_transcript(struct history *h, const json_t *o)
{
	char at[HUMAN_TEXT_MAX];

	end_message(h);
	human_clock(at, time_of(o, "time"));
	printf("\ntranscript of the last failed attempt at ");
	print_text(stdout, text_of(o, "destination"));
	if (text_of(o, "address")[0]) {
		fputs(", ", stdout);
		print_text(stdout, text_of(o, "address"));
	}
	printf(", which ended %s:\n", at);
	print_escaped(text_of(o, "transcript"));
}

static bool trace_line(void *arg, const json_t *ev, struct span text)
{
	struct history *h = arg;

	(void)text;
	if (strcmp(text_of(ev, "event"), "transcript") == 0)
		print_transcript(h, ev);
	else if (!h->table || strcmp(text_of(ev, "event"), "received") == 0)
		print_received(h, ev);
	else
		print_event(h, ev);
	return !ferror(stdout);
}

int run_trace(struct context *x)
{
	struct history h = {.x = x};
	struct sink sink = {.line = trace_line, .arg = &h};
	struct target t;
	struct answer a;
	int code;

	if (x->args.nrest > 0 ? args_choose_filter(&x->args)
			      : !args_choose_filter(&x->args)) {
		complain("trace: give an id, a Message-ID, or a filter");
		return EXIT_USAGE;
	}
	if (x->args.json)
		sink.line = print_json_line;
	target_init(&t, x->client, "/v1/trace");
	if (x->args.nrest > 0)
		target_part(&t, x->args.rest[0]);
	args_to_query(&x->args, TAKES_TRACE | TAKES_FILTER | TAKES_LIMIT, &t);
	request_send(&t, NULL, &sink, &a);
	end_message(&h);
	code = report(&a);
	answer_release(&a);
	target_release(&t);
	return code;
}
