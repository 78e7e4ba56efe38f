/* SPDX-License-Identifier: ISC */
/*
 * t_listener - binding, finding and accepting, also when descriptors run out.
 */
#include <check.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/listener.h"

enum { GUARD_S = 20, MANY = 40 };

static struct event_base *base;

struct taken {
	int fds[MANY];
	struct addr peer; /* of the last one */
	int n;
	struct acceptor *to_free; /* in the callback */
};

static void on_taken(void *arg, int fd, const struct addr *peer)
{
	struct taken *t = arg;

	ck_assert_int_lt(t->n, MANY);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	t->fds[t->n++] = fd;
	t->peer = *peer;
	acceptor_free(t->to_free);
}

static void taken_close(struct taken *t)
{
	while (t->n > 0)
		close(t->fds[--t->n]);
}

static int bind_at(const char *where, struct addr *addr)
{
	struct err e;
	int fd = -1;

	ck_assert(addr_parse(where, 0, addr));
	ck_assert_msg(listener_bind(&fd, addr, &e) == ST_OK, "%s", e.text);
	return fd;
}

static int connect_to(const struct addr *addr)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(connect(fd, &addr->sa, addr->len), 0);
	return fd;
}

static void run_until(const int *n, int wanted)
{
	for (int i = 0; *n < wanted && i < GUARD_S * 1000; i++) {
		event_base_loop(base, EVLOOP_NONBLOCK);
		if (*n < wanted)
			poll(NULL, 0, 1);
	}
	ck_assert_int_eq(*n, wanted);
}

static void setup(void)
{
	base = event_base_new();
}

static void teardown(void)
{
	event_base_free(base);
}

START_TEST(binds_a_free_port)
{
	struct addr addr, again;
	struct err e;
	int fd = bind_at("127.0.0.1:0", &addr), other, peer, mine;
	char c;

	ck_assert_uint_ne(addr_port(&addr), 0);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	/* Taken: says which address and why. */
	again = addr;
	ck_assert_int_eq(listener_bind(&other, &again, &e), ST_TEMP);
	ck_assert_int_eq(e.os, EADDRINUSE);
	ck_assert_ptr_nonnull(strstr(e.text, "127.0.0.1:"));
	/* And free again at once, although a connection has just ended. */
	peer = connect_to(&addr);
	mine = accept(fd, NULL, NULL);
	ck_assert_int_ge(mine, 0);
	close(mine);
	ck_assert_int_eq(read(peer, &c, 1), 0);
	close(peer);
	close(fd);
	ck_assert_int_eq(listener_bind(&fd, &again, &e), ST_OK);
	close(fd);
}
END_TEST

START_TEST(binds_both_families_to_one_port)
{
	struct addr v6, v4;
	struct err e;
	int fd6, fd4 = bind_at("0.0.0.0:0", &v4);
	const struct sockaddr_in6 any = {
		.sin6_family = AF_INET6,
		.sin6_port = v4.in.sin_port,
	};

	addr_from_sockaddr(&v6, (const struct sockaddr *)&any, sizeof(any));
	if (listener_bind(&fd6, &v6, &e) == ST_OK)
		close(fd6);
	else
		ck_assert_int_ne(e.os, EADDRINUSE); /* no IPv6 here */
	close(fd4);
}
END_TEST

START_TEST(finds_what_was_passed_in)
{
	struct addr one, two, none;
	int fds[4];

	fds[0] = bind_at("127.0.0.1:0", &one);
	fds[1] = bind_at("127.0.0.1:0", &two);
	fds[2] = open("/dev/null", O_RDONLY);
	fds[3] = socket(AF_INET, SOCK_STREAM, 0);
	none = two;
	none.in.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1);
	ck_assert_int_eq(listener_find(fds, 4, &one), fds[0]);
	ck_assert_int_eq(listener_find(fds, 4, &two), fds[1]);
	ck_assert_int_eq(listener_find(fds, 4, &none), -1);
	/* Bound to it, but not listening. */
	ck_assert_int_eq(bind(fds[3], &none.sa, none.len), 0);
	ck_assert_int_eq(listener_find(fds, 4, &none), -1);
	for (size_t i = 0; i < 4; i++)
		close(fds[i]);
}
END_TEST

START_TEST(accepts_a_burst)
{
	struct taken taken = {.n = 0};
	struct acceptor *a;
	struct addr addr, own;
	socklen_t len = sizeof(own.in);
	int fd = bind_at("127.0.0.1:0", &addr), peers[MANY];

	/* As systemd may pass it. */
	fcntl(fd, F_SETFL, 0);
	a = acceptor_new(base, fd, on_taken, &taken);
	for (int i = 0; i < MANY; i++)
		peers[i] = connect_to(&addr);
	run_until(&taken.n, MANY);
	ck_assert_int_eq(getsockname(peers[MANY - 1], &own.sa, &len), 0);
	ck_assert_int_eq(taken.peer.in.sin_port, own.in.sin_port);
	ck_assert(addr_is_loopback(&taken.peer));
	ck_assert_uint_eq(acceptor_turned_away(a), 0);
	taken_close(&taken);
	for (int i = 0; i < MANY; i++)
		close(peers[i]);
	acceptor_free(a);
	close(fd);
}
END_TEST

START_TEST(freed_in_its_callback)
{
	struct taken taken = {.n = 0};
	struct addr addr;
	int fd = bind_at("127.0.0.1:0", &addr), one, two;

	taken.to_free = acceptor_new(base, fd, on_taken, &taken);
	one = connect_to(&addr);
	two = connect_to(&addr);
	run_until(&taken.n, 1);
	event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(taken.n, 1);
	taken_close(&taken);
	close(one);
	close(two);
	close(fd);
}
END_TEST

/* Leaves no descriptor free. */
static size_t use_up(int *fds, size_t max)
{
	size_t n = 0;

	while (n < max && (fds[n] = dup(STDIN_FILENO)) >= 0)
		n++;
	ck_assert_uint_lt(n, max);
	return n;
}

START_TEST(turns_away_when_full)
{
	enum { FDS_MAX = 256 };
	struct taken taken = {.n = 0};
	struct rlimit before, low;
	struct acceptor *a;
	struct addr addr;
	char c;
	int fd = bind_at("127.0.0.1:0", &addr), fds[FDS_MAX], peer, later;
	size_t n;

	a = acceptor_new(base, fd, on_taken, &taken);
	later = socket(AF_INET, SOCK_STREAM, 0);
	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	low.rlim_cur = FDS_MAX / 2;
	setrlimit(RLIMIT_NOFILE, &low);
	peer = connect_to(&addr);
	n = use_up(fds, FDS_MAX);
	for (int i = 0; acceptor_turned_away(a) == 0 && i < GUARD_S * 1000; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_uint_eq(acceptor_turned_away(a), 1);
	ck_assert_int_eq(taken.n, 0);
	ck_assert_int_eq(read(peer, &c, 1), 0);
	/* Room again: the next one comes in. */
	while (n > 0)
		close(fds[--n]);
	ck_assert_int_eq(connect(later, &addr.sa, addr.len), 0);
	run_until(&taken.n, 1);
	setrlimit(RLIMIT_NOFILE, &before);
	taken_close(&taken);
	acceptor_free(a);
	close(peer);
	close(later);
	close(fd);
}
END_TEST

START_TEST(pauses_when_even_the_reserve_is_gone)
{
	enum { FDS_MAX = 256 };
	struct taken taken = {.n = 0};
	struct rlimit before, low;
	struct acceptor *a;
	struct addr addr;
	int fd = bind_at("127.0.0.1:0", &addr), fds[FDS_MAX], peer;
	size_t n;

	getrlimit(RLIMIT_NOFILE, &before);
	low = before;
	low.rlim_cur = FDS_MAX / 2;
	setrlimit(RLIMIT_NOFILE, &low);
	peer = connect_to(&addr);
	n = use_up(fds, FDS_MAX);
	a = acceptor_new(base, fd, on_taken, &taken);
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
	ck_assert_int_eq(taken.n, 0);
	ck_assert_uint_eq(acceptor_turned_away(a), 0);
	while (n > 0)
		close(fds[--n]);
	run_until(&taken.n, 1);
	setrlimit(RLIMIT_NOFILE, &before);
	taken_close(&taken);
	acceptor_free(a);
	close(peer);
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("listener");
	TCase *t = tcase_create("listener");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 60);
	tcase_add_test(t, binds_a_free_port);
	tcase_add_test(t, binds_both_families_to_one_port);
	tcase_add_test(t, finds_what_was_passed_in);
	tcase_add_test(t, accepts_a_burst);
	tcase_add_test(t, freed_in_its_callback);
	tcase_add_test(t, turns_away_when_full);
	tcase_add_test(t, pauses_when_even_the_reserve_is_gone);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	SRunner *r = srunner_create(suite());
	int failed;

	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed > 0;
}
