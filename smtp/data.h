/* SPDX-License-Identifier: ISC */
/*
 * data - the content of DATA on the wire and back.
 *
 * RFC 5321 4.5.2 (transparency), 2.3.8 (only CRLF ends a line).  Receiving
 * turns wire bytes into the message: the dot that was stuffed is taken away,
 * only CRLF . CRLF ends it; a bare CR, a bare LF or a NUL is reported as the
 * first fault, and the rest is still read to its end.  Sending does the
 * reverse.  Nothing else is ever changed.  The chunks of BDAT (RFC 3030) are
 * watched in the same way, and have no dots.
 *
 * Thread: none; pure.
 */
#ifndef SMTP_DATA_H
#define SMTP_DATA_H

#include "base/bytes.h"

enum data_fault {
	DATA_FINE,
	DATA_BARE_CR,
	DATA_BARE_LF,
	DATA_NUL,
	DATA_NO_LINE_END,                /* by BDAT only */
};

struct data_in {
	unsigned state;
	enum data_fault fault;           /* the first one seen */
	bool may_be_bare;                /* bare CR and LF are no faults: set it
					    behind data_in_init() */
	bool has_bare;                   /* one was seen, or the chunks do not
					    end in CRLF */
	bool has_8bit;
	bool done;                       /* the end was seen */
	uint64_t bytes;                  /* of the message so far */
};

void data_in_init(struct data_in *d);
/* Takes from the front of *in and appends message bytes to out as long as
 * out has room; stops at the end of the message (bytes behind it stay in
 * *in).  Call until *in is empty or done; make room in between. */
void data_in_feed(struct data_in *d, struct span *in, struct buf *out);

/* The same for a part of a chunk. */
void data_in_chunk(struct data_in *d, struct span *in, struct buf *out);
/* Behind the last chunk: the message is done.  What does not end in CRLF could
 * not leave by DATA as it is, which is a fault of its last line. */
void data_in_chunks_end(struct data_in *d);

struct data_out {
	bool at_line_start;              /* nothing yet, or behind CRLF */
	bool after_cr;
};

void data_out_init(struct data_out *d);
/* Appends the stuffed form of as many bytes of *in as out has room for. */
void data_out_feed(struct data_out *d, struct span *in, struct buf *out);
/* Appends the end, ".\r\n", after CRLF where the message does not end so.
 * The message is known to end in CRLF when it came in by DATA.  False: there
 * was no room for it, nothing was added. */
MUST_USE bool data_out_end(struct data_out *d, struct buf *out);

#endif
