/* SPDX-License-Identifier: ISC */
/*
 * fuzz_client - a whole session of the client's machine, with a server that
 * says anything.
 *
 * The input: five bytes that configure it and choose its messages, a body (a
 * string), then the bytes of the server.
 *
 * Once they arrive in pieces that the input cuts, in any order with the
 * commands; then a reply at a time as a server would say it that waits for the
 * command, whole and byte by byte, which must come to the same.
 */
#include "smtp/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "smtp/dsn.h"
#include "tests/fuzz/fuzz.h"

enum {
	OUTPUT_MAX = 128 * 1024,
	TOLD_MAX = 4 * 1024 * 1024,
	BODY_MAX = 1024 * 1024,
	MAILS_MAX = 4,
	RECIPIENTS_MAX = 5,
	STEPS_MAX = 20000,
};

static const char user[] = "fuzzed-user";
static const char secret[] = "fuzzed-secret";

/* How replies are shown to the machine. */
enum way { WAY_UNEVEN, WAY_REPLY, WAY_BYTE, WAYS };

struct session {
	enum way way;
	struct client_conf conf;
	struct client *client;
	unsigned choice, cuts;           /* of the messages, of the pieces */
	struct span body;                /* as it is handed in */
	struct span in;                  /* shown, not yet taken */
	struct span wire;                /* all of it */
	struct buf told;
	struct transaction tx;
	const char *orcpt[RECIPIENTS_MAX];
	uint32_t notify[RECIPIENTS_MAX];
	unsigned mails;
	bool in_tls;
	bool in_body;                    /* what is said is a message by DATA */
	bool in_auth;                    /* a line may be an answer */
	bool data_said;
	size_t given;                    /* of the body */
	struct buf message;              /* as it was said */
};

static const char *const recipients[RECIPIENTS_MAX] = {
	"a@b.example", "\"c d\"@b.example", "e@[192.0.2.1]",
	"f@b.example", "postmaster"};

static size_t unshown(const struct session *x)
{
	const char *shown = x->in.at + x->in.len;

	return x->wire.len - (size_t)(shown - x->wire.at);
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

/* ------- what it says */

static bool is_verb(struct span line, const char *verb)
{
	size_t n = strlen(verb);

	return span_starts_nocase(line, span_of(verb)) &&
	       (line.at[n] == ' ' || line.at[n] == '\r');
}

static bool has_word(struct span line, const char *word)
{
	return line.len > 0 &&
	       memmem(line.at, line.len, word, strlen(word)) != NULL;
}

/* In clear where TLS is forced nothing else may be said. */
static bool is_harmless(struct span line)
{
	return is_verb(line, "EHLO") || is_verb(line, "HELO") ||
	       is_verb(line, "STARTTLS") || is_verb(line, "QUIT");
}

static void check_mail_line(const struct session *x, struct span line)
{
	unsigned offers = client_offers(x->client);

	HOLDS((offers & OFFER_SIZE) || !has_word(line, " SIZE="));
	HOLDS((offers & OFFER_8BITMIME) || !has_word(line, " BODY="));
	HOLDS((offers & OFFER_SMTPUTF8) || !has_word(line, " SMTPUTF8"));
	HOLDS((offers & OFFER_DSN) ||
	      !(has_word(line, " RET=") || has_word(line, " ENVID=") ||
		has_word(line, " NOTIFY=") || has_word(line, " ORCPT=")));
}

static void check_command(struct session *x, struct span line)
{
	bool may_dot = x->data_said && span_eq(line, SPAN(".\r\n"));
	bool auth_answer = x->in_auth && !is_verb(line, "AUTH");

	HOLDS(x->in_tls || x->conf.tls != CLIENT_TLS_FORCED ||
	      is_harmless(line));
	HOLDS(x->in_tls || !(is_verb(line, "AUTH") || auth_answer));
	HOLDS(x->in_tls || !has_word(line, secret));
	if (is_verb(line, "MAIL") || is_verb(line, "RCPT"))
		check_mail_line(x, line);
	else
		HOLDS(is_harmless(line) || is_verb(line, "AUTH") ||
		      is_verb(line, "DATA") || is_verb(line, "RSET") ||
		      may_dot || auth_answer);
	x->in_auth = is_verb(line, "AUTH") ||
		     (auth_answer && !is_harmless(line) &&
		      !is_verb(line, "MAIL"));
	if (is_verb(line, "MAIL"))
		x->data_said = false;
	if (is_verb(line, "DATA"))
		x->data_said = true;
}

/* As any server would read it. */
static void check_message(struct session *x)
{
	struct span wire = buf_span(&x->message);
	struct buf got;
	struct span s;

	buf_init(&got, BODY_MAX);
	if (x->tx.bare_newlines)
		fuzz_add(&got, wire);
	else
		HOLDS(fuzz_undot(wire, &got) == wire.len);
	s = buf_span(&got);
	if (!x->tx.bare_newlines && x->body.len > 0 &&
	    !span_ends_nocase(x->body, SPAN("\r\n"))) {
		HOLDS(s.len == x->body.len + 2);
		s.len -= 2;
	}
	HOLDS(span_eq(s, x->body));
	buf_release(&got);
}

/* "BDAT 5 LAST" and five bytes. */
static void take_chunk(struct session *x, struct span *out)
{
	struct span line = fuzz_line(out), chunk;
	char *text = span_dup(line);
	size_t n = strtoul(text + 5, NULL, 10);

	free(text);
	HOLDS(client_offers(x->client) & OFFER_CHUNKING);
	HOLDS(n <= out->len);
	chunk = fuzz_take(out, n);
	fuzz_add(&x->message, chunk);
	if (span_ends_nocase(line, SPAN(" LAST\r\n")))
		check_message(x);
}

static void flush(struct session *x)
{
	struct buf *out = client_output(x->client);
	struct span s = buf_span(out);

	HOLDS(s.len <= OUTPUT_MAX);
	fuzz_add(&x->told, s);
	if (x->in_body)
		fuzz_add(&x->message, s);
	while (s.len > 0 && !x->in_body) {
		struct span line = s;

		if (is_verb(s, "BDAT")) {
			take_chunk(x, &s);
			continue;
		}
		line = fuzz_line(&s);
		fuzz_lines(line, REPLY_LINE_MAX * 4);
		check_command(x, line);
	}
	buf_clear(out);
}

/* ------- what it is given to do */

static bool may_go(const struct session *x, const struct transaction *t)
{
	unsigned offers = client_offers(x->client);

	return (!t->bare_newlines || (offers & OFFER_CHUNKING)) &&
	       (!t->smtputf8 || (offers & OFFER_SMTPUTF8));
}

static void begin(struct session *x)
{
	unsigned choice = x->choice >> x->mails;

	x->tx = (struct transaction){
		.sender = choice & 1 ? "" : "s@c.example",
		.recipients = recipients,
		.nrecipients = 1 + x->cuts % RECIPIENTS_MAX,
		.bytes = x->body.len,
		.has_8bit = !fuzz_ascii(x->body),
		.smtputf8 = choice & 16,
		.bare_newlines = choice & 2,
		.envid = choice & 4 ? "QQ314" : "",
		.ret = choice & 8 ? "HDRS" : "",
		.orcpt = x->orcpt,
		.notify = x->notify,
	};
	for (size_t i = 0; i < RECIPIENTS_MAX; i++) {
		x->orcpt[i] = choice & 4 ? "rfc822;x@y.example" : "";
		x->notify[i] = choice & 8 ? DSN_SUCCESS | DSN_DELAY : 0;
	}
	x->mails++;
	if (x->mails > MAILS_MAX || !may_go(x, &x->tx))
		client_quit(x->client);
	else
		client_mail(x->client, &x->tx);
	buf_clear(&x->message);
	x->given = 0;
}

/* In one go or two; in between the server may say something. */
static void give_body(struct session *x)
{
	size_t half = x->cuts & 64 ? x->body.len / 2 : 0;

	if (half > 0 && x->given == 0) {
		x->in_body = !x->tx.bare_newlines;
		client_body(x->client, (struct span){x->body.at, half});
		x->given = half;
		return;
	}
	x->in_body = !x->tx.bare_newlines;
	client_body(x->client, span_skip(x->body, x->given));
	client_body_end(x->client);
	flush(x);
	if (x->in_body)
		check_message(x);
	x->in_body = false;
}

static void check_results(struct session *x, bool settled)
{
	const struct client_result *r;
	size_t n;

	r = client_results(x->client, &n);
	HOLDS(n == 0 || n == x->tx.nrecipients);
	HOLDS(!settled || n > 0);
	for (size_t i = 0; i < n; i++) {
		HOLDS(!settled || r[i].reply.code != 0);
		HOLDS(r[i].reply.code == 0 || r[i].stage >= CLIENT_MAIL);
		tell(x, "result %zu %d %d %s\n", i, (int)r[i].stage,
		     r[i].reply.code, r[i].reply.text);
	}
	if (settled)
		HOLDS(!client_uncertain(x->client));
	tell(x, "uncertain %d\n", client_uncertain(x->client));
}

static void check_facts(const struct session *x)
{
	const struct client *c = x->client;

	HOLDS(client_in_tls(c) == x->in_tls);
	HOLDS(client_stage(c) < CLIENT_STAGES);
	HOLDS(client_timeout_ms(c) > 0);
	HOLDS(client_reply(c)->len < REPLY_TEXT_MAX);
	HOLDS(strchr(client_greeting(c), '\n') == NULL ||
	      strlen(client_greeting(c)) < REPLY_TEXT_MAX);
}

/* True: it is not waiting for more. */
static bool stepped(struct session *x, bool *open)
{
	enum client_wants wants = client_step(x->client, &x->in);

	flush(x);
	check_facts(x);
	switch (wants) {
	case CLIENT_WANTS_INPUT:
		return false;
	case CLIENT_ASKS_TLS:
		HOLDS(!x->in_tls && x->conf.tls != CLIENT_TLS_OFF);
		tell(x, "tls\n");
		x->in_tls = true;
		client_tls_started(x->client);
		HOLDS(client_offers(x->client) == 0);
		break;
	case CLIENT_READY:
		HOLDS(x->in_tls || x->conf.tls != CLIENT_TLS_FORCED);
		HOLDS(x->in_tls || x->conf.auth == CLIENT_AUTH_OFF);
		tell(x, "ready\n");
		begin(x);
		break;
	case CLIENT_ASKS_BODY:
		tell(x, "asks body\n");
		give_body(x);
		break;
	case CLIENT_SETTLED:
		tell(x, "settled\n");
		check_results(x, true);
		break;
	case CLIENT_FAILED:
		tell(x, "failed %d %d\n", (int)client_stage(x->client),
		     client_protocol_error(x->client));
		check_results(x, false);
		client_quit(x->client);
		break;
	case CLIENT_CLOSED:
		tell(x, "closed\n");
		*open = false;
		break;
	}
	return true;
}

/* ------- the server */

/* A reply at the front of what was not shown: lines up to the one that does
 * not say that another follows. */
static size_t reply_size(const struct session *x)
{
	size_t left = unshown(x), n = 0;
	const char *at = x->in.at + x->in.len;

	while (n < left) {
		struct span line = {at + n, left - n};
		const char *lf = memchr(line.at, '\n', line.len);

		if (lf != NULL)
			line.len = (size_t)(lf - line.at) + 1;
		n += line.len;
		if (line.len < 4 || line.at[3] != '-' ||
		    line.len >= REPLY_LINE_MAX)
			break;
	}
	return n;
}

static void hold_session(struct session *x)
{
	uint32_t state = x->cuts;
	size_t of_reply = 0;
	unsigned steps = 0;
	bool open = true;

	x->client = client_new(&x->conf);
	while (open) {
		size_t left = unshown(x), n;

		HOLDS(++steps <= STEPS_MAX);
		if (stepped(x, &open))
			continue;
		if (left == 0)
			break;
		if (x->way == WAY_UNEVEN) {
			n = fuzz_piece(FUZZ_UNEVEN, &state, left);
		} else {
			if (of_reply == 0)
				of_reply = reply_size(x);
			n = x->way == WAY_BYTE ? 1 : of_reply;
			of_reply -= n;
		}
		x->in.len += n;
	}
	if (open)
		check_results(x, false);
	client_free(x->client);
}

static struct client_conf read_conf(struct span *in)
{
	unsigned choice = fuzz_byte(in), auth = fuzz_byte(in);

	return (struct client_conf){
		.hostname = "relay.example",
		.tls = (enum client_tls)(choice % 3),
		.in_tls = choice & 4,
		.auth = (enum client_auth)(auth % 4),
		.user = user,
		.secret = secret,
	};
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct client_conf conf = read_conf(&in);
	unsigned choice = fuzz_byte(&in), cuts;
	struct session x[WAYS];
	char *body;

	choice = choice << 8 | fuzz_byte(&in);
	cuts = fuzz_byte(&in);
	body = fuzz_string(&in);
	for (int i = 0; i < WAYS; i++) {
		x[i] = (struct session){.way = (enum way)i,
					.conf = conf,
					.choice = choice,
					.cuts = cuts,
					.body = span_of(body),
					.wire = in,
					.in = {in.at, 0},
					.in_tls = conf.in_tls};
		buf_init(&x[i].told, TOLD_MAX);
		buf_init(&x[i].message, BODY_MAX);
		if (in.len > 0)
			hold_session(&x[i]);
	}
	HOLDS(span_eq(buf_span(&x[WAY_REPLY].told),
		      buf_span(&x[WAY_BYTE].told)));
	for (int i = 0; i < WAYS; i++) {
		buf_release(&x[i].told);
		buf_release(&x[i].message);
	}
	free(body);
	return 0;
}
