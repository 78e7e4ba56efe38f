/* SPDX-License-Identifier: ISC */
/*
 * doctor - the command that has a host examined: check tls.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

struct visit {
	const struct context *x;
	bool first; /* nothing was printed yet */
	bool ended, healthy; /* the verdict came */
};

/* ------- an address */

static const char *shown_result(const char *word)
{
	return strcmp(word, "fail") == 0      ? "FAIL"
	       : strcmp(word, "skipped") == 0 ? "-"
					      : word;
}

static void print_step(const struct visit *v, const json_t *step)
{
	const char *result = text_of(step, "result");
	const char *text = text_of(step, "text");
	char head[32];

	if (strcmp(result, "skipped") == 0 && text[0] == '\0')
		return;
	snprintf(head, sizeof(head), "  %-9s  %-4s  ", text_of(step, "step"),
		 shown_result(result));
	print_wrapped(stdout, head, v->x->width, text);
}

static void print_address(struct visit *v, const json_t *row)
{
	const char *address = text_of(row, "address");
	const json_t *step;
	size_t i;

	if (!v->first)
		putchar('\n');
	v->first = false;
	print_text(stdout, address[0] ? address : "no address");
	putchar('\n');
	json_array_foreach(json_object_get(row, "steps"), i, step)
		print_step(v, step);
}

/* ------- the verdict */

static void print_policy(const json_t *row)
{
	const json_t *policy = json_object_get(row, "policy");
	const char *route = text_of(row, "route");

	printf("policy:   ");
	if (route[0]) {
		printf("route ");
		print_text(stdout, route);
	} else {
		printf("no route has this host; the strictest is assumed");
	}
	printf(" (tls %s, verify %s)\n", text_of(policy, "tls"),
	       text_of(policy, "verify"));
}

static void print_blocked(const json_t *row)
{
	char messages[HUMAN_TEXT_MAX];
	int64_t n = number_of(row, "messages");
	const json_t *policy = json_object_get(row, "policy");

	human_count(messages, n, "queued message");
	printf("blocks:   %s", n == 0 ? "no queued mail" : messages);
	if (n > 0)
		printf(" for %lld recipients",
		       (long long)number_of(row, "recipients"));
	if (strcmp(text_of(policy, "tls"), "opportunistic") == 0)
		printf("; the route is opportunistic and may send in clear "
		       "text");
	putchar('\n');
}

static void print_exception(const struct visit *v, const json_t *exception)
{
	char ends[HUMAN_TEXT_MAX], line[160];

	if (!json_is_object(exception))
		return;
	human_in(ends, time_of(exception, "until"), v->x->now_ms);
	snprintf(line, sizeof(line),
		 "an exception is in force that lets mail go meanwhile; it "
		 "ends %s",
		 ends);
	print_wrapped(stdout, "note:     ", v->x->width, line);
}

/* "FAIL, 1 of 2 addresses: bad-node (tls-cert-expired)" */
static void print_failing(const struct visit *v, const json_t *row)
{
	const char *diagnosis = text_of(row, "diagnosis");
	const char *cause = text_of(row, "cause");
	char line[160], why[80] = "";
	const json_t *at;
	size_t i;

	if (strcmp(diagnosis, cause) != 0)
		snprintf(why, sizeof(why), " (%s)", cause);
	snprintf(line, sizeof(line), "FAIL, %lld of %lld addresses: %s%s",
		 (long long)number_of(row, "failing"),
		 (long long)number_of(row, "addresses"), diagnosis, why);
	print_wrapped(stdout, "verdict:  ", v->x->width, line);
	json_array_foreach(json_object_get(row, "failing_at"), i, at)
		print_wrapped(stdout, "at:       ", v->x->width,
			      json_string_value(at));
}

static void print_verdict(const struct visit *v, const json_t *row)
{
	const unsigned width = v->x->width;

	putchar('\n');
	print_policy(row);
	if (v->healthy) {
		puts("verdict:  healthy");
		return;
	}
	print_failing(v, row);
	print_wrapped(stdout, "said:     ", width, text_of(row, "reply"));
	if (text_of(row, "probable_cause")[0])
		print_wrapped(stdout, "cause:    ", width,
			      text_of(row, "probable_cause"));
	print_wrapped(stdout, "remedy:   ", width, text_of(row, "remedy"));
	print_blocked(row);
	print_exception(v, json_object_get(row, "exception"));
}

static bool take_line(void *arg, const json_t *row, struct span text)
{
	struct visit *v = arg;
	bool is_verdict = text_of(row, "verdict")[0] != '\0';

	(void)text;
	if (is_verdict) {
		v->ended = true;
		v->healthy = strcmp(text_of(row, "verdict"), "healthy") == 0;
	}
	if (v->x->args.json)
		print_json(row);
	else if (is_verdict)
		print_verdict(v, row);
	else
		print_address(v, row);
	return true;
}

int run_check_tls(struct context *x)
{
	json_t *body = json_pack("{s:s, s:s*}", "host", x->args.rest[0],
				 "route", x->args.values[OPTION_ROUTE]);
	struct visit v = {.x = x, .first = true};
	const struct sink sink = {.line = take_line, .arg = &v};
	struct target t;
	struct answer a;
	int code;

	if (!body) {
		complain("an argument is not UTF-8");
		return EXIT_USAGE;
	}
	target_init(&t, x->client, "/v1/check-tls");
	request_send(&t, body, &sink, &a);
	code = report(&a);
	if (code == EXIT_DONE && !v.ended) {
		complain("the daemon ended before its verdict");
		code = EXIT_REFUSED;
	} else if (code == EXIT_DONE && !v.healthy) {
		code = EXIT_REFUSED;
	}
	answer_release(&a);
	target_release(&t);
	json_decref(body);
	return code;
}
