/* SPDX-License-Identifier: ISC */
/*
 * change - the commands that change mail: resubmit, hold, release, remove,
 * extend.
 *
 * On a terminal a dry run counts first, and more than a few messages are
 * asked about; progress is shown while the work goes on.
 */
#include <stdio.h>
#include <unistd.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

enum { ASK_ABOVE_MESSAGES = 10 };

struct verb {
	const char *word, *past;
	const char *path;
};

static const struct verb resubmit = {"resubmit", "resubmitted",
				     "/v1/queue/resubmit"};
static const struct verb hold = {"hold", "held", "/v1/queue/hold"};
static const struct verb release = {"release", "released", "/v1/queue/release"};
static const struct verb removal = {"remove", "removed", "/v1/queue/remove"};
static const struct verb extension = {"extend", "extended", "/v1/queue/extend"};

/* ------- the request */

struct progress {
	json_t *result; /* owned: the last line */
	bool shown; /* a line of progress stands there */
	const struct verb *verb;
};

static bool progress_line(void *arg, const json_t *object, struct span text)
{
	struct progress *p = arg;
	const json_t *counts = json_object_get(object, "progress");
	char recipients[HUMAN_TEXT_MAX];

	(void)text;
	if (!counts) {
		json_decref(p->result);
		p->result = json_incref((json_t *)object);
		return true;
	}
	human_count(recipients, number_of(counts, "recipients"), "recipient");
	fprintf(stderr, "\r%s %s ...", p->verb->past, recipients);
	fflush(stderr);
	p->shown = true;
	return true;
}

/* The result of the verb in *result, owned; the exit status when there is
 * none. */
static int ask_daemon(struct context *x, const struct verb *verb,
		      const json_t *order, json_t **result)
{
	struct progress p = {.verb = verb};
	const struct sink sink = {.line = progress_line, .arg = &p};
	struct target t;
	struct answer a;
	int code;

	target_init(&t, x->client, verb->path);
	request_send(&t, order,
		     json_is_true(json_object_get(order, "progress")) ? &sink
								      : NULL,
		     &a);
	if (p.shown)
		fputs("\r\033[K", stderr);
	if (!p.result && a.object && json_object_get(a.object, "verb"))
		p.result = json_incref(a.object);
	code = p.result ? EXIT_DONE : report(&a);
	if (!p.result && code == EXIT_DONE) {
		complain("the answer broke off");
		code = EXIT_REFUSED;
	}
	*result = p.result;
	answer_release(&a);
	target_release(&t);
	return code;
}

/* ------- what is said */

/* Why recipients were left alone, and what to do about it. */
static const struct reason {
	const char *key, *called, *why;
	const struct verb *verb; /* that it is advice for; NULL: any */
} reasons[] = {
	{"held", "held", "add --held", &resubmit},
	{"expired", "expired", "add --expired", &resubmit},
	{"failed", "failed", "add --failed", &resubmit},
	{"delivered", "delivered", "add --delivered", &resubmit},
	{"expired", "expired", "kept until trimmed; or add --purge", &removal},
	{"failed", "failed", "kept until trimmed; or add --purge", &removal},
	{"delivered", "delivered", "kept until trimmed; or add --purge",
	 &removal},
	{"expired", "expired", "use resubmit --expired", &extension},
	{"active", "active", "being delivered right now", NULL},
	{"removed", "removed by an operator", "name ids, or add --cause held",
	 NULL},
	{"no-route", "without a route", "no route matches today", NULL},
	{"unknown", "unknown", "not in the queue", NULL},
	{"gone", "gone", "settled in the meantime", NULL},
};

static const struct reason *reason_of(const struct verb *verb, const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
		if (strcmp(reasons[i].key, key) == 0 &&
		    (!reasons[i].verb || reasons[i].verb == verb))
			return &reasons[i];
	return NULL;
}

static void print_skipped(const struct verb *verb, const json_t *result)
{
	json_t *skipped = json_object_get(result, "skipped"), *value;
	const char *key;

	json_object_foreach(skipped, key, value) {
		const struct reason *r = reason_of(verb, key);

		printf("%lld %s skipped%s%s\n",
		       (long long)json_integer_value(value),
		       r ? r->called : key, r ? ": " : "", r ? r->why : "");
	}
}

/* What a second delivery would contradict. */
static void print_told(FILE *out, int64_t told)
{
	char recipients[HUMAN_TEXT_MAX];

	human_count(recipients, told, "recipient");
	fprintf(out, "the senders of %s were already told of failure\n",
		recipients);
}

static int print_result(const struct context *x, const struct verb *verb,
			const json_t *result)
{
	const char *error = text_of(result, "error");
	int64_t n = number_of(result, "recipients");
	int64_t told = number_of(result, "told");
	char recipients[HUMAN_TEXT_MAX], messages[HUMAN_TEXT_MAX];
	bool dry = json_is_true(json_object_get(result, "dry_run"));
	int code = EXIT_DONE;

	human_count(recipients, n, "recipient");
	human_count(messages, number_of(result, "messages"), "message");
	if (x->args.json)
		print_json(result);
	else if (n > 0)
		printf("%s%s %s in %s\n", dry ? "would " : "",
		       dry ? verb->word : verb->past, recipients, messages);
	if (!x->args.json)
		print_skipped(verb, result);
	if (!x->args.json && told > 0)
		print_told(stdout, told);
	if (n == 0)
		code = EXIT_NOTHING;
	if (error[0] && (n > 0 || strcmp(error, "nothing matched") != 0))
		code = EXIT_REFUSED;
	if (error[0])
		complain("%s", error);
	return code;
}

/* ------- asking first */

static bool is_yes(void)
{
	char line[16];

	if (!fgets(line, sizeof(line), stdin))
		return false;
	return line[0] == 'y' || line[0] == 'Y';
}

/* Asks when there is somebody to ask and enough to ask about; EXIT_DONE: go
 * on. */
static int confirm(struct context *x, const struct verb *verb, json_t *order)
{
	char recipients[HUMAN_TEXT_MAX], messages[HUMAN_TEXT_MAX];
	json_t *result;
	int64_t told;
	bool few;
	int code;

	if (x->args.values[OPTION_YES] || !isatty(STDIN_FILENO) ||
	    !isatty(STDERR_FILENO))
		return EXIT_DONE;
	json_object_set_new(order, "dry_run", json_true());
	code = ask_daemon(x, verb, order, &result);
	json_object_del(order, "dry_run");
	if (code != EXIT_DONE)
		return code;
	human_count(recipients, number_of(result, "recipients"), "recipient");
	human_count(messages, number_of(result, "messages"), "message");
	few = number_of(result, "messages") <= ASK_ABOVE_MESSAGES;
	told = number_of(result, "told");
	json_decref(result);
	if (few)
		return EXIT_DONE;
	if (told > 0)
		print_told(stderr, told);
	fprintf(stderr, "%s %s in %s? [y/N] ", verb->word, recipients,
		messages);
	fflush(stderr);
	if (is_yes())
		return EXIT_DONE;
	complain("nothing was done");
	return EXIT_REFUSED;
}

/* ------- the commands */

static int change(struct context *x, const struct verb *verb)
{
	bool dry = x->args.values[OPTION_DRY_RUN] != NULL;
	json_t *order, *result;
	int code;

	if (!args_choose(&x->args)) {
		complain("%s: give a filter, ids, or --all", verb->word);
		return EXIT_USAGE;
	}
	order = args_to_order(&x->args);
	if (!order) {
		complain("an argument is not UTF-8");
		return EXIT_USAGE;
	}
	if (dry)
		json_object_set_new(order, "dry_run", json_true());
	code = dry ? EXIT_DONE : confirm(x, verb, order);
	if (code != EXIT_DONE)
		goto out;
	if (isatty(STDERR_FILENO) && !x->args.json)
		json_object_set_new(order, "progress", json_true());
	code = ask_daemon(x, verb, order, &result);
	if (code != EXIT_DONE)
		goto out;
	code = print_result(x, verb, result);
	json_decref(result);
out:
	json_decref(order);
	return code;
}

int run_resubmit(struct context *x)
{
	return change(x, &resubmit);
}

int run_hold(struct context *x)
{
	return change(x, &hold);
}

int run_release(struct context *x)
{
	return change(x, &release);
}

int run_extend(struct context *x)
{
	return change(x, &extension);
}

int run_remove(struct context *x)
{
	return change(x, &removal);
}
