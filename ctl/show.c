/* SPDX-License-Identifier: ISC */
/*
 * show - the command that shows one message: queue show.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

enum { LABEL_WIDTH = 12 };

static void print_field(const char *label, const char *text)
{
	if (text[0] == '\0')
		return;
	printf("%-*s ", LABEL_WIDTH, label);
	print_text(stdout, text);
	putchar('\n');
}

/* One that may take several lines. */
static void print_long(const struct context *x, const char *label,
		       const char *text)
{
	char prefix[LABEL_WIDTH + 2];

	if (text[0] == '\0')
		return;
	snprintf(prefix, sizeof(prefix), "%-*s ", LABEL_WIDTH, label);
	print_wrapped(stdout, prefix, x->width, text);
}

static void print_time(const char *label, int64_t wall_ms, int64_t now_ms)
{
	char at[HUMAN_TEXT_MAX], far[HUMAN_TEXT_MAX], text[128];

	if (wall_ms == 0)
		return;
	human_clock(at, wall_ms);
	if (wall_ms <= now_ms)
		human_ago(far, wall_ms, now_ms);
	else
		human_in(far, wall_ms, now_ms);
	snprintf(text, sizeof(text), "%s (%s)", at, far);
	print_field(label, text);
}

static void print_client(const json_t *m)
{
	char text[1024];

	snprintf(text, sizeof(text), "%s%s%s%s%s (listener %s%s%s)",
		 text_of(m, "client"), text_of(m, "helo")[0] ? ", " : "",
		 text_of(m, "helo"), text_of(m, "tls")[0] ? ", " : "",
		 text_of(m, "tls"), text_of(m, "listener"),
		 text_of(m, "source")[0] ? ", source " : "",
		 text_of(m, "source"));
	print_field("client", text);
}

static void print_envelope(const struct context *x, const json_t *m)
{
	const char *sender = text_of(m, "sender");
	char size[UNITS_TEXT_MAX];

	size_human(size, (uint64_t)number_of(m, "size"));
	print_field("id", text_of(m, "id"));
	print_field("state", text_of(m, "state"));
	print_time("received", time_of(m, "received"), x->now_ms);
	print_client(m);
	print_field("size", size);
	print_field("sender", sender[0] ? sender : "<>");
	print_field("message-id", text_of(m, "message_id"));
	print_field("envid", text_of(m, "envid"));
}

static void print_recipient(const struct context *x, const json_t *r)
{
	char attempts[HUMAN_TEXT_MAX];

	putchar('\n');
	print_field("recipient", text_of(r, "recipient"));
	print_field("state", text_of(r, "state"));
	print_time("since", time_of(r, "since"), x->now_ms);
	print_field("route", text_of(r, "route"));
	print_field("destination", text_of(r, "destination"));
	human_count(attempts, number_of(r, "attempts"), "attempt");
	print_field("tried", attempts);
	print_time("next try", time_of(r, "next_attempt"), x->now_ms);
	print_time("expires", time_of(r, "expires"), x->now_ms);
	print_field("cause", text_of(r, "cause"));
	print_long(x, "said", text_of(r, "reply"));
	print_long(x, "remedy", text_of(r, "remedy"));
	if (json_is_true(json_object_get(r, "uncertain")))
		print_field("uncertain",
			    "an attempt broke off after the final dot: it may "
			    "have arrived");
}

static void print_message(const struct context *x, const json_t *m)
{
	const json_t *list = json_object_get(m, "recipients"), *r;
	size_t i;

	print_envelope(x, m);
	json_array_foreach(list, i, r)
		print_recipient(x, r);
	putchar('\n');
	print_lines(stdout, text_of(m, "headers"));
}

/* As it is into a file or pipe; on a terminal only what does it no harm. */
static bool print_bytes(void *arg, struct span bytes)
{
	(void)arg;
	if (!isatty(STDOUT_FILENO))
		return fwrite(bytes.at, 1, bytes.len, stdout) == bytes.len;
	for (size_t i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.at[i];

		if (c == '\n' || c == '\t' || (c >= ' ' && c < 0x7f))
			putchar(c);
		else if (c != '\r')
			printf("\\x%02x", c);
	}
	return !ferror(stdout);
}

/* The message's bytes: "raw" or "body". */
static int show_bytes(struct target *t, const char *part)
{
	const struct sink sink = {.bytes = print_bytes};
	struct answer a;
	int code;

	target_part(t, part);
	request_send(t, NULL, &sink, &a);
	code = report(&a);
	answer_release(&a);
	return code;
}

static int show_message(struct context *x, const struct target *t)
{
	struct answer a;
	int code;

	request_send(t, NULL, NULL, &a);
	code = report(&a);
	if (code == EXIT_DONE && x->args.json)
		print_json(a.object);
	else if (code == EXIT_DONE)
		print_message(x, a.object);
	answer_release(&a);
	return code;
}

int run_queue_show(struct context *x)
{
	struct target t;
	int code;

	target_init(&t, x->client, "/v1/queue");
	target_part(&t, x->args.rest[0]);
	if (x->args.values[OPTION_RAW])
		code = show_bytes(&t, "raw");
	else if (x->args.values[OPTION_BODY])
		code = show_bytes(&t, "body");
	else
		code = show_message(x, &t);
	target_release(&t);
	return code;
}
