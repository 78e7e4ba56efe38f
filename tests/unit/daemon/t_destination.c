/* SPDX-License-Identifier: ISC */
/*
 * t_destination - up, failing, suspended; the ramp; what a reload keeps.
 */
#include "daemon/lane.h"

#include <check.h>
#include <stdlib.h>

static struct host_port hosts[] = {
	{.host = (char[]){"a.example"}, .port = 25},
	{.host = (char[]){"b.example"}, .port = 2525},
};

static char out[] = "out";

static struct conf_route a_route(void)
{
	return (struct conf_route){
		.name = out,
		.hosts = hosts,
		.nhosts = ARRAY_LEN(hosts),
		.tls = CONF_TLS_FORCED,
		.verify = CONF_VERIFY_NAME,
		.max_connections = 8,
		.max_messages_per_connection = 100,
	};
}

static const struct failure expired = {
	.status = ST_TEMP,
	.reach = AT_DESTINATION,
	.cause = CAUSE_IS_TLS_CERT_EXPIRED,
	.enhanced = "4.7.5",
	.reply = "certificate expired",
};

static const struct failure busy = {
	.status = ST_TEMP,
	.reach = AT_DESTINATION,
	.cause = CAUSE_IS_PEER_THROTTLED,
	.reply = "421 too many connections",
};

static struct conf_route route;
static struct destination *dest;

static void setup(void)
{
	route = a_route();
	dest = destination_new(&route, &hosts[0]);
}

static void teardown(void)
{
	destination_free(dest);
}

START_TEST(test_first_contact_is_a_ramp)
{
	ck_assert_int_eq(dest->state, DESTINATION_UP);
	ck_assert_uint_eq(destination_room(dest, 0), 1);
	dest->in_flight = 1;
	ck_assert_uint_eq(destination_room(dest, 0), 0);
	ramp_succeeded(&dest->ramp, route.max_connections);
	ck_assert_uint_eq(destination_room(dest, 0), 1);
}
END_TEST

START_TEST(test_fails_once)
{
	ck_assert(destination_fails(dest, &expired, 1000, 500, 77));
	ck_assert_int_eq(dest->state, DESTINATION_FAILING);
	ck_assert_int_eq(dest->since_wall_ms, 77);
	ck_assert_int_eq(dest->next_probe_mono_ms, 1500);
	ck_assert_uint_eq(destination_room(dest, 600), 0);
	/* Again: the time since when stays, the next probe does not. */
	ck_assert(!destination_fails(dest, &expired, 1000, 1500, 99));
	ck_assert_int_eq(dest->since_wall_ms, 77);
	ck_assert_int_eq(dest->next_probe_mono_ms, 2500);
}
END_TEST

START_TEST(test_recovers_with_a_ramp)
{
	struct failure f;

	ck_assert(!destination_recovers(dest, 1));
	(void)destination_fails(dest, &expired, 1000, 0, 0);
	destination_failure(dest, &f);
	ck_assert_int_eq(f.cause, CAUSE_IS_TLS_CERT_EXPIRED);
	ck_assert_int_eq(f.reach, AT_DESTINATION);
	ck_assert_str_eq(f.enhanced, "4.7.5");
	ck_assert_str_eq(f.reply, "certificate expired");
	ck_assert(destination_recovers(dest, 5));
	ck_assert_int_eq(dest->state, DESTINATION_UP);
	ck_assert_uint_eq(destination_room(dest, 0), 1);
	ck_assert_int_eq(dest->next_probe_mono_ms, INT64_MAX);
}
END_TEST

START_TEST(test_busy_slows_down)
{
	dest->connections = 3;
	ck_assert(!destination_fails(dest, &busy, 1000, 100, 0));
	ck_assert_int_eq(dest->state, DESTINATION_UP);
	ck_assert_uint_eq(dest->ramp.window, 3);
	ck_assert_uint_eq(destination_room(dest, 101), 0);
	ck_assert_uint_gt(destination_room(dest, 60 * 1000), 0);
}
END_TEST

START_TEST(test_tls_condemns_even_a_busy_one)
{
	dest->connections = 3;
	ck_assert(destination_fails(dest, &expired, 1000, 100, 0));
	ck_assert_int_eq(dest->state, DESTINATION_FAILING);
}
END_TEST

START_TEST(test_recalled_is_probed_at_once)
{
	const struct destination_record r = {
		.failing = true,
		.cause = CAUSE_IS_TLS_CERT_EXPIRED,
		.since_ms = 42,
		.reply = (char[]){"was expired"},
		.reason = (char[]){""},
	};

	destination_recall(dest, &r, 1000);
	ck_assert_int_eq(dest->state, DESTINATION_FAILING);
	ck_assert_int_eq(dest->next_probe_mono_ms, 1000);
	ck_assert_int_eq(dest->since_wall_ms, 42);
}
END_TEST

START_TEST(test_suspended_stays_so)
{
	const struct destination_record r = {
		.suspended = true,
		.until_ms = 900,
		.reply = (char[]){""},
		.reason = (char[]){"maintenance"},
	};
	struct failure f;

	destination_recall(dest, &r, 1000);
	destination_forget(dest, 5);
	ck_assert_int_eq(dest->state, DESTINATION_SUSPENDED);
	(void)destination_fails(dest, &expired, 1000, 0, 0);
	ck_assert_int_eq(dest->state, DESTINATION_SUSPENDED);
	destination_failure(dest, &f);
	ck_assert_int_eq(f.cause, CAUSE_IS_SUSPENDED);
	ck_assert_str_eq(f.reply, "maintenance");
}
END_TEST

START_TEST(test_reload_keeps_what_is_the_same)
{
	struct conf_route same = a_route(), loose = a_route();
	struct lane *l = lane_new("out");

	lane_set_route(l, &route);
	ck_assert_uint_eq(l->ndestinations, 2);
	ck_assert_str_eq(l->destinations[1]->name, "out/b.example:2525");
	(void)destination_fails(l->destinations[0], &expired, 1000, 0, 0);
	ck_assert_int_eq(l->destinations[1]->state, DESTINATION_UP);

	lane_set_route(l, &same);
	ck_assert_int_eq(l->destinations[0]->state, DESTINATION_FAILING);

	/* Under another policy nothing is known of it. */
	loose.tls = CONF_TLS_OPPORTUNISTIC;
	loose.verify = CONF_VERIFY_NONE;
	lane_set_route(l, &loose);
	ck_assert_int_eq(l->destinations[0]->state, DESTINATION_UP);

	lane_set_route(l, NULL);
	ck_assert_uint_eq(l->ndestinations, 0);
	lane_free(l);
}
END_TEST

START_TEST(test_mx_hosts_come_and_go)
{
	char *first[] = {(char[]){"mx1.x"}, (char[]){"mx2.x"}};
	char *second[] = {(char[]){"mx2.x"}, (char[]){"mx3.x"}};
	struct lane *l = lane_new("out/x");

	route.mx = true;
	route.nhosts = 0;
	l->domain = l->name + 4;
	lane_set_route(l, &route);
	ck_assert_uint_eq(l->ndestinations, 0);

	/* Nobody knows the hosts: the lane itself fails. */
	lane_set_unknown(l, &expired, 1000, 500, 77);
	ck_assert_uint_eq(l->ndestinations, 1);
	ck_assert_str_eq(l->destinations[0]->name, "out/x");
	ck_assert(lane_is_unknown(l, l->destinations[0]));
	ck_assert_int_eq(l->destinations[0]->state, DESTINATION_FAILING);
	lane_set_unknown(l, &expired, 1000, 900, 99);
	ck_assert_int_eq(l->destinations[0]->since_wall_ms, 77);

	lane_set_hosts(l, first, 2, 2525);
	ck_assert_uint_eq(l->ndestinations, 2);
	ck_assert_str_eq(l->destinations[0]->name, "out/mx1.x:2525");
	(void)destination_fails(l->destinations[1], &expired, 1000, 0, 0);

	/* What is known of a host that stays is kept. */
	lane_set_hosts(l, second, 2, 2525);
	ck_assert_str_eq(l->destinations[0]->name, "out/mx2.x:2525");
	ck_assert_int_eq(l->destinations[0]->state, DESTINATION_FAILING);
	ck_assert_int_eq(l->destinations[1]->state, DESTINATION_UP);

	/* A reload keeps the hosts until they are asked for again. */
	lane_set_route(l, &route);
	ck_assert_uint_eq(l->ndestinations, 2);
	ck_assert_int_eq(l->destinations[0]->state, DESTINATION_FAILING);
	ck_assert_int_eq(l->hosts_until_mono_ms, 0);
	lane_free(l);
}
END_TEST

START_TEST(test_suspend_and_resume)
{
	struct destination_view view;

	(void)destination_fails(dest, &expired, 1000, 500, 77);
	destination_suspend(dest, 9000, "moved", 100);
	ck_assert_int_eq(dest->state, DESTINATION_SUSPENDED);
	ck_assert_uint_eq(destination_room(dest, 0), 0);
	/* Again, with other words: since when stays. */
	destination_suspend(dest, 0, "moved twice", 200);
	destination_view(dest, 0, 300, &view);
	ck_assert_int_eq(view.since_ms, 100);
	ck_assert_int_eq(view.until_ms, 0);
	ck_assert_int_eq(view.next_probe_ms, 0);
	ck_assert_str_eq(view.reason, "moved twice");
	ck_assert_int_eq(view.cause, CAUSE_IS_SUSPENDED);
	free(view.name);
	free(view.reply);
	free(view.reason);
	ck_assert(destination_resume(dest, 400));
	ck_assert(!destination_resume(dest, 500));
	ck_assert_int_eq(dest->state, DESTINATION_UP);
	ck_assert_int_eq(dest->since_wall_ms, 400);
	ck_assert_str_eq(dest->reason, "");
	ck_assert_uint_eq(destination_room(dest, 0), 1);
}
END_TEST

START_TEST(test_stand_in_is_kept_while_suspended)
{
	const struct failure f = {
		.status = ST_TEMP,
		.reach = AT_DESTINATION,
		.cause = CAUSE_IS_DNS_SERVFAIL,
	};
	struct conf_route mx = a_route();
	struct lane *l = lane_new("out/example.com");
	struct destination *d;

	mx.mx = true;
	l->domain = strchr(l->name, '/') + 1;
	lane_set_route(l, &mx);
	d = lane_stand_in(l);
	ck_assert_ptr_eq(l->destinations[0], d);
	ck_assert_str_eq(d->name, l->name);
	ck_assert(lane_is_unknown(l, d));
	destination_suspend(d, 9000, "moved", 100);
	ck_assert_ptr_eq(lane_stand_in(l), d);
	lane_set_unknown(l, &f, 10, 1, 200);
	ck_assert_uint_eq(l->ndestinations, 1);
	ck_assert_ptr_eq(l->destinations[0], d);
	ck_assert_int_eq(d->state, DESTINATION_SUSPENDED);
	lane_free(l);
}
END_TEST

START_TEST(test_ready_list_keeps_order)
{
	struct lane *l = lane_new("out");
	struct job *back = NULL;

	for (uint64_t id = 1; id <= 3; id++) {
		struct job *j = xcalloc(1, sizeof(*j));
		j->id = id;
		lane_add_ready(l, j);
	}
	job_push(&back, lane_take_ready(l));
	ck_assert_uint_eq(l->nready, 2);
	lane_return_ready(l, &back);
	ck_assert_uint_eq(l->nready, 3);
	for (uint64_t id = 1; id <= 3; id++) {
		struct job *j = lane_take_ready(l);
		ck_assert_uint_eq(j->id, id);
		job_free(j);
	}
	ck_assert_ptr_null(lane_take_ready(l));
	struct job *j = xcalloc(1, sizeof(*j));
	lane_add_ready(l, j);
	ck_assert_uint_eq(l->nready, 1);
	lane_free(l);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("destination");
	TCase *tc = tcase_create("states");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_first_contact_is_a_ramp);
	tcase_add_test(tc, test_fails_once);
	tcase_add_test(tc, test_recovers_with_a_ramp);
	tcase_add_test(tc, test_busy_slows_down);
	tcase_add_test(tc, test_tls_condemns_even_a_busy_one);
	tcase_add_test(tc, test_recalled_is_probed_at_once);
	tcase_add_test(tc, test_suspended_stays_so);
	tcase_add_test(tc, test_reload_keeps_what_is_the_same);
	tcase_add_test(tc, test_mx_hosts_come_and_go);
	tcase_add_test(tc, test_suspend_and_resume);
	tcase_add_test(tc, test_stand_in_is_kept_while_suspended);
	tcase_add_test(tc, test_ready_list_keeps_order);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
