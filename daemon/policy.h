/* SPDX-License-Identifier: ISC */
/*
 * policy - may this client, with this TLS, send to this recipient?
 *
 * The first source whose networks (and, if asked for, verified certificate
 * names and login) match the client decides; a listener without sources takes loopback clients
 * only.  relayd is never an open relay by omission.
 *
 * Thread: any; pure but for the certificate names it asks tls/ about.
 */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include "conf/conf.h"
#include "net/transport.h"

struct policy_client {
	const struct addr      *addr;
	const struct transport *tls;     /* NULL: clear text */
	bool logged_in;
};

struct policy_answer {
	const struct conf_source *source;        /* NULL: loopback by default */
	const struct conf_route  *route;
};

/* The first source in whose networks the client is: whom its certificate is
 * expected to be.  NULL: none. */
const struct conf_source *policy_source(const struct conf_listener *listener,
					const struct addr *client);
/* May mail for `recipient` ("user@dom") come in?  ST_PERM 550 5.7.1 (no
 * source, or not for this recipient), 530 5.7.0 (the source demands TLS, or
 * only one that demands a login would match), 550 5.4.4 (no route).
 * ST_TEMP 450 4.7.5: whether the certificate that a source could know the client
 * by was revoked is not known now. */
MUST_USE enum status policy_recipient(const struct conf *conf,
				      const struct conf_listener *listener,
				      const struct policy_client *client,
				      const char *recipient,
				      struct policy_answer *out,
				      struct err *e);
/* Is there any source for this client? For MAIL: ST_PERM 530 5.7.0 when all
 * that could match demand TLS or a login. */
MUST_USE enum status policy_sender(const struct conf_listener *listener,
				   const struct policy_client *client,
				   struct err *e);

#endif
