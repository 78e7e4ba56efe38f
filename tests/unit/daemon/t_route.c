/* SPDX-License-Identifier: ISC */
/*
 * t_route - lanes, destinations, and when a changed route matters.
 */
#include "daemon/route.h"

#include <check.h>
#include <stdlib.h>

/* The fields of a configuration are not const, literals are. */
#define TEXT(s) ((char[]){s})

static struct host_port mx_host = {.host = TEXT("mx.example.com"), .port = 25};

static struct conf_trust trust = {
	.name = TEXT("public"),
	.ca = {.at = (char *[]){TEXT("system")}, .n = 1},
	.min_tls = TEXT("1.2"),
};

static struct conf_identity identity = {
	.name = TEXT("relay"),
	.certificate = TEXT("/c.pem"),
	.key = TEXT("/c.key"),
};

static char cloud[] = "cloud";

static struct conf_route plain_route(void)
{
	return (struct conf_route){
		.name = cloud,
		.hosts = &mx_host,
		.nhosts = 1,
		.tls = CONF_TLS_FORCED,
		.verify = CONF_VERIFY_NAME,
		.trust = &trust,
		.identity = &identity,
		.max_connections = 20,
	};
}

/* ------- which route */

static char *domains_a[] = {TEXT("contoso.com"), TEXT("relay.example.org"),
			    TEXT("xn--bcher-kva.example")};
static char *domains_b[] = {TEXT("*.contoso.com")};
static char *domains_c[] = {TEXT("*")};

static struct conf_route routes[] = {
	{.name = TEXT("a"), .domains = {.at = domains_a, .n = 3}},
	{.name = TEXT("b"), .domains = {.at = domains_b, .n = 1}},
	{.name = TEXT("c"), .domains = {.at = domains_c, .n = 1}},
};

static const char *routed(size_t nroutes, const char *address)
{
	struct conf conf = {
		.hostname = TEXT("Relay.Example.ORG"),
		.routes = routes,
		.nroutes = nroutes,
	};
	const struct conf_route *r = route_for(&conf, address);

	return r ? r->name : "none";
}

START_TEST(an_address_is_routed_by_its_domain_without_case)
{
	ck_assert_str_eq(routed(3, "x@contoso.com"), "a");
	ck_assert_str_eq(routed(3, "x@CONTOSO.com"), "a");
	ck_assert_str_eq(routed(3, "x@mail.Contoso.com"), "b");
	ck_assert_str_eq(routed(3, "\"a@b\"@contoso.com"), "a");
	ck_assert_str_eq(routed(3, "x@elsewhere.net"), "c");
	ck_assert_str_eq(routed(2, "x@elsewhere.net"), "none");
}
END_TEST

/* RFC 5890 2.3.2.4: a U-label and its A-label are the same name. */
START_TEST(u_labels_are_routed_as_a_labels)
{
	ck_assert_str_eq(routed(3, "x@b\xc3\xbc" "cher.example"), "a");
	ck_assert_str_eq(routed(3, "x@B\xc3\x9c" "CHER.Example"), "a");
	ck_assert_str_eq(routed(3, "x@b\xc3\xbc" "cher.Contoso.com"), "b");
	ck_assert_str_eq(routed(3, "x@XN--bcher-kva.example"), "a");
	ck_assert_str_eq(routed(2, "x@\xe2\x80\x8b.example"), "none");
}
END_TEST

START_TEST(postmaster_alone_goes_where_our_own_name_goes)
{
	ck_assert_str_eq(routed(3, "postmaster"), "a");
	ck_assert_str_eq(routed(0, "postmaster"), "none");
}
END_TEST

/* ------- names */

START_TEST(a_destination_is_named_by_route_host_and_port)
{
	const struct conf_route r = plain_route();
	const struct host_port v6 = {
		.host = TEXT("2001:db8::1"),
		.port = 2525,
		.is_literal = true,
	};
	const struct host_port v4 = {
		.host = TEXT("192.0.2.1"),
		.port = 25,
		.is_literal = true,
	};
	char *name = destination_name(&r, &mx_host);

	ck_assert_str_eq(name, "cloud/mx.example.com:25");
	free(name);
	name = destination_name(&r, &v6);
	ck_assert_str_eq(name, "cloud/[2001:db8::1]:2525");
	free(name);
	name = destination_name(&r, &v4);
	ck_assert_str_eq(name, "cloud/192.0.2.1:25");
	free(name);
}
END_TEST

START_TEST(a_lane_bears_the_name_of_its_route)
{
	const struct conf_route r = plain_route();
	struct place place;

	place_init(&place, &r, "bob@Contoso.com");
	ck_assert_str_eq(place.lane, "cloud");
	ck_assert_str_eq(place.destination, "cloud/mx.example.com:25");
	place_release(&place);
}
END_TEST

START_TEST(where_mx_decides_each_domain_has_a_lane)
{
	struct conf_route r = plain_route();
	struct place place;

	r.mx = true;
	r.nhosts = 0;
	place_init(&place, &r, "bob@Contoso.com");
	ck_assert_str_eq(place.lane, "cloud/contoso.com");
	ck_assert_str_eq(place.destination, "cloud/contoso.com");
	place_release(&place);
}
END_TEST

START_TEST(a_lane_finds_its_route_again)
{
	struct conf_route two[] = {plain_route(), plain_route()};
	const struct conf conf = {.routes = two, .nroutes = 2};
	const char *domain;

	two[1].name = TEXT("clouds");
	two[1].mx = true;
	ck_assert_ptr_eq(lane_route(&conf, "cloud", &domain), &two[0]);
	ck_assert_ptr_null(domain);
	ck_assert_ptr_eq(lane_route(&conf, "clouds/a.b", &domain), &two[1]);
	ck_assert_str_eq(domain, "a.b");
	/* A route that changed its kind is another one. */
	ck_assert_ptr_null(lane_route(&conf, "cloud/a.b", &domain));
	ck_assert_ptr_null(lane_route(&conf, "clouds", &domain));
	ck_assert_ptr_null(lane_route(&conf, "clou", &domain));
	ck_assert_ptr_null(lane_route(&conf, "other", &domain));
}
END_TEST

/* ------- does it differ? */

START_TEST(what_is_no_policy_may_change)
{
	const struct conf_route a = plain_route();
	struct conf_route b = plain_route();
	struct host_port same_host = {.host = TEXT("mx.example.com"),
				      .port = 25};
	struct conf_trust same_trust = trust;
	struct conf_identity same_identity = identity;

	b.hosts = &same_host;
	b.trust = &same_trust;
	b.identity = &same_identity;
	b.max_connections = 1;
	b.lifetime_ms = 5;
	b.place.line = 99;
	same_trust.place.line = 98;
	ck_assert(!route_policy_differs(&a, &b));
}
END_TEST

static struct host_port other_port = {.host = TEXT("mx.example.com"),
				      .port = 26};
static struct host_port other_host = {.host = TEXT("mx.example.net"),
				      .port = 25};
static struct host_port two_hosts[] = {
	{.host = TEXT("mx.example.com"), .port = 25},
	{.host = TEXT("mx2.example.com"), .port = 25},
};

static void change_port(struct conf_route *r)
{
	r->hosts = &other_port;
}

static void change_host(struct conf_route *r)
{
	r->hosts = &other_host;
}

static void change_nhosts(struct conf_route *r)
{
	r->hosts = two_hosts;
	r->nhosts = 2;
}

static void change_mx(struct conf_route *r)
{
	r->mx = true;
}

static void change_tls(struct conf_route *r)
{
	r->tls = CONF_TLS_OPPORTUNISTIC;
}

static void change_verify(struct conf_route *r)
{
	r->verify = CONF_VERIFY_CA;
}

static char *other_names[] = {TEXT("*.example.com")};

static void change_names(struct conf_route *r)
{
	r->names = (struct conf_strings){.at = other_names, .n = 1};
}

static void change_pins(struct conf_route *r)
{
	static uint8_t pin[1][32] = {{1, 2, 3}};

	r->pins = pin;
	r->npins = 1;
}

static void change_common_name(struct conf_route *r)
{
	r->common_name = true;
}

static char *other_ca[] = {TEXT("/ca.pem")};

static void change_trust(struct conf_route *r)
{
	static struct conf_trust other;

	other = trust;
	other.ca.at = other_ca;
	r->trust = &other;
}

static char tls_13[] = "1.3";

static void change_min_tls(struct conf_route *r)
{
	static struct conf_trust other;

	other = trust;
	other.min_tls = tls_13;
	r->trust = &other;
}

static void drop_trust(struct conf_route *r)
{
	r->trust = NULL;
}

static char other_file[] = "/d.pem";

static void change_identity(struct conf_route *r)
{
	static struct conf_identity other;

	other = identity;
	other.certificate = other_file;
	r->identity = &other;
}

static void drop_identity(struct conf_route *r)
{
	r->identity = NULL;
}

static void change_auth(struct conf_route *r)
{
	r->auth = CONF_AUTH_PLAIN;
}

static void change_user(struct conf_route *r)
{
	r->auth_user = other_file;
}

static void change_secret(struct conf_route *r)
{
	r->auth_secret_file = other_file;
}

static void change_command(struct conf_route *r)
{
	r->auth_command = other_file;
}

static void change_source(struct conf_route *r)
{
	r->source_address = other_file;
}

static void (*const changes[])(struct conf_route *) = {
	change_port,	 change_host,	 change_nhosts,	     change_mx,
	change_tls,	 change_verify,	 change_names,	     change_pins,
	change_trust,	 change_min_tls, change_common_name, drop_trust,
	change_identity, drop_identity,	 change_auth,	     change_user,
	change_secret,	 change_command, change_source,
};

START_TEST(every_part_of_the_policy_counts)
{
	const struct conf_route a = plain_route();
	struct conf_route b = plain_route();

	changes[_i](&b);
	ck_assert(route_policy_differs(&a, &b));
	ck_assert(route_policy_differs(&b, &a));
	ck_assert(!route_policy_differs(&b, &b));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("route");
	TCase *tc = tcase_create("route");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, an_address_is_routed_by_its_domain_without_case);
	tcase_add_test(tc, u_labels_are_routed_as_a_labels);
	tcase_add_test(tc, postmaster_alone_goes_where_our_own_name_goes);
	tcase_add_test(tc, a_destination_is_named_by_route_host_and_port);
	tcase_add_test(tc, a_lane_bears_the_name_of_its_route);
	tcase_add_test(tc, where_mx_decides_each_domain_has_a_lane);
	tcase_add_test(tc, a_lane_finds_its_route_again);
	tcase_add_test(tc, what_is_no_policy_may_change);
	tcase_add_loop_test(tc, every_part_of_the_policy_counts, 0,
			    (int)ARRAY_LEN(changes));
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
