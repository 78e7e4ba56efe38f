/* SPDX-License-Identifier: ISC */
/* wire.c - see wire.h. */
#include "bench/wire.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 64 * 1024, IN_MAX = 1024 * 1024, OUT_MAX = 1024 * 1024 * 1024 };

_Noreturn void die(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

double wire_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* ------- sockets */

static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int wire_connect(const struct addr *to)
{
	int fd = socket(to->sa.sa_family,
			SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket: %m");
	no_delay(fd);
	if (connect(fd, &to->sa, to->len) < 0 && errno != EINPROGRESS)
		die("connect: %m");
	return fd;
}

int wire_listen(const struct addr *at)
{
	int on = 1, fd = socket(at->sa.sa_family,
				SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket: %m");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, &at->sa, at->len) < 0 || listen(fd, SOMAXCONN) < 0)
		die("listen: %m");
	return fd;
}

int wire_accept(int fd)
{
	int c = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (c >= 0)
		no_delay(c);
	return c;
}

/* ------- TLS */

static gnutls_certificate_credentials_t any_peer(void)
{
	static gnutls_certificate_credentials_t cred;

	if (cred == NULL && gnutls_certificate_allocate_credentials(&cred) != 0)
		die("out of memory");
	return cred;
}

static void shake(struct wire *w)
{
	int rc = gnutls_handshake(w->tls);

	if (rc == GNUTLS_E_AGAIN || rc == GNUTLS_E_INTERRUPTED) {
		if (gnutls_record_get_direction(w->tls) == 1)
			event_add(w->writable, NULL);
		return;
	}
	w->shaking = false;
	if (rc < 0) {
		fprintf(stderr, "handshake: %s\n", gnutls_strerror(rc));
		w->gone = true;
	}
	w->heard(w->arg);
}

void wire_start_tls(struct wire *w, gnutls_certificate_credentials_t server)
{
	unsigned role = server != NULL ? GNUTLS_SERVER | GNUTLS_NO_TICKETS
				       : GNUTLS_CLIENT;

	BUG_ON(w->in.len > 0 || w->out.len > 0);
	if (gnutls_init(&w->tls, role | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) !=
		    0 ||
	    gnutls_set_default_priority(w->tls) != 0 ||
	    gnutls_credentials_set(w->tls, GNUTLS_CRD_CERTIFICATE,
				   server != NULL ? server : any_peer()) != 0)
		die("TLS cannot be begun");
	gnutls_transport_set_int(w->tls, w->fd);
	w->shaking = true;
	shake(w);
}

/* ------- bytes */

static ssize_t receive(struct wire *w, char *at)
{
	ssize_t n;

	if (w->tls == NULL) {
		n = recv(w->fd, at, ROOM, 0);
		return n < 0 && errno == EAGAIN ? GNUTLS_E_AGAIN : n;
	}
	return gnutls_record_recv(w->tls, at, ROOM);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;
	bool more;

	(void)fd;
	(void)what;
	if (w->shaking) {
		shake(w);
		return;
	}
	do {
		char *at = buf_room(&w->in, ROOM);
		ssize_t n;

		if (at == NULL)
			die("the peer sends more than is asked for");
		n = receive(w, at);
		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED)
			break;
		w->gone = n <= 0;
		if (n > 0)
			buf_grew(&w->in, (size_t)n);
		more = w->tls != NULL && !w->gone &&
		       gnutls_record_check_pending(w->tls) > 0;
	} while (more);
	w->heard(w->arg);
}

static ssize_t transmit(struct wire *w)
{
	struct span s = buf_span(&w->out);
	ssize_t n;

	if (w->tls != NULL)
		return gnutls_record_send(w->tls, s.at, s.len);
	n = send(w->fd, s.at, s.len, MSG_NOSIGNAL);
	return n < 0 && errno == EAGAIN ? GNUTLS_E_AGAIN : n;
}

void wire_add(struct wire *w, struct span bytes)
{
	if (!buf_add(&w->out, bytes))
		die("the peer takes nothing");
}

void wire_flush(struct wire *w)
{
	while (w->out.len > 0 && !w->gone) {
		ssize_t n = transmit(w);

		if (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED) {
			event_add(w->writable, NULL);
			return;
		}
		if (n <= 0)
			return; /* reading says so too */
		buf_take(&w->out, (size_t)n);
	}
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct wire *w = arg;

	(void)fd;
	(void)what;
	if (w->shaking)
		shake(w);
	else
		wire_flush(w);
}

struct wire *wire_new(struct event_base *base, int fd, wire_heard *heard,
		      void *arg)
{
	struct wire *w = xcalloc(1, sizeof(*w));

	w->fd = fd;
	w->heard = heard;
	w->arg = arg;
	buf_init(&w->in, IN_MAX);
	buf_init(&w->out, OUT_MAX);
	w->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, w);
	w->writable = event_new(base, fd, EV_WRITE, on_writable, w);
	if (w->readable == NULL || w->writable == NULL ||
	    event_add(w->readable, NULL) < 0)
		die("out of memory");
	return w;
}

void wire_free(struct wire *w)
{
	event_free(w->readable);
	event_free(w->writable);
	if (w->tls != NULL)
		gnutls_deinit(w->tls);
	close(w->fd);
	buf_release(&w->in);
	buf_release(&w->out);
	free(w);
}
