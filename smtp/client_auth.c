/* SPDX-License-Identifier: ISC */
/*
 * client_auth - the client's side of AUTH: PLAIN, LOGIN and XOAUTH2.
 *
 * A response that fits into a command line is said with the command and saves
 * a round trip; a longer one waits for the server's empty challenge (RFC 4954
 * section 4: an initial response is bound by the length of a command).
 *
 * The secret is borrowed.  It is encoded through memory that is wiped at once,
 * straight into the output, whose memory is reserved before (so that growing
 * leaves no copy behind) and wiped as soon as it was written out.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "smtp/client_state.h"

enum {
	COMMAND_MAX = 512, /* RFC 5321 4.5.3.1.4, with CRLF */
	RESPONSE_MAX = 12288, /* RFC 4954 4, with CRLF */
	WORDS_ROOM = 32, /* what the mechanisms put around */
};

static const struct {
	const char *word;
	enum offer_auth offer;
} mechanisms[] = {
	[CLIENT_AUTH_OFF] = {"", 0},
	[CLIENT_AUTH_PLAIN] = {"PLAIN", OFFER_AUTH_PLAIN},
	[CLIENT_AUTH_LOGIN] = {"LOGIN", OFFER_AUTH_LOGIN},
	[CLIENT_AUTH_XOAUTH2] = {"XOAUTH2", OFFER_AUTH_XOAUTH2},
};

static size_t encoded_len(size_t n)
{
	return (n + 2) / 3 * 4;
}

/* ------- beginning */

/* Nothing was refused, but it can't be said: code 0 and our words. */
static int impossible(struct client *c, const char *why)
{
	c->stage = CLIENT_AUTH;
	c->heard = (struct reply){.code = 0};
	snprintf(c->heard.text, sizeof(c->heard.text), "AUTH %s: %s",
		 mechanisms[c->auth].word, why);
	c->heard.len = strlen(c->heard.text);
	return client_fail(c);
}

int client_authenticate(struct client *c)
{
	size_t len;

	if (c->auth == CLIENT_AUTH_OFF)
		return client_pause(c, CLIENT_READY);
	if (!c->in_tls)
		return impossible(c, "it is said inside TLS only");
	if (!(c->offers.auth & mechanisms[c->auth].offer))
		return impossible(c, "the server does not offer it");
	len = strlen(c->user) + strlen(c->secret) + WORDS_ROOM;
	if (encoded_len(len) + 2 > RESPONSE_MAX)
		return impossible(c, "the user and the secret are too long");
	c->auth_line = AUTH_COMMAND;
	c->auth_responded = false;
	return CLIENT_AUTH;
}

/* ------- say */

static void put(struct client *c, struct span s)
{
	BUG_ON(!buf_add(&c->out, s));
}

/* Adds the Base64 of s and remembers that it is secret. */
static void put_encoded(struct client *c, struct span s)
{
	c->has_secret_out = true;
	c->auth_responded = true;
	BUG_ON(!base64_encode(&c->out, s));
}

/* What PLAIN (RFC 4616 2) and XOAUTH2 send in one piece; to be wiped. */
static struct span response_new(const struct client *c)
{
	size_t user = strlen(c->user), secret = strlen(c->secret);
	bool plain = c->auth == CLIENT_AUTH_PLAIN;
	size_t size = user + secret + WORDS_ROOM;
	char *s = xmalloc(size);
	int n;

	if (plain)
		n = snprintf(s, size, "%c%s%c%s", '\0', c->user, '\0',
			     c->secret);
	else
		n = snprintf(s, size, "user=%s\001auth=Bearer %s\001\001",
			     c->user, c->secret);
	BUG_ON(n < 0 || (size_t)n >= size);
	return (struct span){s, (size_t)n};
}

static void response_free(struct span s)
{
	/* A span does not own; these are ours. */
	explicit_bzero((char *)s.at, s.len);
	free((char *)s.at);
}

static void say_command(struct client *c)
{
	const char *word = mechanisms[c->auth].word;
	struct span s = {NULL, 0};
	size_t len;

	BUG_ON(!buf_printf(&c->out, "AUTH %s", word));
	if (c->auth == CLIENT_AUTH_LOGIN)
		return;
	s = response_new(c);
	len = strlen("AUTH  ") + strlen(word) + encoded_len(s.len) + 2;
	if (len <= COMMAND_MAX) {
		put(c, SPAN(" "));
		put_encoded(c, s);
	}
	response_free(s);
}

static void say_response(struct client *c)
{
	struct span s = response_new(c);

	put_encoded(c, s);
	response_free(s);
}

int client_say_auth(struct client *c)
{
	BUG_ON(buf_room(&c->out, RESPONSE_MAX) == NULL);
	switch (c->auth_line) {
	case AUTH_COMMAND:
		say_command(c);
		break;
	case AUTH_RESPONSE:
		say_response(c);
		break;
	case AUTH_USER:
		put_encoded(c, span_of(c->user));
		break;
	case AUTH_PASSWORD:
		put_encoded(c, span_of(c->secret));
		break;
	case AUTH_EMPTY:
		break;
	case AUTH_CANCEL:
		put(c, SPAN("*"));
		break;
	}
	put(c, SPAN("\r\n"));
	return SAY_NOTHING;
}

/* ------- hear */

static void forget(struct client *c)
{
	c->user = c->secret = NULL;
}

/* What answers a challenge (334); AUTH_COMMAND: nothing does. */
static enum auth_line line_after(const struct client *c)
{
	bool login = c->auth == CLIENT_AUTH_LOGIN;

	switch (c->auth_line) {
	case AUTH_COMMAND:
		if (!c->auth_responded)
			return login ? AUTH_USER : AUTH_RESPONSE;
		break;
	case AUTH_USER:
		return AUTH_PASSWORD;
	case AUTH_RESPONSE:
		break;
	case AUTH_PASSWORD:
	case AUTH_EMPTY:
		return AUTH_CANCEL;
	case AUTH_CANCEL:
		return AUTH_COMMAND;
	}
	/* XOAUTH2: the challenge holds an error; the reply comes behind. */
	return c->auth == CLIENT_AUTH_XOAUTH2 ? AUTH_EMPTY : AUTH_CANCEL;
}

int client_hear_auth(struct client *c, size_t rcpt)
{
	(void)rcpt;
	client_wipe_output(c);
	if (c->heard.code == 334)
		c->auth_line = line_after(c);
	if (c->heard.code == 334 && c->auth_line != AUTH_COMMAND)
		return CLIENT_AUTH;
	forget(c);
	if (client_heard_yes(c))
		return client_pause(c, CLIENT_READY);
	return client_refused(c);
}

void client_wipe_output(struct client *c)
{
	if (!c->has_secret_out || c->out.len > 0)
		return;
	explicit_bzero(c->out.mem, c->out.cap);
	c->has_secret_out = false;
}
