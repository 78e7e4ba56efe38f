/* SPDX-License-Identifier: ISC */
/*
 * Where the URL of a certificate may lead, and where not.  Lists that are
 * really fetched are in tests/tls/test_crl.py; there every authority is the
 * administrator's own.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/crl_fetch.h"
#include "daemon/dispatch_state.h"
#include "tests/support/certs.h"

static char dir[256];

static void setup(void)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(dir, sizeof(dir), "%s/crl_fetch.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	certs_make(dir, &(struct cert_spec){ .name = "ca", .cn = "CA",
					     .ca = true });
}

static void teardown(void)
{
	certs_remove(dir);
}

static gnutls_x509_crt_t certificate(const char *name)
{
	char *path = certs_path(dir, name, "pem");
	gnutls_datum_t pem;
	gnutls_x509_crt_t crt;

	ck_assert_int_ge(gnutls_load_file(path, &pem), 0);
	ck_assert_int_ge(gnutls_x509_crt_init(&crt), 0);
	ck_assert_int_ge(gnutls_x509_crt_import(crt, &pem, GNUTLS_X509_FMT_PEM),
			 0);
	gnutls_free(pem.data);
	free(path);
	return crt;
}

/* A socket that nobody accepts from, so that who connects is found out. */
static int listening(uint16_t *port)
{
	struct sockaddr_in in = { .sin_family = AF_INET };
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&in, len), 0);
	ck_assert_int_eq(listen(fd, 8), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&in, &len), 0);
	*port = ntohs(in.sin_port);
	return fd;
}

static const struct {
	const char *host;
	bool may_be_private;
	const char *text; /* some of the failure */
} rows[] = {
	{ "127.0.0.1", false, "its address 127.0.0.1 is not public" },
	{ "localhost", false, "is not public" },
	{ "[::ffff:127.0.0.1]", false, "is not public" },
	{ "0.0.0.0", false, "its address 0.0.0.0 is not public" },
	{ "10.1.2.3", false, "its address 10.1.2.3 is not public" },
	{ "172.31.255.1", false, "is not public" },
	{ "192.168.0.1", false, "is not public" },
	{ "169.254.169.254", false, "is not public" },
	{ "[fe80::1]", false, "is not public" },
	{ "[fd00::1]", false, "is not public" },
	{ "[::1]", false, "its address ::1 is not public" },
	/* Nobody listens there. */
	{ "[::1]", true, "" },
};

START_TEST(test_where_it_leads)
{
	struct dispatch d = { .stopping = true };
	struct crl_cache *cache = crl_cache_new();
	struct crl_ask ask = {
		.issuer = certificate("ca"),
		.refresh_ms = 1000000,
		.retry_ms = 1000000,
		.may_be_private = rows[_i].may_be_private,
	};
	struct crl_answer answer;
	struct crl_fetch *fetch;
	uint16_t port;
	int fd = listening(&port);
	char *url = xasprintf("http://%s:%u/a.crl", rows[_i].host, port);
	struct err e;

	certs_make(dir, &(struct cert_spec){ .name = "mx", .cn = "mx",
					     .issuer = "ca",
					     .lists = { url } });
	ask.crt = certificate("mx");
	ck_assert_int_eq(mailbox_open(&d.mail, &e), ST_OK);
	ck_assert_int_eq(crl_fetch_start(&fetch, cache, &d, &e), ST_OK);
	crl_cache_ask(cache, &ask, &answer);
	ck_assert(answer.pending);
	/* The dispatcher hears of the outcome. */
	while (mailbox_wait(d.mail, -1) == 0)
		;
	crl_cache_ask(cache, &ask, &answer);
	ck_assert(!answer.pending);
	ck_assert_msg(strstr(answer.text, rows[_i].text) != NULL, "%s",
		      answer.text);
	ck_assert_int_eq(strstr(answer.text, "not public") == NULL,
			 rows[_i].may_be_private);
	ck_assert_int_lt(accept(fd, NULL, NULL), 0);
	crl_fetch_stop(fetch);
	mailbox_close(d.mail);
	crl_cache_free(cache);
	gnutls_x509_crt_deinit(ask.crt);
	gnutls_x509_crt_deinit(ask.issuer);
	close(fd);
	free(url);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("crl_fetch");
	TCase *c = tcase_create("crl_fetch");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_loop_test(c, test_where_it_leads, 0, (int)ARRAY_LEN(rows));
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
