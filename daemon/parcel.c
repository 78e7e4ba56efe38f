/* SPDX-License-Identifier: ISC */
/*
 * parcel - a message on its way from one queue to another.
 *
 * Keys in tables, so that what is written and what is read are the same.
 */
#include "daemon/parcel.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/digest.h"
#include "base/units.h"
#include "daemon/route.h"
#include "daemon/view.h"
#include "smtp/address.h"

enum { FORMAT = 1, HEX_LEN = 16, TRACE_FIELD_MAX = 8192 };

/* ------- fields */

enum field_type { FIELD_TEXT, FIELD_FLAG, FIELD_TIME, FIELD_COUNT };

struct field {
	const char *key;
	enum field_type type;
	size_t at; /* in the struct */
};

#define TEXT(type, member)                                         \
	{                                                          \
#member, FIELD_TEXT, offsetof(struct type, member) \
	}
#define FLAG(type, member)                                         \
	{                                                          \
#member, FIELD_FLAG, offsetof(struct type, member) \
	}
#define TIME(type, member)                                         \
	{                                                          \
#member, FIELD_TIME, offsetof(struct type, member) \
	}
#define COUNT(type, member)                                         \
	{                                                           \
#member, FIELD_COUNT, offsetof(struct type, member) \
	}

static const struct field message_fields[] = {
	TIME(message, received_ms), FLAG(message, has_8bit),
	FLAG(message, smtputf8),    FLAG(message, bare_newlines),
	TEXT(message, sender),	    TEXT(message, trace_field),
	TEXT(message, message_id),  TEXT(message, listener),
	TEXT(message, source),	    TEXT(message, client),
	TEXT(message, helo),	    TEXT(message, tls),
	TEXT(message, envid),	    TEXT(message, ret),
};

static const struct field recipient_fields[] = {
	COUNT(recipient, number),	COUNT(recipient, attempts),
	COUNT(recipient, notify),	FLAG(recipient, uncertain),
	FLAG(recipient, told),		FLAG(recipient, warned),
	TIME(recipient, since_ms),	TIME(recipient, fresh_ms),
	TIME(recipient, held_clock_ms), TEXT(recipient, address),
	TEXT(recipient, orcpt),		TEXT(recipient, lane),
	TEXT(recipient, destination),	TEXT(recipient, reply),
};

static void *member(void *object, const struct field *f)
{
	return (char *)object + f->at;
}

static json_t *field_view(const struct field *f, void *object)
{
	switch (f->type) {
	case FIELD_TEXT:
		return view_text(*(char **)member(object, f));
	case FIELD_FLAG:
		return json_boolean(*(bool *)member(object, f));
	case FIELD_TIME:
		return json_integer(*(int64_t *)member(object, f));
	case FIELD_COUNT:
		break;
	}
	return json_integer(*(uint32_t *)member(object, f));
}

static bool field_set(const struct field *f, void *object, const json_t *value)
{
	json_int_t number = json_integer_value(value);

	switch (f->type) {
	case FIELD_TEXT:
		if (!json_is_string(value))
			return false;
		free(*(char **)member(object, f));
		*(char **)member(object, f) = xstrdup(json_string_value(value));
		return true;
	case FIELD_FLAG:
		*(bool *)member(object, f) = json_is_true(value);
		return json_is_boolean(value);
	case FIELD_TIME:
		*(int64_t *)member(object, f) = number;
		return json_is_integer(value) && number >= 0;
	case FIELD_COUNT:
		break;
	}
	if (!json_is_integer(value) || number < 0 || number >= UINT32_MAX)
		return false;
	*(uint32_t *)member(object, f) = (uint32_t)number;
	return true;
}

/* ------- the seal */

static void hex_text(char out[HEX_LEN + 1], uint64_t n)
{
	snprintf(out, HEX_LEN + 1, "%016" PRIx64, n);
}

static bool hex_parse(const char *text, uint64_t *out)
{
	char *end;

	if (!text || strlen(text) != HEX_LEN)
		return false;
	*out = strtoull(text, &end, 16);
	return *end == '\0';
}

/* Of the object without its seal. */
static void seal_of(char out[HEX_LEN + 1], const json_t *parcel)
{
	json_t *o = json_copy((json_t *)parcel);
	char *text;

	json_object_del(o, "seal");
	text = json_dumps(o, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENSURE_ASCII);
	BUG_ON(!text);
	hex_text(out, digest_of(span_of(text)));
	free(text);
	json_decref(o);
}

/* ------- making */

static void set(json_t *o, const char *key, json_t *value)
{
	BUG_ON(json_object_set_new(o, key, value) != 0);
}

static json_t *pack_recipient(const struct recipient *r, int64_t now_ms)
{
	struct recipient copy = *r; /* its strings are borrowed */
	json_t *o = json_object();

	if (r->clock_since_ms != 0 && now_ms > r->clock_since_ms)
		copy.held_clock_ms += now_ms - r->clock_since_ms;
	set(o, "state", json_string(rcpt_state_word(r->state)));
	set(o, "cause", json_string(cause_word(r->cause)));
	for (size_t i = 0; i < ARRAY_LEN(recipient_fields); i++)
		set(o, recipient_fields[i].key,
		    field_view(&recipient_fields[i], &copy));
	return o;
}

static bool is_utf8(const char *text)
{
	json_t *j = json_string(text);

	json_decref(j);
	return j != NULL;
}

json_t *parcel_make(const struct message *m, int64_t now_ms)
{
	struct message copy = *m; /* its strings are borrowed */
	char hex[HEX_LEN + 1];
	json_t *o, *list;

	for (size_t i = 0; i < m->nrecipients; i++)
		if (!is_utf8(m->recipients[i].address))
			return NULL;
	if (!is_utf8(m->sender))
		return NULL;
	o = json_object();
	list = json_array();
	for (size_t i = 0; i < m->nrecipients; i++)
		json_array_append_new(
			list, pack_recipient(&m->recipients[i], now_ms));
	set(o, "relayd_export", json_integer(FORMAT));
	set(o, "id", view_id(m->id));
	set(o, "received", view_time(m->received_ms));
	set(o, "size", json_integer((json_int_t)m->bytes));
	hex_text(hex, m->checksum);
	set(o, "checksum", json_string(hex));
	for (size_t i = 0; i < ARRAY_LEN(message_fields); i++)
		set(o, message_fields[i].key,
		    field_view(&message_fields[i], &copy));
	set(o, "recipients", list);
	seal_of(hex, o);
	set(o, "seal", json_string(hex));
	return o;
}

/* ------- opening */

static enum status wrong(struct err *e, const char *key)
{
	return err_perm(e, 5, 4, "%s: missing or wrong", key);
}

static enum status check_seal(const json_t *parcel, struct err *e)
{
	const json_t *seal = json_object_get(parcel, "seal");
	char hex[HEX_LEN + 1];

	if (json_integer_value(json_object_get(parcel, "relayd_export")) !=
	    FORMAT)
		return err_perm(e, 5, 4,
				"no export of relayd, or of a later one");
	if (!seal)
		return ST_OK;
	seal_of(hex, parcel);
	if (!json_is_string(seal) || strcmp(json_string_value(seal), hex) != 0)
		return err_perm(e, 5, 4,
				"damaged: its seal does not fit (without "
				"\"seal\" it is taken as edited)");
	return ST_OK;
}

static bool is_address(const char *text)
{
	struct address parts;

	return address_parse(span_of(text), &parts) ||
	       strcasecmp(text, "postmaster") == 0;
}

/* What stands in front of the message has to be header lines of ours. */
static bool is_trace_field(const char *text)
{
	size_t len = strlen(text);

	if (len == 0)
		return true;
	if (len > TRACE_FIELD_MAX || strncmp(text, "Received: ", 10) != 0 ||
	    strcmp(text + len - 2, "\r\n") != 0)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\n' && (i == 0 || text[i - 1] != '\r'))
			return false;
		if (text[i] == '\r' && text[i + 1] != '\n')
			return false;
		/* Inside it every line is a folded one. */
		if (text[i] == '\n' && i + 1 < len && text[i + 1] != ' ' &&
		    text[i + 1] != '\t')
			return false;
	}
	return true;
}

static enum status open_fields(void *object, const struct field *fields,
			       size_t n, const json_t *o, struct err *e)
{
	for (size_t i = 0; i < n; i++)
		if (!field_set(&fields[i], object,
			       json_object_get(o, fields[i].key)))
			return wrong(e, fields[i].key);
	return ST_OK;
}

static bool open_cause(const json_t *o, enum cause *out)
{
	const char *word = json_string_value(json_object_get(o, "cause"));

	for (int i = 0; word && i < CAUSE_COUNT; i++)
		if (strcmp(cause_word((enum cause)i), word) == 0) {
			*out = (enum cause)i;
			return true;
		}
	return false;
}

/* Where it goes from here. */
static void place(struct recipient *r, const struct conf *conf, int64_t now_ms)
{
	const struct conf_route *route = route_for(conf, r->address);
	struct place p;

	r->wait = WAIT_TIME;
	if (rcpt_state_is_final(r->state))
		return;
	r->due_ms = now_ms;
	if (!route)
		return;
	place_init(&p, route, r->address);
	free(r->lane);
	free(r->destination);
	r->lane = p.lane;
	r->destination = p.destination;
}

static enum status open_recipient(struct recipient *r, const json_t *o,
				  struct err *e)
{
	const char *state = json_string_value(json_object_get(o, "state"));
	enum status st;

	st = open_fields(r, recipient_fields, ARRAY_LEN(recipient_fields), o,
			 e);
	if (st != ST_OK)
		return st;
	if (!state || !rcpt_state_parse(state, &r->state))
		return wrong(e, "state");
	if (!open_cause(o, &r->cause))
		return wrong(e, "cause");
	if (!is_address(r->address))
		return wrong(e, "address");
	return ST_OK;
}

static enum status open_recipients(struct message *m, const json_t *list,
				   const struct conf *conf, int64_t now_ms,
				   struct err *e)
{
	const json_t *o;
	size_t i;

	if (json_array_size(list) == 0)
		return wrong(e, "recipients");
	json_array_foreach(list, i, o) {
		struct recipient r;
		enum status st;

		recipient_init(&r);
		st = open_recipient(&r, o, e);
		if (st == ST_OK && i > 0 &&
		    r.number <= m->recipients[i - 1].number)
			st = wrong(e, "number");
		if (st != ST_OK) {
			recipient_release(&r);
			return st;
		}
		place(&r, conf, now_ms);
		message_adopt(m, &r);
		recipient_release(&r);
	}
	return ST_OK;
}

static enum status open_message(struct message *m, const json_t *o,
				struct err *e)
{
	const char *id = json_string_value(json_object_get(o, "id"));
	json_int_t size = json_integer_value(json_object_get(o, "size"));
	enum status st;

	if (!id || !msg_id_parse(id, &m->id) || m->id == 0)
		return wrong(e, "id");
	if (!json_is_integer(json_object_get(o, "size")) || size < 0)
		return wrong(e, "size");
	m->bytes = (uint64_t)size;
	if (!hex_parse(json_string_value(json_object_get(o, "checksum")),
		       &m->checksum))
		return wrong(e, "checksum");
	st = open_fields(m, message_fields, ARRAY_LEN(message_fields), o, e);
	if (st != ST_OK)
		return st;
	if (m->sender[0] != '\0' && !is_address(m->sender))
		return wrong(e, "sender");
	if (!is_trace_field(m->trace_field))
		return wrong(e, "trace_field");
	return ST_OK;
}

enum status parcel_open(struct message **out, const json_t *parcel,
			const struct conf *conf, int64_t now_ms, struct err *e)
{
	struct message *m = message_new();
	enum status st = check_seal(parcel, e);

	if (st == ST_OK)
		st = open_message(m, parcel, e);
	if (st == ST_OK)
		st = open_recipients(m, json_object_get(parcel, "recipients"),
				     conf, now_ms, e);
	if (st == ST_OK) {
		*out = m;
		m = NULL;
	}
	message_free(m);
	return st;
}
