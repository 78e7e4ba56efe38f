/* SPDX-License-Identifier: ISC */
/*
 * verify - the commands that look whether the queue is well: queue verify,
 * check queue.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

/* ------- queue verify */

struct verification {
	const struct context *x;
	json_t *result; /* owned: the last line */
	bool progress; /* is to be shown */
	bool shown; /* a line of it stands there */
};

static void clear_progress(struct verification *v)
{
	if (v->shown)
		fputs("\r\033[K", stderr);
	v->shown = false;
}

static void show_progress(struct verification *v, const json_t *counts)
{
	char size[UNITS_TEXT_MAX];

	if (!v->progress)
		return;
	size_human(size, (uint64_t)number_of(counts, "bytes"));
	fprintf(stderr, "\r%" PRId64 " rows, %s of mail ...",
		number_of(counts, "rows"), size);
	fflush(stderr);
	v->shown = true;
}

static void print_fault(struct verification *v, const json_t *fault)
{
	const char *id = text_of(fault, "id");

	clear_progress(v);
	if (v->x->args.json) {
		print_json(fault);
		return;
	}
	print_text(stdout, id[0] ? id : "queue");
	fputs(": ", stdout);
	print_text(stdout, text_of(fault, "fault"));
	putchar('\n');
}

static bool verify_line(void *arg, const json_t *object, struct span text)
{
	struct verification *v = arg;
	const json_t *progress = json_object_get(object, "progress");

	(void)text;
	if (progress) {
		show_progress(v, progress);
	} else if (json_object_get(object, "fault")) {
		print_fault(v, object);
	} else {
		json_decref(v->result);
		v->result = json_incref((json_t *)object);
	}
	return !ferror(stdout);
}

static int print_verdict(const struct context *x, const json_t *result)
{
	int64_t faults = number_of(result, "faults");
	char count[HUMAN_TEXT_MAX], size[UNITS_TEXT_MAX];

	if (text_of(result, "error")[0]) {
		complain("%s", text_of(result, "error"));
		return EXIT_REFUSED;
	}
	human_count(count, faults, "fault");
	size_human(size, (uint64_t)number_of(result, "bytes"));
	if (x->args.json)
		print_json(result);
	else
		printf("%s in %" PRId64 " rows and %s of mail\n",
		       faults ? count : "no fault", number_of(result, "rows"),
		       size);
	return faults ? EXIT_REFUSED : EXIT_DONE;
}

int run_queue_verify(struct context *x)
{
	struct verification v = {
		.x = x,
		.progress = isatty(STDERR_FILENO) && !x->args.json,
	};
	const struct sink sink = {.line = verify_line, .arg = &v};
	struct target t;
	struct answer a;
	int code;

	target_init(&t, x->client, "/v1/verify");
	request_send(&t, NULL, &sink, &a);
	clear_progress(&v);
	code = report(&a);
	if (code == EXIT_DONE && !v.result) {
		complain("the answer broke off");
		code = EXIT_REFUSED;
	}
	if (code == EXIT_DONE)
		code = print_verdict(x, v.result);
	json_decref(v.result);
	answer_release(&a);
	target_release(&t);
	return code;
}

/* ------- check queue */

static void print_books(const json_t *o)
{
	json_t *places = json_object_get(o, "places"), *value;
	json_t *gone = json_object_get(o, "gone");
	bool fine = json_is_true(json_object_get(o, "conserved"));
	const char *separator = " = ", *place;

	printf("%s: %" PRId64 " accepted", fine ? "conserved" : "BOOKS BROKEN",
	       number_of(o, "accepted"));
	json_object_foreach(places, place, value) {
		printf("%s%" PRId64 " %s", separator,
		       (int64_t)json_integer_value(value), place);
		separator = " + ";
	}
	printf(", and gone:");
	json_object_foreach(gone, place, value)
		printf(" %" PRId64 " %s", (int64_t)json_integer_value(value),
		       place);
	putchar('\n');
	if (!fine)
		puts("   relayctl queue verify says what is damaged");
}

static void print_overdue(const struct context *x, const json_t *o)
{
	int64_t n = number_of(o, "overdue");
	char count[HUMAN_TEXT_MAX], since[HUMAN_TEXT_MAX];

	if (n == 0) {
		puts("overdue: none");
		return;
	}
	human_count(count, n, "recipient");
	human_ago(since, time_of(o, "overdue_since"), x->now_ms);
	printf("OVERDUE: at least %s, due since %s, one in ", count, since);
	print_text(stdout, text_of(o, "overdue_route"));
	puts("\n   relayctl resubmit --state queued,deferred has them tried; "
	     "please report it");
}

int run_check_queue(struct context *x)
{
	struct target t;
	struct answer a;
	int code;

	target_init(&t, x->client, "/v1/check-queue");
	request_send(&t, NULL, NULL, &a);
	code = report(&a);
	if (code == EXIT_DONE && x->args.json) {
		print_json(a.object);
	} else if (code == EXIT_DONE) {
		print_books(a.object);
		print_overdue(x, a.object);
	}
	if (code == EXIT_DONE && !json_is_true(json_object_get(a.object, "ok")))
		code = EXIT_REFUSED;
	answer_release(&a);
	target_release(&t);
	return code;
}
