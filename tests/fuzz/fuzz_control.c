/* SPDX-License-Identifier: ISC */
/*
 * fuzz_control - what a request to the control API asks for.
 *
 * The input: a byte that chooses the verb, the query of a list (a string),
 * then the body of a request.
 */
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <stdlib.h>
#include <sys/queue.h>

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
	free(query);
	message_free(m);
	return 0;
}
