/* SPDX-License-Identifier: ISC */
/*
 * t_explain - what is said to hold a recipient, for everything that can.
 */
#include "daemon/explain.h"

#include <check.h>
#include <stdlib.h>

static const int64_t now_ms = 1764000000000;

static char *domains[] = { (char *)"*.com" };
static struct host_port hosts[] = { { .host = (char *)"a", .port = 25 } };
static struct conf_route route = {
	.hosts = hosts,
	.nhosts = 1,
	.name = (char *)"cloud",
	.domains = { domains, 1 },
	.lifetime_ms = 3600 * 1000,
	.max_connections = 4,
};
static struct conf conf = { .routes = &route, .nroutes = 1 };

static struct destination_view a, b;
static struct destination_view both[2];
static const struct due in_hand[] = { { .id = 7 } };
static struct view view;
static struct recipient r;
static struct hold holds[HOLDS_MAX];

static struct destination_view destination(const char *name)
{
	return (struct destination_view){
		.name = (char *)name,
		.lane = (char *)"cloud",
		.state = DESTINATION_UP,
		.max_connections = 4,
		.reply = (char *)"",
		.reason = (char *)"",
	};
}

static void setup(void)
{
	a = destination("cloud/a:25");
	b = destination("cloud/b:25");
	recipient_init(&r);
	free(r.address);
	r.address = xstrdup("bob@example.com");
	free(r.lane);
	r.lane = xstrdup("cloud");
	r.due_ms = now_ms - 1;
}

static void teardown(void)
{
	recipient_release(&r);
}

/* The first hold of n. */
static enum hold_kind first(size_t n)
{
	both[0] = a;
	both[1] = b;
	view.now_ms = now_ms;
	view.conf = &conf;
	view.destinations = both;
	view.ndestinations = 2;
	ck_assert_uint_eq(explain(&view, 7, &r, holds), n);
	return holds[0].kind;
}

START_TEST(its_turn)
{
	ck_assert_int_eq(first(1), HOLD_TURN);
	ck_assert_str_eq(holds[0].destination, "cloud/a:25");
	/* Another host does as well. */
	a.state = DESTINATION_FAILING;
	ck_assert_int_eq(first(1), HOLD_TURN);
	ck_assert_str_eq(holds[0].destination, "cloud/b:25");
	r.wait = WAIT_DESTINATION;
	r.due_ms = now_ms + 1000;
	ck_assert_int_eq(first(1), HOLD_TURN);
}
END_TEST

START_TEST(its_state)
{
	r.state = RCPT_HELD;
	ck_assert_int_eq(first(1), HOLD_HELD);
	r.state = RCPT_EXPIRED;
	ck_assert_int_eq(first(1), HOLD_FINAL);
	r.state = RCPT_DEFERRED;
	view.active = in_hand;
	view.nactive = 1;
	ck_assert_int_eq(first(1), HOLD_ACTIVE);
	view.active = NULL;
	view.nactive = 0;
}
END_TEST

START_TEST(its_schedule)
{
	r.state = RCPT_DEFERRED;
	r.cause = CAUSE_IS_PEER_DEFERRED;
	r.due_ms = now_ms + 5000;
	ck_assert_int_eq(first(1), HOLD_SCHEDULE);
	ck_assert_int_eq(holds[0].until_ms, now_ms + 5000);
	/* And then? */
	a.state = b.state = DESTINATION_SUSPENDED;
	ck_assert_int_eq(first(3), HOLD_SCHEDULE);
	ck_assert_int_eq(holds[1].kind, HOLD_SUSPENDED);
}
END_TEST

START_TEST(its_route)
{
	free(r.address);
	r.address = xstrdup("bob@example.net");
	ck_assert_int_eq(first(1), HOLD_NO_ROUTE);
	free(r.address);
	r.address = xstrdup("bob@example.com");
	free(r.lane);
	r.lane = xstrdup("old");
	ck_assert_int_eq(first(1), HOLD_MOVING);
	free(r.lane);
	r.lane = xstrdup("cloud");
	a.lane = b.lane = (char *)"other";
	ck_assert_int_eq(first(1), HOLD_HOSTS);
}
END_TEST

START_TEST(its_destinations)
{
	a.state = DESTINATION_FAILING;
	a.cause = CAUSE_IS_TLS_CERT_EXPIRED;
	a.next_probe_ms = now_ms + 9000;
	a.reply = (char *)"certificate expired";
	b.state = DESTINATION_SUSPENDED;
	b.until_ms = now_ms + 99000;
	b.reason = (char *)"moved";
	ck_assert_int_eq(first(2), HOLD_FAILING);
	ck_assert_int_eq(holds[0].cause, CAUSE_IS_TLS_CERT_EXPIRED);
	ck_assert_int_eq(holds[0].until_ms, now_ms + 9000);
	ck_assert_str_eq(holds[0].reason, "certificate expired");
	ck_assert_int_eq(holds[1].kind, HOLD_SUSPENDED);
	ck_assert_int_eq(holds[1].until_ms, now_ms + 99000);
	ck_assert_str_eq(holds[1].reason, "moved");
}
END_TEST

START_TEST(its_limits)
{
	a.window = 2;
	a.in_flight = 2;
	ck_assert_int_eq(first(1), HOLD_RAMP);
	ck_assert_uint_eq(holds[0].count, 2);
	ck_assert_uint_eq(holds[0].limit, 2);
	a.connections = 4;
	ck_assert_int_eq(first(1), HOLD_CONNECTIONS);
	ck_assert_uint_eq(holds[0].limit, 4);
	a.pause_until_ms = now_ms + 10000;
	ck_assert_int_eq(first(1), HOLD_PAUSE);
	ck_assert_int_eq(holds[0].until_ms, now_ms + 10000);
}
END_TEST

START_TEST(as_json)
{
	json_t *o, *list;

	ck_assert_int_eq(first(1), HOLD_TURN);
	o = explain_view(&view, 7, &r);
	list = json_object_get(o, "holds");
	ck_assert_uint_eq(json_array_size(list), 1);
	ck_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(list, 0), "hold")),
			 "turn");
	json_decref(o);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("explain");
	TCase *tc = tcase_create("explain");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, its_turn);
	tcase_add_test(tc, its_state);
	tcase_add_test(tc, its_schedule);
	tcase_add_test(tc, its_route);
	tcase_add_test(tc, its_destinations);
	tcase_add_test(tc, its_limits);
	tcase_add_test(tc, as_json);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
