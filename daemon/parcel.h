/* SPDX-License-Identifier: ISC */
/*
 * parcel - a message on its way from one queue to another: everything but its
 * body, as a JSON object that carries a checksum of itself and of the body.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_PARCEL_H
#define DAEMON_PARCEL_H

#include <jansson.h>

#include "base/err.h"
#include "conf/conf.h"
#include "queue/message.h"

/* NULL: an address of it cannot be written. */
json_t *parcel_make(const struct message *m, int64_t now_ms);
/*
 * The message, with its id, to be enqueued at now_ms.  What is open of it is
 * due at once and routed under conf; what is final stays so.  ST_PERM: it is
 * damaged or none of ours, and the text names what is wrong.  One that was
 * edited on purpose has no "seal".
 */
MUST_USE enum status parcel_open(struct message **out, const json_t *parcel,
				 const struct conf *conf, int64_t now_ms,
				 struct err *e);

#endif
