/* SPDX-License-Identifier: ISC */
/*
 * verify - gathers what is right and wrong with a peer's certificates.
 */
#include "tls/verify.h"

#include <stdio.h>

#include "tls/cert.h"
#include "tls/chain.h"
#include "tls/revocation.h"
#include "tls/trust.h"
#include "tls/verdict.h"

/* What the certificates of a path to nobody say themselves. */
static unsigned path_faults(const struct chain *c)
{
	unsigned faults = 0;

	if (cert_self_signed(c->certs[0]))
		faults |= FAULT_SELF_SIGNED;
	if (chain_culprit(c, cert_expired))
		faults |= GNUTLS_CERT_EXPIRED;
	if (chain_culprit(c, cert_not_yet_valid))
		faults |= GNUTLS_CERT_NOT_ACTIVATED;
	if (chain_culprit(c, cert_weak))
		faults |= GNUTLS_CERT_INSECURE_ALGORITHM;
	return faults;
}

/* Without any trust there is no chain to judge: what the leaf says itself. */
static unsigned leaf_faults(const struct chain *c)
{
	gnutls_x509_crt_t leaf = c->certs[0];
	unsigned faults = 0;

	if (cert_expired(leaf))
		faults |= GNUTLS_CERT_EXPIRED;
	if (cert_not_yet_valid(leaf))
		faults |= GNUTLS_CERT_NOT_ACTIVATED;
	if (cert_weak(leaf))
		faults |= GNUTLS_CERT_INSECURE_ALGORITHM;
	if (cert_self_signed(leaf))
		faults |= FAULT_SELF_SIGNED;
	return faults;
}

static unsigned trust_faults(struct chain *c, const struct verify_task *task)
{
	static char server_purpose[] = GNUTLS_KP_TLS_WWW_SERVER;
	gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID,
					 (unsigned char *)server_purpose, 0};
	unsigned faults = GNUTLS_CERT_INVALID;
	int rc;

	rc = gnutls_x509_trust_list_verify_crt2(
		trust_list(task->policy->trust), c->certs, c->n, &purpose,
		task->peer == DECIDE_SERVER ? 1 : 0,
		GNUTLS_PROFILE_TO_VFLAGS(GNUTLS_PROFILE_MEDIUM), &faults, NULL);
	if (rc < 0)
		faults |= GNUTLS_CERT_INVALID;
	/* GnuTLS may stop at the first fault; whoever forgives that one must
	 * not forgive the others along with it. */
	if (faults & FAULTS_OF_TRUST)
		faults |= path_faults(c);
	return faults;
}

static bool is_named(gnutls_x509_crt_t leaf, const struct verify_task *task)
{
	const struct tls_policy *p = task->policy;
	enum cert_cn cn = p->common_name ? CERT_CN_INSTEAD : CERT_CN_IGNORE;

	if (p->nnames == 0)
		return task->host && cert_named(leaf, task->host, cn);
	for (size_t i = 0; i < p->nnames; i++)
		if (cert_named(leaf, p->names[i], cn))
			return true;
	return false;
}

static bool key_is(gnutls_x509_crt_t leaf, const uint8_t wanted[CERT_KEY_HASH])
{
	uint8_t hash[CERT_KEY_HASH];

	return cert_key_hash(leaf, hash) &&
	       memcmp(hash, wanted, sizeof(hash)) == 0;
}

static enum decide_pin pin_of(gnutls_x509_crt_t leaf,
			      const struct tls_policy *p)
{
	if (p->npins == 0)
		return PIN_NOT_SET;
	for (size_t i = 0; i < p->npins; i++)
		if (key_is(leaf, p->pins[i]))
			return PIN_MATCHES;
	return PIN_DIFFERS;
}

static unsigned forgive_of(gnutls_x509_crt_t leaf, const struct tls_policy *p)
{
	if (p->forgive_pinned && !key_is(leaf, p->forgive_pin))
		return 0;
	return p->forgive;
}

static unsigned faults_of(struct chain *c, const struct verify_task *task)
{
	unsigned faults;

	if (task->policy->trust)
		faults = trust_faults(c, task);
	else if (task->policy->verify == TLS_VERIFY_NONE)
		faults = leaf_faults(c);
	else
		faults = leaf_faults(c) | GNUTLS_CERT_SIGNER_NOT_FOUND;
	if (task->peer == DECIDE_SERVER && !is_named(c->certs[0], task))
		faults |= FAULT_NAME;
	return faults;
}

/* Only a chain that leads to the trust is worth a question (whoever can send
 * certificates could have us fetch anything), and only where something depends
 * on the answer: servers need not prove anything under TLS_VERIFY_NONE, and a
 * key that is pinned has proved itself. */
static unsigned revocation_faults(const struct chain *c,
				  const struct verify_task *task,
				  const struct facts *facts,
				  struct tls_verdict *v)
{
	const unsigned harmless = FAULT_NAME | GNUTLS_CERT_INVALID |
				  GNUTLS_CERT_EXPIRED |
				  GNUTLS_CERT_NOT_ACTIVATED;
	const struct tls_trust *trust = task->policy->trust;
	unsigned faults = 0;

	if (!trust || trust_crl(trust)->use == TLS_CRL_IGNORE ||
	    facts->pin == PIN_MATCHES ||
	    (task->peer == DECIDE_SERVER && facts->verify == TLS_VERIFY_NONE))
		return 0;
	if (facts->faults & ~harmless) {
		v->crl = TLS_CRL_UNDETERMINED;
		snprintf(v->crl_text, sizeof(v->crl_text),
			 "not asked: the certificate is not trusted");
		return 0;
	}
	revocation_ask(c, trust, v);
	if (v->crl == TLS_CRL_REVOKED)
		faults = GNUTLS_CERT_REVOKED;
	else if (v->crl == TLS_CRL_UNDETERMINED &&
		 trust_crl(trust)->use == TLS_CRL_REQUIRE)
		faults = FAULT_CRL;
	return faults;
}

void verify_peer(const struct verify_task *task, const gnutls_datum_t *der,
		 unsigned n, struct verify_result *out)
{
	struct facts facts = {.verify = task->policy->verify,
			      .peer = task->peer,
			      .trust = task->policy->trust != NULL};
	struct decision decision;
	struct chain c;

	*out = (struct verify_result){.accepted = false};
	chain_init(&c, der, n, task->policy->trust);
	if (c.n == 0) {
		out->verdict.cause = CAUSE_IS_TLS_CERT_UNTRUSTED;
		out->verdict.faults = TLS_FAULT_CHAIN;
		snprintf(out->verdict.text, sizeof(out->verdict.text),
			 "the certificate is not readable");
		out->accepted = task->policy->verify == TLS_VERIFY_NONE &&
				task->policy->npins == 0;
		goto out;
	}
	facts.faults = faults_of(&c, task);
	facts.pin = pin_of(c.certs[0], task->policy);
	facts.forgive = forgive_of(c.certs[0], task->policy);
	facts.faults |= revocation_faults(&c, task, &facts, &out->verdict);
	decision = decide(&facts);
	out->accepted = decision.accepted;
	out->proof = decision.proof;
	out->verdict.cause = decision.cause;
	out->verdict.faults = decide_kinds(facts.faults);
	verdict_write(&out->verdict, &c, task, facts.faults);
out:
	chain_release(&c);
}
