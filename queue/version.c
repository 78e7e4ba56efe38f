/* SPDX-License-Identifier: ISC */
/*
 * version - which library queue/ runs with.
 */
#include "queue/version.h"

#include <stdio.h>
#include <lmdb.h>

void queue_lmdb_version(char *out, size_t max)
{
	int major, minor, patch;

	mdb_version(&major, &minor, &patch);
	snprintf(out, max, "%d.%d.%d", major, minor, patch);
}
