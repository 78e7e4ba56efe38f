/* SPDX-License-Identifier: ISC */
/*
 * help - what the tests of stores share: a directory, messages, single
 * operations.
 */
#ifndef TESTS_UNIT_QUEUE_HELP_H
#define TESTS_UNIT_QUEUE_HELP_H

#include <check.h>
#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/digest.h"
#include "queue/store.h"

static inline char *make_dir(void)
{
	const char *tmp = getenv("TMPDIR");
	char *path =
		xasprintf("%s/relayd-test-XXXXXX", tmp == NULL ? "/tmp" : tmp);

	ck_assert_ptr_nonnull(mkdtemp(path));
	return path;
}

static inline void remove_dir(char *path)
{
	static const char *const files[] = {"queue.mdb", "queue.mdb-lock",
					    "lock", "underway"};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *file = xasprintf("%s/%s", path, files[i]);

		unlink(file);
		free(file);
	}
	ck_assert_int_eq(rmdir(path), 0);
	free(path);
}

static inline void set_string(char **to, const char *s)
{
	free(*to);
	*to = xstrdup(s);
}

/* A message to n recipients in lane "cloud". */
static inline struct message *make_message(uint64_t id, size_t n,
					   struct span body)
{
	struct message *m = message_new();

	m->id = id;
	m->received_ms = (int64_t)(id % 100000) * 10;
	m->bytes = body.len;
	m->checksum = digest_of(body);
	set_string(&m->sender, "sender@example.org");
	free(m->message_id);
	m->message_id =
		xasprintf("id-%llu@example.org", (unsigned long long)id);
	for (size_t i = 0; i < n; i++) {
		char *address = xasprintf("rcpt%zu@example.org", i);

		message_add(m, address, "cloud", "");
		free(address);
	}
	return m;
}

static inline enum status apply(struct store *s, struct store_op *op)
{
	(void)s->ops->apply(s, &op, 1);
	return op->status;
}

static inline enum status put_body(struct store *s, uint64_t id, uint64_t at,
				   struct span body)
{
	struct store_op op = {
		.verb = STORE_BODY, .id = id, .at = at, .body = body};

	return apply(s, &op);
}

/* The last piece of a body that ends with it. */
static inline enum status put_message(struct store *s, struct message *m,
				      struct span last)
{
	struct store_op op = {.verb = STORE_ENQUEUE,
			      .id = m->id,
			      .at = m->bytes - last.len,
			      .body = last,
			      .message = m};
	enum status st = apply(s, &op);

	store_op_release(&op);
	return st;
}

static inline void enqueue(struct store *s, uint64_t id, size_t n,
			   const char *body)
{
	struct message *m = make_message(id, n, span_of(body));

	ck_assert_int_eq(put_message(s, m, span_of(body)), ST_OK);
	message_free(m);
}

/* How many recipients were changed. */
static inline size_t change(struct store *s, uint64_t id, struct change c)
{
	struct store_op op = {.verb = STORE_CHANGE,
			      .id = id,
			      .changes = &c,
			      .nchanges = 1,
			      .drop_delivered = true};
	size_t done;

	ck_assert_msg(apply(s, &op) == ST_OK, "%s", op.err.text);
	done = op.done;
	store_op_release(&op);
	return done;
}

/* Expired, delivered, trace. */
#define BEFORE(e, d, t) ((const int64_t[3]){(e), (d), (t)})

/* How many messages were trimmed. */
static inline size_t trim(struct store *s, const int64_t before_ms[3],
			  unsigned limit)
{
	struct store_op op = {.verb = STORE_TRIM,
			      .expired_before_ms = before_ms[0],
			      .delivered_before_ms = before_ms[1],
			      .trace_before_ms = before_ms[2],
			      .limit = limit};

	ck_assert_int_eq(apply(s, &op), ST_OK);
	return op.done;
}

static inline struct totals totals(struct store *s)
{
	struct totals t;
	struct err e;

	ck_assert_int_eq(s->ops->totals(s, &t, &e), ST_OK);
	ck_assert(store_conserved(&t));
	return t;
}

static inline struct message *load(struct store *s, uint64_t id)
{
	struct message *m = NULL;
	struct err e;

	if (s->ops->load(s, id, &m, &e) == ST_OK)
		return m;
	ck_assert_int_eq(e.status, ST_PERM);
	ck_assert_int_eq(e.subject, 3);
	ck_assert_int_eq(e.detail, 0);
	return NULL;
}

/* The whole body, read in pieces of at most `step` bytes; owned. */
static inline struct span read_body(struct store *s, uint64_t id, size_t step)
{
	char *all = NULL;
	size_t len = 0;
	struct buf piece;
	struct err e;

	buf_init(&piece, step);
	for (;;) {
		struct span got;

		buf_clear(&piece);
		ck_assert_msg(s->ops->read_body(s, id, len, &piece, &e) ==
				      ST_OK,
			      "%s", e.text);
		got = buf_span(&piece);
		if (got.len == 0)
			break;
		all = xrealloc(all, len + got.len, 1);
		memcpy(all + len, got.at, got.len);
		len += got.len;
	}
	buf_release(&piece);
	return (struct span){all, len};
}

/* How many wait in a lane. */
static inline size_t count_due(struct store *s, const char *lane,
			       enum rcpt_wait wait)
{
	struct due due[512];
	struct err e;
	size_t n;

	ck_assert_int_eq(s->ops->due(s, lane, wait, INT64_MAX, NULL, due,
				     ARRAY_LEN(due), &n, &e),
			 ST_OK);
	return n;
}

static inline void free_groups(struct group *groups, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(groups[i].destination);
	free(groups);
}

#endif
