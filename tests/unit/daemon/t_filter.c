/* SPDX-License-Identifier: ISC */
/*
 * t_filter - parts of a filter: what they take, what they match; and which
 * recipients a verb chooses.
 */
#include "daemon/filter.h"

#include <check.h>
#include <stdlib.h>

#include "daemon/order.h"

enum { NOW_MS = 1000000000 };

/* A message of one recipient. */
static struct message *sample(void)
{
	struct message *m = message_new();
	struct recipient *r;

	m->id = 1;
	m->received_ms = NOW_MS - 2 * 3600 * 1000;
	m->bytes = 5000;
	free(m->sender);
	m->sender = xstrdup("Ann@Contoso.com");
	free(m->message_id);
	m->message_id = xstrdup("42@contoso.com");
	r = message_add(m, "bob@[192.0.2.1]", "cloud",
			"cloud/[2001:db8::1]:25");
	r->state = RCPT_DEFERRED;
	r->cause = CAUSE_IS_TLS_CERT_EXPIRED;
	return m;
}

static const struct {
	const char *key, *value;
	bool matches;
} rows[] = {
	{ "state", "deferred", true },
	{ "state", "queued", false },
	{ "state", "queued,deferred", true },
	{ "state", "queued, deferred", true },
	{ "state", "active", false },
	{ "cause", "tls", true },
	{ "cause", "tls-cert-expired", true },
	{ "cause", "tls-pin", false },
	{ "cause", "dns", false },
	{ "destination", "cloud/[2001:db8::1]:25", true },
	{ "destination", "cloud/*", true },
	{ "destination", "cloud", false },
	{ "route", "cloud", true },
	{ "route", "cl?ud", true },
	{ "route", "prem", false },
	{ "sender", "ann@contoso.com", true },
	{ "sender", "*@CONTOSO.com", true },
	{ "sender", "ann", false },
	{ "sender", "<>", false },
	{ "recipient", "bob@[192.0.2.1]", true },
	{ "recipient", "bob@*", true },
	{ "recipient", "[!a]*", true },
	{ "recipient", "[a]*", false },
	{ "message_id", "42@contoso.com", true },
	{ "message_id", "<42@contoso.com>", true },
	{ "message_id", "42@*", true },
	{ "message_id", "43@contoso.com", false },
	{ "older", "1h", true },
	{ "older", "3h", false },
	{ "newer", "1h", false },
	{ "newer", "3h", true },
	{ "larger", "4K", true },
	{ "larger", "5000", false },
	{ "uncertain", "true", false },
	{ "uncertain", "false", true },
};

static bool matches(const struct filter *f, const struct message *m)
{
	const struct recipient *r = &m->recipients[0];

	return filter_has_message(f, m, NOW_MS) &&
	       filter_has_recipient(f, r, r->state);
}

START_TEST(one_part_matches)
{
	struct message *m = sample();
	struct filter f;
	struct err e;

	filter_init(&f);
	ck_assert(matches(&f, m));
	ck_assert(!f.given);
	ck_assert_msg(filter_set(&f, rows[_i].key, rows[_i].value, &e) == ST_OK,
		      "%s=%s: %s", rows[_i].key, rows[_i].value, e.text);
	ck_assert(f.given);
	ck_assert_msg(matches(&f, m) == rows[_i].matches, "%s=%s",
		      rows[_i].key, rows[_i].value);
	filter_release(&f);
	message_free(m);
}
END_TEST

START_TEST(parts_combine_with_and)
{
	struct message *m = sample();
	struct filter f;
	struct err e;

	filter_init(&f);
	ck_assert(filter_set(&f, "cause", "tls", &e) == ST_OK);
	ck_assert(filter_set(&f, "sender", "ann@*", &e) == ST_OK);
	ck_assert(matches(&f, m));
	ck_assert(filter_set(&f, "larger", "1M", &e) == ST_OK);
	ck_assert(!matches(&f, m));
	filter_release(&f);
	message_free(m);
}
END_TEST

START_TEST(the_null_sender_has_a_name)
{
	struct message *m = sample();
	struct filter f;
	struct err e;

	m->sender[0] = '\0';
	filter_init(&f);
	ck_assert(filter_set(&f, "sender", "<>", &e) == ST_OK);
	ck_assert(matches(&f, m));
	filter_release(&f);
	message_free(m);
}
END_TEST

static const struct {
	const char *key, *value;
} wrong[] = {
	{ "state", "" },	  { "state", "dead" },
	{ "state", "queued," },	  { "cause", "bad luck" },
	{ "cause", "" },	  { "destination", "" },
	{ "sender", "" },	  { "recipient", "" },
	{ "message_id", "<>" },	  { "older", "yesterday" },
	{ "older", "-1h" },	  { "newer", "5" },
	{ "larger", "big" },	  { "uncertain", "perhaps" },
	{ "colour", "blue" },
};

START_TEST(wrong_values_are_named)
{
	struct filter f;
	struct err e;

	filter_init(&f);
	ck_assert_msg(filter_set(&f, wrong[_i].key, wrong[_i].value, &e) ==
			      ST_PERM,
		      "%s=%s was taken", wrong[_i].key, wrong[_i].value);
	ck_assert_ptr_nonnull(strstr(e.text, wrong[_i].key));
	ck_assert(!f.given);
	filter_release(&f);
}
END_TEST

/* ------- orders */

static const struct {
	const struct verb *verb;
	const char *request;
	enum rcpt_state state;
	enum choice choice;
} choices[] = {
	/* resubmit by a filter: what waits; what does not is said */
	{ &verb_resubmit, "{'filter':{'cause':'tls'}}", RCPT_DEFERRED,
	  CHOICE_YES },
	{ &verb_resubmit, "{'filter':{'cause':'tls'}}", RCPT_HELD,
	  CHOICE_SKIP },
	{ &verb_resubmit, "{'filter':{'cause':'tls'}}", RCPT_DELIVERED,
	  CHOICE_NO },
	{ &verb_resubmit, "{'filter':{'cause':'dns'}}", RCPT_HELD, CHOICE_NO },
	{ &verb_resubmit, "{'all':true}", RCPT_QUEUED, CHOICE_YES },
	{ &verb_resubmit, "{'all':true}", RCPT_EXPIRED, CHOICE_SKIP },
	{ &verb_resubmit, "{'all':true}", STATE_ACTIVE, CHOICE_SKIP },
	/* by states: these and no others */
	{ &verb_resubmit, "{'states':['held']}", RCPT_HELD, CHOICE_YES },
	{ &verb_resubmit, "{'states':['held']}", RCPT_DEFERRED, CHOICE_NO },
	{ &verb_resubmit, "{'states':['expired','failed']}", RCPT_FAILED,
	  CHOICE_YES },
	{ &verb_resubmit, "{'states':['delivered']}", RCPT_DELIVERED,
	  CHOICE_YES },
	{ &verb_resubmit, "{'filter':{'state':'held'}}", RCPT_HELD,
	  CHOICE_YES },
	/* by name: all but a second copy */
	{ &verb_resubmit, "{'ids':['0000000000001']}", RCPT_HELD, CHOICE_YES },
	{ &verb_resubmit, "{'ids':['0000000000001']}", RCPT_EXPIRED,
	  CHOICE_YES },
	{ &verb_resubmit, "{'ids':['0000000000001']}", RCPT_DELIVERED,
	  CHOICE_SKIP },
	{ &verb_hold, "{'all':true}", STATE_ACTIVE, CHOICE_YES },
	{ &verb_hold, "{'all':true}", RCPT_EXPIRED, CHOICE_NO },
	{ &verb_hold, "{'ids':['0000000000001']}", RCPT_HELD, CHOICE_SKIP },
	{ &verb_release, "{'all':true}", RCPT_HELD, CHOICE_YES },
	{ &verb_release, "{'all':true}", RCPT_DEFERRED, CHOICE_NO },
	{ &verb_remove, "{'filter':{'cause':'tls'}}", RCPT_DEFERRED,
	  CHOICE_YES },
	{ &verb_remove, "{'filter':{'cause':'tls'}}", RCPT_EXPIRED,
	  CHOICE_SKIP },
	{ &verb_remove, "{'filter':{'cause':'tls'},'purge':true}", RCPT_EXPIRED,
	  CHOICE_YES },
	{ &verb_extend, "{'filter':{'cause':'tls'},'by':'2d'}", RCPT_HELD,
	  CHOICE_YES },
	{ &verb_extend, "{'filter':{'cause':'tls'},'by':'2d'}", RCPT_EXPIRED,
	  CHOICE_SKIP },
	{ &verb_extend, "{'all':true,'by':'2d'}", RCPT_DELIVERED, CHOICE_NO },
	{ &verb_remove, "{'states':['expired']}", RCPT_DEFERRED, CHOICE_NO },
};

/* Single quotes read better here. */
static json_t *request(const char *text)
{
	char *quoted = xstrdup(text);
	json_t *j;

	for (char *p = quoted; *p; p++)
		if (*p == '\'')
			*p = '"';
	j = json_loads(quoted, 0, NULL);
	ck_assert_msg(j != NULL, "%s", text);
	free(quoted);
	return j;
}

START_TEST(verbs_choose_by_state)
{
	json_t *j = request(choices[_i].request);
	struct message *m = sample();
	struct order o;
	struct err e;

	order_init(&o, choices[_i].verb);
	ck_assert_msg(order_parse(&o, j, &e) == ST_OK, "%s", e.text);
	ck_assert_msg(order_choose(&o, &m->recipients[0], choices[_i].state) ==
			      choices[_i].choice,
		      "%s %s %s", choices[_i].verb->word, choices[_i].request,
		      shown_state_word(choices[_i].state));
	order_release(&o);
	json_decref(j);
	message_free(m);
}
END_TEST

static const char *const wrong_requests[] = {
	"{}",
	"{'filter':{}}",
	"{'dry_run':true}",
	"{'all':false}",
	"{'ids':[]}",
	"{'all':1}",
	"{'ids':'0000000000001'}",
	"{'ids':['nonsense']}",
	"{'ids':[1]}",
	"{'states':['dead']}",
	"{'states':'held'}",
	"{'filter':'tls'}",
	"{'filter':{'cause':['tls']}}",
	"{'filter':{'sender':''}}",
	"{'all':true,'bounce':true}",
	"{'all':true,'colour':'blue'}",
	"{'filter':{'state':'held'},'states':['deferred']}",
};

START_TEST(wrong_orders_are_refused)
{
	json_t *j = request(wrong_requests[_i]);
	struct order o;
	struct err e;

	order_init(&o, &verb_resubmit);
	ck_assert_msg(order_parse(&o, j, &e) == ST_PERM, "%s",
		      wrong_requests[_i]);
	ck_assert(e.text[0] != '\0');
	order_release(&o);
	json_decref(j);
}
END_TEST

START_TEST(ids_are_sorted_and_taken_once)
{
	json_t *j = request("{'ids':['0000000000003','0000000000001',"
			    "'0000000000003']}");
	struct order o;
	struct err e;

	order_init(&o, &verb_hold);
	ck_assert(order_parse(&o, j, &e) == ST_OK);
	ck_assert_uint_eq(o.nids, 2);
	ck_assert_uint_eq(o.ids[0], 1);
	ck_assert_uint_eq(o.ids[1], 3);
	order_release(&o);
	json_decref(j);
}
END_TEST

START_TEST(numbers_are_seconds_and_bytes)
{
	json_t *j = request("{'filter':{'older':90,'larger':1024}}");
	struct order o;
	struct err e;

	order_init(&o, &verb_hold);
	ck_assert(order_parse(&o, j, &e) == ST_OK);
	ck_assert_int_eq(o.filter.older_ms, 90000);
	ck_assert_uint_eq(o.filter.larger_bytes, 1024);
	order_release(&o);
	json_decref(j);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter");
	TCase *tc = tcase_create("filter");
	SRunner *runner;
	int failed;

	tcase_add_loop_test(tc, one_part_matches, 0, ARRAY_LEN(rows));
	tcase_add_test(tc, parts_combine_with_and);
	tcase_add_test(tc, the_null_sender_has_a_name);
	tcase_add_loop_test(tc, wrong_values_are_named, 0, ARRAY_LEN(wrong));
	tcase_add_loop_test(tc, verbs_choose_by_state, 0, ARRAY_LEN(choices));
	tcase_add_loop_test(tc, wrong_orders_are_refused, 0,
			    ARRAY_LEN(wrong_requests));
	tcase_add_test(tc, ids_are_sorted_and_taken_once);
	tcase_add_test(tc, numbers_are_seconds_and_bytes);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
