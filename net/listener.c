/* SPDX-License-Identifier: ISC */
/*
 * listener - binds listening sockets and accepts from them.
 *
 * All workers watch the same socket; a connection wakes several of them and
 * one gets it, the others get EAGAIN.  A worker takes a few at a time, so
 * that a burst is spread.
 */
#include "net/listener.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

enum { ACCEPTS_PER_WAKE = 16, PAUSE_MS = 100 };

/* ------- listening sockets */

static enum status set_on(int fd, int level, int option, struct err *e)
{
	const int on = 1;

	if (setsockopt(fd, level, option, &on, sizeof(on)) < 0)
		return err_sys(e, errno, "setsockopt");
	return ST_OK;
}

static enum status bind_and_listen(int fd, const struct addr *addr,
				   struct err *e)
{
	enum status st = set_on(fd, SOL_SOCKET, SO_REUSEADDR, e);

	if (st == ST_OK && addr->sa.sa_family == AF_INET6)
		st = set_on(fd, IPPROTO_IPV6, IPV6_V6ONLY, e);
	if (st == ST_OK &&
	    (bind(fd, &addr->sa, addr->len) < 0 || listen(fd, SOMAXCONN) < 0)) {
		char text[ADDR_TEXT_MAX];
		int os = errno;

		addr_text(text, addr);
		st = err_sys(e, os, "listen on %s", text);
	}
	return st;
}

static bool own_address(int fd, struct addr *out)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	if (getsockname(fd, (struct sockaddr *)&sa, &len) < 0)
		return false;
	addr_from_sockaddr(out, (struct sockaddr *)&sa, len);
	return out->len > 0;
}

enum status listener_bind(int *out_fd, struct addr *addr, struct err *e)
{
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	struct addr bound;
	enum status st;
	int fd;

	fd = socket(addr->sa.sa_family, type, 0);
	if (fd < 0)
		return err_sys(e, errno, "socket");
	st = bind_and_listen(fd, addr, e);
	if (st != ST_OK)
		goto out;
	if (!own_address(fd, &bound)) {
		st = err_sys(e, errno, "getsockname");
		goto out;
	}
	*addr = bound;
	*out_fd = fd;
	fd = -1;
out:
	if (fd >= 0)
		close(fd);
	return st;
}

static bool is_listening(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) ==
		       0 &&
	       listening;
}

int listener_find(const int *fds, size_t n, const struct addr *addr)
{
	struct addr bound;

	for (size_t i = 0; i < n; i++)
		if (is_listening(fds[i]) && own_address(fds[i], &bound) &&
		    addr_eq(&bound, addr))
			return fds[i];
	return -1;
}

/* ------- accepting */

struct acceptor {
	int fd; /* borrowed */
	int reserve; /* -1: lost to another thread; regained when possible */
	acceptor_seen *seen;
	void *arg; /* seen's */
	struct event readable;
	struct event pause; /* ends a pause */
	bool telling; /* inside the callback, which may free it */
	bool freed; /* in there: only the memory is left */
	uint64_t turned_away;
};

enum accepted {
	ACCEPTED,
	ACCEPT_NEXT, /* this one failed by itself */
	ACCEPT_NONE, /* nobody waits */
	ACCEPT_FULL, /* we can take none now */
};

static void take_reserve(struct acceptor *a)
{
	if (a->reserve < 0)
		a->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void drop_reserve(struct acceptor *a)
{
	if (a->reserve >= 0)
		close(a->reserve);
	a->reserve = -1;
}

/* accept(2): what the network did to this connection is passed on as our
 * error. */
static enum accepted judge(int os)
{
	switch (os) {
	case EAGAIN:
		return ACCEPT_NONE;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		return ACCEPT_FULL;
	default:
		return ACCEPT_NEXT;
	}
}

static enum accepted accept_one(struct acceptor *a, int *out_fd,
				struct addr *peer)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int fd = accept4(a->fd, (struct sockaddr *)&sa, &len,
			 SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return judge(errno);
	addr_from_sockaddr(peer, (struct sockaddr *)&sa, len);
	*out_fd = fd;
	return ACCEPTED;
}

/* False: the one that waits still waits. */
static bool turn_away(struct acceptor *a)
{
	struct addr peer;
	enum accepted how;
	int fd;

	if (a->reserve < 0)
		return false;
	drop_reserve(a);
	how = accept_one(a, &fd, &peer);
	if (how == ACCEPTED) {
		close(fd);
		a->turned_away++;
	}
	take_reserve(a);
	return how != ACCEPT_FULL;
}

/* The socket stays readable as long as one waits: looking at it again at once
 * would spin. */
static void pause_accepting(struct acceptor *a)
{
	const struct timeval tv = {.tv_usec = PAUSE_MS * 1000L};

	event_del(&a->readable);
	event_add(&a->pause, &tv);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct acceptor *a = arg;

	(void)fd;
	(void)what;
	take_reserve(a);
	event_add(&a->readable, NULL);
}

/* False: the owner freed a. */
MUST_USE static bool hand_over(struct acceptor *a, int fd,
			       const struct addr *peer)
{
	a->telling = true;
	a->seen(a->arg, fd, peer);
	a->telling = false;
	if (!a->freed)
		return true;
	free(a);
	return false;
}

static void on_readable(evutil_socket_t listening, short what, void *arg)
{
	struct acceptor *a = arg;
	struct addr peer;
	int fd;

	(void)listening;
	(void)what;
	for (int i = 0; i < ACCEPTS_PER_WAKE; i++) {
		switch (accept_one(a, &fd, &peer)) {
		case ACCEPTED:
			if (!hand_over(a, fd, &peer))
				return;
			break;
		case ACCEPT_NEXT:
			break;
		case ACCEPT_NONE:
			return;
		case ACCEPT_FULL:
			if (turn_away(a))
				break;
			pause_accepting(a);
			return;
		}
	}
}

struct acceptor *acceptor_new(struct event_base *base, int fd,
			      acceptor_seen *seen, void *arg)
{
	struct acceptor *a = xcalloc(1, sizeof(*a));

	a->fd = fd;
	a->seen = seen;
	a->arg = arg;
	a->reserve = -1;
	take_reserve(a);
	/* One that was passed in may block. */
	evutil_make_socket_nonblocking(fd);
	event_assign(&a->readable, base, fd, EV_READ | EV_PERSIST, on_readable,
		     a);
	evtimer_assign(&a->pause, base, on_pause_over, a);
	event_add(&a->readable, NULL);
	return a;
}

void acceptor_free(struct acceptor *a)
{
	if (!a)
		return;
	event_del(&a->readable);
	event_del(&a->pause);
	drop_reserve(a);
	if (a->telling)
		a->freed = true;
	else
		free(a);
}

uint64_t acceptor_turned_away(const struct acceptor *a)
{
	return a->turned_away;
}
