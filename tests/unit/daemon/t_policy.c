/* SPDX-License-Identifier: ISC */
/*
 * t_policy - which source a client is, and what it may.
 */
#include "daemon/policy.h"

#include <check.h>
#include <stdlib.h>

/* The fields of a configuration are not const, literals are. */
#define TEXT(s) ((char[]){s})

/* Set in functions, so that they outlive these. */
static char net_name[] = "net";
static char open_name[] = "open";
static char tls_name[] = "tls";
static char login_name[] = "login";
static char login_tls_name[] = "login-tls";
static char named_name[] = "named";
static char all_name[] = "all";

static struct network ten, one, all[2];
static struct host_port hop = {.host = TEXT("mx.example.com"), .port = 25};
static char *own[] = {TEXT("contoso.com"), TEXT("*.contoso.com")};
static char *everything[] = {TEXT("*")};
static char *cloud[] = {TEXT("*.outlook.com")};

static struct conf_source net_source, open_source, tls_source, login_source,
	named_source, login_tls_source;

static struct conf_route route = {
	.name = TEXT("out"),
	.domains = {.at = everything, .n = 1},
	.hosts = &hop,
	.nhosts = 1,
};

static struct conf conf = {
	.hostname = TEXT("relay.example.com"),
	.routes = &route,
	.nroutes = 1,
};

static void set_up(void)
{
	ck_assert(network_parse("10.0.0.0/8", &ten));
	ck_assert(network_parse("192.0.2.1", &one));
	ck_assert(network_parse("0.0.0.0/0", &all[0]));
	ck_assert(network_parse("::/0", &all[1]));
	net_source = (struct conf_source){
		.name = net_name, .networks = &ten, .nnetworks = 1};
	open_source = (struct conf_source){
		.name = open_name, .recipients = {.at = own, .n = 2}};
	tls_source = (struct conf_source){.name = tls_name,
					  .networks = &one,
					  .nnetworks = 1,
					  .forced_tls = true};
	login_source = (struct conf_source){
		.name = login_name, .authenticated = true};
	login_tls_source = (struct conf_source){.name = login_tls_name,
						.authenticated = true,
						.forced_tls = true};
	named_source = (struct conf_source){
		.name = named_name, .client_names = {.at = cloud, .n = 1}};
}

struct question {
	const char *client;
	bool logged_in, in_tls;
	const char *recipient;
};

/* "source", or the reply in one of both commands. */
static const char *decide(struct conf_source *sources, size_t n,
			  const struct question *q)
{
	static char text[ERR_TEXT_MAX + 32];
	/* Nobody's certificate is asked for here. */
	static const struct transport encrypted;
	struct conf_listener listener = {.sources = sources, .nsources = n};
	struct policy_answer answer;
	struct addr addr;
	struct err e;

	ck_assert(addr_parse(q->client, 4711, &addr));
	const struct policy_client client = {
		.addr = &addr,
		.tls = q->in_tls ? &encrypted : NULL,
		.logged_in = q->logged_in,
	};
	if (policy_sender(&listener, &client, &e) != ST_OK) {
		snprintf(text, sizeof(text), "MAIL %u %s", (unsigned)e.reply,
			 e.text);
		return text;
	}
	if (policy_recipient(&conf, &listener, &client, q->recipient, &answer,
			     &e) != ST_OK) {
		ck_assert_int_eq(e.status, ST_PERM);
		snprintf(text, sizeof(text), "RCPT %u.%u", (unsigned)e.subject,
			 (unsigned)e.detail);
		return text;
	}
	ck_assert_ptr_eq(answer.route, &route);
	return answer.source ? answer.source->name : "default";
}

#define LOGIN "MAIL 530 Authentication required"
#define STARTTLS "MAIL 530 Must issue a STARTTLS command first"

struct row {
	struct question q;
	const char *wanted;
};

static void check_rows(struct conf_source *sources, size_t n,
		       const struct row *rows, size_t nrows)
{
	for (size_t i = 0; i < nrows; i++) {
		const char *got = decide(sources, n, &rows[i].q);

		ck_assert_msg(strcmp(got, rows[i].wanted) == 0,
			      "row %zu: %s, not %s", i, got, rows[i].wanted);
	}
}

START_TEST(no_source)
{
	static const struct row rows[] = {
		{{"127.0.0.1", false, false, "a@b.example"}, "default"},
		{{"127.9.9.9", false, false, "a@b.example"}, "default"},
		{{"[::1]", false, false, "a@b.example"}, "default"},
		{{"[::ffff:127.0.0.1]", false, false, "a@b.example"},
		 "default"},
		{{"10.0.0.1", false, false, "a@b.example"}, "RCPT 7.1"},
		/* a login alone opens nothing */
		{{"10.0.0.1", true, true, "a@b.example"}, "RCPT 7.1"},
	};

	check_rows(NULL, 0, rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(networks_and_recipients)
{
	struct conf_source sources[] = {net_source, open_source};
	static const struct row rows[] = {
		{{"10.1.2.3", false, false, "a@b.example"}, "net"},
		{{"10.1.2.3", false, false, "a@contoso.com"}, "net"},
		{{"11.1.2.3", false, false, "a@contoso.com"}, "open"},
		{{"11.1.2.3", false, false, "a@X.CONTOSO.com"}, "open"},
		{{"11.1.2.3", false, false, "a@\xc3\xbc.contoso.com"}, "open"},
		{{"11.1.2.3", false, false, "postmaster"}, "open"},
		{{"11.1.2.3", false, false, "a@b.example"}, "RCPT 7.1"},
		{{"11.1.2.3", false, false, "a@notcontoso.com"}, "RCPT 7.1"},
	};

	check_rows(sources, 2, rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(tls_is_demanded)
{
	struct conf_source sources[] = {tls_source, net_source};
	static const struct row rows[] = {
		{{"192.0.2.1", false, false, "a@b.example"}, STARTTLS},
		{{"192.0.2.1", false, true, "a@b.example"}, "tls"},
		{{"10.1.2.3", false, false, "a@b.example"}, "net"},
		{{"192.0.2.2", false, true, "a@b.example"}, "RCPT 7.1"},
	};

	check_rows(sources, 2, rows, ARRAY_LEN(rows));
}
END_TEST

START_TEST(login_is_demanded)
{
	struct conf_source sources[] = {net_source, login_source};
	static const struct row rows[] = {
		{{"10.1.2.3", false, false, "a@b.example"}, "net"},
		{{"11.1.2.3", false, false, "a@b.example"}, LOGIN},
		{{"11.1.2.3", false, true, "a@b.example"}, LOGIN},
		{{"11.1.2.3", true, true, "a@b.example"}, "login"},
		/* the first that matches */
		{{"10.1.2.3", true, true, "a@b.example"}, "net"},
	};

	check_rows(sources, 2, rows, ARRAY_LEN(rows));
}
END_TEST

/* Where another source matches, nobody has to log in. */
START_TEST(login_is_a_choice)
{
	struct conf_source sources[] = {login_source, open_source};
	static const struct row rows[] = {
		{{"11.1.2.3", true, true, "a@b.example"}, "login"},
		{{"11.1.2.3", true, true, "a@contoso.com"}, "login"},
		{{"11.1.2.3", false, true, "a@contoso.com"}, "open"},
		{{"11.1.2.3", false, true, "a@b.example"}, "RCPT 7.1"},
	};

	check_rows(sources, 2, rows, ARRAY_LEN(rows));
}
END_TEST

/* A login is possible in TLS only, so TLS comes first. */
START_TEST(tls_before_login)
{
	static const struct row rows[] = {
		{{"11.1.2.3", false, false, "a@b.example"}, STARTTLS},
		{{"11.1.2.3", false, true, "a@b.example"}, LOGIN},
		{{"11.1.2.3", true, true, "a@b.example"}, "login-tls"},
	};

	check_rows(&login_tls_source, 1, rows, ARRAY_LEN(rows));
}
END_TEST

/* A login does not make up for the network or the certificate. */
START_TEST(login_and_more)
{
	struct conf_source here = login_source, named = named_source;
	static const struct row net_rows[] = {
		{{"11.1.2.3", true, true, "a@b.example"}, "RCPT 7.1"},
		{{"11.1.2.3", false, true, "a@b.example"}, "RCPT 7.1"},
		{{"10.1.2.3", false, true, "a@b.example"}, LOGIN},
		{{"10.1.2.3", true, true, "a@b.example"}, "login"},
	};
	static const struct row named_rows[] = {
		{{"11.1.2.3", true, false, "a@b.example"}, "RCPT 7.1"},
		{{"11.1.2.3", false, false, "a@b.example"}, "RCPT 7.1"},
	};

	here.networks = &ten;
	here.nnetworks = 1;
	check_rows(&here, 1, net_rows, ARRAY_LEN(net_rows));
	named.authenticated = true;
	check_rows(&named, 1, named_rows, ARRAY_LEN(named_rows));
}
END_TEST

START_TEST(no_route)
{
	struct conf_source anybody = {
		.name = all_name, .networks = all, .nnetworks = 2};
	struct question q = {"10.0.0.1", false, false, "a@b.example"};

	route.domains = (struct conf_strings){.at = own, .n = 1};
	ck_assert_str_eq(decide(&anybody, 1, &q), "RCPT 4.4");
	q.recipient = "a@contoso.com";
	ck_assert_str_eq(decide(&anybody, 1, &q), "all");
	q.client = "[2001:db8::1]";
	ck_assert_str_eq(decide(&anybody, 1, &q), "all");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy");
	TCase *tc = tcase_create("policy");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, NULL);
	tcase_add_test(tc, no_source);
	tcase_add_test(tc, networks_and_recipients);
	tcase_add_test(tc, tls_is_demanded);
	tcase_add_test(tc, login_is_demanded);
	tcase_add_test(tc, login_is_a_choice);
	tcase_add_test(tc, tls_before_login);
	tcase_add_test(tc, login_and_more);
	tcase_add_test(tc, no_route);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
