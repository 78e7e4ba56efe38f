/* SPDX-License-Identifier: ISC */
/*
 * diagnosis - from what was seen at a host to the probable cause, and what to
 * do about it.
 *
 * daemon/diagnose says what failed, in one stable word; here that is looked at
 * together with what the peer showed (banner, EHLO, certificate), as an
 * administrator with some experience would.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_DIAGNOSIS_H
#define DAEMON_DIAGNOSIS_H

#include "base/cause.h"

enum diagnosis {
	DIAGNOSIS_HEALTHY,
	DIAGNOSIS_AS_CAUSE,              /* the cause says it all */
#define DIAGNOSIS(name, word, cause, remedy) DIAGNOSIS_IS_##name,
#include "daemon/diagnosis.def"
#undef DIAGNOSIS
	DIAGNOSES
};

/* Texts may be "", never NULL. */
struct symptoms {
	enum cause  cause;               /* NONE: it is healthy */
	const char *host;
	const char *greeting, *ehlo;     /* in clear text, without codes */
	const char *subject, *issuer;    /* of the peer's certificate */
	bool        ehlo_refused;        /* HELO was taken */
	bool        masked;              /* runs of X or * */
	bool        cut;                 /* in the TLS hello, without an alert */
};

enum diagnosis diagnosis_of(const struct symptoms *s);

/* "healthy", the word of a cause, or one of the list. */
const char *diagnosis_word(enum diagnosis d, enum cause cause);
/* What is probably behind it; "" where the cause says it all. */
const char *diagnosis_cause(enum diagnosis d);
const char *diagnosis_remedy(enum diagnosis d, enum cause cause);

#endif
