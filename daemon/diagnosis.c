/* SPDX-License-Identifier: ISC */
/*
 * diagnosis - what experience says.
 *
 * Why STARTTLS is missing is told apart in this order: what a filter did to
 * the dialogue is seen in the dialogue; a server that says blocklist means it;
 * the two kinds of Exchange have each their own habit; the rest is unknown.
 */
#include "daemon/diagnosis.h"

#include <string.h>

static bool says(const char *text, const char *word)
{
	return strcasestr(text, word) != NULL;
}

static bool says_one(const char *text, const char *const *words)
{
	for (; *words; words++)
		if (says(text, *words))
			return true;
	return false;
}

static bool is_blocklisted(const struct symptoms *s)
{
	static const char *const words[] = {
		"blocklist",	 "block list", "blacklist", "black list",
		"blocked using", "dnsbl",      "spamhaus",  "barracudacentral",
		"spamcop",	 "delist",     "banned",    NULL,
	};

	return says_one(s->greeting, words) || says_one(s->ehlo, words);
}

static bool is_exchange_online(const struct symptoms *s)
{
	static const char *const hosts[] = {"protection.outlook.com",
					    ".mx.microsoft", NULL};

	return says_one(s->host, hosts) || says_one(s->greeting, hosts) ||
	       says_one(s->ehlo, hosts);
}

/* Products that open TLS and present certificates of their own. */
static bool is_inspected(const struct symptoms *s)
{
	static const char *const words[] = {
		"fortinet",
		"fortigate",
		"palo alto",
		"check point",
		"checkpoint",
		"sophos",
		"zscaler",
		"barracuda",
		"watchguard",
		"sonicwall",
		"blue coat",
		"bluecoat",
		"forcepoint",
		"websense",
		"netskope",
		"untangle",
		"smoothwall",
		"stormshield",
		"cyberoam",
		"sangfor",
		"trend micro",
		"kaspersky",
		"avast",
		"avg technologies",
		"bitdefender",
		"eset ssl",
		"eset, spol",
		"dr.web",
		"mcafee web gateway",
		"skyhigh",
		"cisco umbrella",
		"cisco firepower",
		"clavister",
		"mitmproxy",
		"squid",
		"ssl inspection",
		"tls inspection",
		"ssl proxy",
		"web gateway",
		"firewall",
		NULL,
	};

	return says_one(s->issuer, words) || says_one(s->subject, words);
}

static enum diagnosis why_no_starttls(const struct symptoms *s)
{
	if (s->masked)
		return DIAGNOSIS_IS_MASKED;
	if (s->ehlo_refused)
		return is_blocklisted(s) ? DIAGNOSIS_IS_BLOCKLISTED
					 : DIAGNOSIS_IS_SMTP_ONLY;
	if (is_blocklisted(s))
		return DIAGNOSIS_IS_BLOCKLISTED;
	if (is_exchange_online(s))
		return DIAGNOSIS_IS_CLOUD_HIDES;
	if (says(s->greeting, "Microsoft ESMTP"))
		return DIAGNOSIS_IS_EXCHANGE_CERTIFICATE;
	return DIAGNOSIS_IS_NOT_OFFERED;
}

static enum diagnosis inspection_or(const struct symptoms *s,
				    enum diagnosis other)
{
	return is_inspected(s) ? DIAGNOSIS_IS_INSPECTION : other;
}

enum diagnosis diagnosis_of(const struct symptoms *s)
{
	switch ((int)s->cause) {
	case CAUSE_IS_NONE:
		return DIAGNOSIS_HEALTHY;
	case CAUSE_IS_TLS_NOT_OFFERED:
	case CAUSE_IS_TLS_MASKED:
		return why_no_starttls(s);
	case CAUSE_IS_TLS_REFUSED:
		return DIAGNOSIS_IS_STARTTLS_REFUSED;
	case CAUSE_IS_TLS_VERSION:
		return DIAGNOSIS_IS_VERSION_FLOOR;
	case CAUSE_IS_TLS_HANDSHAKE:
		return s->cut ? DIAGNOSIS_IS_HELLO_RESET : DIAGNOSIS_AS_CAUSE;
	case CAUSE_IS_TLS_CERT_UNTRUSTED:
	case CAUSE_IS_TLS_CERT_SELF_SIGNED:
	case CAUSE_IS_TLS_CERT_NAME:
	case CAUSE_IS_TLS_PIN:
		return inspection_or(s, DIAGNOSIS_AS_CAUSE);
	case CAUSE_IS_PEER_BLOCKLISTED:
		return DIAGNOSIS_IS_BLOCKLISTED;
	default:
		return DIAGNOSIS_AS_CAUSE;
	}
}

/* ------- words */

static const struct {
	const char *word, *cause, *remedy;
} table[DIAGNOSES] = {
	[DIAGNOSIS_HEALTHY] = {"healthy", "", ""},
	[DIAGNOSIS_AS_CAUSE] = {"", "", ""},
#define DIAGNOSIS(name, word, cause, remedy) \
	[DIAGNOSIS_IS_##name] = {word, cause, remedy},
#include "daemon/diagnosis.def"
#undef DIAGNOSIS
};

const char *diagnosis_word(enum diagnosis d, enum cause cause)
{
	return d == DIAGNOSIS_AS_CAUSE ? cause_word(cause) : table[d].word;
}

const char *diagnosis_cause(enum diagnosis d)
{
	return table[d].cause;
}

const char *diagnosis_remedy(enum diagnosis d, enum cause cause)
{
	return d == DIAGNOSIS_AS_CAUSE ? cause_remedy(cause) : table[d].remedy;
}
