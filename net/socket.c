/* SPDX-License-Identifier: ISC */
/*
 * socket - connects sockets and moves bytes over them as they are.
 */
#include "net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <unistd.h>

enum { DISCARD_PIECE = 4096, DISCARD_PIECES = 16 };

/* ------- connect */

static enum status connect_failed(struct err *e, int os, const struct addr *to)
{
	char text[ADDR_TEXT_MAX];

	addr_text(text, to);
	err_sys(e, os, "connect to %s", text);
	e->subject = 4; /* RFC 3463 X.4.1: no answer from host */
	e->detail = 1;
	return ST_TEMP;
}

static enum status bind_source(int fd, const struct addr *source, struct err *e)
{
	char text[ADDR_TEXT_MAX];
	const int on = 1;
	int os;

	/* Leaves the port to connect(), which knows the destination and can
	 * use a port for several of them. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	if (bind(fd, &source->sa, source->len) == 0)
		return ST_OK;
	os = errno;
	addr_text(text, source);
	return err_sys(e, os, "bind to the source address %s", text);
}

enum status socket_connect(int *out_fd, const struct addr *to,
			   const struct addr *source, struct err *e)
{
	const int type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
	enum status st = ST_OK;
	int fd;

	fd = socket(to->sa.sa_family, type, 0);
	if (fd < 0)
		return err_sys(e, errno, "socket");
	if (source)
		st = bind_source(fd, source, e);
	if (st != ST_OK)
		goto out;
	if (connect(fd, &to->sa, to->len) < 0 && errno != EINPROGRESS) {
		st = connect_failed(e, errno, to);
		goto out;
	}
	*out_fd = fd;
	fd = -1;
out:
	if (fd >= 0)
		close(fd);
	return st;
}

enum transport_result socket_connected(int fd, const struct addr *to,
				       struct err *e)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	int os = 0;
	socklen_t os_len = sizeof(os);

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &os, &os_len) < 0)
		os = errno;
	/* No error yet may also mean no answer yet. */
	if (os == 0 && getpeername(fd, (struct sockaddr *)&sa, &len) < 0) {
		if (errno == ENOTCONN)
			return TRANSPORT_WANTS_WRITE;
		os = errno;
	}
	if (os == 0)
		return TRANSPORT_OK;
	connect_failed(e, os, to);
	return TRANSPORT_FAILED;
}

void socket_prepare(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	const int on = 1;

	BUG_ON(flags < 0);
	if (!(flags & O_NONBLOCK))
		fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	/* A socket that is not TCP has no such delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void socket_names(int fd, struct addr *local, struct addr *peer)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	*local = *peer = (struct addr){.len = 0};
	if (getsockname(fd, (struct sockaddr *)&sa, &len) == 0)
		addr_from_sockaddr(local, (struct sockaddr *)&sa, len);
	len = sizeof(sa);
	if (getpeername(fd, (struct sockaddr *)&sa, &len) == 0)
		addr_from_sockaddr(peer, (struct sockaddr *)&sa, len);
}

bool socket_discard(int fd)
{
	char bin[DISCARD_PIECE];
	ssize_t len;

	for (int i = 0; i < DISCARD_PIECES; i++) {
		len = recv(fd, bin, sizeof(bin), MSG_DONTWAIT);
		if (len == 0)
			return false;
		if (len < 0)
			return errno == EAGAIN || errno == EINTR;
	}
	return true;
}

/* ------- the transport */

static int fd_of(const struct transport *t)
{
	return CONTAINER_OF(t, struct socket_transport, transport)->fd;
}

static enum transport_result broken(struct err *e, int os, const char *what)
{
	err_sys(e, os, "%s the peer", what);
	e->subject = 4; /* RFC 3463 X.4.2: bad connection */
	e->detail = 2;
	return TRANSPORT_FAILED;
}

static enum transport_result socket_read(struct transport *t, char *at,
					 size_t max, size_t *n, struct err *e)
{
	ssize_t len;

	do {
		len = recv(fd_of(t), at, max, 0);
	} while (len < 0 && errno == EINTR);
	if (len == 0)
		return TRANSPORT_EOF;
	if (len < 0 && errno == EAGAIN)
		return TRANSPORT_WANTS_READ;
	if (len < 0)
		return broken(e, errno, "read from");
	*n = (size_t)len;
	return TRANSPORT_OK;
}

static enum transport_result socket_write(struct transport *t, const char *at,
					  size_t len, size_t *n, struct err *e)
{
	ssize_t sent;

	do {
		sent = send(fd_of(t), at, len, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno == EAGAIN)
		return TRANSPORT_WANTS_WRITE;
	if (sent < 0)
		return broken(e, errno, "write to");
	*n = (size_t)sent;
	return TRANSPORT_OK;
}

static size_t socket_pending(const struct transport *t)
{
	(void)t;
	return 0;
}

/* Shutting down and closing are the owner's. */
static void socket_idle(struct transport *t)
{
	(void)t;
}

static const struct transport_ops socket_ops = {
	.read = socket_read,
	.write = socket_write,
	.pending = socket_pending,
	.shutdown = socket_idle,
	.free = socket_idle,
};

void socket_transport_init(struct socket_transport *t, int fd)
{
	*t = (struct socket_transport){
		.transport.ops = &socket_ops,
		.fd = fd,
	};
}
