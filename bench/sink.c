/* SPDX-License-Identifier: ISC */
/*
 * sink - takes mail as fast as it comes, counts it, and throws it away.
 *
 *	sink [-c CERTIFICATE -k KEY] [-n MESSAGES] ADDRESS:PORT
 *
 * Offers STARTTLS if there is a certificate.  Prints "ready", and at the end
 * (after MESSAGES, or at SIGTERM) one JSON object: messages, bytes, and when
 * the first connection and the last message came, in seconds of the
 * monotonic clock.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/wire.h"

static struct {
	struct event_base *base;
	gnutls_certificate_credentials_t cred; /* NULL: no STARTTLS */
	uint64_t wanted, messages, bytes;
	double first, last;
} sink;

struct guest {
	struct wire *wire;
	bool in_data;
	bool fresh; /* at the beginning of the content */
};

static void guest_free(struct guest *g)
{
	wire_free(g->wire);
	free(g);
}

static void say(struct guest *g, const char *text)
{
	wire_add(g->wire, span_of(text));
}

static void message_came(struct guest *g)
{
	g->in_data = false;
	sink.messages++;
	sink.last = wire_now();
	say(g, "250 2.0.0 Ok\r\n");
	if (sink.messages == sink.wanted) {
		wire_flush(g->wire);
		event_base_loopbreak(sink.base);
	}
}

/* Takes content up to its end, or all but what could be the beginning of the
 * end; false: more has to come. */
static bool take_content(struct guest *g)
{
	static const struct span end = {"\r\n.\r\n", 5};
	struct span s = buf_span(&g->wire->in);
	const char *found;
	size_t n;

	if (g->fresh && s.len >= 3 && memcmp(s.at, ".\r\n", 3) == 0) {
		buf_take(&g->wire->in, 3);
		message_came(g);
		return true;
	}
	if (s.len < end.len)
		return false;
	g->fresh = false;
	found = memmem(s.at, s.len, end.at, end.len);
	n = found != NULL ? (size_t)(found - s.at) + end.len
			  : s.len - (end.len - 1);
	sink.bytes += n;
	buf_take(&g->wire->in, n);
	if (found == NULL)
		return false;
	message_came(g);
	return true;
}

static void greet(struct guest *g)
{
	say(g, "250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n"
	       "250-ENHANCEDSTATUSCODES\r\n");
	if (sink.cred != NULL && g->wire->tls == NULL)
		say(g, "250-STARTTLS\r\n");
	say(g, "250 SIZE 0\r\n");
}

enum after { GO_ON, HANDSHAKE, OVER };

static enum after obey(struct guest *g, struct span line)
{
	if (span_starts_nocase(line, SPAN("EHLO")) ||
	    span_starts_nocase(line, SPAN("HELO"))) {
		greet(g);
	} else if (span_starts_nocase(line, SPAN("DATA"))) {
		g->in_data = g->fresh = true;
		say(g, "354 Go ahead\r\n");
	} else if (span_starts_nocase(line, SPAN("QUIT"))) {
		say(g, "221 2.0.0 Bye\r\n");
		return OVER;
	} else if (span_starts_nocase(line, SPAN("STARTTLS"))) {
		say(g, "220 2.0.0 Go ahead\r\n");
		return HANDSHAKE;
	} else {
		say(g, "250 2.0.0 Ok\r\n");
	}
	return GO_ON;
}

static bool take_line(struct guest *g, enum after *after)
{
	struct span s = buf_span(&g->wire->in);
	const char *end = memchr(s.at, '\n', s.len);

	if (s.len == 0 || end == NULL)
		return false;
	*after = obey(g, (struct span){s.at, (size_t)(end - s.at)});
	buf_take(&g->wire->in, (size_t)(end - s.at) + 1);
	return true;
}

static void on_heard(void *arg)
{
	struct guest *g = arg;
	enum after after = GO_ON;

	while (after == GO_ON &&
	       (g->in_data ? take_content(g) : take_line(g, &after)))
		;
	wire_flush(g->wire);
	if (after == OVER || g->wire->gone)
		guest_free(g);
	else if (after == HANDSHAKE)
		wire_start_tls(g->wire, sink.cred);
}

static void on_knock(evutil_socket_t fd, short what, void *arg)
{
	int c;

	(void)what;
	(void)arg;
	while ((c = wire_accept(fd)) >= 0) {
		struct guest *g = xcalloc(1, sizeof(*g));

		if (sink.first == 0)
			sink.first = wire_now();
		g->wire = wire_new(sink.base, c, on_heard, g);
		say(g, "220 sink.test ESMTP\r\n");
		wire_flush(g->wire);
	}
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	event_base_loopbreak(sink.base);
}

static void load(const char *certificate, const char *key)
{
	if (gnutls_certificate_allocate_credentials(&sink.cred) != 0 ||
	    gnutls_certificate_set_x509_key_file(sink.cred, certificate, key,
						 GNUTLS_X509_FMT_PEM) < 0)
		die("sink: cannot load %s", certificate);
}

static void listen_at(const char *text)
{
	struct event *knock, *term;
	struct addr at;

	if (!addr_parse(text, PORT_SMTP, &at))
		die("sink: %s is no address", text);
	sink.base = event_base_new();
	knock = event_new(sink.base, wire_listen(&at), EV_READ | EV_PERSIST,
			  on_knock, NULL);
	term = event_new(sink.base, SIGTERM, EV_SIGNAL, on_term, NULL);
	if (event_add(knock, NULL) < 0 || event_add(term, NULL) < 0)
		die("sink: out of memory");
	puts("ready");
	fflush(stdout);
	event_base_dispatch(sink.base);
}

int main(int argc, char **argv)
{
	const char *certificate = NULL, *key = NULL;
	int c;

	while ((c = getopt(argc, argv, "c:k:n:")) != -1) {
		if (c == 'c')
			certificate = optarg;
		else if (c == 'k')
			key = optarg;
		else if (c == 'n')
			sink.wanted = strtoull(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind + 1 != argc)
		die("usage: sink [-c CERTIFICATE -k KEY] [-n MESSAGES] "
		    "ADDRESS:PORT");
	if (certificate != NULL)
		load(certificate, key != NULL ? key : certificate);
	listen_at(argv[optind]);
	printf("{\"messages\": %llu, \"bytes\": %llu, \"first\": %.6f, "
	       "\"last\": %.6f}\n",
	       (unsigned long long)sink.messages,
	       (unsigned long long)sink.bytes, sink.first, sink.last);
	return EXIT_SUCCESS;
}
