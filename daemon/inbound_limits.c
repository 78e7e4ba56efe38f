/* SPDX-License-Identifier: ISC */
/*
 * inbound_limits - how many connections, messages and recipients a listener
 * takes: at a time, and from one client in a minute.
 */
#include "base/clock.h"
#include "daemon/inbound_session.h"

static struct span client_key(const struct inbound *s)
{
	return addr_host_key(&s->peer);
}

/* ------- at a time */

static enum status closing(struct err *e, int subject, int detail,
			   const char *text)
{
	enum status st = err_temp(e, subject, detail, "%s", text);

	e->reply = 421;
	return st;
}

enum status inbound_count_connection(struct inbound *s, struct err *e)
{
	unsigned others;

	if (s->ours)
		return ST_OK;
	others = atomic_fetch_add(&s->listening->connections, 1);
	s->counted = true;
	if (others < s->listener->max_connections)
		return ST_OK;
	return closing(e, 3, 2, "Too many connections");
}

void inbound_uncount(struct inbound *s)
{
	if (s->counted)
		atomic_fetch_sub(&s->listening->connections, 1);
	if (s->counted_client)
		tally_give(s->worker->relay->clients, client_key(s));
}

/* ------- in a minute */

static bool may(const struct inbound *s, struct rate *rate, unsigned limit)
{
	return rate_take(rate, client_key(s), limit, clock_mono_ms());
}

enum status inbound_count_client(struct inbound *s, struct err *e)
{
	const struct relay *relay = s->worker->relay;
	const struct conf_listener *l = s->listener;

	if (s->ours)
		return ST_OK;
	s->counted_client = tally_take(relay->clients, client_key(s),
				       l->max_connections_per_client);
	if (!s->counted_client)
		return closing(e, 7, 0, "Too many connections from you");
	if (!may(s, relay->rates.connections, l->max_connections_per_minute))
		return closing(e, 7, 0,
			       "Too many connections from you in a minute");
	return ST_OK;
}

enum status inbound_count_mail(const struct inbound *s, struct err *e)
{
	if (may(s, s->worker->relay->rates.messages,
		s->listener->max_messages_per_minute))
		return ST_OK;
	return err_temp(e, 7, 1, "Too many messages from you in a minute");
}

enum status inbound_count_recipient(const struct inbound *s, struct err *e)
{
	if (may(s, s->worker->relay->rates.recipients,
		s->listener->max_recipients_per_minute))
		return ST_OK;
	return err_temp(e, 7, 1, "Too many recipients from you in a minute");
}
