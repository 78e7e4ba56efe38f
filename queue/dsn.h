/* SPDX-License-Identifier: ISC */
/*
 * dsn - writes delivery status notifications: the whole text of the message
 * that tells a sender what became of another one.
 *
 * RFC 3461 6, 3464, 6522 (multipart/report), 6533 (addresses that are not
 * ASCII), 3834 (Auto-Submitted).
 *
 * Thread: none; pure.
 */
#ifndef QUEUE_DSN_H
#define QUEUE_DSN_H

#include "queue/message.h"

enum dsn_about {
	DSN_ABOUT_FAILURE,               /* failed or expired */
	DSN_ABOUT_DELAY,
	DSN_ABOUT_RELAY,                 /* passed on to where no DSN comes from */
};

struct dsn_recipient {
	const struct recipient *recipient;
	enum cause  cause;
	bool        expired;
	const char *status;              /* "5.1.1" */
	const char *reply;               /* the peer's words or ours, "" if none */
	const char *host;                /* "" when none was reached */
	const char *certificate;         /* the host's, "" if none was seen */
	int64_t     last_attempt_ms;     /* 0: not known */
	int64_t     until_ms;            /* DELAY: it is tried until then */
};

/* All borrowed. */
struct dsn {
	enum dsn_about about;
	uint64_t    id;                  /* of the notice itself */
	int64_t     now_ms;
	const char *hostname, *postmaster;
	const char *to;                  /* whom it goes to */
	bool        to_postmaster;       /* in place of the sender */
	bool        removed;             /* by an operator */
	const struct message *message;   /* what it is about */
	const struct dsn_recipient *recipients;
	size_t      n;
	struct span original;            /* the front of its body */
	bool        is_whole;            /* ... is all of it */
};

enum {
	DSN_BYTES_MAX = 128 * 1024,      /* of what dsn_write() writes */
	DSN_ORIGINAL_MAX = 64 * 1024,    /* a longer body is not returned */
};

/* How many recipients from the first fit into one notice: one at least. */
size_t dsn_room(const struct dsn_recipient *recipients, size_t n);
/* Appends header and body.  Out must have room for DSN_BYTES_MAX. */
void dsn_write(struct buf *out, const struct dsn *d);

#endif
