/* SPDX-License-Identifier: ISC */
/*
 * envelope - the arguments of MAIL and RCPT, judged and kept.
 */
#include "smtp/envelope.h"

#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/command.h"

enum { DETAIL_RECIPIENT = 3, DETAIL_SENDER = 7 };

void envelope_init(struct envelope *env)
{
	*env = (struct envelope){.sender = NULL};
}

void envelope_release(struct envelope *env)
{
	for (size_t i = 0; i < env->nrecipients; i++)
		free(env->recipients[i]);
	free(env->recipients);
	free(env->candidate);
	free(env->sender);
	envelope_init(env);
}

static enum status refuse(struct err *e, uint16_t reply, const char *text)
{
	enum status st = err_perm(e, 5, 4, "%s", text);

	e->reply = reply;
	return st;
}

static char *address_string(const struct address *a)
{
	if (a->domain.len == 0)
		return span_dup(a->local);
	return xasprintf("%.*s@%.*s", (int)a->local.len, a->local.at,
			 (int)a->domain.len, a->domain.at);
}

/* "FROM:" or "TO:" and what may stand between it and the path: nothing by the
 * RFC, a space or more by the custom of many clients. */
static bool path_begins(struct span *args, struct span word)
{
	if (!span_starts_nocase(*args, word))
		return false;
	*args = span_trim(span_skip(*args, word.len));
	return args->len > 0 && args->at[0] == '<';
}

static bool number_parse(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(s.at[i] - '0');

		if (s.at[i] < '0' || s.at[i] > '9' ||
		    n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}

static enum status size_param(struct envelope *env, struct span value,
			      uint64_t max_bytes, struct err *e)
{
	enum status st = ST_OK;
	uint64_t n;

	if (!number_parse(value, &n))
		return refuse(e, 501, "Bad value of SIZE");
	if (max_bytes != 0 && n > max_bytes) {
		st = err_perm(e, 3, 4, "Message size exceeds fixed limit");
		e->reply = 552;
	} else {
		env->declared_bytes = n;
	}
	return st;
}

static enum status body_param(struct envelope *env, struct span value,
			      struct err *e)
{
	if (span_eq_nocase(value, SPAN("8BITMIME")))
		env->is_8bitmime = true;
	else if (!span_eq_nocase(value, SPAN("7BIT")))
		return refuse(e, 555, "Unsupported value of BODY");
	return ST_OK;
}

static enum status mail_param(struct envelope *env, const struct param *p,
			      uint64_t max_bytes, struct err *e)
{
	if (span_eq_nocase(p->keyword, SPAN("SIZE")))
		return size_param(env, p->value, max_bytes, e);
	if (span_eq_nocase(p->keyword, SPAN("BODY")))
		return body_param(env, p->value, e);
	return refuse(e, 555, "Unsupported parameter of MAIL");
}

enum status envelope_mail(struct envelope *env, struct span args,
			  uint64_t max_bytes, struct err *e)
{
	struct param params[COMMAND_PARAMS_MAX];
	struct envelope fresh;
	struct address a;
	size_t n = 0;
	enum status st;

	envelope_init(&fresh);
	if (!path_begins(&args, SPAN("FROM:")))
		return refuse(e, 501, "Syntax: MAIL FROM:<address>");
	st = path_parse(&args, DETAIL_SENDER, &a, e);
	if (st != ST_OK)
		return st;
	if (a.local.len > 0 && a.domain.len == 0) {
		st = err_perm(e, 1, DETAIL_SENDER,
			      "The sender's address has no domain");
		e->reply = 501;
		return st;
	}
	st = params_parse(args, params, &n, e);
	for (size_t i = 0; i < n && st == ST_OK; i++)
		st = mail_param(&fresh, &params[i], max_bytes, e);
	if (st != ST_OK)
		return st;
	envelope_release(env);
	fresh.sender = address_string(&a);
	*env = fresh;
	return ST_OK;
}

enum status envelope_rcpt(struct envelope *env, struct span args, struct err *e)
{
	struct param params[COMMAND_PARAMS_MAX];
	struct address a;
	size_t n = 0;
	enum status st;

	if (!path_begins(&args, SPAN("TO:")))
		return refuse(e, 501, "Syntax: RCPT TO:<address>");
	st = path_parse(&args, DETAIL_RECIPIENT, &a, e);
	if (st != ST_OK)
		return st;
	if (a.local.len == 0) {
		st = err_perm(e, 1, DETAIL_RECIPIENT,
			      "Bad recipient address syntax");
		e->reply = 501;
		return st;
	}
	st = params_parse(args, params, &n, e);
	if (st != ST_OK)
		return st;
	if (n > 0)
		return refuse(e, 555, "Unsupported parameter of RCPT");
	free(env->candidate);
	env->candidate = address_string(&a);
	return ST_OK;
}

void envelope_join(struct envelope *env)
{
	BUG_ON(env->candidate == NULL);
	if (env->nrecipients == env->room) {
		env->room = env->room > 0 ? env->room * 2 : 8;
		env->recipients = xrealloc(env->recipients, env->room,
					   sizeof(env->recipients[0]));
	}
	env->recipients[env->nrecipients++] = env->candidate;
	env->candidate = NULL;
}
