/* SPDX-License-Identifier: ISC */
/*
 * notice - decides who is told what of a message: failure, delay, relayed.
 *
 * The facts of a settlement are sorted by what they are about; each kind
 * becomes one notice, or several where there are more recipients than fit
 * into one.
 */
#include "daemon/notice.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/log.h"
#include "base/units.h"
#include "daemon/route.h"
#include "queue/dsn.h"
#include "smtp/dsn.h"

/* As the source of our own messages, which came by no listener. */
static const char source_sender[] = "notice";
static const char source_postmaster[] = "postmaster-notice";

/* One recipient to be told of. */
struct item {
	const struct notice_fact *fact;
	const struct recipient *recipient;
	struct event last; /* its last attempt, from history */
	char status[16];
	char *host; /* owned */
};

/* The notices of one kind. */
struct round {
	struct notices *out;
	struct store *store;
	const struct conf *conf;
	const struct message *about;
	enum dsn_about kind;
	bool removed;
	struct item *items; /* owned */
	size_t n;
	struct buf original; /* the front of its body */
	const char *to;
	bool to_postmaster;
};

/* ------- who wants to know */

static enum dsn_about about(enum event_kind kind)
{
	if (kind == EVENT_DEFERRED)
		return DSN_ABOUT_DELAY;
	return kind == EVENT_DELIVERED ? DSN_ABOUT_RELAY : DSN_ABOUT_FAILURE;
}

bool notice_is_wanted(const struct recipient *r, enum event_kind kind)
{
	uint32_t notify = r->notify;

	switch (about(kind)) {
	case DSN_ABOUT_FAILURE:
		return notify == 0 || (notify & DSN_FAILURE) != 0;
	case DSN_ABOUT_DELAY:
		return notify == 0 || (notify & DSN_DELAY) != 0;
	case DSN_ABOUT_RELAY:
		break;
	}
	return (notify & DSN_SUCCESS) != 0;
}

static bool is_postmaster_notice(const struct message *m)
{
	return m->listener[0] == '\0' &&
	       strcmp(m->source, source_postmaster) == 0;
}

/* Sets whom it goes to; false: nobody. */
static bool find_addressee(struct round *r)
{
	const char *sender = r->about->sender;

	if (sender[0] != '\0' && route_for(r->conf, sender)) {
		r->to = sender;
		return true;
	}
	if (r->kind != DSN_ABOUT_FAILURE || r->removed ||
	    is_postmaster_notice(r->about) ||
	    !route_for(r->conf, r->conf->postmaster))
		return false;
	r->to = r->conf->postmaster;
	r->to_postmaster = true;
	return true;
}

/* ------- what is known */

/* Host of "route/host:port"; "" when there is none in it yet. */
static char *host_of(const char *destination)
{
	const char *host = strchr(destination, '/');
	const char *colon = strrchr(destination, ':');

	if (host == NULL || colon == NULL || colon < host)
		return xstrdup("");
	return xstrndup(host + 1, (size_t)(colon - host - 1));
}

/* "4.2.1" of at most three digits each; out is left alone if it is none. */
static bool take_status(char out[16], const char *s)
{
	size_t subject, detail;

	if (*s == '\0' || !strchr("245", *s) || s[1] != '.')
		return false;
	subject = strspn(s + 2, "0123456789");
	if (subject == 0 || subject > 3 || s[2 + subject] != '.')
		return false;
	detail = strspn(s + 3 + subject, "0123456789");
	if (detail == 0 || detail > 3)
		return false;
	snprintf(out, 16, "%.*s", (int)(3 + subject + detail), s);
	return true;
}

/* Of a delay: the peer's own, or what the cause says. */
static const char *delay_status(enum cause cause)
{
	switch (cause_group(cause)) {
	case CAUSE_TLS:
	case CAUSE_AUTH:
		return "4.7.0";
	case CAUSE_DNS:
		return "4.4.3";
	case CAUSE_NET:
		return "4.4.1";
	case CAUSE_SELF:
	case CAUSE_OPS:
		return "4.3.0";
	case CAUSE_OTHER:
	case CAUSE_PEER:
	case CAUSE_MAIL:
		break;
	}
	return "4.0.0";
}

static void set_status(struct item *it)
{
	const struct event *ev = it->fact->event;
	const char *reply = it->recipient->reply;

	snprintf(it->status, sizeof(it->status), "%s",
		 ev->kind == EVENT_DEFERRED    ? delay_status(ev->cause)
		 : ev->kind == EVENT_DELIVERED ? "2.0.0"
					       : "5.0.0");
	if (take_status(it->status, ev->status))
		return;
	if (ev->kind == EVENT_DEFERRED && reply[0] == '4' && strlen(reply) > 4)
		(void)take_status(it->status, reply + 4);
}

/* Keeps what an attempt left in the history. */
static bool see_event(void *arg, const struct event *ev)
{
	struct round *r = arg;

	if (!ev->attempted)
		return true;
	for (size_t i = 0; i < r->n; i++) {
		struct item *it = &r->items[i];

		if (it->recipient->number != ev->number)
			continue;
		event_release(&it->last);
		event_copy(&it->last, ev);
	}
	return true;
}

/* What was not tried just now was tried before. */
static void look_back(struct round *r)
{
	struct message *m;
	struct err e;
	bool needed = false;

	for (size_t i = 0; i < r->n; i++)
		if (!r->items[i].fact->event->attempted)
			needed = true;
	/* Without its history a notice says less. */
	if (needed && r->store->ops->history(r->store, r->about->id, &m,
					     see_event, r, &e) == ST_OK)
		message_free(m);
}

/* As much of the body as a notice may have. */
static void read_original(struct round *r)
{
	struct store *store = r->store;
	struct err e;
	size_t before;

	buf_init(&r->original, DSN_ORIGINAL_MAX);
	do {
		before = r->original.len;
		if (before == DSN_ORIGINAL_MAX)
			return;
		if (store->ops->read_body(store, r->about->id, before,
					  &r->original, &e) != ST_OK)
			return;
	} while (r->original.len > before);
}

static void add_item(struct round *r, const struct notice_fact *fact,
		     const struct recipient *recipient)
{
	struct item *it = &r->items[r->n++];

	it->fact = fact;
	it->recipient = recipient;
	event_init(&it->last);
	set_status(it);
	it->host = host_of(fact->event->destination);
}

static void round_release(struct round *r)
{
	for (size_t i = 0; i < r->n; i++) {
		event_release(&r->items[i].last);
		free(r->items[i].host);
	}
	free(r->items);
	buf_release(&r->original);
}

/* ------- the notice itself */

static const char *first_of(const char *a, const char *b)
{
	return a[0] != '\0' ? a : b;
}

static struct dsn_recipient describe(const struct item *it)
{
	const struct event *ev = it->fact->event, *last = &it->last;

	return (struct dsn_recipient){
		.recipient = it->recipient,
		.cause =
			ev->kind == EVENT_DELIVERED ? CAUSE_IS_NONE : ev->cause,
		.expired = ev->kind == EVENT_EXPIRED,
		.status = it->status,
		.reply = first_of(ev->reply, it->recipient->reply),
		.host = it->host,
		.certificate = first_of(ev->certificate, last->certificate),
		.last_attempt_ms = ev->attempted ? ev->time_ms : last->time_ms,
		.until_ms = it->fact->until_ms,
	};
}

static void replace(char **field, char *with)
{
	free(*field);
	*field = with;
}

static bool has_8bit(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] >= 0x80)
			return true;
	return false;
}

/* The envelope of a notice with this body. */
static struct message *make_message(const struct round *r, const struct dsn *d,
				    struct span body)
{
	struct message *m = message_new();
	char id[MSG_ID_LEN + 1], date[CLOCK_RFC5322_MAX];
	struct place place;

	m->id = d->id;
	m->received_ms = d->now_ms;
	m->bytes = body.len;
	m->checksum = digest_of(body);
	m->has_8bit = has_8bit(body);
	m->smtputf8 = has_8bit(span_of(r->to));
	msg_id_text(id, m->id);
	clock_rfc5322(date, m->received_ms);
	replace(&m->message_id, xasprintf("%s@%s", id, r->conf->hostname));
	replace(&m->source,
		xstrdup(r->to_postmaster ? source_postmaster : source_sender));
	replace(&m->trace_field, xasprintf("Received: by %s id %s;\r\n\t%s\r\n",
					   r->conf->hostname, id, date));
	place_init(&place, route_for(r->conf, r->to), r->to);
	(void)message_add(m, r->to, place.lane, place.destination);
	place_release(&place);
	return m;
}

static void add_notice(struct round *r, const struct dsn *d)
{
	struct notices *out = r->out;
	struct buf text;
	struct store_bounce *b;

	buf_init(&text, DSN_BYTES_MAX);
	dsn_write(&text, d);
	out->bounces =
		xrealloc(out->bounces, out->n + 1, sizeof(*out->bounces));
	b = &out->bounces[out->n++];
	b->message = make_message(r, d, buf_span(&text));
	b->body.len = text.len;
	b->body.at = buf_string(&text);
}

static void write_notices(struct round *r)
{
	struct dsn_recipient *list = xcalloc(r->n, sizeof(*list));
	struct dsn d = {
		.about = r->kind,
		.now_ms = clock_wall_ms(),
		.hostname = r->conf->hostname,
		.postmaster = r->conf->postmaster,
		.to = r->to,
		.to_postmaster = r->to_postmaster,
		.removed = r->removed,
		.message = r->about,
	};

	for (size_t i = 0; i < r->n; i++)
		list[i] = describe(&r->items[i]);
	read_original(r);
	d.original = buf_span(&r->original);
	d.is_whole = d.original.len == r->about->bytes;
	for (size_t i = 0; i < r->n; i += d.n) {
		d.id = r->store->ops->new_id(r->store);
		d.recipients = &list[i];
		d.n = dsn_room(&list[i], r->n - i);
		add_notice(r, &d);
	}
	free(list);
}

/* ------- one kind after the other */

static const char *kind_word(enum dsn_about kind)
{
	switch (kind) {
	case DSN_ABOUT_FAILURE:
		return "failure";
	case DSN_ABOUT_DELAY:
		return "delay";
	case DSN_ABOUT_RELAY:
		break;
	}
	return "relayed";
}

static void log_untold(const struct round *r)
{
	char *sender = xasprintf("<%s>", r->about->sender);

	/* Of a delay or a success an empty sender never wants to hear. */
	if (r->kind == DSN_ABOUT_FAILURE || r->about->sender[0] != '\0')
		log_fact(LOG_WARN, r->about->id, "untold",
			 F_STR("sender", sender),
			 F_STR("about", kind_word(r->kind)),
			 F_INT("recipients", r->n));
	free(sender);
}

/* Takes the facts of the round's kind that somebody wants to hear. */
static void choose(struct round *r, const struct notice_fact *facts, size_t n)
{
	r->items = xcalloc(n, sizeof(*r->items));
	for (size_t i = 0; i < n; i++) {
		const struct event *ev = facts[i].event;
		const struct recipient *recipient =
			message_recipient(r->about, ev->number);

		/* One whose address was lost can't be spoken of.  NOTIFY is
		 * a wish of senders: an empty one has none. */
		if (about(ev->kind) != r->kind || recipient == NULL ||
		    recipient->address[0] == '\0' ||
		    (r->about->sender[0] != '\0' &&
		     !notice_is_wanted(recipient, ev->kind)))
			continue;
		add_item(r, &facts[i], recipient);
	}
}

static void run_round(struct round *r, const struct notice_fact *facts,
		      size_t n)
{
	bool found;

	for (size_t i = 0; i < n; i++)
		r->removed =
			r->removed || facts[i].event->kind == EVENT_REMOVED;
	found = find_addressee(r);
	choose(r, facts, n);
	if (r->n > 0 && !found)
		log_untold(r);
	if (r->n > 0 && found) {
		look_back(r);
		write_notices(r);
	}
	for (size_t i = 0; i < r->n && found && !r->to_postmaster; i++)
		r->out->told[r->items[i].fact - facts] = true;
	round_release(r);
}

void notices_make(struct notices *out, struct store *store,
		  const struct conf *conf, const struct message *m,
		  const struct notice_fact *facts, size_t nfacts)
{
	static const enum dsn_about kinds[] = {
		DSN_ABOUT_FAILURE, DSN_ABOUT_DELAY, DSN_ABOUT_RELAY};

	*out = (struct notices){.told = xcalloc(nfacts + 1, sizeof(bool))};
	for (size_t i = 0; i < ARRAY_LEN(kinds) && nfacts > 0; i++) {
		struct round r = {
			.out = out,
			.store = store,
			.conf = conf,
			.about = m,
			.kind = kinds[i],
		};

		run_round(&r, facts, nfacts);
	}
}

void notices_release(struct notices *n)
{
	for (size_t i = 0; i < n->n; i++) {
		message_free(n->bounces[i].message);
		free((char *)n->bounces[i].body.at);
	}
	free(n->bounces);
	free(n->told);
	*n = (struct notices){.n = 0};
}

void notices_log(const struct notices *n, uint64_t about_id)
{
	char id[MSG_ID_LEN + 1];

	msg_id_text(id, about_id);
	for (size_t i = 0; i < n->n; i++) {
		const struct message *m = n->bounces[i].message;
		char *rcpt = xasprintf("<%s>", m->recipients[0].address);

		log_fact(LOG_INFO, m->id, "notice", F_STR("about", id),
			 F_STR("rcpt", rcpt), F_STR("source", m->source),
			 F_INT("size", m->bytes));
		free(rcpt);
	}
}
