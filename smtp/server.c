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
 * By BDAT the message comes in chunks: S_RCPT -> S_CHUNK -> S_CHUNKS -> S_CHUNK,
 * and with the last chunk to its end.  A chunk that can't be taken is read all
 * the same, in any state, lest its bytes be heard as commands.
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
	[S_RCPT] = "rcpt", [S_BODY] = "body",	  [S_CHUNK] = "chunk",
	[S_AUTH] = "auth", [S_CHUNKS] = "chunks", [S_ASKED] = "asked",
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
	s->chunk.in_message = false;
	s->drops_due = s->drops_due || s->body_begun;
	s->body_begun = false;
	return S_MAIL;
}

/* ------- the machine */

/* The line with all that stands before its LF. */
static enum state line_heard(struct server *s, struct span line)
{
	struct command c;

	/* RFC 5321 2.3.8: only CRLF ends a line, in commands as in data. */
	if (line.len == 0 || line.at[line.len - 1] != '\r') {
		sasl_release(&s->sasl);
		s->state = s->state == S_AUTH ? S_MAIL : s->state;
		return server_complain(s,
				       "500 5.5.2 A line must end with CRLF");
	}
	line.len--;
	if (s->state == S_AUTH)
		return verb_auth_answer(s, line);
	if (!command_parse(line, &c))
		return server_complain(s, "500 5.5.2 Bad syntax");
	return verb_run(s, &c);
}

static bool is_noise(char first)
{
	return first == TLS_RECORD || (unsigned char)first >= 0x80;
}

/* RFC 4954 4: what a login says may be far longer than other commands. */
static bool is_login(const struct server *s, struct span in)
{
	return s->state == S_AUTH || span_starts_nocase(in, SPAN("AUTH "));
}

static enum state line_too_long(struct server *s, bool login)
{
	sasl_release(&s->sasl);
	if (!login)
		return server_complain(s, "500 5.5.2 Line too long");
	s->state = s->state == S_AUTH ? S_MAIL : s->state;
	return server_complain(s, "500 5.5.6 Line too long");
}

/* Hears a command, if a whole line is there. */
static bool command_step(struct server *s, struct span *in)
{
	bool login = s->swallows ? s->swallows_login : is_login(s, *in);
	size_t max = login ? SASL_LINE_MAX : COMMAND_LINE_MAX;
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
		if (in->len >= max || s->swallows) {
			s->swallows = true;
			s->swallows_login = login;
			*in = span_skip(*in, in->len);
		}
		return false;
	}
	line.len = (size_t)(lf - in->at);
	*in = span_skip(*in, line.len + 1);
	if (s->swallows || line.len >= max) {
		s->swallows = false;
		s->state = line_too_long(s, login);
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
		s->body_begun = false;
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

/* Reads on in a chunk; what is refused is only counted. */
static enum incoming_result chunk_read(struct server *s, struct span *in)
{
	struct chunk *c = &s->chunk;
	struct span part = *in;
	enum incoming_result result = INCOMING_MORE;
	size_t before;

	if (part.len > c->left)
		part.len = (size_t)c->left;
	before = part.len;
	if (c->in_message)
		result = incoming_chunk(&s->incoming, &part);
	else
		part.len = 0;
	before -= part.len;
	c->left -= before;
	*in = span_skip(*in, before);
	return result;
}

/* True: *wants is to be returned. */
static bool chunk_step(struct server *s, struct span *in,
		       enum server_wants *wants)
{
	enum incoming_result result = chunk_read(s, in);

	if (result == INCOMING_MORE && s->chunk.left > 0) {
		*wants = SERVER_WANTS_INPUT;
		return true;
	}
	if (result == INCOMING_MORE && s->chunk.in_message && s->chunk.is_last)
		result = incoming_chunks_end(&s->incoming);
	switch (result) {
	case INCOMING_PIECE:
		*wants = SERVER_GIVES_BODY;
		return true;
	case INCOMING_SPOILT:
		s->body_begun = false;
		*wants = SERVER_DROPS;
		return true;
	case INCOMING_WHOLE:
		s->state = server_ask(s, SERVER_ASKS_COMMIT);
		break;
	case INCOMING_MORE:
	case INCOMING_SPOILT_END:
		s->state = verb_chunk_over(s);
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
	sasl_init(&s->sasl);
	s->incoming.own_name = conf->hostname;
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
	sasl_release(&s->sasl);
	free(s->user);
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
		if (s->drops_due) {
			s->drops_due = false;
			return SERVER_DROPS;
		}
		switch (s->state) {
		case S_HELLO:
		case S_MAIL:
		case S_RCPT:
		case S_CHUNKS:
		case S_AUTH:
			if (s->out.len > OUTPUT_HIGH_BYTES)
				return SERVER_WANTS_FLUSH;
			if (!command_step(s, in))
				return SERVER_WANTS_INPUT;
			break;
		case S_BODY:
			if (body_step(s, in, &wants))
				return wants;
			break;
		case S_CHUNK:
			if (s->out.len > OUTPUT_HIGH_BYTES)
				return SERVER_WANTS_FLUSH;
			if (chunk_step(s, in, &wants))
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
	s->state = verb_refused(s, e);
	if (e->reply == 421)
		s->state = S_CLOSED;
}

void server_tls_started(struct server *s)
{
	BUG_ON(s->state != S_TLS);
	(void)server_end_transaction(s);
	s->chunk.failed = false;
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

bool server_smtputf8(const struct server *s)
{
	return s->env.smtputf8;
}

bool server_bare_newlines(const struct server *s)
{
	return s->incoming.data.has_bare;
}

const char *server_user(const struct server *s)
{
	return s->user != NULL ? s->user : "";
}

const char *server_auth_user(const struct server *s)
{
	return s->sasl.user != NULL ? s->sasl.user : "";
}

const char *server_auth_password(const struct server *s)
{
	return s->sasl.password != NULL ? s->sasl.password : "";
}

const char *server_ret(const struct server *s)
{
	return s->env.ret;
}

const char *server_envid(const struct server *s)
{
	return s->env.envid;
}

const char *server_orcpt(const struct server *s, size_t recipient)
{
	BUG_ON(recipient >= s->env.nrecipients);
	return s->env.orcpts[recipient];
}

uint32_t server_notify(const struct server *s, size_t recipient)
{
	BUG_ON(recipient >= s->env.nrecipients);
	return s->env.notifies[recipient];
}

const char *server_message_id(const struct server *s)
{
	return s->incoming.scan.message_id;
}

unsigned server_own_hops(const struct server *s)
{
	return s->incoming.scan.own;
}

unsigned server_hops(const struct server *s)
{
	return s->incoming.scan.received;
}

const char *server_state(const struct server *s)
{
	return state_words[s->state];
}
