/* SPDX-License-Identifier: ISC */
/*
 * der - reads DER (X.690), value by value, without copying.
 *
 * Only what certificates and their kin use: one-byte tags, definite lengths in
 * their shortest form of at most four bytes.  Every reader returns false, and
 * leaves *in alone, when the next value is not that.
 *
 * Pure.  Thread: any.
 */
#ifndef TLS_DER_H
#define TLS_DER_H

#include "base/bytes.h"

enum {
	DER_BOOLEAN = 0x01,
	DER_INTEGER = 0x02,
	DER_BIT_STRING = 0x03,
	DER_OCTET_STRING = 0x04,
	DER_OID = 0x06,
	DER_ENUMERATED = 0x0A,
	DER_UTC_TIME = 0x17,
	DER_GENERALIZED_TIME = 0x18,
	DER_SEQUENCE = 0x30,
	DER_CONTEXT = 0x80,              /* | number: [0] IMPLICIT of a primitive */
	DER_CONTEXT_IN = 0xA0,           /* | number: of a constructed value */
};

enum { DER_OID_TEXT_MAX = 64 };

struct der {
	unsigned    tag;
	struct span content;
	struct span whole;               /* with tag and length */
};

/* Takes the next value from *in. */
MUST_USE bool der_read(struct span *in, struct der *out);
/* The same, if it has this tag. */
MUST_USE bool der_take(struct span *in, unsigned tag, struct der *out);
/* What the first bytes say the whole value takes; 0: that can't be told. */
size_t der_announced(struct span in);

/* DEFAULT FALSE: absent is false; false is returned for a bad one. */
MUST_USE bool der_take_boolean(struct span *in, unsigned tag, bool *out);
/* RFC 5280 4.1.2.5: UTCTime or GeneralizedTime, in Zulu, with seconds. */
MUST_USE bool der_take_time(struct span *in, int64_t *wall_ms);
/* "1.2.840.113549"; "?" when it is none or too long. */
void der_oid_text(char out[DER_OID_TEXT_MAX], struct span content);

#endif
