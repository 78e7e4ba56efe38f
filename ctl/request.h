/* SPDX-License-Identifier: ISC */
/*
 * request - asks the daemon: HTTP over its UNIX socket.
 *
 * An answer is one JSON object, lines of JSON that are handed over as they
 * arrive, or bytes of a message.  What goes wrong is text for the user; it
 * may hold bytes of a peer.
 *
 * Thread: none; one request at a time.
 */
#ifndef CTL_REQUEST_H
#define CTL_REQUEST_H

#include <jansson.h>

#include "base/bytes.h"

struct client;

/* Talks to nobody yet. */
MUST_USE struct client *client_open(const char *socket);
/* Another one to the same daemon, for requests while one is under way. */
MUST_USE struct client *client_beside(const struct client *c);
void client_close(struct client *c);

/* A path with its query, put together. */
struct target {
	struct client *client;           /* borrowed */
	char *text;                      /* owned */
	bool has_query;
};
void target_init(struct target *t, struct client *c, const char *path);
/* Adds "/part", escaped. */
void target_part(struct target *t, const char *part);
/* Adds "key=value", escaped. */
void target_query(struct target *t, const char *key, const char *value);
void target_release(struct target *t);

/* Where lines or bytes of a good answer go.  False: enough. */
struct sink {
	bool (*line)(void *arg, const json_t *object, struct span text);
	bool (*bytes)(void *arg, struct span bytes);
	void *arg;
};

enum outcome {
	OUTCOME_OK,
	OUTCOME_REFUSED,                 /* the daemon said no */
	OUTCOME_NO_DAEMON,               /* nobody at the socket */
	OUTCOME_BROKEN,                  /* the answer is not whole */
	OUTCOME_ENOUGH,                  /* the sink had enough */
};

struct answer {
	enum outcome outcome;
	long    http;                    /* 0: none came */
	json_t *object;                  /* owned; of an answer without lines,
					    also a refusal's; or NULL */
	char   *error;                   /* owned; NULL when all is well */
};

/* body NULL: GET, else POST.  sink NULL: only an object is expected. */
void request_send(const struct target *t, const json_t *body,
		  const struct sink *sink, struct answer *out);
/* POST of bytes that are no JSON; an object is expected. */
void request_send_bytes(const struct target *t, struct span body,
			struct answer *out);
void answer_release(struct answer *a);

#endif
