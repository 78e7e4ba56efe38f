/* SPDX-License-Identifier: ISC */
/*
 * outbound_body - the bytes of the message in hand, from the store to the
 * machine.
 *
 * They are read piece by piece, and their checksum is compared before the end
 * of data is said: a damaged message is never completed.
 */
#include "base/fault.h"
#include "base/log.h"
#include "daemon/outbound_session.h"

enum { BODY_PIECE_MAX = 64 * 1024 };

void outbound_start_body(struct outbound *o)
{
	o->body_at = 0;
	o->body_given = false;
	o->header_sent = false;
	if (!o->digest)
		o->digest = digest_new();
	digest_reset(o->digest);
}

static void body_failed(struct outbound *o, const char *text, enum status st)
{
	struct facts facts =
		outbound_facts(o, st == ST_PERM ? FACT_CORRUPT : FACT_SELF);

	facts.text = text;
	log_fact(
		LOG_ERROR, o->message->id, "body-unreadable",
		F_STR("cause", cause_word(st == ST_PERM ? CAUSE_IS_CORRUPT
							: CAUSE_IS_SELF_STORE)),
		F_STR("reply", text));
	outbound_broke(o, &facts);
}

bool outbound_give_body(struct outbound *o)
{
	struct store *store = o->worker->relay->store;
	const struct message *m = o->message;
	struct buf piece;
	struct err e;

	o->body_given = true;
	if (!o->header_sent) {
		client_body(o->client, span_of(m->trace_field));
		o->header_sent = true;
	}
	buf_init(&piece, BODY_PIECE_MAX);
	enum status st =
		store->ops->read_body(store, m->id, o->body_at, &piece, &e);
	struct span s = buf_span(&piece);
	if (st == ST_OK && s.len > 0) {
		digest_add(o->digest, s);
		client_body(o->client, s);
		o->body_at += s.len;
	}
	buf_release(&piece);
	if (st != ST_OK) {
		body_failed(o, e.text, st);
		return false;
	}
	if (o->body_at < m->bytes && s.len > 0)
		return true;
	if (o->body_at != m->bytes || digest_value(o->digest) != m->checksum) {
		body_failed(o,
			    "the stored message is damaged: its checksum "
			    "is not the one taken when it was received",
			    ST_PERM);
		return false;
	}
	outbound_say_underway(o);
	FAULT(DELIVERY_MARKED);
	client_body_end(o->client);
	return true;
}
