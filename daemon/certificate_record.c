/* SPDX-License-Identifier: ISC */
/*
 * certificate_record - a known certificate as JSON, for the store.
 *
 * Times are milliseconds since 1970, as everywhere in the store.  Keys may be
 * added; what is missing is 0 or "".
 */
#include <stdio.h>
#include <stdlib.h>
#include <jansson.h>

#include "daemon/certificates.h"
#include "daemon/view.h"

#define TEXT(o, key, s) json_object_set_new(o, key, view_text(s))
#define NUMBER(o, key, n) json_object_set_new(o, key, json_integer(n))

char *certificate_to_text(const struct certificate *at)
{
	const struct tls_cert_info *info = &at->info;
	json_t *o = json_object();
	char *text;

	NUMBER(o, "role", at->role);
	TEXT(o, "where", at->where);
	TEXT(o, "address", at->address);
	TEXT(o, "subject", info->subject);
	TEXT(o, "issuer", info->issuer);
	TEXT(o, "names", info->names);
	TEXT(o, "serial", info->serial);
	TEXT(o, "spki_sha256", info->spki_sha256);
	NUMBER(o, "not_before", info->not_before_ms);
	NUMBER(o, "not_after", info->not_after_ms);
	TEXT(o, "crl", at->crl);
	json_object_set_new(o, "watched", json_boolean(at->watched));
	json_object_set_new(o, "named", json_boolean(at->named));
	NUMBER(o, "first_seen", at->first_seen_ms);
	NUMBER(o, "last_seen", at->last_seen_ms);
	NUMBER(o, "told", at->told);
	TEXT(o, "previous", at->previous);
	NUMBER(o, "told_previous", at->told_previous);
	text = json_dumps(o, JSON_COMPACT);
	BUG_ON(!text);
	json_decref(o);
	return text;
}

static const char *text_at(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static int64_t number_at(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static void copy_at(char *out, size_t max, const json_t *o, const char *key)
{
	snprintf(out, max, "%s", text_at(o, key));
}

static enum stage stage_at(const json_t *o, const char *key)
{
	int64_t n = number_at(o, key);

	return n > STAGE_FRESH && n < STAGES ? (enum stage)n : STAGE_FRESH;
}

static void read_info(struct tls_cert_info *info, const json_t *o)
{
	copy_at(info->subject, sizeof(info->subject), o, "subject");
	copy_at(info->issuer, sizeof(info->issuer), o, "issuer");
	copy_at(info->names, sizeof(info->names), o, "names");
	copy_at(info->serial, sizeof(info->serial), o, "serial");
	copy_at(info->spki_sha256, sizeof(info->spki_sha256), o, "spki_sha256");
	info->not_before_ms = number_at(o, "not_before");
	info->not_after_ms = number_at(o, "not_after");
}

struct certificate *certificate_from_text(const char *text)
{
	json_t *o = json_loads(text, 0, NULL);
	int64_t role = number_at(o, "role");
	struct certificate *at = NULL;

	if (!json_is_object(o) || role < 0 || role >= CERT_ROLES)
		goto out;
	at = xcalloc(1, sizeof(*at));
	at->role = (enum cert_role)role;
	at->where = xstrdup(text_at(o, "where"));
	at->address = xstrdup(text_at(o, "address"));
	read_info(&at->info, o);
	copy_at(at->crl, sizeof(at->crl), o, "crl");
	at->watched = json_is_true(json_object_get(o, "watched"));
	at->named = json_is_true(json_object_get(o, "named"));
	at->first_seen_ms = number_at(o, "first_seen");
	at->last_seen_ms = number_at(o, "last_seen");
	at->told = stage_at(o, "told");
	at->previous = xstrdup(text_at(o, "previous"));
	at->told_previous = stage_at(o, "told_previous");
out:
	json_decref(o);
	return at;
}

void certificate_free(struct certificate *at)
{
	if (!at)
		return;
	free(at->key);
	free(at->where);
	free(at->address);
	free(at->previous);
	free(at);
}
