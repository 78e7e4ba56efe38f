/* SPDX-License-Identifier: ISC */
/*
 * stream - moves bytes between a connection and its owner's buffers, and
 * tells the owner what happened.
 *
 * All work is done in work(), which runs from the event loop only: when the
 * socket is ready, or in a `turn` that a call of the owner asked for.  Its
 * steps stand in the order in which a connection lives (connect, push, shake,
 * pull); each does what the phase allows and returns false when the stream
 * is no more, upon which the caller returns at once.
 *
 *	CONNECTING -> OPEN <-> CLEARING -> SHAKING -> OPEN
 *	              OPEN  -> FINISHING -> DRAINING -> freed
 *	              any   -> OVER, when it failed
 *
 * A read of a transport may have to write first, and a write to read (TLS).
 * So each direction remembers what the socket must be ready for before it is
 * tried again: read_needs, write_needs.
 *
 * A peer that has said its last word often closes while we still write to it.
 * Therefore a write that fails is told of only after what can still be read;
 * and stream_finish() reads until the peer closes too, because close() with
 * unread input resets the connection, and the peer may lose our last words.
 *
 * A stream with nothing to do has no buffer: 10,000 idle ones cost little.
 */
#include "net/stream.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <unistd.h>

#include "net/socket.h"

enum {
	READ_LEAST = 16 * 1024, /* most messages are shorter */
	READ_TURN = 64 * 1024, /* then the others have their turn */
};

_Static_assert(READ_TURN >= READ_LEAST, "a turn reads at least once");

enum phase {
	CONNECTING, /* connect() is under way */
	OPEN, /* bytes flow */
	CLEARING, /* the last bytes in clear go out, then the handshake */
	SHAKING, /* the handshake is under way */
	FINISHING, /* no owner any more; the output goes out */
	DRAINING, /* no owner any more; waits for the peer to close */
	OVER, /* failed: nothing moves */
};

struct stream {
	stream_seen *seen;
	void *arg; /* seen's */
	enum phase phase;
	int fd;
	struct socket_transport socket;
	struct transport *secure; /* owned; NULL: the bare socket is used */
	struct buf in, out;
	size_t clear_bytes; /* CLEARING: of out, what goes in clear */
	size_t read_bytes; /* how much to try to read at once */

	struct event readable, writable, deadline, turn;
	short read_needs; /* EV_READ or EV_WRITE */
	short write_needs; /* likewise, or 0: may be tried at once */

	bool paused;
	bool rouse; /* the owner wants to see what waits in `in` */
	bool was_high; /* out was over the low mark since STREAM_DRAINED */
	bool ended; /* the peer closed in order */
	bool ended_told;
	bool failed_in_handshake;
	bool telling; /* inside a callback, which may give the stream away */
	bool freed; /* in there: only the memory is left */

	struct stream *prev, *next; /* of those that linger */
	struct err *error; /* owned; NULL: no failure */
	struct addr peer, local;
	uint64_t bytes_in, bytes_out;
};

/* Those whose owner called stream_finish(), of this thread. */
static _Thread_local struct stream *lingering;

/* ------- talking to the owner */

static bool has_owner(const struct stream *s)
{
	return s->seen != NULL;
}

/* False: the owner gave s away, and it must not be touched. */
MUST_USE static bool tell(struct stream *s, enum stream_event event)
{
	s->telling = true;
	s->seen(s->arg, event);
	s->telling = false;
	if (s->freed) {
		free(s);
		return false;
	}
	return has_owner(s);
}

/* The first failure is the cause of all that follow. */
static void note_error(struct stream *s, const struct err *e)
{
	if (s->error)
		return;
	s->error = xmalloc(sizeof(*s->error));
	*s->error = *e;
}

/* Runs work() in this turn of the loop, after what is active already. */
static void wake(struct stream *s)
{
	event_active(&s->turn, EV_TIMEOUT, 1);
}

/* Runs work() after the loop has looked at the other sockets. */
static void wake_later(struct stream *s)
{
	static const struct timeval at_once = {0, 0};

	event_add(&s->turn, &at_once);
}

/* ------- the transport */

static struct transport *via(struct stream *s)
{
	if (s->secure && s->phase != CLEARING)
		return s->secure;
	return &s->socket.transport;
}

static short needs(enum transport_result r)
{
	return r == TRANSPORT_WANTS_WRITE ? EV_WRITE : EV_READ;
}

static bool may_read(const struct stream *s)
{
	return s->phase == OPEN && !s->paused && !s->ended &&
	       s->in.len < STREAM_INPUT_MAX;
}

/* What the socket must be ready for, for anything to go on. */
static short wanted(const struct stream *s)
{
	switch (s->phase) {
	case CONNECTING:
		return EV_WRITE;
	case OPEN:
		return (short)((may_read(s) ? s->read_needs : 0) |
			       (s->out.len > 0 ? s->write_needs : 0));
	case CLEARING:
	case SHAKING:
	case FINISHING:
		return s->write_needs;
	case DRAINING:
		return EV_READ;
	case OVER:
		return 0;
	}
	BUG_ON(true);
	return 0;
}

static void set_watch(struct event *ev, bool on)
{
	bool is_on = event_pending(ev, EV_READ | EV_WRITE, NULL) != 0;

	if (on && !is_on)
		event_add(ev, NULL);
	else if (!on && is_on)
		event_del(ev);
}

/* A pause is often over before the peer says anything: the watch for reading
 * is given up only when it has woken us in vain, that is in the pause. */
static void watch(struct stream *s, short in_vain)
{
	short want = wanted(s);
	bool lazy = s->phase == OPEN && s->paused && !(in_vain & EV_READ);

	if (!lazy || (want & EV_READ))
		set_watch(&s->readable, want & EV_READ);
	set_watch(&s->writable, want & EV_WRITE);
}

/* ------- connect */

MUST_USE static bool connect_step(struct stream *s)
{
	struct err e;

	if (s->phase != CONNECTING)
		return true;
	switch (socket_connected(s->fd, &s->peer, &e)) {
	case TRANSPORT_OK:
		socket_names(s->fd, &s->local, &s->peer);
		s->phase = OPEN;
		return tell(s, STREAM_CONNECTED);
	case TRANSPORT_WANTS_READ:
	case TRANSPORT_WANTS_WRITE:
		return true;
	case TRANSPORT_EOF:
	case TRANSPORT_FAILED:
		note_error(s, &e);
		return true;
	}
	BUG_ON(true);
	return true;
}

/* ------- push: the output */

static size_t to_push(const struct stream *s)
{
	switch (s->phase) {
	case OPEN:
	case FINISHING:
		return s->out.len;
	case CLEARING:
		return s->clear_bytes;
	case CONNECTING:
	case SHAKING:
	case DRAINING:
	case OVER:
		return 0;
	}
	BUG_ON(true);
	return 0;
}

static void pushed(struct stream *s, size_t n)
{
	if (s->phase == CLEARING)
		s->clear_bytes -= n;
	buf_take(&s->out, n);
	s->bytes_out += n;
	if (s->out.len == 0)
		buf_release(&s->out);
}

static void push_bytes(struct stream *s)
{
	struct transport *t = via(s);
	enum transport_result r = TRANSPORT_OK;
	struct err e;
	size_t len, n;

	while (r == TRANSPORT_OK && (len = to_push(s)) > 0) {
		r = t->ops->write(t, buf_span(&s->out).at, len, &n, &e);
		switch (r) {
		case TRANSPORT_OK:
			pushed(s, n);
			break;
		case TRANSPORT_WANTS_READ:
		case TRANSPORT_WANTS_WRITE:
			s->write_needs = needs(r);
			break;
		case TRANSPORT_EOF:
			err_temp(&e, 4, 2, "write to the peer: it closed");
			e.os = EPIPE;
			note_error(s, &e);
			break;
		case TRANSPORT_FAILED:
			note_error(s, &e);
			break;
		}
	}
}

MUST_USE static bool push(struct stream *s, short ready)
{
	if (to_push(s) == 0 || (s->write_needs && !(s->write_needs & ready)))
		return true;
	s->write_needs = 0;
	push_bytes(s);
	if (s->error || !has_owner(s))
		return true;
	if (s->was_high && s->out.len < STREAM_OUTPUT_LOW) {
		s->was_high = false;
		return tell(s, STREAM_DRAINED);
	}
	return true;
}

/* ------- shake: the handshake */

static void shake_failed(struct stream *s, const struct err *e)
{
	s->failed_in_handshake = true;
	note_error(s, e);
}

static enum transport_result shake_hands(struct stream *s, struct err *e)
{
	struct transport *t = via(s);

	return t->ops->handshake ? t->ops->handshake(t, e) : TRANSPORT_OK;
}

MUST_USE static bool shake(struct stream *s, short ready)
{
	enum transport_result r;
	struct err e;

	if (s->phase == CLEARING && s->clear_bytes == 0 && !s->error) {
		s->phase = SHAKING;
		s->write_needs = 0;
	}
	if (s->phase != SHAKING ||
	    (s->write_needs && !(s->write_needs & ready)))
		return true;
	s->write_needs = 0;
	r = shake_hands(s, &e);
	switch (r) {
	case TRANSPORT_OK:
		s->phase = OPEN;
		s->read_needs = EV_READ;
		/* Output that was added meanwhile, input that came along. */
		wake(s);
		return tell(s, STREAM_SECURED);
	case TRANSPORT_WANTS_READ:
	case TRANSPORT_WANTS_WRITE:
		s->write_needs = needs(r);
		return true;
	case TRANSPORT_EOF:
		err_temp(&e, 4, 2, "the peer closed in the handshake");
		shake_failed(s, &e);
		return true;
	case TRANSPORT_FAILED:
		shake_failed(s, &e);
		return true;
	}
	BUG_ON(true);
	return true;
}

/* ------- pull: the input */

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Large reads for those who send much, small buffers for the others. */
static void tune(struct stream *s, size_t room, size_t n)
{
	if (n == room && s->read_bytes < READ_TURN)
		s->read_bytes *= 4;
	else if (n < s->read_bytes / 4 && s->read_bytes > READ_LEAST)
		s->read_bytes /= 4;
}

static void pull_ended(struct stream *s, enum transport_result r,
		       const struct err *e)
{
	switch (r) {
	case TRANSPORT_OK:
		s->read_needs = EV_READ;
		break;
	case TRANSPORT_WANTS_READ:
	case TRANSPORT_WANTS_WRITE:
		s->read_needs = needs(r);
		break;
	case TRANSPORT_EOF:
		s->ended = true;
		break;
	case TRANSPORT_FAILED:
		note_error(s, e);
		break;
	}
}

/* True: bytes came. */
static bool pull_bytes(struct stream *s)
{
	struct transport *t = via(s);
	enum transport_result r = TRANSPORT_OK;
	size_t left = least(READ_TURN, STREAM_INPUT_MAX - s->in.len);
	size_t n, room, before = s->in.len;
	struct err e;
	bool more = true;

	while (more && left > 0) {
		room = least(s->read_bytes, left);
		r = t->ops->read(t, buf_room(&s->in, room), room, &n, &e);
		if (r != TRANSPORT_OK)
			break;
		buf_grew(&s->in, n);
		left -= n;
		tune(s, room, n);
		/* A socket that gave less than asked for is empty. */
		more = n == room || t->ops->pending(t) > 0;
	}
	pull_ended(s, r, &e);
	s->bytes_in += s->in.len - before;
	return s->in.len > before;
}

/* What the socket's readiness does not show. */
static bool input_waits_inside(struct stream *s)
{
	struct transport *t = via(s);

	return may_read(s) && (s->read_needs & EV_READ) &&
	       t->ops->pending(t) > 0;
}

MUST_USE static bool tell_input(struct stream *s, bool came)
{
	bool show = came || (s->rouse && !s->paused);

	if (show) {
		s->rouse = false;
		if (s->in.len > 0 && !tell(s, STREAM_READABLE))
			return false;
	}
	if (s->in.len == 0)
		buf_release(&s->in);
	if (s->ended && !s->ended_told && !s->paused && s->phase == OPEN) {
		s->ended_told = true;
		return tell(s, STREAM_CLOSED);
	}
	return true;
}

MUST_USE static bool pull(struct stream *s, short ready)
{
	bool came = false;

	if (s->phase != OPEN)
		return true;
	if (may_read(s) &&
	    (s->error || (ready & s->read_needs) || input_waits_inside(s)))
		came = pull_bytes(s);
	if (!tell_input(s, came))
		return false;
	if (input_waits_inside(s))
		wake_later(s);
	return true;
}

/* ------- the end */

/* Tells of a failure that one of the steps noted. */
MUST_USE static bool give_up(struct stream *s)
{
	if (!s->error || s->phase == OVER)
		return true;
	if (!has_owner(s)) {
		stream_free(s);
		return false;
	}
	s->phase = OVER;
	watch(s, 0);
	return tell(s, STREAM_FAILED);
}

/* The output is out: says goodbye. */
static void start_draining(struct stream *s)
{
	struct transport *t = via(s);

	t->ops->shutdown(t);
	s->phase = DRAINING;
	buf_release(&s->in);
	if (shutdown(s->fd, SHUT_WR) < 0)
		s->ended = true;
}

MUST_USE static bool finish_step(struct stream *s, short ready)
{
	if (s->phase == FINISHING && s->out.len == 0)
		start_draining(s);
	if (s->phase != DRAINING)
		return true;
	if (ready & EV_READ)
		s->ended = !socket_discard(s->fd);
	if (!s->ended)
		return true;
	stream_free(s);
	return false;
}

/* ------- the event loop's side */

static void work(struct stream *s, short ready)
{
	short in_vain = s->paused ? ready : 0;

	if (!connect_step(s) || !push(s, ready) || !shake(s, ready) ||
	    !pull(s, ready) || !give_up(s) || !finish_step(s, ready))
		return;
	watch(s, in_vain);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	work(arg, what & (EV_READ | EV_WRITE));
}

static void on_turn(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	work(arg, 0);
}

static void on_deadline(evutil_socket_t fd, short what, void *arg)
{
	struct stream *s = arg;

	(void)fd;
	(void)what;
	if (!has_owner(s))
		stream_free(s);
	else if (s->phase != OVER && !tell(s, STREAM_DEADLINE))
		return;
}

/* ------- open and close */

static struct stream *stream_new(struct event_base *base, int fd,
				 stream_seen *seen, void *arg)
{
	struct stream *s = xcalloc(1, sizeof(*s));

	s->fd = fd;
	s->seen = seen;
	s->arg = arg;
	s->read_bytes = READ_LEAST;
	s->read_needs = EV_READ;
	buf_init(&s->in, STREAM_INPUT_MAX);
	buf_init(&s->out, STREAM_OUTPUT_MAX);
	socket_transport_init(&s->socket, fd);
	event_assign(&s->readable, base, fd, EV_READ | EV_PERSIST, on_ready, s);
	event_assign(&s->writable, base, fd, EV_WRITE | EV_PERSIST, on_ready,
		     s);
	evtimer_assign(&s->deadline, base, on_deadline, s);
	evtimer_assign(&s->turn, base, on_turn, s);
	socket_prepare(fd);
	return s;
}

struct stream *stream_accepted(struct event_base *base, int fd,
			       stream_seen *seen, void *arg)
{
	struct stream *s = stream_new(base, fd, seen, arg);

	socket_names(fd, &s->local, &s->peer);
	s->phase = OPEN;
	watch(s, 0);
	return s;
}

enum status stream_connect(struct stream **out, struct event_base *base,
			   const struct addr *to, const struct addr *source,
			   stream_seen *seen, void *arg, struct err *e)
{
	struct stream *s;
	enum status st;
	int fd;

	st = socket_connect(&fd, to, source, e);
	if (st != ST_OK)
		return st;
	s = stream_new(base, fd, seen, arg);
	s->phase = CONNECTING;
	s->peer = *to;
	watch(s, 0);
	*out = s;
	return ST_OK;
}

static void linger(struct stream *s)
{
	s->next = lingering;
	if (s->next)
		s->next->prev = s;
	lingering = s;
}

static void linger_no_more(struct stream *s)
{
	if (s->next)
		s->next->prev = s->prev;
	if (s->prev)
		s->prev->next = s->next;
	else
		lingering = s->next;
}

void stream_free(struct stream *s)
{
	if (!s)
		return;
	if (s->phase == FINISHING || s->phase == DRAINING)
		linger_no_more(s);
	event_del(&s->readable);
	event_del(&s->writable);
	event_del(&s->deadline);
	event_del(&s->turn);
	if (s->secure)
		s->secure->ops->free(s->secure);
	close(s->fd);
	buf_release(&s->in);
	buf_release(&s->out);
	free(s->error);
	if (s->telling)
		s->freed = true;
	else
		free(s);
}

void stream_finish(struct stream *s, int64_t linger_ms)
{
	s->seen = NULL;
	if (s->phase != OPEN) {
		/* Nothing that waits could still be sent as it should. */
		stream_free(s);
		return;
	}
	s->phase = FINISHING;
	linger(s);
	stream_deadline(s, linger_ms < 0 ? 0 : linger_ms);
	/* Most often all goes out now, also when the loop turns no more. */
	work(s, 0);
}

unsigned stream_lingering(void)
{
	unsigned n = 0;

	for (const struct stream *s = lingering; s; s = s->next)
		n++;
	return n;
}

void stream_cut_lingering(void)
{
	while (lingering)
		stream_free(lingering);
}

/* ------- the owner's side */

struct buf *stream_input(struct stream *s)
{
	return &s->in;
}

bool stream_write(struct stream *s, struct span bytes)
{
	if (s->phase == OVER)
		return true;
	if (!buf_add(&s->out, bytes)) {
		s->was_high = true;
		return false;
	}
	if (s->out.len >= STREAM_OUTPUT_LOW)
		s->was_high = true;
	if (s->phase == OPEN && !s->write_needs)
		wake(s);
	return true;
}

size_t stream_output_bytes(const struct stream *s)
{
	return s->out.len;
}

void stream_pause(struct stream *s)
{
	s->paused = true;
}

void stream_resume(struct stream *s)
{
	if (s->paused)
		s->rouse = true;
	s->paused = false;
	wake(s);
}

void stream_deadline(struct stream *s, int64_t in_ms)
{
	struct timeval tv;

	if (in_ms < 0) {
		event_del(&s->deadline);
		return;
	}
	tv.tv_sec = (time_t)(in_ms / 1000);
	tv.tv_usec = (suseconds_t)(in_ms % 1000 * 1000);
	event_add(&s->deadline, &tv);
}

size_t stream_secure(struct stream *s, struct transport *t)
{
	size_t thrown = s->in.len;

	BUG_ON(s->secure);
	BUG_ON(s->phase == CONNECTING);
	s->secure = t;
	buf_release(&s->in);
	if (s->phase == OPEN) {
		s->phase = CLEARING;
		s->clear_bytes = s->out.len;
		wake(s);
	}
	return thrown;
}

struct transport *stream_transport(struct stream *s)
{
	return s->secure;
}

bool stream_failed_in_handshake(const struct stream *s)
{
	return s->failed_in_handshake;
}

const struct err *stream_error(const struct stream *s)
{
	static const struct err none = {.text = "no error"};

	return s->error ? s->error : &none;
}

int stream_fd(const struct stream *s)
{
	return s->fd;
}

const struct addr *stream_peer(const struct stream *s)
{
	return &s->peer;
}

const struct addr *stream_local(const struct stream *s)
{
	return &s->local;
}

uint64_t stream_bytes_in(const struct stream *s)
{
	return s->bytes_in;
}

uint64_t stream_bytes_out(const struct stream *s)
{
	return s->bytes_out;
}
