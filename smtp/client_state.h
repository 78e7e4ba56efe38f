/* SPDX-License-Identifier: ISC */
/*
 * client_state - what the files of smtp/client share, and nobody else.
 *
 *	client.c            the machine: what was said, what is awaited
 *	client_steps.c      the dialogue: its commands and their answers
 *	client_auth.c       the AUTH command with its challenges
 *	client_body.c       the message itself, by DATA or in chunks
 *
 * A say_...() writes a command and returns the stage to be said next; a
 * hear_...() judges an answer and returns the same.
 */
#ifndef SMTP_CLIENT_STATE_H
#define SMTP_CLIENT_STATE_H

#include "smtp/client.h"
#include "smtp/data.h"

enum {
	SAY_NOTHING = CLIENT_STAGES,
	OUTPUT_HIGH_BYTES = 64 * 1024,   /* no command is added above it */
	/* Stuffing makes four bytes of three at the worst. */
	OUTPUT_MAX_BYTES = 2 * CLIENT_PIECE_MAX + 2 * OUTPUT_HIGH_BYTES,
	CHUNKS_AHEAD_MAX = 8,            /* said and not yet answered */
};

/* A command whose answer is awaited. */
struct flight {
	enum client_stage stage;
	size_t rcpt;                     /* of CLIENT_RCPT */
};

/* Where the AUTH dialogue stands: what is said next, then what was said. */
enum auth_line {
	AUTH_COMMAND,                    /* with the response, if it is short */
	AUTH_RESPONSE,                   /* the same on a line of its own */
	AUTH_USER,
	AUTH_PASSWORD,
	AUTH_EMPTY,                      /* XOAUTH2: tell us the error */
	AUTH_CANCEL,
};

struct client {
	char *hostname;                  /* owned */
	enum client_tls tls;
	int next;                        /* stage to say, or SAY_NOTHING */
	enum client_wants pause;         /* what is told when all is heard */
	enum client_stage stage;         /* of what was heard last */

	bool in_tls;
	bool ehlo_refused;
	bool protocol_error;
	bool closing;                    /* nothing more may be said */
	struct offers offers;
	char *greeting;                  /* owned */
	char *ehlo;                      /* owned; the answer to it */

	enum client_auth auth;
	const char *user, *secret;       /* borrowed until CLIENT_READY */
	enum auth_line auth_line;
	bool auth_responded;             /* the secret was said */
	bool has_secret_out;             /* in the memory of out */

	struct flight *ring;             /* owned */
	size_t ring_size, head, awaited;

	struct transaction tx;           /* what it points to is borrowed */
	struct client_result *results;   /* owned; of tx */
	bool results_told;
	bool in_transaction;
	size_t said, accepted;           /* recipients */
	bool dot_said, dot_heard;
	bool needs_rset;                 /* a transaction was left open */
	struct data_out data;
	struct buf chunk;                /* BDAT: given and not yet said */

	struct reply_parser parser;
	struct reply heard;
	struct buf out;
};

struct client_step {
	const char *word;
	int timeout_s;                   /* RFC 5321 4.5.3.2 */
	bool alone;                      /* waits for all answers before it */
	int (*say)(struct client *c);
	int (*hear)(struct client *c, size_t rcpt);
};

/* client_steps.c */
extern const struct client_step client_steps[CLIENT_STAGES];
/* Outcomes; they return SAY_NOTHING. */
int client_pause(struct client *c, enum client_wants wants);
int client_fail(struct client *c);
int client_protocol_failed(struct client *c);
/* An answer that is not yes: a plain no, or nonsense. */
int client_refused(struct client *c);
/* All that have no result yet get the present answer, and it is over. */
int client_settle_rest(struct client *c);
bool client_heard_yes(const struct client *c);
bool client_heard_no(const struct client *c);
/* Answers 421, and what answers nothing. */
int client_hear_goodbye(struct client *c);
int client_hear_unasked(struct client *c);

/* client_auth.c; RFC 4954 */
/* The session is opened: on to AUTH, if that is wanted. */
int client_authenticate(struct client *c);
int client_say_auth(struct client *c);
int client_hear_auth(struct client *c, size_t rcpt);
/* Wipes the secret off the output's memory, once it was written out. */
void client_wipe_output(struct client *c);

/* client_body.c; RFC 5321 4.1.1.4, 4.5.2, RFC 3030 */
/* The message goes by BDAT. */
bool client_in_chunks(const struct client *c);
int client_body_begin(struct client *c);
/* May one more piece be given before the next answer? */
bool client_body_wanted(const struct client *c);
/* The pieces given since the last step become a chunk. */
void client_body_given(struct client *c);
int client_say_data(struct client *c);
int client_hear_data(struct client *c, size_t rcpt);
int client_say_dot(struct client *c);
int client_hear_dot(struct client *c, size_t rcpt);

#endif
