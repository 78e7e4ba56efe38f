/* SPDX-License-Identifier: ISC */
/*
 * compare - the command that checks the configuration's file: check config,
 * and what it would mean for the mail that is queued.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

struct comparison {
	const struct context *x;
	json_t *verdict; /* owned: the last line */
	bool progress; /* is to be shown */
	bool shown; /* a line of it stands there */
	bool any; /* a difference was told */
};

static void print_problems(const json_t *verdict)
{
	const json_t *list = json_object_get(verdict, "problems"), *line;
	size_t i;

	json_array_foreach(list, i, line) {
		print_text(stdout, json_string_value(line));
		putchar('\n');
	}
}

static void clear_progress(struct comparison *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

static void show_progress(struct comparison *p, int64_t messages)
{
	if (!p->progress)
		return;
	fprintf(stderr, "\r%" PRId64 " messages looked at ...", messages);
	fflush(stderr);
	p->shown = true;
}

/* "   hosts: a:25 -> b:25"; only what changes. */
static void print_change(const struct context *x, const char *label,
			 const char *from, const char *to)
{
	char prefix[32];
	char *text;

	if (strcmp(from, to) == 0)
		return;
	snprintf(prefix, sizeof(prefix), "   %s: ", label);
	text = xasprintf("%s -> %s", from[0] ? from : "none",
			 to[0] ? to : "none");
	print_wrapped(stdout, prefix, x->width, text);
	free(text);
}

static void print_expiry(const char *word)
{
	if (strcmp(word, "now") == 0)
		puts("   expiry: AT ONCE, when this configuration is taken");
	else if (strcmp(word, "same") != 0)
		printf("   expiry: %s\n", word);
}

static void print_difference(const struct context *x, const json_t *o)
{
	char recipients[HUMAN_TEXT_MAX], messages[HUMAN_TEXT_MAX];
	const char *from = text_of(o, "route"), *to = text_of(o, "new_route");

	human_count(recipients, number_of(o, "recipients"), "recipient");
	human_count(messages, number_of(o, "messages"), "message");
	printf("%s in %s of ", recipients, messages);
	if (from[0])
		fputs("route ", stdout);
	print_text(stdout, from[0] ? from : "no route");
	puts(":");
	print_change(x, "route", from, to);
	print_change(x, "hosts", text_of(o, "hosts"), text_of(o, "new_hosts"));
	print_change(x, "tls", text_of(o, "tls"), text_of(o, "new_tls"));
	print_change(x, "source address", text_of(o, "source_address"),
		     text_of(o, "new_source_address"));
	print_expiry(text_of(o, "expiry"));
}

static bool compare_line(void *arg, const json_t *object, struct span text)
{
	struct comparison *p = arg;

	(void)text;
	if (json_object_get(object, "progress")) {
		show_progress(p, number_of(object, "progress"));
		return true;
	}
	clear_progress(p);
	if (json_object_get(object, "ok")) {
		json_decref(p->verdict);
		p->verdict = json_incref((json_t *)object);
		return true;
	}
	p->any = true;
	if (p->x->args.json)
		print_json(object);
	else
		print_difference(p->x, object);
	return !ferror(stdout);
}

static void print_verdict(const struct comparison *p)
{
	char affected[HUMAN_TEXT_MAX], all[HUMAN_TEXT_MAX];

	print_problems(p->verdict);
	if (!json_object_get(p->verdict, "affected")) {
		puts("the file can't be taken: nothing to compare");
		return;
	}
	human_count(affected, number_of(p->verdict, "affected"), "recipient");
	human_count(all, number_of(p->verdict, "recipients"), "recipient");
	if (p->any)
		printf("%s of %s would be treated differently; relayctl "
		       "reload takes the file\n",
		       affected, all);
	else
		printf("no difference for %s\n", all);
}

static int compare(struct context *x, const struct target *t)
{
	struct comparison p = {
		.x = x,
		.progress = isatty(STDERR_FILENO) && !x->args.json,
	};
	const struct sink sink = {.line = compare_line, .arg = &p};
	struct answer a;
	int code;

	request_send(t, NULL, &sink, &a);
	clear_progress(&p);
	code = report(&a);
	if (code == EXIT_DONE && !p.verdict) {
		complain("the answer broke off");
		code = EXIT_REFUSED;
	}
	if (code == EXIT_DONE && x->args.json)
		print_json(p.verdict);
	else if (code == EXIT_DONE)
		print_verdict(&p);
	if (code == EXIT_DONE &&
	    (p.any || !json_is_true(json_object_get(p.verdict, "ok"))))
		code = EXIT_REFUSED;
	json_decref(p.verdict);
	answer_release(&a);
	return code;
}

static int check(struct context *x, const struct target *t)
{
	struct answer a;
	int code;

	request_send(t, NULL, NULL, &a);
	code = report(&a);
	if (code == EXIT_DONE && x->args.json)
		print_json(a.object);
	else if (code == EXIT_DONE)
		print_problems(a.object);
	if (code == EXIT_DONE && !json_is_true(json_object_get(a.object, "ok")))
		code = EXIT_REFUSED;
	answer_release(&a);
	return code;
}

int run_check_config(struct context *x)
{
	struct target t;
	int code;

	target_init(&t, x->client, "/v1/check-config");
	if (x->args.values[OPTION_AGAINST_QUEUE]) {
		target_query(&t, "against_queue", "true");
		code = compare(x, &t);
	} else {
		code = check(x, &t);
	}
	target_release(&t);
	return code;
}
