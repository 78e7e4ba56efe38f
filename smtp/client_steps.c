/* SPDX-License-Identifier: ISC */
/*
 * client_steps - the dialogue: what is said at each stage, what its answer
 * means.
 *
 * Each recipient is settled once: by the answer to its RCPT if that is no, else
 * by the first answer behind it that decides for all.  DATA is said in one go
 * with the recipients, for that saves a round trip; the price is the server
 * that wants a message for which it took no recipient.
 */
#include <stdlib.h>

#include "smtp/client_state.h"
#include "smtp/dsn.h"

/* ------- outcomes */

int client_pause(struct client *c, enum client_wants wants)
{
	c->pause = wants;
	return SAY_NOTHING;
}

/* No transaction is possible, or not any more. */
int client_fail(struct client *c)
{
	c->awaited = 0;
	return client_pause(c, CLIENT_FAILED);
}

int client_protocol_failed(struct client *c)
{
	c->protocol_error = true;
	return client_fail(c);
}

int client_refused(struct client *c)
{
	if (c->heard.code < 400)
		return client_protocol_failed(c);
	return client_fail(c);
}

bool client_heard_yes(const struct client *c)
{
	return c->heard.code / 100 == 2;
}

bool client_heard_no(const struct client *c)
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

int client_settle_rest(struct client *c)
{
	for (size_t i = 0; i < c->tx.nrecipients; i++)
		settle(c, i);
	c->in_transaction = false;
	buf_release(&c->chunk);
	return client_pause(c, CLIENT_SETTLED);
}

/* RFC 5321 3.8: 421 may answer anything, and the server then closes. */
int client_hear_goodbye(struct client *c)
{
	c->closing = true;
	c->awaited = 0;
	if (c->stage == CLIENT_DOT)
		c->dot_heard = true;
	if (c->in_transaction)
		return client_settle_rest(c);
	if (c->pause == CLIENT_SETTLED)
		return SAY_NOTHING;
	if (c->pause == CLIENT_READY || c->stage == CLIENT_QUIT)
		return client_pause(c, CLIENT_CLOSED);
	return client_pause(c, CLIENT_FAILED);
}

/*
 * Some servers refuse a message while it is still being sent.  That is an
 * answer; but there is no way out of the middle of a body, so the connection
 * ends with it.  An early yes is none: what it says yes to was not sent yet.
 */
int client_hear_unasked(struct client *c)
{
	if (c->pause != CLIENT_ASKS_BODY || !client_heard_no(c))
		return client_protocol_failed(c);
	c->stage = CLIENT_DATA;
	c->closing = true;
	return client_settle_rest(c);
}

/* ------- say */

static void put(struct client *c, const char *text)
{
	BUG_ON(!buf_add(&c->out, span_of(text)));
}

static void put_value(struct client *c, const char *key, const char *value)
{
	if (value != NULL && value[0] != '\0')
		BUG_ON(!buf_printf(&c->out, " %s=%s", key, value));
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
	put(c, "STARTTLS\r\n");
	return SAY_NOTHING;
}

static int say_mail(struct client *c)
{
	const struct transaction *t = &c->tx;
	unsigned offered = c->offers.set;

	BUG_ON(!buf_printf(&c->out, "MAIL FROM:<%s>", t->sender));
	if ((offered & OFFER_SIZE) && t->bytes > 0)
		BUG_ON(!buf_printf(&c->out, " SIZE=%llu",
				   (unsigned long long)t->bytes));
	if ((offered & OFFER_8BITMIME) && t->has_8bit)
		put(c, " BODY=8BITMIME");
	if ((offered & OFFER_SMTPUTF8) && t->smtputf8)
		put(c, " SMTPUTF8");
	if (offered & OFFER_DSN) {
		put_value(c, "RET", t->ret);
		put_value(c, "ENVID", t->envid);
	}
	put(c, "\r\n");
	return CLIENT_RCPT;
}

static int say_rcpt(struct client *c)
{
	const struct transaction *t = &c->tx;
	size_t i = c->said++;
	char notify[32] = "";

	BUG_ON(!buf_printf(&c->out, "RCPT TO:<%s>", t->recipients[i]));
	if (c->offers.set & OFFER_DSN) {
		if (t->notify != NULL)
			dsn_notify_text(notify, t->notify[i]);
		put_value(c, "NOTIFY", notify);
		if (t->orcpt != NULL)
			put_value(c, "ORCPT", t->orcpt[i]);
	}
	put(c, "\r\n");
	if (c->said < t->nrecipients)
		return CLIENT_RCPT;
	return client_in_chunks(c) ? SAY_NOTHING : CLIENT_DATA;
}

static int say_rset(struct client *c)
{
	put(c, "RSET\r\n");
	return SAY_NOTHING;
}

static int say_quit(struct client *c)
{
	put(c, "QUIT\r\n");
	return SAY_NOTHING;
}

/* ------- hear */

static int hear_greeting(struct client *c, size_t rcpt)
{
	(void)rcpt;
	c->greeting = xstrndup(c->heard.text, c->heard.len);
	offers_masked(&c->offers, &c->heard);
	return client_heard_yes(c) ? CLIENT_EHLO : client_refused(c);
}

/* The session is opened, by EHLO or HELO. */
static int opened(struct client *c)
{
	if (c->in_tls || c->tls == CLIENT_TLS_OFF)
		return client_authenticate(c);
	if (c->offers.set & OFFER_STARTTLS)
		return CLIENT_STARTTLS;
	if (c->tls == CLIENT_TLS_IF_OFFERED)
		return client_authenticate(c);
	c->stage = CLIENT_STARTTLS;
	c->heard = (struct reply){.code = 0};
	return client_fail(c);
}

static int hear_ehlo(struct client *c, size_t rcpt)
{
	(void)rcpt;
	free(c->ehlo);
	c->ehlo = xstrndup(c->heard.text, c->heard.len);
	if (client_heard_yes(c)) {
		offers_heard(&c->offers, &c->heard);
		return opened(c);
	}
	/* RFC 5321 3.2: who does not know EHLO may know HELO. */
	if (c->heard.code >= 500) {
		offers_masked(&c->offers, &c->heard);
		c->ehlo_refused = true;
		return CLIENT_HELO;
	}
	return client_refused(c);
}

static int hear_helo(struct client *c, size_t rcpt)
{
	(void)rcpt;
	return client_heard_yes(c) ? opened(c) : client_refused(c);
}

static int hear_starttls(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (client_heard_yes(c))
		return client_pause(c, CLIENT_ASKS_TLS);
	return client_refused(c);
}

static int hear_mail(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (client_heard_yes(c))
		return c->next;
	if (client_heard_no(c))
		return client_settle_rest(c);
	return client_protocol_failed(c);
}

static int hear_rcpt(struct client *c, size_t rcpt)
{
	/* MAIL was refused; this answers what was said in one go with it. */
	if (!c->in_transaction)
		return c->next;
	if (client_heard_yes(c))
		c->accepted++;
	else if (client_heard_no(c))
		settle(c, rcpt);
	else
		return client_protocol_failed(c);
	if (rcpt + 1 < c->tx.nrecipients)
		return c->next;
	if (c->accepted > 0)
		return client_in_chunks(c) ? client_body_begin(c) : c->next;
	c->needs_rset = true;
	return client_settle_rest(c);
}

static int hear_rset(struct client *c, size_t rcpt)
{
	(void)rcpt;
	if (!client_heard_yes(c))
		return client_refused(c);
	c->needs_rset = false;
	return CLIENT_MAIL;
}

static int hear_quit(struct client *c, size_t rcpt)
{
	(void)rcpt;
	return client_pause(c, CLIENT_CLOSED);
}

/* clang-format off */
const struct client_step client_steps[] = {
	/*                    word           s  alone  we say           we hear */
	[CLIENT_GREETING] = { "greeting",    300, true,  say_nothing,     hear_greeting },
	[CLIENT_EHLO]     = { "EHLO",        300, true,  say_ehlo,        hear_ehlo },
	[CLIENT_HELO]     = { "HELO",        300, true,  say_helo,        hear_helo },
	[CLIENT_STARTTLS] = { "STARTTLS",    120, true,  say_starttls,    hear_starttls },
	[CLIENT_AUTH]     = { "AUTH",        300, true,  client_say_auth, client_hear_auth },
	[CLIENT_MAIL]     = { "MAIL",        300, true,  say_mail,        hear_mail },
	[CLIENT_RCPT]     = { "RCPT",        300, false, say_rcpt,        hear_rcpt },
	[CLIENT_DATA]     = { "DATA",        120, false, client_say_data, client_hear_data },
	[CLIENT_DOT]      = { "end of data", 600, true,  client_say_dot,  client_hear_dot },
	[CLIENT_RSET]     = { "RSET",        120, true,  say_rset,        hear_rset },
	[CLIENT_QUIT]     = { "QUIT",         30, true,  say_quit,        hear_quit },
};
/* clang-format on */
_Static_assert(ARRAY_LEN(client_steps) == CLIENT_STAGES,
	       "a stage without a step");
