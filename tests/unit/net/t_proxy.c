/* SPDX-License-Identifier: ISC */
/*
 * t_proxy - headers of the PROXY protocol, whole, in parts, and wrong ones.
 */
#include "net/proxy.h"

#include <check.h>
#include <stdlib.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"
#define HOSTS6                                                               \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"                         \
	"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x02"
#define MAPPED                                                               \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"                             \
	"\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2"
#define ROW(bytes, client) { SPAN(bytes), client }

static const struct {
	struct span in;
	const char *client; /* "": local */
} good[] = {
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 4711 25\r\n", "192.0.2.1:4711"),
	ROW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n",
	    "255.255.255.255:65535"),
	ROW("PROXY TCP4 192.0.2.1 192.0.2.2 0 25\r\n", "192.0.2.1:0"),
	ROW("PROXY TCP6 2001:db8::1 2001:db8::2 1 25\r\n", "[2001:db8::1]:1"),
	ROW("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 25\r\n", "192.0.2.1:1"),
	ROW("PROXY UNKNOWN\r\n", ""),
	ROW("PROXY UNKNOWN whatever it may be 1 2\r\n", ""),
	ROW(SIG "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x19",
	    "192.0.2.1:4711"),
	ROW(SIG "\x21\x21\0\x24" HOSTS6 "\x12\x67\0\x19",
	    "[2001:db8::1]:4711"),
	ROW(SIG "\x21\x21\0\x24" MAPPED "\x12\x67\0\x19", "192.0.2.1:4711"),
	/* what follows the addresses is not ours */
	ROW(SIG "\x21\x11\0\x11\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x19\x04\0\2xy",
	    "192.0.2.1:4711"),
	ROW(SIG "\x20\0\0\0", ""),
	ROW(SIG "\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x19", ""),
	ROW(SIG "\x20\x31\0\3abc", ""),
	ROW(SIG "\x21\0\0\0", ""),
	ROW(SIG "\x21\0\0\3abc", ""),
};

static const struct span bad[] = {
	SPAN("E"),
	SPAN("EHLO x\r\n"),
	SPAN("proxy TCP4 192.0.2.1 192.0.2.2 1 25\r\n"),
	SPAN("PROXY\r\n"),
	SPAN("PROXYTCP4 192.0.2.1 192.0.2.2 1 25\r\n"),
	SPAN("PROXY \r\n"),
	SPAN("PROXY TCP4\r\n"),
	SPAN("PROXY TCP5 192.0.2.1 192.0.2.2 1 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 25 \r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 25 9\r\n"),
	SPAN("PROXY TCP4  192.0.2.1 192.0.2.2 1 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.1\t192.0.2.2 1 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.256 192.0.2.2 1 25\r\n"),
	SPAN("PROXY TCP4 192.0.2 192.0.2.2 1 25\r\n"),
	SPAN("PROXY TCP4 ::1 ::1 1 25\r\n"),
	SPAN("PROXY TCP6 192.0.2.1 192.0.2.2 1 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 65536 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 99999\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 -1 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 01 25\r\n"),
	SPAN("PROXY TCP4 192.0.2.1 192.0.2.2 1 25\n"),
	SPAN("PROXY TCP4 192.0.2.1\0x 192.0.2.2 1 25\r\n"),
	SPAN("PROXY UNKNOWNX\r\n"),
	SPAN("\r\n\r\nX"),
	SPAN(SIG "\x11"),
	SPAN(SIG "\x31"),
	SPAN(SIG "\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x19"),
	SPAN(SIG "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\2\x12\x67\0"),
	SPAN(SIG "\x21\x21\0\x23" HOSTS6 "\x12\x67\0"),
	SPAN(SIG "\x21\x12\0\x0c\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x19"),
	SPAN(SIG "\x21\x31\0\3abc"),
	SPAN(SIG "\x21\x11\x02\x09"),
	SPAN(SIG "\x21\x11\xff\xff"),
};

/* A copy of exact size: reading behind its end is seen by the sanitizers. */
static enum proxy_result parse(struct span in, struct proxy_header *out)
{
	char *copy = xmalloc(in.len + !in.len);
	enum proxy_result r;

	memcpy(copy, in.at, in.len);
	r = proxy_parse((struct span){copy, in.len}, out);
	free(copy);
	return r;
}

static void check_good(struct span in, const char *client)
{
	struct proxy_header h;
	char text[ADDR_TEXT_MAX];
	char more[PROXY_HEADER_MAX + 8];

	for (size_t n = 0; n < in.len; n++)
		ck_assert_msg(parse((struct span){in.at, n}, &h) == PROXY_MORE,
			      "%s after %zu bytes", client, n);
	ck_assert_int_eq(parse(in, &h), PROXY_DONE);
	ck_assert_uint_eq(h.len, in.len);
	ck_assert_int_eq(h.is_local, *client == '\0');
	if (!h.is_local) {
		addr_text(text, &h.client);
		ck_assert_str_eq(text, client);
	}
	/* What comes behind it does not matter. */
	memcpy(more, in.at, in.len);
	memcpy(more + in.len, "EHLO\r\n", 6);
	ck_assert_int_eq(parse((struct span){more, in.len + 6}, &h),
			 PROXY_DONE);
	ck_assert_uint_eq(h.len, in.len);
}

START_TEST(good_ones)
{
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		check_good(good[i].in, good[i].client);
}
END_TEST

START_TEST(bad_ones)
{
	struct proxy_header h;

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(parse(bad[i], &h) == PROXY_BAD, "row %zu", i);
}
END_TEST

/* Neither form makes us wait for ever. */
START_TEST(they_are_bounded)
{
	char bytes[PROXY_HEADER_MAX + 1] = "PROXY UNKNOWN ";
	struct proxy_header h;

	memset(bytes + 14, 'x', sizeof(bytes) - 14);
	ck_assert_int_eq(parse((struct span){bytes, PROXY_TEXT_MAX - 1}, &h),
			 PROXY_MORE);
	ck_assert_int_eq(parse((struct span){bytes, PROXY_TEXT_MAX}, &h),
			 PROXY_BAD);
	memcpy(bytes + PROXY_TEXT_MAX - 2, "\r\n", 2);
	ck_assert_int_eq(parse((struct span){bytes, PROXY_TEXT_MAX}, &h),
			 PROXY_DONE);
	memcpy(bytes + PROXY_TEXT_MAX - 2, "x\r\n", 3);
	ck_assert_int_eq(parse((struct span){bytes, PROXY_TEXT_MAX + 1}, &h),
			 PROXY_BAD);

	memcpy(bytes, SIG "\x20\0\x02\x08", 16);
	ck_assert_int_eq(parse((struct span){bytes, PROXY_HEADER_MAX - 1}, &h),
			 PROXY_MORE);
	ck_assert_int_eq(parse((struct span){bytes, PROXY_HEADER_MAX}, &h),
			 PROXY_DONE);
	ck_assert_uint_eq(h.len, PROXY_HEADER_MAX);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("proxy");
	TCase *tc = tcase_create("proxy");
	SRunner *runner;
	int failed;

	tcase_add_test(tc, good_ones);
	tcase_add_test(tc, bad_ones);
	tcase_add_test(tc, they_are_bounded);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
