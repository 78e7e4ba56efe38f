/* SPDX-License-Identifier: ISC */
/*
 * t_view - the JSON that scripts rely on: keys, types, what stands for what.
 */
#include "daemon/view.h"

#include <check.h>
#include <stdlib.h>

static const int64_t now_ms = 1764000000000;
static const int64_t minute_ms = 60 * 1000;

static char *domains[] = { (char *)"*" };
static struct conf_route route = {
	.name = (char *)"cloud",
	.domains = { domains, 1 },
	.lifetime_ms = 3600 * 1000,
};
static struct conf conf = {
	.hostname = (char *)"relay.test",
	.queue.lifetime_ms = 7200 * 1000,
	.routes = &route,
	.nroutes = 1,
};

static struct message *sample(void)
{
	struct message *m = message_new();
	struct recipient *r;

	m->id = 7;
	m->received_ms = now_ms - 5 * minute_ms;
	m->bytes = 1234;
	free(m->sender);
	m->sender = xstrdup("ann@contoso.com");
	message_add(m, "bob@example.com", "cloud", "cloud/mx:25");
	message_add(m, "eve@example.com", "cloud", "cloud/mx:25");
	r = &m->recipients[0];
	r->state = RCPT_DEFERRED;
	r->cause = CAUSE_IS_CONNECT_REFUSED;
	r->attempts = 3;
	r->due_ms = now_ms + 2 * minute_ms;
	free(r->reply);
	r->reply = xstrdup("connection refused");
	m->recipients[1].state = RCPT_DELIVERED;
	return m;
}

static const char *text(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	ck_assert_msg(s != NULL, "%s is no string", key);
	return s;
}

static void has_keys(const json_t *o, const char *list)
{
	while (*list) {
		size_t len = strcspn(list, " ");
		char *key = xstrndup(list, len);

		ck_assert_msg(json_object_get(o, key) != NULL, "no %s", key);
		free(key);
		list += len + (list[len] == ' ');
	}
}

START_TEST(a_row_has_the_promised_keys)
{
	struct view v = { .now_ms = now_ms, .conf = &conf };
	struct message *m = sample();
	struct filter all;
	json_t *o;

	filter_init(&all);
	o = view_message_row(&v, m, &all);
	has_keys(o, "id state received age_s size sender recipients route "
		    "destination attempts next_attempt expires cause reply "
		    "uncertain");
	ck_assert_str_eq(text(o, "id"), "0000000000007");
	ck_assert_str_eq(text(o, "state"), "deferred");
	ck_assert_str_eq(text(o, "cause"), "connect-refused");
	ck_assert_str_eq(text(o, "reply"), "connection refused");
	ck_assert_str_eq(text(o, "received"), "2025-11-24T15:55:00.000Z");
	ck_assert_str_eq(text(o, "next_attempt"), "2025-11-24T16:02:00.000Z");
	ck_assert_str_eq(text(o, "expires"), "2025-11-24T16:55:00.000Z");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "age_s")), 300);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "size")), 1234);
	ck_assert_int_eq(json_integer_value(json_object_get(o, "attempts")), 3);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "recipients")), 2);
	ck_assert(json_is_false(json_object_get(o, "uncertain")));
	json_decref(o);
	message_free(m);
}
END_TEST

START_TEST(a_row_speaks_of_those_that_match)
{
	struct view v = { .now_ms = now_ms, .conf = &conf };
	struct message *m = sample();
	struct filter f;
	struct err e;
	json_t *o;

	filter_init(&f);
	ck_assert(filter_set(&f, "state", "delivered", &e) == ST_OK);
	o = view_message_row(&v, m, &f);
	ck_assert_str_eq(text(o, "state"), "delivered");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "recipients")), 1);
	ck_assert(json_is_null(json_object_get(o, "next_attempt")));
	ck_assert(json_is_null(json_object_get(o, "expires")));
	json_decref(o);
	ck_assert(filter_set(&f, "recipient", "nobody@*", &e) == ST_OK);
	ck_assert_ptr_null(view_message_row(&v, m, &f));
	filter_release(&f);
	message_free(m);
}
END_TEST

START_TEST(what_is_in_hand_is_active)
{
	const struct due active[] = { { .id = 5 }, { .id = 7, .number = 0 } };
	struct view v = {
		.now_ms = now_ms,
		.conf = &conf,
		.active = active,
		.nactive = 2,
	};
	struct message *m = sample();

	ck_assert(view_state(&v, 7, &m->recipients[0]) == STATE_ACTIVE);
	ck_assert_int_eq(view_next_attempt_ms(&v, 7, &m->recipients[0]), 0);
	/* Held, delivered: whatever the dispatcher still has of it. */
	m->recipients[0].state = RCPT_HELD;
	ck_assert(view_state(&v, 7, &m->recipients[0]) == RCPT_HELD);
	ck_assert(view_state(&v, 7, &m->recipients[1]) == RCPT_DELIVERED);
	message_free(m);
}
END_TEST

START_TEST(waiting_for_a_destination_is_waiting_for_its_probe)
{
	const struct destination_view destinations[] = {
		{ .name = (char *)"cloud/other:25", .next_probe_ms = 1 },
		{ .name = (char *)"cloud/mx:25",
		  .next_probe_ms = 1764000030000 },
	};
	struct view v = {
		.now_ms = now_ms,
		.conf = &conf,
		.destinations = destinations,
		.ndestinations = 2,
	};
	struct message *m = sample();

	m->recipients[0].wait = WAIT_DESTINATION;
	ck_assert_int_eq(view_next_attempt_ms(&v, 7, &m->recipients[0]),
			 now_ms + 30000);
	message_free(m);
}
END_TEST

START_TEST(expiry_is_of_today)
{
	struct view v = { .now_ms = now_ms, .conf = &conf };
	struct message *m = sample();

	ck_assert_int_eq(view_expires_ms(&v, &m->recipients[0]),
			 m->received_ms + route.lifetime_ms);
	conf.nroutes = 0;
	ck_assert_int_eq(view_expires_ms(&v, &m->recipients[0]),
			 m->received_ms + conf.queue.lifetime_ms);
	conf.nroutes = 1;
	ck_assert_int_eq(view_expires_ms(&v, &m->recipients[1]), 0);
	message_free(m);
}
END_TEST

START_TEST(bytes_of_peers_become_json)
{
	json_t *o = json_pack("[o, o, o]", view_text("gr\xc3\xbc\xc3\x9f"),
			      view_text("bad \xff\x1b"),
			      view_bytes((struct span){ "a\0b", 3 }));
	char *dump = json_dumps(o, JSON_ENSURE_ASCII | JSON_COMPACT);

	ck_assert_str_eq(dump, "[\"gr\\u00FC\\u00DF\","
			       "\"bad \\\\xff\\\\x1b\",\"a\\u0000b\"]");
	free(dump);
	json_decref(o);
}
END_TEST

START_TEST(an_event_has_the_promised_keys)
{
	struct message *m = sample();
	struct event ev;
	json_t *o;

	event_init(&ev);
	ev.kind = EVENT_DEFERRED;
	ev.time_ms = now_ms;
	ev.number = 1;
	ev.duration_ms = 1500;
	ev.cause = CAUSE_IS_TLS_PIN;
	o = view_event(m, &ev);
	has_keys(o, "id time event recipient route destination address tls "
		    "verified certificate status reply cause duration_s");
	ck_assert_str_eq(text(o, "event"), "deferred");
	ck_assert_str_eq(text(o, "recipient"), "eve@example.com");
	ck_assert_str_eq(text(o, "cause"), "tls-pin");
	ck_assert(json_number_value(json_object_get(o, "duration_s")) == 1.5);
	json_decref(o);
	/* One that has been removed, or all. */
	ev.number = ALL_RECIPIENTS;
	o = view_event(m, &ev);
	ck_assert_str_eq(text(o, "recipient"), "");
	json_decref(o);
	event_release(&ev);

	o = view_received(m);
	has_keys(o, "id time event recipient route destination address tls "
		    "verified certificate status reply cause duration_s "
		    "sender recipients size client listener");
	ck_assert_str_eq(text(o, "event"), "received");
	json_decref(o);
	message_free(m);
}
END_TEST

START_TEST(a_destination_has_the_promised_keys)
{
	struct destination_view d = {
		.name = (char *)"cloud/mx:25",
		.lane = (char *)"cloud",
		.state = DESTINATION_FAILING,
		.cause = CAUSE_IS_TLS_CERT_EXPIRED,
		.since_ms = now_ms,
		.reply = (char *)"",
		.reason = (char *)"",
	};
	json_t *o = view_destination(&d);

	has_keys(o, "destination state cause since next_probe connections "
		    "reply remedy");
	ck_assert_str_eq(text(o, "state"), "failing");
	ck_assert(json_is_null(json_object_get(o, "next_probe")));
	json_decref(o);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("view");
	TCase *tc = tcase_create("view");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, a_row_has_the_promised_keys);
	tcase_add_test(tc, a_row_speaks_of_those_that_match);
	tcase_add_test(tc, what_is_in_hand_is_active);
	tcase_add_test(tc, waiting_for_a_destination_is_waiting_for_its_probe);
	tcase_add_test(tc, expiry_is_of_today);
	tcase_add_test(tc, bytes_of_peers_become_json);
	tcase_add_test(tc, an_event_has_the_promised_keys);
	tcase_add_test(tc, a_destination_has_the_promised_keys);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
