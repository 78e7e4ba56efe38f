/* SPDX-License-Identifier: ISC */
/*
 * reply - SMTP replies: what we say as a server, what we hear as a client.
 *
 * RFC 5321 4.2, RFC 2034 (enhanced codes), RFC 3463.
 *
 * Thread: none; pure.
 */
#ifndef SMTP_REPLY_H
#define SMTP_REPLY_H

#include "base/bytes.h"
#include "base/err.h"

enum {
	REPLY_TEXT_MAX = 2048,
	REPLY_LINE_MAX = 4096,           /* of a line heard, with its end */
	REPLY_LINES_MAX = 128,
	REPLY_SAID_MAX = 512,            /* RFC 5321 4.5.3.1.5 */
};

/* A reply heard, all its lines.  text keeps the words as they came, lines
 * joined by one LF, codes left out only where they repeat the first ones. */
struct reply {
	int code;                        /* 0: no reply yet; 200..599 */
	uint8_t class;                   /* enhanced code; 0: none given */
	uint16_t subject, detail;        /* 0..999 */
	char text[REPLY_TEXT_MAX];       /* cut when longer; NUL inside is '?' */
	size_t len;
};

/* "250 2.0.0 Ok": code, enhanced code if any, text; on one line, for the
 * store, the log and DSNs.  Cut where out is full. */
void reply_line(struct buf *out, const struct reply *r);

/* Collects the lines of one reply. */
struct reply_parser {
	struct reply reply;
	unsigned lines;
	bool started;
};

enum reply_result {
	REPLY_MORE,                      /* a line is missing */
	REPLY_DONE,                      /* parser.reply is whole */
	REPLY_BROKEN,                    /* not a reply; parser.reply.text says what came */
};

void reply_parser_init(struct reply_parser *p);
/* Takes lines (with their ends) from the front of *in until a reply is whole; a
 * part of a line stays there.  After REPLY_DONE the next call begins the next
 * reply.  A line of over REPLY_LINE_MAX, a code that is no reply code or not
 * that of the first line, or more than REPLY_LINES_MAX lines is REPLY_BROKEN.
 * LF alone is taken as a line end: many servers send it. */
enum reply_result reply_parse(struct reply_parser *p, struct span *in);

/* Adds "550 5.7.1 text\r\n" from an error to say. Uses e->reply, or 451/550
 * by e->status.  Out must have room for REPLY_SAID_MAX bytes. */
void reply_from_err(struct buf *out, const struct err *e);

#endif
