/* SPDX-License-Identifier: ISC */
/*
 * codec.c - rows to bytes and back, one pair of functions per kind of row.
 *
 * Numbers are written in groups of seven bits, the least significant first
 * (signed ones folded, so that small negative ones stay short); strings as
 * their length and their bytes.  Both directions go on after a mistake and
 * remember it, so that a list of fields reads as a list: see `struct out.ok`
 * and `struct in.bad`.
 */
#include "queue/codec.h"

#include <stdlib.h>

#include "base/digest.h"

enum {
	VERSION = 1, /* of all rows but those named here */
	VERSION_EVENT = 2, /* 1 had no bytes */
	CHECKSUM_BYTES = 4,
	NUMBER_BYTES_MAX = 10,
};

/* ------- writing */

struct out {
	struct buf *buf;
	bool ok;
};

static void put_bytes(struct out *o, const void *at, size_t len)
{
	o->ok = o->ok && buf_add(o->buf, (struct span){at, len});
}

static void put_byte(struct out *o, unsigned value)
{
	unsigned char c = (unsigned char)value;

	put_bytes(o, &c, 1);
}

static void put_number(struct out *o, uint64_t n)
{
	unsigned char bytes[NUMBER_BYTES_MAX];
	size_t len = 0;

	while (n >= 0x80) {
		bytes[len++] = (unsigned char)(n | 0x80);
		n >>= 7;
	}
	bytes[len++] = (unsigned char)n;
	put_bytes(o, bytes, len);
}

static void put_signed(struct out *o, int64_t n)
{
	uint64_t sign = n < 0 ? UINT64_MAX : 0;

	put_number(o, ((uint64_t)n << 1) ^ sign);
}

static void put_fixed(struct out *o, uint64_t n, unsigned bytes)
{
	while (bytes-- > 0)
		put_byte(o, (unsigned)(n >> (8 * bytes)) & 0xff);
}

static void put_span(struct out *o, struct span s)
{
	put_number(o, s.len);
	put_bytes(o, s.at, s.len);
}

static void put_string(struct out *o, const char *s)
{
	size_t len = strlen(s);

	o->ok = o->ok && len <= CODEC_STRING_MAX;
	put_span(o, (struct span){s, len});
}

static struct out seal_begin_version(struct buf *buf, unsigned version)
{
	struct out o = {buf, true};

	BUG_ON(buf->len != 0);
	put_byte(&o, version);
	return o;
}

static struct out seal_begin(struct buf *buf)
{
	return seal_begin_version(buf, VERSION);
}

static bool seal_end(struct out *o)
{
	put_fixed(o, digest_of(buf_span(o->buf)), CHECKSUM_BYTES);
	return o->ok;
}

/* ------- reading */

struct in {
	const unsigned char *at;
	size_t left;
	bool bad;
};

static const unsigned char *get_bytes(struct in *in, size_t len)
{
	const unsigned char *at = in->at;

	if (in->bad || len > in->left) {
		in->bad = true;
		return NULL;
	}
	in->at += len;
	in->left -= len;
	return at;
}

static unsigned get_byte(struct in *in)
{
	const unsigned char *at = get_bytes(in, 1);

	return at == NULL ? 0 : *at;
}

static uint64_t get_number(struct in *in)
{
	uint64_t n = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		unsigned byte = get_byte(in);

		/* The tenth byte has room for one bit only, and a last byte of
		 * zero adds nothing: the number would have two forms. */
		if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0))
			break;
		n |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80)
			return n;
	}
	in->bad = true;
	return 0;
}

static int64_t get_signed(struct in *in)
{
	uint64_t n = get_number(in);

	return (int64_t)((n >> 1) ^ (n & 1 ? UINT64_MAX : 0));
}

static uint32_t get_number_below(struct in *in, uint64_t limit)
{
	uint64_t n = get_number(in);

	if (n < limit)
		return (uint32_t)n;
	in->bad = true;
	return 0;
}

static uint32_t get_number32(struct in *in)
{
	return get_number_below(in, (uint64_t)UINT32_MAX + 1);
}

static uint64_t get_fixed(struct in *in, unsigned bytes)
{
	uint64_t n = 0;

	while (bytes-- > 0)
		n = n << 8 | get_byte(in);
	return n;
}

static struct span get_span(struct in *in, size_t max)
{
	uint64_t len = get_number(in);
	const unsigned char *at;

	in->bad = in->bad || len > max;
	at = get_bytes(in, in->bad ? 0 : (size_t)len);
	return at == NULL ? SPAN("")
			  : (struct span){(const char *)at, (size_t)len};
}

/* Always gives a string; an owned one that *to held is freed. */
static void get_string(struct in *in, char **to)
{
	struct span s = get_span(in, CODEC_STRING_MAX);

	if (memchr(s.at, '\0', s.len) != NULL)
		in->bad = true;
	free(*to);
	*to = xstrndup(s.at, s.len);
}

/* Versions from 1 to `newest` are known. */
static bool unseal_version(struct span row, struct in *in, unsigned newest,
			   unsigned *version)
{
	struct in tail;
	size_t len = row.len;

	if (len < 1 + CHECKSUM_BYTES || len > CODEC_ROW_MAX)
		return false;
	len -= CHECKSUM_BYTES;
	tail = (struct in){(const unsigned char *)row.at + len, CHECKSUM_BYTES,
			   false};
	*in = (struct in){(const unsigned char *)row.at, len, false};
	row.len = len;
	if (get_fixed(&tail, CHECKSUM_BYTES) != (uint32_t)digest_of(row))
		return false;
	*version = get_byte(in);
	return *version >= VERSION && *version <= newest;
}

static bool unseal(struct span row, struct in *in)
{
	unsigned version;

	return unseal_version(row, in, VERSION, &version);
}

static bool all_read(const struct in *in)
{
	return !in->bad && in->left == 0;
}

/* ------- message */

enum { HAS_8BIT = 1, SMTPUTF8 = 2, BARE_NEWLINES = 4, MESSAGE_FLAGS = 8 };

static void put_message(struct out *o, const struct message *m)
{
	put_signed(o, m->received_ms);
	put_number(o, m->bytes);
	put_fixed(o, m->checksum, 8);
	put_number(o, (m->has_8bit ? HAS_8BIT : 0U) |
			      (m->smtputf8 ? SMTPUTF8 : 0U) |
			      (m->bare_newlines ? BARE_NEWLINES : 0U));
	put_string(o, m->sender);
	put_string(o, m->trace_field);
	put_string(o, m->message_id);
	put_string(o, m->listener);
	put_string(o, m->source);
	put_string(o, m->client);
	put_string(o, m->helo);
	put_string(o, m->tls);
	put_string(o, m->envid);
	put_string(o, m->ret);
}

static void get_message(struct in *in, struct message *m)
{
	uint32_t flags;

	m->received_ms = get_signed(in);
	m->bytes = get_number(in);
	m->checksum = get_fixed(in, 8);
	flags = get_number_below(in, MESSAGE_FLAGS);
	m->has_8bit = flags & HAS_8BIT;
	m->smtputf8 = flags & SMTPUTF8;
	m->bare_newlines = flags & BARE_NEWLINES;
	get_string(in, &m->sender);
	get_string(in, &m->trace_field);
	get_string(in, &m->message_id);
	get_string(in, &m->listener);
	get_string(in, &m->source);
	get_string(in, &m->client);
	get_string(in, &m->helo);
	get_string(in, &m->tls);
	get_string(in, &m->envid);
	get_string(in, &m->ret);
}

bool message_encode(struct buf *out, const struct message *m)
{
	struct out o = seal_begin(out);

	put_message(&o, m);
	return seal_end(&o);
}

bool message_decode(struct span row, uint64_t id, struct message **out)
{
	struct message *m;
	struct in in;

	if (!unseal(row, &in))
		return false;
	m = message_new();
	m->id = id;
	get_message(&in, m);
	if (!all_read(&in)) {
		message_free(m);
		return false;
	}
	*out = m;
	return true;
}

/* ------- recipient */

enum { UNCERTAIN = 1, TOLD = 2, WARNED = 4, RECIPIENT_FLAGS = 8 };

static void put_recipient(struct out *o, const struct recipient *r)
{
	/* These two first: recipient_peek() reads no further. */
	put_number(o, r->state);
	put_signed(o, r->since_ms);
	put_number(o, r->wait);
	put_number(o, r->cause);
	put_number(o, r->attempts);
	put_number(o, r->notify);
	put_number(o, (r->uncertain ? UNCERTAIN : 0U) | (r->told ? TOLD : 0U) |
			      (r->warned ? WARNED : 0U));
	put_signed(o, r->due_ms);
	put_signed(o, r->fresh_ms);
	put_signed(o, r->held_clock_ms);
	put_signed(o, r->clock_since_ms);
	put_string(o, r->address);
	put_string(o, r->orcpt);
	put_string(o, r->reply);
}

static void get_recipient(struct in *in, struct recipient *r)
{
	uint32_t flags;

	r->state = (enum rcpt_state)get_number_below(in, RCPT_STATES);
	r->since_ms = get_signed(in);
	r->wait = (enum rcpt_wait)get_number_below(in, WAIT_DESTINATION + 1);
	r->cause = (enum cause)get_number_below(in, CAUSE_COUNT);
	r->attempts = get_number32(in);
	r->notify = get_number32(in);
	flags = get_number_below(in, RECIPIENT_FLAGS);
	r->uncertain = flags & UNCERTAIN;
	r->told = flags & TOLD;
	r->warned = flags & WARNED;
	r->due_ms = get_signed(in);
	r->fresh_ms = get_signed(in);
	r->held_clock_ms = get_signed(in);
	r->clock_since_ms = get_signed(in);
	get_string(in, &r->address);
	get_string(in, &r->orcpt);
	get_string(in, &r->reply);
}

bool recipient_encode(struct buf *out, const struct recipient *r,
		      const struct recipient_names *names)
{
	struct out o = seal_begin(out);

	put_recipient(&o, r);
	put_number(&o, names->lane);
	put_number(&o, names->destination);
	return seal_end(&o);
}

bool recipient_decode(struct span row, uint32_t number, struct recipient *out,
		      struct recipient_names *names)
{
	struct recipient_names found;
	struct recipient r;
	struct in in;

	if (!unseal(row, &in))
		return false;
	recipient_init(&r);
	r.number = number;
	get_recipient(&in, &r);
	found.lane = get_number32(&in);
	found.destination = get_number32(&in);
	if (!all_read(&in)) {
		recipient_release(&r);
		return false;
	}
	*out = r;
	*names = found;
	return true;
}

bool recipient_peek(struct span row, enum rcpt_state *state, int64_t *since_ms)
{
	struct in in;

	if (!unseal(row, &in))
		return false;
	*state = (enum rcpt_state)get_number_below(&in, RCPT_STATES);
	*since_ms = get_signed(&in);
	return !in.bad;
}

/* ------- settled message */

bool settled_encode(struct buf *out, const struct message *m)
{
	struct out o = seal_begin(out);

	put_message(&o, m);
	put_number(&o, m->nrecipients);
	for (size_t i = 0; i < m->nrecipients; i++) {
		put_number(&o, m->recipients[i].number);
		put_recipient(&o, &m->recipients[i]);
		put_string(&o, m->recipients[i].lane);
		put_string(&o, m->recipients[i].destination);
	}
	return seal_end(&o);
}

bool settled_decode(struct span row, uint64_t id, struct message **out)
{
	struct message *m;
	uint64_t n;
	struct in in;

	if (!unseal(row, &in))
		return false;
	m = message_new();
	m->id = id;
	get_message(&in, m);
	/* The count bounds nothing by itself: the bytes that are left do. */
	for (n = get_number(&in); n > 0 && !in.bad; n--) {
		struct recipient r;

		recipient_init(&r);
		r.number = get_number32(&in);
		get_recipient(&in, &r);
		get_string(&in, &r.lane);
		get_string(&in, &r.destination);
		message_adopt(m, &r);
	}
	if (!all_read(&in)) {
		message_free(m);
		return false;
	}
	*out = m;
	return true;
}

/* ------- event */

enum { EVENT_ATTEMPTED = 1, EVENT_UNCERTAIN = 2, EVENT_FLAGS = 4 };

static void put_cut(struct out *o, const char *s)
{
	put_span(o, (struct span){s, strnlen(s, CODEC_EVENT_STRING_MAX)});
}

bool event_encode(struct buf *out, const struct event *ev)
{
	struct out o = seal_begin_version(out, VERSION_EVENT);

	put_number(&o, ev->kind);
	put_signed(&o, ev->time_ms);
	put_number(&o, ev->number);
	put_number(&o, ev->cause);
	put_number(&o, (ev->attempted ? EVENT_ATTEMPTED : 0U) |
			       (ev->uncertain ? EVENT_UNCERTAIN : 0U));
	put_signed(&o, ev->duration_ms);
	put_cut(&o, ev->route);
	put_cut(&o, ev->destination);
	put_cut(&o, ev->address);
	put_cut(&o, ev->tls);
	put_cut(&o, ev->verified);
	put_cut(&o, ev->certificate);
	put_cut(&o, ev->status);
	put_cut(&o, ev->reply);
	put_cut(&o, ev->actor);
	put_number(&o, ev->bytes);
	return seal_end(&o);
}

bool event_decode(struct span row, struct event *out)
{
	struct event ev;
	unsigned version;
	uint32_t flags;
	struct in in;

	if (!unseal_version(row, &in, VERSION_EVENT, &version))
		return false;
	event_init(&ev);
	ev.kind = (enum event_kind)get_number_below(&in, EVENT_KINDS);
	ev.time_ms = get_signed(&in);
	ev.number = get_number32(&in);
	ev.cause = (enum cause)get_number_below(&in, CAUSE_COUNT);
	flags = get_number_below(&in, EVENT_FLAGS);
	ev.attempted = flags & EVENT_ATTEMPTED;
	ev.uncertain = flags & EVENT_UNCERTAIN;
	ev.duration_ms = get_signed(&in);
	get_string(&in, &ev.route);
	get_string(&in, &ev.destination);
	get_string(&in, &ev.address);
	get_string(&in, &ev.tls);
	get_string(&in, &ev.verified);
	get_string(&in, &ev.certificate);
	get_string(&in, &ev.status);
	get_string(&in, &ev.reply);
	get_string(&in, &ev.actor);
	if (version >= VERSION_EVENT)
		ev.bytes = get_number(&in);
	if (!all_read(&in)) {
		event_release(&ev);
		return false;
	}
	*out = ev;
	return true;
}

/* ------- destination */

enum { FAILING = 1, SUSPENDED = 2, DESTINATION_FLAGS = 4 };

bool destination_encode(struct buf *out, const struct destination_record *d)
{
	struct out o = seal_begin(out);

	put_number(&o, (d->failing ? FAILING : 0U) |
			       (d->suspended ? SUSPENDED : 0U));
	put_number(&o, d->cause);
	put_signed(&o, d->since_ms);
	put_signed(&o, d->until_ms);
	put_cut(&o, d->reply);
	put_cut(&o, d->reason);
	return seal_end(&o);
}

bool destination_decode(struct span row, struct span name,
			struct destination_record *out)
{
	struct destination_record d = {.name = NULL};
	uint32_t flags;
	struct in in;

	if (!unseal(row, &in))
		return false;
	flags = get_number_below(&in, DESTINATION_FLAGS);
	d.failing = flags & FAILING;
	d.suspended = flags & SUSPENDED;
	d.cause = (enum cause)get_number_below(&in, CAUSE_COUNT);
	d.since_ms = get_signed(&in);
	d.until_ms = get_signed(&in);
	get_string(&in, &d.reply);
	get_string(&in, &d.reason);
	if (!all_read(&in)) {
		destination_record_release(&d);
		return false;
	}
	d.name = span_dup(name);
	*out = d;
	return true;
}

/* ------- records */

bool record_encode(struct buf *out, const char *value)
{
	struct out o = seal_begin(out);

	put_string(&o, value);
	return seal_end(&o);
}

bool record_decode(struct span row, char **value)
{
	char *text = NULL;
	struct in in;

	if (!unseal(row, &in))
		return false;
	get_string(&in, &text);
	if (!all_read(&in)) {
		free(text);
		return false;
	}
	*value = text;
	return true;
}

/* ------- counters and names */

bool group_count_encode(struct buf *out, const struct group_count *c)
{
	struct out o = seal_begin(out);

	put_number(&o, c->messages);
	put_number(&o, c->recipients);
	put_number(&o, c->bytes);
	return seal_end(&o);
}

bool group_count_decode(struct span row, struct group_count *out)
{
	struct group_count c;
	struct in in;

	if (!unseal(row, &in))
		return false;
	c.messages = get_number(&in);
	c.recipients = get_number(&in);
	c.bytes = get_number(&in);
	if (!all_read(&in))
		return false;
	*out = c;
	return true;
}

bool ledger_encode(struct buf *out, const struct ledger *l)
{
	struct out o = seal_begin(out);
	const struct totals *t = &l->totals;

	put_fixed(&o, l->last_id, 8);
	put_number(&o, l->last_name);
	put_number(&o, t->accepted);
	put_number(&o, t->delivered);
	put_number(&o, t->expired);
	put_number(&o, t->failed);
	put_number(&o, t->removed);
	put_number(&o, RCPT_STATES);
	for (unsigned i = 0; i < RCPT_STATES; i++)
		put_number(&o, t->live[i]);
	return seal_end(&o);
}

bool ledger_decode(struct span row, struct ledger *out)
{
	struct ledger l = {.last_id = 0};
	struct totals *t = &l.totals;
	uint32_t states;
	struct in in;

	if (!unseal(row, &in))
		return false;
	l.last_id = get_fixed(&in, 8);
	l.last_name = get_number32(&in);
	t->accepted = get_number(&in);
	t->delivered = get_number(&in);
	t->expired = get_number(&in);
	t->failed = get_number(&in);
	t->removed = get_number(&in);
	/* There may be more states one day; never fewer. */
	states = get_number_below(&in, RCPT_STATES + 1);
	for (unsigned i = 0; i < states; i++)
		t->live[i] = get_number(&in);
	if (!all_read(&in))
		return false;
	*out = l;
	return true;
}

bool name_encode(struct buf *out, struct span text, uint64_t users)
{
	struct out o = seal_begin(out);

	put_fixed(&o, users, 8);
	put_span(&o, text);
	return seal_end(&o);
}

bool name_decode(struct span row, struct span *text, uint64_t *users)
{
	struct in in;

	if (!unseal(row, &in))
		return false;
	*users = get_fixed(&in, 8);
	*text = get_span(&in, CODEC_STRING_MAX);
	return all_read(&in);
}
