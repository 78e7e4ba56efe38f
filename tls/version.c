/* SPDX-License-Identifier: ISC */
/*
 * version - which library tls/ runs with.
 */
#include "tls/version.h"

#include <gnutls/gnutls.h>

const char *tls_gnutls_version(void)
{
	return gnutls_check_version(NULL);
}
