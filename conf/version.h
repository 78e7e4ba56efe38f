/* SPDX-License-Identifier: ISC */
/*
 * version - which library conf/ runs with, for `relayd -V`.
 */
#ifndef CONF_VERSION_H
#define CONF_VERSION_H

const char *conf_libconfuse_version(void);

#endif
