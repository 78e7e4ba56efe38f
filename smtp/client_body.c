/* SPDX-License-Identifier: ISC */
/*
 * client_body - says the message itself, by DATA or in chunks.
 *
 * DATA is the rule.  A message that holds a bare CR or LF goes by BDAT alone:
 * behind DATA it would be read in one way here and in another there.  All
 * pieces given between two steps make one chunk, and the last of them carries
 * LAST where the end was told with it.  LAST waits for the answers to all
 * chunks before it, so that a message is never completed over a refused chunk.
 */
#include "smtp/client_state.h"

bool client_in_chunks(const struct client *c)
{
	return c->tx.bare_newlines;
}

int client_body_begin(struct client *c)
{
	data_out_init(&c->data);
	return client_pause(c, CLIENT_ASKS_BODY);
}

bool client_body_wanted(const struct client *c)
{
	if (c->pause != CLIENT_ASKS_BODY)
		return false;
	if (c->awaited == 0)
		return true;
	return client_in_chunks(c) && (c->offers.set & OFFER_PIPELINING) &&
	       c->chunk.len == 0 && c->awaited < CHUNKS_AHEAD_MAX;
}

void client_body_given(struct client *c)
{
	if (c->pause == CLIENT_ASKS_BODY && c->chunk.len > 0)
		c->next = CLIENT_DATA;
}

static void put_chunk(struct client *c, const char *last)
{
	BUG_ON(!buf_printf(&c->out, "BDAT %zu%s\r\n", c->chunk.len, last));
	BUG_ON(!buf_add(&c->out, buf_span(&c->chunk)));
	buf_clear(&c->chunk);
}

void client_body(struct client *c, struct span piece)
{
	BUG_ON(c->pause != CLIENT_ASKS_BODY);
	if (client_in_chunks(c)) {
		BUG_ON(!buf_add(&c->chunk, piece));
		return;
	}
	data_out_feed(&c->data, &piece, &c->out);
	BUG_ON(piece.len > 0);
}

int client_say_data(struct client *c)
{
	if (client_in_chunks(c))
		put_chunk(c, "");
	else
		BUG_ON(!buf_add(&c->out, SPAN("DATA\r\n")));
	return SAY_NOTHING;
}

/* RFC 3030 2: no chunk behind a refused one is taken. */
static int hear_chunk(struct client *c)
{
	if (client_heard_yes(c))
		return c->next;
	c->needs_rset = true;
	if (!client_heard_no(c))
		return client_protocol_failed(c);
	return client_settle_rest(c);
}

/*
 * DATA was said together with MAIL and RCPT, and nobody is left for whom it
 * could be.  RFC 2920 3.1: a server that now wants a message gets a lone dot.
 */
static int hear_needless(struct client *c)
{
	if (c->heard.code / 100 != 3 || client_in_chunks(c))
		return c->next;
	data_out_init(&c->data);
	return CLIENT_DOT;
}

int client_hear_data(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (!c->in_transaction)
		return hear_needless(c);
	if (client_in_chunks(c))
		return hear_chunk(c);
	if (c->heard.code / 100 == 3)
		return client_body_begin(c);
	c->needs_rset = true;
	if (!client_heard_no(c))
		return client_protocol_failed(c);
	return client_settle_rest(c);
}

int client_say_dot(struct client *c)
{
	if (client_in_chunks(c)) {
		put_chunk(c, " LAST");
		buf_release(&c->chunk);
	} else {
		BUG_ON(!data_out_end(&c->data, &c->out));
	}
	c->dot_said = c->in_transaction;
	return SAY_NOTHING;
}

int client_hear_dot(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (!c->in_transaction)
		return c->next;
	if (c->heard.code / 100 == 3)
		return client_protocol_failed(c);
	c->dot_heard = true;
	/* RFC 3030 2: a refused LAST leaves the transaction as it is. */
	if (client_in_chunks(c) && !client_heard_yes(c))
		c->needs_rset = true;
	return client_settle_rest(c);
}
