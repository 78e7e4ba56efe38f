/* SPDX-License-Identifier: ISC */
/*
 * source - sends mail as fast as it is taken, or at a given rate.
 *
 *	source [-c CONNECTIONS] [-n MESSAGES] [-s BYTES] [-1] [-t] [-r RATE]
 *	       [-i] ADDRESS:PORT
 *
 *	-1  a connection for each message     -t  in TLS, by STARTTLS
 *	-r  messages a second, all together   -i  connects, says EHLO, prints
 *	                                          "ready", and waits for SIGTERM
 *
 * Envelope commands are pipelined, the content follows the 354.  Prints one
 * JSON object: messages, when the first connection and the last 250 came in
 * seconds of the monotonic clock, and percentiles of the time from the end of
 * the content to the 250 in milliseconds.  Any other reply ends it.
 */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bench/wire.h"

enum step {
	GREETING,
	HELLO,
	STARTTLS,
	SHAKING,
	ENVELOPE, /* MAIL, RCPT and DATA said: three answers */
	CONTENT, /* its end said */
	IDLE, /* waits for its turn, or for the end */
	QUIT,
};

static struct {
	struct event_base *base;
	struct addr to;
	size_t connections, messages, bytes;
	bool once, tls, idle;
	double rate;
	char *content; /* with its end; owned */
	size_t content_len;
	size_t begun, done, ready;
	double first, last;
	float *waits_ms; /* of each message; owned */
} source = {.connections = 1, .messages = 1, .bytes = 4096};

struct session {
	struct wire *wire;
	enum step step;
	unsigned awaited; /* answers */
	size_t sent; /* on this connection */
	double said; /* the end of the content */
	struct event *turn; /* of a given rate; owned */
};

static void connect_session(struct session *s);

static void make_content(void)
{
	static const char head[] = "From: <a@bench.test>\r\n"
				   "To: <b@bench.test>\r\nSubject: bench\r\n"
				   "Message-ID: <1@bench.test>\r\n\r\n";
	static const char end[] = "\r\n.\r\n";
	size_t head_len = sizeof(head) - 1, end_len = sizeof(end) - 1;
	size_t n = source.bytes > head_len + 2 ? source.bytes : head_len + 2;

	source.content = xcalloc(n + end_len, 1);
	memcpy(source.content, head, head_len);
	for (size_t i = head_len; i < n - 2; i++)
		source.content[i] = (char)('a' + i % 26);
	for (size_t i = head_len + 70; i + 4 < n; i += 72)
		memcpy(source.content + i, "\r\n", 2);
	memcpy(source.content + n - 2, end, end_len);
	source.content_len = n - 2 + end_len;
}

static void say(struct session *s, const char *text, enum step step,
		unsigned answers)
{
	wire_add(s->wire, span_of(text));
	wire_flush(s->wire);
	s->step = step;
	s->awaited = answers;
}

/* ------- turns */

static void say_envelope(struct session *s)
{
	say(s, "MAIL FROM:<a@bench.test>\r\nRCPT TO:<b@bench.test>\r\nDATA\r\n",
	    ENVELOPE, 3);
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	say_envelope(arg);
}

/* When the next message is due, if a rate is given. */
static void wait_for_turn(struct session *s)
{
	double due = source.first + (double)source.begun / source.rate;
	double wait = due - wire_now();
	struct timeval tv = {0, 0};

	if (wait > 0) {
		tv.tv_sec = (time_t)wait;
		tv.tv_usec = (suseconds_t)((wait - floor(wait)) * 1e6);
	}
	if (s->turn == NULL)
		s->turn = event_new(source.base, -1, 0, on_turn, s);
	s->step = IDLE;
	event_add(s->turn, &tv);
}

static void next(struct session *s)
{
	if (source.idle) {
		s->step = IDLE;
		if (++source.ready == source.connections) {
			puts("ready");
			fflush(stdout);
		}
		return;
	}
	if (source.begun == source.messages || (source.once && s->sent > 0)) {
		say(s, "QUIT\r\n", QUIT, 1);
		return;
	}
	if (source.rate > 0)
		wait_for_turn(s);
	else
		say_envelope(s);
	source.begun++;
}

static void taken(struct session *s)
{
	source.last = wire_now();
	source.waits_ms[source.done++] =
		(float)((source.last - s->said) * 1000);
	s->sent++;
	if (source.done == source.messages)
		event_base_loopbreak(source.base);
	else
		next(s);
}

/* ------- answers */

static void answered(struct session *s)
{
	switch (s->step) {
	case GREETING:
		say(s, "EHLO source.test\r\n", HELLO, 1);
		break;
	case HELLO:
		if (source.tls && s->wire->tls == NULL)
			say(s, "STARTTLS\r\n", STARTTLS, 1);
		else
			next(s);
		break;
	case STARTTLS:
		s->step = SHAKING;
		wire_start_tls(s->wire, NULL);
		break;
	case ENVELOPE:
		wire_add(s->wire,
			 (struct span){source.content, source.content_len});
		say(s, "", CONTENT, 1);
		s->said = wire_now();
		break;
	case CONTENT:
		taken(s);
		break;
	case SHAKING:
	case IDLE:
	case QUIT:
		break;
	}
}

/* Takes a line; true: it was the last of an answer. */
static bool take_line(struct session *s, bool *last)
{
	struct span in = buf_span(&s->wire->in);
	const char *end = memchr(in.at, '\n', in.len);

	if (in.len == 0 || end == NULL)
		return false;
	if (in.at[0] != '2' && in.at[0] != '3')
		die("source: %.*s", (int)(end - in.at), in.at);
	*last = end - in.at < 4 || in.at[3] != '-';
	buf_take(&s->wire->in, (size_t)(end - in.at) + 1);
	return true;
}

static void over(struct session *s)
{
	bool again = source.once && source.begun < source.messages;

	if (s->step != QUIT && !source.idle)
		die("source: the connection broke");
	wire_free(s->wire);
	s->wire = NULL;
	if (again)
		connect_session(s);
}

static void on_heard(void *arg)
{
	struct session *s = arg;
	bool last;

	if (s->step == SHAKING && !s->wire->gone)
		say(s, "EHLO source.test\r\n", HELLO, 1);
	while (s->wire != NULL && take_line(s, &last)) {
		if (!last || s->awaited == 0 || --s->awaited > 0)
			continue;
		if (s->step == QUIT) {
			over(s);
			return;
		}
		answered(s);
	}
	if (s->wire != NULL && s->wire->gone)
		over(s);
}

static void connect_session(struct session *s)
{
	s->wire = wire_new(source.base, wire_connect(&source.to), on_heard, s);
	s->step = GREETING;
	s->awaited = 1;
	s->sent = 0;
}

/* ------- the whole */

static int compare(const void *a, const void *b)
{
	float x = *(const float *)a, y = *(const float *)b;

	return (x > y) - (x < y);
}

static double percentile(double p)
{
	if (source.done == 0)
		return 0;
	return (double)source.waits_ms[(size_t)((double)(source.done - 1) * p)];
}

static void report(void)
{
	qsort(source.waits_ms, source.done, sizeof(float), compare);
	printf("{\"messages\": %zu, \"first\": %.6f, \"last\": %.6f, "
	       "\"p50_ms\": %.3f, \"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
	       source.done, source.first, source.last, percentile(0.5),
	       percentile(0.99), percentile(1));
}

static void on_term(evutil_socket_t sig, short what, void *arg)
{
	(void)sig;
	(void)what;
	(void)arg;
	event_base_loopbreak(source.base);
}

static size_t number(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);

	if (*end != '\0' || n == 0)
		die("source: %s is no number", text);
	return (size_t)n;
}

static void set(int option, const char *value)
{
	switch (option) {
	case 'c':
		source.connections = number(value);
		break;
	case 'n':
		source.messages = number(value);
		break;
	case 's':
		source.bytes = number(value);
		break;
	case 'r':
		source.rate = (double)number(value);
		break;
	case '1':
		source.once = true;
		break;
	case 't':
		source.tls = true;
		break;
	case 'i':
		source.idle = true;
		break;
	default:
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct session *sessions;
	struct event *term;
	int c;

	while ((c = getopt(argc, argv, "c:n:s:r:1ti")) != -1)
		set(c, optarg);
	if (optind + 1 != argc ||
	    !addr_parse(argv[optind], PORT_SMTP, &source.to))
		die("usage: source [-c CONNECTIONS] [-n MESSAGES] [-s BYTES] "
		    "[-1] [-t] [-r RATE] [-i] ADDRESS:PORT");
	make_content();
	source.waits_ms = xcalloc(source.messages, sizeof(float));
	source.base = event_base_new();
	term = event_new(source.base, SIGTERM, EV_SIGNAL, on_term, NULL);
	if (event_add(term, NULL) < 0)
		die("source: out of memory");
	sessions = xcalloc(source.connections, sizeof(*sessions));
	source.first = wire_now();
	for (size_t i = 0; i < source.connections; i++)
		connect_session(&sessions[i]);
	event_base_dispatch(source.base);
	report();
	return EXIT_SUCCESS;
}
