/* SPDX-License-Identifier: ISC */
/*
 * trust - loads certificate authorities and the versions that go with them.
 *
 * Cipher suites follow GnuTLS' NORMAL, which RFC 9325 asks for but for one
 * point: key transport by RSA stays at the end of the list, for old peers
 * under opportunistic TLS would otherwise get no TLS at all.  Under TLS 1.2
 * the server's order wins, which puts forward secrecy first.
 */
#include "tls/trust.h"

#include <stdatomic.h>

#include "tls/cert.h"
#include "tls/pem.h"

#define PRIORITY_12 \
	"NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:%SERVER_PRECEDENCE"
#define PRIORITY_13 "NORMAL:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE"

struct tls_trust {
	atomic_uint refs;
	gnutls_x509_trust_list_t list; /* owned */
	gnutls_priority_t priority; /* owned */
	struct tls_crl_conf crl; /* its files are owned */
	uint8_t (*own_keys)[CERT_KEY_HASH]; /* of the files' authorities;
						owned */
	size_t nown_keys;
};

static void trust_free(struct tls_trust *t)
{
	if (!t)
		return;
	if (t->list)
		gnutls_x509_trust_list_deinit(t->list, 1);
	if (t->priority)
		gnutls_priority_deinit(t->priority);
	for (size_t i = 0; i < t->crl.nfiles; i++)
		free((char *)t->crl.files[i]);
	free((void *)t->crl.files);
	free(t->own_keys);
	free(t);
}

static enum status add_system(struct tls_trust *t, struct err *e)
{
	int n = gnutls_x509_trust_list_add_system_trust(
		t->list, GNUTLS_TL_NO_DUPLICATES, 0);

	if (n < 0)
		return err_perm(e, 7, 0, "the system's trust: %s",
				gnutls_strerror(n));
	if (n == 0)
		return err_perm(e, 7, 0,
				"the system's trust is empty: is the package "
				"ca-certificates installed?");
	return ST_OK;
}

/* What can't be read here was not added either. */
static void note_own(struct tls_trust *t, const gnutls_datum_t *pem)
{
	gnutls_x509_crt_t *crts = NULL;
	unsigned n = 0;

	if (gnutls_x509_crt_list_import2(&crts, &n, pem, GNUTLS_X509_FMT_PEM,
					 0) < 0)
		return;
	t->own_keys =
		xrealloc(t->own_keys, t->nown_keys + n, sizeof(*t->own_keys));
	for (unsigned i = 0; i < n; i++) {
		if (cert_key_hash(crts[i], t->own_keys[t->nown_keys]))
			t->nown_keys++;
		gnutls_x509_crt_deinit(crts[i]);
	}
	gnutls_free(crts);
}

static enum status add_file(struct tls_trust *t, const char *path,
			    struct err *e)
{
	gnutls_datum_t pem = {NULL, 0};
	enum status st;
	int n;

	st = pem_load(&pem, path, e);
	if (st != ST_OK)
		goto out;
	n = gnutls_x509_trust_list_add_trust_mem(t->list, &pem, NULL,
						 GNUTLS_X509_FMT_PEM,
						 GNUTLS_TL_NO_DUPLICATES, 0);
	if (n == 0 || n == GNUTLS_E_NO_CERTIFICATE_FOUND)
		st = err_perm(e, 7, 0, "%s: no certificate in it", path);
	else if (n < 0)
		st = err_perm(e, 7, 0, "%s: bad certificate: %s", path,
			      gnutls_strerror(n));
	else
		note_own(t, &pem);
out:
	pem_free(&pem);
	return st;
}

static enum status add_all(struct tls_trust *t, const char *const *ca,
			   size_t nca, struct err *e)
{
	enum status st = ST_OK;

	if (gnutls_x509_trust_list_init(&t->list, 0) < 0)
		return err_temp(e, 7, 0, "no memory for a list of trust");
	if (nca == 0)
		return err_perm(e, 7, 0, "a trust needs at least one ca");
	for (size_t i = 0; st == ST_OK && i < nca; i++) {
		if (strcmp(ca[i], "system") == 0)
			st = add_system(t, e);
		else
			st = add_file(t, ca[i], e);
	}
	return st;
}

static enum status make_priority(gnutls_priority_t *out, const char *min_tls,
				 struct err *e)
{
	const char *text;
	int rc;

	if (!min_tls || strcmp(min_tls, "1.2") == 0)
		text = PRIORITY_12;
	else if (strcmp(min_tls, "1.3") == 0)
		text = PRIORITY_13;
	else
		return err_perm(e, 7, 0, "min_tls \"%s\": it is 1.2 or 1.3",
				min_tls);
	rc = gnutls_priority_init(out, text, NULL);
	if (rc < 0)
		return err_perm(e, 7, 0, "TLS priorities \"%s\": %s", text,
				gnutls_strerror(rc));
	return ST_OK;
}

enum status tls_trust_load(struct tls_trust **out, const char *const *ca,
			   size_t nca, const char *min_tls, struct err *e)
{
	struct tls_trust *t = xcalloc(1, sizeof(*t));
	enum status st;

	atomic_init(&t->refs, 1);
	st = add_all(t, ca, nca, e);
	if (st != ST_OK)
		goto out;
	st = make_priority(&t->priority, min_tls, e);
	if (st != ST_OK)
		goto out;
	*out = t;
	t = NULL;
out:
	trust_free(t);
	return st;
}

void tls_trust_set_crl(struct tls_trust *t, const struct tls_crl_conf *conf)
{
	const char **files = xcalloc(conf->nfiles + 1, sizeof(*files));

	BUG_ON(t->crl.files);
	for (size_t i = 0; i < conf->nfiles; i++)
		files[i] = xstrdup(conf->files[i]);
	t->crl = *conf;
	t->crl.files = files;
	if (!conf->cache)
		t->crl.use = TLS_CRL_IGNORE;
}

const struct tls_crl_conf *trust_crl(const struct tls_trust *t)
{
	return &t->crl;
}

bool trust_is_own(const struct tls_trust *t, gnutls_x509_crt_t anchor)
{
	uint8_t hash[CERT_KEY_HASH];

	if (!cert_key_hash(anchor, hash))
		return false;
	for (size_t i = 0; i < t->nown_keys; i++)
		if (memcmp(t->own_keys[i], hash, sizeof(hash)) == 0)
			return true;
	return false;
}

struct tls_trust *tls_trust_ref(struct tls_trust *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void tls_trust_unref(struct tls_trust *t)
{
	if (t && atomic_fetch_sub(&t->refs, 1) == 1)
		trust_free(t);
}

gnutls_x509_trust_list_t trust_list(const struct tls_trust *t)
{
	return t->list;
}

/* Threads may race to make the first one: the loser throws his away. */
static enum status default_priority(gnutls_priority_t *out, struct err *e)
{
	static _Atomic(gnutls_priority_t) shared;
	gnutls_priority_t found = atomic_load(&shared);
	gnutls_priority_t made = NULL;
	enum status st = ST_OK;

	if (!found) {
		st = make_priority(&made, NULL, e);
		if (st != ST_OK)
			return st;
		if (atomic_compare_exchange_strong(&shared, &found, made))
			found = made;
		else
			gnutls_priority_deinit(made);
	}
	*out = found;
	return st;
}

enum status trust_priority(const struct tls_trust *t, gnutls_priority_t *out,
			   struct err *e)
{
	if (!t)
		return default_priority(out, e);
	*out = t->priority;
	return ST_OK;
}

enum status trust_system(struct tls_trust **out, struct err *e)
{
	static _Atomic(struct tls_trust *) shared;
	static const char *const system_only[] = {"system"};
	struct tls_trust *found = atomic_load(&shared);
	struct tls_trust *made = NULL;
	enum status st = ST_OK;

	if (!found) {
		st = tls_trust_load(&made, system_only, 1, NULL, e);
		if (st != ST_OK)
			return st;
		if (atomic_compare_exchange_strong(&shared, &found, made))
			found = made;
		else
			trust_free(made);
	}
	*out = found;
	return st;
}
