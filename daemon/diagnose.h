/* SPDX-License-Identifier: ISC */
/*
 * diagnose - turns the facts of a failure into its cause and its reach.
 *
 * The one place that decides why something failed and whom else that
 * condemns.  It judges facts (errno, the resolver's result, reply codes, what
 * EHLO showed, the verdict on a certificate); the peer's words are looked at
 * only where codes cannot tell, and are kept beside the cause in any case.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_DIAGNOSE_H
#define DAEMON_DIAGNOSE_H

#include "base/cause.h"
#include "net/resolver.h"
#include "smtp/client.h"

/* Whom a failure condemns: RFC 5321 4.2.1 knows only the first two; the
 * others save every further message the same experience. */
enum reach {
	AT_RECIPIENT,
	AT_MESSAGE,
	AT_DESTINATION,                  /* the host, or TLS with it */
	AT_SELF,                         /* this machine or its configuration */
};

struct failure {
	enum status status;              /* ST_TEMP or ST_PERM */
	enum reach  reach;
	enum cause  cause;
	char        enhanced[16];        /* "4.7.5" */
	char        reply[REPLY_TEXT_MAX];       /* the peer's words or ours */
};

enum fact_kind {
	FACT_LOOKUP,                     /* lookup, host */
	FACT_CONNECT,                    /* os */
	FACT_REPLY,                      /* stage, reply, offers, ... */
	FACT_NO_STARTTLS,                /* forced, and EHLO did not offer it */
	FACT_NO_AUTH,                    /* reply's text: why it can't be said */
	FACT_NO_SECRET,                  /* text: why we could not log in */
	FACT_TLS,                        /* tls_cause, text */
	FACT_LOST,                       /* stage: the connection broke */
	FACT_TIMEOUT,                    /* stage */
	FACT_PROTOCOL,                   /* stage, reply: not SMTP */
	FACT_CORRUPT,                    /* text: our stored body is damaged */
	FACT_SELF,                       /* text: we could not even begin */
};

struct facts {
	enum fact_kind     kind;
	const char        *host;
	enum lookup_result lookup;
	int                os;           /* errno */
	enum client_stage  stage;
	bool               handshaking;  /* FACT_LOST, FACT_TIMEOUT: in TLS */
	bool               in_tls;
	bool               smart_host;   /* configured, not found by MX */
	unsigned           offers;       /* enum client_offer */
	bool               ehlo_refused;
	const struct reply *reply;
	enum cause         tls_cause;
	const char        *greeting;
	const char        *text;
};

void diagnose(const struct facts *f, struct failure *out);

/* What a message asks of its next hop. */
struct needs {
	uint64_t bytes;
	bool has_8bit;
	bool smtputf8;
	bool bare_newlines;
};

/* Can the host take it?  False: *out says what is missing.  RFC 1870 6.2,
 * 6152 section 3, 6531 3.4, 3030. */
MUST_USE bool diagnose_needs(const struct needs *needs, const char *host,
			     unsigned offers, uint64_t size_limit,
			     struct failure *out);
/* Is the whole service too busy for us?  4.7.X of one that throttles, and what
 * says so in words; not one connection or error too many, and not a recipient's
 * own trouble. */
bool failure_is_throttle(const struct failure *f);
/* "Too many recipients", of those in one transaction: RFC 5321 4.5.3.1.10. */
bool reply_is_too_many(const struct reply *r);

#endif
