/* SPDX-License-Identifier: ISC */
/*
 * headers - the trace field we put on top, and the few fields we look at.
 *
 * RFC 5321 4.4 (Received), RFC 3848 (with), RFC 5322 2.2.3 (folding).
 *
 * Thread: none; pure.
 */
#ifndef SMTP_HEADERS_H
#define SMTP_HEADERS_H

#include "base/bytes.h"

enum { RECEIVED_MAX = 4096 };

struct received {
	const char *helo;                /* as the client said it, checked */
	const char *client;              /* address literal "[192.0.2.1]" */
	const char *hostname;            /* ours */
	const char *protocol;            /* SMTP, ESMTP, ESMTPS, ESMTPSA */
	const char *tls;                 /* "TLS1.3 with cipher ...", or NULL */
	const char *id;
	const char *recipient;           /* NULL when there are several */
	int64_t wall_ms;
};
/* Appends the whole folded field with its final CRLF; no line over 998, most
 * under 78.  Out must have room for RECEIVED_MAX bytes; what is longer (absurd
 * names) is cut. */
void received_field(struct buf *out, const struct received *r);

/* Looks at a message as it passes, to the end of its header section. */
struct header_scan {
	unsigned received;               /* fields seen: the hop count */
	unsigned own;                    /* of these, written by own_name */
	const char *own_name;            /* borrowed; NULL: not looked for */
	char message_id[256];            /* "" if none; without < > */
	bool done;
	bool at_line_start;
	struct buf field;                /* the one being read; bounded */
};
void header_scan_init(struct header_scan *h);
void header_scan_release(struct header_scan *h);
void header_scan_feed(struct header_scan *h, struct span s);
/* The message is over, perhaps before its header section was. */
void header_scan_end(struct header_scan *h);

#endif
