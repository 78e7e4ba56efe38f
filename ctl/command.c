/* SPDX-License-Identifier: ISC */
/*
 * command - what every command of relayctl works with.
 */
#include "ctl/command.h"

#include <stdio.h>
#include <stdlib.h>

#include "ctl/human.h"
#include "ctl/print.h"

void complain(const char *fmt, ...)
{
	char text[2048];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fputs("relayctl: ", stderr);
	print_text(stderr, text);
	fputc('\n', stderr);
}

int report(const struct answer *a)
{
	switch (a->outcome) {
	case OUTCOME_OK:
	case OUTCOME_ENOUGH:
		return EXIT_DONE;
	case OUTCOME_NO_DAEMON:
		complain("%s", a->error);
		return EXIT_NO_DAEMON;
	case OUTCOME_REFUSED:
		complain("%s", a->error);
		/* It was asked wrongly: a filter, a word, an id. */
		return a->http == 400 ? EXIT_USAGE : EXIT_REFUSED;
	case OUTCOME_BROKEN:
		complain("%s", a->error);
		break;
	}
	return EXIT_REFUSED;
}

const char *text_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

int64_t number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

int64_t time_of(const json_t *object, const char *key)
{
	return human_parse_ms(text_of(object, key));
}

void print_json(const json_t *object)
{
	char *text = json_dumps(object, JSON_COMPACT | JSON_ENSURE_ASCII);

	puts(text ? text : "{}");
	free(text);
}

bool print_json_line(void *arg, const json_t *object, struct span text)
{
	(void)arg;
	(void)object;
	fwrite(text.at, 1, text.len, stdout);
	return fputc('\n', stdout) != EOF;
}
