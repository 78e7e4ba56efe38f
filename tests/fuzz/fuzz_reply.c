/* SPDX-License-Identifier: ISC */
/*
 * fuzz_reply - what a server says, in pieces; and what we say of an error.
 */
#include "smtp/reply.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { HEARD_MAX = 1024 * 1024 };

static void check_reply(const struct reply *r)
{
	struct buf line;

	HOLDS(r->code == 0 || (r->code >= 200 && r->code <= 599));
	HOLDS(r->class == 0 || r->class == 2 || r->class == 4 || r->class == 5);
	HOLDS(r->subject <= 999 && r->detail <= 999);
	HOLDS(r->len < sizeof(r->text) && strlen(r->text) == r->len);
	buf_init(&line, REPLY_TEXT_MAX);
	reply_line(&line, r);
	HOLDS(line.len == 0 ||
	      memchr(buf_span(&line).at, '\n', line.len) == NULL);
	buf_release(&line);
}

static void note(struct buf *heard, enum reply_result result,
		 const struct reply *r)
{
	char *text = xasprintf("%d %d %u.%u.%u ", (int)result, r->code,
			       r->class, r->subject, r->detail);

	fuzz_add(heard, span_of(text));
	fuzz_add(heard, (struct span){r->text, r->len});
	free(text);
}

/* Up to what is no reply: what comes behind that is heard by nobody. */
static void hear(struct span in, enum fuzz_pace pace, struct buf *heard)
{
	enum reply_result result = REPLY_MORE;
	struct reply_parser p;
	struct span shown = {in.at, 0};
	uint32_t state = (uint32_t)in.len;

	reply_parser_init(&p);
	while (result != REPLY_BROKEN) {
		struct span before = shown;

		result = reply_parse(&p, &shown);
		HOLDS(shown.at + shown.len == before.at + before.len);
		if (result != REPLY_MORE) {
			check_reply(&p.reply);
			note(heard, result, &p.reply);
			continue;
		}
		HOLDS(shown.len < REPLY_LINE_MAX);
		before.len = in.len - (size_t)(shown.at + shown.len - in.at);
		if (before.len == 0)
			break;
		shown.len += fuzz_piece(pace, &state, before.len);
	}
}

static void check_error(struct span in)
{
	struct err e;
	struct buf out;
	char *text = span_dup(in);

	buf_init(&out, REPLY_SAID_MAX);
	if (in.len % 2 == 0)
		(void)err_temp(&e, 3, 0, "%s", text);
	else
		(void)err_perm(&e, 7, 1, "%s", text);
	fuzz_printable(e.text);
	reply_from_err(&out, &e);
	fuzz_replies(buf_span(&out));
	buf_release(&out);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct buf heard[FUZZ_PACES];

	for (int i = 0; i < FUZZ_PACES; i++) {
		buf_init(&heard[i], HEARD_MAX);
		hear(in, (enum fuzz_pace)i, &heard[i]);
		HOLDS(span_eq(buf_span(&heard[0]), buf_span(&heard[i])));
	}
	for (int i = 0; i < FUZZ_PACES; i++)
		buf_release(&heard[i]);
	check_error(in);
	return 0;
}
