/* SPDX-License-Identifier: ISC */
/*
 * verbs - the commands: when each may be said and what it does.
 *
 * Each function returns the state that follows.
 *
 * RFC 5321 4.1.1, 4.1.4; 3207 4.
 *
 * Thread: the worker of the connection.
 */
#ifndef SMTP_VERBS_H
#define SMTP_VERBS_H

#include "smtp/command.h"
#include "smtp/server_state.h"

enum state verb_run(struct server *s, const struct command *c);
/* What speaks there speaks no SMTP: says so and closes. */
enum state verb_noise(struct server *s, struct span args);
/* A line in S_AUTH; in it, of the length that is allowed. */
enum state verb_auth_answer(struct server *s, struct span line);
/* The chunk was read to its end, and is not the last of a good message. */
enum state verb_chunk_over(struct server *s);
/* The shell has answered s->asked. */
enum state verb_accepted(struct server *s, const char *text);
enum state verb_refused(struct server *s, const struct err *e);

#endif
