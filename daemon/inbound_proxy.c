/* SPDX-License-Identifier: ISC */
/*
 * inbound_proxy - the PROXY header, before anything else is heard or said.
 *
 * The stream must not see a byte of it, nor may we take one that is behind it:
 * that could be the begin of a TLS handshake.  So the stream is paused, and
 * the socket is first looked at, then read up to where the header ends.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <event2/event.h>

#include "base/log.h"
#include "daemon/inbound_session.h"

enum { HEADER_TIMEOUT_MS = 10 * 1000 };

struct inbound_proxy {
	struct event *readable;
	size_t len;
	char bytes[PROXY_HEADER_MAX];
};

bool inbound_proxy_expected(const struct inbound *s)
{
	const struct conf_listener *l = s->listener;

	for (size_t i = 0; i < l->nproxies && !s->ours; i++)
		if (network_has(&l->proxies[i], &s->peer))
			return true;
	return false;
}

void inbound_proxy_log(const struct inbound *s, const char *why)
{
	char proxy[ADDR_TEXT_MAX];

	addr_text(proxy, &s->peer);
	log_fact(LOG_WARN, 0, "proxy-refused",
		 F_STR("listener", s->listener->name), F_STR("proxy", proxy),
		 F_STR("text", why));
}

/* Takes n more bytes, which are known to be there. */
static bool take(struct inbound_proxy *p, int fd, size_t n)
{
	ssize_t got = recv(fd, p->bytes + p->len, n, MSG_DONTWAIT);

	if (got != (ssize_t)n)
		return false;
	p->len += n;
	return true;
}

/* NULL: *result says how far it is. */
static const char *read_header(struct inbound_proxy *p, int fd,
			       enum proxy_result *result,
			       struct proxy_header *header)
{
	ssize_t got = recv(fd, p->bytes + p->len, sizeof(p->bytes) - p->len,
			   MSG_PEEK | MSG_DONTWAIT);
	size_t before = p->len, n;

	*result = PROXY_MORE;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return NULL;
	if (got <= 0)
		return "the connection ended before its header";
	n = (size_t)got;
	*result = proxy_parse((struct span){p->bytes, before + n}, header);
	if (*result == PROXY_BAD)
		return "no PROXY header";
	if (*result == PROXY_DONE)
		n = header->len - before;
	return take(p, fd, n) ? NULL : "the header can't be read";
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct inbound *s = arg;
	struct proxy_header header;
	enum proxy_result result;
	const char *why = read_header(s->proxy, fd, &result, &header);

	(void)what;
	if (why) {
		inbound_proxy_log(s, why);
		inbound_over(s);
		return;
	}
	if (result != PROXY_DONE)
		return;
	inbound_proxy_end(s);
	if (!header.is_local)
		s->peer = header.client;
	inbound_welcome(s);
}

void inbound_proxy_begin(struct inbound *s)
{
	struct inbound_proxy *p = xcalloc(1, sizeof(*p));

	p->readable = event_new(s->worker->base, stream_fd(s->stream),
				EV_READ | EV_PERSIST, on_readable, s);
	BUG_ON(!p->readable || event_add(p->readable, NULL) < 0);
	s->proxy = p;
	stream_pause(s->stream);
	stream_deadline(s->stream, HEADER_TIMEOUT_MS);
}

void inbound_proxy_end(struct inbound *s)
{
	if (!s->proxy)
		return;
	event_free(s->proxy->readable);
	free(s->proxy);
	s->proxy = NULL;
}
