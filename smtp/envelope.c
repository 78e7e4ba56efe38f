/* SPDX-License-Identifier: ISC */
/*
 * envelope - the arguments of MAIL and RCPT, judged and kept.
 */
#include "smtp/envelope.h"

#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/command.h"

enum { DETAIL_RECIPIENT = 3, DETAIL_SENDER = 7, AUTH_PARAM_MAX = 500 };

void envelope_init(struct envelope *env)
{
	*env = (struct envelope){.ret = ""};
}

void envelope_release(struct envelope *env)
{
	for (size_t i = 0; i < env->nrecipients; i++) {
		free(env->recipients[i]);
		free(env->orcpts[i]);
	}
	free(env->recipients);
	free(env->orcpts);
	free(env->notifies);
	free(env->candidate);
	free(env->candidate_orcpt);
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

static enum status ret_param(struct envelope *env, struct span value,
			     struct err *e)
{
	if (span_eq_nocase(value, SPAN("FULL")))
		env->ret = "FULL";
	else if (span_eq_nocase(value, SPAN("HDRS")))
		env->ret = "HDRS";
	else
		return refuse(e, 501, "Bad value of RET");
	return ST_OK;
}

/* RFC 3461 4.2, 4.4: what the xtext stands for is printable ASCII. */
static bool is_printable_xtext(struct span s, size_t max)
{
	struct buf text;
	struct span t;
	bool ok;

	buf_init(&text, max);
	ok = xtext_valid(s, max) && xtext_decode(s, &text);
	t = buf_span(&text);
	for (size_t i = 0; i < t.len && ok; i++)
		ok = t.at[i] >= ' ' && t.at[i] <= '~';
	buf_release(&text);
	return ok;
}

static enum status envid_param(struct envelope *env, struct span value,
			       struct err *e)
{
	if (value.len == 0 || !is_printable_xtext(value, DSN_ENVID_MAX))
		return refuse(e, 501, "Bad value of ENVID");
	memcpy(env->envid, value.at, value.len);
	env->envid[value.len] = '\0';
	return ST_OK;
}

/* RFC 4954 5: who handed the message in first.  We trust nobody in this, and
 * may then forget it. */
static enum status auth_param(struct span value, struct err *e)
{
	if (value.len == 0 || !xtext_valid(value, AUTH_PARAM_MAX))
		return refuse(e, 501, "Bad value of AUTH");
	return ST_OK;
}

static enum status smtputf8_param(struct envelope *env, const struct param *p,
				  struct err *e)
{
	if (p->has_value)
		return refuse(e, 501, "SMTPUTF8 has no value");
	env->smtputf8 = true;
	return ST_OK;
}

static enum status mail_param(struct envelope *env, const struct param *p,
			      uint64_t max_bytes, struct err *e)
{
	if (span_eq_nocase(p->keyword, SPAN("SIZE")))
		return size_param(env, p->value, max_bytes, e);
	if (span_eq_nocase(p->keyword, SPAN("BODY")))
		return body_param(env, p->value, e);
	if (span_eq_nocase(p->keyword, SPAN("SMTPUTF8")))
		return smtputf8_param(env, p, e);
	if (span_eq_nocase(p->keyword, SPAN("RET")))
		return ret_param(env, p->value, e);
	if (span_eq_nocase(p->keyword, SPAN("ENVID")))
		return envid_param(env, p->value, e);
	if (span_eq_nocase(p->keyword, SPAN("AUTH")))
		return auth_param(p->value, e);
	return refuse(e, 555, "Unsupported parameter of MAIL");
}

/* RFC 6531 3.5 */
static enum status check_ascii(const struct address *a, bool smtputf8,
			       struct err *e)
{
	enum status st;

	if (smtputf8 || address_is_ascii(a))
		return ST_OK;
	st = err_perm(e, 6, 7, "Such an address needs SMTPUTF8");
	e->reply = 553;
	return st;
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
	if (st == ST_OK)
		st = check_ascii(&a, fresh.smtputf8, e);
	if (st != ST_OK)
		return st;
	envelope_release(env);
	fresh.sender = address_string(&a);
	*env = fresh;
	return ST_OK;
}

/* RFC 6533 3: of the type utf-8 an address may be said as it is, where
 * SMTPUTF8 was.  What stands between its wide characters is xtext, too. */
static bool is_utf8_address(struct span s)
{
	while (s.len > 0) {
		size_t n = span_utf8(s);
		size_t run = 0;

		if (n > 1) {
			s = span_skip(s, n);
			continue;
		}
		while (run < s.len && (unsigned char)s.at[run] < 0x80)
			run++;
		if (run == 0 || !xtext_valid((struct span){s.at, run}, run))
			return false;
		s = span_skip(s, run);
	}
	return true;
}

/* addr-type ";" xtext */
static bool orcpt_valid(struct span s, bool smtputf8)
{
	const char *semicolon = s.len > 0 ? memchr(s.at, ';', s.len) : NULL;
	struct span type = {s.at, 0}, address;

	if (semicolon == NULL || s.len > DSN_ORCPT_MAX)
		return false;
	type.len = (size_t)(semicolon - s.at);
	address = span_skip(s, type.len + 1);
	if (type.len == 0 || address.len == 0)
		return false;
	for (size_t i = 0; i < type.len; i++)
		if (type.at[i] <= ' ' || type.at[i] > '~' ||
		    strchr("()<>@,;:\\\"/[]?.+=", type.at[i]) != NULL)
			return false;
	if (smtputf8 && span_eq_nocase(type, SPAN("utf-8")))
		return is_utf8_address(address);
	return is_printable_xtext(address, DSN_ORCPT_MAX);
}

static enum status rcpt_param(const struct envelope *env, const struct param *p,
			      struct span *orcpt, uint32_t *notify,
			      struct err *e)
{
	if (span_eq_nocase(p->keyword, SPAN("NOTIFY"))) {
		if (!dsn_notify_parse(p->value, notify))
			return refuse(e, 501, "Bad value of NOTIFY");
	} else if (span_eq_nocase(p->keyword, SPAN("ORCPT"))) {
		if (!orcpt_valid(p->value, env->smtputf8))
			return refuse(e, 501, "Bad value of ORCPT");
		*orcpt = p->value;
	} else {
		return refuse(e, 555, "Unsupported parameter of RCPT");
	}
	return ST_OK;
}

enum status envelope_rcpt(struct envelope *env, struct span args, struct err *e)
{
	struct param params[COMMAND_PARAMS_MAX];
	struct span orcpt = SPAN("");
	uint32_t notify = 0;
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
	for (size_t i = 0; i < n && st == ST_OK; i++)
		st = rcpt_param(env, &params[i], &orcpt, &notify, e);
	if (st == ST_OK)
		st = check_ascii(&a, env->smtputf8, e);
	if (st != ST_OK)
		return st;
	free(env->candidate);
	free(env->candidate_orcpt);
	env->candidate = address_string(&a);
	env->candidate_orcpt = span_dup(orcpt);
	env->candidate_notify = notify;
	return ST_OK;
}

static void grow(struct envelope *env)
{
	size_t room = env->room > 0 ? env->room * 2 : 8;

	env->recipients =
		xrealloc(env->recipients, room, sizeof(env->recipients[0]));
	env->orcpts = xrealloc(env->orcpts, room, sizeof(env->orcpts[0]));
	env->notifies = xrealloc(env->notifies, room, sizeof(env->notifies[0]));
	env->room = room;
}

void envelope_join(struct envelope *env)
{
	size_t n = env->nrecipients;

	BUG_ON(env->candidate == NULL);
	if (n == env->room)
		grow(env);
	env->recipients[n] = env->candidate;
	env->orcpts[n] = env->candidate_orcpt;
	env->notifies[n] = env->candidate_notify;
	env->nrecipients++;
	env->candidate = NULL;
	env->candidate_orcpt = NULL;
}
