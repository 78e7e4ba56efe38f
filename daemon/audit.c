/* SPDX-License-Identifier: ISC */
/*
 * audit - who changed what, when, and how much.
 *
 * Numbers follow each other, so the age of the oldest entries tells which are
 * too many without counting.  Every new entry takes up to TRIM_MAX of these
 * with it: there are never many more than there should be.
 */
#include "daemon/audit.h"

#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	ENTRIES_MAX = 100000,
	TRIM_MAX = 4, /* old ones for a new one */
	IDS_SHOWN_MAX = 100,
	VALUE_MAX = 24 * 1024, /* well below STORE_STRING_MAX */
	KEY_MAX = 32,
	NAME_LINE_MAX = 4096, /* of /etc/passwd */
};
static const int64_t kept_ms = INT64_C(365) * 24 * 3600 * 1000;

/* ------- what an entry says */

/* "" when /etc/passwd does not know: a directory service could take its time,
 * and this thread has none. */
static void user_name(uid_t uid, char *out, size_t size)
{
	FILE *f = fopen("/etc/passwd", "re");
	char line[NAME_LINE_MAX];
	struct passwd pw, *found;

	out[0] = '\0';
	if (!f)
		return;
	while (fgetpwent_r(f, &pw, line, sizeof(line), &found) == 0)
		if (pw.pw_uid == uid) {
			snprintf(out, size, "%s", pw.pw_name);
			break;
		}
	fclose(f);
}

/* What was asked for, without how it was to be answered, and with a list of
 * ids that is no longer than anybody reads. */
static json_t *shown_request(const json_t *body)
{
	json_t *o = json_copy((json_t *)body);
	json_t *ids = json_object_get(o, "ids");
	size_t n = json_array_size(ids);

	if (!o)
		return json_object();
	json_object_del(o, "progress");
	json_object_del(o, "dry_run");
	if (n > IDS_SHOWN_MAX) {
		json_t *some = json_array();

		for (size_t i = 0; i < IDS_SHOWN_MAX; i++)
			json_array_append(some, json_array_get(ids, i));
		json_object_set_new(o, "ids", some);
		json_object_set_new(
			o, "ids_more",
			json_integer((json_int_t)n - IDS_SHOWN_MAX));
	}
	return o;
}

static char *entry_text(const struct call *c, const struct audit *a,
			const char *verb, json_t *facts)
{
	char user[64];
	json_t *o = json_object();
	char *text;

	user_name(c->uid, user, sizeof(user));
	json_object_set_new(o, "number", json_integer((json_int_t)a->number));
	json_object_set_new(o, "time", view_time(a->began_ms));
	json_object_set_new(o, "uid", json_integer((json_int_t)c->uid));
	json_object_set_new(o, "user", view_text(user));
	json_object_set_new(o, "verb", json_string(verb));
	json_object_set_new(o, "request", shown_request(c->body));
	if (facts)
		json_object_update(o, facts);
	json_decref(facts);
	text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	if (text && strlen(text) > VALUE_MAX) {
		free(text);
		json_object_set_new(o, "request", json_null());
		text = json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII);
	}
	BUG_ON(!text);
	json_decref(o);
	return text;
}

/* ------- writing */

struct entry {
	struct write write;
	struct store_record record; /* its strings owned */
	struct call *call; /* that waits for it; or NULL */
	call_step *then;
};

static void on_written(struct note *note)
{
	struct entry *en = CONTAINER_OF(note, struct entry, write.done);
	struct call *c = en->call;
	call_step *then = en->then;

	if (en->write.op.status != ST_OK)
		log_fact(LOG_ERROR, 0, "audit-unwritten",
			 F_STR("text", en->write.op.err.text),
			 F_STR("entry", en->record.value));
	store_op_release(&en->write.op);
	free(en->record.key);
	free(en->record.value);
	free(en);
	if (!c)
		return;
	if (c->stopping)
		call_end(c);
	else
		then(c);
}

/* Both strings become the write's; value NULL: forget it. */
static void submit(struct call *c, char *key, char *value, call_step *then)
{
	struct entry *en = xcalloc(1, sizeof(*en));

	en->call = then ? c : NULL;
	en->then = then;
	en->record = (struct store_record){
		.kind = RECORD_AUDIT,
		.key = key,
		.value = value,
	};
	en->write.op.verb = STORE_RECORD;
	en->write.op.record = &en->record;
	en->write.reply_to = c->relay->main_mail;
	en->write.done.run = on_written;
	writer_submit(c->relay->writer, &en->write);
}

static char *key_of(uint64_t number)
{
	return xasprintf("%016" PRIx64, number);
}

static bool is_too_old(const struct store_record *r, uint64_t newest)
{
	uint64_t number = strtoull(r->key, NULL, 16);
	json_t *o;
	struct tm tm = {0};
	const char *time;
	bool old;

	if (number + ENTRIES_MAX <= newest)
		return true;
	o = json_loads(r->value, 0, NULL);
	time = json_string_value(json_object_get(o, "time"));
	old = time && strptime(time, "%Y-%m-%dT%H:%M:%S", &tm) &&
	      (int64_t)timegm(&tm) * 1000 < clock_wall_ms() - kept_ms;
	json_decref(o);
	return old;
}

static void trim(struct call *c, uint64_t newest)
{
	struct store *store = c->relay->store;
	struct store_record *list;
	struct err e;
	size_t n;

	/* What cannot be read now is forgotten another time. */
	if (store->ops->records(store, RECORD_AUDIT, RECORDS_RISING, NULL,
				TRIM_MAX, &list, &n, &e) != ST_OK)
		return;
	for (size_t i = 0; i < n; i++) {
		if (is_too_old(&list[i], newest)) {
			submit(c, list[i].key, NULL, NULL);
			list[i].key = NULL;
		}
		store_record_release(&list[i]);
	}
	free(list);
}

/* ------- what others call */

enum status audit_begin(struct call *c, struct audit *a, struct err *e)
{
	struct relay *relay = c->relay;
	struct store_record *last;
	size_t n;

	if (relay->audited == 0) {
		enum status st = relay->store->ops->records(
			relay->store, RECORD_AUDIT, RECORDS_FALLING, NULL, 1,
			&last, &n, e);

		if (st != ST_OK)
			return st;
		if (n > 0) {
			relay->audited = strtoull(last->key, NULL, 16);
			store_record_release(last);
		}
		free(last);
	}
	a->number = ++relay->audited;
	a->began_ms = clock_wall_ms();
	trim(c, a->number);
	return ST_OK;
}

void audit_write(struct call *c, const struct audit *a, const char *verb,
		 json_t *facts, call_step *then)
{
	submit(c, key_of(a->number), entry_text(c, a, verb, facts), then);
}

void audit_call(struct call *c, const char *verb, json_t *facts,
		call_step *then)
{
	struct audit a;
	struct err e;

	if (audit_begin(c, &a, &e) == ST_OK) {
		audit_write(c, &a, verb, facts, then);
		return;
	}
	log_fact(LOG_ERROR, 0, "audit-unwritten", F_STR("text", e.text),
		 F_STR("verb", verb), F_INT("uid", c->uid));
	json_decref(facts);
	then(c);
}
