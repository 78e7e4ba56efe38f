/* SPDX-License-Identifier: ISC */
/*
 * verbs - what each command of a session does.
 *
 * The table says what may be said when; each handler does its work, writes its
 * reply and returns the next state.  Where the world is needed the handler
 * asks, and the table of asks says what follows each answer.
 */
#include "smtp/verbs.h"

#include "smtp/reply.h"

#define IN(state) (1u << (state))
#define ANY (IN(S_HELLO) | IN(S_MAIL) | IN(S_RCPT))

enum {
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

static enum state ehlo(struct server *s, struct span args)
{
	if (!helo_take(s, args))
		return server_complain(s, "501 5.5.2 Syntax: EHLO hostname");
	s->is_esmtp = true;
	BUG_ON(!buf_printf(&s->out,
			   "250-%s\r\n250-PIPELINING\r\n250-SIZE %llu\r\n%s"
			   "250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n",
			   s->conf.hostname,
			   (unsigned long long)s->conf.max_message_bytes,
			   offers_starttls(s) ? "250-STARTTLS\r\n" : ""));
	return server_end_transaction(s);
}

static enum state helo(struct server *s, struct span args)
{
	if (!helo_take(s, args))
		return server_complain(s, "501 5.5.2 Syntax: HELO hostname");
	s->is_esmtp = false;
	BUG_ON(!buf_printf(&s->out, "250 %s\r\n", s->conf.hostname));
	return server_end_transaction(s);
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

static enum state rcpt_refused(struct server *s)
{
	s->env.has_refused = true;
	return S_RCPT;
}

static enum state data(struct server *s, struct span args)
{
	(void)args;
	if (s->env.nrecipients > 0)
		return server_ask(s, SERVER_ASKS_DATA);
	if (s->env.has_refused)
		return server_complain(s, "554 5.5.1 No valid recipients");
	return server_complain(s, "503 5.5.1 Need RCPT command");
}

static enum state data_accepted(struct server *s, const char *text)
{
	(void)text;
	server_say(s, "354 End data with <CR><LF>.<CR><LF>");
	return S_BODY;
}

static enum state commit_accepted(struct server *s, const char *text)
{
	server_say_ok(s, "2.0.0", text);
	return server_end_transaction(s);
}

static enum state rset(struct server *s, struct span args)
{
	(void)args;
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
	server_say(s, "214 2.0.0 EHLO HELO MAIL RCPT DATA RSET NOOP QUIT VRFY "
		      "STARTTLS HELP");
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
	{ "MAIL",     IN(S_MAIL), 0,              mail,
	  "503 5.5.1 Nested MAIL command" },
	{ "RCPT",     IN(S_RCPT), 0,              rcpt,
	  "503 5.5.1 Need MAIL command" },
	{ "DATA",     IN(S_RCPT), V_BARE,         data,
	  "503 5.5.1 Need MAIL command" },
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
	enum state (*refused)(struct server *s);
};

static const struct ask asks[] = {
	[SERVER_ASKS_MAIL] = {mail_accepted, server_end_transaction},
	[SERVER_ASKS_RCPT] = {rcpt_accepted, rcpt_refused},
	[SERVER_ASKS_DATA] = {data_accepted, server_end_transaction},
	[SERVER_ASKS_COMMIT] = {commit_accepted, server_end_transaction},
};

static const struct verb *verb_find(struct span name)
{
	for (size_t i = 0; i < ARRAY_LEN(verbs); i++)
		if (span_eq_nocase(name, span_of(verbs[i].name)))
			return &verbs[i];
	return NULL;
}

enum state verb_run(struct server *s, const struct command *c)
{
	const struct verb *v = verb_find(c->verb);

	if (s->conf.tls == SERVER_TLS_FORCED && !s->in_tls &&
	    (v == NULL || !(v->flags & V_CLEAR)))
		return server_complain(
			s, "530 5.7.0 Must issue a STARTTLS command "
			   "first");
	if (v == NULL)
		return server_complain(s, "500 5.5.2 Command not recognized");
	if (!(v->heard_in & IN(s->state)))
		return server_complain(s, s->state == S_HELLO
						  ? "503 5.5.1 Send EHLO first"
						  : v->out_of_order);
	if ((v->flags & V_BARE) && c->args.len > 0)
		return server_complain(s,
				       "501 5.5.4 The command has no argument");
	return v->run(s, c->args);
}

enum state verb_accepted(struct server *s, const char *text)
{
	return asks[s->asked].accepted(s, text);
}

enum state verb_refused(struct server *s)
{
	return asks[s->asked].refused(s);
}
