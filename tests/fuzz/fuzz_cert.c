/* SPDX-License-Identifier: ISC */
/*
 * fuzz_cert - certificates of peers and of files, and the names in them.
 *
 * The input: a wanted name and a presented one (strings), then certificates:
 * each with two bytes of length in DER, or the text of a PEM file.
 */
#include "tls/cert.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"
#include "tls/chain.h"
#include "tls/name.h"

enum { SENT_MAX = CHAIN_MAX + 4 };


static void check_info(const struct tls_cert_info *info)
{
	HOLDS(memchr(info->subject, '\0', sizeof(info->subject)) != NULL);
	HOLDS(memchr(info->issuer, '\0', sizeof(info->issuer)) != NULL);
	HOLDS(memchr(info->names, '\0', sizeof(info->names)) != NULL);
	fuzz_printable(info->serial);
	fuzz_printable(info->spki_sha256);
}

static void check_cert(gnutls_x509_crt_t crt, const char *wanted)
{
	uint8_t hash[CERT_KEY_HASH], again[CERT_KEY_HASH];
	struct tls_cert_info info;
	char text[128];

	cert_describe(crt, &info);
	check_info(&info);
	/* Who asks for more must not get less. */
	HOLDS(!cert_named(crt, wanted, CERT_CN_IGNORE) ||
	      cert_named(crt, wanted, CERT_CN_INSTEAD));
	HOLDS(!(cert_expired(crt) && cert_not_yet_valid(crt)) ||
	      cert_not_after_ms(crt) < cert_not_before_ms(crt));
	(void)cert_self_signed(crt);
	(void)cert_weak(crt);
	cert_strength(text, sizeof(text), crt);
	fuzz_printable(text);
	cert_time(text, cert_not_after_ms(crt));
	fuzz_printable(text);
	if (cert_key_hash(crt, hash)) {
		HOLDS(cert_key_hash(crt, again));
		HOLDS(memcmp(hash, again, sizeof(hash)) == 0);
	}
}

static unsigned read_ders(struct span in, gnutls_datum_t der[SENT_MAX])
{
	unsigned n = 0;

	while (in.len > 0 && n < SENT_MAX) {
		size_t len = fuzz_byte(&in) << 8;
		struct span s = fuzz_take(&in, len | fuzz_byte(&in));

		der[n++] = (gnutls_datum_t){(unsigned char *)s.at,
					    (unsigned)s.len};
	}
	return n;
}

static void check_chain(struct span in, const char *wanted)
{
	gnutls_datum_t der[SENT_MAX];
	unsigned n = read_ders(in, der);
	struct chain c;

	chain_init(&c, der, n, NULL);
	HOLDS(c.n <= n && c.n <= CHAIN_MAX && c.npath <= CHAIN_MAX);
	HOLDS((c.n > 0) == (c.npath > 0) && c.anchor == NULL);
	if (c.n > 0)
		HOLDS(c.path[0] == c.certs[0]);
	(void)chain_culprit(&c, cert_expired);
	(void)chain_culprit(&c, cert_weak);
	for (unsigned i = 0; i < c.n; i++)
		check_cert(c.certs[i], wanted);
	chain_release(&c);
}

static void check_file(struct span in)
{
	int fd = memfd_create("cert.pem", MFD_CLOEXEC);
	char path[64];
	const char *const ca = path;
	struct tls_cert_info info;
	struct tls_identity *id;
	struct tls_trust *trust;
	struct err e;

	BUG_ON(fd < 0 || write(fd, in.at, in.len) != (ssize_t)in.len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (tls_identity_load(&id, path, path, &e) == ST_OK) {
		tls_identity_info(id, &info);
		check_info(&info);
		tls_identity_unref(id);
	} else {
		HOLDS(e.status == ST_PERM);
		HOLDS(strstr(e.text, path) != NULL);
		fuzz_printable(e.text);
	}
	if (tls_trust_load(&trust, &ca, 1, "1.2", &e) == ST_OK) {
		tls_trust_unref(trust);
	} else {
		HOLDS(e.status == ST_PERM);
		fuzz_printable(e.text);
	}
	close(fd);
}

static void check_names(const char *wanted, const char *presented)
{
	struct span w = span_of(wanted), p = span_of(presented);
	uint8_t ip[NAME_IP_MAX];
	size_t n = name_literal(wanted, ip);
	bool matches = name_matches(p, w);

	HOLDS(n == 0 || n == 4 || n == 16);
	/* No name in a certificate stands for an address, nor for a name with
	 * another number of labels. */
	if (matches && strchr(presented, '*') == NULL &&
	    strchr(wanted, '*') == NULL)
		HOLDS(span_eq_nocase(p, w) ||
		      span_ends_nocase(p, SPAN(".")) !=
			      span_ends_nocase(w, SPAN(".")));
	if (matches && presented[0] == '*')
		HOLDS(presented[1] == '.' &&
		      strchr(presented + 2, '.') != NULL);
	HOLDS(!matches || strchr(presented + (p.len > 0), '*') == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	char *wanted = fuzz_string(&in);
	char *presented = fuzz_string(&in);

	check_names(wanted, presented);
	if (in.len > 0 && in.at[0] == '-')
		check_file(in);
	else
		check_chain(in, wanted);
	free(wanted);
	free(presented);
	return 0;
}
