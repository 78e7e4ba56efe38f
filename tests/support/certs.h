/* SPDX-License-Identifier: ISC */
/*
 * certs - makes certificates for tests, good ones and bad ones, as PEM files.
 *
 *	certs_make(dir, &(struct cert_spec){ .name = "ca", .cn = "Test CA",
 *					     .ca = true });
 *	certs_make(dir, &(struct cert_spec){ .name = "mx", .issuer = "ca",
 *					     .dns = { "mx.example.com" } });
 *
 * writes ca.pem, ca.key, mx.pem (with the intermediates between it and the
 * root) and mx.key into dir.  A failure is a bug of the test: it aborts.
 */
#ifndef TESTS_SUPPORT_CERTS_H
#define TESTS_SUPPORT_CERTS_H

#include "base/base.h"

enum cert_key {
	CERT_KEY_EC,
	CERT_KEY_ED25519,
	CERT_KEY_RSA,
	CERT_KEY_RSA_1024,
};

enum cert_purpose {
	CERT_FOR_ANYTHING,               /* no extended key usage */
	CERT_FOR_SERVERS,
	CERT_FOR_CLIENTS,
};

enum cert_flaw {
	CERT_FLAWLESS,
	CERT_SIGNED_WITH_SHA1,
	CERT_WITHOUT_CHAIN,              /* the file holds the leaf only */
	CERT_ROOT_IN_CHAIN,              /* the file ends with the root */
	CERT_SIGNS_NO_LISTS,             /* CA: its key usage lacks cRLSign */
	CERT_SIGNS_NO_CERTS,             /* CA: likewise keyCertSign */
	CERT_OF_LAST_CA,                 /* CA: no other below it (path length) */
};

struct cert_spec {
	const char       *name;          /* of the files, without extension */
	const char       *cn;            /* NULL: no subject at all */
	const char       *dns[6];
	const char       *ip[3];
	const char       *issuer;        /* a name made before; NULL: itself */
	bool              ca;
	const char       *lists[3];      /* URLs of CRL distribution points */
	const char       *permitted;     /* CA: name constraint on DNS names */
	enum cert_key     key;
	const char       *key_of;        /* takes the key of a name made before */
	enum cert_purpose purpose;
	enum cert_flaw    flaw;
	int64_t           from_s;        /* counted from now; both 0: from an */
	int64_t           until_s;       /* hour ago until in 30 days */
};

void certs_make(const char *dir, const struct cert_spec *spec);
/* DIR/NAME.EXT, to be freed. */
MUST_USE char *certs_path(const char *dir, const char *name, const char *ext);
/* Removes dir and the files in it. */
void certs_remove(const char *dir);

#endif
