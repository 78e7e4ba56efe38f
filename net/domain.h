/* SPDX-License-Identifier: ISC */
/*
 * domain - the one form in which names of domains are compared.
 *
 * Thread: any.
 */
#ifndef NET_DOMAIN_H
#define NET_DOMAIN_H

#include "base/base.h"

/* In lower case and without a final dot; the root is "".  Owned by the
 * caller. */
MUST_USE char *domain_plain(const char *name);
/* The same, and in A-labels (RFC 5891); owned by the caller.  NULL: it has
 * none. */
MUST_USE char *domain_a_labels(const char *name);

#endif
