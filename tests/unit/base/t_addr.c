/* SPDX-License-Identifier: ISC */
/*
 * t_addr - addresses, networks and host:port.
 */

#include "base/addr.h"

#include <check.h>
#include <stdlib.h>

START_TEST(addresses_parse)
{
	static const struct {
		const char *in, *text, *host, *literal;
	} rows[] = {
		{"192.0.2.1", "192.0.2.1:25", "192.0.2.1", "[192.0.2.1]"},
		{"192.0.2.1:2525", "192.0.2.1:2525", "192.0.2.1",
		 "[192.0.2.1]"},
		{"[192.0.2.1]:7", "192.0.2.1:7", "192.0.2.1", "[192.0.2.1]"},
		{"::1", "[::1]:25", "::1", "[IPv6:::1]"},
		{"[::1]", "[::1]:25", "::1", "[IPv6:::1]"},
		{"[2001:db8::a]:65535", "[2001:db8::a]:65535", "2001:db8::a",
		 "[IPv6:2001:db8::a]"},
		{"[::ffff:10.0.0.1]:26", "10.0.0.1:26", "10.0.0.1",
		 "[10.0.0.1]"},
		{"::ffff:10.0.0.1", "10.0.0.1:25", "10.0.0.1", "[10.0.0.1]"},
		{"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:65535",
		 "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
		 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
		 "[IPv6:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"},
	};
	char text[ADDR_TEXT_MAX];
	struct addr a;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(addr_parse(rows[i].in, PORT_SMTP, &a), "%s",
			      rows[i].in);
		addr_text(text, &a);
		ck_assert_str_eq(text, rows[i].text);
		addr_host_text(text, &a);
		ck_assert_str_eq(text, rows[i].host);
		addr_literal_text(text, &a);
		ck_assert_str_eq(text, rows[i].literal);
	}
}
END_TEST

START_TEST(addresses_are_refused)
{
	static const char *const rows[] = {
		"",	      "host",	       "1.2.3",		 "1.2.3.4:",
		"1.2.3.4:x",  "1.2.3.4:70000", "1.2.3.4:-1",	 "[::1",
		"[::1]x",     "::1]:25",       "[1.2.3.4]25",	 "1.2.3.4 ",
		"256.1.1.1",  "[]:25",	       "1.2.3.4:000025", ":25",
		"1.2.3.4:+5",
	};
	struct addr a;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(!addr_parse(rows[i], PORT_SMTP, &a), "%s",
			      rows[i]);
}
END_TEST

START_TEST(addresses_compare)
{
	struct addr a, b, c, d;
	struct sockaddr local = {.sa_family = AF_UNIX};
	char text[ADDR_TEXT_MAX];

	ck_assert(addr_parse("127.3.2.1:25", 0, &a));
	ck_assert(addr_parse("[::ffff:127.3.2.1]:25", 0, &b));
	ck_assert(addr_parse("127.3.2.1:26", 0, &c));
	ck_assert(addr_parse("[::1]:25", 0, &d));
	ck_assert(addr_eq(&a, &b));
	ck_assert(!addr_eq(&a, &c));
	ck_assert(!addr_eq(&a, &d));
	ck_assert(span_eq(addr_host_key(&a), addr_host_key(&c)));
	ck_assert(addr_is_loopback(&a) && addr_is_loopback(&d));
	ck_assert_uint_eq(addr_port(&c), 26);
	addr_from_sockaddr(&b, &d.sa, d.len);
	ck_assert(addr_eq(&b, &d));
	ck_assert(addr_parse("10.0.0.1", 25, &c));
	ck_assert(!addr_is_loopback(&c));
	addr_from_sockaddr(&b, &local, sizeof(local));
	addr_text(text, &b);
	ck_assert_str_eq(text, "unknown:0");
	ck_assert(!addr_is_loopback(&b));
}
END_TEST

START_TEST(networks_match)
{
	static const struct {
		const char *network, *addr;
		bool has;
	} rows[] = {
		{"10.0.0.0/8", "10.255.1.2", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"40.92.0.0/15", "40.93.7.7", true},
		{"40.92.0.0/15", "40.94.0.0", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"0.0.0.0/0", "8.8.8.8", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "::2", true},
		{"::/0", "1.2.3.4", false},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"10.0.0.0/8", "::ffff:10.1.1.1", true},
		{"::ffff:10.0.0.0/104", "10.1.1.1", true},
		{"::ffff:10.0.0.0/104", "11.1.1.1", false},
	};
	struct network n;
	struct addr a;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(network_parse(rows[i].network, &n), "%s",
			      rows[i].network);
		ck_assert(addr_parse(rows[i].addr, 25, &a));
		ck_assert_msg(network_has(&n, &a) == rows[i].has, "%s %s",
			      rows[i].network, rows[i].addr);
	}
}
END_TEST

START_TEST(networks_are_refused)
{
	static const char *const rows[] = {
		"",
		"10.0.0.0/33",
		"10.0.0.1/8",
		"10/8",
		"host",
		"::/129",
		"2001:db8::1/32",
		"10.0.0.0/",
		"10.0.0.0/x",
		"10.0.0.0/8 ",
		"/8",
	};
	struct network n;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(!network_parse(rows[i], &n), "%s", rows[i]);
}
END_TEST

START_TEST(hosts_parse)
{
	static const struct {
		const char *in, *host;
		uint16_t port;
		bool is_literal;
	} rows[] = {
		{"mx.example", "mx.example", 25, false},
		{"mx.example:587", "mx.example", 587, false},
		{"mx.example.", "mx.example.", 25, false},
		{"a_b-c.example", "a_b-c.example", 25, false},
		{"[192.0.2.1]", "192.0.2.1", 25, true},
		{"[192.0.2.1]:26", "192.0.2.1", 26, true},
		{"192.0.2.1:26", "192.0.2.1", 26, true},
		{"[::1]:26", "::1", 26, true},
		{"::1", "::1", 25, true},
		{"[IPv6:2001:db8::1]", "2001:db8::1", 25, true},
		{"localhost", "localhost", 25, false},
	};
	static const char *const wrong[] = {
		"",
		":25",
		"a:",
		"a:0",
		"a:65536",
		"a b",
		"a..b",
		".a",
		"[host]",
		"[::1",
		"a:b",
		"a:1:2",
		"*.a",
		"a.b.:x",
		"[]",
		"\xc3\xa9.example",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
		"aa",
	};
	struct host_port hp;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ck_assert_msg(host_port_parse(rows[i].in, 25, &hp), "%s",
			      rows[i].in);
		ck_assert_str_eq(hp.host, rows[i].host);
		ck_assert_uint_eq(hp.port, rows[i].port);
		ck_assert(hp.is_literal == rows[i].is_literal);
		ck_assert(hp.is_bare ==
			  (!hp.is_literal && !strchr(rows[i].in, ':')));
		free(hp.host);
	}
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		ck_assert_msg(!host_port_parse(wrong[i], 25, &hp), "%s",
			      wrong[i]);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("addr");
	TCase *tc = tcase_create("addr");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, addresses_parse);
	tcase_add_test(tc, addresses_are_refused);
	tcase_add_test(tc, addresses_compare);
	tcase_add_test(tc, networks_match);
	tcase_add_test(tc, networks_are_refused);
	tcase_add_test(tc, hosts_parse);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
