/* SPDX-License-Identifier: ISC */
/*
 * fuzz_server - a whole session of the server's machine.
 *
 * The input: three bytes that configure it, a byte that says how many answers
 * follow, the answers to what it asks (0 and what is missing: yes), then the
 * bytes of the client.  Bytes behind STARTTLS count as said inside TLS.
 *
 * The session is held three times, with the bytes whole, one by one and in
 * pieces: it must come to the same words, questions and message.  A message
 * that is to be committed is compared with what was said on the wire, read in
 * the simplest way there is.
 */
#include "smtp/server.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/command.h"
#include "smtp/dsn.h"
#include "tests/fuzz/fuzz.h"

enum {
	OUTPUT_MAX = 20 * 1024,
	TOLD_MAX = 8 * 1024 * 1024,
	MESSAGE_MAX = 1024 * 1024,
	STEPS_PER_BYTE = 4,
};

/* How an ask may be answered. */
enum answer {
	ANSWER_YES,
	ANSWER_NO,
	ANSWER_LATER,
	ANSWER_GOODBYE,                  /* 421 */
	ANSWER_EXPIRE,                   /* time was over while it was asked */
	ANSWER_YES_WITH_TEXT,
	ANSWERS
};

struct session {
	enum fuzz_pace pace;
	struct server_conf conf;
	struct server *server;
	struct span asks;                /* answers still to be given */
	struct span in;                  /* shown, not yet taken */
	struct span wire;                /* all of it */
	struct buf told;                 /* words and questions, in order */
	struct buf body;
	bool in_tls;
	bool in_body;                    /* between ASKS_DATA and its end */
	bool by_data;                    /* not by BDAT */
	bool is_spoilt;                  /* it is read to its end by DATA */
	size_t begun_at;                 /* on the wire, of the message */
	unsigned mails;
};

static size_t position(const struct session *x)
{
	return (size_t)(x->in.at - x->wire.at);
}

PRINTF(2, 3)
static void tell(struct session *x, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	BUG_ON(vasprintf(&text, fmt, ap) < 0);
	va_end(ap);
	fuzz_add(&x->told, span_of(text));
	free(text);
}

/* A message that can't be taken ends where any other would: what follows it
 * are commands. */
static void check_spoilt_end(struct session *x)
{
	struct span wire = {x->wire.at + x->begun_at,
			    position(x) - x->begun_at};
	struct buf message;

	buf_init(&message, MESSAGE_MAX);
	HOLDS(fuzz_undot(wire, &message) == wire.len);
	buf_release(&message);
}

/* What it said, judged and noted. */
static void flush(struct session *x)
{
	struct buf *out = server_output(x->server);

	HOLDS(out->len <= OUTPUT_MAX);
	if (x->is_spoilt && out->len > 0) {
		/* In other paces it has gone on since. */
		if (x->pace == FUZZ_BYTEWISE)
			check_spoilt_end(x);
		x->is_spoilt = false;
	}
	fuzz_replies(buf_span(out));
	fuzz_add(&x->told, buf_span(out));
	buf_clear(out);
}

/* ------- the message, as it was on the wire */

/* "BDAT 5 LAST"; a line with control bytes is no command. */
static bool chunk_heard(struct span line, uint64_t *bytes, bool *is_last)
{
	char word[16], *text;
	bool ok = span_ends_nocase(line, SPAN("\r\n")) &&
		  span_starts_nocase(line, SPAN("BDAT")) &&
		  (line.at[4] == ' ' || line.at[4] == '\t');
	int n;

	line.len -= ok ? 2 : 0;
	for (size_t i = 0; i < line.len && ok; i++)
		ok = line.at[i] == '\t' ||
		     ((unsigned char)line.at[i] >= ' ' && line.at[i] != 0x7f);
	if (!ok)
		return false;
	text = span_dup(span_skip(line, 5));
	*bytes = strtoull(text, NULL, 10);
	n = sscanf(text, "%*s %15s", word);
	*is_last = n == 1;
	HOLDS(n < 1 || strcasecmp(word, "LAST") == 0);
	free(text);
	return true;
}

/* From behind the line of the first BDAT, which is read again. */
static void wire_chunks(const struct session *x, struct buf *out)
{
	size_t at = x->begun_at - 1, end = position(x);
	bool is_last = false;
	uint64_t bytes;

	while (at > 0 && x->wire.at[at - 1] != '\n')
		at--;
	while (at < end) {
		struct span rest = {x->wire.at + at, end - at};
		struct span line = fuzz_line(&rest);

		at += line.len;
		if (line.len > COMMAND_LINE_MAX ||
		    !chunk_heard(line, &bytes, &is_last))
			continue;
		HOLDS(bytes <= end - at);
		fuzz_add(out, (struct span){x->wire.at + at, (size_t)bytes});
		at += (size_t)bytes;
		if (is_last)
			break;
	}
	HOLDS(at == end);
}

static void check_message(const struct session *x)
{
	struct span wire = {x->wire.at + x->begun_at,
			    position(x) - x->begun_at};
	struct span body = buf_span(&x->body);
	struct buf wanted;

	buf_init(&wanted, MESSAGE_MAX);
	if (x->by_data)
		HOLDS(fuzz_undot(wire, &wanted) == wire.len);
	else
		wire_chunks(x, &wanted);
	HOLDS(span_eq(body, buf_span(&wanted)));
	buf_release(&wanted);
	HOLDS(server_has_8bit(x->server) == !fuzz_ascii(body));
	HOLDS(x->conf.max_message_bytes == 0 ||
	      body.len <= x->conf.max_message_bytes);
	HOLDS(body.len == 0 || memchr(body.at, '\0', body.len) == NULL);
	if (!server_bare_newlines(x->server))
		fuzz_lines(body, MESSAGE_MAX);
	else
		HOLDS(!x->by_data && x->conf.chunking ==
					     SERVER_CHUNKING_PASSTHROUGH);
	HOLDS(server_own_hops(x->server) <= server_hops(x->server));
}

/* ------- what it asks */

static void check_address(const char *text)
{
	struct address a;

	fuzz_printable(text);
	HOLDS(strlen(text) <= PATH_MAX_LEN);
	HOLDS(address_parse(span_of(text), &a) ||
	      strcasecmp(text, "postmaster") == 0);
}

static void check_envelope(const struct session *x)
{
	const struct server *s = x->server;
	size_t n;

	fuzz_printable(server_helo(s));
	HOLDS(server_helo(s)[0] != '\0' && strlen(server_helo(s)) <= DOMAIN_MAX);
	HOLDS(x->conf.tls != SERVER_TLS_FORCED || x->in_tls);
	HOLDS(x->conf.max_mails == 0 || x->mails <= x->conf.max_mails);
	if (server_sender(s)[0] != '\0')
		check_address(server_sender(s));
	HOLDS(server_smtputf8(s) || fuzz_ascii(span_of(server_sender(s))));
	HOLDS(xtext_valid(span_of(server_envid(s)), DSN_ENVID_MAX));
	HOLDS(x->conf.max_message_bytes == 0 ||
	      server_declared_bytes(s) <= x->conf.max_message_bytes);
	(void)server_recipients(s, &n);
	HOLDS(n <= x->conf.max_recipients);
	for (size_t i = 0; i < n; i++) {
		const char *rcpt = server_recipients(s, &n)[i];

		check_address(rcpt);
		HOLDS(server_smtputf8(s) || fuzz_ascii(span_of(rcpt)));
		fuzz_printable(server_orcpt(s, i));
	}
}

/* True: it was a yes. */
static bool answer(struct session *x)
{
	enum answer a = (enum answer)(fuzz_byte(&x->asks) % ANSWERS);
	struct err e;

	switch (a) {
	case ANSWER_YES:
		server_accept(x->server, NULL);
		break;
	case ANSWER_YES_WITH_TEXT:
		server_accept(x->server, "Yes, as 0123456789ABC");
		break;
	case ANSWER_NO:
		(void)err_perm(&e, 7, 1, "No");
		server_refuse(x->server, &e);
		break;
	case ANSWER_LATER:
		(void)err_temp(&e, 3, 1, "Later");
		server_refuse(x->server, &e);
		break;
	case ANSWER_GOODBYE:
		(void)err_temp(&e, 7, 0, "Goodbye");
		e.reply = 421;
		server_refuse(x->server, &e);
		break;
	case ANSWER_EXPIRE:
		server_expire(x->server, "Too slow");
		server_accept(x->server, NULL);
		break;
	case ANSWERS:
		break;
	}
	return a == ANSWER_YES || a == ANSWER_YES_WITH_TEXT;
}

static void asked(struct session *x, enum server_wants wants)
{
	const struct server *s = x->server;

	switch ((int)wants) {
	case SERVER_ASKS_AUTH:
		HOLDS(x->conf.auth && x->in_tls && server_user(s)[0] == '\0');
		tell(x, "auth %s %s\n", server_auth_user(s),
		     server_auth_password(s));
		break;
	case SERVER_ASKS_MAIL:
		x->mails++;
		check_envelope(x);
		tell(x, "mail <%s>\n", server_sender(s));
		break;
	case SERVER_ASKS_RCPT:
		check_envelope(x);
		check_address(server_recipient(s));
		tell(x, "rcpt <%s>\n", server_recipient(s));
		break;
	case SERVER_ASKS_DATA:
		check_envelope(x);
		HOLDS(!x->in_body);
		tell(x, "data\n");
		break;
	default:
		check_envelope(x);
		HOLDS(x->in_body);
		check_message(x);
		tell(x, "commit %s %u\n", server_message_id(s), server_hops(s));
		fuzz_add(&x->told, buf_span(&x->body));
		x->in_body = false;
		break;
	}
}

/* Behind a yes to DATA the message begins here. */
static void data_answered(struct session *x, bool yes)
{
	struct span said = buf_span(server_output(x->server));

	x->by_data = span_starts_nocase(said, SPAN("354"));
	x->in_body = yes;
	x->begun_at = position(x);
	buf_clear(&x->body);
}

/* False: it closes. */
static bool step(struct session *x, bool *hungry)
{
	enum server_wants wants = server_step(x->server, &x->in);
	bool yes;

	flush(x);
	switch (wants) {
	case SERVER_WANTS_INPUT:
		*hungry = true;
		break;
	case SERVER_WANTS_FLUSH:
		break;
	case SERVER_ASKS_AUTH:
	case SERVER_ASKS_MAIL:
	case SERVER_ASKS_RCPT:
	case SERVER_ASKS_DATA:
	case SERVER_ASKS_COMMIT:
		asked(x, wants);
		yes = answer(x);
		if (wants == SERVER_ASKS_DATA)
			data_answered(x, yes);
		break;
	case SERVER_GIVES_BODY:
		HOLDS(x->in_body && server_body(x->server).len > 0);
		fuzz_add(&x->body, server_body(x->server));
		break;
	case SERVER_DROPS:
		HOLDS(x->in_body);
		x->in_body = false;
		x->is_spoilt = x->by_data;
		tell(x, "drops\n");
		break;
	case SERVER_ASKS_TLS:
		HOLDS(!x->in_tls && x->conf.tls != SERVER_TLS_OFF);
		tell(x, "tls\n");
		x->in_tls = true;
		server_tls_started(x->server);
		HOLDS(server_helo(x->server)[0] == '\0');
		break;
	case SERVER_CLOSES:
		tell(x, "closes\n");
		return false;
	}
	return true;
}

static void hold_session(struct session *x)
{
	uint32_t state = (uint32_t)x->wire.len;
	size_t steps = 0;
	bool open = true;

	x->server = server_new(&x->conf);
	server_greet(x->server, NULL);
	while (open) {
		size_t left = x->wire.len - position(x) - x->in.len;
		bool hungry = false;

		open = step(x, &hungry);
		/* It gets on with each step. */
		HOLDS(++steps <= STEPS_PER_BYTE * x->wire.len + 100);
		if (!hungry)
			continue;
		if (left == 0)
			break;
		x->in.len += fuzz_piece(x->pace, &state, left);
	}
	flush(x);
	server_free(x->server);
}

static struct server_conf read_conf(struct span *in)
{
	static const uint64_t sizes[] = {0, 10, 100, 1000};
	unsigned choice = fuzz_byte(in), limits = fuzz_byte(in);
	unsigned more = fuzz_byte(in);

	return (struct server_conf){
		.hostname = "relay.example",
		.tls = (enum server_tls)(choice % 3),
		.in_tls = choice & 4,
		.auth = choice & 8,
		.chunking = (enum server_chunking)((choice >> 4) % 3),
		.max_message_bytes = sizes[limits % 4],
		.max_recipients = limits & 4 ? 2 : 100,
		.max_mails = limits & 8 ? 2 : 0,
		.max_errors = more % 8,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct server_conf conf = read_conf(&in);
	struct span asks = fuzz_take(&in, fuzz_byte(&in));
	struct session x[FUZZ_PACES];

	if (in.len == 0)
		return 0;
	for (int i = 0; i < FUZZ_PACES; i++) {
		x[i] = (struct session){.pace = (enum fuzz_pace)i,
					.conf = conf,
					.asks = asks,
					.wire = in,
					.in = {in.at, 0},
					.in_tls = conf.in_tls};
		buf_init(&x[i].told, TOLD_MAX);
		buf_init(&x[i].body, MESSAGE_MAX);
		hold_session(&x[i]);
		HOLDS(span_eq(buf_span(&x[0].told), buf_span(&x[i].told)));
	}
	for (int i = 0; i < FUZZ_PACES; i++) {
		buf_release(&x[i].told);
		buf_release(&x[i].body);
	}
	return 0;
}
