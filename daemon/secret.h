/* SPDX-License-Identifier: ISC */
/*
 * secret - the password or token that a route logs in with, and where it
 * comes from.
 *
 * A secret is a type of its own, with nothing that prints, stores or compares
 * it, and is wiped when the last reference goes.  A vault is a route's source
 * of it: a file, read again when it has changed, or a program, run again when
 * the secret it printed was refused or is older than 45 minutes.  Files and
 * programs are waited for in a thread of the vault, never in a worker.
 *
 * vault_ask() calls back exactly once, from the asker's mailbox, unless
 * wish_cancel() came first.  Who asks while an answer is under way gets that
 * one.
 *
 * Thread: any; a wish belongs to the thread that reads its mailbox.
 */
#ifndef DAEMON_SECRET_H
#define DAEMON_SECRET_H

#include "base/err.h"
#include "base/mailbox.h"

/* A token of RFC 7628 size; RFC 4954 section 4 bounds the line. */
enum { SECRET_MAX = 8 * 1024 };

struct secret;
struct secret *secret_ref(struct secret *s);
void secret_unref(struct secret *s);     /* NULL is fine */
/* For the dialogue only; borrowed. */
const char *secret_text(const struct secret *s);

struct vault;
struct wish;

/* Where it comes from: one of file and command is not "". */
struct vault_conf {
	const char *file;
	const char *command;             /* words, by blanks; no shell */
	int64_t     timeout_ms;          /* of the program; 0: 30 s */
};

struct vault *vault_new(const struct vault_conf *conf);
struct vault *vault_ref(struct vault *v);
/* NULL is fine.  No wish may be open when the last reference goes; a program
 * that runs is killed. */
void vault_unref(struct vault *v);

/* s is the callee's; NULL: e says why, in a line for the administrator. */
typedef void secret_seen(void *arg, struct secret *s, const struct err *e);
MUST_USE struct wish *vault_ask(struct vault *v, struct mailbox *reply_to,
				secret_seen *seen, void *arg);
void wish_cancel(struct wish *w);        /* NULL is fine */
/* The next hop refused it: asked again, the program is run again.  One that
 * is newer stays. */
void vault_refused(struct vault *v, const struct secret *s);

#endif
