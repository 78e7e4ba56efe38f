/* SPDX-License-Identifier: ISC */
/*
 * session - makes sessions, judges their peers, answers for them.
 *
 * The peer's certificate is judged by a call-back inside the handshake, before
 * our own certificate or any data leaves; so TRANSPORT_OK of the handshake
 * already means that the policy holds.  Carrying the bytes is record.c's.
 *
 * One credentials object serves all sessions of the process.  It holds no keys
 * and no trust: our chain comes from on_certificate_wanted(), the verdict from
 * on_certificate_shown(), both by way of the session's pointer.  So a session
 * costs no copy of either, and the list of accepted issuers in a server's
 * CertificateRequest is empty, which stands for any (with the system's trust it
 * would be 20 kB).
 *
 * No session is ever resumed.  A server sends no NewSessionTicket, for there is
 * a large sender that hangs up on one; a client does not offer to take any.
 */
#include "tls/session.h"

#include <stdatomic.h>
#include <gnutls/x509.h>

#include "tls/cert.h"
#include "tls/identity.h"
#include "tls/name.h"
#include "tls/record.h"
#include "tls/trust.h"

/* ---------------------------------------------------------------- call-backs */

static const char *sni_of(gnutls_session_t tls, char *name, size_t max)
{
	unsigned type;
	size_t len = max;

	if (gnutls_server_name_get(tls, name, &len, &type, 0) < 0 ||
	    type != GNUTLS_NAME_DNS)
		return NULL;
	return name;
}

/* GnuTLS wants our chain and key; none is fine for a client.  The issuers that
 * a server lists are not looked at: many lists are wrong or cut, and we have
 * only one certificate to show. */
static int on_certificate_wanted(gnutls_session_t tls,
				 const struct gnutls_cert_retr_st *info,
				 gnutls_pcert_st **chain, unsigned *len,
				 gnutls_ocsp_data_st **ocsp, unsigned *nocsp,
				 gnutls_privkey_t *key, unsigned *flags)
{
	struct session *s = gnutls_session_get_ptr(tls);
	struct tls_identity *i = s->identity;
	struct identity_offer offer = {.chain = NULL};
	char name[256];

	(void)info;
	if (s->role == FAILURE_SERVER)
		i = identity_choose(s->conf.identities, s->conf.nidentities,
				    tls, sni_of(tls, name, sizeof(name)));
	if (i)
		identity_offer(i, &offer);
	*chain = offer.chain;
	*len = offer.len;
	*key = offer.key;
	/* A client's would be asked for by nobody. */
	*ocsp = s->role == FAILURE_SERVER ? offer.staple : NULL;
	*nocsp = *ocsp ? 1 : 0;
	*flags = 0; /* all of it stays ours */
	return 0;
}

/* Not 0 breaks off the handshake.  A server that requires a certificate does
 * not get here without one. */
static int on_certificate_shown(gnutls_session_t tls)
{
	struct session *s = gnutls_session_get_ptr(tls);
	struct verify_task task = {.peer = s->role == FAILURE_SERVER
						   ? DECIDE_CLIENT
						   : DECIDE_SERVER,
				   .host = s->host,
				   .policy = &s->policy};
	const gnutls_datum_t *chain;
	unsigned n = 0;

	chain = gnutls_certificate_get_peers(tls, &n);
	if (!chain || n == 0)
		return s->role == FAILURE_SERVER
			       ? 0
			       : GNUTLS_E_NO_CERTIFICATE_FOUND;
	verify_peer(&task, chain, n, &s->result);
	return s->result.accepted ? 0 : GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR;
}

/* The one credentials object; threads may race to make it. */
static gnutls_certificate_credentials_t credentials(void)
{
	static _Atomic(gnutls_certificate_credentials_t) shared;
	gnutls_certificate_credentials_t found = atomic_load(&shared);
	gnutls_certificate_credentials_t made = NULL;

	if (found)
		return found;
	if (gnutls_certificate_allocate_credentials(&made) < 0)
		return NULL;
	gnutls_certificate_set_retrieve_function3(made, on_certificate_wanted);
	gnutls_certificate_set_verify_function(made, on_certificate_shown);
	if (atomic_compare_exchange_strong(&shared, &found, made))
		return made;
	gnutls_certificate_free_credentials(made);
	return found;
}

/* ----------------------------------------------------------------- creation */

static struct session *session_alloc(enum failure_role role)
{
	struct session *s = xcalloc(1, sizeof(*s));

	s->transport.ops = &record_ops;
	s->role = role;
	return s;
}

static enum status session_init(struct session *s, int fd, struct err *e)
{
	gnutls_certificate_credentials_t creds = credentials();
	unsigned flags =
		s->role == FAILURE_SERVER ? GNUTLS_SERVER : GNUTLS_CLIENT;
	gnutls_priority_t priority;
	enum status st;
	int rc;

	st = trust_priority(s->policy.trust, &priority, e);
	if (st != ST_OK)
		return st;
	rc = gnutls_init(&s->tls, flags | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
					  GNUTLS_NO_TICKETS);
	if (rc >= 0)
		rc = gnutls_priority_set(s->tls, priority);
	if (rc >= 0)
		rc = creds ? gnutls_credentials_set(
				     s->tls, GNUTLS_CRD_CERTIFICATE, creds)
			   : GNUTLS_E_MEMORY_ERROR;
	if (rc < 0)
		return err_temp(e, 7, 0, "TLS session: %s",
				gnutls_strerror(rc));
	gnutls_session_set_ptr(s->tls, s);
	gnutls_transport_set_int(s->tls, fd);
	return ST_OK;
}

/* RFC 6066 3: no address literals, no trailing dot.  A host that cannot be a
 * server name is sent none; its certificate is judged all the same. */
static void set_sni(struct session *s)
{
	uint8_t ip[NAME_IP_MAX];
	size_t len = strlen(s->host);

	if (len > 0 && s->host[len - 1] == '.')
		len--;
	if (len > 0 && name_literal(s->host, ip) == 0)
		gnutls_server_name_set(s->tls, GNUTLS_NAME_DNS, s->host, len);
}

enum status tls_client_new(struct transport **out, int fd, const char *host,
			   const struct tls_policy *policy,
			   struct tls_identity *identity, struct err *e)
{
	struct session *s = session_alloc(FAILURE_CLIENT);
	enum status st = ST_OK;

	s->host = xstrdup(host);
	s->policy = *policy;
	s->identity = identity;
	if (!policy->trust && policy->verify != TLS_VERIFY_NONE)
		st = trust_system(&s->policy.trust, e);
	if (st == ST_OK)
		st = session_init(s, fd, e);
	if (st != ST_OK)
		goto out;
	set_sni(s);
	*out = &s->transport;
	s = NULL;
out:
	if (s)
		s->transport.ops->free(&s->transport);
	if (st != ST_OK)
		e->status = st = ST_TEMP;
	return st;
}

static gnutls_certificate_request_t request_of(enum tls_ask ask)
{
	switch (ask) {
	case TLS_ASK_NOTHING:
		return GNUTLS_CERT_IGNORE;
	case TLS_ASK_REQUEST:
		return GNUTLS_CERT_REQUEST;
	case TLS_ASK_REQUIRE:
		return GNUTLS_CERT_REQUIRE;
	}
	BUG_ON(true);
	return GNUTLS_CERT_IGNORE;
}

enum status tls_server_new(struct transport **out, int fd,
			   const struct tls_server_conf *conf, struct err *e)
{
	struct session *s = session_alloc(FAILURE_SERVER);
	enum status st;

	BUG_ON(conf->nidentities == 0);
	s->conf = *conf;
	s->policy = (struct tls_policy){.trust = conf->trust,
					.verify = conf->ask == TLS_ASK_REQUIRE
							  ? TLS_VERIFY_CA
							  : TLS_VERIFY_NONE};
	st = session_init(s, fd, e);
	if (st != ST_OK)
		goto out;
	gnutls_certificate_server_set_request(s->tls, request_of(conf->ask));
	*out = &s->transport;
	s = NULL;
out:
	if (s)
		s->transport.ops->free(&s->transport);
	return st;
}

/* ------------------------------------------------------------------ answers */

const char *tls_session_version(const struct transport *t)
{
	struct session *s = session_of(t);
	const char *name = NULL;

	if (s->secured)
		name = gnutls_protocol_get_name(
			gnutls_protocol_get_version(s->tls));
	return name ? name : "";
}

const char *tls_session_cipher(const struct transport *t)
{
	struct session *s = session_of(t);
	const char *name = NULL;

	if (s->secured)
		name = gnutls_ciphersuite_get(s->tls);
	return name ? name : "";
}

const char *tls_session_verified(const struct transport *t)
{
	static const char *const words[] = {
		[PROOF_NONE] = "none",		 [PROOF_CA] = "ca",
		[PROOF_NAME] = "name",		 [PROOF_PIN] = "pin",
		[PROOF_EXCEPTION] = "exception",
	};

	return words[session_of(t)->result.proof];
}

const struct tls_verdict *tls_session_verdict(const struct transport *t)
{
	return &session_of(t)->result.verdict;
}

/* The peer's own certificate, for gnutls_x509_crt_deinit(), or NULL. */
static gnutls_x509_crt_t peer_of(const struct session *s)
{
	gnutls_x509_crt_t crt = NULL;
	const gnutls_datum_t *chain;
	unsigned n = 0;

	chain = gnutls_certificate_get_peers(s->tls, &n);
	if (!chain || n == 0 || gnutls_x509_crt_init(&crt) < 0)
		return NULL;
	if (gnutls_x509_crt_import(crt, &chain[0], GNUTLS_X509_FMT_DER) >= 0)
		return crt;
	gnutls_x509_crt_deinit(crt);
	return NULL;
}

bool tls_session_peer(const struct transport *t, struct tls_cert_info *out)
{
	gnutls_x509_crt_t crt = peer_of(session_of(t));

	if (!crt)
		return false;
	cert_describe(crt, out);
	gnutls_x509_crt_deinit(crt);
	return true;
}

static bool bears(const struct session *s, const char *const *names, size_t n,
		  enum cert_cn cn)
{
	gnutls_x509_crt_t crt = peer_of(s);
	bool found = false;

	for (size_t i = 0; crt && !found && i < n; i++)
		found = cert_named(crt, names[i], cn);
	if (crt)
		gnutls_x509_crt_deinit(crt);
	return found;
}

bool tls_session_peer_named(const struct transport *t, const char *const *names,
			    size_t n)
{
	const struct session *s = session_of(t);

	return s->result.proof != PROOF_NONE &&
	       bears(s, names, n, CERT_CN_IGNORE);
}

bool tls_session_bears(const struct transport *t, const char *const *names,
		       size_t n)
{
	const struct session *s = session_of(t);
	enum cert_cn cn =
		s->policy.common_name ? CERT_CN_INSTEAD : CERT_CN_IGNORE;
	const char *const host = s->host;

	if (n == 0)
		return host && bears(s, &host, 1, cn);
	return bears(s, names, n, cn);
}

void tls_session_judge(const struct transport *t, const struct tls_policy *p,
		       struct tls_verdict *out)
{
	const struct session *s = session_of(t);
	const struct verify_task task = {
		.peer = DECIDE_SERVER,
		.host = s->host,
		.policy = p,
	};
	const gnutls_datum_t *chain;
	struct verify_result result;
	unsigned n = 0;

	chain = gnutls_certificate_get_peers(s->tls, &n);
	BUG_ON(!chain || n == 0);
	verify_peer(&task, chain, n, &result);
	*out = result.verdict;
}

enum cause tls_session_failure(const struct transport *t)
{
	return session_of(t)->failure;
}
