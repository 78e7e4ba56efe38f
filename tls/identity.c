/* SPDX-License-Identifier: ISC */
/*
 * identity - loads a certificate chain with its key, and picks one for a
 * client.
 *
 * The chain is sent as it is in the file, root included if it is there; only
 * its order is mended, and certificates that are not above the first one are
 * left out.
 */
#include "tls/identity.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"

#include "tls/cert.h"
#include "tls/chain.h"
#include "tls/pem.h"
#include "tls/staple.h"

struct tls_identity {
	atomic_uint refs;
	gnutls_pcert_st chain[CHAIN_MAX]; /* owned */
	unsigned len;
	gnutls_x509_crt_t leaf; /* owned; the first of the chain */
	gnutls_privkey_t key; /* owned */
	struct staple staple;
	char *unstapled; /* owned; why there is none, NULL: none is wanted */
};

static void identity_free(struct tls_identity *i)
{
	if (!i)
		return;
	for (unsigned n = 0; n < i->len; n++)
		gnutls_pcert_deinit(&i->chain[n]);
	if (i->leaf)
		gnutls_x509_crt_deinit(i->leaf);
	if (i->key)
		gnutls_privkey_deinit(i->key);
	staple_release(&i->staple);
	free(i->unstapled);
	free(i);
}

static enum status load_chain(struct tls_identity *i, const char *path,
			      struct err *e)
{
	gnutls_datum_t pem = {NULL, 0};
	unsigned len = CHAIN_MAX;
	enum status st;
	int rc;

	st = pem_load(&pem, path, e);
	if (st != ST_OK)
		goto out;
	rc = gnutls_pcert_list_import_x509_raw(
		i->chain, &len, &pem, GNUTLS_X509_FMT_PEM,
		GNUTLS_X509_CRT_LIST_IMPORT_FAIL_IF_EXCEED |
			GNUTLS_X509_CRT_LIST_SORT);
	if (rc == GNUTLS_E_NO_CERTIFICATE_FOUND) {
		st = err_perm(e, 7, 0, "%s: no certificate in it", path);
		goto out;
	}
	if (rc == GNUTLS_E_SHORT_MEMORY_BUFFER) {
		st = err_perm(e, 7, 0, "%s: more than %d certificates", path,
			      CHAIN_MAX);
		goto out;
	}
	if (rc >= 0)
		i->len = len;
	if (rc >= 0)
		rc = gnutls_pcert_export_x509(&i->chain[0], &i->leaf);
	if (rc < 0)
		st = err_perm(e, 7, 0, "%s: bad certificate: %s", path,
			      gnutls_strerror(rc));
out:
	pem_free(&pem);
	return st;
}

static bool holds(const gnutls_datum_t *pem, const char *text)
{
	return memmem(pem->data, pem->size, text, strlen(text)) != NULL;
}

static enum status import_key(struct tls_identity *i, const char *path,
			      const gnutls_datum_t *pem, struct err *e)
{
	int rc;

	if (holds(pem, "BEGIN ENCRYPTED PRIVATE KEY") ||
	    holds(pem, "Proc-Type: 4,ENCRYPTED"))
		return err_perm(e, 7, 0,
				"%s: the key is encrypted: a daemon has nobody "
				"to ask for the password, store it without",
				path);
	if (!holds(pem, "PRIVATE KEY-----"))
		return err_perm(e, 7, 0, "%s: no private key in it", path);
	rc = gnutls_privkey_init(&i->key);
	if (rc >= 0)
		rc = gnutls_privkey_import_x509_raw(
			i->key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
	if (rc < 0)
		return err_perm(e, 7, 0, "%s: bad private key: %s", path,
				gnutls_strerror(rc));
	return ST_OK;
}

static enum status load_key(struct tls_identity *i, const char *path,
			    struct err *e)
{
	gnutls_datum_t pem = {NULL, 0};
	enum status st;

	st = pem_load(&pem, path, e);
	if (st == ST_OK)
		st = import_key(i, path, &pem, e);
	pem_free(&pem);
	return st;
}

/* Do certificate and key hold the same public key? */
static bool is_pair(const struct tls_identity *i)
{
	uint8_t ours[CERT_KEY_HASH];
	uint8_t theirs[CERT_KEY_HASH];
	size_t len = sizeof(theirs);
	gnutls_pubkey_t public_key = NULL;
	bool same = false;

	if (!cert_key_hash(i->leaf, ours))
		return false;
	if (gnutls_pubkey_init(&public_key) < 0)
		return false;
	if (gnutls_pubkey_import_privkey(public_key, i->key, 0, 0) >= 0 &&
	    gnutls_pubkey_get_key_id(public_key, GNUTLS_KEYID_USE_SHA256,
				     theirs, &len) >= 0)
		same = len == sizeof(ours) && memcmp(ours, theirs, len) == 0;
	gnutls_pubkey_deinit(public_key);
	return same;
}

enum status tls_identity_load(struct tls_identity **out,
			      const char *certificate, const char *key,
			      struct err *e)
{
	struct tls_identity *i = xcalloc(1, sizeof(*i));
	enum status st;

	atomic_init(&i->refs, 1);
	st = load_chain(i, certificate, e);
	if (st != ST_OK)
		goto out;
	st = load_key(i, key, e);
	if (st != ST_OK)
		goto out;
	if (!is_pair(i)) {
		st = err_perm(e, 7, 0,
			      "%s: not the key of the first certificate in %s",
			      key, certificate);
		goto out;
	}
	*out = i;
	i = NULL;
out:
	identity_free(i);
	return st;
}

struct tls_identity *tls_identity_ref(struct tls_identity *i)
{
	atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
	return i;
}

void tls_identity_unref(struct tls_identity *i)
{
	if (i && atomic_fetch_sub(&i->refs, 1) == 1)
		identity_free(i);
}

void tls_identity_info(const struct tls_identity *i, struct tls_cert_info *out)
{
	cert_describe(i->leaf, out);
}

bool tls_identity_ends(const struct tls_identity *i, const struct tls_trust *t,
		       char missing[TLS_NAME_MAX])
{
	gnutls_datum_t der[CHAIN_MAX];
	struct tls_cert_info info;
	gnutls_x509_crt_t last;
	struct chain c;
	bool ends;

	for (unsigned n = 0; n < i->len; n++)
		der[n] = i->chain[n].cert;
	chain_init(&c, der, i->len, t);
	BUG_ON(c.npath == 0); /* the leaf was read before */
	last = c.path[c.npath - 1];
	ends = c.anchor || cert_self_signed(last);
	if (!ends) {
		cert_describe(last, &info);
		snprintf(missing, TLS_NAME_MAX, "%s", info.issuer);
	}
	chain_release(&c);
	return ends;
}

static bool is_stapled(const struct tls_identity *i)
{
	return i->staple.until_ms > clock_wall_ms();
}

void identity_offer(struct tls_identity *i, struct identity_offer *out)
{
	*out = (struct identity_offer){
		.chain = i->chain,
		.len = i->len,
		.key = i->key,
		.staple = is_stapled(i) ? &i->staple.data : NULL,
	};
}

/* ----------------------------------------------------------------- stapling */

/* The second of the chain; NULL: it has none. */
static gnutls_x509_crt_t issuer_of(struct tls_identity *i)
{
	gnutls_x509_crt_t issuer = NULL;

	if (i->len < 2 || gnutls_pcert_export_x509(&i->chain[1], &issuer) < 0)
		return NULL;
	return issuer;
}

enum status tls_identity_staple(struct tls_identity *i, const char *file,
				struct err *e)
{
	gnutls_x509_crt_t issuer = issuer_of(i);
	enum status st = staple_load(&i->staple, file, i->leaf, issuer, e);

	free(i->unstapled);
	i->unstapled =
		xstrdup(st == ST_OK ? "the response has expired" : e->text);
	if (issuer)
		gnutls_x509_crt_deinit(issuer);
	return st;
}

void tls_identity_staple_say(const struct tls_identity *i, char *out,
			     size_t max)
{
	if (is_stapled(i))
		snprintf(out, max, "stapled");
	else
		snprintf(out, max, "%s", i->unstapled ? i->unstapled : "off");
}

/* Can the client verify what this key signs?  One that does not say which
 * signatures it knows gets the benefit of the doubt. */
static bool is_usable(struct tls_identity *i, gnutls_session_t session)
{
	gnutls_pk_algorithm_t key =
		(gnutls_pk_algorithm_t)gnutls_privkey_get_pk_algorithm(i->key,
								       NULL);
	gnutls_sign_algorithm_t sign;
	size_t n = 0;

	while (gnutls_sign_algorithm_get_requested(session, n, &sign) >= 0) {
		if (gnutls_sign_supports_pk_algorithm(sign, key))
			return true;
		n++;
	}
	return n == 0;
}

struct tls_identity *identity_choose(struct tls_identity *const *identities,
				     size_t n, gnutls_session_t session,
				     const char *sni)
{
	struct tls_identity *best = NULL;
	int best_score = -1;

	BUG_ON(n == 0);
	for (size_t i = 0; i < n; i++) {
		bool named = sni && cert_named(identities[i]->leaf, sni,
					       CERT_CN_INSTEAD);
		int score = 2 * is_usable(identities[i], session) + named;

		if (score > best_score) {
			best_score = score;
			best = identities[i];
		}
	}
	return best;
}
