/* SPDX-License-Identifier: ISC */
/*
 * version - which library conf/ runs with.
 */
#include "conf/version.h"

#include <confuse.h>

const char *conf_libconfuse_version(void)
{
	return confuse_version;
}
