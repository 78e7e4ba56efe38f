/* SPDX-License-Identifier: ISC */
/*
 * wire - a non-blocking connection of the benchmark's own peers: bytes in,
 * bytes out, in clear text or in TLS, with as few calls as can be.
 *
 * It is not relayd's net/stream and tls/session, so that what is measured
 * does not measure with itself.
 *
 * Thread: the only one.  What cannot go on ends the program with a sentence.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <event2/event.h>
#include <gnutls/gnutls.h>

#include "base/addr.h"
#include "base/bytes.h"

/* Something was read, the handshake is done, or the peer is gone.  It may
 * free the wire. */
typedef void wire_heard(void *arg);

struct wire {
	int fd;
	struct event *readable, *writable; /* owned */
	gnutls_session_t tls; /* NULL: clear text */
	bool shaking; /* the handshake is not done */
	bool gone; /* the peer closed, or it broke */
	struct buf in, out;
	wire_heard *heard;
	void *arg; /* borrowed */
};

/* fd (non-blocking) is the wire's from here on. */
MUST_USE struct wire *wire_new(struct event_base *base, int fd,
			       wire_heard *heard, void *arg);
void wire_free(struct wire *w);

/* Bytes wait until wire_flush, which sends all of them together. */
void wire_add(struct wire *w, struct span bytes);
void wire_flush(struct wire *w);

/* Nothing may be left in either buffer.  server NULL: a client that takes any
 * certificate. */
void wire_start_tls(struct wire *w, gnutls_certificate_credentials_t server);

MUST_USE int wire_connect(const struct addr *to);
MUST_USE int wire_listen(const struct addr *at);
/* -1: there is none now. */
MUST_USE int wire_accept(int fd);

/* Seconds of the monotonic clock, the same for all processes. */
double wire_now(void);
/* Ends the program. */
_Noreturn void die(const char *fmt, ...) PRINTF(1, 2);

#endif
