/* SPDX-License-Identifier: ISC */
/*
 * certificates - what is known of certificates: our own, and those that peers
 * and clients showed last; warns in the log before they expire, and when they
 * change in a way somebody should know of.
 *
 * An entry stands for a place where a certificate is expected: an identity, an
 * address of a destination, a source with a subject.  There are at most
 * CERTIFICATES_MAX, those seen least recently go first; they are kept over a
 * restart.
 *
 * Only what matters is warned of (`watched`): our own, peers that a route
 * verifies, clients that a source or listener knows by their certificate.
 *
 * Thread: main.  Workers hand over what they see (daemon/sighting.h).
 */
#ifndef DAEMON_CERTIFICATES_H
#define DAEMON_CERTIFICATES_H

#include <uthash.h>

#include "daemon/foresight.h"
#include "daemon/relay.h"
#include "tls/session.h"

struct event_base;
struct certificates;

enum { CERTIFICATES_MAX = 4096, CRL_WORD_MAX = 16 };

enum cert_role { CERT_OWN, CERT_PEER, CERT_CLIENT, CERT_ROLES };
const char *cert_role_word(enum cert_role r);    /* "own", "peer", "client" */

/* What was seen of one; all but the numbers is borrowed or copied. */
struct cert_seen {
	enum cert_role role;
	const char *where;       /* identity, destination, listener/source */
	const char *address;     /* "" for our own */
	const struct tls_cert_info *info;
	const char *crl;         /* its revocation: a word; "" not asked */
	bool watched;
	bool named;              /* bears a name that is expected there */
};

struct certificate {
	UT_hash_handle hh;
	char *key;               /* owned */
	enum cert_role role;
	char *where, *address;   /* owned */
	struct tls_cert_info info;
	char crl[CRL_WORD_MAX];
	bool watched, named;
	int64_t first_seen_ms, last_seen_ms;     /* wall */
	enum stage told;
	char *previous;          /* owned; id of another one shown there before */
	enum stage told_previous;
	int64_t written_ms;      /* wall */
};

/* Reads what the store remembers. */
MUST_USE struct certificates *certificates_new(struct event_base *base,
					       struct relay *relay);
/* After the last note of a worker has run. NULL is fine. */
void certificates_free(struct certificates *c);
/* Nothing is written any more: the writer is about to end. NULL is fine. */
void certificates_close(struct certificates *c);

void certificates_see(struct certificates *c, const struct cert_seen *seen);
/* Our own of today; those that are no more are forgotten. */
void certificates_own(struct certificates *c, const struct snapshot *s);

/* Ordered by key: own, peers, clients.  Borrowed; NULL: no more.  c NULL: there
 * are none. */
const struct certificate *certificates_first(struct certificates *c);
const struct certificate *certificates_next(const struct certificate *at);
enum stage certificate_stage(const struct certificate *at, int64_t now_ms);

/* ------- certificate_record.c: their form in the store */

/* JSON, owned by the caller. */
MUST_USE char *certificate_to_text(const struct certificate *at);
/* NULL: it is none.  Without key. */
MUST_USE struct certificate *certificate_from_text(const char *text);
void certificate_free(struct certificate *at);   /* NULL is fine */

#endif
