/* SPDX-License-Identifier: ISC */
/*
 * t_exception - how long an exception holds, what it forgives, and that what
 * was written is read again.
 */
#include "daemon/exception.h"

#include <check.h>
#include <stdlib.h>

#define DAY_MS (24LL * 3600 * 1000)
#define NOW_MS (20000 * DAY_MS)

static struct host_port hosts[] = {
	{ .host = (char[]){ "mx.example" }, .port = 25 },
};

static struct conf_route routes[] = {
	{ .name = (char[]){ "out" }, .hosts = hosts, .nhosts = 1,
	  .tls = CONF_TLS_FORCED, .verify = CONF_VERIFY_NAME },
	{ .name = (char[]){ "strict" }, .hosts = hosts, .nhosts = 1,
	  .tls = CONF_TLS_FORCED, .verify = CONF_VERIFY_NAME,
	  .no_exceptions = true },
	{ .name = (char[]){ "any" }, .hosts = hosts, .nhosts = 1,
	  .tls = CONF_TLS_OPPORTUNISTIC, .verify = CONF_VERIFY_NONE },
	{ .name = (char[]){ "mx" }, .mx = true, .tls = CONF_TLS_FORCED,
	  .verify = CONF_VERIFY_NAME },
};

static const struct conf conf = { .routes = routes,
				  .nroutes = ARRAY_LEN(routes) };

static struct exception *ask(const char *json, struct err *e)
{
	json_t *request = json_loads(json, 0, NULL);
	struct exception *x;

	ck_assert_ptr_nonnull(request);
	x = exception_ask(request, &conf, "uid 1", NOW_MS, e);
	json_decref(request);
	return x;
}

#define REST "\"allow\":[\"expired\",\"clear\"],\"reason\":\"r\""

static const struct {
	const char *json;
	enum status status;
} wrong[] = {
	{ "{" REST ",\"until\":\"1h\"}", ST_TEMP },
	{ "{\"destination\":\"out\"," REST ",\"until\":\"1h\"}", ST_TEMP },
	{ "{\"destination\":\"ou/mx.example:25\"," REST ",\"until\":\"1h\"}",
	  ST_TEMP },
	{ "{\"destination\":\"out/mx.example:26\"," REST ",\"until\":\"1h\"}",
	  ST_TEMP },
	{ "{\"destination\":\"strict/mx.example:25\"," REST
	  ",\"until\":\"1h\"}", ST_TEMP },
	{ "{\"destination\":\"any/mx.example:25\"," REST ",\"until\":\"1h\"}",
	  ST_TEMP },
	{ "{\"destination\":\"mx\"," REST ",\"until\":\"1h\"}", ST_TEMP },
	{ "{\"destination\":\"out/mx.example:25\"," REST ",\"until\":\"31d\"}",
	  ST_TEMP },
	{ "{\"destination\":\"out/mx.example:25\"," REST ",\"until\":24}",
	  ST_PERM },
	{ "{\"destination\":\"out/mx.example:25\"," REST "}", ST_PERM },
	{ "{\"destination\":\"out/mx.example:25\",\"until\":\"1h\","
	  "\"reason\":\"r\",\"allow\":[]}", ST_PERM },
	{ "{\"destination\":\"out/mx.example:25\",\"until\":\"1h\","
	  "\"reason\":\"r\",\"allow\":[7]}", ST_PERM },
	{ "{\"destination\":\"out/mx.example:25\",\"until\":\"1h\","
	  "\"reason\":\"r\",\"allow\":\"expired\"}", ST_PERM },
	{ "{\"destination\":\"out/mx.example:25\"," REST
	  ",\"until\":\"1h\",\"pin\":7}", ST_PERM },
};

START_TEST(test_wrong)
{
	struct err e;

	ck_assert_ptr_null(ask(wrong[_i].json, &e));
	ck_assert_int_eq(e.status, wrong[_i].status);
	ck_assert_uint_gt(strlen(e.text), 0);
}
END_TEST

START_TEST(test_mx)
{
	struct err e;
	struct exception *x = ask("{\"destination\":\"mx/a.example:25\"," REST
				  ",\"until\":\"30d\"}",
				  &e);

	ck_assert_ptr_nonnull(x);
	ck_assert_int_eq(x->until_ms, NOW_MS + 30 * DAY_MS);
	exception_unref(x);
}
END_TEST

START_TEST(test_holds)
{
	struct err e;
	struct exception *x = ask("{\"destination\":\"out/mx.example:25\"," REST
				  ",\"until\":\"1d\"}",
				  &e);

	ck_assert(!exception_holds(NULL, NOW_MS));
	ck_assert(exception_holds(x, NOW_MS));
	ck_assert(exception_holds(x, NOW_MS + DAY_MS - 1));
	ck_assert(!exception_holds(x, NOW_MS + DAY_MS));
	/* The clock was put back by a year. */
	ck_assert(!exception_holds(x, NOW_MS - 365 * DAY_MS));
	exception_end(x);
	ck_assert(!exception_holds(x, NOW_MS));
	exception_unref(x);
}
END_TEST

#define PIN "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

START_TEST(test_forgives)
{
	struct tls_policy policy = { .verify = TLS_VERIFY_NAME };
	struct err e;
	struct exception *x = ask("{\"destination\":\"out/mx.example:25\"," REST
				  ",\"until\":\"1d\",\"pin\":\"" PIN "\"}",
				  &e);

	exception_forgive(NULL, &policy);
	ck_assert_uint_eq(policy.forgive, 0);
	ck_assert(!exception_is_clear(NULL));
	exception_forgive(x, &policy);
	ck_assert_uint_eq(policy.forgive, TLS_FORGIVE_EXPIRED);
	ck_assert(policy.forgive_pinned);
	ck_assert_uint_eq(policy.forgive_pin[1], 0x11);
	ck_assert_uint_eq(policy.forgive_pin[31], 0xff);
	ck_assert(exception_is_clear(x));
	exception_unref(x);
}
END_TEST

START_TEST(test_written_and_read)
{
	struct err e;
	struct exception *x = ask("{\"destination\":\"out/mx.example:25\"," REST
				  ",\"until\":\"1d\",\"pin\":\"" PIN "\"}",
				  &e);
	json_t *shown = exception_show(x);
	char *text = json_dumps(shown, 0);
	struct exception *y = exception_read(text);

	ck_assert_ptr_nonnull(y);
	ck_assert_str_eq(y->destination, x->destination);
	ck_assert_str_eq(y->reason, "r");
	ck_assert_str_eq(y->actor, "uid 1");
	ck_assert_uint_eq(y->allow, x->allow);
	ck_assert(y->pinned && memcmp(y->pin, x->pin, 32) == 0);
	ck_assert_int_eq(y->until_ms, x->until_ms);
	ck_assert_int_eq(y->added_ms, NOW_MS);
	json_decref(shown);
	free(text);
	exception_unref(x);
	exception_unref(y);
	ck_assert_ptr_null(exception_read(""));
	ck_assert_ptr_null(exception_read("[]"));
	ck_assert_ptr_null(exception_read("{\"destination\":\"x\"}"));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("exception");
	TCase *c = tcase_create("exception");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(c, test_wrong, 0, (int)ARRAY_LEN(wrong));
	tcase_add_test(c, test_mx);
	tcase_add_test(c, test_holds);
	tcase_add_test(c, test_forgives);
	tcase_add_test(c, test_written_and_read);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
