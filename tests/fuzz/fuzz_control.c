/* SPDX-License-Identifier: ISC */
/*
 * fuzz_control - what a request to the control API asks for.
 *
 * The input: a byte that chooses the verb, the query of a list (a string),
 * then the body of a request.
 */
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/queue.h>
#include <unistd.h>

#include "daemon/exception.h"
#include "daemon/order.h"
#include "tests/fuzz/fuzz.h"

static const struct verb *const verbs[] = {
	&verb_resubmit, &verb_hold, &verb_release, &verb_remove};

static struct message *message_some(void)
{
	struct message *m = message_new();

	free(m->sender);
	m->sender = xstrdup("alice@example.com");
	m->received_ms = 1000;
	m->bytes = 70000;
	(void)message_add(m, "bob@example.net", "out/example.net",
			  "out/mx.example.net:25");
	(void)message_add(m, "[x]@[192.0.2.1]", "in", "");
	m->recipients[1].cause = CAUSE_IS_PEER_REJECTED;
	return m;
}

static void use_filter(const struct filter *f, const struct message *m)
{
	(void)filter_has_message(f, m, 90000);
	for (size_t i = 0; i < m->nrecipients; i++)
		for (int s = 0; s < SHOWN_STATES; s++) {
			bool has = filter_has_recipient(f, &m->recipients[i],
							(enum rcpt_state)s);

			HOLDS(!has || f->states == 0 ||
			      (f->states & state_bit((enum rcpt_state)s)));
		}
}

static void check_refusal(const struct err *e)
{
	HOLDS(e->status == ST_PERM);
	HOLDS(e->text[0] != '\0');
	fuzz_printable(e->text);
}

static void check_order(const struct order *o, const struct message *m)
{
	HOLDS(o->all || o->nids > 0 || o->states != 0 || o->filter.given);
	HOLDS(o->filter.states == 0);
	HOLDS(!o->bounce || o->verb == &verb_remove);
	for (size_t i = 1; i < o->nids; i++)
		HOLDS(o->ids[i - 1] < o->ids[i]);
	use_filter(&o->filter, m);
	for (size_t i = 0; i < m->nrecipients; i++)
		for (int s = 0; s < SHOWN_STATES; s++)
			if (order_choose(o, &m->recipients[i],
					 (enum rcpt_state)s) == CHOICE_YES)
				HOLDS(o->verb->possible &
				      state_bit((enum rcpt_state)s));
}

/* ------- exceptions */

static const char conf_text[] =
	"hostname = relay.example\n"
	"listener in { address = {\"127.0.0.1:2525\"} }\n"
	"route out { domains = {\"*\"} hosts = {\"mx.example.net\"} "
	"tls = forced }\n"
	"route mx { domains = {\"b.example\"} mx = true tls = forced }\n";

static void on_complaint(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

/* Made once, and kept. */
static const struct conf *conf_some(void)
{
	static struct conf *conf;
	char path[64];
	int fd;

	if (conf != NULL)
		return conf;
	fd = memfd_create("relayd.conf", MFD_CLOEXEC);
	BUG_ON(fd < 0 || write(fd, conf_text, sizeof(conf_text) - 1) < 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	conf = conf_read(path, NULL, 0, on_complaint, NULL);
	BUG_ON(conf == NULL);
	close(fd);
	return conf;
}

static bool is_same(const struct exception *a, const struct exception *b)
{
	return strcmp(a->destination, b->destination) == 0 &&
	       strcmp(a->reason, b->reason) == 0 &&
	       strcmp(a->actor, b->actor) == 0 && a->allow == b->allow &&
	       a->pinned == b->pinned && a->added_ms == b->added_ms &&
	       a->until_ms == b->until_ms &&
	       memcmp(a->pin, b->pin, sizeof(a->pin)) == 0;
}

/* What the store keeps of it is read back the same. */
static void check_kept(struct exception *x)
{
	json_t *shown = exception_show(x);
	char *text = json_dumps(shown, JSON_COMPACT);
	struct exception *again = exception_read(text);

	HOLDS(again != NULL && is_same(x, again));
	exception_unref(again);
	exception_unref(x);
	free(text);
	json_decref(shown);
}

static void check_exception(const json_t *request)
{
	struct err e;
	struct exception *x = exception_ask(request, conf_some(), "uid 0",
					    1000000, &e);

	if (x == NULL) {
		HOLDS(e.status != ST_OK && e.text[0] != '\0');
		fuzz_printable(e.text);
		return;
	}
	HOLDS(x->allow != 0 && x->until_ms > x->added_ms);
	HOLDS(x->until_ms - x->added_ms <= EXCEPTION_MAX_MS);
	HOLDS(exception_holds(x, 1000000));
	HOLDS(!exception_holds(x, x->until_ms));
	check_kept(x);
}

static void check_stored(struct span body)
{
	char *text = span_dup(body);
	struct exception *x = exception_read(text);

	if (x != NULL)
		check_kept(x);
	free(text);
}

static void check_body(const struct verb *verb, struct span body,
		       const struct message *m)
{
	json_t *json = json_loadb(body.at, body.len, JSON_REJECT_DUPLICATES,
				  NULL);
	struct order o;
	struct err e;

	if (!json_is_object(json)) {
		json_decref(json);
		return;
	}
	check_exception(json);
	order_init(&o, verb);
	if (order_parse(&o, json, &e) == ST_OK)
		check_order(&o, m);
	else
		check_refusal(&e);
	order_release(&o);
	json_decref(json);
}

/* "state=deferred&older=1h", as call_filter() reads it. */
static void check_query(const char *query, const struct message *m)
{
	struct evkeyvalq parts;
	struct evkeyval *part;
	struct filter f;
	struct err e;

	TAILQ_INIT(&parts);
	filter_init(&f);
	if (evhttp_parse_query_str(query, &parts) == 0) {
		TAILQ_FOREACH(part, &parts, next)
			if (filter_set(&f, part->key, part->value, &e) != ST_OK)
				check_refusal(&e);
		use_filter(&f, m);
	}
	filter_release(&f);
	evhttp_clear_headers(&parts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	const struct verb *verb = verbs[fuzz_byte(&in) % ARRAY_LEN(verbs)];
	struct message *m = message_some();
	char *query = fuzz_string(&in);

	check_query(query, m);
	check_body(verb, in, m);
	check_stored(in);
	free(query);
	message_free(m);
	return 0;
}
