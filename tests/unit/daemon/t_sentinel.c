/* SPDX-License-Identifier: ISC */
/*
 * t_sentinel - mail that nobody works for is noticed, and no other is.
 */
#include "daemon/dispatch_state.h"
#include "tests/unit/queue/help.h"

static struct host_port host = { .host = (char *)"mx.example", .port = 25 };
static struct conf_route route = {
	.name = (char *)"cloud",
	.hosts = &host,
	.nhosts = 1,
	.max_connections = 4,
};

static int64_t now;
static char *dir;
static struct relay relay;
static struct dispatch d;
static struct lane *lane;
static struct dispatch_question q;

static void at(int64_t ms)
{
	now = ms;
	clock_set_test(ms, ms);
}

static void setup(void)
{
	struct store_conf conf = { .max_bytes = 64 * 1024 * 1024 };
	struct err e;

	at(1000 * 1000);
	dir = make_dir();
	conf.path = dir;
	ck_assert_int_eq(store_lmdb_open(&relay.store, &conf, &e), ST_OK);
	d = (struct dispatch){ .relay = &relay };
	lane = lane_new("cloud");
	lane_set_route(lane, &route);
	HASH_ADD_KEYPTR(hh, d.lanes, lane->name, strlen(lane->name), lane);
	enqueue(relay.store, 1, 3, "hello");
}

static void teardown(void)
{
	HASH_DEL(d.lanes, lane);
	lane_free(lane);
	relay.store->ops->close(relay.store);
	remove_dir(dir);
	clock_set_test(-1, -1);
}

/* How much is overdue after it has looked often enough. */
static uint64_t overdue(void)
{
	for (int i = 0; i < 5; i++) {
		at(now + 30 * 1000);
		sentinel_turn(&d);
	}
	q = (struct dispatch_question){ .order = ORDER_VIEW };
	sentinel_asked(&d, &q);
	return q.sentinel.overdue;
}

START_TEST(forgotten_mail)
{
	ck_assert_uint_eq(overdue(), 3);
	ck_assert_str_eq(q.sentinel.lane, "cloud");
	ck_assert(!q.sentinel.broken);
	/* It was given out at last. */
	lane->deliveries = 1;
	ck_assert_uint_eq(overdue(), 0);
	lane->deliveries = 0;
}
END_TEST

START_TEST(a_moment_is_nothing)
{
	at(now + 90 * 1000);
	sentinel_turn(&d);
	ck_assert_uint_eq(lane->overdue, 0);
	at(now + 5 * 1000);
	sentinel_turn(&d);
	ck_assert_uint_eq(lane->overdue, 0);
	at(now + 6 * 1000);
	sentinel_turn(&d);
	ck_assert_uint_eq(lane->overdue, 3);
}
END_TEST

START_TEST(what_waits_for_its_destination)
{
	lane->destinations[0]->state = DESTINATION_FAILING;
	ck_assert_uint_eq(overdue(), 0);
	lane->destinations[0]->state = DESTINATION_SUSPENDED;
	ck_assert_uint_eq(overdue(), 0);
	/* The ramp is full, or the next hop wants a pause. */
	lane->destinations[0]->state = DESTINATION_UP;
	lane->destinations[0]->in_flight = 1;
	ck_assert_uint_eq(overdue(), 0);
	lane->destinations[0]->in_flight = 0;
	lane->destinations[0]->pause_until_mono_ms = INT64_MAX;
	ck_assert_uint_eq(overdue(), 0);
	lane->destinations[0]->pause_until_mono_ms = 0;
	ck_assert_uint_eq(overdue(), 3);
}
END_TEST

START_TEST(what_waits_for_its_time)
{
	change(relay.store, 1,
	       (struct change){ .kind = CHANGE_DEFERRED,
				.number = ALL_RECIPIENTS,
				.due_ms = now + 3600 * 1000 });
	ck_assert_uint_eq(overdue(), 0);
	/* It came up, and nobody saw to those that waited for it. */
	change(relay.store, 1,
	       (struct change){ .kind = CHANGE_DEFERRED,
				.number = 1,
				.wait = WAIT_DESTINATION,
				.due_ms = now + 3600 * 1000 });
	ck_assert_uint_eq(overdue(), 1);
}
END_TEST

START_TEST(books)
{
	q = (struct dispatch_question){ .order = ORDER_CHECK };
	sentinel_asked(&d, &q);
	ck_assert(!q.sentinel.broken);
	ck_assert_int_eq(q.sentinel.checked_ms, now);
	ck_assert_uint_eq(q.sentinel.balance.totals.accepted, 3);
	ck_assert_uint_eq(q.sentinel.balance.counted[RCPT_QUEUED], 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("sentinel");
	TCase *tc = tcase_create("sentinel");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, forgotten_mail);
	tcase_add_test(tc, a_moment_is_nothing);
	tcase_add_test(tc, what_waits_for_its_destination);
	tcase_add_test(tc, what_waits_for_its_time);
	tcase_add_test(tc, books);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
