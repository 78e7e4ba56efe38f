/* SPDX-License-Identifier: ISC */
/*
 * dsn_words - the part of a notice that people read.
 *
 * It is written for the sender, who knows nothing of mail servers: what
 * happened to whom, and what to do about it.
 *
 * Thread: none; pure.
 */
#ifndef QUEUE_DSN_WORDS_H
#define QUEUE_DSN_WORDS_H

#include "queue/dsn.h"

/* "Undelivered Mail Returned to Sender" */
const char *dsn_subject(const struct dsn *d);
/* Recipients for whom there is no room are only counted. */
void dsn_words(struct buf *out, const struct dsn *d, bool utf8);

#endif
