/* SPDX-License-Identifier: ISC */
/*
 * version - which library tls/ runs with, for `relayd -V`.
 */
#ifndef TLS_VERSION_H
#define TLS_VERSION_H

const char *tls_gnutls_version(void);

#endif
