/* SPDX-License-Identifier: ISC */
/*
 * t_dialog - holds every dialogue in tests/dialog/ with the machine it is for,
 * once with whole input and once byte by byte.  tests/dialog/test_*.py hold
 * them with relayd, over sockets.
 *
 * A script is a text; # begins a comment line.  In server/ the lines of C: go
 * into the machine and those of S: must come out of it; in client/ it is the
 * other way round.  All that was said must be read before more is fed.
 *
 *	C: text		a line; CRLF is added.  Escapes: \r \n \t \0 \xHH \\
 *	S: text		and \{4096 x}, which is 4096 times x
 *	C~ text		the same without CRLF
 *	set KEY VALUE	configures what is not there yet
 *	is KEY VALUE	asks the machine for a fact
 *	secure		the TLS handshake is done; unread input is thrown away
 *	asks ..., drops, closes, ready, settled, failed ..., closed
 *			what the machine must tell next
 * server:
 *	hello		hears the greeting, says EHLO, hears what is offered
 *	begin FROM TO ...	MAIL and RCPT, answered with ok
 *	ok [TEXT]	answers what was asked
 *	refuse 451 4.3.1 TEXT
 *	body TEXT	must be the body given so far
 *	expire TEXT
 * client:
 *	mail FROM TO ...	(<> for an empty sender)
 *	body TEXT	gives a piece;  dot  ends it, behind DATA or BDAT
 *	quit
 *	waits		for more input, and tells nothing
 *	result N none, result N STAGE REPLY
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/client.h"
#include "smtp/dsn.h"
#include "smtp/server.h"

enum {
	WIRE_MAX = 8 * 1024 * 1024,
	LINE_MAX_BYTES = 64 * 1024,
	WORDS_MAX = 64,
};

struct dialog {
	const char *path;
	unsigned line;
	bool bytewise;
	struct buf in;                   /* fed and not yet taken */
	size_t shown;                    /* bytes of it the machine may see */
	struct buf said;                 /* by the machine, not yet read */
	struct buf body;
	char event[2048];                /* told, not yet expected; "" none */
	char last_event[2048];

	struct server_conf server_conf;
	struct err greet_refusal;
	struct server *server;

	struct client_conf client_conf;
	struct transaction mail;         /* what `set` says of the next */
	char client_words[7][256];       /* what it and the conf point to */
	const char *orcpt[WORDS_MAX];
	uint32_t notify[WORDS_MAX];
	struct client *client;
	char *words[WORDS_MAX];          /* owned; of the last `mail` */
};

#define FAIL(d, ...) fail_at(d, __VA_ARGS__)

PRINTF(2, 3)
static void fail_at(const struct dialog *d, const char *fmt, ...)
{
	char text[4096];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	ck_abort_msg("%s:%u (%s): %s", d->path, d->line,
		     d->bytewise ? "byte by byte" : "whole", text);
}

/* ------- text */

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return (c | 0x20) - 'a' + 10;
}

/* Appends one escape to out and returns what follows it. */
static const char *unescape_one(const char *s, struct buf *out)
{
	char c = s[1];
	const char *next = s + 2;
	unsigned long times = 1;

	switch (s[1]) {
	case 'r':
		c = '\r';
		break;
	case 'n':
		c = '\n';
		break;
	case 't':
		c = '\t';
		break;
	case '0':
		c = '\0';
		break;
	case 'x':
		c = (char)(hex(s[2]) * 16 + hex(s[3]));
		next = s + 4;
		break;
	case '{':
		times = strtoul(s + 2, (char **)&next, 10);
		c = next[1];
		next += 3;
		break;
	default:
		break;
	}
	for (; times > 0; times--)
		ck_assert(buf_add(out, (struct span){&c, 1}));
	return next;
}

static void unescape(const char *s, struct buf *out)
{
	while (*s != '\0') {
		if (*s == '\\')
			s = unescape_one(s, out);
		else
			ck_assert(buf_add(out, (struct span){s++, 1}));
	}
}

static void same_text(const struct dialog *d, struct span got,
		      struct span wanted, const char *what)
{
	struct buf text;

	if (span_eq(got, wanted))
		return;
	buf_init(&text, 4 * LINE_MAX_BYTES);
	ck_assert(buf_add_escaped(&text, got));
	FAIL(d, "%s is \"%.*s\"", what, (int)text.len, buf_span(&text).at);
}

/* ------- the machine */

static struct buf *output(struct dialog *d)
{
	return d->server != NULL ? server_output(d->server)
				 : client_output(d->client);
}

static void flush(struct dialog *d)
{
	struct buf *out = output(d);

	ck_assert(buf_add(&d->said, buf_span(out)));
	buf_clear(out);
}

PRINTF(2, 3)
static bool tell(struct dialog *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(d->event, sizeof(d->event), fmt, ap);
	va_end(ap);
	return true;
}

/* True: something was told. */
static bool server_stepped(struct dialog *d, struct span *in)
{
	struct server *s = d->server;
	size_t n;

	switch (server_step(s, in)) {
	case SERVER_WANTS_INPUT:
	case SERVER_WANTS_FLUSH:
		return false;
	case SERVER_ASKS_AUTH:
		return tell(d, "asks auth %s %s", server_auth_user(s),
			    server_auth_password(s));
	case SERVER_ASKS_MAIL:
		return tell(d, "asks mail <%s>", server_sender(s));
	case SERVER_ASKS_RCPT:
		return tell(d, "asks rcpt <%s>", server_recipient(s));
	case SERVER_ASKS_DATA:
		(void)server_recipients(s, &n);
		return tell(d, "asks data %zu", n);
	case SERVER_GIVES_BODY:
		ck_assert(server_body(s).len > 0);
		ck_assert(buf_add(&d->body, server_body(s)));
		return false;
	case SERVER_ASKS_COMMIT:
		return tell(d, "asks commit");
	case SERVER_DROPS:
		return tell(d, "drops");
	case SERVER_ASKS_TLS:
		return tell(d, "asks tls");
	case SERVER_CLOSES:
		return tell(d, "closes");
	}
	return false;
}

static bool client_stepped(struct dialog *d, struct span *in)
{
	struct client *c = d->client;
	const char *stage;

	switch (client_step(c, in)) {
	case CLIENT_WANTS_INPUT:
		return false;
	case CLIENT_ASKS_TLS:
		return tell(d, "asks tls");
	case CLIENT_READY:
		return tell(d, "ready");
	case CLIENT_ASKS_BODY:
		return tell(d, "asks body");
	case CLIENT_SETTLED:
		return tell(d, "settled");
	case CLIENT_FAILED:
		stage = client_stage_word(client_stage(c));
		if (client_protocol_error(c))
			return tell(d, "failed %s protocol", stage);
		return tell(d, "failed %s %d", stage, client_reply(c)->code);
	case CLIENT_CLOSED:
		return tell(d, "closed");
	}
	return false;
}

/* Is it a pause in which the machine waits for its shell, and listens? */
static bool is_idle(const struct dialog *d)
{
	return strcmp(d->event, "ready") == 0 ||
	       strcmp(d->event, "asks body") == 0;
}

/* One step; false: nothing was told, and the machine took nothing. */
static bool step(struct dialog *d)
{
	struct span in = {buf_span(&d->in).at, d->shown};
	size_t before = in.len, body = d->body.len;
	bool told = d->server != NULL ? server_stepped(d, &in)
				      : client_stepped(d, &in);
	size_t taken = before - in.len;
	bool flushed = output(d)->len > 0;

	buf_take(&d->in, taken);
	d->shown -= taken;
	flush(d);
	return told || taken > 0 || flushed || d->body.len > body;
}

/* Lets the machine work until it tells something or needs more. */
static void pump(struct dialog *d)
{
	while (d->event[0] == '\0') {
		bool more = d->shown < d->in.len;

		if (!d->bytewise)
			d->shown = d->in.len;
		if (step(d)) {
			if (is_idle(d) && d->shown < d->in.len) {
				d->event[0] = '\0';
				d->shown++;
			}
			continue;
		}
		if (!more)
			return;
		if (d->bytewise)
			d->shown++;
	}
}

/* ------- lines of a script that are the same for both sides */

static void feed(struct dialog *d, const char *text, bool with_end)
{
	if (d->said.len > 0)
		FAIL(d, "unread: %.*s", (int)d->said.len,
		     buf_span(&d->said).at);
	if (d->event[0] != '\0' && strcmp(d->event, d->last_event) != 0)
		FAIL(d, "not expected: %s", d->event);
	unescape(text, &d->in);
	if (with_end)
		ck_assert(buf_add(&d->in, SPAN("\r\n")));
}

/* Must the machine have said this next? */
static void hear(struct dialog *d, const char *text, bool with_end)
{
	struct buf wanted;
	struct span said;

	buf_init(&wanted, LINE_MAX_BYTES);
	unescape(text, &wanted);
	if (with_end)
		ck_assert(buf_add(&wanted, SPAN("\r\n")));
	flush(d);
	if (d->said.len < wanted.len)
		pump(d);
	said = buf_span(&d->said);
	if (with_end && said.len > 0) {
		const char *lf = memchr(said.at, '\n', said.len);

		if (lf != NULL)
			said.len = (size_t)(lf - said.at) + 1;
	} else if (said.len > wanted.len) {
		said.len = wanted.len;
	}
	if (said.len == 0)
		FAIL(d, "nothing was said (%s)", d->event);
	same_text(d, said, buf_span(&wanted), "said");
	buf_take(&d->said, said.len);
	buf_release(&wanted);
}

static void expect(struct dialog *d, const char *text)
{
	struct buf wanted;
	char event[sizeof(d->event)] = "";

	buf_init(&wanted, sizeof(event) - 1);
	unescape(text, &wanted);
	if (wanted.len > 0)
		if (wanted.len > 0)
		memcpy(event, buf_span(&wanted).at, wanted.len);
	buf_release(&wanted);
	flush(d);
	pump(d);
	if (d->said.len > 0)
		FAIL(d, "unread: %.*s", (int)d->said.len,
		     buf_span(&d->said).at);
	if (strcmp(d->event, event) != 0)
		FAIL(d, "told is \"%s\"", d->event);
	snprintf(d->last_event, sizeof(d->last_event), "%s", d->event);
	d->event[0] = '\0';
}

/* What stands behind the first word. */
static const char *arguments(const char *line)
{
	const char *space = strchr(line, ' ');

	return space != NULL ? space + 1 : "";
}

static bool starts(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

static const char *yes_no(bool b)
{
	return b ? "yes" : "no";
}

/* "451 4.3.1 text" */
static void err_parse(const char *s, struct err *e)
{
	unsigned code, class, subject, detail;
	int n = 0;

	ck_assert_int_eq(sscanf(s, "%u %u.%u.%u %n", &code, &class, &subject,
				&detail, &n),
			 4);
	if (class == 4)
		(void)err_temp(e, (int)subject, (int)detail, "%s", s + n);
	else
		(void)err_perm(e, (int)subject, (int)detail, "%s", s + n);
	e->reply = (uint16_t)code;
}

static void check_fact(const struct dialog *d, const char *fact,
		       const char *got)
{
	struct buf wanted;

	buf_init(&wanted, LINE_MAX_BYTES);
	unescape(arguments(fact), &wanted);
	same_text(d, span_of(got), buf_span(&wanted), fact);
	buf_release(&wanted);
}

static void check_number(const struct dialog *d, const char *fact, uint64_t got)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)got);
	check_fact(d, fact, text);
}

/* ------- server */

static void server_set(struct dialog *d, const char *s)
{
	struct server_conf *c = &d->server_conf;
	const char *value = arguments(s);

	if (starts(s, "tls "))
		c->tls = strcmp(value, "forced") == 0	 ? SERVER_TLS_FORCED
			 : strcmp(value, "offered") == 0 ? SERVER_TLS_OFFERED
							 : SERVER_TLS_OFF;
	else if (starts(s, "in-tls "))
		c->in_tls = strcmp(value, "yes") == 0;
	else if (starts(s, "size "))
		c->max_message_bytes = strtoull(value, NULL, 10);
	else if (starts(s, "recipients "))
		c->max_recipients = (unsigned)strtoul(value, NULL, 10);
	else if (starts(s, "mails "))
		c->max_mails = (unsigned)strtoul(value, NULL, 10);
	else if (starts(s, "auth "))
		c->auth = strcmp(value, "yes") == 0;
	else if (starts(s, "chunking "))
		c->chunking = strcmp(value, "strict") == 0
				      ? SERVER_CHUNKING_STRICT
				      : SERVER_CHUNKING_PASSTHROUGH;
	else if (starts(s, "errors "))
		c->max_errors = (unsigned)strtoul(value, NULL, 10);
	else if (starts(s, "refuse "))
		err_parse(value, &d->greet_refusal);
	else
		FAIL(d, "unknown: set %s", s);
}

static void server_begin(struct dialog *d)
{
	bool refuse = d->greet_refusal.status != ST_OK;

	if (d->server != NULL)
		return;
	d->server = server_new(&d->server_conf);
	server_greet(d->server, refuse ? &d->greet_refusal : NULL);
}

/* "orcpt0 rfc822;a@b", "notify1 NEVER" */
static bool server_recipient_fact(struct dialog *d, const char *s)
{
	bool is_orcpt = starts(s, "orcpt");
	char text[32];
	size_t i;

	if (!is_orcpt && !starts(s, "notify"))
		return false;
	i = strtoul(s + strcspn(s, "0123456789"), NULL, 10);
	dsn_notify_text(text, server_notify(d->server, i));
	check_fact(d, s, is_orcpt ? server_orcpt(d->server, i) : text);
	return true;
}

static void server_fact(struct dialog *d, const char *s)
{
	const struct server *m = d->server;

	if (server_recipient_fact(d, s))
		return;
	if (starts(s, "helo "))
		check_fact(d, s, server_helo(m));
	else if (starts(s, "user "))
		check_fact(d, s, server_user(m));
	else if (starts(s, "smtputf8 "))
		check_fact(d, s, yes_no(server_smtputf8(m)));
	else if (starts(s, "bare-newlines "))
		check_fact(d, s, yes_no(server_bare_newlines(m)));
	else if (starts(s, "ret "))
		check_fact(d, s, server_ret(m));
	else if (starts(s, "envid "))
		check_fact(d, s, server_envid(m));
	else if (starts(s, "esmtp "))
		check_fact(d, s, yes_no(server_is_esmtp(m)));
	else if (starts(s, "message-id "))
		check_fact(d, s, server_message_id(m));
	else if (starts(s, "hops "))
		check_number(d, s, server_hops(m));
	else if (starts(s, "declared "))
		check_number(d, s, server_declared_bytes(m));
	else if (starts(s, "8bitmime "))
		check_fact(d, s, yes_no(server_8bitmime(m)));
	else if (starts(s, "8bit "))
		check_fact(d, s, yes_no(server_has_8bit(m)));
	else if (starts(s, "left "))
		check_number(d, s, d->in.len);
	else if (starts(s, "state "))
		check_fact(d, s, server_state(m));
	else
		FAIL(d, "unknown: is %s", s);
}

static void server_body_is(struct dialog *d, const char *text)
{
	struct buf wanted;

	buf_init(&wanted, WIRE_MAX);
	unescape(text, &wanted);
	same_text(d, buf_span(&d->body), buf_span(&wanted), "the body");
	buf_clear(&d->body);
	buf_release(&wanted);
}

/* Says a line that is answered 250, and reads the answer. */
static void server_told(struct dialog *d, const char *line, bool asks)
{
	feed(d, line, true);
	pump(d);
	if (asks) {
		ck_assert(starts(d->event, "asks "));
		d->event[0] = '\0';
		server_accept(d->server, NULL);
	}
	flush(d);
	if (d->said.len < 3 || memcmp(buf_span(&d->said).at, "250", 3) != 0)
		FAIL(d, "said is %.*s", (int)d->said.len,
		     buf_span(&d->said).at);
	buf_clear(&d->said);
}

static void server_hello(struct dialog *d)
{
	flush(d);
	buf_clear(&d->said);
	server_told(d, "EHLO client.example", false);
}

static void server_begins(struct dialog *d, const char *s)
{
	const char *verb = "MAIL FROM:";
	char line[2048];

	while (*s != '\0') {
		int len = (int)strcspn(s, " ");

		snprintf(line, sizeof(line), "%s<%.*s>", verb, len, s);
		server_told(d, line, true);
		verb = "RCPT TO:";
		s += len;
		s += strspn(s, " ");
	}
}

/* RFC 2034 4: the class of the enhanced code is that of the reply, and all have
 * one but greetings, the answers to EHLO and HELO, and what goes on. */
static void check_codes(const struct dialog *d, const char *text)
{
	bool free_of = text[3] == '-' || starts(text, "250 relay.example") ||
		       starts(text, "250 ENHANCEDSTATUSCODES") ||
		       starts(text, "220 relay.example") || text[0] == '3';
	unsigned class, subject, detail;

	if (free_of)
		return;
	if (sscanf(text + 3, " %1u.%u.%u ", &class, &subject, &detail) != 3 ||
	    class != (unsigned)(text[0] - '0'))
		FAIL(d, "bad codes: %s", text);
}

static void server_line(struct dialog *d, const char *line)
{
	struct err e;

	if (starts(line, "set ")) {
		server_set(d, arguments(line));
		return;
	}
	server_begin(d);
	if (starts(line, "C: ") || starts(line, "C~ ")) {
		feed(d, line + 3, line[1] == ':');
	} else if (starts(line, "S: ")) {
		check_codes(d, line + 3);
		hear(d, line + 3, true);
	} else if (strcmp(line, "hello") == 0) {
		server_hello(d);
	} else if (starts(line, "begin ")) {
		server_begins(d, arguments(line));
	} else if (starts(line, "ok")) {
		server_accept(d->server,
			      line[2] != '\0' ? arguments(line) : NULL);
	} else if (starts(line, "refuse ")) {
		err_parse(arguments(line), &e);
		server_refuse(d->server, &e);
	} else if (starts(line, "body")) {
		server_body_is(d, arguments(line));
	} else if (starts(line, "is ")) {
		server_fact(d, arguments(line));
	} else if (starts(line, "secure")) {
		buf_clear(&d->in);
		d->shown = 0;
		server_tls_started(d->server);
	} else if (starts(line, "expire ")) {
		server_expire(d->server, arguments(line));
	} else {
		expect(d, line);
	}
}

/* ------- client */

static const char *word_keep(struct dialog *d, size_t place, const char *s)
{
	struct buf word;

	buf_init(&word, sizeof(d->client_words[place]) - 1);
	unescape(s, &word);
	if (word.len > 0)
		if (word.len > 0)
		memcpy(d->client_words[place], buf_span(&word).at, word.len);
	d->client_words[place][word.len] = '\0';
	buf_release(&word);
	return d->client_words[place];
}

/* Facts of the next message. */
static void mail_set(struct dialog *d, const char *s)
{
	const char *value = arguments(s);
	bool yes = strcmp(value, "yes") == 0;

	if (starts(s, "bytes "))
		d->mail.bytes = strtoull(value, NULL, 10);
	else if (starts(s, "8bit "))
		d->mail.has_8bit = yes;
	else if (starts(s, "smtputf8 "))
		d->mail.smtputf8 = yes;
	else if (starts(s, "bare-newlines "))
		d->mail.bare_newlines = yes;
	else if (starts(s, "envid "))
		d->mail.envid = word_keep(d, 2, value);
	else if (starts(s, "ret "))
		d->mail.ret = word_keep(d, 3, value);
	else if (starts(s, "orcpt 0 "))
		d->orcpt[0] = word_keep(d, 4, arguments(value));
	else if (starts(s, "orcpt 1 "))
		d->orcpt[1] = word_keep(d, 5, arguments(value));
	else if (starts(s, "notify "))
		d->notify[strtoul(value, NULL, 10)] =
			(uint32_t)strtoul(arguments(value), NULL, 10);
	else
		FAIL(d, "unknown: set %s", s);
}

static void client_set(struct dialog *d, const char *s)
{
	const char *value = arguments(s);

	if (starts(s, "tls "))
		d->client_conf.tls =
			strcmp(value, "forced") == 0	? CLIENT_TLS_FORCED
			: strcmp(value, "offered") == 0 ? CLIENT_TLS_IF_OFFERED
							: CLIENT_TLS_OFF;
	else if (starts(s, "in-tls "))
		d->client_conf.in_tls = strcmp(value, "yes") == 0;
	else if (starts(s, "auth "))
		d->client_conf.auth =
			strcmp(value, "plain") == 0   ? CLIENT_AUTH_PLAIN
			: strcmp(value, "login") == 0 ? CLIENT_AUTH_LOGIN
						      : CLIENT_AUTH_XOAUTH2;
	else if (starts(s, "user "))
		d->client_conf.user = word_keep(d, 0, value);
	else if (starts(s, "secret "))
		d->client_conf.secret = word_keep(d, 1, value);
	else
		mail_set(d, s);
}

static void words_free(struct dialog *d)
{
	for (size_t i = 0; i < WORDS_MAX; i++) {
		free(d->words[i]);
		d->words[i] = NULL;
	}
}

/* An address; owned. */
static char *mail_word(const char *s, size_t len)
{
	char *text = xstrndup(s, len);
	struct buf word;

	if (strcmp(text, "<>") == 0)
		text[0] = '\0';
	buf_init(&word, PATH_MAX_LEN);
	unescape(text, &word);
	free(text);
	return buf_string(&word);
}

static void client_mails(struct dialog *d, const char *s)
{
	struct transaction t = d->mail;
	size_t n = 0;

	words_free(d);
	while (*s != '\0') {
		size_t len = strcspn(s, " ");

		ck_assert(n < WORDS_MAX);
		d->words[n++] = mail_word(s, len);
		s += len;
		s += strspn(s, " ");
	}
	t.sender = d->words[0];
	t.recipients = (const char *const *)d->words + 1;
	t.nrecipients = n - 1;
	t.orcpt = d->orcpt;
	t.notify = d->notify;
	client_mail(d->client, &t);
}

static void offers_text(unsigned offers, char *out, size_t size)
{
	static const char *const words[] = {
		"PIPELINING", "SIZE", "8BITMIME", "STARTTLS", "ENHANCED",
		"SMTPUTF8",   "DSN",  "CHUNKING", "AUTH",     "MASKED",
	};
	size_t n = 0;

	out[0] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (offers & (1u << i))
			n += (size_t)snprintf(out + n, size - n, "%s%s",
					      n > 0 ? " " : "", words[i]);
}

static void client_fact(struct dialog *d, const char *s)
{
	const struct client *c = d->client;
	char text[REPLY_TEXT_MAX + 64];
	struct buf reply;

	buf_init(&reply, sizeof(text));
	if (starts(s, "offers")) {
		offers_text(client_offers(c), text, sizeof(text));
		check_fact(d, s, text);
	} else if (starts(s, "uncertain ")) {
		check_fact(d, s, yes_no(client_uncertain(c)));
	} else if (starts(s, "ehlo-refused ")) {
		check_fact(d, s, yes_no(client_ehlo_refused(c)));
	} else if (starts(s, "in-tls ")) {
		check_fact(d, s, yes_no(client_in_tls(c)));
	} else if (starts(s, "greeting ")) {
		check_fact(d, s, client_greeting(c));
	} else if (starts(s, "stage ")) {
		check_fact(d, s, client_stage_word(client_stage(c)));
	} else if (starts(s, "limit ")) {
		check_number(d, s, client_size_limit(c));
	} else if (starts(s, "rcpt-max ")) {
		check_number(d, s, client_rcpt_max(c));
	} else if (starts(s, "mail-max ")) {
		check_number(d, s, client_mail_max(c));
	} else if (starts(s, "timeout ")) {
		check_number(d, s, (uint64_t)client_timeout_ms(c) / 1000);
	} else if (starts(s, "left ")) {
		check_number(d, s, d->in.len);
	} else if (starts(s, "reply ")) {
		reply_line(&reply, client_reply(c));
		same_text(d, buf_span(&reply), span_of(arguments(s)), s);
	} else {
		FAIL(d, "unknown: is %s", s);
	}
	buf_release(&reply);
}

/* "0 none", "1 RCPT 550 5.1.1 No such user" */
static void client_result_is(struct dialog *d, const char *s)
{
	size_t n, i = strtoul(s, NULL, 10);
	const struct client_result *r = client_results(d->client, &n);
	struct buf text;

	if (i >= n)
		FAIL(d, "there are %zu results", n);
	buf_init(&text, REPLY_TEXT_MAX + 64);
	if (r[i].reply.code == 0) {
		ck_assert(buf_add(&text, SPAN("none")));
	} else {
		ck_assert(buf_printf(&text, "%s ",
				     client_stage_word(r[i].stage)));
		reply_line(&text, &r[i].reply);
	}
	same_text(d, buf_span(&text), span_of(arguments(s)), "the result");
	buf_release(&text);
}

static void client_body_piece(struct dialog *d, const char *text)
{
	struct buf piece;

	buf_init(&piece, WIRE_MAX);
	unescape(text, &piece);
	client_body(d->client, buf_span(&piece));
	buf_release(&piece);
}

static void client_line(struct dialog *d, const char *line)
{
	if (starts(line, "set ")) {
		client_set(d, arguments(line));
		return;
	}
	if (d->client == NULL)
		d->client = client_new(&d->client_conf);
	if (starts(line, "S: ") || starts(line, "S~ "))
		feed(d, line + 3, line[1] == ':');
	else if (starts(line, "C: ") || starts(line, "C~ "))
		hear(d, line + 3, line[1] == ':');
	else if (starts(line, "mail "))
		client_mails(d, arguments(line));
	else if (starts(line, "body"))
		client_body_piece(d, arguments(line));
	else if (strcmp(line, "dot") == 0)
		client_body_end(d->client);
	else if (strcmp(line, "quit") == 0)
		client_quit(d->client);
	else if (strcmp(line, "waits") == 0)
		expect(d, "");
	else if (starts(line, "result "))
		client_result_is(d, arguments(line));
	else if (starts(line, "is "))
		client_fact(d, arguments(line));
	else if (strcmp(line, "secure") == 0) {
		buf_clear(&d->in);
		d->shown = 0;
		client_tls_started(d->client);
	} else
		expect(d, line);
}

/* ------- running */

static void dialog_init(struct dialog *d, const char *path, bool bytewise)
{
	*d = (struct dialog){
		.path = path,
		.bytewise = bytewise,
		.server_conf = {.hostname = "relay.example",
				.max_message_bytes = 1000000,
				.max_recipients = 100,
				.max_errors = 20},
		.client_conf = {.hostname = "relay.example"},
		.mail = {.envid = "", .ret = ""},
	};
	for (size_t i = 0; i < WORDS_MAX; i++)
		d->orcpt[i] = "";
	buf_init(&d->in, WIRE_MAX);
	buf_init(&d->said, WIRE_MAX);
	buf_init(&d->body, WIRE_MAX);
}

/* Nothing may be left that the script did not mention. */
static void dialog_end(struct dialog *d)
{
	flush(d);
	/* A script may end with a question. */
	if (d->server == NULL || strcmp(server_state(d->server), "asked") != 0)
		pump(d);
	if (d->said.len > 0)
		FAIL(d, "unread: %.*s", (int)d->said.len,
		     buf_span(&d->said).at);
	if (d->event[0] != '\0' && strcmp(d->event, d->last_event) != 0)
		FAIL(d, "not expected: %s", d->event);
	server_free(d->server);
	client_free(d->client);
	words_free(d);
	buf_release(&d->in);
	buf_release(&d->said);
	buf_release(&d->body);
}

static void run_script(const char *path, bool bytewise)
{
	bool is_server = strstr(path, "/server/") != NULL;
	FILE *f = fopen(path, "r");
	struct dialog d;
	char line[8192];

	ck_assert_ptr_nonnull(f);
	dialog_init(&d, path, bytewise);
	while (fgets(line, sizeof(line), f) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		d.line++;
		if (line[0] == '#' || line[0] == '\0')
			continue;
		if (is_server)
			server_line(&d, line);
		else
			client_line(&d, line);
	}
	fclose(f);
	dialog_end(&d);
}

static glob_t scripts;

START_TEST(whole)
{
	run_script(scripts.gl_pathv[_i], false);
}
END_TEST

START_TEST(byte_by_byte)
{
	run_script(scripts.gl_pathv[_i], true);
}
END_TEST

START_TEST(enough_scripts)
{
	ck_assert_uint_ge(scripts.gl_pathc, 300);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("dialog");
	TCase *tc = tcase_create("scripts");
	SRunner *runner;
	int failed;

	(void)glob("tests/dialog/server/*.txt", 0, NULL, &scripts);
	(void)glob("tests/dialog/client/*.txt", GLOB_APPEND, NULL, &scripts);
	/* A busy machine is no wrong answer. */
	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, whole, 0, (int)scripts.gl_pathc);
	tcase_add_loop_test(tc, byte_by_byte, 0, (int)scripts.gl_pathc);
	tcase_add_test(tc, enough_scripts);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	globfree(&scripts);
	return failed != 0;
}
