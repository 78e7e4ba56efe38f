/* SPDX-License-Identifier: ISC */
/*
 * proxy - the header of HAProxy's PROXY protocol, versions 1 and 2: whom a
 * proxy speaks for.
 *
 * Thread: none; pure.
 */
#ifndef NET_PROXY_H
#define NET_PROXY_H

#include "base/addr.h"

enum {
	PROXY_TEXT_MAX = 107,            /* version 1, with its CRLF */
	PROXY_HEADER_MAX = 536,          /* version 2, with what it carries */
};

enum proxy_result {
	PROXY_MORE,                      /* a header so far, all of it */
	PROXY_DONE,
	PROXY_BAD,                       /* no header, whatever follows */
};

struct proxy_header {
	size_t      len;                 /* bytes of it */
	bool        is_local;            /* of the proxy itself, or of nobody
					    knows whom: client is not set */
	struct addr client;
};

/* Looks at the first bytes of a connection.  *out is set when done. */
MUST_USE enum proxy_result proxy_parse(struct span in,
				       struct proxy_header *out);

#endif
