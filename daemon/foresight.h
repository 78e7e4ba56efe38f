/* SPDX-License-Identifier: ISC */
/*
 * foresight - what is worth saying about a certificate before it does harm.
 *
 * As public lifetimes shrink from a year to weeks, "thirty days before" means
 * nothing: certificates are warned of when a third, a sixth and a twelfth of
 * their life is left, and when they have expired, once each.
 *
 * Pure: the time is an argument.  Thread: any.
 */
#ifndef DAEMON_FORESIGHT_H
#define DAEMON_FORESIGHT_H

#include "base/bytes.h"

/* In the order in which they come.  The numbers are stored. */
enum stage {
	STAGE_FRESH,
	STAGE_THIRD,                     /* of its life is left, or less */
	STAGE_SIXTH,
	STAGE_TWELFTH,
	STAGE_EXPIRED,
	STAGES
};
const char *stage_word(enum stage s);    /* "" for STAGE_FRESH */

enum stage foresight_stage(int64_t not_before_ms, int64_t not_after_ms,
			   int64_t now_ms);
/* When its next stage begins, wall; INT64_MAX: it is in the last. */
int64_t foresight_next_ms(int64_t not_before_ms, int64_t not_after_ms,
			  int64_t now_ms);

/* What is compared of a certificate; all borrowed. */
struct outlook {
	const char *id;                  /* same text, same certificate */
	const char *issuer;              /* RFC 4514 */
	bool        named;               /* bears a name that is expected */
	bool        crl_stale;           /* its list can't tell (any more) */
};

enum {
	NEWS_OTHER = 1,                  /* another certificate */
	NEWS_ISSUER = 2,                 /* from another issuer */
	NEWS_NAME_GONE = 4,              /* was named as expected, is no more */
	NEWS_CRL_STALE = 8,
};

/* What the certificate seen now brings, compared with the one seen last.
 * previous: the id of the one before that, for behind one address there may be
 * several nodes with a certificate each, and their taking turns is no news. */
unsigned foresight_compare(const struct outlook *last, const char *previous,
			   const struct outlook *now);

/* Is it another organisation that issues now, or just another of its keys?
 * Where an issuer names none, its whole name counts. */
bool foresight_same_house(const char *issuer, const char *other);

#endif
