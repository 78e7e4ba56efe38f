/* SPDX-License-Identifier: ISC */
/*
 * verbs - what each command of a session does.
 *
 * The table says what may be said when; each handler does its work, writes its
 * reply and returns the next state.  Where the world is needed the handler
 * asks, and the table of asks says what follows each answer.
 */
#include "smtp/verbs.h"

#include <stdlib.h>

#include "smtp/reply.h"

#define IN(state) (1u << (state))
#define ANY (IN(S_HELLO) | IN(S_MAIL) | IN(S_RCPT) | IN(S_CHUNKS))

static const char needs_ehlo[] = "503 5.5.1 Send EHLO first";
static const char needs_mail[] = "503 5.5.1 Need MAIL command";
static const char needs_rcpt[] = "503 5.5.1 Need RCPT command";
static const char needs_tls[] = "530 5.7.0 Must issue a STARTTLS command first";
static const char no_recipients[] = "554 5.5.1 No valid recipients";

enum {
	FAILED_LOGINS_MAX = 3,
	REPLY_TEXT_SAID = 400, /* of a text the shell gives */
	V_CLEAR = 1 << 0, /* also in clear where TLS is forced */
	V_BARE = 1 << 1, /* has no argument */
};

struct verb {
	const char *name;
	unsigned heard_in; /* set of states */
	unsigned flags;
	enum state (*run)(struct server *s, struct span args);
	const char *out_of_order; /* said in other states */
};

/* A domain or a literal by the RFC; one word in fact: the names of clients are
 * what they are.  received_field() cleans it. */
static bool helo_take(struct server *s, struct span name)
{
	if (name.len == 0 || name.len >= sizeof(s->helo))
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = name.at[i];

		if (c <= ' ' || c > '~')
			return false;
	}
	memcpy(s->helo, name.at, name.len);
	s->helo[name.len] = '\0';
	return true;
}

static bool offers_starttls(const struct server *s)
{
	return s->conf.tls != SERVER_TLS_OFF && !s->in_tls;
}

static bool offers_auth(const struct server *s)
{
	return s->conf.auth && s->in_tls;
}

static bool lacks_tls(const struct server *s)
{
	return s->conf.tls == SERVER_TLS_FORCED && !s->in_tls;
}

static void offer_limits(struct server *s)
{
	BUG_ON(!buf_printf(&s->out, "250-LIMITS RCPTMAX=%u",
			   s->conf.max_recipients));
	if (s->conf.max_mails > 0)
		BUG_ON(!buf_printf(&s->out, " MAILMAX=%u", s->conf.max_mails));
	BUG_ON(!buf_printf(&s->out, "\r\n"));
}

static enum state greeted(struct server *s)
{
	s->chunk.failed = false;
	return server_end_transaction(s);
}

static enum state ehlo(struct server *s, struct span args)
{
	bool chunking = s->conf.chunking != SERVER_CHUNKING_OFF;

	if (!helo_take(s, args))
		return server_complain(s, "501 5.5.2 Syntax: EHLO hostname");
	s->is_esmtp = true;
	BUG_ON(!buf_printf(&s->out,
			   "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n"
			   "%s%s250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n%s",
			   s->conf.hostname,
			   (unsigned long long)s->conf.max_message_bytes,
			   offers_starttls(s) ? "250-STARTTLS\r\n" : "",
			   offers_auth(s) ? "250-AUTH PLAIN LOGIN\r\n" : "",
			   chunking ? "250-CHUNKING\r\n" : ""));
	offer_limits(s);
	server_say(s, "250 ENHANCEDSTATUSCODES");
	return greeted(s);
}

static enum state helo(struct server *s, struct span args)
{
	if (!helo_take(s, args))
		return server_complain(s, "501 5.5.2 Syntax: HELO hostname");
	s->is_esmtp = false;
	BUG_ON(!buf_printf(&s->out, "250 %s\r\n", s->conf.hostname));
	return greeted(s);
}

static enum state starttls(struct server *s, struct span args)
{
	(void)args;
	if (s->in_tls)
		return server_complain(s, "503 5.5.1 TLS is already active");
	if (!offers_starttls(s))
		return server_complain(s,
				       "502 5.5.1 STARTTLS is not available");
	server_say(s, "220 2.0.0 Ready to start TLS");
	return S_TLS;
}

static enum state mail(struct server *s, struct span args)
{
	struct err e;

	/* RFC 9422, MAILMAX: each MAIL counts, whatever comes of it. */
	if (s->conf.max_mails > 0 && s->mails >= s->conf.max_mails) {
		server_say(s, "421 4.7.0 Too many messages in a session");
		return S_CLOSED;
	}
	s->mails++;
	s->chunk.failed = false;
	if (envelope_mail(&s->env, args, s->conf.max_message_bytes, &e) !=
	    ST_OK)
		return server_complain_of(s, &e);
	return server_ask(s, SERVER_ASKS_MAIL);
}

static enum state mail_accepted(struct server *s, const char *text)
{
	server_say_ok(s, "2.1.0", text);
	return S_RCPT;
}

static enum state ask_refused(struct server *s, const struct err *e)
{
	reply_from_err(&s->out, e);
	return server_end_transaction(s);
}

static enum state rcpt(struct server *s, struct span args)
{
	struct err e;

	if (envelope_rcpt(&s->env, args, &e) != ST_OK) {
		s->env.has_refused = true;
		return server_complain_of(s, &e);
	}
	if (s->env.nrecipients >= s->conf.max_recipients) {
		s->env.has_refused = true;
		server_say(s, "452 4.5.3 Too many recipients");
		return S_RCPT;
	}
	return server_ask(s, SERVER_ASKS_RCPT);
}

static enum state rcpt_accepted(struct server *s, const char *text)
{
	envelope_join(&s->env);
	server_say_ok(s, "2.1.5", text);
	return S_RCPT;
}

static enum state rcpt_refused(struct server *s, const struct err *e)
{
	reply_from_err(&s->out, e);
	s->env.has_refused = true;
	return S_RCPT;
}

/* Why no content can come now; NULL: it can. */
static const char *content_complaint(const struct server *s)
{
	if (s->env.nrecipients > 0)
		return NULL;
	return s->env.has_refused ? no_recipients : needs_rcpt;
}

static enum state data(struct server *s, struct span args)
{
	const char *complaint = content_complaint(s);

	(void)args;
	if (complaint != NULL)
		return server_complain(s, complaint);
	return server_ask(s, SERVER_ASKS_DATA);
}

static enum state data_accepted(struct server *s, const char *text)
{
	(void)text;
	s->body_begun = true;
	if (s->chunk.in_message)
		return S_CHUNK;
	server_say(s, "354 End data with <CR><LF>.<CR><LF>");
	return S_BODY;
}

/* RFC 3030 2: a chunk is read before it is refused. */
static enum state data_refused(struct server *s, const struct err *e)
{
	if (!s->chunk.in_message || e->reply == 421)
		return ask_refused(s, e);
	s->chunk.refusal = *e;
	(void)server_end_transaction(s);
	return S_CHUNK;
}

/* "86 LAST" */
static bool chunk_parse(struct span args, struct chunk *c)
{
	size_t n = 0;
	struct span rest;

	while (n < args.len && args.at[n] != ' ')
		n++;
	rest = span_trim(span_skip(args, n));
	c->is_last = rest.len > 0;
	if (rest.len > 0 && !span_eq_nocase(rest, SPAN("LAST")))
		return false;
	if (!number_parse((struct span){args.at, n}, &c->bytes))
		return false;
	c->left = c->bytes;
	c->complaint = NULL;
	c->refusal.status = ST_OK;
	return true;
}

static const char *chunk_complaint(const struct server *s)
{
	if (lacks_tls(s))
		return needs_tls;
	if (s->state == S_HELLO)
		return needs_ehlo;
	if (s->state == S_MAIL)
		return needs_mail;
	return s->state == S_CHUNKS ? NULL : content_complaint(s);
}

/* Takes all states on itself, for the chunk behind it has to be read whatever
 * is to be said of it. */
static enum state bdat(struct server *s, struct span args)
{
	struct chunk *c = &s->chunk;

	if (s->conf.chunking == SERVER_CHUNKING_OFF)
		return server_complain(s, lacks_tls(s)
						  ? needs_tls
						  : "502 5.5.1 BDAT is not "
						    "available");
	/* Nobody knows where this chunk ends and commands begin again. */
	if (!chunk_parse(args, c)) {
		server_say(s, "501 5.5.4 Syntax: BDAT size [LAST]");
		return S_CLOSED;
	}
	c->before = s->state;
	c->complaint = chunk_complaint(s);
	if (c->complaint != NULL)
		return S_CHUNK;
	if (!c->in_message)
		incoming_chunks(&s->incoming,
				s->conf.chunking ==
					SERVER_CHUNKING_PASSTHROUGH);
	incoming_announce(&s->incoming, c->bytes);
	if (c->in_message)
		return S_CHUNK;
	c->in_message = true;
	return server_ask(s, SERVER_ASKS_DATA);
}

/* Chunks that were on their way when one before them was refused are answered,
 * and are no errors. */
static enum state chunk_complained(struct server *s)
{
	s->state = s->chunk.before;
	if (!s->chunk.failed)
		return server_complain(s, s->chunk.complaint);
	server_say(s, s->chunk.complaint);
	return s->state;
}

enum state verb_chunk_over(struct server *s)
{
	struct chunk *c = &s->chunk;

	if (c->complaint != NULL)
		return chunk_complained(s);
	if (c->refusal.status != ST_OK || s->incoming.spoilt) {
		if (c->refusal.status != ST_OK)
			reply_from_err(&s->out, &c->refusal);
		else
			server_say(s, incoming_refusal(&s->incoming));
		c->failed = true;
		return server_end_transaction(s);
	}
	BUG_ON(!buf_printf(&s->out, "250 2.0.0 %llu octets received\r\n",
			   (unsigned long long)c->bytes));
	return S_CHUNKS;
}

static enum state commit_accepted(struct server *s, const char *text)
{
	s->body_begun = false;
	server_say_ok(s, "2.0.0", text);
	return server_end_transaction(s);
}

/* What was refused is gone without SERVER_DROPS. */
static enum state commit_refused(struct server *s, const struct err *e)
{
	s->body_begun = false;
	return ask_refused(s, e);
}

static enum state challenge(struct server *s)
{
	BUG_ON(!buf_printf(&s->out, "334 %s\r\n", sasl_challenge(&s->sasl)));
	return S_AUTH;
}

static enum state login_failed(struct server *s)
{
	sasl_release(&s->sasl);
	if (++s->failed_logins < FAILED_LOGINS_MAX)
		return S_MAIL;
	server_say(s, "421 4.7.0 Too many failed logins");
	return S_CLOSED;
}

static enum state login_broken(struct server *s, const char *reply)
{
	sasl_release(&s->sasl);
	s->state = S_MAIL;
	return server_complain(s, reply);
}

static enum state answer_heard(struct server *s, enum sasl_result result)
{
	switch (result) {
	case SASL_CHALLENGES:
		return challenge(s);
	case SASL_DONE:
		return server_ask(s, SERVER_ASKS_AUTH);
	case SASL_BROKEN:
		break;
	case SASL_REFUSED:
		server_say(s, "535 5.7.8 You may act for yourself only");
		return login_failed(s);
	}
	return login_broken(s, "501 5.5.2 Bad answer to the challenge");
}

static enum state auth(struct server *s, struct span args)
{
	struct span mechanism = {args.at, 0}, initial;

	if (!s->conf.auth)
		return server_complain(s, "502 5.5.1 AUTH is not available");
	if (!s->in_tls)
		return server_complain(s, "538 5.7.11 Encryption required");
	if (s->user != NULL)
		return server_complain(s, "503 5.5.1 Already logged in");
	while (mechanism.len < args.len && args.at[mechanism.len] != ' ')
		mechanism.len++;
	initial = span_trim(span_skip(args, mechanism.len));
	if (mechanism.len == 0 ||
	    (initial.len > 0 && memchr(initial.at, ' ', initial.len) != NULL))
		return server_complain(
			s, "501 5.5.4 Syntax: AUTH mechanism [answer]");
	if (!sasl_begin(&s->sasl, mechanism))
		return server_complain(s,
				       "504 5.5.4 Mechanism is not supported");
	if (initial.len == 0)
		return challenge(s);
	return answer_heard(s, sasl_hear(&s->sasl, initial, true));
}

enum state verb_auth_answer(struct server *s, struct span line)
{
	if (span_eq(line, SPAN("*")))
		return login_broken(s, "501 5.7.0 Login was cancelled");
	return answer_heard(s, sasl_hear(&s->sasl, line, false));
}

static enum state auth_accepted(struct server *s, const char *text)
{
	s->user = xstrdup(s->sasl.user);
	sasl_release(&s->sasl);
	BUG_ON(!buf_printf(&s->out, "235 2.7.0 %.*s\r\n", REPLY_TEXT_SAID,
			   text != NULL ? text : "Logged in"));
	return S_MAIL;
}

/* RFC 4954 6; who could not be judged has not failed. */
static enum state auth_refused(struct server *s, const struct err *e)
{
	struct err said = *e;

	if (said.reply == 0)
		said.reply = said.status == ST_TEMP ? 454 : 535;
	reply_from_err(&s->out, &said);
	if (said.status == ST_PERM)
		return login_failed(s);
	sasl_release(&s->sasl);
	return S_MAIL;
}

static enum state rset(struct server *s, struct span args)
{
	(void)args;
	s->chunk.failed = false;
	server_say_ok(s, "2.0.0", NULL);
	return s->state == S_HELLO ? S_HELLO : server_end_transaction(s);
}

static enum state noop(struct server *s, struct span args)
{
	(void)args;
	server_say_ok(s, "2.0.0", NULL);
	return s->state;
}

static enum state quit(struct server *s, struct span args)
{
	(void)args;
	server_say(s, "221 2.0.0 Bye");
	return S_CLOSED;
}

/* RFC 5321 3.5.3: a relay does not know; it says so with 252. */
static enum state vrfy(struct server *s, struct span args)
{
	if (args.len == 0)
		return server_complain(s, "501 5.5.4 Syntax: VRFY address");
	server_say(s,
		   "252 2.0.0 Cannot verify, but will take mail for delivery");
	return s->state;
}

static enum state help(struct server *s, struct span args)
{
	(void)args;
	BUG_ON(!buf_printf(
		&s->out,
		"214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY "
		"STARTTLS HELP%s%s\r\n",
		s->conf.chunking != SERVER_CHUNKING_OFF ? " BDAT" : "",
		s->conf.auth ? " AUTH" : ""));
	return s->state;
}

static enum state not_implemented(struct server *s, struct span args)
{
	(void)args;
	return server_complain(s, "502 5.5.1 Command not implemented");
}

/* A browser or a scanner: mail cannot come of it, but a request whose body
 * holds commands could be an attack through somebody else's browser. */
enum state verb_noise(struct server *s, struct span args)
{
	(void)args;
	server_say(s, "421 4.7.0 This is an SMTP server");
	return S_CLOSED;
}

/* clang-format off */
static const struct verb verbs[] = {
	/* verb      heard in    flags           what it does */
	{ "EHLO",     ANY,        V_CLEAR,        ehlo, NULL },
	{ "HELO",     ANY,        V_CLEAR,        helo, NULL },
	{ "STARTTLS", IN(S_MAIL), V_CLEAR|V_BARE, starttls,
	  "503 5.5.1 STARTTLS is not possible within a transaction" },
	{ "AUTH",     IN(S_MAIL), 0,              auth,
	  "503 5.5.1 AUTH is not possible within a transaction" },
	{ "MAIL",     IN(S_MAIL), 0,              mail,
	  "503 5.5.1 Nested MAIL command" },
	{ "RCPT",     IN(S_RCPT), 0,              rcpt,
	  needs_mail },
	{ "DATA",     IN(S_RCPT), V_BARE,         data, needs_mail },
	{ "BDAT",     ANY,        V_CLEAR,        bdat, NULL },
	{ "RSET",     ANY,        V_CLEAR|V_BARE, rset, NULL },
	{ "NOOP",     ANY,        V_CLEAR,        noop, NULL },
	{ "QUIT",     ANY,        V_CLEAR|V_BARE, quit, NULL },
	{ "VRFY",     ANY,        0,              vrfy, NULL },
	{ "HELP",     ANY,        V_CLEAR,        help, NULL },
	{ "EXPN",     ANY,        0,              not_implemented, NULL },
	/* HTTP */
	{ "GET",      ANY,        V_CLEAR,        verb_noise, NULL },
	{ "HEAD",     ANY,        V_CLEAR,        verb_noise, NULL },
	{ "POST",     ANY,        V_CLEAR,        verb_noise, NULL },
	{ "PUT",      ANY,        V_CLEAR,        verb_noise, NULL },
	{ "PATCH",    ANY,        V_CLEAR,        verb_noise, NULL },
	{ "DELETE",   ANY,        V_CLEAR,        verb_noise, NULL },
	{ "OPTIONS",  ANY,        V_CLEAR,        verb_noise, NULL },
	{ "TRACE",    ANY,        V_CLEAR,        verb_noise, NULL },
	{ "CONNECT",  ANY,        V_CLEAR,        verb_noise, NULL },
};
/* clang-format on */

/* What follows the shell's answer. */
struct ask {
	enum state (*accepted)(struct server *s, const char *text);
	enum state (*refused)(struct server *s, const struct err *e);
};

static const struct ask asks[] = {
	[SERVER_ASKS_AUTH] = {auth_accepted, auth_refused},
	[SERVER_ASKS_MAIL] = {mail_accepted, ask_refused},
	[SERVER_ASKS_RCPT] = {rcpt_accepted, rcpt_refused},
	[SERVER_ASKS_DATA] = {data_accepted, data_refused},
	[SERVER_ASKS_COMMIT] = {commit_accepted, commit_refused},
};

static const struct verb *verb_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (span_eq_nocase(name, span_of(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

static const char *out_of_order(const struct server *s, const struct verb *v)
{
	if (s->state == S_HELLO)
		return needs_ehlo;
	if (s->state == S_CHUNKS && v->heard_in == IN(S_RCPT))
		return "503 5.5.1 The message comes by BDAT";
	return v->out_of_order;
}

enum state verb_run(struct server *s, const struct command *c)
{
	const struct verb *v = verb_find(c->verb);

	if (lacks_tls(s) && (v == NULL || !(v->flags & V_CLEAR)))
		return server_complain(s, needs_tls);
	if (v == NULL)
		return server_complain(s, "500 5.5.2 Command not recognized");
	if (!(v->heard_in & IN(s->state)))
		return server_complain(s, out_of_order(s, v));
	if ((v->flags & V_BARE) && c->args.len > 0)
		return server_complain(s,
				       "501 5.5.4 The command has no argument");
	return v->run(s, c->args);
}

enum state verb_accepted(struct server *s, const char *text)
{
	return asks[s->asked].accepted(s, text);
}

enum state verb_refused(struct server *s, const struct err *e)
{
	return asks[s->asked].refused(s, e);
}
