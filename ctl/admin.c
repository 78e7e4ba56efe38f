/* SPDX-License-Identifier: ISC */
/*
 * admin - the commands that speak of the daemon itself: reload, log-level.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/print.h"

static void request(struct context *x, const char *path, const json_t *body,
		    struct answer *a)
{
	struct target t;

	target_init(&t, x->client, path);
	request_send(&t, body, NULL, a);
	target_release(&t);
}

static void print_problems(const json_t *object)
{
	const json_t *list = json_object_get(object, "problems"), *line;
	size_t i;

	json_array_foreach(list, i, line) {
		print_text(stderr, json_string_value(line));
		fputc('\n', stderr);
	}
}

int run_reload(struct context *x)
{
	json_t *body = json_object();
	struct answer a;
	int code;

	request(x, "/v1/reload", body, &a);
	if (a.object && x->args.json)
		print_json(a.object);
	else if (a.object)
		print_problems(a.object);
	code = report(&a);
	if (code == EXIT_DONE && !x->args.json)
		puts("reloaded");
	answer_release(&a);
	json_decref(body);
	return code;
}

int run_log_level(struct context *x)
{
	json_t *body = json_pack("{s:s}", "level", x->args.rest[0]);
	struct answer a;
	int code;

	if (!body) {
		complain("an argument is not UTF-8");
		return EXIT_USAGE;
	}
	request(x, "/v1/log-level", body, &a);
	code = report(&a);
	if (code == EXIT_DONE && x->args.json)
		print_json(a.object);
	answer_release(&a);
	json_decref(body);
	return code;
}
