/* SPDX-License-Identifier: ISC */
/*
 * version - which library queue/ runs with, for `relayd -V`.
 */
#ifndef QUEUE_VERSION_H
#define QUEUE_VERSION_H

#include <stddef.h>

/* "0.9.24" */
void queue_lmdb_version(char *out, size_t max);

#endif
