/* SPDX-License-Identifier: ISC */
/*
 * t_pace - services that are too busy for us: how long we pause, and how many
 * connections there are afterwards.
 */
#include "daemon/pace.h"

#include <check.h>
#include <stdlib.h>

enum { UNIT_MS = 60 * 1000, MAX = 20 };

static const struct failure busy = {
	.status = ST_TEMP,
	.reach = AT_MESSAGE,
	.cause = CAUSE_IS_PEER_THROTTLED,
	.enhanced = "4.7.500",
	.reply = "451 4.7.500 Server busy",
};

static struct pace *pace;

static void setup(void)
{
	pace = pace_new("mx.example.net");
}

static void teardown(void)
{
	pace_free(pace);
}

static void check_service(const char *host, const char *service)
{
	char *got = pace_service(host, 25);

	ck_assert_str_eq(got, service);
	free(got);
}

START_TEST(test_service_of_a_host)
{
	static const char outlook[] = "mail.protection.outlook.com";

	check_service("contoso-com.mail.protection.outlook.com", outlook);
	check_service("Fabrikam-Com.Mail.Protection.Outlook.COM", outlook);
	check_service("contoso-com.o-v1.mx.microsoft", outlook);
	check_service("MX.Example.NET", "mx.example.net:25");
	check_service("127.0.0.1", "127.0.0.1:25");
	check_service("mail.protection.outlook.com.example.net",
		      "mail.protection.outlook.com.example.net:25");
}
END_TEST

START_TEST(test_unknown_is_free)
{
	pace->connections = 100;
	ck_assert(pace_may_open(pace, 0));
	ck_assert(pace_may_use(pace, 0));
	ck_assert(!pace_is_idle(pace, 0));
	pace->connections = 0;
	ck_assert(pace_is_idle(pace, 0));
	pace_succeeded(pace, 10, MAX);
	ck_assert_uint_eq(pace->limit, 0);
}
END_TEST

START_TEST(test_busy_pauses_and_halves)
{
	struct failure f;

	pace->connections = 10;
	ck_assert(pace_slow(pace, &busy, UNIT_MS, 1000));
	ck_assert_uint_eq(pace->limit, 5);
	ck_assert(pace_is_paused(pace, 1000 + UNIT_MS - 1));
	ck_assert(!pace_may_use(pace, 1000 + UNIT_MS - 1));
	pace_failure(pace, &f);
	ck_assert_int_eq(f.cause, CAUSE_IS_PEER_THROTTLED);
	ck_assert_int_eq(f.reach, AT_DESTINATION);
	ck_assert_str_eq(f.enhanced, "4.7.500");
	ck_assert_str_eq(f.reply, busy.reply);
	/* The other connections hear it too: that is one time. */
	ck_assert(!pace_slow(pace, &busy, UNIT_MS, 2000));
	ck_assert_uint_eq(pace->limit, 5);
	/* It is over.  There are still more than may be. */
	ck_assert(!pace_is_paused(pace, 1000 + UNIT_MS));
	ck_assert(!pace_may_use(pace, 1000 + UNIT_MS));
	pace->connections = 5;
	ck_assert(pace_may_use(pace, 1000 + UNIT_MS));
	ck_assert(!pace_may_open(pace, 1000 + UNIT_MS));
	pace->connections = 4;
	ck_assert(pace_may_open(pace, 1000 + UNIT_MS));
}
END_TEST

START_TEST(test_there_is_always_one)
{
	pace->connections = 1;
	ck_assert(pace_slow(pace, &busy, UNIT_MS, 0));
	ck_assert_uint_eq(pace->limit, 1);
	pace->connections = 0;
	ck_assert(!pace_is_idle(pace, UNIT_MS));
	ck_assert(pace_slow(pace, &busy, UNIT_MS, UNIT_MS));
	ck_assert_uint_eq(pace->limit, 1);
	ck_assert(pace_may_open(pace, 10 * UNIT_MS));
}
END_TEST

START_TEST(test_pauses_double_up_to_a_quarter_of_an_hour)
{
	int64_t now = 0, last = 0;

	for (int i = 0; i < 8; i++) {
		int64_t pause;

		ck_assert(pace_slow(pace, &busy, UNIT_MS, now));
		pause = pace->pause_until_mono_ms - now;
		ck_assert_int_eq(pause, i < 5 ? UNIT_MS << i : last);
		last = pause;
		now = pace->pause_until_mono_ms;
	}
	ck_assert_int_eq(last, 16 * UNIT_MS);
	/* When it goes well it begins anew. */
	pace_succeeded(pace, 1, MAX);
	ck_assert(pace_slow(pace, &busy, UNIT_MS, now));
	ck_assert_int_eq(pace->pause_until_mono_ms - now, UNIT_MS);
}
END_TEST

START_TEST(test_one_more_at_a_time)
{
	pace->connections = 8;
	ck_assert(pace_slow(pace, &busy, UNIT_MS, 0));
	ck_assert_uint_eq(pace->limit, 4);
	pace_succeeded(pace, 3, MAX);
	ck_assert_uint_eq(pace->limit, 4);
	pace_succeeded(pace, 1, MAX);
	ck_assert_uint_eq(pace->limit, 5);
	pace_succeeded(pace, 5 + 6, MAX);
	ck_assert_uint_eq(pace->limit, 7);
	/* As many as are wanted at all: no limit any more. */
	pace_succeeded(pace, 10000, MAX);
	ck_assert_uint_eq(pace->limit, 0);
}
END_TEST

START_TEST(test_an_operator_ends_the_pause_only)
{
	pace->connections = 8;
	ck_assert(pace_slow(pace, &busy, UNIT_MS, 0));
	pace_resume(pace);
	ck_assert(!pace_is_paused(pace, 1));
	ck_assert_uint_eq(pace->limit, 4);
}
END_TEST

START_TEST(test_exchange_online_counts_longer)
{
	struct pace *p = pace_new("mail.protection.outlook.com");

	ck_assert(pace_slow(p, &busy, UNIT_MS, 0));
	ck_assert_int_eq(p->pause_until_mono_ms, 10 * UNIT_MS);
	pace_free(p);
}
END_TEST

START_TEST(test_a_limit_is_forgotten_at_last)
{
	ck_assert(pace_slow(pace, &busy, UNIT_MS, 0));
	ck_assert(!pace_is_idle(pace, UNIT_MS));
	ck_assert(pace_is_idle(pace, UNIT_MS + 60 * 60 * 1000));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pace");
	TCase *tc = tcase_create("pace");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, test_service_of_a_host);
	tcase_add_test(tc, test_unknown_is_free);
	tcase_add_test(tc, test_busy_pauses_and_halves);
	tcase_add_test(tc, test_there_is_always_one);
	tcase_add_test(tc, test_pauses_double_up_to_a_quarter_of_an_hour);
	tcase_add_test(tc, test_one_more_at_a_time);
	tcase_add_test(tc, test_an_operator_ends_the_pause_only);
	tcase_add_test(tc, test_exchange_online_counts_longer);
	tcase_add_test(tc, test_a_limit_is_forgotten_at_last);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
