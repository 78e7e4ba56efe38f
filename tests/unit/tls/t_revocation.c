/* SPDX-License-Identifier: ISC */
/*
 * The lists at hand: what is wanted, when it is fetched, what replaces what,
 * what is kept on disk, and what all of it means for a session's peer.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/support/certs.h"
#include "tests/support/crls.h"
#include "tests/support/tls_pair.h"
#include "tls/crl_cache.h"
#include "tls/verify.h"

#define URL "http://crl.example.com/ca.crl"
#define SUB_URL "http://crl.example.com/sub.crl"
#define NOTHING ((struct span){ NULL, 0 })

enum { START_MS = 1000000, MINUTE_MS = 60 * 1000, HOUR_MS = 60 * MINUTE_MS };

static char dir[256];
static int64_t now_ms;
static struct crl_cache *cache;
static unsigned wakes;
static struct buf good, revoked, older, stale, forged;

static void wanted(void *arg)
{
	(void)arg;
	wakes++;
}

static void at(int64_t ms)
{
	clock_set_test(START_MS + ms, now_ms + ms);
}

static void make(struct buf *out, struct crl_spec spec)
{
	spec.issuer = "ca";
	crls_make(out, dir, &spec);
}

static void setup(void)
{
	static const struct cert_spec specs[] = {
		{ .name = "ca", .cn = "CA", .ca = true },
		{ .name = "stranger", .cn = "CA", .ca = true },
		{ .name = "sub", .cn = "Sub CA", .ca = true, .issuer = "ca",
		  .lists = { URL } },
		{ .name = "mx", .cn = "mx", .dns = { "mx.test" },
		  .issuer = "ca", .lists = { URL } },
		{ .name = "deep", .cn = "deep", .dns = { "mx.test" },
		  .issuer = "sub", .lists = { SUB_URL } },
		{ .name = "bare", .cn = "bare", .dns = { "mx.test" },
		  .issuer = "ca" },
		{ .name = "ldap", .cn = "ldap", .dns = { "mx.test" },
		  .issuer = "ca", .lists = { "ldap://crl.test/ca" } },
		{ .name = "expired", .cn = "old", .dns = { "mx.test" },
		  .issuer = "ca", .lists = { URL }, .from_s = -100,
		  .until_s = -10 },
	};
	const char *tmp = getenv("TMPDIR");

	now_ms = clock_wall_ms();
	snprintf(dir, sizeof(dir), "%s/revocation.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	for (size_t i = 0; i < ARRAY_LEN(specs); i++)
		certs_make(dir, &specs[i]);
	make(&good, (struct crl_spec){ .this_s = -60, .next_s = 2 * 3600 });
	make(&revoked, (struct crl_spec){ .revoked = { "mx" }, .reason = 1,
					  .this_s = -30, .next_s = 3600 });
	make(&older, (struct crl_spec){ .this_s = -90, .next_s = 3600 });
	make(&stale, (struct crl_spec){ .this_s = -90, .next_s = -1 });
	make(&forged, (struct crl_spec){ .signer = "stranger",
					 .revoked = { "mx" } });
}

static void teardown(void)
{
	buf_release(&good);
	buf_release(&revoked);
	buf_release(&older);
	buf_release(&stale);
	buf_release(&forged);
	certs_remove(dir);
}

static void setup_cache(void)
{
	wakes = 0;
	at(0);
	cache = crl_cache_new();
	crl_cache_watch(cache, wanted, NULL);
}

static void teardown_cache(void)
{
	crl_cache_free(cache);
	clock_set_test(-1, -1);
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

static enum tls_crl ask_with(const char *name, const char *file,
			     char text[CRL_TEXT_MAX])
{
	struct crl_ask ask = {
		.crt = certificate(name),
		.issuer = certificate("ca"),
		.files = &file,
		.nfiles = file ? 1 : 0,
		.refresh_ms = 4 * HOUR_MS,
		.retry_ms = MINUTE_MS,
	};
	struct crl_answer answer;

	crl_cache_ask(cache, &ask, &answer);
	ck_assert_int_eq(answer.pending,
			 strstr(answer.text, "being fetched") != NULL);
	memcpy(text, answer.text, sizeof(answer.text));
	gnutls_x509_crt_deinit(ask.crt);
	gnutls_x509_crt_deinit(ask.issuer);
	return answer.state;
}

static void expect(const char *name, enum tls_crl answer, const char *some)
{
	char text[CRL_TEXT_MAX];

	ck_assert_int_eq(ask_with(name, NULL, text), answer);
	ck_assert_msg(strstr(text, some) != NULL, "%s", text);
}

/* Takes what must be due, and ends it. */
static struct crl_outcome fetch(const struct buf *bytes, const char *failure)
{
	struct crl_outcome out;
	struct crl_want want;
	int64_t again;

	ck_assert(crl_cache_take(cache, &want, &again));
	ck_assert_str_eq(want.url, URL);
	crl_cache_done(cache, &want, bytes ? buf_span(bytes) : NOTHING, failure,
		       &out);
	return out;
}

/* Milliseconds from the start until something is due. */
static int64_t due(void)
{
	struct crl_want want;
	int64_t again;

	ck_assert(!crl_cache_take(cache, &want, &again));
	return again - START_MS;
}

/* ------------------------------------------------------------------- cache */

START_TEST(test_first_question)
{
	struct crl_want want, none;
	struct crl_outcome out;
	int64_t again;

	ck_assert(!crl_cache_take(cache, &none, &again));
	ck_assert_int_eq(again, INT64_MAX);
	expect("mx", TLS_CRL_UNDETERMINED, URL ": the list is being fetched");
	ck_assert_uint_eq(wakes, 1);
	expect("mx", TLS_CRL_UNDETERMINED, "being fetched");
	ck_assert_uint_eq(wakes, 1);
	ck_assert(crl_cache_take(cache, &want, &again));
	ck_assert_str_eq(want.url, URL);
	ck_assert(!want.may_be_private);
	/* Under way: nobody else is to fetch it. */
	ck_assert(!crl_cache_take(cache, &none, &again));
	expect("mx", TLS_CRL_UNDETERMINED, "being fetched");
	crl_cache_done(cache, &want, buf_span(&good), NULL, &out);
	ck_assert(out.changed && out.first);
	ck_assert_str_eq(out.failure, "");
	expect("mx", TLS_CRL_GOOD, "");
	ck_assert_uint_eq(wakes, 1);
}
END_TEST

START_TEST(test_revoked)
{
	expect("mx", TLS_CRL_UNDETERMINED, "");
	ck_assert_uint_eq(fetch(&revoked, NULL).entries, 1);
	expect("mx", TLS_CRL_REVOKED, "(key compromise), says " URL);
}
END_TEST

START_TEST(test_schedule)
{
	expect("mx", TLS_CRL_UNDETERMINED, "");
	fetch(&good, NULL);
	/* Half of the two hours that are left. */
	ck_assert_int_le(due(), HOUR_MS);
	ck_assert_int_ge(due(), HOUR_MS - 5000);
	at(HOUR_MS);
	ck_assert(!fetch(&good, NULL).changed);
	ck_assert_int_le(due(), HOUR_MS * 3 / 2);
	at(2 * HOUR_MS - 2 * MINUTE_MS);
	fetch(&good, NULL);
	/* Not more often than a retry. */
	ck_assert_int_ge(due(), 2 * HOUR_MS - MINUTE_MS - 5000);
	/* Stale by now, and its publisher has nothing newer. */
	at(2 * HOUR_MS + MINUTE_MS);
	ck_assert_ptr_nonnull(strstr(fetch(&good, NULL).failure, "is stale"));
	expect("mx", TLS_CRL_UNDETERMINED, URL ": the list is stale since 20");
}
END_TEST

START_TEST(test_failures)
{
	static const char *const why = "HTTP status 404";
	struct crl_outcome out;

	expect("mx", TLS_CRL_UNDETERMINED, "");
	out = fetch(NULL, why);
	ck_assert(!out.changed && out.first);
	ck_assert_int_eq(due(), MINUTE_MS);
	expect("mx", TLS_CRL_UNDETERMINED, URL ": HTTP status 404");
	/* The same again is no news; the pauses grow. */
	at(MINUTE_MS);
	ck_assert(!fetch(NULL, why).first);
	ck_assert_int_eq(due(), 3 * MINUTE_MS);
	at(3 * MINUTE_MS);
	fetch(NULL, why);
	ck_assert_int_eq(due(), 7 * MINUTE_MS);
	/* Who asks does not wait that long. */
	at(5 * MINUTE_MS);
	wakes = 0;
	expect("mx", TLS_CRL_UNDETERMINED, "404");
	ck_assert_uint_eq(wakes, 1);
	ck_assert(fetch(&good, NULL).changed);
	expect("mx", TLS_CRL_GOOD, "");
}
END_TEST

START_TEST(test_what_replaces_what)
{
	struct crl_outcome out;

	expect("mx", TLS_CRL_UNDETERMINED, "");
	out = fetch(&forged, NULL);
	ck_assert_ptr_nonnull(strstr(out.failure, "the list is forged"));
	ck_assert(!out.changed);
	expect("mx", TLS_CRL_UNDETERMINED, "the list is forged");
	at(MINUTE_MS);
	fetch(&good, NULL);
	expect("mx", TLS_CRL_GOOD, "");
	/* A good list counts until it is stale, whatever comes instead. */
	at(HOUR_MS + MINUTE_MS);
	out = fetch(&forged, NULL);
	ck_assert(out.first && !out.changed);
	expect("mx", TLS_CRL_GOOD, "");
	/* An older one does not hide what is known. */
	at(HOUR_MS + 2 * MINUTE_MS);
	out = fetch(&older, NULL);
	ck_assert(!out.changed);
	ck_assert_str_eq(out.failure, "");
	at(HOUR_MS + 40 * MINUTE_MS);
	ck_assert(fetch(&revoked, NULL).changed);
	/* Stale, but a revocation is for good. */
	expect("mx", TLS_CRL_REVOKED, "");
}
END_TEST

START_TEST(test_stale_then_unreachable)
{
	expect("mx", TLS_CRL_UNDETERMINED, "");
	fetch(&stale, NULL);
	expect("mx", TLS_CRL_UNDETERMINED, "is stale since 20");
	at(MINUTE_MS);
	fetch(NULL, "Connection refused");
	expect("mx", TLS_CRL_UNDETERMINED,
	       "; fetched anew: Connection refused");
}
END_TEST

START_TEST(test_forget)
{
	expect("mx", TLS_CRL_UNDETERMINED, "");
	fetch(NULL, "Connection refused");
	ck_assert_int_eq(due(), MINUTE_MS);
	at(2000);
	wakes = 0;
	crl_cache_forget(cache);
	ck_assert_uint_eq(wakes, 1);
	fetch(&revoked, NULL);
	/* So is a bad answer, but not at once. */
	expect("mx", TLS_CRL_REVOKED, "");
	crl_cache_forget(cache);
	ck_assert_int_eq(due(), 3000);
	/* Who asks meanwhile does not put it off. */
	expect("mx", TLS_CRL_REVOKED, "");
	ck_assert_int_eq(due(), 3000);
	at(3000);
	/* The list may have grown better: it was on hold. */
	fetch(&revoked, NULL);
	/* A good one is left alone. */
	expect("sub", TLS_CRL_GOOD, "");
	crl_cache_forget(cache);
	ck_assert_int_gt(due(), MINUTE_MS);
}
END_TEST

START_TEST(test_view)
{
	struct crl_view *views;
	size_t n;

	crl_cache_view(NULL, &views, &n);
	ck_assert_uint_eq(n, 0);
	expect("mx", TLS_CRL_UNDETERMINED, "");
	fetch(NULL, "Connection refused");
	crl_cache_view(cache, &views, &n);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(views[0].source, URL);
	ck_assert(views[0].failing && !views[0].has_list);
	free(views);
	at(MINUTE_MS);
	fetch(&good, NULL);
	crl_cache_view(cache, &views, &n);
	ck_assert(!views[0].failing && views[0].has_list);
	ck_assert_int_gt(views[0].next_update_ms, now_ms + HOUR_MS);
	ck_assert_int_lt(views[0].this_update_ms, now_ms);
	free(views);
}
END_TEST

START_TEST(test_no_point)
{
	expect("bare", TLS_CRL_UNDETERMINED, "has no distribution point");
	expect("ldap", TLS_CRL_UNDETERMINED, "can be fetched by http (ldap:");
	ck_assert_uint_eq(wakes, 0);
}
END_TEST

START_TEST(test_on_disk)
{
	char *path = xasprintf("%s/lists", dir);
	char *damaged = xasprintf("%s/damaged.crl", path);
	struct crl_outcome out;
	struct err e;

	ck_assert_int_eq(crl_cache_open(cache, path, &e), ST_OK);
	expect("mx", TLS_CRL_UNDETERMINED, "");
	out = fetch(&good, NULL);
	ck_assert_str_eq(out.unkept, "");
	crl_cache_free(cache);
	crls_save(damaged, &good);

	cache = crl_cache_new();
	ck_assert_int_eq(crl_cache_open(cache, path, &e), ST_OK);
	ck_assert_int_ne(access(damaged, F_OK), 0);
	expect("mx", TLS_CRL_GOOD, "");
	ck_assert_int_gt(due(), MINUTE_MS);
	at(HOUR_MS);
	fetch(&revoked, NULL);
	crl_cache_free(cache);

	cache = crl_cache_new();
	ck_assert_int_eq(crl_cache_open(cache, path, &e), ST_OK);
	expect("mx", TLS_CRL_REVOKED, "");
	/* What nobody asks for is forgotten, here and there. */
	at((int64_t)8 * 24 * HOUR_MS);
	ck_assert_int_gt(due(), HOUR_MS);
	crl_cache_free(cache);
	cache = crl_cache_new();
	ck_assert_int_eq(crl_cache_open(cache, path, &e), ST_OK);
	expect("mx", TLS_CRL_UNDETERMINED, "being fetched");
	certs_remove(path);
	free(damaged);
	free(path);
}
END_TEST

static void fetch_after_good_file(const char *path)
{
	struct crl_ask ask = {
		.crt = certificate("mx"),
		.issuer = certificate("ca"),
		.files = &path,
		.nfiles = 1,
		.refresh_ms = HOUR_MS,
		.retry_ms = MINUTE_MS,
	};
	struct crl_answer answer;

	crl_cache_ask(cache, &ask, &answer);
	ck_assert_int_eq(answer.state, TLS_CRL_GOOD);
	ck_assert(answer.pending);
	ck_assert_uint_eq(wakes, 1);
	fetch(&revoked, NULL);
	gnutls_x509_crt_deinit(ask.crt);
	gnutls_x509_crt_deinit(ask.issuer);
}

START_TEST(test_file)
{
	char *path = xasprintf("%s/file.pem", dir);
	char text[CRL_TEXT_MAX];
	struct buf other, html;
	struct err e;

	crls_make_pem(&other, dir, &(struct crl_spec){ .issuer = "stranger",
						       .revoked = { "bare" } });
	ck_assert_int_eq(crl_cache_read_file(cache, path, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "No such file"));
	crls_save(path, &good);
	ck_assert_int_eq(crl_cache_read_file(cache, path, &e), ST_OK);
	ck_assert_int_eq(ask_with("bare", path, text), TLS_CRL_GOOD);
	/* The URL's is wanted all the same, but the file's is enough. */
	fetch_after_good_file(path);
	ck_assert_int_eq(ask_with("mx", path, text), TLS_CRL_REVOKED);

	buf_init(&html, 100);
	ck_assert(buf_add(&html, SPAN("<html>")));
	crls_save(path, &html);
	ck_assert_int_eq(crl_cache_read_file(cache, path, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "an HTML page"));
	ck_assert_int_eq(ask_with("bare", path, text), TLS_CRL_GOOD);

	/* Of one who only bears the name. */
	crls_save(path, &other);
	ck_assert_int_eq(crl_cache_read_file(cache, path, &e), ST_OK);
	ck_assert_int_eq(ask_with("bare", path, text), TLS_CRL_UNDETERMINED);
	ck_assert_ptr_nonnull(strstr(text, "the list is forged"));
	ck_assert_int_eq(crl_cache_read_file(NULL, path, &e), ST_OK);
	buf_release(&html);
	buf_release(&other);
	free(path);
}
END_TEST

/* --------------------------------------------------------- the peer's chain */

enum { SERVER = DECIDE_SERVER, CLIENT = DECIDE_CLIENT };

static const struct {
	const char *certificate;
	struct buf *list; /* NULL: none can be had */
	enum tls_crl_use use;
	enum tls_verify verify;
	int peer;
	bool accepted;
	enum cause cause;
	enum tls_crl crl;
	const char *text; /* some of the verdict's, or of the list's */
} rows[] = {
	{ "mx", &good, TLS_CRL_IGNORE, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_OFF, "" },
	{ "mx", &revoked, TLS_CRL_IGNORE, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_OFF, "" },
	{ "mx", &good, TLS_CRL_WARN, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_GOOD, "" },
	{ "mx", &good, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_GOOD, "" },
	{ "mx", &revoked, TLS_CRL_WARN, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CERT_REVOKED, TLS_CRL_REVOKED, "(key compromise)" },
	{ "mx", &revoked, TLS_CRL_REQUIRE, TLS_VERIFY_CA, SERVER, false,
	  CAUSE_IS_TLS_CERT_REVOKED, TLS_CRL_REVOKED, "says " URL },
	{ "mx", NULL, TLS_CRL_WARN, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_UNDETERMINED, "Connection refused" },
	{ "mx", NULL, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CRL_UNAVAILABLE, TLS_CRL_UNDETERMINED,
	  URL ": Connection refused" },
	{ "mx", &stale, TLS_CRL_WARN, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_UNDETERMINED, "stale" },
	{ "mx", &stale, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CRL_UNAVAILABLE, TLS_CRL_UNDETERMINED, "stale" },
	{ "mx", &forged, TLS_CRL_WARN, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_UNDETERMINED, "forged" },
	{ "mx", &forged, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CRL_UNAVAILABLE, TLS_CRL_UNDETERMINED, "forged" },
	{ "bare", NULL, TLS_CRL_WARN, TLS_VERIFY_NAME, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_UNDETERMINED,
	  "the certificate has no distribution point" },
	{ "bare", NULL, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CRL_UNAVAILABLE, TLS_CRL_UNDETERMINED,
	  "the certificate has no distribution point" },
	/* Nothing depends on it: nothing is asked. */
	{ "mx", &revoked, TLS_CRL_REQUIRE, TLS_VERIFY_NONE, SERVER, true,
	  CAUSE_IS_NONE, TLS_CRL_OFF, "" },
	{ "expired", &good, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CERT_EXPIRED, TLS_CRL_GOOD, "" },
	{ "stranger", &good, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CERT_SELF_SIGNED, TLS_CRL_UNDETERMINED, "not asked" },
	/* The trusted one itself has no list. */
	{ "ca", NULL, TLS_CRL_REQUIRE, TLS_VERIFY_CA, SERVER, true,
	  CAUSE_IS_TLS_CERT_NAME, TLS_CRL_GOOD, "" },
	/* The list of the leaf's issuer can't be had, and is the one told. */
	{ "deep", &good, TLS_CRL_REQUIRE, TLS_VERIFY_NAME, SERVER, false,
	  CAUSE_IS_TLS_CRL_UNAVAILABLE, TLS_CRL_UNDETERMINED,
	  SUB_URL ": Connection refused" },
	/* clients */
	{ "mx", &good, TLS_CRL_REQUIRE, TLS_VERIFY_NONE, CLIENT, true,
	  CAUSE_IS_NONE, TLS_CRL_GOOD, "" },
	{ "mx", &revoked, TLS_CRL_WARN, TLS_VERIFY_NONE, CLIENT, true,
	  CAUSE_IS_TLS_CERT_REVOKED, TLS_CRL_REVOKED, "" },
	{ "mx", &revoked, TLS_CRL_WARN, TLS_VERIFY_CA, CLIENT, false,
	  CAUSE_IS_TLS_CERT_REVOKED, TLS_CRL_REVOKED, "" },
	{ "mx", NULL, TLS_CRL_REQUIRE, TLS_VERIFY_NONE, CLIENT, true,
	  CAUSE_IS_TLS_CRL_UNAVAILABLE, TLS_CRL_UNDETERMINED, "" },
};

/* The certificates of NAME.pem as a peer sends them. */
static void judge_peer(const char *name, const struct verify_task *task,
		       struct verify_result *out)
{
	char *path = certs_path(dir, name, "pem");
	gnutls_x509_crt_t *crts;
	gnutls_datum_t pem, der[4];
	unsigned n;

	ck_assert_int_ge(gnutls_load_file(path, &pem), 0);
	ck_assert_int_ge(gnutls_x509_crt_list_import2(&crts, &n, &pem,
						      GNUTLS_X509_FMT_PEM, 0),
			 0);
	for (unsigned i = 0; i < n; i++)
		ck_assert_int_ge(gnutls_x509_crt_export2(crts[i],
							 GNUTLS_X509_FMT_DER,
							 &der[i]),
				 0);
	verify_peer(task, der, n, out);
	for (unsigned i = 0; i < n; i++) {
		gnutls_x509_crt_deinit(crts[i]);
		gnutls_free(der[i].data);
	}
	gnutls_free(crts);
	gnutls_free(pem.data);
	free(path);
}

/* All that is due: the list for URL, nothing for others. */
static void fetch_all(const struct buf *list)
{
	struct crl_outcome out;
	struct crl_want want;
	int64_t again;

	while (crl_cache_take(cache, &want, &again)) {
		bool has = list && strcmp(want.url, URL) == 0;

		/* The authority is the administrator's own. */
		ck_assert(want.may_be_private);
		crl_cache_done(cache, &want, has ? buf_span(list) : NOTHING,
			       has ? NULL : "Connection refused", &out);
	}
}

START_TEST(test_verdict)
{
	struct tls_trust *trust = tls_pair_trust(dir, "ca", NULL);
	const struct tls_policy policy = {
		.verify = rows[_i].verify,
		.trust = trust,
	};
	const struct verify_task task = {
		.peer = rows[_i].peer == SERVER ? DECIDE_SERVER : DECIDE_CLIENT,
		.host = "mx.test",
		.policy = &policy,
	};
	struct verify_result r;

	tls_trust_set_crl(trust, &(struct tls_crl_conf){
					 .use = rows[_i].use,
					 .cache = cache,
					 .refresh_ms = HOUR_MS,
					 .retry_ms = MINUTE_MS,
				 });
	judge_peer(rows[_i].certificate, &task, &r);
	fetch_all(rows[_i].list);
	judge_peer(rows[_i].certificate, &task, &r);
	ck_assert_int_eq(r.accepted, rows[_i].accepted);
	ck_assert_str_eq(cause_word(r.verdict.cause),
			 cause_word(rows[_i].cause));
	ck_assert_int_eq(r.verdict.crl, rows[_i].crl);
	ck_assert_msg(strstr(r.verdict.text, rows[_i].text) ||
			      strstr(r.verdict.crl_text, rows[_i].text),
		      "%s", r.verdict.text);
	tls_trust_unref(trust);
}
END_TEST

/* A chain of three: the intermediate is asked about as well. */
START_TEST(test_intermediate)
{
	struct tls_trust *trust = tls_pair_trust(dir, "ca", NULL);
	const struct tls_policy policy = {
		.verify = TLS_VERIFY_NAME,
		.trust = trust,
	};
	const struct verify_task task = {
		.peer = DECIDE_SERVER,
		.host = "mx.test",
		.policy = &policy,
	};
	char *path = xasprintf("%s/sub.crl", dir);
	const char *files[] = { path };
	struct verify_result r;
	struct buf sub, of_ca;
	struct err e;

	crls_make(&sub, dir, &(struct crl_spec){ .issuer = "sub" });
	crls_make(&of_ca, dir, &(struct crl_spec){ .issuer = "ca",
						   .revoked = { "sub" },
						   .this_s = -20,
						   .next_s = 2 * 3600 });
	crls_save(path, &sub);
	ck_assert_int_eq(crl_cache_read_file(cache, path, &e), ST_OK);
	tls_trust_set_crl(trust, &(struct tls_crl_conf){
					 .use = TLS_CRL_REQUIRE,
					 .cache = cache,
					 .files = files,
					 .nfiles = 1,
					 .refresh_ms = HOUR_MS,
					 .retry_ms = MINUTE_MS,
				 });
	judge_peer("deep", &task, &r);
	ck_assert_int_eq(r.verdict.cause, CAUSE_IS_TLS_CRL_UNAVAILABLE);
	ck_assert_ptr_nonnull(
		strstr(r.verdict.text, "the intermediate CN=Sub CA: " URL));
	fetch_all(&good);
	judge_peer("deep", &task, &r);
	ck_assert_int_eq(r.verdict.crl, TLS_CRL_GOOD);
	ck_assert(r.accepted);
	at(HOUR_MS);
	fetch_all(&of_ca);
	judge_peer("deep", &task, &r);
	ck_assert_int_eq(r.verdict.cause, CAUSE_IS_TLS_CERT_REVOKED);
	ck_assert_ptr_nonnull(strstr(r.verdict.text,
				     "the intermediate CN=Sub CA: on 20"));
	buf_release(&sub);
	buf_release(&of_ca);
	tls_trust_unref(trust);
	free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("revocation");
	TCase *c = tcase_create("revocation");
	SRunner *runner;
	int failed;

	tcase_add_unchecked_fixture(c, setup, teardown);
	tcase_add_checked_fixture(c, setup_cache, teardown_cache);
	tcase_add_test(c, test_first_question);
	tcase_add_test(c, test_revoked);
	tcase_add_test(c, test_schedule);
	tcase_add_test(c, test_failures);
	tcase_add_test(c, test_what_replaces_what);
	tcase_add_test(c, test_stale_then_unreachable);
	tcase_add_test(c, test_forget);
	tcase_add_test(c, test_view);
	tcase_add_test(c, test_no_point);
	tcase_add_test(c, test_on_disk);
	tcase_add_test(c, test_file);
	tcase_add_loop_test(c, test_verdict, 0, (int)ARRAY_LEN(rows));
	tcase_add_test(c, test_intermediate);
	suite_add_tcase(suite, c);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
