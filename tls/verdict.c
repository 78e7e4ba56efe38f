/* SPDX-License-Identifier: ISC */
/*
 * verdict - writes the sentence an administrator needs, what matters first,
 * for an SMTP-sized error text takes only its beginning.
 */
#include "tls/verdict.h"

#include <stdio.h>

#include "tls/cert.h"
#include "tls/decide.h"

struct text {
	char *at;
	size_t len, max;
};

static void say(struct text *t, const char *fmt, ...) PRINTF(2, 3);

/* Cuts what does not fit. */
static void say(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->at + t->len, t->max - t->len, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n;
	if (t->len >= t->max)
		t->len = t->max - 1;
}

static void say_names_wanted(struct text *t, const struct verify_task *task)
{
	const struct tls_policy *p = task->policy;

	if (task->peer != DECIDE_SERVER)
		return;
	if (p->nnames == 0)
		say(t, ", expected %s", task->host ? task->host : "?");
	for (size_t i = 0; i < p->nnames && i < 8; i++)
		say(t, "%s%s", i == 0 ? ", expected " : " or ", p->names[i]);
}

static const char *rank_of(const struct chain *c, gnutls_x509_crt_t crt)
{
	if (crt == c->certs[0])
		return "the certificate itself";
	return crt == c->anchor ? "the trusted CA" : "the intermediate";
}

static void say_dated(struct text *t, const struct chain *c,
		      gnutls_x509_crt_t crt, enum cause cause)
{
	bool expired = cause == CAUSE_IS_TLS_CERT_EXPIRED;
	struct tls_cert_info info;
	char at[CERT_TIME_MAX];

	if (!crt)
		return;
	cert_describe(crt, &info);
	cert_time(at, expired ? info.not_after_ms : info.not_before_ms);
	if (crt != c->certs[0])
		say(t, ": %s %.100s,", rank_of(c, crt), info.subject);
	say(t, "%s %s", expired ? " on" : ": not before", at);
}

/* A missing intermediate and an unknown root are mended by different people. */
static void say_untrusted(struct text *t, const struct chain *c,
			  const struct tls_trust *trust)
{
	struct tls_cert_info info;

	if (!trust) {
		say(t, ": no trust is configured");
		return;
	}
	if (c->anchor || c->npath == 0)
		return;
	cert_describe(c->path[c->npath - 1], &info);
	if (cert_self_signed(c->path[c->npath - 1]))
		say(t, ": the root %.120s is not in the trust", info.subject);
	else
		say(t,
		    ": %.120s is neither sent by the peer (chain incomplete?) "
		    "nor in the trust",
		    info.issuer);
}

static void say_weak(struct text *t, const struct chain *c)
{
	gnutls_x509_crt_t crt = chain_culprit(c, cert_weak);
	char strength[96];

	if (!crt)
		return;
	cert_strength(strength, sizeof(strength), crt);
	say(t, ": %s, %s", rank_of(c, crt), strength);
}

static void say_detail(struct text *t, const struct chain *c,
		       const struct verify_task *task, unsigned faults)
{
	const char *check;
	enum cause cause = decide_cause(faults, &check);

	say(t, "%s", check);
	if (cause == CAUSE_IS_TLS_CERT_EXPIRED)
		say_dated(t, c, chain_culprit(c, cert_expired), cause);
	else if (cause == CAUSE_IS_TLS_CERT_NOT_YET_VALID)
		say_dated(t, c, chain_culprit(c, cert_not_yet_valid), cause);
	else if (cause == CAUSE_IS_TLS_CERT_WEAK)
		say_weak(t, c);
	else if (cause == CAUSE_IS_TLS_CERT_UNTRUSTED &&
		 (faults & GNUTLS_CERT_SIGNER_NOT_FOUND))
		say_untrusted(t, c, task->policy->trust);
}

/* Which list, and why. */
static void say_revocation(struct text *t, const struct tls_verdict *v)
{
	if (v->cause == CAUSE_IS_TLS_CERT_REVOKED ||
	    v->cause == CAUSE_IS_TLS_CRL_UNAVAILABLE)
		say(t, ": %s", v->crl_text);
}

static void say_leaf(struct text *t, gnutls_x509_crt_t leaf)
{
	char from[CERT_TIME_MAX];
	char until[CERT_TIME_MAX];
	struct tls_cert_info info;

	cert_describe(leaf, &info);
	cert_time(from, info.not_before_ms);
	cert_time(until, info.not_after_ms);
	say(t, "; subject %.160s, names %.240s, issuer %.160s",
	    info.subject[0] ? info.subject : "(empty)",
	    info.names[0] ? info.names : "(none)", info.issuer);
	say(t, ", valid %s to %s, serial %s", from, until, info.serial);
}

void verdict_write(struct tls_verdict *v, const struct chain *c,
		   const struct verify_task *task, unsigned faults)
{
	struct text t = {v->text, 0, sizeof(v->text)};
	struct tls_cert_info info;

	if (v->cause == CAUSE_IS_NONE)
		return;
	if (v->cause == CAUSE_IS_TLS_PIN) {
		cert_describe(c->certs[0], &info);
		say(&t, "the key %s matches no pin", info.spki_sha256);
		if (task->policy->verify != TLS_VERIFY_NONE)
			say(&t, ", and ");
	}
	if (v->cause != CAUSE_IS_TLS_PIN ||
	    task->policy->verify != TLS_VERIFY_NONE)
		say_detail(&t, c, task, faults);
	say_revocation(&t, v);
	say_names_wanted(&t, task);
	say_leaf(&t, c->certs[0]);
}

const char *tls_crl_word(enum tls_crl crl)
{
	switch (crl) {
	case TLS_CRL_OFF:
		return "off";
	case TLS_CRL_GOOD:
		return "good";
	case TLS_CRL_REVOKED:
		return "revoked";
	case TLS_CRL_UNDETERMINED:
		return "undetermined";
	}
	BUG_ON(true);
	return "";
}

void tls_crl_say(char *out, size_t max, const struct tls_verdict *v)
{
	bool known = v->crl != TLS_CRL_UNDETERMINED;

	snprintf(out, max, "%s%s%s", tls_crl_word(v->crl), known ? "" : ": ",
		 known ? "" : v->crl_text);
}
