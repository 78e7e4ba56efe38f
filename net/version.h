/* SPDX-License-Identifier: ISC */
/*
 * version - which libraries net/ runs with, for `relayd -V`.
 */
#ifndef NET_VERSION_H
#define NET_VERSION_H

const char *net_libevent_version(void);
const char *net_libunbound_version(void);

#endif
