/* SPDX-License-Identifier: ISC */
/*
 * t_wrong - wrong configurations: what is said of them, and of which line.
 */
#include "conf/conf.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static char file[256];
static struct buf said;

/* A listener behind the row's text makes the rest of it complete. */
#define LISTENER "\nlistener \"ok\" { address = { \"127.0.0.1:2525\" } }\n"
#define IDENTITY "identity i { certificate = c key = k }\n"
#define L "listener l { address = \"127.0.0.1:1\"\n"
#define R "route r { domains = a.example hosts = h\n"

/* One complaint each. */
static const struct {
	const char *text;
	int         line;
	const char *says;
} rows[] = {
	/* syntax */
	{ "\nhostnam = \"x\"\n", 2, "no such option 'hostnam'" },
	{ "\n\nqeue { }\n", 3, "no such option 'qeue'" },
	{ "queue {\n\n pth = \"x\" }\n", 3, "queue: no such option 'pth'" },
	{ L " source s {\n nets = {} } }\n", 3,
	  "source \"s\": no such option 'nets'" },
	{ "hostname \"x\"\n", 1, "missing equal sign" },
	{ "hostname = = \"x\"\n", 1, "unexpected token" },
	{ "\nhostname = { \"x\" }\n", 2, "unexpected token '{'" },
	{ "\nqueue {\n path = \"x\"\n", 2, "this { is never closed" },
	{ "queue { retry = { 1m\n}\n", 1, "this { is never closed" },
	{ "log { }\n}\n", 2, "unexpected closing brace" },
	{ "\nlistener { }\n", 2, "missing title for section 'listener'" },
	{ "queue \"x\" { }\n", 1, "missing opening brace" },
	{ "# a\nuser = \"x\nworkers = 1\n", 2, "closing quote" },
	{ "# a\nuser = 'x", 2, "closing quote" },
	{ "user = \"x\" /* no\nend", 1, "this comment has no end" },
	{ "# a\n\nroute r { domains = { * } hosts = h }", 3,
	  "must stand in quotes" },
	{ "postmaster = a+b@c\n", 1, "must stand in quotes" },
	{ "user = \"\\101\"\n", 1, "by number" },
	{ "user = \"${HOME\"\n", 1, "} is missing" },
	{ "\nuser = \x01\n", 2, "control byte" },
	{ "include()\n", 1, "include expects one file name" },
	{ "include(\"a\", \"b\")\n", 1, "include expects one file name" },
	{ "\ninclude(\"a\"\n", 2, "include expects one file name" },
	{ "user = a(b)\n", 1, "include expects one file name" },
	{ "\ninclude(\"/nonexistent/x\")\n", 2,
	  "include(\"/nonexistent/x\"): cannot read /nonexistent/x: No such" },
	{ IDENTITY "\nidentity i { certificate = c key = k }\n", 3,
	  "found duplicate title 'i'" },
	{ "queue { }\nqueue { }\n", 2, "section queue appears twice" },
	{ "queue { lifetime += 5d }\n", 1, "append to non-list" },

	/* values */
	{ "# a\n# b\nstop_timeout = \"5x\"\n", 3,
	  "stop_timeout expects a duration such as 30s, 5m or 4h, not \"5x\"" },
	{ "stop_timeout = 30\n", 1, "not \"30\"" },
	{ "workers = 65\n", 1, "workers expects a number from 0 to 64" },
	{ "workers = -1\n", 1, "workers expects a number from 0 to 64" },
	{ "workers = 1K\n", 1, "workers expects a number from 0 to 64" },
	{ "hostname = \"a b\"\n", 1, "hostname expects a host name" },
	{ "hostname = \"192.0.2.1\"\n", 1, "hostname expects a host name" },
	{ "postmaster = root\n", 1, "postmaster expects a mail address" },
	{ "user = \"\"\n", 1, "user expects a value" },
	{ "log {\n level = loud }\n", 2,
	  "log.level expects debug, info, warn or error, not \"loud\"" },
	{ "log {\n format = xml }\n", 2, "expects logfmt or json" },
	{ "queue {\n max_size = 15M }\n", 2,
	  "queue.max_size expects a size from 16M to" },
	{ "queue { max_size = big }\n", 1, "a size such as 64K" },
	{ "queue { lifetime = 0 }\n", 1,
	  "queue.lifetime expects a duration from 1ms to 3650d" },
	{ "queue { retry = {} }\n", 1, "queue.retry must not be empty" },
	{ "queue { retry = {\n 1m,\n 0s } }\n", 3,
	  "queue.retry expects a duration from 1ms" },
	{ "queue { retry = {\n # first\n 1m,\n two } }\n", 4, "not \"two\"" },
	{ "queue { path = \"\" }\n", 1, "queue.path expects a value" },
	{ "control { socket = \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "\"\n}\n", 1, "at most 107 bytes" },
	{ "trust t {\n min_tls = 1.1 }\n", 2,
	  "trust \"t\": min_tls expects 1.2 or 1.3" },
	{ "trust t { ca = {} }\n", 1, "ca must not be empty" },
	{ "trust t { crl = maybe }\n", 1, "expects off, warn or require" },
	{ "identity i {\n certificate = c }\n", 1, "key is missing" },
	{ "identity i { key = c }\n", 1, "certificate is missing" },

	/* listeners */
	{ "listener l {\n address = {\n \"127.0.0.1:1\",\n \"host:25\" } }\n",
	  4, "listener \"l\": address expects addresses such as" },
	{ "listener l { address = \"127.0.0.1:0\" }\n", 1, "127.0.0.1:0" },
	{ "listener l { address = \"127.0.0.1:65536\" }\n", 1, "65536" },
	{ "\nlistener l { }\n", 2, "listener \"l\": address is missing" },
	{ L "}\nlistener m {\n address = \"127.0.0.1:1\" }\n", 4,
	  "listener \"m\": address 127.0.0.1:1 is already that of listener "
	  "\"l\"" },
	{ "listener l { address = { \"[::1]:1\",\n \"[::1]:1\" } }\n", 2,
	  "already that of listener \"l\"" },
	{ L " tls = forced }\n", 2, "tls = \"forced\" needs an identity" },
	{ L " tls = starttls }\n", 2,
	  "expects off, opportunistic, forced or implicit" },
	{ L " identity = nobody }\n", 2,
	  "identity names identity \"nobody\", which is not defined" },
	{ IDENTITY L " identity = { i,\n j } }\n", 4, "\"j\"" },
	{ L " trust = nobody }\n", 2, "names trust \"nobody\"" },
	{ IDENTITY L " identity = i client_certificate = require }\n", 3,
	  "client_certificate needs a trust" },
	{ L " client_certificate = request }\n", 2, "needs TLS" },
	{ L " max_recipients = 0 }\n", 2, "from 1 to" },
	{ L " max_recipients = 1000000 }\n", 2, "from 1 to 999999" },
	{ L " max_messages_per_connection = 1000000 }\n", 2,
	  "from 0 to 999999" },
	{ L " max_connections = 0 }\n", 2, "from 1 to" },
	{ L " max_connections_per_client = 0 }\n", 2, "from 1 to" },
	{ L " max_message_size = 0 }\n", 2, "expects a size from 1 to" },
	{ L " timeout = 0 }\n", 2, "timeout expects a duration from" },
	{ L " source s {\n networks = { \"10.0.0.1/8\" } } }\n", 3,
	  "source \"s\": networks expects networks such as" },
	{ L " source s { networks = \"::1\"\n tls = opportunistic } }\n", 3,
	  "never looser" },
	{ L " source s { networks = \"::1\"\n tls = forced } }\n", 3,
	  "the listener \"l\" has no TLS" },
	{ L " source s {\n client_names = { a } } }\n", 3,
	  "client_names need a certificate" },
	{ L " source s { networks = \"::1\" recipients = { \"a b\" } } }\n", 2,
	  "recipients expects domains" },
	{ L "\n source s { } }\n", 3, "lets anybody relay anywhere" },
	{ L " source s { recipients = \"*\" } }\n", 2, "lets anybody relay" },
	{ L " source s { networks = {} } }\n", 2, "lets anybody relay" },
	{ L " source s { networks = \"::1\" }\n source s { } }\n", 3,
	  "found duplicate title 's'" },

	/* routes */
	{ "\nroute r { hosts = h }\n", 2, "route \"r\": domains is missing" },
	{ "\nroute r { domains = a }\n", 2, "route \"r\": hosts is missing" },
	{ "route r { domains = a\n hosts = { h, \"h:0\" } }\n", 2,
	  "hosts expects next hops such as" },
	{ "route r { hosts = h domains = { a,\n \"a.*\" } }\n", 2,
	  "domains expects domains such as" },
	{ "route r { hosts = h domains = { \"[192.0.2]\" } }\n", 1,
	  "[192.0.2]" },
	{ R "}\nroute s { hosts = h domains = { b,\n A.Example } }\n", 4,
	  "route \"s\": domain a.example is already that of route \"r\"" },
	{ "route r { hosts = h domains = { a,\n A } }\n", 2, "already that" },
	{ R " tls = implicit }\n", 2, "expects off, opportunistic or forced" },
	{ R " verify = full }\n", 2, "verify expects none, ca or name" },
	{ R " tls = off\n verify = name }\n", 3, "verify means nothing" },
	{ R " tls = off\n names = h }\n", 3, "names means nothing" },
	{ R " tls = off\n pins = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh"
	  "8=\" }\n", 3, "pins means nothing" },
	{ R " verify = ca\n names = h }\n", 3, "names are looked at only" },
	{ R " verify = none\n pins = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGx"
	  "wdHh8=\" }\n", 3, "pins are looked at only" },
	{ R " pins = { \"00\" } }\n", 2, "pins expects SHA-256 pins" },
	{ R " pins = { \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9=\" } }\n",
	  2, "pins expects" },
	{ R " pins = { \"sha1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" "
	  "} }\n", 2, "pins expects" },
	{ R " names = { \"a b\" } }\n", 2, "names expects certificate names" },
	{ R " trust = nobody }\n", 2, "names trust \"nobody\"" },
	{ R " identity = nobody }\n", 2, "names identity \"nobody\"" },
	{ R " retry = {} }\n", 1, "retry must not be empty" },
	{ R " source_address = mx }\n", 2, "source_address expects an address" },
	{ R " source_address = \"127.0.0.1:25\" }\n", 2,
	  "source_address expects an address" },
	{ R " auth = ntlm }\n", 2, "expects off, plain, login or xoauth2" },
	{ R " auth_user = u\n auth_secret_file = f auth = login\n"
	  " tls = opportunistic }\n", 3, "auth needs tls = \"forced\"" },
	{ R " tls = off\n auth = plain auth_user = u auth_command = \"/c\" }\n",
	  3, "auth needs tls = \"forced\"" },
	{ R " auth = plain auth_secret_file = f }\n", 2,
	  "auth needs auth_user" },
	{ R " auth = plain auth_user = u }\n", 2,
	  "auth needs auth_secret_file or auth_command" },
	{ R " auth = plain auth_user = u auth_secret_file = f\n"
	  " auth_command = \"/c\" }\n", 2, "and not both" },
	{ R " auth = plain auth_user = u\n auth_command = c }\n", 3,
	  "auth_command expects an absolute path" },
	{ R " auth_user = x }\n", 2, "auth_user means nothing with auth off" },
	{ R " auth_secret_file = x }\n", 2, "auth_secret_file means nothing" },
	{ R " auth_command = \"/x\" }\n", 2, "auth_command means nothing" },
	{ R " max_connections = 0 }\n", 2, "from 1 to" },
	{ R " common_name = perhaps }\n", 2, "expects true or false" },
	{ R " mx = perhaps }\n", 2, "mx expects true or false" },

	{ "alarm_command = page\n", 1,
	  "alarm_command expects an absolute path" },
	{ "queue { warn_after = soon }\n", 1, "expects a duration" },
	{ "queue {\n self_grace = soon }\n", 2,
	  "self_grace expects a duration" },
	{ "control {\n metrics = \"everywhere\" }\n", 2,
	  "metrics expects an address" },
	{ R " warn_after = soon }\n", 2, "warn_after expects a duration" },
};

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");
	int fd;

	snprintf(file, sizeof(file), "%s/t_wrong.XXXXXX", tmp ? tmp : "/tmp");
	fd = mkstemp(file);
	ck_assert_int_ge(fd, 0);
	close(fd);
	buf_init(&said, 65536);
}

static void tear_down(void)
{
	unlink(file);
	buf_release(&said);
}

static void on_complaint(void *arg, const char *line)
{
	unsigned *count = arg;

	++*count;
	ck_assert(buf_printf(&said, "%s\n", line));
}

/* Returns the number of complaints. */
static unsigned read_wrong(const char *text, const char *more)
{
	unsigned count = 0;
	struct conf *c;
	FILE *fp = fopen(file, "w");

	ck_assert_ptr_nonnull(fp);
	fprintf(fp, "%s%s", text, more);
	ck_assert_int_eq(fclose(fp), 0);
	buf_clear(&said);
	c = conf_read(file, NULL, 0, on_complaint, &count);
	ck_assert_msg(!c, "accepted: %s", text);
	ck_assert(buf_add(&said, (struct span){ "", 1 }));
	return count;
}

START_TEST(each_is_refused)
{
	char place[300];
	const char *line;

	ck_assert_uint_eq(read_wrong(rows[_i].text, LISTENER), 1);
	line = buf_span(&said).at;
	snprintf(place, sizeof(place), "%s:%d: ", file, rows[_i].line);
	ck_assert_msg(strncmp(line, place, strlen(place)) == 0,
		      "not at line %d: %s", rows[_i].line, line);
	ck_assert_msg(strstr(line, rows[_i].says), "no \"%s\" in: %s",
		      rows[_i].says, line);
}
END_TEST

START_TEST(nothing_could_be_received)
{
	char expected[300];

	ck_assert_uint_eq(read_wrong("user = x\n", ""), 1);
	snprintf(expected, sizeof(expected),
		 "%s: no listener: nothing could be received\n", file);
	ck_assert_str_eq(buf_span(&said).at, expected);
}
END_TEST

START_TEST(a_missing_file_is_named)
{
	unsigned count = 0;

	ck_assert_ptr_null(conf_read("/nonexistent/relayd.conf", NULL, 0,
				     on_complaint, &count));
	ck_assert(buf_add(&said, (struct span){ "", 1 }));
	ck_assert_str_eq(buf_span(&said).at,
			 "/nonexistent/relayd.conf: cannot be read: No such "
			 "file or directory\n");
	buf_clear(&said);
	ck_assert_ptr_null(conf_read("/", NULL, 0, on_complaint, &count));
	ck_assert_uint_eq(count, 2);
}
END_TEST

/* One run finds them all; after a syntax error, the values before it. */
START_TEST(all_problems_are_found)
{
	ck_assert_uint_eq(
		read_wrong("workers = x\nstop_timeout = y\nlog { level = z }\n"
			   "route r { domains = a.b..c hosts = {} trust = n }",
			   LISTENER),
		6);
	ck_assert_uint_eq(read_wrong("workers = x\nroute r { trust = later }\n"
				     "nonsense = 1\ntrust later { }\n",
				     LISTENER),
			  2);
}
END_TEST

/* What libconfuse is left with after one error must not harm the next. */
START_TEST(errors_leave_nothing_behind)
{
	unsigned count = 0;
	struct conf *c;
	FILE *fp;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_uint_eq(read_wrong(rows[i].text, LISTENER), 1);
	fp = fopen(file, "w");
	ck_assert_ptr_nonnull(fp);
	fprintf(fp, "%s", LISTENER);
	ck_assert_int_eq(fclose(fp), 0);
	c = conf_read(file, NULL, 0, on_complaint, &count);
	ck_assert_ptr_nonnull(c);
	ck_assert_uint_eq(count, 0);
	conf_unref(c);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("wrong");
	TCase *tc = tcase_create("wrong");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	tcase_add_loop_test(tc, each_is_refused, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(tc, nothing_could_be_received);
	tcase_add_test(tc, a_missing_file_is_named);
	tcase_add_test(tc, all_problems_are_found);
	tcase_add_test(tc, errors_leave_nothing_behind);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
