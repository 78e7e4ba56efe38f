/* SPDX-License-Identifier: ISC */
/*
 * t_difference - what another configuration would mean for queued mail.
 */
#include "daemon/difference.h"

#include <check.h>
#include <stdlib.h>

/* The fields of a configuration are not const, literals are. */
#define TEXT(s) ((char[]){s})

enum { HOUR_MS = 60 * 60 * 1000, NOW_MS = 100 * HOUR_MS };

static struct host_port first = {.host = TEXT("a.example"), .port = 25};
static struct host_port second = {.host = TEXT("b.example"), .port = 2525};
static struct conf_trust trust = {
	.name = TEXT("public"),
	.ca = {.at = (char *[]){TEXT("system")}, .n = 1},
	.crl = CONF_CRL_WARN,
	.min_tls = TEXT("1.2"),
};
static char *all[] = {TEXT("*")};
static char *names[] = {TEXT("x.example"), TEXT("y.example")};
static char *partner[] = {TEXT("partner.example")};
static char empty[] = "", cloud[] = "cloud", direct[] = "direct";

static struct conf_route route_of(char *name, char **domain)
{
	return (struct conf_route){
		.name = name,
		.domains = {.at = domain, .n = 1},
		.hosts = &first,
		.nhosts = 1,
		.tls = CONF_TLS_FORCED,
		.verify = CONF_VERIFY_NAME,
		.trust = &trust,
		.source_address = empty,
		.lifetime_ms = 10 * HOUR_MS,
	};
}

static struct conf conf_of(struct conf_route *routes, size_t n)
{
	return (struct conf){
		.hostname = TEXT("relay.example"),
		.routes = routes,
		.nroutes = n,
		.queue.lifetime_ms = 10 * HOUR_MS,
	};
}

/* Two recipients for the partner, one for another, one delivered; an hour
 * old. */
static struct message *mail(uint64_t id)
{
	static const char *const to[] = {"a@partner.example", "b@other.example",
					 "c@partner.example",
					 "d@partner.example"};
	struct message *m = message_new();

	m->id = id;
	for (size_t i = 0; i < ARRAY_LEN(to); i++)
		message_add(m, to[i], "cloud", "cloud/a.example:25")->fresh_ms =
			NOW_MS - HOUR_MS;
	m->recipients[3].state = RCPT_DELIVERED;
	return m;
}

static void see(struct differences *d, const struct conf *now,
		const struct conf *next)
{
	differences_init(d, now, next);
	for (uint64_t id = 1; id <= 2; id++) {
		struct message *m = mail(id);

		differences_see(d, m, NOW_MS);
		message_free(m);
	}
}

START_TEST(the_same_configuration_changes_nothing)
{
	struct conf_route a[] = {route_of(cloud, all)};
	struct conf_route b[] = {route_of(cloud, all)};
	struct conf now = conf_of(a, 1), next = conf_of(b, 1);
	struct differences d;

	b->max_connections = 7; /* how fast is no matter of this */
	see(&d, &now, &next);
	ck_assert_uint_eq(d.n, 1);
	ck_assert(!d.at[0].differs);
	ck_assert_uint_eq(d.at[0].recipients, 6);
	ck_assert_uint_eq(d.at[0].messages, 2);
	ck_assert_uint_eq(d.messages, 2);
	differences_release(&d);
}
END_TEST

START_TEST(another_route_takes_its_recipients_only)
{
	struct conf_route a[] = {route_of(cloud, all)};
	struct conf_route b[] = {route_of(cloud, all),
				 route_of(direct, partner)};
	struct conf now = conf_of(a, 1), next = conf_of(b, 2);
	struct differences d;

	see(&d, &now, &next);
	ck_assert_uint_eq(d.n, 2);
	ck_assert(d.at[0].differs);
	ck_assert_ptr_eq(d.at[0].from, &a[0]);
	ck_assert_ptr_eq(d.at[0].to, &b[1]);
	ck_assert_uint_eq(d.at[0].recipients, 4);
	ck_assert_uint_eq(d.at[0].messages, 2);
	ck_assert_int_eq(d.at[0].expiry, EXPIRY_SAME);
	ck_assert(!d.at[1].differs);
	ck_assert_uint_eq(d.at[1].recipients, 2);
	differences_release(&d);

	/* The other way round: nobody takes the rest. */
	see(&d, &next, &(struct conf){.hostname = now.hostname,
				      .routes = &b[1],
				      .nroutes = 1,
				      .queue = now.queue});
	ck_assert_uint_eq(d.n, 2);
	ck_assert(!d.at[0].differs);
	ck_assert(d.at[1].differs);
	ck_assert_ptr_null(d.at[1].to);
	differences_release(&d);
}
END_TEST

static const struct {
	int64_t lifetime_ms;
	enum expiry_change change;
} expiries[] = {
	{10 * HOUR_MS, EXPIRY_SAME},
	{11 * HOUR_MS, EXPIRY_LATER},
	{9 * HOUR_MS, EXPIRY_EARLIER},
	{HOUR_MS, EXPIRY_NOW},
};

START_TEST(expiry_is_compared)
{
	struct conf_route a[] = {route_of(cloud, all)};
	struct conf_route b[] = {route_of(cloud, all)};
	struct conf now = conf_of(a, 1), next = conf_of(b, 1);
	struct differences d;

	b->lifetime_ms = expiries[_i].lifetime_ms;
	see(&d, &now, &next);
	ck_assert_uint_eq(d.n, 1);
	ck_assert_int_eq(d.at[0].expiry, expiries[_i].change);
	ck_assert(d.at[0].differs == (expiries[_i].change != EXPIRY_SAME));
	ck_assert_ptr_nonnull(expiry_change_word(d.at[0].expiry));
	differences_release(&d);
}
END_TEST

START_TEST(what_is_held_does_not_expire)
{
	struct conf_route a[] = {route_of(cloud, all)};
	struct conf_route b[] = {route_of(cloud, all)};
	struct conf now = conf_of(a, 1), next = conf_of(b, 1);
	struct message *m = mail(1);
	struct differences d;

	b->lifetime_ms = HOUR_MS;
	for (size_t i = 0; i < 3; i++)
		m->recipients[i].state = RCPT_HELD;
	differences_init(&d, &now, &next);
	differences_see(&d, m, NOW_MS);
	ck_assert_uint_eq(d.n, 1);
	ck_assert(!d.at[0].differs);
	differences_release(&d);
	message_free(m);
}
END_TEST

static void says(char *text, const char *expected)
{
	ck_assert_str_eq(text, expected);
	free(text);
}

START_TEST(a_route_in_words)
{
	static uint8_t pins[1][32] = {{0xab, 0xcd}};
	struct conf_route r = route_of(cloud, all);
	struct host_port both[] = {first, second};

	says(route_hosts_text(NULL), "");
	says(route_security_text(NULL), "");
	says(route_hosts_text(&r), "a.example:25");
	says(route_security_text(&r),
	     "forced verify=name trust=public ca=system crl=warn min_tls=1.2");
	r.hosts = both;
	r.nhosts = 2;
	says(route_hosts_text(&r), "a.example:25, b.example:2525");
	r.names = (struct conf_strings){.at = names, .n = 2};
	r.pins = pins;
	r.npins = 1;
	r.trust = NULL;
	r.auth = CONF_AUTH_PLAIN;
	r.auth_user = TEXT("joe");
	r.auth_secret_file = TEXT("/secret");
	says(route_security_text(&r),
	     "forced verify=name names=x.example,y.example pins=abcd"
	     "000000000000000000000000000000000000000000000000000000000000 "
	     "trust=system auth=plain auth_user=joe auth_secret_file=/secret");
	r.mx = true;
	says(route_hosts_text(&r), "mx");
	r.tls = CONF_TLS_OFF;
	says(route_security_text(&r), "off");
}
END_TEST

/* Every part of a route that decides where mail goes, and how. */
START_TEST(each_part_of_a_route_counts)
{
	struct conf_route a[] = {route_of(cloud, all)};
	struct conf_route b[] = {route_of(cloud, all)};
	struct conf now = conf_of(a, 1), next = conf_of(b, 1);
	struct differences d;

	switch (_i) {
	case 0:
		b->hosts = &second;
		break;
	case 1:
		b->tls = CONF_TLS_OPPORTUNISTIC;
		break;
	case 2:
		b->verify = CONF_VERIFY_CA;
		break;
	case 3:
		b->trust = NULL;
		break;
	default:
		b->source_address = TEXT("192.0.2.1");
		break;
	}
	see(&d, &now, &next);
	ck_assert_uint_eq(d.n, 1);
	ck_assert(d.at[0].differs);
	differences_release(&d);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("difference");
	TCase *tc = tcase_create("difference");
	SRunner *sr = srunner_create(s);
	int failed;

	tcase_add_test(tc, the_same_configuration_changes_nothing);
	tcase_add_test(tc, another_route_takes_its_recipients_only);
	tcase_add_loop_test(tc, expiry_is_compared, 0,
			    (int)ARRAY_LEN(expiries));
	tcase_add_test(tc, what_is_held_does_not_expire);
	tcase_add_test(tc, a_route_in_words);
	tcase_add_loop_test(tc, each_part_of_a_route_counts, 0, 5);
	suite_add_tcase(s, tc);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed ? 1 : 0;
}
