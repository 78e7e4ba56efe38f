/* SPDX-License-Identifier: ISC */
/*
 * status - the command that says how the daemon is: the verdict first, then
 * what needs somebody's attention.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

static bool is_any(const json_t *rows, const char *key, const char *value)
{
	const json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (strcmp(text_of(row, key), value) == 0)
			return true;
	return false;
}

static int64_t count_of(const json_t *status, const char *what,
			const char *state)
{
	return number_of(json_object_get(status, what), state);
}

/* ------- the verdict */

static void print_troubles(const json_t *status)
{
	const json_t *list = json_object_get(status, "destinations"), *d;
	const json_t *certs = json_object_get(status, "certificates"), *cert;
	const json_t *sentinel = json_object_get(status, "sentinel");
	size_t refused = json_array_size(json_object_get(status, "refused"));
	size_t exceptions =
		json_array_size(json_object_get(status, "exceptions"));
	int64_t failing = 0, suspended = 0, low = 0;
	size_t i;

	json_array_foreach(list, i, d) {
		failing += strcmp(text_of(d, "state"), "failing") == 0;
		suspended += strcmp(text_of(d, "state"), "suspended") == 0;
	}
	json_array_foreach(certs, i, cert)
		low += certificate_remedy(cert) != NULL;
	if (failing > 0)
		printf(", %lld destination%s failing", (long long)failing,
		       failing == 1 ? "" : "s");
	if (suspended > 0)
		printf(", %lld suspended", (long long)suspended);
	if (exceptions > 0)
		printf(", %zu TLS exception%s in force", exceptions,
		       exceptions == 1 ? "" : "s");
	if (low > 0)
		printf(", %lld certificate%s to renew", (long long)low,
		       low == 1 ? "" : "s");
	if (is_any(json_object_get(status, "listeners"), "outcome", "faulty") ||
	    is_any(json_object_get(status, "listeners"), "outcome", "failed"))
		printf(", a listener that strict senders refuse");
	if (refused > 0)
		printf(", %zu changed credential%s REFUSED", refused,
		       refused == 1 ? "" : "s");
	if (json_is_false(json_object_get(sentinel, "conserved")))
		printf(", BOOKS BROKEN: relayctl check queue");
	if (number_of(sentinel, "overdue") > 0)
		printf(", MAIL OVERDUE: relayctl check queue");
	if (json_is_true(
		    json_object_get(json_object_get(status, "queue"), "full")))
		printf(", QUEUE FULL: new mail is refused");
}

static void print_verdict(const json_t *status)
{
	char uptime[UNITS_TEXT_MAX], waiting[HUMAN_TEXT_MAX];
	int64_t n = count_of(status, "messages", "queued") +
		    count_of(status, "messages", "active") +
		    count_of(status, "messages", "deferred");
	int64_t held;

	held = count_of(status, "messages", "held");
	duration_human(uptime, number_of(status, "uptime_s") * 1000);
	human_count(waiting, n, "message");
	printf("relayd ");
	print_text(stdout, text_of(status, "version"));
	printf(" running %s, %s waiting", uptime, waiting);
	if (held > 0)
		printf(", %lld held", (long long)held);
	print_troubles(status);
	putchar('\n');
}

/* ------- the queue */

static void print_states(const json_t *status)
{
	json_t *messages = json_object_get(status, "messages"), *value;
	const char *separator = "";
	const char *state;

	printf("messages: ");
	json_object_foreach(messages, state, value) {
		if (json_integer_value(value) == 0)
			continue;
		printf("%s%lld %s", separator,
		       (long long)json_integer_value(value), state);
		separator = ", ";
	}
	puts(separator[0] ? "" : "none");
}

static void print_queue(const json_t *status)
{
	const json_t *q = json_object_get(status, "queue");
	char used[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX], disk[UNITS_TEXT_MAX];
	char oldest[UNITS_TEXT_MAX];

	size_human(used, (uint64_t)number_of(q, "used_bytes"));
	size_human(max, (uint64_t)number_of(q, "max_bytes"));
	size_human(disk, (uint64_t)number_of(q, "free_disk_bytes"));
	printf("queue:    %s of %s used, %s free on disk", used, max, disk);
	if (json_is_integer(json_object_get(q, "oldest_s"))) {
		duration_human(oldest, number_of(q, "oldest_s") * 1000);
		printf(", oldest waits %s", oldest);
	}
	putchar('\n');
}

/* ------- what is not well */

static const struct column destination_columns[] = {
	{.title = "DESTINATION", .min = 12},
	{.title = "STATE"},
	{.title = "SINCE", .align = COLUMN_RIGHT},
	{.title = "PROBE", .align = COLUMN_RIGHT},
	{.title = "CAUSE", .min = 12},
};

static void print_destinations(const struct context *x, const json_t *status)
{
	const json_t *list = json_object_get(status, "destinations"), *d;
	struct table *t;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	t = table_new(stdout, destination_columns,
		      ARRAY_LEN(destination_columns), x->width);
	json_array_foreach(list, i, d) {
		char since[HUMAN_TEXT_MAX], probe[HUMAN_TEXT_MAX];

		human_ago(since, time_of(d, "since"), x->now_ms);
		human_in(probe, time_of(d, "next_probe"), x->now_ms);
		table_add(t, (const char *[]){text_of(d, "destination"),
					      text_of(d, "state"), since, probe,
					      text_of(d, "cause")});
		note_suspension(t, d, x->now_ms);
		table_note(t, "said", text_of(d, "reply"));
		table_note(t, "remedy", text_of(d, "remedy"));
	}
	table_end(t);
}

static const struct column certificate_columns[] = {
	{.title = "CERTIFICATE", .min = 8},
	{.title = "OF"},
	{.title = "DAYS LEFT", .align = COLUMN_RIGHT},
	{.title = "NAMES", .min = 12},
	{.title = "FILE", .min = 12, .drop = 1},
};

static void print_certificates(const struct context *x, const json_t *status)
{
	const json_t *list = json_object_get(status, "certificates"), *cert;
	struct table *t;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	t = table_new(stdout, certificate_columns,
		      ARRAY_LEN(certificate_columns), x->width);
	json_array_foreach(list, i, cert) {
		const char *remedy = certificate_remedy(cert);
		char left[32];

		certificate_left(left, cert);
		table_add(t, (const char *[]){text_of(cert, "name"),
					      text_of(cert, "kind"), left,
					      text_of(cert, "names"),
					      text_of(cert, "file")});
		if (remedy)
			table_note(t, "remedy", remedy);
	}
	table_end(t);
}

/* What was put on the disk and is not in use. */
static void print_refused(const struct context *x, const json_t *status)
{
	static const struct column columns[] = {
		{.title = "REFUSED", .min = 8},
		{.title = "SINCE", .align = COLUMN_RIGHT},
		{.title = "WHY", .min = 12},
	};
	const json_t *list = json_object_get(status, "refused"), *row;
	struct table *t;
	size_t i;

	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	t = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	json_array_foreach(list, i, row) {
		bool is_trust = json_object_get(row, "trust") != NULL;
		char since[HUMAN_TEXT_MAX];
		char *name = xasprintf(
			"%s %s", is_trust ? "trust" : "identity",
			text_of(row, is_trust ? "trust" : "identity"));

		human_ago(since, time_of(row, "since"), x->now_ms);
		table_add(t, (const char *[]){name, since,
					      text_of(row, "reason")});
		table_note(t, "remedy",
			   "mend the files, which is noticed by itself; what "
			   "was read before stays in use until then");
		free(name);
	}
	table_end(t);
}

/* How our listeners look to a strict sender, where that is not fine. */
static void print_listeners(const struct context *x, const json_t *status)
{
	static const struct column columns[] = {
		{.title = "LISTENER", .min = 8},
		{.title = "ADDRESS"},
		{.title = "LOOKS"},
		{.title = "WHY", .min = 12},
	};
	const json_t *list = json_object_get(status, "listeners"), *row;
	struct table *t;
	size_t i;

	if (!is_any(list, "outcome", "private") &&
	    !is_any(list, "outcome", "faulty") &&
	    !is_any(list, "outcome", "failed"))
		return;
	putchar('\n');
	t = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	json_array_foreach(list, i, row) {
		if (strcmp(text_of(row, "outcome"), "fine") == 0)
			continue;
		table_add(t, (const char *[]){text_of(row, "name"),
					      text_of(row, "address"),
					      text_of(row, "outcome"),
					      text_of(row, "text")});
	}
	table_end(t);
}

int run_status(struct context *x)
{
	struct target t;
	struct answer a;
	int code;

	target_init(&t, x->client, "/v1/status");
	request_send(&t, NULL, NULL, &a);
	code = report(&a);
	if (code == EXIT_DONE && x->args.json) {
		print_json(a.object);
	} else if (code == EXIT_DONE) {
		print_verdict(a.object);
		print_states(a.object);
		print_queue(a.object);
		print_destinations(x, a.object);
		print_exceptions(x, json_object_get(a.object, "exceptions"));
		print_certificates(x, a.object);
		print_refused(x, a.object);
		print_listeners(x, a.object);
	}
	answer_release(&a);
	target_release(&t);
	return code;
}
