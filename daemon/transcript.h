/* SPDX-License-Identifier: ISC */
/*
 * transcript - what was said on a connection, for the trace of an attempt
 * that failed.
 *
 *	   0.000 = connecting to mx.example.com[192.0.2.1]:25
 *	   0.041 < 220 mx.example.com ESMTP
 *	   0.041 > EHLO relay.example.org
 *	   0.120 = TLS1.3, verified: name
 *	   0.300 = 4096 bytes of the message
 *
 * `>` is what we said, `<` what the peer said, `=` what happened; in front,
 * seconds since the connection was begun.  It is bounded: the beginning of the
 * connection stays, then what came last.  The message itself is counted, not
 * kept.  Secrets are not kept either: of AUTH only the mechanism stays, and
 * what was hidden is hidden in the peer's answers, too.
 *
 * Thread: that of its connection; pure.
 * Units:  _ms of the monotonic clock.
 */
#ifndef DAEMON_TRANSCRIPT_H
#define DAEMON_TRANSCRIPT_H

#include "base/bytes.h"

enum { TRANSCRIPT_MAX = 16 * 1024 }; /* bytes of the text */

struct transcript;

MUST_USE struct transcript *transcript_new(int64_t now_ms);
void transcript_free(struct transcript *t); /* NULL is fine */

void transcript_note(struct transcript *t, int64_t now_ms, const char *fmt, ...)
	PRINTF(3, 4);
/* Whole lines; a line that begins with AUTH is hidden behind its mechanism. */
void transcript_said(struct transcript *t, int64_t now_ms, struct span lines);
/* A line of an AUTH dialogue: nothing of it stays but the word of the command
 * and the mechanism, and until transcript_ready() it is hidden wherever the
 * peer repeats it. */
void transcript_said_secret(struct transcript *t, int64_t now_ms,
			    struct span line);
/* So is this text, though it was not said as it is. */
void transcript_hide(struct transcript *t, struct span secret);
void transcript_heard(struct transcript *t, int64_t now_ms, struct span lines);
/* Bytes of a message. */
void transcript_sent(struct transcript *t, int64_t now_ms, size_t bytes);

/* Replaces what is hidden in a text of `size` bytes at the most. */
void transcript_mask(const struct transcript *t, char *text, size_t size);

/* The connection is ready for mail: what was said until now belongs to each
 * message; hidden words are wiped. */
void transcript_ready(struct transcript *t);
/* Another message: what was said of the one before is forgotten. */
void transcript_next(struct transcript *t);

/* All of it, lines with their ends; owned by the caller. */
MUST_USE char *transcript_text(const struct transcript *t);

#endif
