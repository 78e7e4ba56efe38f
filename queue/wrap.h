/* SPDX-License-Identifier: ISC */
/*
 * wrap - words of others in lines that may stand in a message.
 *
 * What a peer said may hold anything.  Line ends and control bytes become
 * blanks; what is not printable ASCII becomes '?', unless it is valid UTF-8
 * where that is allowed.  Lines are broken between words; no line of what is
 * written comes near the 998 bytes of RFC 5322 2.1.1.
 *
 * Thread: none; pure.
 */
#ifndef QUEUE_WRAP_H
#define QUEUE_WRAP_H

#include "base/bytes.h"

struct wrap {
	struct buf *out;                 /* borrowed; cut where it is full */
	const char *indent;              /* of every further line */
	bool        utf8;
	size_t      column;              /* where the line stands */
};

/* Plain text, as it is; lines end where it says "\r\n". */
void wrap_plain(struct wrap *w, const char *text);
/* Words of any kind, at most max bytes of them. */
void wrap_words(struct wrap *w, struct span s, size_t max);
/* Ends the line. */
void wrap_end(struct wrap *w);

#endif
