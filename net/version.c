/* SPDX-License-Identifier: ISC */
/*
 * version - which libraries net/ runs with.
 */
#include "net/version.h"

#include <event2/event.h>
#include <unbound.h>

const char *net_libevent_version(void)
{
	return event_get_version();
}

const char *net_libunbound_version(void)
{
	return ub_version();
}
