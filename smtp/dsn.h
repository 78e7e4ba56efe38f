/* SPDX-License-Identifier: ISC */
/*
 * dsn - the words of RFC 3461 that both sides of SMTP and the queue share.
 *
 * Thread: none; pure.
 */
#ifndef SMTP_DSN_H
#define SMTP_DSN_H

#include "base/bytes.h"

/* NOTIFY=; bits, 0: not given (failure and delay are told). */
enum dsn_notify {
	DSN_NEVER = 1 << 0,
	DSN_SUCCESS = 1 << 1,
	DSN_FAILURE = 1 << 2,
	DSN_DELAY = 1 << 3,
};

enum { DSN_ENVID_MAX = 100, DSN_ORCPT_MAX = 500 };

/* "SUCCESS,DELAY"; false: not such a list (NEVER stands alone). */
MUST_USE bool dsn_notify_parse(struct span s, uint32_t *out);
/* The same back; "" for 0. */
void dsn_notify_text(char out[32], uint32_t notify);
/* RFC 3461 section 4: is s xtext of at most max bytes? */
MUST_USE bool xtext_valid(struct span s, size_t max);
/* Decodes xtext; false: malformed, or it does not fit. */
MUST_USE bool xtext_decode(struct span s, struct buf *out);
MUST_USE bool xtext_encode(struct span s, struct buf *out);

#endif
