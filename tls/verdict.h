/* SPDX-License-Identifier: ISC */
/*
 * verdict - says in one line what is wrong with a certificate: which check,
 * which certificate, what was expected, and what the certificate says.
 *
 * Thread: any.
 */
#ifndef TLS_VERDICT_H
#define TLS_VERDICT_H

#include "tls/chain.h"
#include "tls/verify.h"

/* v->cause is set; writes v->text.  c->n > 0. */
void verdict_write(struct tls_verdict *v, const struct chain *c,
		   const struct verify_task *task, unsigned faults);

#endif
