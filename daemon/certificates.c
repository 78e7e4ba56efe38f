/* SPDX-License-Identifier: ISC */
/*
 * certificates - keeps what was seen, compares it with what is seen, and looks
 * at each stage of a life whether somebody must be told.
 *
 * Handshakes are many and news is rare: an entry is written down when it
 * changes, and once an hour so that a restart knows what is still in use.
 *
 * A peer that was not seen for a week may have renewed meanwhile: its dates are
 * looked at when it is seen again, not by the clock.
 */
#include "daemon/certificates.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <event2/event.h>

#include "base/clock.h"
#include "base/log.h"

enum {
	HOUR_MS = 3600 * 1000,
	LOOK_MAX_MS = HOUR_MS,
	LOOK_MIN_MS = 100,
	PAGE = 256,
	ID_MAX = 160,
	DAYS_SILENT = 7,
	DAYS_KEPT = 180,
};

#define DAY_MS (INT64_C(24) * HOUR_MS)

struct certificates {
	struct relay *relay;
	struct event *look; /* at the next stage of a life */
	struct certificate *entries; /* hash */
	bool closed;
};

const char *cert_role_word(enum cert_role r)
{
	static const char *const words[CERT_ROLES] = {
		[CERT_OWN] = "own",
		[CERT_PEER] = "peer",
		[CERT_CLIENT] = "client",
	};

	BUG_ON(r >= CERT_ROLES);
	return words[r];
}

enum stage certificate_stage(const struct certificate *at, int64_t now_ms)
{
	return foresight_stage(at->info.not_before_ms, at->info.not_after_ms,
			       now_ms);
}

static void id_of(char out[ID_MAX], const struct tls_cert_info *info)
{
	snprintf(out, ID_MAX, "%s %s", info->serial, info->spki_sha256);
}

static void remove_entry(struct certificates *c, struct certificate *at)
{
	HASH_DEL(c->entries, at);
	certificate_free(at);
}

/* ------- written down */

struct writing {
	struct write write;
	struct store_record record;
};

static void on_written(struct note *note)
{
	struct writing *w = CONTAINER_OF(note, struct writing, write.done);

	/* If it could not be written, the next handshake tells it again. */
	store_op_release(&w->write.op);
	store_record_release(&w->record);
	free(w);
}

static void put_record(struct certificates *c, const char *key, char *value)
{
	struct writing *w;

	if (c->closed) {
		free(value);
		return;
	}
	w = xcalloc(1, sizeof(*w));
	w->record.kind = RECORD_PEER_CERT;
	w->record.key = xstrdup(key);
	w->record.value = value;
	w->write.op.verb = STORE_RECORD;
	w->write.op.record = &w->record;
	w->write.reply_to = c->relay->main_mail;
	w->write.done.run = on_written;
	writer_submit(c->relay->writer, &w->write);
}

static void write_entry(struct certificates *c, struct certificate *at)
{
	at->written_ms = clock_wall_ms();
	put_record(c, at->key, certificate_to_text(at));
}

static void forget(struct certificates *c, struct certificate *at)
{
	put_record(c, at->key, NULL);
	remove_entry(c, at);
}

static void take_record(struct certificates *c, const struct store_record *r)
{
	struct certificate *at = certificate_from_text(r->value);

	if (!at)
		return;
	at->key = xstrdup(r->key);
	at->written_ms = at->last_seen_ms;
	HASH_ADD_KEYPTR(hh, c->entries, at->key, strlen(at->key), at);
}

static void read_all(struct certificates *c)
{
	struct store *store = c->relay->store;
	struct store_record *page = NULL;
	char *after = NULL;
	struct err e;
	size_t n;

	do {
		n = 0;
		if (store->ops->records(store, RECORD_PEER_CERT, RECORDS_RISING,
					after, PAGE, &page, &n, &e) != ST_OK) {
			log_text(LOG_ERROR, "certificates-unread", "%s",
				 e.text);
			break;
		}
		for (size_t i = 0; i < n; i++) {
			take_record(c, &page[i]);
			if (i + 1 == n) {
				free(after);
				after = xstrdup(page[i].key);
			}
			store_record_release(&page[i]);
		}
		free(page);
	} while (n == PAGE);
	free(after);
}

/* ------- warnings */

static enum log_level level_of(enum stage s)
{
	if (s <= STAGE_THIRD)
		return LOG_INFO;
	return s == STAGE_EXPIRED ? LOG_ERROR : LOG_WARN;
}

/* Has it been told of this certificate in another place? */
static bool is_told(const struct certificates *c, const struct certificate *at)
{
	for (const struct certificate *o = c->entries; o; o = o->hh.next)
		if (o != at && o->role == at->role && o->told >= at->told &&
		    strcmp(o->info.serial, at->info.serial) == 0 &&
		    strcmp(o->info.spki_sha256, at->info.spki_sha256) == 0)
			return true;
	return false;
}

static const char *remedy_of(const struct certificate *at)
{
	return at->role == CERT_OWN
		       ? "renew it and put it into its file"
		       : "ask whoever runs that server to renew it";
}

static void say_stage(const struct certificate *at)
{
	bool expired = at->told == STAGE_EXPIRED;
	char date[CLOCK_RFC3339_MAX];

	clock_rfc3339(date, at->info.not_after_ms);
	log_fact(level_of(at->told), 0,
		 expired ? "certificate-expired" : "certificate-expiring",
		 F_STR("kind", cert_role_word(at->role)),
		 F_STR("name", at->where), F_STR("address", at->address),
		 F_STR("subject", at->info.subject),
		 F_STR("names", at->info.names),
		 F_STR("issuer", at->info.issuer), F_STR("not_after", date),
		 F_STR("left", expired ? NULL : stage_word(at->told)),
		 F_STR("remedy", remedy_of(at)));
}

/* True: the entry has changed. */
static bool tell_stage(struct certificates *c, struct certificate *at)
{
	enum stage now = certificate_stage(at, clock_wall_ms());

	if (!at->watched || now <= at->told)
		return false;
	at->told = now;
	if (!is_told(c, at))
		say_stage(at);
	return true;
}

static void say_change(const struct certificate *at, const char *event,
		       enum log_level level, const struct cert_seen *now)
{
	char date[CLOCK_RFC3339_MAX], before[CLOCK_RFC3339_MAX];

	clock_rfc3339(date, now->info->not_after_ms);
	clock_rfc3339(before, at->info.not_after_ms);
	log_fact(level, 0, event, F_STR("kind", cert_role_word(at->role)),
		 F_STR("name", at->where), F_STR("address", now->address),
		 F_STR("subject", now->info->subject),
		 F_STR("names", now->info->names),
		 F_STR("names_before", at->info.names),
		 F_STR("issuer", now->info->issuer),
		 F_STR("issuer_before", at->info.issuer),
		 F_STR("not_after", date), F_STR("not_after_before", before));
}

static void tell_news(const struct certificate *at, unsigned news,
		      const struct cert_seen *now)
{
	/* What becomes of our own is said where it is taken. */
	if (at->role == CERT_OWN || !(at->watched || now->watched))
		return;
	if (news & NEWS_NAME_GONE)
		say_change(at, "certificate-name-gone", LOG_WARN, now);
	if (news & NEWS_CRL_STALE)
		say_change(at, "certificate-crl-stale", LOG_WARN, now);
	if (news & NEWS_ISSUER)
		say_change(
			at, "certificate-issuer-changed",
			foresight_same_house(at->info.issuer, now->info->issuer)
				? LOG_INFO
				: LOG_WARN,
			now);
	else if (news & NEWS_OTHER)
		say_change(at, "certificate-changed", LOG_INFO, now);
}

/* ------- by the clock */

/* Peers that nobody has seen lately: see above. */
static bool is_silent(const struct certificate *at, int64_t now_ms)
{
	return at->role != CERT_OWN &&
	       now_ms - at->last_seen_ms > DAYS_SILENT * DAY_MS;
}

static void plan(struct certificates *c)
{
	int64_t now_ms = clock_wall_ms(), next_ms = now_ms + LOOK_MAX_MS;
	int64_t in_ms;

	for (const struct certificate *at = c->entries; at; at = at->hh.next) {
		int64_t at_ms = foresight_next_ms(
			at->info.not_before_ms, at->info.not_after_ms, now_ms);

		if (at->watched && !is_silent(at, now_ms) && at_ms < next_ms)
			next_ms = at_ms;
	}
	in_ms = next_ms - now_ms;
	if (in_ms < LOOK_MIN_MS)
		in_ms = LOOK_MIN_MS;
	const struct timeval pause = {
		.tv_sec = in_ms / 1000,
		.tv_usec = in_ms % 1000 * 1000,
	};
	evtimer_add(c->look, &pause);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
	struct certificates *c = arg;
	int64_t now_ms = clock_wall_ms();
	struct certificate *at, *next;

	(void)fd;
	(void)what;
	for (at = c->entries; at; at = next) {
		next = at->hh.next;
		if (at->role != CERT_OWN &&
		    now_ms - at->last_seen_ms > DAYS_KEPT * DAY_MS)
			forget(c, at);
		else if (!is_silent(at, now_ms) && tell_stage(c, at))
			write_entry(c, at);
	}
	plan(c);
}

/* ------- what is seen */

/* A peer is known by its address, a client, which may come from anywhere, by
 * its subject. */
static char *key_of(const struct cert_seen *seen)
{
	const char *rest =
		seen->role == CERT_CLIENT ? seen->info->subject : seen->address;
	char *key = xasprintf("%d %s %s", (int)seen->role, seen->where, rest);

	if (strlen(key) > STORE_NAME_MAX)
		key[STORE_NAME_MAX] = '\0';
	return key;
}

static void make_room(struct certificates *c)
{
	struct certificate *oldest = NULL;

	if (HASH_COUNT(c->entries) < CERTIFICATES_MAX)
		return;
	for (struct certificate *at = c->entries; at; at = at->hh.next)
		if (at->role != CERT_OWN &&
		    (!oldest || at->last_seen_ms < oldest->last_seen_ms))
			oldest = at;
	if (oldest)
		forget(c, oldest);
}

/* Takes over the key. */
static struct certificate *add_entry(struct certificates *c, char *key,
				     const struct cert_seen *seen)
{
	struct certificate *at = xcalloc(1, sizeof(*at));

	make_room(c);
	at->key = key;
	at->role = seen->role;
	at->where = xstrdup(seen->where);
	at->address = xstrdup(seen->address);
	at->previous = xstrdup("");
	at->first_seen_ms = clock_wall_ms();
	HASH_ADD_KEYPTR(hh, c->entries, at->key, strlen(at->key), at);
	return at;
}

/* Another certificate is shown there now. */
static void turn_over(struct certificate *at, const char *last, const char *now)
{
	enum stage told = strcmp(now, at->previous) == 0 ? at->told_previous
							 : STAGE_FRESH;

	free(at->previous);
	at->previous = xstrdup(last);
	at->told_previous = at->told;
	at->told = told;
}

/* True: it is not what it was. */
static bool compare(struct certificate *at, const struct cert_seen *seen)
{
	char last_id[ID_MAX], now_id[ID_MAX];
	unsigned news;

	id_of(last_id, &at->info);
	id_of(now_id, seen->info);
	const struct outlook last = {
		.id = last_id,
		.issuer = at->info.issuer,
		.named = at->named,
		.crl_stale = strcmp(at->crl, "undetermined") == 0,
	};
	const struct outlook now = {
		.id = now_id,
		.issuer = seen->info->issuer,
		.named = seen->named,
		.crl_stale = strcmp(seen->crl, "undetermined") == 0,
	};
	bool other = strcmp(last_id, now_id) != 0;

	news = foresight_compare(&last, at->previous, &now);
	tell_news(at, news, seen);
	if (other)
		turn_over(at, last_id, now_id);
	return other || at->named != seen->named ||
	       strcmp(at->crl, seen->crl) != 0;
}

static void take_facts(struct certificate *at, const struct cert_seen *seen)
{
	bool other = strcmp(at->info.serial, seen->info->serial) != 0 ||
		     strcmp(at->info.spki_sha256, seen->info->spki_sha256) != 0;

	/* A client that is no longer verified is watched as it was. */
	at->watched = seen->watched ||
		      (at->watched && !other && at->role == CERT_CLIENT);
	at->info = *seen->info;
	at->named = seen->named;
	snprintf(at->crl, sizeof(at->crl), "%s", seen->crl);
	at->last_seen_ms = clock_wall_ms();
	if (strcmp(at->address, seen->address) == 0)
		return;
	free(at->address);
	at->address = xstrdup(seen->address);
}

void certificates_see(struct certificates *c, const struct cert_seen *seen)
{
	char *key = key_of(seen);
	struct certificate *at;
	bool changed = true;

	HASH_FIND_STR(c->entries, key, at);
	if (at) {
		free(key);
		changed = compare(at, seen);
	} else {
		at = add_entry(c, key, seen);
	}
	take_facts(at, seen);
	changed |= tell_stage(c, at);
	if (changed)
		plan(c);
	if (changed || clock_wall_ms() - at->written_ms > HOUR_MS)
		write_entry(c, at);
}

/* ------- our own */

static bool is_ours(const struct certificate *at, const struct conf *conf)
{
	for (size_t i = 0; i < conf->nidentities; i++)
		if (strcmp(at->where, conf->identities[i].name) == 0)
			return true;
	return false;
}

void certificates_own(struct certificates *c, const struct snapshot *s)
{
	struct certificate *at, *next;
	struct tls_cert_info info;

	for (at = c->entries; at; at = next) {
		next = at->hh.next;
		if (at->role == CERT_OWN && !is_ours(at, s->conf))
			forget(c, at);
	}
	for (size_t i = 0; i < s->conf->nidentities; i++) {
		tls_identity_info(s->identities[i], &info);
		certificates_see(c,
				 &(struct cert_seen){
					 .role = CERT_OWN,
					 .where = s->conf->identities[i].name,
					 .address = "",
					 .info = &info,
					 .crl = "",
					 .watched = true,
					 .named = true,
				 });
	}
}

/* ------- reading */

static int by_key(const struct certificate *a, const struct certificate *b)
{
	return strcmp(a->key, b->key);
}

const struct certificate *certificates_first(struct certificates *c)
{
	if (!c)
		return NULL;
	HASH_SORT(c->entries, by_key);
	return c->entries;
}

const struct certificate *certificates_next(const struct certificate *at)
{
	return at->hh.next;
}

/* ------- lifetime */

struct certificates *certificates_new(struct event_base *base,
				      struct relay *relay)
{
	struct certificates *c = xcalloc(1, sizeof(*c));

	c->relay = relay;
	c->look = evtimer_new(base, on_look, c);
	BUG_ON(!c->look);
	read_all(c);
	plan(c);
	return c;
}

void certificates_close(struct certificates *c)
{
	if (c)
		c->closed = true;
}

void certificates_free(struct certificates *c)
{
	struct certificate *at, *next;

	if (!c)
		return;
	for (at = c->entries; at; at = next) {
		next = at->hh.next;
		remove_entry(c, at);
	}
	event_free(c->look);
	free(c);
}
