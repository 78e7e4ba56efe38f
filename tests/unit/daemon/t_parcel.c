/* SPDX-License-Identifier: ISC */
/*
 * t_parcel - a message survives its way through a parcel; what is damaged or
 * made up does not.
 */
#include "daemon/parcel.h"

#include <check.h>
#include <stdlib.h>

static const int64_t now_ms = 1764000000000;

static char *domains[] = { (char *)"*" };
static struct host_port host = { .host = (char *)"mx.example", .port = 25 };
static struct conf_route route = {
	.name = (char *)"cloud",
	.domains = { domains, 1 },
	.hosts = &host,
	.nhosts = 1,
};
static struct conf conf = { .routes = &route, .nroutes = 1 };

static void set(char **to, const char *s)
{
	free(*to);
	*to = xstrdup(s);
}

static struct message *sample(void)
{
	struct message *m = message_new();
	struct recipient *r;

	m->id = 77;
	m->received_ms = now_ms - 1000;
	m->bytes = 12345;
	m->checksum = UINT64_C(0xfedcba9876543210);
	m->smtputf8 = true;
	m->bare_newlines = true;
	set(&m->sender, "j\xc3\xb6rg@contoso.com");
	set(&m->trace_field, "Received: from a\r\n\tby b\r\n");
	set(&m->message_id, "x@y");
	set(&m->envid, "QQ314159");
	message_add(m, "bob@example.com", "old", "old/mx:25");
	r = message_add(m, "eve@example.com", "old", "old/mx:25");
	r->state = RCPT_EXPIRED;
	r->cause = CAUSE_IS_TLS_PIN;
	r->told = true;
	r = message_add(m, "dan@example.com", "old", "old/mx:25");
	r->number = 9;
	r->state = RCPT_HELD;
	r->attempts = 4;
	r->notify = 3;
	r->clock_since_ms = now_ms - 500;
	r->held_clock_ms = 100;
	set(&r->orcpt, "rfc822;dan@example.com");
	return m;
}

START_TEST(there_and_back)
{
	struct message *m = sample(), *got;
	json_t *parcel = parcel_make(m, now_ms);
	const struct recipient *r;
	struct err e;

	ck_assert_msg(parcel_open(&got, parcel, &conf, now_ms, &e) == ST_OK,
		      "%s", e.text);
	ck_assert_uint_eq(got->id, 77);
	ck_assert_int_eq(got->received_ms, m->received_ms);
	ck_assert_uint_eq(got->bytes, m->bytes);
	ck_assert_uint_eq(got->checksum, m->checksum);
	ck_assert(got->smtputf8 && got->bare_newlines && !got->has_8bit);
	ck_assert_str_eq(got->sender, m->sender);
	ck_assert_str_eq(got->trace_field, m->trace_field);
	ck_assert_str_eq(got->envid, m->envid);
	ck_assert_uint_eq(got->nrecipients, 3);
	/* What is open goes by today's routes, at once. */
	r = &got->recipients[0];
	ck_assert_int_eq(r->state, RCPT_QUEUED);
	ck_assert_str_eq(r->lane, "cloud");
	ck_assert_str_eq(r->destination, "cloud/mx.example:25");
	ck_assert_int_eq(r->due_ms, now_ms);
	/* What is final stays as it was. */
	r = &got->recipients[1];
	ck_assert_int_eq(r->state, RCPT_EXPIRED);
	ck_assert_int_eq(r->cause, CAUSE_IS_TLS_PIN);
	ck_assert(r->told);
	ck_assert_str_eq(r->destination, "old/mx:25");
	/* The clock that stood still is not lost. */
	r = &got->recipients[2];
	ck_assert_uint_eq(r->number, 9);
	ck_assert_int_eq(r->state, RCPT_HELD);
	ck_assert_int_eq(r->held_clock_ms, 600);
	ck_assert_uint_eq(r->notify, 3);
	ck_assert_str_eq(r->orcpt, "rfc822;dan@example.com");
	message_free(got);
	message_free(m);
	json_decref(parcel);
}
END_TEST

/* The parcel with one member of it, or of its first recipient, replaced. */
static struct err refusal(const char *key, json_t *value, bool of_recipient)
{
	struct message *m = sample(), *got;
	json_t *parcel = parcel_make(m, now_ms);
	json_t *o = of_recipient
			    ? json_array_get(
				      json_object_get(parcel, "recipients"), 0)
			    : parcel;
	struct err e = { .status = ST_OK };

	json_object_del(parcel, "seal");
	ck_assert(json_object_get(o, key) != NULL);
	if (value)
		json_object_set_new(o, key, value);
	else
		json_object_del(o, key);
	ck_assert_int_eq(parcel_open(&got, parcel, &conf, now_ms, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, key));
	json_decref(parcel);
	message_free(m);
	return e;
}

START_TEST(what_is_wrong_is_named)
{
	(void)refusal("id", json_string("what"), false);
	(void)refusal("size", json_integer(-1), false);
	(void)refusal("checksum", json_string("12"), false);
	(void)refusal("sender", json_string("a b"), false);
	(void)refusal("sender", NULL, false);
	(void)refusal("smtputf8", json_integer(1), false);
	(void)refusal("recipients", json_array(), false);
	(void)refusal("address", json_string("b@x\r\nRCPT"), true);
	(void)refusal("state", json_string("lost"), true);
	(void)refusal("cause", json_string("odd"), true);
	(void)refusal("number", json_integer(UINT32_MAX), true);
	(void)refusal("number", json_integer(5), true);
	(void)refusal("fresh_ms", json_string("1"), true);
}
END_TEST

/* It stands in front of the message: nothing may slip through there. */
START_TEST(a_trace_field_is_one)
{
	static const char *const wrong[] = {
		"Received: x",
		"Received: x\n",
		"Received: x\r\n\r\nbody\r\n",
		"Received: x\r\nBcc: y\r\n",
		"Received: \rx\r\n",
		"Subject: x\r\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		(void)refusal("trace_field", json_string(wrong[i]), false);
}
END_TEST

START_TEST(the_seal_holds)
{
	struct message *m = sample(), *got;
	json_t *parcel = parcel_make(m, now_ms);
	struct err e;

	json_object_set_new(parcel, "sender", json_string("a@b.example"));
	ck_assert_int_eq(parcel_open(&got, parcel, &conf, now_ms, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "seal"));
	json_object_del(parcel, "seal");
	ck_assert_int_eq(parcel_open(&got, parcel, &conf, now_ms, &e), ST_OK);
	ck_assert_str_eq(got->sender, "a@b.example");
	message_free(got);
	json_object_set_new(parcel, "relayd_export", json_integer(2));
	ck_assert_int_eq(parcel_open(&got, parcel, &conf, now_ms, &e), ST_PERM);
	json_decref(parcel);
	message_free(m);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("parcel");
	TCase *tc = tcase_create("parcel");
	SRunner *runner = srunner_create(suite);
	int failed;

	tcase_add_test(tc, there_and_back);
	tcase_add_test(tc, what_is_wrong_is_named);
	tcase_add_test(tc, a_trace_field_is_one);
	tcase_add_test(tc, the_seal_holds);
	suite_add_tcase(suite, tc);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
