/* SPDX-License-Identifier: ISC */
/*
 * fuzz_command - command lines, and what MAIL and RCPT say with them.
 *
 * The input is a series of lines that end in LF.
 */
#include "smtp/command.h"

#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/envelope.h"
#include "tests/fuzz/fuzz.h"

enum { SIZE_LIMIT = 1000000, TEXT_MAX = 16 * 1024 };

static void check_refusal(const struct err *e)
{
	HOLDS(e->status == ST_PERM && e->reply >= 500 && e->reply <= 599);
	HOLDS(e->text[0] != '\0');
	fuzz_printable(e->text);
}

/* What is decoded is encoded to something that is decoded to the same. */
static void check_xtext(struct span s)
{
	struct buf plain, again, text;

	buf_init(&plain, TEXT_MAX);
	buf_init(&text, 3 * TEXT_MAX);
	buf_init(&again, TEXT_MAX);
	HOLDS(xtext_valid(s, TEXT_MAX) == xtext_decode(s, &plain));
	if (xtext_valid(s, TEXT_MAX)) {
		HOLDS(plain.len <= s.len);
		HOLDS(xtext_encode(buf_span(&plain), &text));
		HOLDS(xtext_decode(buf_span(&text), &again));
		HOLDS(span_eq(buf_span(&plain), buf_span(&again)));
	}
	buf_release(&plain);
	buf_release(&text);
	buf_release(&again);
}

static void check_notify(struct span s)
{
	uint32_t notify, again;
	char text[32];

	if (!dsn_notify_parse(s, &notify))
		return;
	HOLDS(notify != 0);
	HOLDS(!(notify & DSN_NEVER) || notify == DSN_NEVER);
	dsn_notify_text(text, notify);
	HOLDS(dsn_notify_parse(span_of(text), &again) && again == notify);
}

static void check_params(struct span s)
{
	struct param params[COMMAND_PARAMS_MAX];
	uint64_t number;
	struct err e;
	size_t n;

	if (params_parse(s, params, &n, &e) != ST_OK) {
		check_refusal(&e);
		return;
	}
	HOLDS(n <= COMMAND_PARAMS_MAX);
	for (size_t i = 0; i < n; i++) {
		HOLDS(params[i].keyword.len > 0);
		HOLDS(params[i].has_value == (params[i].value.len > 0));
		check_xtext(params[i].value);
		check_notify(params[i].value);
		if (number_parse(params[i].value, &number)) {
			char *text = xasprintf("%llu",
					       (unsigned long long)number);

			HOLDS(span_ends_nocase(params[i].value, span_of(text)));
			free(text);
		}
	}
}

/* ------- an envelope, said again as we would say it */

static char *mail_text(const struct envelope *env)
{
	char *size = env->declared_bytes == 0
			     ? xstrdup("")
			     : xasprintf(" SIZE=%llu", (unsigned long long)
							       env->declared_bytes);
	char *text = xasprintf("FROM:<%s>%s%s%s%s%s%s%s", env->sender, size,
			       env->is_8bitmime ? " BODY=8BITMIME" : "",
			       env->smtputf8 ? " SMTPUTF8" : "",
			       *env->ret ? " RET=" : "", env->ret,
			       *env->envid ? " ENVID=" : "", env->envid);

	free(size);
	return text;
}

static char *rcpt_text(const struct envelope *env)
{
	char notify[32];

	dsn_notify_text(notify, env->candidate_notify);
	return xasprintf("TO:<%s>%s%s%s%s", env->candidate,
			 *notify ? " NOTIFY=" : "", notify,
			 *env->candidate_orcpt ? " ORCPT=" : "",
			 env->candidate_orcpt);
}

static void check_mail(const struct envelope *env)
{
	char *text = mail_text(env);
	struct envelope again;
	struct err e;

	envelope_init(&again);
	HOLDS(envelope_mail(&again, span_of(text), SIZE_LIMIT, &e) == ST_OK);
	HOLDS(strcmp(again.sender, env->sender) == 0);
	HOLDS(strcmp(again.envid, env->envid) == 0);
	HOLDS(strcmp(again.ret, env->ret) == 0);
	HOLDS(again.declared_bytes == env->declared_bytes);
	HOLDS(again.is_8bitmime == env->is_8bitmime);
	HOLDS(again.smtputf8 == env->smtputf8);
	HOLDS(env->declared_bytes <= SIZE_LIMIT);
	HOLDS(env->smtputf8 || fuzz_ascii(span_of(env->sender)));
	HOLDS(strlen(env->sender) <= PATH_MAX_LEN);
	fuzz_printable(env->sender);
	envelope_release(&again);
	free(text);
}

static void check_rcpt(const struct envelope *env)
{
	char *text = rcpt_text(env);
	struct envelope again;
	struct err e;

	envelope_init(&again);
	again.smtputf8 = env->smtputf8;
	HOLDS(envelope_rcpt(&again, span_of(text), &e) == ST_OK);
	HOLDS(strcmp(again.candidate, env->candidate) == 0);
	HOLDS(strcmp(again.candidate_orcpt, env->candidate_orcpt) == 0);
	HOLDS(again.candidate_notify == env->candidate_notify);
	HOLDS(env->smtputf8 || fuzz_ascii(span_of(env->candidate)));
	HOLDS(strlen(env->candidate_orcpt) <= DSN_ORCPT_MAX);
	fuzz_printable(env->candidate);
	fuzz_printable(env->candidate_orcpt);
	envelope_release(&again);
	free(text);
}

static void hear(struct envelope *env, const struct command *c)
{
	struct err e;

	if (span_eq_nocase(c->verb, SPAN("MAIL"))) {
		if (envelope_mail(env, c->args, SIZE_LIMIT, &e) == ST_OK)
			check_mail(env);
		else
			check_refusal(&e);
	} else if (span_eq_nocase(c->verb, SPAN("RCPT"))) {
		if (envelope_rcpt(env, c->args, &e) != ST_OK) {
			check_refusal(&e);
			return;
		}
		check_rcpt(env);
		envelope_join(env);
		HOLDS(env->candidate == NULL && env->nrecipients > 0);
	} else {
		check_params(c->args);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct envelope env;

	envelope_init(&env);
	while (in.len > 0) {
		const char *lf = memchr(in.at, '\n', in.len);
		struct span line = in;
		struct command c;

		if (lf != NULL)
			line.len = (size_t)(lf - in.at);
		in = span_skip(in, line.len + 1);
		if (!command_parse(line, &c))
			continue;
		HOLDS(c.verb.at == line.at && c.verb.len > 0);
		HOLDS(c.verb.len + c.args.len <= line.len);
		hear(&env, &c);
	}
	envelope_release(&env);
	return 0;
}
