/* SPDX-License-Identifier: ISC */
/*
 * t_snapshot - a configuration with its credentials, and what is found to be
 * dubious about it.
 */
#include "daemon/snapshot.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/check.h"
#include "tests/support/certs.h"

enum { DAY_S = 24 * 3600 };

static char dir[64];

/* ------- what was complained of */

static struct buf problems, warnings;

static void add(struct buf *b, const char *line)
{
	ck_assert(buf_printf(b, "%s\n", line));
}

static void hear_problem(void *arg, const char *line)
{
	(void)arg;
	add(&problems, line);
}

static void hear_warning(void *arg, const char *line)
{
	(void)arg;
	add(&warnings, line);
}

static const struct check_report report = {
	.problem = hear_problem,
	.warning = hear_warning,
};

/* The text so far, for strstr(). */
static const char *text(struct buf *b)
{
	ck_assert(buf_add(b, (struct span){"", 1}));
	return buf_span(b).at;
}

/* ------- files */

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/t_snapshot.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	buf_init(&problems, 65536);
	buf_init(&warnings, 65536);
	certs_make(dir, &(struct cert_spec){
				.name = "good",
				.cn = "relay.example.com",
				.dns = {"relay.example.com"},
				.until_s = 90 * DAY_S,
			});
	certs_make(dir, &(struct cert_spec){
				.name = "other",
				.cn = "other",
				.dns = {"other.example.com"},
				.until_s = 90 * DAY_S,
			});
}

static void tear_down(void)
{
	buf_release(&problems);
	buf_release(&warnings);
	certs_remove(dir);
}

/* Writes relayd.conf; every "DIR" in body becomes the directory. */
static char *write_conf(const char *body)
{
	char *path = xasprintf("%s/relayd.conf", dir);
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "hostname = \"relay.example.com\"\n");
	for (const char *at = body; *at != '\0';) {
		if (strncmp(at, "DIR", 3) == 0) {
			fputs(dir, f);
			at += 3;
		} else {
			fputc(*at++, f);
		}
	}
	ck_assert_int_eq(fclose(f), 0);
	return path;
}

#define IDENTITY(name, file)                          \
	"identity \"" name "\" {\n"                   \
	"	certificate = \"DIR/" file ".pem\"\n" \
	"	key = \"DIR/" file ".key\"\n"         \
	"}\n"
#define TRUST(name, file) \
	"trust \"" name "\" { ca = { \"DIR/" file "\" } crl = \"off\" }\n"
#define LISTENER(identity)                         \
	"listener \"smtp\" {\n"                    \
	"	address = { \"127.0.0.1:2525\" }\n"      \
	"	identity = { \"" identity "\" }\n" \
	"}\n"
#define ROUTE(trust)                        \
	"route \"out\" {\n"                 \
	"	domains = { \"*\" }\n"            \
	"	hosts = { \"mx.example.com\" }\n" \
	"	tls = \"forced\"\n"               \
	"	trust = \"" trust "\"\n"    \
	"}\n"

static struct snapshot *load(const char *body)
{
	char *path = write_conf(body);
	struct conf *conf = conf_read(path, NULL, 0, hear_problem, NULL);
	struct snapshot *s;

	if (!conf)
		fputs(text(&problems), stderr);
	ck_assert_ptr_nonnull(conf);
	s = snapshot_load(conf, NULL, hear_problem, NULL);
	free(path);
	return s;
}

/* ------- snapshot */

START_TEST(identities_and_trusts_are_found_by_their_configuration)
{
	struct snapshot *s =
		load(IDENTITY("one", "good") IDENTITY("two", "other")
			     TRUST("t", "good.pem") LISTENER("one") ROUTE("t"));
	struct tls_cert_info info;

	ck_assert_ptr_nonnull(s);
	tls_identity_info(snapshot_identity(s, &s->conf->identities[0]), &info);
	ck_assert_ptr_nonnull(strstr(info.names, "relay.example.com"));
	tls_identity_info(snapshot_identity(s, &s->conf->identities[1]), &info);
	ck_assert_ptr_nonnull(strstr(info.names, "other.example.com"));
	ck_assert_ptr_null(snapshot_identity(s, NULL));
	ck_assert_ptr_eq(snapshot_trust(s, s->conf->routes[0].trust),
			 s->trusts[0]);
	ck_assert_ptr_eq(snapshot_trust(s, NULL), s->system_trust);
	snapshot_unref(s);
}
END_TEST

START_TEST(it_lives_as_long_as_somebody_holds_it)
{
	struct snapshot *s = load(IDENTITY("one", "good") LISTENER("one"));
	struct snapshot *held = snapshot_ref(s);
	struct tls_cert_info info;

	ck_assert_ptr_eq(held, s);
	snapshot_unref(s);
	tls_identity_info(held->identities[0], &info);
	ck_assert_ptr_nonnull(strstr(info.names, "relay.example.com"));
	snapshot_unref(held);
	snapshot_unref(NULL);
}
END_TEST

START_TEST(all_that_cannot_be_loaded_is_named_with_file_and_line)
{
	struct snapshot *s = load(IDENTITY("gone", "missing") IDENTITY(
		"one", "good") TRUST("void", "missing.pem") LISTENER("one"));
	const char *said = text(&problems);

	ck_assert_ptr_null(s);
	ck_assert_ptr_nonnull(
		strstr(said, "/relayd.conf:2: identity \"gone\""));
	ck_assert_ptr_nonnull(strstr(said, "/relayd.conf:10: trust \"void\""));
	ck_assert_ptr_null(strstr(said, "\"one\""));
}
END_TEST

START_TEST(a_key_of_another_certificate_is_refused)
{
	struct snapshot *s = load("identity \"mixed\" {\n"
				  "	certificate = \"DIR/good.pem\"\n"
				  "	key = \"DIR/other.key\"\n"
				  "}\n" LISTENER("mixed"));

	ck_assert_ptr_null(s);
	ck_assert_ptr_nonnull(strstr(text(&problems), "identity \"mixed\""));
}
END_TEST

/* ------- check */

static unsigned check_at(const struct snapshot *s, int64_t in_s)
{
	return check_snapshot(s, clock_wall_ms() + in_s * 1000, &report);
}

START_TEST(a_good_certificate_raises_no_word)
{
	struct snapshot *s = load(IDENTITY("one", "good") LISTENER("one"));

	ck_assert_uint_eq(check_at(s, 0), 0);
	ck_assert_str_eq(text(&problems), "");
	ck_assert_str_eq(text(&warnings), "");
	snapshot_unref(s);
}
END_TEST

START_TEST(in_the_last_twelfth_of_its_life_it_is_a_warning)
{
	struct snapshot *s = load(IDENTITY("one", "good") LISTENER("one"));

	ck_assert_uint_eq(check_at(s, 82 * DAY_S), 0);
	ck_assert_uint_eq(warnings.len, 0);
	ck_assert_uint_eq(check_at(s, 83 * DAY_S), 0);
	ck_assert_ptr_nonnull(strstr(text(&warnings), "expires on"));
	ck_assert_uint_eq(problems.len, 0);
	snapshot_unref(s);
}
END_TEST

START_TEST(out_of_its_time_it_is_a_problem)
{
	struct snapshot *s = load(IDENTITY("one", "good") LISTENER("one"));

	ck_assert_uint_eq(check_at(s, 91 * DAY_S), 1);
	ck_assert_ptr_nonnull(
		strstr(text(&problems),
		       "relayd.conf:2: identity \"one\": the certificate "
		       "expired on"));
	buf_clear(&problems);
	ck_assert_uint_eq(check_at(s, -2 * DAY_S), 1);
	ck_assert_ptr_nonnull(strstr(text(&problems), "not valid before"));
	snapshot_unref(s);
}
END_TEST

START_TEST(a_hostname_that_no_certificate_bears_is_a_warning)
{
	struct snapshot *s = load(IDENTITY("one", "other") LISTENER("one"));

	ck_assert_uint_eq(check_at(s, 0), 0);
	ck_assert_ptr_nonnull(strstr(text(&warnings), "relay.example.com"));
	snapshot_unref(s);
}
END_TEST

static const struct {
	const char *name;
	bool covers;
} wildcards[] = {
	{"*.example.com", true},
	{"*.EXAMPLE.com", true},
	{"*.com", false},
	{"*.relay.example.com", false},
	{"example.com", false},
	{"relay.example.com.evil.org", false},
	{"xrelay.example.com", false},
	{"RELAY.example.COM", true},
};

START_TEST(a_wildcard_stands_for_one_label)
{
	struct snapshot *s;

	certs_make(dir,
		   &(struct cert_spec){
			   .name = "wild",
			   .cn = "wild",
			   .dns = {"first.example.net", wildcards[_i].name},
		   });
	s = load(IDENTITY("one", "wild") LISTENER("one"));
	ck_assert_uint_eq(check_at(s, 0), 0);
	ck_assert_int_eq(warnings.len == 0, wildcards[_i].covers);
	snapshot_unref(s);
}
END_TEST

START_TEST(check_file_tells_good_from_bad)
{
	char *path = write_conf(IDENTITY("one", "good") LISTENER("one"));
	struct conf_file file = {.file = path};

	ck_assert(check_file(&file, &report, NULL));
	free(path);
	path = write_conf(IDENTITY("one", "missing") LISTENER("one"));
	file.file = path;
	ck_assert(!check_file(&file, &report, NULL));
	free(path);
	file.file = "/nowhere/relayd.conf";
	ck_assert(!check_file(&file, &report, NULL));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("snapshot");
	TCase *tc = tcase_create("snapshot");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_test(tc,
		       identities_and_trusts_are_found_by_their_configuration);
	tcase_add_test(tc, it_lives_as_long_as_somebody_holds_it);
	tcase_add_test(tc,
		       all_that_cannot_be_loaded_is_named_with_file_and_line);
	tcase_add_test(tc, a_key_of_another_certificate_is_refused);
	tcase_add_test(tc, a_good_certificate_raises_no_word);
	tcase_add_test(tc, in_the_last_twelfth_of_its_life_it_is_a_warning);
	tcase_add_test(tc, out_of_its_time_it_is_a_problem);
	tcase_add_test(tc, a_hostname_that_no_certificate_bears_is_a_warning);
	tcase_add_loop_test(tc, a_wildcard_stands_for_one_label, 0,
			    (int)ARRAY_LEN(wildcards));
	tcase_add_test(tc, check_file_tells_good_from_bad);
	suite_add_tcase(s, tc);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
