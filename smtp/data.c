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

/* All of a word's bytes at once: is one of them b? */
#define EACH(b) (UINT64_C(0x0101010101010101) * (b))

static bool has_zero(uint64_t word)
{
	return ((word - EACH(0x01)) & ~word & EACH(0x80)) != 0;
}

static bool needs_thought(uint64_t word)
{
	return has_zero(word ^ EACH('\r')) || has_zero(word ^ EACH('\n')) ||
	       has_zero(word);
}

/* How many bytes at the front of s are neither CR nor LF nor NUL; adds their
 * bits to *seen. */
static size_t plain_run(struct span s, uint64_t *seen)
{
	uint64_t word;
	size_t n = 0;

	for (; s.len - n >= sizeof(word); n += sizeof(word)) {
		memcpy(&word, s.at + n, sizeof(word));
		if (needs_thought(word))
			break;
		*seen |= word;
	}
	for (; n < s.len; n++) {
		unsigned char c = (unsigned char)s.at[n];

		if (c == '\r' || c == '\n' || c == '\0')
			break;
		*seen |= c;
	}
	return n;
}

static bool ends_line(struct span s, size_t at)
{
	return s.len - at >= 2 && s.at[at] == '\r' && s.at[at + 1] == '\n';
}

/* How many bytes at the front of s may be taken together: whole lines and the
 * beginning of another, up to a dot at a line's start, or what is a fault.
 * *at_start: they end a line. */
static size_t clean_run(struct data_in *d, struct span s, bool *at_start)
{
	uint64_t seen = 0;
	size_t n = 0, run;

	*at_start = false;
	do {
		run = plain_run(span_skip(s, n), &seen);
		n += run;
		*at_start = *at_start && run == 0;
		if (!ends_line(s, n))
			break;
		n += 2;
		*at_start = true;
	} while (n < s.len && s.at[n] != '.');
	if (seen & EACH(0x80))
		d->has_8bit = true;
	return n;
}

static void in_line(struct data_in *d, struct span *in, struct buf *out)
{
	size_t room = out->max - out->len;
	struct span s = {in->at, in->len < room ? in->len : room};
	bool at_start;
	size_t n = clean_run(d, s, &at_start);

	d->state = at_start ? LINE_START : IN_LINE;
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

/* How many bytes at the front of s, not empty, have no dot at the start of a
 * line behind their first. */
static size_t undotted(struct span s)
{
	const char *at = s.at, *end = s.at + s.len;

	while ((at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		at++;
		if (at == end || *at == '.')
			return (size_t)(at - s.at);
	}
	return s.len;
}

void data_out_feed(struct data_out *d, struct span *in, struct buf *out)
{
	while (in->len > 0 && out->len < out->max) {
		size_t room = out->max - out->len;
		struct span run = {in->at, in->len < room ? in->len : room};

		if (d->at_line_start && in->at[0] == '.') {
			BUG_ON(!buf_add(out, SPAN(".")));
			d->at_line_start = false;
			continue;
		}
		run.len = undotted(run);
		BUG_ON(!buf_add(out, run));
		d->at_line_start = run.at[run.len - 1] == '\n' &&
				   (run.len > 1 ? run.at[run.len - 2] == '\r'
						: d->after_cr);
		d->after_cr = run.at[run.len - 1] == '\r';
		*in = span_skip(*in, run.len);
	}
}

bool data_out_end(struct data_out *d, struct buf *out)
{
	return buf_add(out,
		       d->at_line_start ? SPAN(".\r\n") : SPAN("\r\n.\r\n"));
}
