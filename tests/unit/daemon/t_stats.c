/* SPDX-License-Identifier: ISC */
/* t_stats - counters and histograms as Prometheus reads them. */
#include <check.h>
#include <stdlib.h>

#include "daemon/stats.h"

static char *printed(struct stats *s)
{
	struct buf out;

	buf_init(&out, 65536);
	ck_assert(stats_print(s, &out));
	ck_assert(buf_add(&out, SPAN("\0")));
	return buf_string(&out);
}

static void has(struct stats *s, const char *text)
{
	char *page = printed(s);

	ck_assert_msg(strstr(page, text) != NULL, "no %s in\n%s", text, page);
	free(page);
}

START_TEST(counters_by_label)
{
	struct stats *s = stats_new();

	stats_add(s, STAT_DEFERRED, "cloud", "tls-cert-expired", 2);
	stats_add(s, STAT_DEFERRED, "cloud", "tls-cert-expired", 1);
	stats_add(s, STAT_DEFERRED, "cloud", "peer-deferred", 4);
	stats_add(s, STAT_DELIVERED, "a\"b\\c\nd", NULL, 7);
	has(s, "# HELP relayd_deferred_total Attempts that failed for now, by "
	       "recipient.\n# TYPE relayd_deferred_total counter\n"
	       "relayd_deferred_total{route=\"cloud\",cause=\"peer-deferred\"} "
	       "4\n"
	       "relayd_deferred_total{route=\"cloud\","
	       "cause=\"tls-cert-expired\"} 3\n");
	has(s, "relayd_delivered_total{route=\"a\\\"b\\\\c\\nd\"} 7\n");
	stats_free(s);
	stats_free(NULL);
}
END_TEST

START_TEST(every_counter_has_its_head)
{
	static const char *const metrics[] = {
#define COUNTER(name, metric, first, second, help) metric,
#include "daemon/stats.def"
#undef COUNTER
	};
	struct stats *s = stats_new();
	char *page = printed(s);

	for (size_t i = 0; i < ARRAY_LEN(metrics); i++) {
		char *head = xasprintf("# TYPE %s counter\n", metrics[i]);
		const char *at = strstr(page, head);

		ck_assert_msg(at != NULL, "%s", head);
		ck_assert_ptr_null(strstr(at + 1, head));
		free(head);
	}
	free(page);
	stats_free(s);
}
END_TEST

START_TEST(histograms)
{
	struct stats *s = stats_new();

	histogram_see(stats_delivery(s), 0.02);
	histogram_see(stats_delivery(s), 7);
	has(s, "relayd_delivery_seconds_bucket{le=\"0.01\"} 0\n"
	       "relayd_delivery_seconds_bucket{le=\"0.03\"} 1\n");
	has(s, "relayd_delivery_seconds_bucket{le=\"+Inf\"} 2\n"
	       "relayd_delivery_seconds_sum 7.020000\n"
	       "relayd_delivery_seconds_count 2\n");
	stats_free(s);
}
END_TEST

START_TEST(a_small_page)
{
	struct stats *s = stats_new();
	struct buf out;

	buf_init(&out, 100);
	ck_assert(!stats_print(s, &out));
	buf_release(&out);
	stats_free(s);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("stats");
	TCase *tc = tcase_create("stats");
	SRunner *r;
	int failed;

	tcase_add_test(tc, counters_by_label);
	tcase_add_test(tc, every_counter_has_its_head);
	tcase_add_test(tc, histograms);
	tcase_add_test(tc, a_small_page);
	suite_add_tcase(s, tc);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
