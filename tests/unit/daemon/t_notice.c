/* SPDX-License-Identifier: ISC */
/*
 * t_notice - who is told what, and where it ends.
 */
#include "daemon/notice.h"

#include <check.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "smtp/dsn.h"

/* The fields of a configuration are not const, literals are. */
#define TEXT(s) ((char[]){s})

static char *home_domains[] = {TEXT("example.com")};
static char *office_domains[] = {TEXT("example.org")};
static struct host_port host = {.host = TEXT("mx.example.com"), .port = 25};
static struct conf_route routes[] = {
	{.name = TEXT("home"),
	 .domains = {.at = home_domains, .n = 1},
	 .hosts = &host,
	 .nhosts = 1},
	{.name = TEXT("office"),
	 .domains = {.at = office_domains, .n = 1},
	 .hosts = &host,
	 .nhosts = 1},
};
static struct conf conf = {
	.hostname = TEXT("relay.example.net"),
	.postmaster = TEXT("boss@example.org"),
	.routes = routes,
	.nroutes = ARRAY_LEN(routes),
};

static char *dir;
static struct store *store;
static struct message *m;
static struct event events[400];
static struct notice_fact facts[400];
static size_t nfacts;
static struct notices got;

static void set(char **to, const char *s)
{
	free(*to);
	*to = xstrdup(s);
}

static void begin(const char *sender)
{
	const char *tmp = getenv("TMPDIR");
	struct store_conf sc = {.max_bytes = 64 * 1024 * 1024};
	struct err e;

	dir = xasprintf("%s/relayd-test-XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	sc.path = dir;
	ck_assert_int_eq(store_lmdb_open(&store, &sc, &e), ST_OK);
	m = message_new();
	m->id = store->ops->new_id(store);
	m->received_ms = clock_wall_ms();
	set(&m->sender, sender);
	set(&m->listener, "in");
	nfacts = 0;
	conf.nroutes = ARRAY_LEN(routes);
}

static void add(enum event_kind kind, uint32_t notify)
{
	struct recipient *r = message_add(m, "bob@example.net", "out", "");
	struct event *ev = &events[nfacts];

	r->notify = notify;
	event_init(ev);
	ev->kind = kind;
	ev->number = r->number;
	ev->attempted = true;
	ev->time_ms = clock_wall_ms();
	set(&ev->destination, "out/mx.example.net:25");
	set(&ev->reply, "550 5.1.1 nobody");
	facts[nfacts++] = (struct notice_fact){.event = ev};
}

static size_t make(void)
{
	struct span body = SPAN("Subject: x\r\n\r\nhello\r\n");
	struct store_op op = {.verb = STORE_ENQUEUE,
			      .id = m->id,
			      .body = body,
			      .message = m};
	struct store_op *list = &op;

	m->bytes = body.len;
	m->checksum = digest_of(body);
	ck_assert_int_eq(store->ops->apply(store, &list, 1), ST_OK);
	store_op_release(&op);
	notices_make(&got, store, &conf, m, facts, nfacts);
	for (size_t i = 0; i < got.n; i++) {
		const struct message *n = got.bounces[i].message;

		ck_assert_str_eq(n->sender, "");
		ck_assert_str_eq(n->listener, "");
		ck_assert_uint_eq(n->nrecipients, 1);
		ck_assert_uint_eq(n->bytes, got.bounces[i].body.len);
		ck_assert_uint_eq(n->checksum,
				  digest_of(got.bounces[i].body));
		ck_assert_uint_le(n->bytes, 128 * 1024);
	}
	return got.n;
}

static void end(void)
{
	static const char *const files[] = {"queue.mdb", "queue.mdb-lock",
					    "lock"};

	notices_release(&got);
	for (size_t i = 0; i < nfacts; i++)
		event_release(&events[i]);
	message_free(m);
	store->ops->close(store);
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *file = xasprintf("%s/%s", dir, files[i]);

		unlink(file);
		free(file);
	}
	ck_assert_int_eq(rmdir(dir), 0);
	free(dir);
}

static void goes_to(size_t i, const char *address, const char *lane)
{
	const struct recipient *r = &got.bounces[i].message->recipients[0];

	ck_assert_str_eq(r->address, address);
	ck_assert_str_eq(r->lane, lane);
}

START_TEST(wishes)
{
	static const struct {
		uint32_t notify;
		bool failure, delay, relay;
	} rows[] = {
		{0, true, true, false},
		{DSN_NEVER, false, false, false},
		{DSN_FAILURE, true, false, false},
		{DSN_DELAY, false, true, false},
		{DSN_SUCCESS, false, false, true},
		{DSN_SUCCESS | DSN_FAILURE | DSN_DELAY, true, true, true},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct recipient r = {.notify = rows[i].notify};

		ck_assert_int_eq(notice_is_wanted(&r, EVENT_FAILED),
				 rows[i].failure);
		ck_assert_int_eq(notice_is_wanted(&r, EVENT_EXPIRED),
				 rows[i].failure);
		ck_assert_int_eq(notice_is_wanted(&r, EVENT_DEFERRED),
				 rows[i].delay);
		ck_assert_int_eq(notice_is_wanted(&r, EVENT_DELIVERED),
				 rows[i].relay);
	}
}
END_TEST

START_TEST(one_notice_of_each_kind)
{
	begin("alice@example.com");
	add(EVENT_FAILED, 0);
	add(EVENT_FAILED, DSN_NEVER);
	add(EVENT_DELIVERED, DSN_SUCCESS);
	add(EVENT_EXPIRED, DSN_FAILURE);
	add(EVENT_DELIVERED, 0);
	add(EVENT_DEFERRED, 0);
	ck_assert_uint_eq(make(), 3);
	for (size_t i = 0; i < 3; i++)
		goes_to(i, "alice@example.com", "home");
	ck_assert(got.told[0] && !got.told[1] && got.told[2]);
	ck_assert(got.told[3] && !got.told[4] && got.told[5]);
	ck_assert_ptr_nonnull(strstr(got.bounces[1].body.at, "delayed"));
	ck_assert_ptr_nonnull(strstr(got.bounces[2].body.at, "relayed"));
	ck_assert_ptr_nonnull(strstr(got.bounces[0].body.at,
				     "Remote-MTA: dns; mx.example.net\r\n"));
	end();
}
END_TEST

START_TEST(an_empty_sender_is_the_postmasters)
{
	begin("");
	add(EVENT_FAILED, DSN_NEVER);
	add(EVENT_DEFERRED, 0);
	add(EVENT_DELIVERED, DSN_SUCCESS);
	ck_assert_uint_eq(make(), 1);
	goes_to(0, "boss@example.org", "office");
	ck_assert(!got.told[0] && !got.told[1] && !got.told[2]);
	end();
}
END_TEST

START_TEST(and_there_it_ends)
{
	struct notices second;

	begin("");
	add(EVENT_FAILED, 0);
	ck_assert_uint_eq(make(), 1);
	notices_make(&second, store, &conf, got.bounces[0].message, facts, 1);
	ck_assert_uint_eq(second.n, 0);
	notices_release(&second);
	end();
}
END_TEST

START_TEST(a_failed_notice_is_told_once)
{
	struct notices second, third;

	begin("alice@example.com");
	add(EVENT_FAILED, 0);
	ck_assert_uint_eq(make(), 1);
	notices_make(&second, store, &conf, got.bounces[0].message, facts, 1);
	ck_assert_uint_eq(second.n, 1);
	ck_assert_str_eq(second.bounces[0].message->recipients[0].address,
			 "boss@example.org");
	notices_make(&third, store, &conf, second.bounces[0].message, facts,
		     1);
	ck_assert_uint_eq(third.n, 0);
	notices_release(&third);
	notices_release(&second);
	end();
}
END_TEST

START_TEST(no_way_to_the_sender)
{
	begin("eve@nowhere.example");
	add(EVENT_FAILED, 0);
	add(EVENT_DEFERRED, 0);
	ck_assert_uint_eq(make(), 1);
	goes_to(0, "boss@example.org", "office");
	ck_assert(!got.told[0]);
	notices_release(&got);
	conf.nroutes = 1;
	notices_make(&got, store, &conf, m, facts, nfacts);
	ck_assert_uint_eq(got.n, 0);
	end();
}
END_TEST

START_TEST(removed_ones_are_not_the_postmasters)
{
	begin("");
	add(EVENT_REMOVED, 0);
	ck_assert_uint_eq(make(), 0);
	end();
	begin("alice@example.com");
	add(EVENT_REMOVED, 0);
	ck_assert_uint_eq(make(), 1);
	goes_to(0, "alice@example.com", "home");
	end();
}
END_TEST

START_TEST(more_than_fit_into_one)
{
	size_t n = 0;

	begin("alice@example.com");
	for (size_t i = 0; i < ARRAY_LEN(facts); i++)
		add(EVENT_FAILED, 0);
	ck_assert_uint_gt(make(), 1);
	for (size_t i = 0; i < got.n; i++) {
		struct span s = got.bounces[i].body;
		const char *at = s.at;

		ck_assert(i == 0 || got.bounces[i].message->id >
					    got.bounces[i - 1].message->id);
		while ((at = strstr(at, "\r\nFinal-Recipient:")) != NULL) {
			at++;
			n++;
		}
	}
	ck_assert_uint_eq(n, nfacts);
	for (size_t i = 0; i < nfacts; i++)
		ck_assert(got.told[i]);
	end();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("notice");
	TCase *tc = tcase_create("notice");

	tcase_add_test(tc, wishes);
	tcase_add_test(tc, one_notice_of_each_kind);
	tcase_add_test(tc, an_empty_sender_is_the_postmasters);
	tcase_add_test(tc, and_there_it_ends);
	tcase_add_test(tc, a_failed_notice_is_told_once);
	tcase_add_test(tc, no_way_to_the_sender);
	tcase_add_test(tc, removed_ones_are_not_the_postmasters);
	tcase_add_test(tc, more_than_fit_into_one);
	suite_add_tcase(suite, tc);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
