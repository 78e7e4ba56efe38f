/* SPDX-License-Identifier: ISC */
/*
 * recover - what the last run had under way when it ended without notice: it
 * may have been delivered, so it waits marked as `uncertain` and is tried
 * again.
 *
 * Thread: main, before there are others.
 * Errors: ST_TEMP: the store can't take it.
 */
#ifndef DAEMON_RECOVER_H
#define DAEMON_RECOVER_H

#include "daemon/relay.h"

MUST_USE enum status recover(struct relay *relay, const struct conf *conf,
			     struct err *e);

#endif
