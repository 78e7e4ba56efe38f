/* SPDX-License-Identifier: ISC */
/*
 * cert - one X.509 certificate: what it says, whom it names, how strong it is.
 *
 * Thread: any; a certificate is only read.
 */
#ifndef TLS_CERT_H
#define TLS_CERT_H

#include <gnutls/x509.h>

#include "tls/creds.h"

enum { CERT_KEY_HASH = 32, CERT_TIME_MAX = 32 };

/* May the subject's CN stand in where there is no dNSName?  RFC 9525 says no;
 * some peers have nothing else. */
enum cert_cn { CERT_CN_IGNORE, CERT_CN_INSTEAD };

void cert_describe(gnutls_x509_crt_t crt, struct tls_cert_info *out);

/* wanted: a host name (also in UTF-8), a wildcard, or an address literal. */
bool cert_named(gnutls_x509_crt_t crt, const char *wanted, enum cert_cn cn);

/* Judged by the wall clock. */
bool cert_expired(gnutls_x509_crt_t crt);
bool cert_not_yet_valid(gnutls_x509_crt_t crt);
bool cert_self_signed(gnutls_x509_crt_t crt);
/* A key or a signature under 112 bits of security (RSA 2048, SHA-224). */
bool cert_weak(gnutls_x509_crt_t crt);
/* "RSA 1024 bits, signed with RSA-SHA256" */
void cert_strength(char *out, size_t max, gnutls_x509_crt_t crt);

int64_t cert_not_before_ms(gnutls_x509_crt_t crt);
int64_t cert_not_after_ms(gnutls_x509_crt_t crt);
/* RFC 3339 without the milliseconds, which certificates do not have. */
void cert_time(char out[CERT_TIME_MAX], int64_t wall_ms);

/* For gnutls_x509_crt_deinit(). */
MUST_USE gnutls_x509_crt_t cert_copy(gnutls_x509_crt_t crt);

/* SHA-256 of the DER SubjectPublicKeyInfo; false: the key is unreadable. */
MUST_USE bool cert_key_hash(gnutls_x509_crt_t crt, uint8_t out[CERT_KEY_HASH]);

#endif
