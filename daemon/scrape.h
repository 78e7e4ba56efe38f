/* SPDX-License-Identifier: ISC */
/*
 * scrape - serves GET /metrics and GET /healthz over HTTP on a TCP address,
 * for monitoring.  It shows no mail and changes nothing.
 *
 * Thread: main.
 */
#ifndef DAEMON_SCRAPE_H
#define DAEMON_SCRAPE_H

#include "base/addr.h"
#include "daemon/control.h"

struct scrape;

/* conf: its fd is not used; copied.  Errors: ST_TEMP: the address can't be
 * had. */
MUST_USE enum status scrape_start(struct scrape **out, const struct addr *at,
				  const struct control_conf *conf,
				  struct err *e);
/* As control_stop(). NULL is fine. */
void scrape_stop(struct scrape *s);

#endif
