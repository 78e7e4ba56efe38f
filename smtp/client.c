/* SPDX-License-Identifier: ISC */
/*
 * client - speaks to a server, and tells what it heard.
 *
 * The table of steps is the dialogue.  say_*() writes one command and returns
 * what may be said next; hear_*() judges one answer and returns what to say
 * next.  speak() says on until a step is `alone` and answers are outstanding:
 * pipelining is that column and nothing else.  DATA waits for all answers to
 * RCPT; it costs a round trip, and saves us the states in which a message is
 * wanted for which there is no recipient.
 *
 * What was said and not yet answered stands in a ring, so each answer finds its
 * command.  Each recipient is settled once: by the answer to its RCPT if that
 * is no, else by the first answer behind it that decides for all.
 */
#include "smtp/client.h"

#include <stdlib.h>

#include "smtp/address.h"
#include "smtp/data.h"
#include "smtp/offers.h"

enum {
	SAY_NOTHING = CLIENT_STAGES,
	OUTPUT_HIGH_BYTES = 64 * 1024, /* no command is added above it */
	/* Stuffing makes four bytes of three at the worst. */
	OUTPUT_MAX_BYTES = 2 * CLIENT_PIECE_MAX + 2 * OUTPUT_HIGH_BYTES,
	RING_FIRST = 2,
	MS_PER_SECOND = 1000,
	DATA_BLOCK_TIMEOUT_S = 180,
};

/* A command whose answer is awaited. */
struct flight {
	enum client_stage stage;
	size_t rcpt; /* of CLIENT_RCPT */
};

struct client {
	char *hostname; /* owned */
	enum client_tls tls;
	int next; /* stage to say, or SAY_NOTHING */
	enum client_wants pause; /* what is told when all is heard */
	enum client_stage stage; /* of what was heard last */

	bool in_tls;
	bool ehlo_refused;
	bool protocol_error;
	bool closing; /* 421: nothing more may be said */
	struct offers offers;
	char *greeting; /* owned */

	struct flight *ring; /* owned */
	size_t ring_size, head, awaited;

	struct transaction tx; /* what it points to is borrowed */
	struct client_result *results; /* owned; of tx */
	bool in_transaction;
	size_t said, accepted; /* recipients */
	bool dot_said, dot_heard;
	bool needs_rset; /* a transaction was left open */
	struct data_out data;

	struct reply_parser parser;
	struct reply heard;
	struct buf out;
};

/* ------- outcomes */

static int pause_with(struct client *c, enum client_wants wants)
{
	c->pause = wants;
	return SAY_NOTHING;
}

/* No transaction is possible, or not any more. */
static int fail(struct client *c)
{
	c->awaited = 0;
	return pause_with(c, CLIENT_FAILED);
}

static int protocol_error(struct client *c)
{
	c->protocol_error = true;
	return fail(c);
}

/* An answer that is not yes: a plain no, or nonsense. */
static int refused(struct client *c)
{
	if (c->heard.code < 400)
		return protocol_error(c);
	return fail(c);
}

static bool is_yes(const struct client *c)
{
	return c->heard.code / 100 == 2;
}

static bool is_no(const struct client *c)
{
	return c->heard.code >= 400;
}

static void settle(struct client *c, size_t rcpt)
{
	struct client_result *r = &c->results[rcpt];

	if (r->reply.code != 0)
		return;
	r->stage = c->stage;
	r->reply = c->heard;
}

/* All that have no result yet get the present answer, and it is over. */
static int settle_rest(struct client *c)
{
	for (size_t i = 0; i < c->tx.nrecipients; i++)
		settle(c, i);
	c->in_transaction = false;
	return pause_with(c, CLIENT_SETTLED);
}

/* RFC 5321 3.8: 421 may answer anything, and the server then closes. */
static int gone(struct client *c)
{
	c->closing = true;
	c->awaited = 0;
	if (c->stage == CLIENT_DOT)
		c->dot_heard = true;
	if (c->in_transaction)
		return settle_rest(c);
	if (c->pause == CLIENT_SETTLED)
		return SAY_NOTHING;
	if (c->pause == CLIENT_READY || c->stage == CLIENT_QUIT)
		return pause_with(c, CLIENT_CLOSED);
	return pause_with(c, CLIENT_FAILED);
}

/* ------- say */

static void put(struct client *c, const char *command)
{
	BUG_ON(!buf_printf(&c->out, "%s\r\n", command));
}

static int say_nothing(struct client *c)
{
	(void)c;
	return SAY_NOTHING;
}

static int say_ehlo(struct client *c)
{
	BUG_ON(!buf_printf(&c->out, "EHLO %s\r\n", c->hostname));
	return SAY_NOTHING;
}

static int say_helo(struct client *c)
{
	BUG_ON(!buf_printf(&c->out, "HELO %s\r\n", c->hostname));
	return SAY_NOTHING;
}

static int say_starttls(struct client *c)
{
	put(c, "STARTTLS");
	return SAY_NOTHING;
}

static int say_mail(struct client *c)
{
	BUG_ON(!buf_printf(&c->out, "MAIL FROM:<%s>", c->tx.sender));
	if ((c->offers.set & OFFER_SIZE) && c->tx.bytes > 0)
		BUG_ON(!buf_printf(&c->out, " SIZE=%llu",
				   (unsigned long long)c->tx.bytes));
	if ((c->offers.set & OFFER_8BITMIME) && c->tx.has_8bit)
		BUG_ON(!buf_add(&c->out, SPAN(" BODY=8BITMIME")));
	put(c, "");
	return CLIENT_RCPT;
}

static int say_rcpt(struct client *c)
{
	BUG_ON(!buf_printf(&c->out, "RCPT TO:<%s>\r\n",
			   c->tx.recipients[c->said]));
	c->said++;
	return c->said < c->tx.nrecipients ? CLIENT_RCPT : CLIENT_DATA;
}

static int say_data(struct client *c)
{
	put(c, "DATA");
	return SAY_NOTHING;
}

static int say_dot(struct client *c)
{
	BUG_ON(!data_out_end(&c->data, &c->out));
	c->dot_said = true;
	return SAY_NOTHING;
}

static int say_rset(struct client *c)
{
	put(c, "RSET");
	return SAY_NOTHING;
}

static int say_quit(struct client *c)
{
	put(c, "QUIT");
	return SAY_NOTHING;
}

/* ------- hear */

static int hear_greeting(struct client *c, size_t rcpt)
{
	(void)rcpt;
	c->greeting = xstrndup(c->heard.text, c->heard.len);
	offers_masked(&c->offers, &c->heard);
	return is_yes(c) ? CLIENT_EHLO : refused(c);
}

/* The session is opened, by EHLO or HELO. */
static int opened(struct client *c)
{
	if (c->in_tls || c->tls == CLIENT_TLS_OFF)
		return pause_with(c, CLIENT_READY);
	if (c->offers.set & OFFER_STARTTLS)
		return CLIENT_STARTTLS;
	if (c->tls == CLIENT_TLS_IF_OFFERED)
		return pause_with(c, CLIENT_READY);
	c->stage = CLIENT_STARTTLS;
	c->heard = (struct reply){.code = 0};
	return fail(c);
}

static int hear_ehlo(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (is_yes(c)) {
		offers_heard(&c->offers, &c->heard);
		return opened(c);
	}
	/* RFC 5321 3.2: who does not know EHLO may know HELO. */
	if (c->heard.code >= 500) {
		offers_masked(&c->offers, &c->heard);
		c->ehlo_refused = true;
		return CLIENT_HELO;
	}
	return refused(c);
}

static int hear_helo(struct client *c, size_t rcpt)
{
	(void)rcpt;
	return is_yes(c) ? opened(c) : refused(c);
}

static int hear_starttls(struct client *c, size_t rcpt)
{
	(void)rcpt;
	return is_yes(c) ? pause_with(c, CLIENT_ASKS_TLS) : refused(c);
}

static int hear_mail(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (is_yes(c))
		return c->next;
	return is_no(c) ? settle_rest(c) : protocol_error(c);
}

static int hear_rcpt(struct client *c, size_t rcpt)
{
	/* MAIL was refused; this answers what was said in one go with it. */
	if (!c->in_transaction)
		return c->next;
	if (is_yes(c))
		c->accepted++;
	else if (is_no(c))
		settle(c, rcpt);
	else
		return protocol_error(c);
	if (rcpt + 1 < c->tx.nrecipients || c->accepted > 0)
		return c->next;
	c->needs_rset = true;
	return settle_rest(c);
}

static int hear_data(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (c->heard.code / 100 == 3) {
		data_out_init(&c->data);
		return pause_with(c, CLIENT_ASKS_BODY);
	}
	c->needs_rset = true;
	return is_no(c) ? settle_rest(c) : protocol_error(c);
}

static int hear_dot(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (c->heard.code / 100 == 3)
		return protocol_error(c);
	c->dot_heard = true;
	return settle_rest(c);
}

static int hear_rset(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (!is_yes(c))
		return refused(c);
	c->needs_rset = false;
	return CLIENT_MAIL;
}

static int hear_quit(struct client *c, size_t rcpt)
{
	(void)rcpt;
	return pause_with(c, CLIENT_CLOSED);
}

/* clang-format off */
static const struct step {
	const char *word;
	int timeout_s;                   /* RFC 5321 4.5.3.2 */
	bool alone;                      /* waits for all answers before it */
	int (*say)(struct client *c);
	int (*hear)(struct client *c, size_t rcpt);
} steps[] = {
	/*                    word           s  alone  we say        we hear */
	[CLIENT_GREETING] = { "greeting",    300, true,  say_nothing,  hear_greeting },
	[CLIENT_EHLO]     = { "EHLO",        300, true,  say_ehlo,     hear_ehlo },
	[CLIENT_HELO]     = { "HELO",        300, true,  say_helo,     hear_helo },
	[CLIENT_STARTTLS] = { "STARTTLS",    120, true,  say_starttls, hear_starttls },
	[CLIENT_MAIL]     = { "MAIL",        300, true,  say_mail,     hear_mail },
	[CLIENT_RCPT]     = { "RCPT",        300, false, say_rcpt,     hear_rcpt },
	[CLIENT_DATA]     = { "DATA",        120, true,  say_data,     hear_data },
	[CLIENT_DOT]      = { "end of data", 600, true,  say_dot,      hear_dot },
	[CLIENT_RSET]     = { "RSET",        120, true,  say_rset,     hear_rset },
	[CLIENT_QUIT]     = { "QUIT",         30, true,  say_quit,     hear_quit },
};
/* clang-format on */
_Static_assert(ARRAY_LEN(steps) == CLIENT_STAGES, "a stage without a step");

/* ------- machine */

static void ring_resize(struct client *c, size_t size)
{
	BUG_ON(c->awaited > 0);
	c->head = 0;
	if (size <= c->ring_size)
		return;
	c->ring = xrealloc(c->ring, size, sizeof(c->ring[0]));
	c->ring_size = size;
}

static void ring_push(struct client *c, enum client_stage stage, size_t rcpt)
{
	size_t at = (c->head + c->awaited) % c->ring_size;

	BUG_ON(c->awaited == c->ring_size);
	c->ring[at] = (struct flight){stage, rcpt};
	c->awaited++;
}

static struct flight ring_pop(struct client *c)
{
	struct flight f = c->ring[c->head];

	BUG_ON(c->awaited == 0);
	c->head = (c->head + 1) % c->ring_size;
	c->awaited--;
	return f;
}

static bool may_say(const struct client *c, const struct step *step)
{
	if (c->awaited == 0)
		return true;
	return !step->alone && (c->offers.set & OFFER_PIPELINING) &&
	       c->out.len < OUTPUT_HIGH_BYTES;
}

static void speak(struct client *c)
{
	while (c->next != SAY_NOTHING) {
		const struct step *step = &steps[c->next];

		if (!may_say(c, step))
			return;
		ring_push(c, (enum client_stage)c->next, c->said);
		c->next = step->say(c);
	}
}

/* A reply is whole: gives it to the command it answers. */
static void hear(struct client *c)
{
	struct flight f = {.stage = client_stage(c)};
	bool asked = c->awaited > 0;

	if (asked)
		f = ring_pop(c);
	c->stage = f.stage;
	c->heard = c->parser.reply;
	if (c->heard.code == 421)
		c->next = gone(c);
	else if (!asked)
		c->next = protocol_error(c);
	else
		c->next = steps[f.stage].hear(c, f.rcpt);
}

/* What came is no reply. */
static void hear_broken(struct client *c)
{
	c->stage = client_stage(c);
	c->heard = c->parser.reply;
	c->next = protocol_error(c);
}

static bool is_listening(const struct client *c)
{
	return c->awaited > 0 || c->pause == CLIENT_READY ||
	       c->pause == CLIENT_ASKS_BODY;
}

static enum client_wants report(struct client *c)
{
	enum client_wants wants =
		c->awaited > 0 ? CLIENT_WANTS_INPUT : c->pause;

	if (wants == CLIENT_SETTLED)
		c->pause = c->closing ? CLIENT_CLOSED : CLIENT_READY;
	return wants;
}

enum client_wants client_step(struct client *c, struct span *in)
{
	for (;;) {
		speak(c);
		if (!is_listening(c))
			break;
		switch (reply_parse(&c->parser, in)) {
		case REPLY_MORE:
			return report(c);
		case REPLY_DONE:
			hear(c);
			break;
		case REPLY_BROKEN:
			hear_broken(c);
			break;
		}
	}
	return report(c);
}

struct client *client_new(const struct client_conf *conf)
{
	struct client *c = xcalloc(1, sizeof(*c));

	c->hostname = xstrdup(conf->hostname);
	c->tls = conf->tls;
	c->in_tls = conf->in_tls;
	c->next = CLIENT_GREETING;
	c->pause = CLIENT_WANTS_INPUT;
	reply_parser_init(&c->parser);
	buf_init(&c->out, OUTPUT_MAX_BYTES);
	ring_resize(c, RING_FIRST);
	return c;
}

void client_free(struct client *c)
{
	if (c == NULL)
		return;
	free(c->hostname);
	free(c->greeting);
	free(c->ring);
	free(c->results);
	buf_release(&c->out);
	free(c);
}

struct buf *client_output(struct client *c)
{
	return &c->out;
}

static void resume(struct client *c, enum client_stage next)
{
	c->pause = CLIENT_WANTS_INPUT;
	c->next = (int)next;
	speak(c);
}

/* RFC 3207 4.2: what was learned in clear is forgotten. */
void client_tls_started(struct client *c)
{
	BUG_ON(c->pause != CLIENT_ASKS_TLS);
	c->in_tls = true;
	c->offers = (struct offers){.set = 0};
	c->ehlo_refused = false;
	resume(c, CLIENT_EHLO);
}

void client_mail(struct client *c, const struct transaction *t)
{
	BUG_ON(c->pause != CLIENT_READY || t->nrecipients == 0);
	c->tx = *t;
	free(c->results);
	c->results = xcalloc(t->nrecipients, sizeof(c->results[0]));
	c->in_transaction = true;
	c->said = c->accepted = 0;
	c->dot_said = c->dot_heard = false;
	ring_resize(c, t->nrecipients + RING_FIRST);
	resume(c, c->needs_rset ? CLIENT_RSET : CLIENT_MAIL);
}

void client_body(struct client *c, struct span piece)
{
	BUG_ON(c->pause != CLIENT_ASKS_BODY);
	data_out_feed(&c->data, &piece, &c->out);
	BUG_ON(piece.len > 0);
}

void client_body_end(struct client *c)
{
	BUG_ON(c->pause != CLIENT_ASKS_BODY);
	resume(c, CLIENT_DOT);
}

void client_quit(struct client *c)
{
	BUG_ON(c->pause != CLIENT_READY && c->pause != CLIENT_FAILED &&
	       c->pause != CLIENT_CLOSED);
	if (c->closing || c->protocol_error || c->pause == CLIENT_CLOSED)
		c->pause = CLIENT_CLOSED;
	else
		resume(c, CLIENT_QUIT);
}

/* ------- what is known */

enum client_stage client_stage(const struct client *c)
{
	if (c->awaited > 0)
		return c->ring[c->head].stage;
	return c->stage;
}

const char *client_stage_word(enum client_stage s)
{
	BUG_ON(s >= CLIENT_STAGES);
	return steps[s].word;
}

int64_t client_timeout_ms(const struct client *c)
{
	int64_t s = steps[client_stage(c)].timeout_s;

	if (c->awaited == 0 && c->pause == CLIENT_ASKS_BODY)
		s = DATA_BLOCK_TIMEOUT_S;
	return s * MS_PER_SECOND;
}

unsigned client_offers(const struct client *c)
{
	return c->offers.set;
}

uint64_t client_size_limit(const struct client *c)
{
	return c->offers.size_limit;
}

bool client_ehlo_refused(const struct client *c)
{
	return c->ehlo_refused;
}

bool client_in_tls(const struct client *c)
{
	return c->in_tls;
}

const struct reply *client_reply(const struct client *c)
{
	return &c->heard;
}

bool client_protocol_error(const struct client *c)
{
	return c->protocol_error;
}

const char *client_greeting(const struct client *c)
{
	return c->greeting != NULL ? c->greeting : "";
}

const struct client_result *client_results(const struct client *c, size_t *n)
{
	*n = c->results != NULL ? c->tx.nrecipients : 0;
	return c->results;
}

bool client_uncertain(const struct client *c)
{
	return c->dot_said && !c->dot_heard;
}
