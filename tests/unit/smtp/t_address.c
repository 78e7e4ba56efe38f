/* SPDX-License-Identifier: ISC */
/*
 * t_address - what is an address, what is none, and where its parts are.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "smtp/address.h"

static const struct {
	const char *text;
	const char *local, *domain;      /* NULL: no address */
} addresses[] = {
	{"a@b.example", "a", "b.example"},
	{"a@b", "a", "b"},
	{"First.Last@Example.COM", "First.Last", "Example.COM"},
	{"a+b=c@d.example", "a+b=c", "d.example"},
	{"!#$%&'*+-/=?^_`{|}~@x", "!#$%&'*+-/=?^_`{|}~", "x"},
	{"\"a b\"@x", "\"a b\"", "x"},
	{"\"\"@x", "\"\"", "x"},
	{"\"a@b\\\"c\\\\\"@x", "\"a@b\\\"c\\\\\"", "x"},
	{"\"<>\"@x", "\"<>\"", "x"},
	{"a@my_host.example", "a", "my_host.example"},
	{"a@1.2.3", "a", "1.2.3"},
	{"a@x-y.example", "a", "x-y.example"},
	{"a@[192.0.2.1]", "a", "[192.0.2.1]"},
	{"a@[IPv6:2001:db8::1]", "a", "[IPv6:2001:db8::1]"},
	{"a@[ipv6:::1]", "a", "[ipv6:::1]"},
	{"", NULL, NULL},
	{"a", NULL, NULL},
	{"@b", NULL, NULL},
	{"a@", NULL, NULL},
	{"a@b@c", NULL, NULL},
	{".a@b", NULL, NULL},
	{"a.@b", NULL, NULL},
	{"a..c@b", NULL, NULL},
	{"a b@c", NULL, NULL},
	{"a@b c", NULL, NULL},
	{"a@b.", NULL, NULL},
	{"a@.b", NULL, NULL},
	{"a@b..c", NULL, NULL},
	{"a@-b", NULL, NULL},
	{"a@b-", NULL, NULL},
	{"a@b-.c", NULL, NULL},
	{"a,b@c", NULL, NULL},
	{"a(c)@b", NULL, NULL},
	{"<a@b>", NULL, NULL},
	{"a@b>", NULL, NULL},
	{"\"a@b", NULL, NULL},
	{"\"a\"b@c", NULL, NULL},
	{"\"a\\\"@b", NULL, NULL},
	{"\"a\n\"@b", NULL, NULL},
	{"\"a\x7f\"@b", NULL, NULL},
	{"\xc3\xa4@b", "\xc3\xa4", "b"},
	{"a@\xc3\xa4", "a", "\xc3\xa4"},
	{"\"\xc3\xa4\"@b", "\"\xc3\xa4\"", "b"},
	{"\xe4@b", NULL, NULL},
	{"a@\xc3", NULL, NULL},
	{"\xc2\x85@b", NULL, NULL},
	{"\"\\\xc3\xa4\"@b", NULL, NULL},
	{"a@\xc3\xa4-", NULL, NULL},
	{"a@[192.0.2.256]", NULL, NULL},
	{"a@[192.0.2]", NULL, NULL},
	{"a@[192.0.2.1", NULL, NULL},
	{"a@[]", NULL, NULL},
	{"a@[2001:db8::1]", NULL, NULL},
	{"a@[IPv6:192.0.2.1]", NULL, NULL},
	{"a@[192.0.2.1].x", NULL, NULL},
	{"a@[x400:thing]", NULL, NULL},
	{"a@b\r", NULL, NULL},
};

static void check_part(struct span got, const char *wanted)
{
	ck_assert_msg(span_eq(got, span_of(wanted)), "%.*s is not %s",
		      (int)got.len, got.at, wanted);
}

START_TEST(addresses_whole)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct address a = {{NULL, 0}, {NULL, 0}};
		bool good = address_parse(span_of(addresses[i].text), &a);

		ck_assert_msg(good == (addresses[i].local != NULL), "%s",
			      addresses[i].text);
		if (!good)
			continue;
		check_part(a.local, addresses[i].local);
		check_part(a.domain, addresses[i].domain);
	}
}
END_TEST

/* Every address is a path in brackets, and what follows it is left. */
START_TEST(addresses_as_paths)
{
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		char *text = xasprintf("<%s> SIZE=1", addresses[i].text);
		struct span in = span_of(text);
		struct address a;
		struct err e;
		enum status st;

		if (addresses[i].text[0] == '\0' ||
		    strcmp(addresses[i].text, "a@b>") == 0) {
			free(text);
			continue;
		}
		st = path_parse(&in, 7, &a, &e);
		ck_assert_msg((st == ST_OK) == (addresses[i].local != NULL),
			      "%s", text);
		if (st == ST_OK) {
			check_part(in, " SIZE=1");
			check_part(a.local, addresses[i].local);
			check_part(a.domain, addresses[i].domain);
		} else {
			ck_assert(st == ST_PERM);
			ck_assert_uint_eq(e.reply, 501);
			ck_assert_uint_eq(e.subject, 1);
			ck_assert_uint_eq(e.detail, 7);
			check_part(in, text);
		}
		free(text);
	}
}
END_TEST

static const struct {
	const char *text;
	const char *local, *domain, *rest;
} paths[] = {
	{"<>", "", "", ""},
	{"<> SIZE=1", "", "", " SIZE=1"},
	{"<postmaster>", "postmaster", "", ""},
	{"<PostMaster>x", "PostMaster", "", "x"},
	{"<postmaster@b>", "postmaster", "b", ""},
	{"<@a:b@c>", "b", "c", ""},
	{"<@a.example,@[192.0.2.1]:b@c>", "b", "c", ""},
	{"a@b", NULL, NULL, NULL},
	{"", NULL, NULL, NULL},
	{"<", NULL, NULL, NULL},
	{"<a@b", NULL, NULL, NULL},
	{"<a>", NULL, NULL, NULL},
	{"< a@b>", NULL, NULL, NULL},
	{"<a@b >", NULL, NULL, NULL},
	{"<<a@b>>", NULL, NULL, NULL},
	{"<@a:>", NULL, NULL, NULL},
	{"<@a>", NULL, NULL, NULL},
	{"<@a,b:c@d>", NULL, NULL, NULL},
	{"<@a,:c@d>", NULL, NULL, NULL},
	{"<:c@d>", NULL, NULL, NULL},
	{"<postmaster", NULL, NULL, NULL},
};

START_TEST(other_paths)
{
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		struct span in = span_of(paths[i].text);
		struct address a;
		struct err e;
		enum status st = path_parse(&in, 3, &a, &e);

		ck_assert_msg((st == ST_OK) == (paths[i].local != NULL), "%s",
			      paths[i].text);
		if (st == ST_OK) {
			check_part(a.local, paths[i].local);
			check_part(a.domain, paths[i].domain);
			check_part(in, paths[i].rest);
		} else {
			ck_assert_uint_eq(e.detail, 3);
		}
	}
}
END_TEST

/* Part of an address is never read beyond its end. */
START_TEST(every_prefix)
{
	static const char whole[] = "<@a,@b:\"c\\d\".e@[192.0.2.1]>";

	for (size_t len = 0; len < sizeof(whole); len++) {
		char *exact = malloc(len > 0 ? len : 1);
		struct span in = {exact, len};
		struct address a;
		struct err e;

		memcpy(exact, whole, len);
		ck_assert(path_parse(&in, 3, &a, &e) == ST_PERM);
		free(exact);
	}
}
END_TEST

static bool local_is_valid(size_t len)
{
	char text[LOCAL_PART_MAX + 16];
	struct address a;

	memset(text, 'x', len);
	memcpy(text + len, "@b", 3);
	return address_parse(span_of(text), &a);
}

/* Labels of n bytes, up to `total` bytes in all. */
static bool domain_is_valid(size_t n, size_t total)
{
	char text[512];

	for (size_t i = 0; i < total; i++)
		text[i] = i % (n + 1) == n ? '.' : 'x';
	return domain_valid((struct span){text, total});
}

START_TEST(lengths)
{
	ck_assert(local_is_valid(64));
	ck_assert(local_is_valid(LOCAL_PART_MAX));
	ck_assert(!local_is_valid(LOCAL_PART_MAX + 1));
	ck_assert(domain_is_valid(63, 63));
	ck_assert(!domain_is_valid(64, 64));
	ck_assert(domain_is_valid(63, DOMAIN_MAX));
	ck_assert(domain_is_valid(15, DOMAIN_MAX));
	ck_assert(!domain_is_valid(15, DOMAIN_MAX + 2));
}
END_TEST

START_TEST(domains)
{
	ck_assert(domain_valid(SPAN("x")));
	ck_assert(domain_valid(SPAN("x.example")));
	ck_assert(domain_valid(SPAN("[192.0.2.1]")));
	ck_assert(!domain_valid(SPAN("")));
	ck_assert(!domain_valid(SPAN("x.")));
	ck_assert(!domain_valid(SPAN("x y")));
	ck_assert(!domain_valid(SPAN("192.0.2.1]")));
	ck_assert(!domain_valid(SPAN("[192.0\0.2.1]")));
}
END_TEST

START_TEST(domain_lower)
{
	static const struct {
		const char *address, *domain;
	} cases[] = {
		{"a@B.Example", "b.example"},
		{"\"x@Y\"@Z", "z"},
		{"postmaster", ""},
		{"", ""},
		{"a@", ""},
		{"a@[IPv6:2001:DB8::1]", "[ipv6:2001:db8::1]"},
	};
	char out[DOMAIN_MAX + 1];
	char *absurd = xasprintf("a@%0300d", 1);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		address_domain_lower(out, cases[i].address);
		ck_assert_str_eq(out, cases[i].domain);
	}
	address_domain_lower(out, absurd);
	ck_assert_str_eq(out, "");
	free(absurd);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("address");
	TCase *tc = tcase_create("address");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, addresses_whole);
	tcase_add_test(tc, addresses_as_paths);
	tcase_add_test(tc, other_paths);
	tcase_add_test(tc, every_prefix);
	tcase_add_test(tc, lengths);
	tcase_add_test(tc, domains);
	tcase_add_test(tc, domain_lower);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
