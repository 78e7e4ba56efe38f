/* SPDX-License-Identifier: ISC */
/*
 * client - speaks to a server, and tells what it heard.
 *
 * The table of steps is the dialogue.  Its say_*() writes one command and
 * returns what may be said next; its hear_*() judges one answer and returns
 * what to say next.  speak() says on until a step is `alone` and answers are
 * outstanding: pipelining is that column and nothing else.
 *
 * What was said and not yet answered stands in a ring, so each answer finds its
 * command.
 */
#include "smtp/client.h"

#include <stdlib.h>

#include "smtp/client_state.h"

enum {
	RING_FIRST = 2, /* MAIL and DATA, around the recipients */
	CHUNK_MAX_BYTES = 2 * CLIENT_PIECE_MAX,
	MS_PER_SECOND = 1000,
	DATA_BLOCK_TIMEOUT_S = 180,
};

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

static bool may_say(const struct client *c, const struct client_step *step)
{
	if (c->awaited == 0)
		return true;
	return !step->alone && (c->offers.set & OFFER_PIPELINING) &&
	       c->out.len < OUTPUT_HIGH_BYTES;
}

static void speak(struct client *c)
{
	while (c->next != SAY_NOTHING) {
		const struct client_step *step = &client_steps[c->next];

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
		c->next = client_hear_goodbye(c);
	else if (!asked)
		c->next = client_hear_unasked(c);
	else
		c->next = client_steps[f.stage].hear(c, f.rcpt);
}

/* What came is no reply. */
static void hear_broken(struct client *c)
{
	c->stage = client_stage(c);
	c->heard = c->parser.reply;
	c->next = client_protocol_failed(c);
}

static bool is_listening(const struct client *c)
{
	return c->awaited > 0 || c->pause == CLIENT_READY ||
	       c->pause == CLIENT_ASKS_BODY;
}

static enum client_wants report(struct client *c)
{
	if (c->awaited > 0 && !client_body_wanted(c))
		return CLIENT_WANTS_INPUT;
	if (c->pause != CLIENT_SETTLED)
		return c->pause;
	c->pause = c->closing ? CLIENT_CLOSED : CLIENT_READY;
	c->results_told = true;
	return CLIENT_SETTLED;
}

/* A connection that rests keeps no results of a thousand recipients. */
static void results_free(struct client *c)
{
	free(c->results);
	c->results = NULL;
	c->results_told = false;
}

enum client_wants client_step(struct client *c, struct span *in)
{
	if (c->results_told)
		results_free(c);
	client_wipe_output(c);
	client_body_given(c);
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
	c->auth = conf->auth;
	c->user = conf->user != NULL ? conf->user : "";
	c->secret = conf->secret != NULL ? conf->secret : "";
	c->next = CLIENT_GREETING;
	c->pause = CLIENT_WANTS_INPUT;
	reply_parser_init(&c->parser);
	buf_init(&c->out, OUTPUT_MAX_BYTES);
	buf_init(&c->chunk, CHUNK_MAX_BYTES);
	ring_resize(c, RING_FIRST);
	return c;
}

void client_free(struct client *c)
{
	if (c == NULL)
		return;
	free(c->hostname);
	free(c->greeting);
	free(c->ehlo);
	free(c->ring);
	results_free(c);
	buf_clear(&c->out);
	client_wipe_output(c);
	buf_release(&c->out);
	buf_release(&c->chunk);
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

/* What the peer can't take is failed before; to say it nevertheless would
 * change the message for whoever reads it there. */
static void check_offered(const struct client *c, const struct transaction *t)
{
	BUG_ON(t->bare_newlines && !(c->offers.set & OFFER_CHUNKING));
	BUG_ON(t->smtputf8 && !(c->offers.set & OFFER_SMTPUTF8));
}

void client_mail(struct client *c, const struct transaction *t)
{
	size_t flights = t->nrecipients;

	BUG_ON(c->pause != CLIENT_READY || t->nrecipients == 0);
	check_offered(c, t);
	c->tx = *t;
	results_free(c);
	c->results = xcalloc(t->nrecipients, sizeof(c->results[0]));
	c->in_transaction = true;
	c->said = c->accepted = 0;
	c->dot_said = c->dot_heard = false;
	if (flights < CHUNKS_AHEAD_MAX)
		flights = CHUNKS_AHEAD_MAX;
	ring_resize(c, flights + RING_FIRST);
	resume(c, c->needs_rset ? CLIENT_RSET : CLIENT_MAIL);
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
	return client_steps[s].word;
}

int64_t client_timeout_ms(const struct client *c)
{
	enum client_stage stage = client_stage(c);
	int64_t s = client_steps[stage].timeout_s;
	bool chunk = stage == CLIENT_DATA && client_in_chunks(c);

	if (chunk || (c->awaited == 0 && c->pause == CLIENT_ASKS_BODY))
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

unsigned client_rcpt_max(const struct client *c)
{
	return c->offers.rcpt_max;
}

unsigned client_mail_max(const struct client *c)
{
	return c->offers.mail_max;
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

const char *client_ehlo(const struct client *c)
{
	return c->ehlo != NULL ? c->ehlo : "";
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
