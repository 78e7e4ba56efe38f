/* SPDX-License-Identifier: ISC */
/*
 * t_conf - relayd.conf as it is read, completed, overridden and replaced.
 */
#include "conf/conf.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[256];
static char file[300];
static struct buf said;

static void write_file(const char *name, const char *text)
{
	char path[600];
	FILE *fp;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fp = fopen(path, "w");
	ck_assert_ptr_nonnull(fp);
	fputs(text, fp);
	ck_assert_int_eq(fclose(fp), 0);
}

static void set_up(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/t_conf.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/relayd.conf", dir);
	buf_init(&said, 65536);
}

static void tear_down(void)
{
	static const char *const names[] = {"relayd.conf", "sub/more.conf",
					    "sub/most.conf", "sub"};
	char path[600];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
		remove(path);
	}
	rmdir(dir);
	buf_release(&said);
}

/* Lines without the folder, so that they can be compared. */
static void on_complaint(void *arg, const char *line)
{
	size_t len = strlen(dir);

	(void)arg;
	if (strncmp(line, dir, len) == 0 && line[len] == '/')
		line += len + 1;
	ck_assert(buf_printf(&said, "%s\n", line));
}

static const char *said_text(void)
{
	ck_assert(buf_add(&said, (struct span){"", 1}));
	said.len--;
	return said.len > 0 ? buf_span(&said).at : "";
}

static struct conf *read_with(const char *text, const char *const *sets,
			      size_t nsets)
{
	buf_clear(&said);
	write_file("relayd.conf", text);
	return conf_read(file, sets, nsets, on_complaint, NULL);
}

static struct conf *read_good(const char *text)
{
	struct conf *c = read_with(text, NULL, 0);

	ck_assert_msg(c, "%s", said_text());
	ck_assert_uint_eq(said.len, 0);
	return c;
}

#define LISTENER "listener \"in\" { address = { \"127.0.0.1:2525\" } }\n"

static const char full[] =
	"# the whole grammar of this version\n"
	"hostname = \"relay.contoso.com\"  # ours\n"
	"postmaster = 'post@contoso.com'\n"
	"user = relayd\n"
	"stop_timeout = \"10s\" // and\n"
	"workers = 3\n"
	"log { level = \"debug\"  format = json }\n"
	"queue {\n"
	"  path = \"/q\" max_size = \"1G\" min_free_disk = \"64K\"\n"
	"  lifetime = \"2d\" keep_expired = \"1d\" keep_delivered = \"1h\"\n"
	"  keep_trace = \"3d\" retry = { \"1s\", # first\n"
	"    \"500ms\" } probe = \"2s\" hold_clock = \"0\"\n"
	"  warn_after = 90s self_grace = \"0s\"\n"
	"}\n"
	"control { socket = \"/c\" group = \"\" metrics = \"\" }\n"
	"identity \"a\" { certificate = \"/a.pem\" key = \"/a.key\" }\n"
	"identity \"b\" { certificate = \"/b.pem\" key = \"/b.key\" }\n"
	"trust \"t\" { ca = { \"/ca.pem\", \"/cb.pem\" } crl = \"require\"\n"
	"  crl_files = { \"/l.crl\" } crl_refresh = \"1h\" min_tls = \"1.3\" }\n"
	"listener \"in\" { /* two\n addresses */\n"
	"  address = { \"127.0.0.1:25\", \"[::1]:26\" }\n"
	"  tls = \"forced\" identity = { \"a\", \"b\" } trust = \"t\"\n"
	"  client_certificate = \"require\" max_message_size = \"1M\"\n"
	"  max_recipients = 5 max_connections = 6\n"
	"  max_connections_per_client = 7 timeout = \"9s\"\n"
	"  max_messages_per_connection = 8 max_connections_per_minute = 9\n"
	"  max_messages_per_minute = 10 max_recipients_per_minute = 11\n"
	"  chunking = passthrough proxy_protocol = { \"192.0.2.0/24\" }\n"
	"  auth_file = \"/users\"\n"
	"  source \"net\" { networks = { \"10.0.0.0/8\", \"::1\" } }\n"
	"  source \"name\" { client_names = { \"*.Outlook.com\" } tls = "
	"forced\n"
	"     recipients = { \"Contoso.com\", \"*.contoso.com\" }\n"
	"     authenticated = yes }\n"
	"}\n"
	"route \"r\" {\n"
	"  domains = { \"*\", \"X.example\", \"[192.0.2.1]\" }\n"
	"  hosts = { \"MX.example\", \"[192.0.2.7]:26\" } mx = false\n"
	"  tls = \"forced\" verify = \"ca\" common_name = true\n"
	"  source_address = \"::1\" auth = xoauth2 auth_user = \"u@x\" "
	"auth_command = \"/bin/t u\"\n"
	"  pins = { \"sha256:000102030405060708090a0b0c0d0e0f10111213141516171"
	"8191A1b1c1d1e1f\",\n"
	"    \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\" }\n"
	"  trust = \"t\" identity = \"b\" max_connections = 8\n"
	"  max_messages_per_connection = 9 connect_timeout = \"1s\"\n"
	"  starttls_timeout = \"2s\"\n"
	"  no_exceptions = yes lifetime = \"1h\" warn_after = 0 retry = { \"3s\" }\n"
	"}\n";

START_TEST(everything_is_read)
{
	struct conf *c = read_good(full);

	ck_assert_str_eq(c->file, file);
	ck_assert_str_eq(c->hostname, "relay.contoso.com");
	ck_assert_str_eq(c->postmaster, "post@contoso.com");
	ck_assert_str_eq(c->user, "relayd");
	ck_assert_int_eq(c->stop_timeout_ms, 10000);
	ck_assert_uint_eq(c->workers, 3);
	ck_assert_int_eq(c->log_level, LOG_DEBUG);
	ck_assert_int_eq(c->log_format, LOG_JSON);
	ck_assert_str_eq(c->queue.path, "/q");
	ck_assert_uint_eq(c->queue.max_bytes, 1 << 30);
	ck_assert_uint_eq(c->queue.min_free_disk_bytes, 65536);
	ck_assert_int_eq(c->queue.lifetime_ms, 2 * 86400000);
	ck_assert_int_eq(c->queue.warn_after_ms, 90000);
	ck_assert_int_eq(c->queue.keep_expired_ms, 86400000);
	ck_assert_int_eq(c->queue.keep_delivered_ms, 3600000);
	ck_assert_int_eq(c->queue.keep_trace_ms, 3 * 86400000);
	ck_assert_uint_eq(c->queue.retry.n, 2);
	ck_assert_int_eq(c->queue.retry.at_ms[0], 1000);
	ck_assert_int_eq(c->queue.retry.at_ms[1], 500);
	ck_assert_int_eq(c->queue.probe_ms, 2000);
	ck_assert_int_eq(c->queue.hold_clock_ms, 0);
	ck_assert_str_eq(c->control.socket, "/c");
	ck_assert_str_eq(c->control.group, "");
	ck_assert_uint_eq(c->control.metrics.len, 0);
	conf_unref(c);
}
END_TEST

START_TEST(sections_are_read)
{
	struct conf *c = read_good(full);

	ck_assert_uint_eq(c->nidentities, 2);
	ck_assert_str_eq(c->identities[1].name, "b");
	ck_assert_str_eq(c->identities[1].certificate, "/b.pem");
	ck_assert_str_eq(c->identities[1].key, "/b.key");
	ck_assert_int_eq(c->identities[1].place.line, 17);
	ck_assert_str_eq(c->identities[1].place.file, file);
	ck_assert_uint_eq(c->ntrusts, 1);
	ck_assert_str_eq(c->trusts[0].name, "t");
	ck_assert_uint_eq(c->trusts[0].ca.n, 2);
	ck_assert_str_eq(c->trusts[0].ca.at[1], "/cb.pem");
	ck_assert_int_eq(c->trusts[0].crl, CONF_CRL_REQUIRE);
	ck_assert_uint_eq(c->trusts[0].crl_files.n, 1);
	ck_assert_int_eq(c->trusts[0].crl_refresh_ms, 60 * 60 * 1000);
	ck_assert_str_eq(c->trusts[0].min_tls, "1.3");
	ck_assert_int_eq(c->trusts[0].place.line, 18);
	conf_unref(c);
}
END_TEST

START_TEST(listener_is_read)
{
	struct conf *c = read_good(full);
	const struct conf_listener *l = c->listeners;
	char text[ADDR_TEXT_MAX];

	ck_assert_uint_eq(c->nlisteners, 1);
	ck_assert_str_eq(l->name, "in");
	ck_assert_int_eq(l->place.line, 20);
	ck_assert_uint_eq(l->naddresses, 2);
	addr_text(text, &l->addresses[1]);
	ck_assert_str_eq(text, "[::1]:26");
	ck_assert_int_eq(l->tls, CONF_TLS_FORCED);
	ck_assert_uint_eq(l->nidentities, 2);
	ck_assert_ptr_eq(l->identities[1], &c->identities[1]);
	ck_assert_ptr_eq(l->trust, &c->trusts[0]);
	ck_assert_int_eq(l->client_cert, CONF_CLIENT_CERT_REQUIRE);
	ck_assert_uint_eq(l->max_message_bytes, 1 << 20);
	ck_assert_uint_eq(l->max_recipients, 5);
	ck_assert_uint_eq(l->max_connections, 6);
	ck_assert_uint_eq(l->max_connections_per_client, 7);
	ck_assert_uint_eq(l->max_messages_per_connection, 8);
	ck_assert_uint_eq(l->max_connections_per_minute, 9);
	ck_assert_uint_eq(l->max_messages_per_minute, 10);
	ck_assert_uint_eq(l->max_recipients_per_minute, 11);
	ck_assert_int_eq(l->timeout_ms, 9000);
	ck_assert_int_eq(l->chunking, CONF_CHUNKING_PASSTHROUGH);
	ck_assert_uint_eq(l->nproxies, 1);
	ck_assert_uint_eq(l->proxies[0].bits, 24);
	ck_assert_str_eq(l->auth_file, "/users");
	ck_assert_uint_eq(l->nsources, 2);
	ck_assert_str_eq(l->sources[0].name, "net");
	ck_assert_uint_eq(l->sources[0].nnetworks, 2);
	ck_assert_uint_eq(l->sources[0].networks[0].bits, 8);
	ck_assert(!l->sources[0].forced_tls);
	ck_assert_str_eq(l->sources[1].name, "name");
	ck_assert(l->sources[1].forced_tls && l->sources[1].authenticated);
	ck_assert_str_eq(l->sources[1].client_names.at[0], "*.outlook.com");
	ck_assert_uint_eq(l->sources[1].recipients.n, 2);
	ck_assert_str_eq(l->sources[1].recipients.at[0], "contoso.com");
	ck_assert_int_eq(l->sources[1].place.line, 32);
	conf_unref(c);
}
END_TEST

START_TEST(route_is_read)
{
	struct conf *c = read_good(full);
	const struct conf_route *r = c->routes;

	ck_assert_uint_eq(c->nroutes, 1);
	ck_assert_str_eq(r->name, "r");
	ck_assert_uint_eq(r->domains.n, 3);
	ck_assert_str_eq(r->domains.at[1], "x.example");
	ck_assert_uint_eq(r->nhosts, 2);
	ck_assert_str_eq(r->hosts[0].host, "mx.example");
	ck_assert_uint_eq(r->hosts[0].port, 25);
	ck_assert(r->hosts[1].is_literal);
	ck_assert_uint_eq(r->hosts[1].port, 26);
	ck_assert(!r->mx && r->common_name && r->no_exceptions);
	ck_assert_int_eq(r->tls, CONF_TLS_FORCED);
	ck_assert_int_eq(r->verify, CONF_VERIFY_CA);
	ck_assert_uint_eq(r->npins, 2);
	for (unsigned i = 0; i < 32; i++) {
		ck_assert_uint_eq(r->pins[0][i], i);
		ck_assert_uint_eq(r->pins[1][i], i);
	}
	ck_assert_ptr_eq(r->trust, &c->trusts[0]);
	ck_assert_ptr_eq(r->identity, &c->identities[1]);
	ck_assert_uint_eq(r->max_connections, 8);
	ck_assert_uint_eq(r->max_messages_per_connection, 9);
	ck_assert_int_eq(r->connect_timeout_ms, 1000);
	ck_assert_int_eq(r->starttls_timeout_ms, 2000);
	ck_assert_str_eq(r->source_address, "::1");
	ck_assert_int_eq(r->auth, CONF_AUTH_XOAUTH2);
	ck_assert_str_eq(r->auth_user, "u@x");
	ck_assert_str_eq(r->auth_command, "/bin/t u");
	ck_assert_str_eq(r->auth_secret_file, "");
	ck_assert_int_eq(r->lifetime_ms, 3600000);
	ck_assert_int_eq(r->warn_after_ms, 0);
	ck_assert_uint_eq(r->retry.n, 1);
	ck_assert_int_eq(r->retry.at_ms[0], 3000);
	conf_unref(c);
}
END_TEST

START_TEST(defaults_of_main_sections)
{
	struct conf *c = read_good(LISTENER);
	char own[300];

	ck_assert_str_ne(c->hostname, "");
	snprintf(own, sizeof(own), "postmaster@%s", c->hostname);
	ck_assert_str_eq(c->postmaster, own);
	ck_assert_str_eq(c->user, "relayd");
	ck_assert_int_eq(c->stop_timeout_ms, 30000);
	ck_assert_uint_eq(c->workers, 0);
	ck_assert_int_eq(c->log_level, LOG_INFO);
	ck_assert_int_eq(c->log_format, LOG_LOGFMT);
	ck_assert_str_eq(c->queue.path, "/var/lib/relayd");
	ck_assert_uint_eq(c->queue.max_bytes, UINT64_C(16) << 30);
	ck_assert_uint_eq(c->queue.min_free_disk_bytes, 256 << 20);
	ck_assert_int_eq(c->queue.lifetime_ms, 5 * 86400000LL);
	ck_assert_int_eq(c->queue.warn_after_ms, 4 * 3600000);
	ck_assert_int_eq(c->queue.keep_expired_ms, 30 * 86400000LL);
	ck_assert_int_eq(c->queue.keep_delivered_ms, 0);
	ck_assert_int_eq(c->queue.keep_trace_ms, 14 * 86400000LL);
	ck_assert_int_eq(c->queue.hold_clock_ms, 14 * 86400000LL);
	ck_assert_int_eq(c->queue.probe_ms, 60000);
	ck_assert_uint_eq(c->queue.retry.n, 7);
	ck_assert_int_eq(c->queue.retry.at_ms[0], 60000);
	ck_assert_int_eq(c->queue.retry.at_ms[6], 3600000);
	ck_assert_str_eq(c->control.socket, "/run/relayd/control.sock");
	ck_assert_str_eq(c->control.group, "relayd");
	ck_assert_uint_eq(addr_port(&c->control.metrics), 9925);
	ck_assert(addr_is_loopback(&c->control.metrics));
	ck_assert_uint_eq(c->nroutes, 0);
	conf_unref(c);
}
END_TEST

START_TEST(defaults_of_listeners)
{
	struct conf *c = read_good(
		LISTENER "identity \"i\" { certificate = c key = k }\n"
			 "trust \"t\" {}\n"
			 "listener \"b\" { address = \"127.0.0.1:2526\"\n"
			 " identity = \"i\" trust = \"t\" }\n");
	const struct conf_listener *l = c->listeners;

	ck_assert_int_eq(l->tls, CONF_TLS_OFF);
	ck_assert_int_eq(l->client_cert, CONF_CLIENT_CERT_NONE);
	ck_assert_ptr_null(l->trust);
	ck_assert_uint_eq(l->nidentities, 0);
	ck_assert_uint_eq(l->max_message_bytes, 150 << 20);
	ck_assert_uint_eq(l->max_recipients, 1000);
	ck_assert_uint_eq(l->max_connections, 1000);
	ck_assert_uint_eq(l->max_connections_per_client, 50);
	ck_assert_uint_eq(l->max_messages_per_connection, 0);
	ck_assert_uint_eq(l->max_connections_per_minute, 0);
	ck_assert_uint_eq(l->max_messages_per_minute, 0);
	ck_assert_uint_eq(l->max_recipients_per_minute, 0);
	ck_assert_int_eq(l->timeout_ms, 300000);
	ck_assert_uint_eq(l->nsources, 0);
	l++;
	ck_assert_int_eq(l->tls, CONF_TLS_OPPORTUNISTIC);
	ck_assert_int_eq(l->client_cert, CONF_CLIENT_CERT_REQUEST);
	ck_assert_uint_eq(c->trusts[0].ca.n, 1);
	ck_assert_str_eq(c->trusts[0].ca.at[0], "system");
	ck_assert_str_eq(c->trusts[0].min_tls, "1.2");
	conf_unref(c);
}
END_TEST

START_TEST(defaults_of_routes)
{
	struct conf *c = read_good(
		LISTENER "queue { lifetime = 7s retry = { 8s, 9s }\n"
			 "  warn_after = 3s }\n"
			 "route a { domains = a.example hosts = h }\n"
			 "route b { domains = b.example hosts = h\n"
			 "  tls = opportunistic lifetime = 1h }\n");
	const struct conf_route *r = c->routes;

	ck_assert_int_eq(r->tls, CONF_TLS_FORCED);
	ck_assert_int_eq(r->verify, CONF_VERIFY_NAME);
	ck_assert_int_eq(r->auth, CONF_AUTH_OFF);
	ck_assert_str_eq(r->source_address, "");
	ck_assert_uint_eq(r->names.n, 0);
	ck_assert_uint_eq(r->npins, 0);
	ck_assert_ptr_null(r->trust);
	ck_assert_ptr_null(r->identity);
	ck_assert_uint_eq(r->max_connections, 20);
	ck_assert_uint_eq(r->max_messages_per_connection, 100);
	ck_assert_int_eq(r->connect_timeout_ms, 30000);
	ck_assert_int_eq(r->starttls_timeout_ms, 120000);
	ck_assert(!r->common_name && !r->no_exceptions && !r->mx);
	ck_assert_int_eq(r->lifetime_ms, 7000);
	ck_assert_int_eq(r->warn_after_ms, 3000);
	ck_assert_uint_eq(r->retry.n, 2);
	ck_assert_int_eq(r->retry.at_ms[1], 9000);
	r++;
	ck_assert_int_eq(r->verify, CONF_VERIFY_NONE);
	ck_assert_int_eq(r->lifetime_ms, 3600000);
	conf_unref(c);
}
END_TEST

START_TEST(overrides_apply)
{
	static const char *const sets[] = {
		"queue.path=/tmp/q=1",
		"log.level=debug",
		"workers=2",
		"queue.retry={ 1s, \"2s\" }",
		"listener.in.address={\"127.0.0.1:7\", '[::1]:8'}",
		"listener.in.source.a.b.networks=192.0.2.0/24",
		"route.to.cloud.tls=opportunistic",
		"route.to.cloud.domains={\"*\"}",
		"hostname=\"quoted.example\"",
		"control.group=",
	};
	struct conf *c;

	c = read_with("workers = 1 listener \"in\" {\n"
		      " address = { \"127.0.0.1:25\" }\n"
		      " source \"a.b\" { networks = { \"10.0.0.0/8\" } } }\n"
		      "route \"to.cloud\" { domains = { \"x\" }\n"
		      " hosts = { \"h\" } }\n",
		      sets, ARRAY_LEN(sets));
	ck_assert_msg(c, "%s", said_text());
	ck_assert_str_eq(c->queue.path, "/tmp/q=1");
	ck_assert_int_eq(c->log_level, LOG_DEBUG);
	ck_assert_uint_eq(c->workers, 2);
	ck_assert_uint_eq(c->queue.retry.n, 2);
	ck_assert_int_eq(c->queue.retry.at_ms[1], 2000);
	ck_assert_uint_eq(c->listeners[0].naddresses, 2);
	ck_assert_uint_eq(addr_port(&c->listeners[0].addresses[1]), 8);
	ck_assert_uint_eq(c->listeners[0].sources[0].networks[0].bits, 24);
	ck_assert_int_eq(c->routes[0].tls, CONF_TLS_OPPORTUNISTIC);
	ck_assert_str_eq(c->routes[0].domains.at[0], "*");
	ck_assert_str_eq(c->hostname, "quoted.example");
	ck_assert_str_eq(c->control.group, "");
	conf_unref(c);
}
END_TEST

START_TEST(overrides_are_refused)
{
	static const struct {
		const char *set, *says;
	} rows[] = {
		{"queue.pth=/x",
		 "--set queue.pth: there is no such option or section\n"},
		{"nonsense", "--set nonsense: expects KEY=VALUE\n"},
		{"listener.out.tls=off", "--set listener.out.tls: there is"},
		{"workers=many",
		 "--set workers: workers expects a number from 0 to 64, not "
		 "\"many\"\n"},
		{"queue.retry={1s, 2x}",
		 "--set queue.retry: queue.retry expects a duration such"},
		{"listener.in.address={\"127.0.0.1:25\"",
		 "--set listener.in.address: this { is never closed\n"},
		{"listener.in.address={*}",
		 "--set listener.in.address: a value with *"},
		{"hostname=\"x\" workers = 3",
		 "--set hostname: no such option 'workers'"},
		{"route.r.mx=true", "--set route.r.mx: route \"r\": mx and hosts"},
		{"listener.in.tls=forced",
		 "--set listener.in.tls: listener \"in\": tls = \"forced\" "
		 "needs an identity\n"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *c = read_with(
			LISTENER "route \"r\" { domains = x hosts = h }\n",
			&rows[i].set, 1);

		ck_assert_msg(!c, "%s", rows[i].set);
		ck_assert_msg(strncmp(said_text(), rows[i].says,
				      strlen(rows[i].says)) == 0,
			      "%s: %s", rows[i].set, said_text());
	}
}
END_TEST

static void make_sub(void)
{
	char path[600];

	snprintf(path, sizeof(path), "%s/sub", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

START_TEST(includes_are_read)
{
	struct conf *c;
	char path[600];

	make_sub();
	write_file("sub/more.conf", "workers = 5\ninclude(\"most.conf\")\n\n"
				    "route \"m\" { domains = m hosts = h }\n");
	write_file("sub/most.conf", "# within\nstop_timeout = 7s\n");
	c = read_good(LISTENER "include(\"sub/more.conf\")\n"
			       "route \"r\" { domains = r hosts = h }\n");
	ck_assert_uint_eq(c->workers, 5);
	ck_assert_int_eq(c->stop_timeout_ms, 7000);
	ck_assert_uint_eq(c->nroutes, 2);
	snprintf(path, sizeof(path), "%s/sub/more.conf", dir);
	ck_assert_str_eq(c->routes[0].place.file, path);
	ck_assert_int_eq(c->routes[0].place.line, 4);
	ck_assert_str_eq(c->routes[1].place.file, file);
	ck_assert_int_eq(c->routes[1].place.line, 3);
	conf_unref(c);
}
END_TEST

START_TEST(include_works_in_a_section)
{
	struct conf *c;

	make_sub();
	write_file("sub/more.conf", "path = \"/inc\"\n# end");
	write_file("sub/most.conf", "");
	c = read_good("queue {\n include(\"sub/more.conf\")\n"
		      " include('sub/most.conf') probe = 3s }\n" LISTENER);
	ck_assert_str_eq(c->queue.path, "/inc");
	ck_assert_int_eq(c->queue.probe_ms, 3000);
	ck_assert_int_eq(c->listeners[0].place.line, 4);
	conf_unref(c);
}
END_TEST

START_TEST(problems_in_includes_are_named)
{
	make_sub();
	write_file("sub/more.conf", "\nworkers = x\nuser = \"a\n");
	ck_assert_ptr_null(
		read_with("\ninclude(\"sub/more.conf\")\n", NULL, 0));
	ck_assert_str_eq(said_text(), "sub/more.conf:3: the closing quote of "
				      "a string is missing on this line\n");
	write_file("sub/more.conf", "\nworkers = x\n}\n");
	ck_assert_ptr_null(
		read_with("\ninclude(\"sub/more.conf\")\n", NULL, 0));
	ck_assert_str_eq(said_text(),
			 "sub/more.conf:3: unexpected closing brace\n"
			 "sub/more.conf:2: workers expects a number from 0 to "
			 "64, not \"x\"\n");
	write_file("sub/more.conf", "include(\"more.conf\")");
	ck_assert_ptr_null(read_with("include(\"sub/more.conf\")\n", NULL, 0));
	ck_assert_ptr_nonnull(strstr(said_text(), "sub/more.conf:1: include("));
	ck_assert_ptr_nonnull(strstr(said_text(), "nested too deeply"));
	ck_assert_ptr_null(read_with("\ninclude(\"none\")\n", NULL, 0));
	ck_assert_ptr_nonnull(strstr(said_text(),
				     "relayd.conf:2: include(\"none\"): cannot "
				     "read "));
	/* none of it is left over for the next reading */
	conf_unref(read_good(full));
}
END_TEST

START_TEST(routes_are_found)
{
	static const struct {
		const char *domain, *route;
	} rows[] = {
		{"contoso.com", "exact"},
		{"a.contoso.com", "suffix"},
		{"b.a.contoso.com", "suffix"},
		{"x.deep.contoso.com", "deep"},
		{"deep.contoso.com", "suffix"},
		{"xcontoso.com", "any"},
		{"[192.0.2.1]", "literal"},
		{"[192.0.2.2]", "any"},
		{"com", "any"},
		{"", "any"},
	};
	struct conf *c = read_good(
		LISTENER
		"route any { domains = { \"*\" } hosts = h }\n"
		"route suffix { domains = { \"*.contoso.com\" } hosts = h }\n"
		"route deep { domains = { \"*.deep.contoso.com\" }\n"
		"  hosts = h }\n"
		"route exact { domains = { \"contoso.com\" } hosts = h }\n"
		"route literal { domains = { \"[192.0.2.1]\" } hosts = h }\n");

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_str_eq(conf_route_for(c, rows[i].domain)->name,
				 rows[i].route);
	ck_assert_str_eq(conf_route_named(c, "deep")->name, "deep");
	ck_assert_ptr_null(conf_route_named(c, "none"));
	conf_unref(c);
	c = read_good(LISTENER "route a { domains = a hosts = h }\n");
	ck_assert_ptr_null(conf_route_for(c, "b"));
	conf_unref(c);
	ck_assert(conf_domain_matches("*.a.b", "x.a.b"));
	ck_assert(!conf_domain_matches("*.a.b", "a.b"));
	ck_assert(!conf_domain_matches("*.a.b", ".a.b"));
	ck_assert(!conf_domain_matches("a.b", "x.a.b"));
	ck_assert(conf_domain_matches("*", "x"));
}
END_TEST

START_TEST(references_are_counted)
{
	struct conf *c = read_good(full);

	ck_assert_ptr_eq(conf_ref(c), c);
	conf_unref(c);
	ck_assert_str_eq(c->user, "relayd");
	conf_unref(c);
	conf_unref(NULL);
}
END_TEST

#define TWO "listener a { address = { \"127.0.0.1:1\", \"127.0.0.1:2\" } }\n"

START_TEST(replacement_is_judged)
{
	static const struct {
		const char *text, *says; /* says "": may be taken */
	} rows[] = {
		{TWO "queue { lifetime = 1h }", ""},
		{"listener b { address = \"127.0.0.1:2\" }\n"
		 "listener c { address = \"127.0.0.1:1\" }\n",
		 ""},
		{TWO "queue { path = \"/other\" }",
		 "relayd.conf: queue.path has changed, which needs a "
		 "restart\n"},
		{TWO "queue { max_size = 1G }", "queue.max_size has changed"},
		{TWO "control { socket = \"/x\" }", "control.socket has"},
		{TWO "control { group = \"x\" }", "control.group has"},
		{TWO "control { metrics = \"\" }", "control.metrics has"},
		{TWO "user = x", "user has changed"},
		{TWO "workers = 7", "workers has changed"},
		{"listener a { address = \"127.0.0.1:1\" }\n",
		 "relayd.conf: listener \"a\": address 127.0.0.1:2 is gone, "
		 "which needs a restart\n"},
		{TWO "listener b { address = \"127.0.0.1:3\" }\n",
		 "relayd.conf:2: listener \"b\": address 127.0.0.1:3 is new, "
		 "which needs a restart\n"},
	};
	struct conf *then = read_good(TWO);

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct conf *now = read_good(rows[i].text);
		bool taken = conf_can_replace(then, now, on_complaint, NULL);

		ck_assert_msg(taken == (rows[i].says[0] == '\0'), "row %zu", i);
		ck_assert_msg(strstr(said_text(), rows[i].says), "%s",
			      said_text());
		ck_assert(taken == (said.len == 0));
		conf_unref(now);
	}
	conf_unref(then);
}
END_TEST

START_TEST(words_are_those_of_the_file)
{
	ck_assert_str_eq(conf_tls_word(CONF_TLS_OPPORTUNISTIC),
			 "opportunistic");
	ck_assert_str_eq(conf_tls_word(CONF_TLS_IMPLICIT), "implicit");
	ck_assert_str_eq(conf_verify_word(CONF_VERIFY_NAME), "name");
}
END_TEST

/* The folder of the sources, wherever the test is started. */
START_TEST(the_sample_is_accepted)
{
	const char *srcdir = getenv("srcdir");
	char path[600];
	struct conf *c;

	snprintf(path, sizeof(path), "%s/dist/relayd.conf",
		 srcdir ? srcdir : ".");
	if (access(path, R_OK) != 0)
		return;
	c = conf_read(path, NULL, 0, on_complaint, NULL);
	ck_assert_msg(c, "%s", said_text());
	conf_unref(c);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		everything_is_read,	    sections_are_read,
		listener_is_read,	    route_is_read,
		defaults_of_main_sections,  defaults_of_listeners,
		defaults_of_routes,	    overrides_apply,
		overrides_are_refused,	    includes_are_read,
		include_works_in_a_section, problems_in_includes_are_named,
		routes_are_found,	    references_are_counted,
		replacement_is_judged,	    words_are_those_of_the_file,
		the_sample_is_accepted,
	};
	Suite *suite = suite_create("conf");
	TCase *tc = tcase_create("conf");
	SRunner *runner;
	int failed;

	tcase_add_checked_fixture(tc, set_up, tear_down);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		tcase_add_test(tc, tests[i]);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
