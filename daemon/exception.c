/* SPDX-License-Identifier: ISC */
/*
 * exception - reads and writes exceptions, and says what they allow.
 */
#include "daemon/exception.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/units.h"
#include "conf/values.h"
#include "daemon/route.h"

static const struct {
	const char *word;
	unsigned bit;
} words[] = {
	{"expired", TLS_FORGIVE_EXPIRED},     {"name", TLS_FORGIVE_NAME},
	{"untrusted", TLS_FORGIVE_UNTRUSTED}, {"crl", TLS_FORGIVE_CRL},
	{"clear", EXCEPTION_CLEAR},
};

struct exception *exception_ref(struct exception *x)
{
	if (x)
		atomic_fetch_add_explicit(&x->refs, 1, memory_order_relaxed);
	return x;
}

void exception_unref(struct exception *x)
{
	if (!x ||
	    atomic_fetch_sub_explicit(&x->refs, 1, memory_order_acq_rel) != 1)
		return;
	free(x->destination);
	free(x->reason);
	free(x->actor);
	free(x);
}

/* ------- what it allows */

void exception_end(struct exception *x)
{
	atomic_store(&x->ended, true);
}

bool exception_holds(const struct exception *x, int64_t wall_ms)
{
	/* A clock that was put back does not make it longer than it was. */
	return x && !atomic_load(&x->ended) && wall_ms < x->until_ms &&
	       wall_ms >= x->until_ms - EXCEPTION_MAX_MS;
}

bool exception_is_clear(const struct exception *x)
{
	return x && (x->allow & EXCEPTION_CLEAR);
}

void exception_forgive(const struct exception *x, struct tls_policy *policy)
{
	if (!x)
		return;
	policy->forgive = x->allow & ~(unsigned)EXCEPTION_CLEAR;
	policy->forgive_pinned = x->pinned;
	memcpy(policy->forgive_pin, x->pin, sizeof(x->pin));
}

const struct conf_route *exception_route(const struct conf *conf,
					 const char *destination)
{
	size_t len = strcspn(destination, "/");

	for (size_t i = 0; i < conf->nroutes; i++) {
		const struct conf_route *r = &conf->routes[i];

		if (strncmp(r->name, destination, len) == 0 &&
		    r->name[len] == '\0')
			return r;
	}
	return NULL;
}

/* ------- reading */

static bool add_word(unsigned *allow, const char *word)
{
	for (size_t i = 0; word && i < ARRAY_LEN(words); i++) {
		if (strcmp(words[i].word, word) != 0)
			continue;
		*allow |= words[i].bit;
		return true;
	}
	return false;
}

static bool read_allow(const json_t *list, unsigned *out)
{
	unsigned allow = 0;
	const json_t *word;
	size_t i;

	json_array_foreach(list, i, word)
		if (!add_word(&allow, json_string_value(word)))
			return false;
	*out = allow;
	return allow != 0;
}

static bool read_pin(const json_t *o, struct exception *x)
{
	const json_t *pin = json_object_get(o, "pin");

	if (!pin || json_is_null(pin))
		return true;
	x->pinned = true;
	return json_is_string(pin) && pin_parse(json_string_value(pin), x->pin);
}

static char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return xstrdup(text ? text : "");
}

struct exception *exception_read(const char *json)
{
	struct exception *x = xcalloc(1, sizeof(*x));
	json_t *o = json_loads(json, 0, NULL);
	bool fine;

	atomic_init(&x->refs, 1);
	x->destination = text_of(o, "destination");
	x->reason = text_of(o, "reason");
	x->actor = text_of(o, "actor");
	x->added_ms = json_integer_value(json_object_get(o, "added_ms"));
	x->until_ms = json_integer_value(json_object_get(o, "until_ms"));
	fine = *x->destination && x->until_ms > 0 && read_pin(o, x) &&
	       read_allow(json_object_get(o, "allow"), &x->allow);
	json_decref(o);
	if (fine)
		return x;
	exception_unref(x);
	return NULL;
}

/* ------- asking */

static bool is_of(const struct conf_route *route, const char *destination)
{
	bool is = false;

	if (route->mx)
		return strchr(destination, '/') && strrchr(destination, ':');
	for (size_t i = 0; i < route->nhosts && !is; i++) {
		char *name = destination_name(route, &route->hosts[i]);

		is = strcmp(name, destination) == 0;
		free(name);
	}
	return is;
}

/* May it have an exception at all? */
static enum status check_destination(const struct conf *conf,
				     const char *destination, struct err *e)
{
	const struct conf_route *route = exception_route(conf, destination);

	if (!route || !is_of(route, destination) ||
	    strlen(destination) > STORE_NAME_MAX)
		return err_temp(e, 7, 0,
				"destination \"%.150s\": wants the name of "
				"one, as relayctl destination list shows it",
				destination);
	if (route->no_exceptions)
		return err_temp(e, 7, 0,
				"route \"%s\" has no_exceptions = true: its "
				"TLS can't be weakened",
				route->name);
	if (route->tls != CONF_TLS_FORCED && route->verify == CONF_VERIFY_NONE)
		return err_temp(e, 7, 0,
				"route \"%s\" demands nothing that could be "
				"forgiven",
				route->name);
	return ST_OK;
}

static enum status check_until(const json_t *request, int64_t *for_ms,
			       struct err *e)
{
	const char *text = json_string_value(json_object_get(request, "until"));

	if (!text || !duration_parse(text, for_ms) || *for_ms <= 0)
		return err_perm(e, 5, 4,
				"until \"%.40s\": wants a duration such as "
				"30m, 24h, 7d",
				text ? text : "");
	if (*for_ms > EXCEPTION_MAX_MS)
		return err_temp(e, 7, 0,
				"until %.40s: an exception lasts 30d at the "
				"most",
				text);
	return ST_OK;
}

static enum status check_rest(const json_t *request, struct exception *x,
			      struct err *e)
{
	size_t reason = strlen(x->reason);

	if (!read_allow(json_object_get(request, "allow"), &x->allow))
		return err_perm(e, 5, 4,
				"allow: wants some of expired, name, "
				"untrusted, crl, clear");
	if (!read_pin(request, x))
		return err_perm(e, 5, 4,
				"pin: wants the SHA-256 of the key (SPKI), "
				"64 hex digits or base64");
	if (x->pinned && x->allow == EXCEPTION_CLEAR)
		return err_perm(e, 5, 4,
				"pin: clear text has no key that could be "
				"pinned");
	if (reason == 0 || reason > EXCEPTION_REASON_MAX)
		return err_perm(e, 5, 4,
				"reason: wants to be given, in 1 to %d "
				"characters",
				EXCEPTION_REASON_MAX);
	return ST_OK;
}

struct exception *exception_ask(const json_t *request, const struct conf *conf,
				const char *actor, int64_t wall_ms,
				struct err *e)
{
	struct exception *x = xcalloc(1, sizeof(*x));
	int64_t for_ms = 0;
	enum status st;

	atomic_init(&x->refs, 1);
	x->destination = text_of(request, "destination");
	x->reason = text_of(request, "reason");
	x->actor = xstrdup(actor);
	x->added_ms = wall_ms;
	st = check_destination(conf, x->destination, e);
	if (st == ST_OK)
		st = check_rest(request, x, e);
	if (st == ST_OK)
		st = check_until(request, &for_ms, e);
	x->until_ms = wall_ms + for_ms;
	if (st == ST_OK)
		return x;
	exception_unref(x);
	return NULL;
}

/* ------- writing */

static json_t *allowed(const struct exception *x)
{
	json_t *list = json_array();

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (x->allow & words[i].bit)
			json_array_append_new(list, json_string(words[i].word));
	return list;
}

static json_t *pin_text(const struct exception *x)
{
	char hex[2 * sizeof(x->pin) + 1];

	if (!x->pinned)
		return json_null();
	for (size_t i = 0; i < sizeof(x->pin); i++)
		snprintf(hex + 2 * i, 3, "%02x", x->pin[i]);
	return json_string(hex);
}

static json_t *time_text(int64_t wall_ms)
{
	char text[CLOCK_RFC3339_MAX];

	clock_rfc3339(text, wall_ms);
	return json_string(text);
}

json_t *exception_show(const struct exception *x)
{
	json_t *o = json_object();

	json_object_set_new(o, "destination", json_string(x->destination));
	json_object_set_new(o, "allow", allowed(x));
	json_object_set_new(o, "pin", pin_text(x));
	json_object_set_new(o, "added", time_text(x->added_ms));
	json_object_set_new(o, "until", time_text(x->until_ms));
	json_object_set_new(o, "reason", json_string(x->reason));
	json_object_set_new(o, "actor", json_string(x->actor));
	json_object_set_new(o, "added_ms", json_integer(x->added_ms));
	json_object_set_new(o, "until_ms", json_integer(x->until_ms));
	return o;
}

/* ------- in the store */

/* Of one for a destination at the most there are not many. */
static enum status read_all(struct store *store, struct store_record **out,
			    size_t *n, struct err *e)
{
	return store->ops->records(store, RECORD_EXCEPTION, RECORDS_RISING,
				   NULL, SIZE_MAX, out, n, e);
}

static void release_all(struct store_record *records, size_t n)
{
	for (size_t i = 0; i < n; i++)
		store_record_release(&records[i]);
	free(records);
}

enum status exception_list(struct store *store, int64_t wall_ms, json_t *list,
			   struct err *e)
{
	struct store_record *records;
	enum status st;
	size_t n;

	st = read_all(store, &records, &n, e);
	if (st != ST_OK)
		return st;
	for (size_t i = 0; i < n; i++) {
		struct exception *x = exception_read(records[i].value);

		if (exception_holds(x, wall_ms))
			json_array_append_new(list, exception_show(x));
		exception_unref(x);
	}
	release_all(records, n);
	return ST_OK;
}

enum status exception_find(struct store *store, const char *destination,
			   struct exception **out, struct err *e)
{
	struct store_record *records;
	struct exception *found = NULL;
	enum status st;
	size_t n;

	st = read_all(store, &records, &n, e);
	if (st != ST_OK)
		return st;
	for (size_t i = 0; i < n && !found; i++)
		if (strcmp(records[i].key, destination) == 0)
			found = exception_read(records[i].value);
	release_all(records, n);
	if (!exception_holds(found, clock_wall_ms())) {
		exception_unref(found);
		return err_perm(e, 7, 0, "%.150s has no exception",
				destination);
	}
	*out = found;
	return ST_OK;
}

struct exception **exception_load(struct store *store, size_t *nloaded,
				  struct err *e)
{
	struct exception **list;
	struct store_record *records;
	size_t n;

	if (read_all(store, &records, &n, e) != ST_OK)
		return NULL;
	list = xcalloc(n + 1, sizeof(struct exception *));
	*nloaded = 0;
	for (size_t i = 0; i < n; i++) {
		list[*nloaded] = exception_read(records[i].value);
		*nloaded += list[*nloaded] != NULL;
	}
	release_all(records, n);
	return list;
}
