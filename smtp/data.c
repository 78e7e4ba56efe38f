/* SPDX-License-Identifier: ISC */
/*
 * data - takes the content of DATA off the wire and puts it on it.
 *
 * Receiving is a machine of five states.  A line starts behind CRLF and
 * nowhere else: behind a bare CR or a bare LF we are in the middle of a line,
 * so a dot there is a dot.  That is the whole defence against smuggled ends;
 * the faults it sees are for refusing such a message, lest somebody behind us
 * reads it in another way.
 */
#include "smtp/data.h"

enum in_state {
	LINE_START, /* at the beginning, or behind CRLF */
	IN_LINE,
	AFTER_CR,
	AFTER_DOT, /* the dot at a line's start is held */
	AFTER_DOT_CR, /* so is the CR behind it */
};

void data_in_init(struct data_in *d)
{
	*d = (struct data_in){.state = LINE_START};
}

static void fault_seen(struct data_in *d, enum data_fault fault)
{
	if (fault != DATA_NUL)
		d->has_bare = true;
	if (fault != DATA_NUL && d->may_be_bare)
		return;
	if (d->fault == DATA_FINE)
		d->fault = fault;
}

/* Out was seen to have room for it. */
static void emit(struct data_in *d, struct span s, struct buf *out)
{
	BUG_ON(!buf_add(out, s));
	d->bytes += s.len;
}

/* How many bytes at the front of s need no thought. */
static size_t plain_run(struct data_in *d, struct span s)
{
	unsigned char seen = 0;
	size_t n;

	for (n = 0; n < s.len; n++) {
		unsigned char c = (unsigned char)s.at[n];

		if (c <= '\r' && (c == '\r' || c == '\n' || c == '\0'))
			break;
		seen |= c;
	}
	if (seen & 0x80)
		d->has_8bit = true;
	return n;
}

static void in_line(struct data_in *d, struct span *in, struct buf *out)
{
	size_t room = out->max - out->len;
	struct span s = {in->at, in->len < room ? in->len : room};
	size_t n = plain_run(d, s);

	d->state = IN_LINE;
	if (n == 0) {
		n = 1;
		if (s.at[0] == '\r')
			d->state = AFTER_CR;
		else
			fault_seen(d,
				   s.at[0] == '\n' ? DATA_BARE_LF : DATA_NUL);
	}
	s.len = n;
	emit(d, s, out);
	*in = span_skip(*in, n);
}

/* Takes at least a byte from *in or changes the state; emits no more than out
 * has room for, which is at least one byte. */
static void in_step(struct data_in *d, struct span *in, struct buf *out)
{
	char c = in->at[0];
	size_t taken = 0;

	switch ((enum in_state)d->state) {
	case LINE_START:
		if (c != '.') {
			in_line(d, in, out);
			return;
		}
		d->state = AFTER_DOT;
		taken = 1;
		break;
	case IN_LINE:
		in_line(d, in, out);
		return;
	case AFTER_CR:
		if (c == '\n') {
			emit(d, SPAN("\n"), out);
			d->state = LINE_START;
			taken = 1;
		} else {
			fault_seen(d, DATA_BARE_CR);
			d->state = IN_LINE;
		}
		break;
	case AFTER_DOT:
		/* RFC 5321 4.5.2: a dot with something behind it goes. */
		if (c == '\r') {
			d->state = AFTER_DOT_CR;
			taken = 1;
		} else {
			d->state = IN_LINE;
		}
		break;
	case AFTER_DOT_CR:
		if (c == '\n') {
			d->done = true;
			taken = 1;
		} else {
			fault_seen(d, DATA_BARE_CR);
			emit(d, SPAN("\r"), out);
			d->state = IN_LINE;
		}
		break;
	}
	*in = span_skip(*in, taken);
}

void data_in_feed(struct data_in *d, struct span *in, struct buf *out)
{
	while (in->len > 0 && !d->done && out->len < out->max)
		in_step(d, in, out);
}

/* A LF is bare in the middle of a line, and at its start. */
static void chunk_step(struct data_in *d, struct span *in, struct buf *out)
{
	char c = in->at[0];

	if (d->state == AFTER_CR && c != '\n')
		fault_seen(d, DATA_BARE_CR);
	if (d->state != AFTER_CR || c != '\n') {
		in_line(d, in, out);
		return;
	}
	emit(d, SPAN("\n"), out);
	d->state = LINE_START;
	*in = span_skip(*in, 1);
}

void data_in_chunk(struct data_in *d, struct span *in, struct buf *out)
{
	while (in->len > 0 && out->len < out->max)
		chunk_step(d, in, out);
}

void data_in_chunks_end(struct data_in *d)
{
	if (!d->done && d->state != LINE_START)
		fault_seen(d, d->state == AFTER_CR ? DATA_BARE_CR
						   : DATA_NO_LINE_END);
	d->done = true;
}

void data_out_init(struct data_out *d)
{
	*d = (struct data_out){.at_line_start = true};
}

void data_out_feed(struct data_out *d, struct span *in, struct buf *out)
{
	while (in->len > 0 && out->len < out->max) {
		size_t room = out->max - out->len;
		struct span run = {in->at, in->len < room ? in->len : room};
		const char *lf;

		if (d->at_line_start && in->at[0] == '.') {
			BUG_ON(!buf_add(out, SPAN(".")));
			d->at_line_start = false;
			continue;
		}
		lf = memchr(run.at, '\n', run.len);
		if (lf != NULL)
			run.len = (size_t)(lf - run.at) + 1;
		BUG_ON(!buf_add(out, run));
		d->at_line_start = lf != NULL &&
				   (run.len > 1 ? lf[-1] == '\r' : d->after_cr);
		d->after_cr = run.at[run.len - 1] == '\r';
		*in = span_skip(*in, run.len);
	}
}

bool data_out_end(struct data_out *d, struct buf *out)
{
	return buf_add(out,
		       d->at_line_start ? SPAN(".\r\n") : SPAN("\r\n.\r\n"));
}
