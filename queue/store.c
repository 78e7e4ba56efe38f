/* SPDX-License-Identifier: ISC */
/*
 * store.c - what every store has in common: freeing results, and the law that
 * nothing gets lost.
 */
#include "queue/store.h"

#include <stdlib.h>

#include "base/digest.h"

enum { CHECK_KEY_MAX = 1024 }; /* more than a key of any back end */

void destination_record_release(struct destination_record *d)
{
	free(d->name);
	free(d->reply);
	free(d->reason);
	*d = (struct destination_record){.name = NULL};
}

void store_record_release(struct store_record *r)
{
	free(r->key);
	free(r->value);
	*r = (struct store_record){.key = NULL};
}

void store_op_release(struct store_op *op)
{
	for (size_t i = 0; i < op->nnews; i++)
		free(op->news[i].lane);
	free(op->news);
	op->news = NULL;
	op->nnews = 0;
	op->done = 0;
}

bool store_conserved(const struct totals *t)
{
	uint64_t sum = t->delivered + t->expired + t->failed + t->removed;

	for (unsigned i = 0; i < RCPT_STATES; i++)
		sum += t->live[i];
	return sum == t->accepted;
}

bool store_balanced(const struct balance *b)
{
	for (size_t i = 0; i < RCPT_STATES; i++)
		if (b->counted[i] != b->totals.live[i])
			return false;
	return store_conserved(&b->totals);
}

void store_check_init(struct store_check *c)
{
	*c = (struct store_check){.digest = digest_new()};
	buf_init(&c->last, CHECK_KEY_MAX);
}

void store_check_release(struct store_check *c)
{
	buf_release(&c->last);
	digest_free(c->digest);
}

/* ------- is an operation sound? */

static bool is_name(const char *s)
{
	return strnlen(s, STORE_NAME_MAX + 1) <= STORE_NAME_MAX;
}

static bool fits(const char *s)
{
	return strnlen(s, STORE_STRING_MAX + 1) <= STORE_STRING_MAX;
}

static bool recipient_is_sound(const struct recipient *r)
{
	return r->address[0] != '\0' && fits(r->address) && fits(r->orcpt) &&
	       fits(r->reply) && is_name(r->lane) && is_name(r->destination);
}

static bool message_is_sound(const struct message *m)
{
	const char *const strings[] = {
		m->sender, m->trace_field, m->message_id, m->listener,
		m->source, m->client,	   m->helo,	  m->tls,
		m->envid,  m->ret,
	};

	for (size_t i = 0; i < ARRAY_LEN(strings); i++)
		if (!fits(strings[i]))
			return false;
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		if (!recipient_is_sound(r) || r->number == ALL_RECIPIENTS ||
		    (i > 0 && r->number <= r[-1].number))
			return false;
	}
	return m->nrecipients > 0;
}

static bool changes_are_sound(const struct store_op *op)
{
	for (size_t i = 0; i < op->nchanges; i++) {
		const struct change *c = &op->changes[i];

		if ((c->lane != NULL && !is_name(c->lane)) ||
		    (c->destination != NULL && !is_name(c->destination)))
			return false;
	}
	return true;
}

static bool bounces_are_sound(const struct store_op *op)
{
	for (size_t i = 0; i < op->nbounces; i++) {
		const struct store_bounce *b = &op->bounces[i];

		if (b->body.len != b->message->bytes ||
		    b->message->id == op->id || !message_is_sound(b->message))
			return false;
	}
	return true;
}

static bool record_is_sound(const struct store_record *r)
{
	return r->kind < RECORD_KINDS && r->key[0] != '\0' && is_name(r->key) &&
	       (r->value == NULL || fits(r->value));
}

static enum status check(const struct store_op *op, struct err *e)
{
	switch (op->verb) {
	case STORE_BODY:
	case STORE_DROP:
	case STORE_TRIM:
		return ST_OK;
	case STORE_ENQUEUE:
		if (op->at + op->body.len != op->message->bytes)
			return err_temp(e, 3, 0, "the body is not complete");
		if (!message_is_sound(op->message))
			return err_temp(e, 3, 0, "its envelope cannot be kept");
		return ST_OK;
	case STORE_CHANGE:
		if (!changes_are_sound(op))
			return err_perm(e, 3, 0, "the name is too long");
		if (!bounces_are_sound(op))
			return err_temp(e, 3, 0, "its bounce cannot be kept");
		if (op->record != NULL && !record_is_sound(op->record))
			return err_perm(e, 3, 0, "not a record");
		return ST_OK;
	case STORE_DESTINATION:
		if (op->destination->name[0] == '\0' ||
		    !is_name(op->destination->name))
			return err_perm(e, 3, 0, "not a destination's name");
		return ST_OK;
	case STORE_RECORD:
		if (!record_is_sound(op->record))
			return err_perm(e, 3, 0, "not a record");
		return ST_OK;
	}
	bug_found("an unknown verb", __FILE__, __LINE__, __func__);
}

bool store_op_sound(struct store_op *op)
{
	op->status = check(op, &op->err);
	return op->status == ST_OK;
}
