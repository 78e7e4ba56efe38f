/* SPDX-License-Identifier: ISC */
/*
 * server - hears lines and a message, and answers.
 *
 * What a command does stands in verbs.c; this is the machine around it.  Where
 * the world is needed it is in S_ASKED until the shell answers.
 *
 *	      EHLO/HELO       MAIL (asked)      DATA (asked)
 *	S_HELLO -----> S_MAIL -----> S_RCPT -----------> S_BODY
 *	   ^            |  ^-------------+------------------|
 *	   +--- S_TLS <-+           RSET, EHLO         end (asked)
 *	          STARTTLS
 *
 * A line is taken from the input only when it is whole, so it makes no
 * difference how the bytes arrive.
 */
#include "smtp/server.h"

#include <stdlib.h>

#include "smtp/reply.h"
#include "smtp/verbs.h"

enum {
	OUTPUT_HIGH_BYTES = 16 * 1024, /* no command is heard above it */
	OUTPUT_MAX_BYTES = OUTPUT_HIGH_BYTES + 4 * REPLY_SAID_MAX,
	TEXT_MAX = 400, /* of a text the shell gives */
	TLS_RECORD = 0x16, /* how a TLS handshake begins */
};

static const char *const state_words[] = {
	[S_NEW] = "new",   [S_HELLO] = "hello",	  [S_MAIL] = "mail",
	[S_RCPT] = "rcpt", [S_BODY] = "body",	  [S_ASKED] = "asked",
	[S_TLS] = "tls",   [S_CLOSED] = "closed",
};
_Static_assert(ARRAY_LEN(state_words) == STATES, "a state without a word");

/* ------- for the verbs */

void server_say(struct server *s, const char *reply)
{
	BUG_ON(!buf_printf(&s->out, "%s\r\n", reply));
}

void server_say_ok(struct server *s, const char *code, const char *text)
{
	BUG_ON(!buf_printf(&s->out, "250 %s %.*s\r\n", code, TEXT_MAX,
			   text != NULL ? text : "Ok"));
}

static enum state count_error(struct server *s)
{
	if (++s->errors != s->conf.max_errors)
		return s->state;
	server_say(s, "421 4.7.0 Too many errors");
	return S_CLOSED;
}

enum state server_complain(struct server *s, const char *reply)
{
	server_say(s, reply);
	return count_error(s);
}

/* Only errors of protocol (x.5.x) and of address syntax (x.1.x) count: a
 * message too large or a recipient too many is no sign of a bad client. */
enum state server_complain_of(struct server *s, const struct err *e)
{
	reply_from_err(&s->out, e);
	if (e->subject != 5 && e->subject != 1)
		return s->state;
	return count_error(s);
}

enum state server_ask(struct server *s, enum server_wants what)
{
	s->asked = what;
	return S_ASKED;
}

enum state server_end_transaction(struct server *s)
{
	envelope_release(&s->env);
	incoming_release(&s->incoming);
	return S_MAIL;
}

/* ------- the machine */

/* The line with all that stands before its LF. */
static enum state line_heard(struct server *s, struct span line)
{
	struct command c;

	/* RFC 5321 2.3.8: only CRLF ends a line, in commands as in data. */
	if (line.len == 0 || line.at[line.len - 1] != '\r')
		return server_complain(s,
				       "500 5.5.2 A line must end with CRLF");
	line.len--;
	if (!command_parse(line, &c))
		return server_complain(s, "500 5.5.2 Bad syntax");
	return verb_run(s, &c);
}

static bool is_noise(char first)
{
	return first == TLS_RECORD || (unsigned char)first >= 0x80;
}

/* Hears a command, if a whole line is there. */
static bool command_step(struct server *s, struct span *in)
{
	bool too_long = in->len >= COMMAND_LINE_MAX;
	const char *lf;
	struct span line = *in;

	if (in->len == 0)
		return false;
	if (!s->swallows && is_noise(in->at[0])) {
		s->state = verb_noise(s, *in);
		return true;
	}
	lf = memchr(in->at, '\n', in->len);
	if (lf == NULL) {
		if (too_long || s->swallows) {
			s->swallows = true;
			*in = span_skip(*in, in->len);
		}
		return false;
	}
	line.len = (size_t)(lf - in->at);
	*in = span_skip(*in, line.len + 1);
	if (s->swallows || line.len >= COMMAND_LINE_MAX) {
		s->swallows = false;
		s->state = server_complain(s, "500 5.5.2 Line too long");
	} else {
		s->state = line_heard(s, line);
	}
	return true;
}

/* True: *wants is to be returned. */
static bool body_step(struct server *s, struct span *in,
		      enum server_wants *wants)
{
	switch (incoming_feed(&s->incoming, in)) {
	case INCOMING_MORE:
		*wants = SERVER_WANTS_INPUT;
		return true;
	case INCOMING_PIECE:
		*wants = SERVER_GIVES_BODY;
		return true;
	case INCOMING_SPOILT:
		*wants = SERVER_DROPS;
		return true;
	case INCOMING_SPOILT_END:
		server_say(s, incoming_refusal(&s->incoming));
		s->state = server_end_transaction(s);
		break;
	case INCOMING_WHOLE:
		s->state = server_ask(s, SERVER_ASKS_COMMIT);
		break;
	}
	return false;
}

/* ------- machine */

struct server *server_new(const struct server_conf *conf)
{
	struct server *s = xcalloc(1, sizeof(*s));

	s->conf = *conf;
	s->in_tls = conf->in_tls;
	s->state = S_NEW;
	envelope_init(&s->env);
	incoming_init(&s->incoming, conf->max_message_bytes);
	buf_init(&s->out, OUTPUT_MAX_BYTES);
	return s;
}

void server_free(struct server *s)
{
	if (s == NULL)
		return;
	envelope_release(&s->env);
	incoming_release(&s->incoming);
	buf_release(&s->out);
	free(s);
}

void server_greet(struct server *s, const struct err *refusal)
{
	struct err e;

	BUG_ON(s->state != S_NEW);
	if (refusal == NULL) {
		BUG_ON(!buf_printf(&s->out, "220 %s ESMTP relayd\r\n",
				   s->conf.hostname));
		s->state = S_HELLO;
		return;
	}
	e = *refusal;
	e.reply = e.status == ST_TEMP ? 421 : 554;
	reply_from_err(&s->out, &e);
	s->state = S_CLOSED;
}

enum server_wants server_step(struct server *s, struct span *in)
{
	enum server_wants wants;

	BUG_ON(s->state == S_NEW || s->state == S_ASKED);
	for (;;) {
		switch (s->state) {
		case S_HELLO:
		case S_MAIL:
		case S_RCPT:
			if (s->out.len > OUTPUT_HIGH_BYTES)
				return SERVER_WANTS_FLUSH;
			if (!command_step(s, in))
				return SERVER_WANTS_INPUT;
			break;
		case S_BODY:
			if (body_step(s, in, &wants))
				return wants;
			break;
		case S_ASKED:
			return s->asked;
		case S_TLS:
			return SERVER_ASKS_TLS;
		case S_NEW:
		case S_CLOSED:
		case STATES:
			return SERVER_CLOSES;
		}
	}
}

void server_accept(struct server *s, const char *text)
{
	if (s->state == S_CLOSED)
		return;
	BUG_ON(s->state != S_ASKED);
	s->state = verb_accepted(s, text);
}

void server_refuse(struct server *s, const struct err *e)
{
	if (s->state == S_CLOSED)
		return;
	BUG_ON(s->state != S_ASKED);
	reply_from_err(&s->out, e);
	s->state = verb_refused(s);
	if (e->reply == 421)
		s->state = S_CLOSED;
}

void server_tls_started(struct server *s)
{
	BUG_ON(s->state != S_TLS);
	(void)server_end_transaction(s);
	s->helo[0] = '\0';
	s->is_esmtp = false;
	s->in_tls = true;
	s->state = S_HELLO;
}

static void close_with(struct server *s, const char *code, const char *text)
{
	if (s->state == S_CLOSED)
		return;
	BUG_ON(!buf_printf(&s->out, "421 %s %.*s\r\n", code, TEXT_MAX, text));
	s->state = S_CLOSED;
}

void server_expire(struct server *s, const char *text)
{
	close_with(s, "4.4.2", text);
}

void server_shut_down(struct server *s, const char *text)
{
	close_with(s, "4.3.2", text);
}

struct buf *server_output(struct server *s)
{
	return &s->out;
}

/* ------- what is known */

const char *server_helo(const struct server *s)
{
	return s->helo;
}

bool server_is_esmtp(const struct server *s)
{
	return s->is_esmtp;
}

const char *server_sender(const struct server *s)
{
	return s->env.sender != NULL ? s->env.sender : "";
}

uint64_t server_declared_bytes(const struct server *s)
{
	return s->env.declared_bytes;
}

bool server_8bitmime(const struct server *s)
{
	return s->env.is_8bitmime;
}

const char *server_recipient(const struct server *s)
{
	return s->env.candidate != NULL ? s->env.candidate : "";
}

const char *const *server_recipients(const struct server *s, size_t *n)
{
	*n = s->env.nrecipients;
	return (const char *const *)s->env.recipients;
}

struct span server_body(const struct server *s)
{
	return incoming_piece(&s->incoming);
}

bool server_has_8bit(const struct server *s)
{
	return s->incoming.data.has_8bit;
}

const char *server_message_id(const struct server *s)
{
	return s->incoming.scan.message_id;
}

unsigned server_hops(const struct server *s)
{
	return s->incoming.scan.received;
}

const char *server_state(const struct server *s)
{
	return state_words[s->state];
}
