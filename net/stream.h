/* SPDX-License-Identifier: ISC */
/*
 * stream - a non-blocking connection: buffers, deadline, events, TLS upgrade.
 *
 * The owner gets one call for each event and reads or writes inside it:
 *
 *	STREAM_CONNECTED  the TCP connection stands (outgoing only)
 *	STREAM_READABLE   stream_input() has bytes
 *	STREAM_DRAINED    the output buffer fell under the low mark, over
 *			  which it was before
 *	STREAM_SECURED    the handshake that stream_secure() started is done
 *	STREAM_DEADLINE   the deadline passed
 *	STREAM_CLOSED     the peer closed in order (input may still wait)
 *	STREAM_FAILED     stream_error() says why; errno in err.os
 *
 * Callbacks come from the event loop only, never from inside a call of this
 * header, and never after stream_free().  A callback may free its stream, and
 * then returns at once.
 *
 * Back-pressure: stream_pause() stops reading; stream_output_bytes() tells how
 * much waits to be written.
 *
 * Thread: the worker whose event_base it was opened on.
 * Units:  _ms; bytes.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include "base/addr.h"
#include "base/bytes.h"
#include "net/transport.h"

struct event_base;
struct stream;

enum stream_event {
	STREAM_CONNECTED,
	STREAM_READABLE,
	STREAM_DRAINED,
	STREAM_SECURED,
	STREAM_DEADLINE,
	STREAM_CLOSED,
	STREAM_FAILED,
};

typedef void stream_seen(void *arg, enum stream_event event);

enum {
	STREAM_INPUT_MAX = 64 * 1024,
	STREAM_OUTPUT_MAX = 256 * 1024,
	STREAM_OUTPUT_LOW = 64 * 1024,
};

/* Over an accepted socket; owns fd from now on, also sets it non-blocking
 * and TCP_NODELAY. */
MUST_USE struct stream *stream_accepted(struct event_base *base, int fd,
					stream_seen *seen, void *arg);
/* Starts to connect; source NULL: any local address.  ST_TEMP with errno in
 * e->os when it failed at once. */
MUST_USE enum status stream_connect(
	struct stream **out, struct event_base *base, const struct addr *to,
	const struct addr *source, stream_seen *seen, void *arg, struct err *e);
void stream_free(struct stream *s); /* NULL is fine; closes at once */

/* What has been read; the owner takes from its front with buf_take().  While
 * it is full nothing more is read; who empties a full one outside of a
 * callback calls stream_resume(). */
struct buf *stream_input(struct stream *s);
/* Appends to the output and writes as soon as the loop turns; one write for
 * all that was appended in a turn.  False: it would exceed the maximum.
 * After STREAM_FAILED bytes are thrown away. */
MUST_USE bool stream_write(struct stream *s, struct span bytes);
size_t stream_output_bytes(const struct stream *s);

void stream_pause(struct stream *s);
/* Reads again; after a pause STREAM_READABLE comes if input waits. */
void stream_resume(struct stream *s);

/* Replaces the deadline; -1: none.  Counted from now. */
void stream_deadline(struct stream *s, int64_t in_ms);

/* Puts t (owned from now on) under the connected stream after the output that
 * waits has been written, and shakes hands; STREAM_SECURED or STREAM_FAILED
 * follows.  What is written meanwhile goes out after the handshake.
 * Input read in clear before is thrown away; returns how many bytes that
 * were (RFC 3207 4.2: a sign of injection). */
size_t stream_secure(struct stream *s, struct transport *t);
struct transport *stream_transport(struct stream *s); /* NULL: the socket */
/* Was STREAM_FAILED seen while shaking hands? */
bool stream_failed_in_handshake(const struct stream *s);

/* Writes out what waits, says goodbye, waits for the peer to close (all this
 * for at most linger_ms), closes and frees.  No callback any more.  A stream
 * that is connecting, shaking hands or failed is closed at once. */
void stream_finish(struct stream *s, int64_t linger_ms);
/* How many streams of this thread stream_finish() has still in hand. They must
 * be gone before their event_base is freed. */
unsigned stream_lingering(void);
/* Closes them at once. */
void stream_cut_lingering(void);

const struct err *stream_error(const struct stream *s);
int stream_fd(const struct stream *s);
const struct addr *stream_peer(const struct stream *s);
const struct addr *stream_local(const struct stream *s);
uint64_t stream_bytes_in(const struct stream *s);
uint64_t stream_bytes_out(const struct stream *s);

#endif
