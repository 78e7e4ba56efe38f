/* SPDX-License-Identifier: ISC */
/*
 * pem - reads a PEM file, and tells what it is when it is none.
 */
#include "tls/pem.h"

#include <errno.h>
#include <string.h>

static enum status check_pem(const gnutls_datum_t *data, const char *path,
			     struct err *e)
{
	static const char begin[] = "-----BEGIN ";
	enum { DER_SEQUENCE = 0x30 };

	if (data->size == 0)
		return err_perm(e, 7, 0, "%s: the file is empty", path);
	if (memmem(data->data, data->size, begin, sizeof(begin) - 1))
		return ST_OK;
	if (data->data[0] == DER_SEQUENCE)
		return err_perm(e, 7, 0,
				"%s: DER or PKCS#12, not PEM: convert it",
				path);
	return err_perm(e, 7, 0, "%s: not PEM: no -----BEGIN line", path);
}

enum status pem_load(gnutls_datum_t *out, const char *path, struct err *e)
{
	gnutls_datum_t data = {NULL, 0};
	enum status st;
	int rc;

	errno = 0;
	rc = gnutls_load_file(path, &data);
	if (rc < 0)
		return err_perm(e, 7, 0, "%s: %s", path,
				errno ? strerror(errno) : gnutls_strerror(rc));
	st = check_pem(&data, path, e);
	if (st == ST_OK)
		*out = data;
	else
		pem_free(&data);
	return st;
}

void pem_free(gnutls_datum_t *pem)
{
	if (pem->data)
		explicit_bzero(pem->data, pem->size);
	gnutls_free(pem->data);
	*pem = (gnutls_datum_t){NULL, 0};
}
