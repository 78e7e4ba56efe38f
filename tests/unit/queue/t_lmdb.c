/* SPDX-License-Identifier: ISC */
/*
 * t_lmdb.c - what only the LMDB store can show: that the queue outlives the
 * process, and what happens when the disk is full or has damaged a row.
 *
 * Damage is done by opening the environment itself, between two openings of
 * the store, and writing over rows.
 */
#include <check.h>
#include <fcntl.h>
#include <lmdb.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/queue/help.h"

static const int64_t WALL_MS = INT64_C(1700000000000);

static char *dir;
static struct store *s;

static enum status try_open(uint64_t max_bytes, struct err *e)
{
	const struct store_conf conf = { .path = dir, .max_bytes = max_bytes };

	return store_lmdb_open(&s, &conf, e);
}

static void open_store(void)
{
	struct err e;

	ck_assert_msg(try_open(64 * 1024 * 1024, &e) == ST_OK, "%s", e.text);
}

static void close_store(void)
{
	s->ops->close(s);
	s = NULL;
}

static void begin(void)
{
	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	open_store();
}

static void end(void)
{
	if (s != NULL) {
		(void)totals(s);
		close_store();
	}
	remove_dir(dir);
	clock_set_test(-1, -1);
}

/* ------- at the environment itself */

typedef void with_table(MDB_txn *txn, MDB_dbi dbi, void *arg);

static void in_table(const char *table, with_table *run, void *arg)
{
	char *name = xasprintf("%s/queue.mdb", dir);
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;

	ck_assert_int_eq(mdb_env_create(&env), 0);
	ck_assert_int_eq(mdb_env_set_maxdbs(env, 20), 0);
	ck_assert_int_eq(mdb_env_set_mapsize(env, 64 * 1024 * 1024), 0);
	ck_assert_int_eq(mdb_env_open(env, name, MDB_NOSUBDIR, 0600), 0);
	ck_assert_int_eq(mdb_txn_begin(env, NULL, 0, &txn), 0);
	ck_assert_int_eq(mdb_dbi_open(txn, table, 0, &dbi), 0);
	run(txn, dbi, arg);
	ck_assert_int_eq(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	free(name);
}

/* Turns a bit in the middle of the nth value. */
static void turn_bit(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	unsigned nth = *(unsigned *)arg;
	MDB_cursor *cursor;
	MDB_val key, value;
	char *copy;

	ck_assert_int_eq(mdb_cursor_open(txn, dbi, &cursor), 0);
	ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
	while (nth-- > 0)
		ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_NEXT),
				 0);
	copy = xcalloc(value.mv_size, 1);
	memcpy(copy, value.mv_data, value.mv_size);
	copy[value.mv_size / 2] ^= 0x10;
	value.mv_data = copy;
	ck_assert_int_eq(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
	mdb_cursor_close(cursor);
	free(copy);
}

static void damage(const char *table, unsigned nth)
{
	close_store();
	in_table(table, turn_bit, &nth);
	open_store();
}

static void delete_first(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	MDB_cursor *cursor;
	MDB_val key, value;

	(void)arg;
	ck_assert_int_eq(mdb_cursor_open(txn, dbi, &cursor), 0);
	ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
	ck_assert_int_eq(mdb_cursor_del(cursor, 0), 0);
	mdb_cursor_close(cursor);
}

static void count_rows(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	MDB_stat stat;

	ck_assert_int_eq(mdb_stat(txn, dbi, &stat), 0);
	*(size_t *)arg = stat.ms_entries;
}

static size_t rows_of(const char *table)
{
	size_t n = 0;

	close_store();
	in_table(table, count_rows, &n);
	open_store();
	return n;
}

/* ------- over a restart */

START_TEST(the_queue_outlives_the_process)
{
	struct message *m;
	struct span got;

	begin();
	enqueue(s, 1, 2, "hello");
	enqueue(s, 2, 1, "x");
	change(s, 1,
	       (struct change){ .kind = CHANGE_DEFERRED,
				.cause = CAUSE_IS_TLS_PIN,
				.wait = WAIT_DESTINATION,
				.due_ms = 99,
				.destination = "cloud/h:25" });
	change(s, 2, (struct change){ .kind = CHANGE_DELIVERED });
	close_store();
	open_store();
	m = load(s, 1);
	ck_assert_ptr_nonnull(m);
	ck_assert_int_eq(m->recipients[0].state, RCPT_DEFERRED);
	ck_assert_str_eq(m->recipients[0].destination, "cloud/h:25");
	message_free(m);
	got = read_body(s, 1, 100);
	ck_assert(span_eq(got, SPAN("hello")));
	free((char *)(uintptr_t)got.at);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_DESTINATION), 1);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
	ck_assert_uint_eq(totals(s).accepted, 3);
	ck_assert_uint_eq(totals(s).delivered, 1);
	end();
}
END_TEST

START_TEST(a_killed_process_leaves_what_was_committed)
{
	int status;
	pid_t pid;

	begin();
	close_store();
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		struct err e;

		if (try_open(64 * 1024 * 1024, &e) != ST_OK)
			_exit(1);
		enqueue(s, 1, 1, "hello");
		(void)put_body(s, 2, 0, SPAN("unfinished"));
		_exit(0);        /* without closing anything */
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	open_store();
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
	ck_assert_int_eq(put_body(s, 2, 0, SPAN("again")), ST_OK);
	end();
}
END_TEST

START_TEST(ids_never_repeat)
{
	uint64_t id, next;

	begin();
	id = s->ops->new_id(s);
	ck_assert_uint_eq(id >> 22, (uint64_t)WALL_MS);
	enqueue(s, id, 1, "x");
	close_store();
	/* The clock was put back by an hour meanwhile. */
	clock_set_test(1000, WALL_MS - 3600000);
	open_store();
	next = s->ops->new_id(s);
	ck_assert_uint_gt(next, id);
	/* The node is the queue's. */
	ck_assert_uint_eq((next >> 12) & 0x3ff, (id >> 12) & 0x3ff);
	end();
}
END_TEST

START_TEST(more_ids_than_a_millisecond_has)
{
	uint64_t first, last = 0;

	begin();
	first = s->ops->new_id(s);
	for (unsigned i = 0; i < 10000; i++) {
		uint64_t id = s->ops->new_id(s);

		ck_assert_uint_gt(id, last);
		ck_assert_uint_eq((id >> 12) & 0x3ff, (first >> 12) & 0x3ff);
		last = id;
	}
	end();
}
END_TEST

START_TEST(unfinished_bodies_are_swept)
{
	char *bytes = xcalloc(100000, 1);

	begin();
	enqueue(s, 1, 1, "kept");
	for (uint64_t id = 2; id < 152; id++)
		ck_assert_int_eq(put_body(s, id, 0,
					  (struct span){ bytes, 5000 }),
				 ST_OK);
	ck_assert_int_eq(put_body(s, 200, 0, (struct span){ bytes, 100000 }),
			 ST_OK);
	close_store();
	open_store();
	ck_assert_uint_eq(rows_of("body"), 1);
	ck_assert_uint_eq(rows_of("partial"), 0);
	ck_assert_int_eq(put_body(s, 2, 0, SPAN("anew")), ST_OK);
	free(bytes);
	end();
}
END_TEST

START_TEST(nothing_is_left_behind)
{
	static const char *const tables[] = {
		"message", "recipient", "name",  "due",     "group",
		"count",   "body",	"event", "partial", "settled",
		"keep",	   "message_id",
	};

	begin();
	for (uint64_t id = 1; id <= 20; id++) {
		enqueue(s, id, 3, "abc");
		change(s, id,
		       (struct change){ .kind = CHANGE_DEFERRED,
					.number = ALL_RECIPIENTS,
					.cause = CAUSE_IS_LOOP,
					.lane = "mx/a",
					.destination = "mx/h:25" });
		change(s, id,
		       (struct change){ .kind = id % 2 == 0 ? CHANGE_EXPIRED :
							      CHANGE_DELIVERED,
					.number = ALL_RECIPIENTS });
	}
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, INT64_MAX, 0), 99), 10);
	ck_assert_uint_eq(trim(s, BEFORE(0, 0, INT64_MAX), 99), 20);
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		ck_assert_msg(rows_of(tables[i]) == 0, "%s", tables[i]);
	ck_assert_uint_eq(totals(s).delivered, 30);
	ck_assert_uint_eq(totals(s).expired, 30);
	end();
}
END_TEST

/* ------- refusals */

static void set_schema(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	char name[] = "schema";
	MDB_val key = { strlen(name), name }, value = { 4, arg };

	ck_assert_int_eq(mdb_put(txn, dbi, &key, &value, 0), 0);
}

START_TEST(an_unknown_schema_is_refused)
{
	char later[] = { 0, 0, 0, 99 }, known[] = { 0, 0, 0, 1 };
	struct err e;

	begin();
	enqueue(s, 1, 1, "x");
	close_store();
	in_table("meta", set_schema, later);
	ck_assert_int_eq(try_open(1 << 26, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "schema 99"));
	/* And nothing was done to it. */
	in_table("meta", set_schema, known);
	open_store();
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
	end();
}
END_TEST

START_TEST(a_second_opener_is_refused)
{
	struct store *first;
	struct err e;

	begin();
	first = s;
	ck_assert_int_eq(try_open(1 << 26, &e), ST_PERM);
	ck_assert_ptr_nonnull(strstr(e.text, "another relayd"));
	s = first;
	close_store();
	open_store();
	end();
}
END_TEST

START_TEST(a_file_that_is_no_queue_is_refused)
{
	char *name, rubbish[8192] = "rubbish";
	struct err e;
	int fd;

	dir = make_dir();
	name = xasprintf("%s/queue.mdb", dir);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, rubbish, sizeof(rubbish)),
			 (ssize_t)sizeof(rubbish));
	close(fd);
	ck_assert_int_eq(try_open(1 << 26, &e), ST_PERM);
	free(name);
	end();
}
END_TEST

START_TEST(a_missing_directory_is_an_error)
{
	const struct store_conf conf = { .path = "/nonexistent/relayd",
					 .max_bytes = 1 << 26 };
	struct err e;

	ck_assert_int_eq(store_lmdb_open(&s, &conf, &e), ST_TEMP);
	ck_assert_int_eq(e.subject, 3);
}
END_TEST

/* ------- damage */

static struct err load_error(uint64_t id)
{
	struct message *m;
	struct err e;

	ck_assert_int_eq(s->ops->load(s, id, &m, &e), ST_PERM);
	return e;
}

static bool count_message(void *arg, const struct message *m)
{
	(void)m;
	++*(size_t *)arg;
	return true;
}

START_TEST(a_damaged_message_can_be_settled)
{
	const struct change failed = { .kind = CHANGE_FAILED,
				       .cause = CAUSE_IS_CORRUPT,
				       .number = ALL_RECIPIENTS };
	uint64_t cursor = 0;
	struct message *m;
	size_t n = 0;
	struct err e;
	bool more;

	begin();
	for (uint64_t id = 1; id <= 3; id++)
		enqueue(s, id, 2, "hello");
	damage("message", 1);
	e = load_error(2);
	ck_assert_ptr_nonnull(strstr(e.text, "damaged"));
	/* The others are there, and so is the schedule. */
	ck_assert_int_eq(s->ops->scan(s, &cursor, 99, &more, count_message, &n,
				      &e),
			 ST_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_uint_eq(cursor, 3);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 6);
	/* It leaves the schedule, but is not lost. */
	ck_assert_uint_eq(change(s, 2, failed), 2);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 4);
	ck_assert_uint_eq(totals(s).live[RCPT_FAILED], 2);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, 0, 0), 9), 1);
	ck_assert_uint_eq(totals(s).failed, 2);
	ck_assert_int_eq(s->ops->history(s, 2, &m, NULL, NULL, &e), ST_OK);
	ck_assert_uint_eq(m->nrecipients, 2);
	ck_assert_str_eq(m->recipients[1].address, "rcpt1@example.org");
	message_free(m);
	end();
}
END_TEST

START_TEST(a_damaged_recipient_becomes_a_failed_one)
{
	struct store_op op = { .verb = STORE_CHANGE, .id = 1 };
	const struct change c = { .kind = CHANGE_DELIVERED, .number = 1 };
	struct group *groups;
	struct message *m;
	struct err e;
	size_t n;

	begin();
	enqueue(s, 1, 3, "hello");
	damage("recipient", 1);
	/* The others can be sent; this one cannot. */
	m = load(s, 1);
	ck_assert_uint_eq(m->nrecipients, 3);
	ck_assert_str_eq(m->recipients[0].address, "rcpt0@example.org");
	ck_assert_str_eq(m->recipients[1].address, "");
	ck_assert_int_eq(m->recipients[1].state, RCPT_FAILED);
	ck_assert_int_eq(m->recipients[1].cause, CAUSE_IS_CORRUPT);
	message_free(m);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 3);
	op.changes = &c;
	op.nchanges = 1;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.done, 1);
	ck_assert_uint_eq(op.nnews, 1);
	ck_assert(!op.news[0].due);
	ck_assert_str_eq(op.news[0].lane, "cloud");
	store_op_release(&op);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 2);
	ck_assert_uint_eq(totals(s).live[RCPT_FAILED], 1);
	ck_assert_int_eq(s->ops->groups(s, &groups, &n, &e), ST_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_int_eq(groups[1].cause, CAUSE_IS_CORRUPT);
	ck_assert_uint_eq(groups[0].recipients, 2);
	ck_assert_uint_eq(groups[1].recipients, 1);
	free_groups(groups, n);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){ .kind = CHANGE_RESUBMIT,
						  .number = 1 }),
			  0);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){ .kind = CHANGE_DELIVERED,
						  .number = ALL_RECIPIENTS }),
			  2);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, 0, 0), 9), 1);
	ck_assert_uint_eq(totals(s).failed, 1);
	ck_assert_uint_eq(totals(s).delivered, 2);
	ck_assert_uint_eq(rows_of("name"), 0);
	end();
}
END_TEST

START_TEST(a_message_with_an_unseen_damaged_recipient_is_not_dropped)
{
	begin();
	enqueue(s, 1, 2, "hello");
	damage("recipient", 1);
	ck_assert_uint_eq(change(s, 1, (struct change){
					       .kind = CHANGE_DELIVERED }),
			  1);
	ck_assert_uint_eq(rows_of("message"), 1);
	ck_assert_uint_eq(change(s, 1, (struct change){ .kind = CHANGE_REMOVE,
							.number = 1 }),
			  1);
	ck_assert_uint_eq(totals(s).removed, 1);
	ck_assert_uint_eq(totals(s).delivered, 1);
	ck_assert_uint_eq(rows_of("message"), 0);
	ck_assert_uint_eq(rows_of("group"), 0);
	ck_assert_uint_eq(rows_of("due"), 0);
	end();
}
END_TEST

START_TEST(a_damaged_body_is_noticed)
{
	char *bytes = xcalloc(20000, 1);
	struct message *m = make_message(1, 1, (struct span){ bytes, 20000 });
	struct buf out;
	struct err e;

	begin();
	ck_assert_int_eq(put_message(s, m, (struct span){ bytes, 20000 }),
			 ST_OK);
	damage("body", 0);
	buf_init(&out, 30000);
	ck_assert_int_eq(s->ops->read_body(s, 1, 0, &out, &e), ST_PERM);
	ck_assert_int_eq(e.subject, 3);
	ck_assert_int_eq(e.detail, 0);
	ck_assert_ptr_nonnull(strstr(e.text, "damaged"));
	buf_release(&out);
	message_free(m);
	free(bytes);
	end();
}
END_TEST

START_TEST(a_lost_piece_is_noticed)
{
	char *bytes = xcalloc(100000, 1);
	struct message *m = make_message(1, 1, (struct span){ bytes, 100000 });
	enum status st = ST_OK;
	uint64_t at = 0;
	struct buf out;
	struct err e;

	begin();
	ck_assert_int_eq(put_message(s, m, (struct span){ bytes, 100000 }),
			 ST_OK);
	close_store();
	in_table("body", delete_first, NULL);
	open_store();
	buf_init(&out, 30000);
	do {
		at += out.len;
		buf_clear(&out);
		st = s->ops->read_body(s, 1, at, &out, &e);
	} while (st == ST_OK && out.len > 0);
	ck_assert_int_eq(st, ST_PERM);
	ck_assert_uint_lt(at, 100000);
	buf_release(&out);
	message_free(m);
	free(bytes);
	end();
}
END_TEST

START_TEST(damaged_counters_do_not_stop_it)
{
	begin();
	enqueue(s, 1, 2, "x");
	enqueue(s, 2, 1, "x");
	change(s, 2, (struct change){ .kind = CHANGE_DELIVERED });
	damage("meta", 0);               /* "ledger" */
	ck_assert_uint_eq(totals(s).live[RCPT_QUEUED], 2);
	damage("count", 0);
	change(s, 1, (struct change){ .kind = CHANGE_DELIVERED,
				      .number = ALL_RECIPIENTS });
	ck_assert_uint_eq(totals(s).delivered, 2);
	end();
}
END_TEST

START_TEST(a_damaged_name_hides_no_mail)
{
	char **lanes;
	struct err e;

	begin();
	enqueue(s, 1, 1, "x");
	damage("name", 0);               /* number -> text */
	ck_assert_int_eq(s->ops->lanes(s, &lanes, &e), ST_OK);
	ck_assert_ptr_nonnull(lanes[0]);
	ck_assert_ptr_null(lanes[1]);
	ck_assert_uint_eq(count_due(s, lanes[0], WAIT_TIME), 1);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){ .kind = CHANGE_DEFERRED,
						  .due_ms = 5,
						  .cause = CAUSE_IS_LOOP }),
			  1);
	ck_assert_uint_eq(count_due(s, lanes[0], WAIT_TIME), 1);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){ .kind = CHANGE_MOVE,
						  .lane = "fresh" }),
			  1);
	ck_assert_uint_eq(count_due(s, "fresh", WAIT_TIME), 1);
	free(lanes[0]);
	free(lanes);
	end();
}
END_TEST

/* ------- full */

/* Fills the queue with messages of 64 KiB; how many were taken. */
static uint64_t fill(struct err *e)
{
	struct span body = { xcalloc(65536, 1), 65536 };
	uint64_t id = 0;
	enum status st;

	do {
		struct message *m = make_message(++id, 1, body);
		struct store_op op = { .verb = STORE_ENQUEUE,
				       .id = id,
				       .body = body,
				       .message = m };

		st = apply(s, &op);
		*e = op.err;
		store_op_release(&op);
		message_free(m);
	} while (st == ST_OK && id < 10000);
	free((char *)(uintptr_t)body.at);
	return id - 1;
}

START_TEST(new_mail_is_refused_before_the_queue_is_full)
{
	struct store_space space;
	struct err e;
	uint64_t n;

	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	ck_assert_int_eq(try_open(32 * 1024 * 1024, &e), ST_OK);
	n = fill(&e);
	ck_assert_uint_gt(n, 200);
	ck_assert_uint_lt(n, 400);
	ck_assert_int_eq(e.status, ST_TEMP);
	ck_assert_int_eq(e.reply, 452);
	ck_assert_int_eq(e.subject, 3);
	ck_assert_int_eq(e.detail, 1);
	s->ops->space(s, &space);
	ck_assert(space.full);
	ck_assert_int_eq(put_body(s, 20000, 0, SPAN("x")), ST_TEMP);
	/* Everything else goes on, for each message there is. */
	for (uint64_t id = 1; id <= n; id++)
		change(s, id,
		       (struct change){ .kind = CHANGE_DEFERRED,
					.cause = CAUSE_IS_TLS_PIN,
					.wait = WAIT_DESTINATION,
					.destination = "cloud/h:25",
					.reply = "451 4.4.0 not now" });
	for (uint64_t id = 1; id <= n; id++)
		change(s, id, (struct change){ .kind = CHANGE_DELIVERED });
	/* And then there is room again. */
	clock_set_test(3000, WALL_MS);
	s->ops->space(s, &space);
	ck_assert(!space.full);
	ck_assert_int_eq(put_body(s, 20000, 0, SPAN("x")), ST_OK);
	end();
}
END_TEST

START_TEST(a_full_map_fails_only_what_does_not_fit)
{
	char *huge = xcalloc(14 * 1024 * 1024, 1);
	struct span body = { huge, 14 * 1024 * 1024 };
	const struct change c = { .kind = CHANGE_DELIVERED };
	struct message *big = make_message(50, 1, body);
	struct message *small = make_message(51, 1, SPAN("x"));
	struct store_op ops[] = {
		{ .verb = STORE_CHANGE, .id = 1, .changes = &c, .nchanges = 1 },
		{ .verb = STORE_ENQUEUE, .id = 50, .body = body,
		  .message = big },
		{ .verb = STORE_ENQUEUE, .id = 51, .body = SPAN("x"),
		  .message = small },
		{ .verb = STORE_CHANGE, .id = 2, .changes = &c, .nchanges = 1 },
	};
	struct store_op *list[] = { &ops[0], &ops[1], &ops[2], &ops[3] };
	struct err e;

	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	ck_assert_int_eq(try_open(12 * 1024 * 1024, &e), ST_OK);
	enqueue(s, 1, 1, "x");
	enqueue(s, 2, 1, "x");
	ck_assert_int_eq(s->ops->apply(s, list, 4), ST_OK);
	ck_assert_int_eq(ops[0].status, ST_OK);
	ck_assert_int_eq(ops[1].status, ST_TEMP);
	ck_assert_int_eq(ops[1].err.reply, 452);
	ck_assert_int_eq(ops[1].err.detail, 1);
	ck_assert_int_eq(ops[3].status, ST_OK);
	ck_assert_ptr_null(load(s, 50));
	ck_assert_uint_eq(totals(s).live[RCPT_DELIVERED], 2);
	for (size_t i = 0; i < 4; i++)
		store_op_release(&ops[i]);
	message_free(big);
	message_free(small);
	free(huge);
	end();
}
END_TEST

static void limit_file(rlim_t bytes)
{
	struct rlimit limit = { .rlim_max = RLIM_INFINITY };

	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_commit_that_the_disk_refuses_is_tried_without_mail)
{
	struct span body = { xcalloc(8 * 1024 * 1024, 1), 8 * 1024 * 1024 };
	const struct change c = { .kind = CHANGE_DELIVERED };
	struct message *m = make_message(50, 1, body);
	struct store_op ops[] = {
		{ .verb = STORE_CHANGE, .id = 19, .changes = &c,
		  .nchanges = 1, .drop_delivered = true },
		{ .verb = STORE_ENQUEUE, .id = 50, .body = body, .message = m },
		{ .verb = STORE_CHANGE, .id = 20, .changes = &c,
		  .nchanges = 1, .drop_delivered = true },
	};
	struct store_op *list[] = { &ops[0], &ops[1], &ops[2] };
	struct span part = { body.at, 65536 };
	struct store_space space;
	char *name;
	struct stat st;

	begin();
	for (uint64_t id = 1; id <= 20; id++) {
		struct message *x = make_message(id, 1, part);

		ck_assert_int_eq(put_message(s, x, part), ST_OK);
		message_free(x);
	}
	for (uint64_t id = 1; id <= 18; id++)
		change(s, id, c);
	name = xasprintf("%s/queue.mdb", dir);
	ck_assert_int_eq(stat(name, &st), 0);
	free(name);
	signal(SIGXFSZ, SIG_IGN);
	limit_file((rlim_t)st.st_size);
	ck_assert_int_eq(s->ops->apply(s, list, 3), ST_OK);
	limit_file(RLIM_INFINITY);
	ck_assert_int_eq(ops[0].status, ST_OK);
	ck_assert_int_eq(ops[1].status, ST_TEMP);
	ck_assert_int_eq(ops[1].err.reply, 452);
	ck_assert_int_eq(ops[2].status, ST_OK);
	ck_assert_uint_eq(totals(s).delivered, 20);
	s->ops->space(s, &space);
	ck_assert(space.full);
	/* A second later it may be tried again. */
	clock_set_test(3000, WALL_MS);
	s->ops->space(s, &space);
	ck_assert(!space.full);
	ck_assert_int_eq(put_message(s, m, body), ST_OK);
	for (size_t i = 0; i < 3; i++)
		store_op_release(&ops[i]);
	message_free(m);
	free((char *)(uintptr_t)body.at);
	end();
}
END_TEST

START_TEST(a_full_disk_refuses_new_mail)
{
	struct store_conf conf = { .max_bytes = 1 << 26,
				   .min_free_disk_bytes = UINT64_MAX };
	struct store_space space;
	struct err e;

	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	conf.path = dir;
	ck_assert_int_eq(store_lmdb_open(&s, &conf, &e), ST_OK);
	s->ops->space(s, &space);
	ck_assert(space.full);
	ck_assert_int_eq(put_body(s, 1, 0, SPAN("x")), ST_TEMP);
	end();
}
END_TEST

/* ------- history */

static bool count_kinds(void *arg, const struct event *ev)
{
	unsigned *n = arg;

	n[ev->kind]++;
	return true;
}

START_TEST(history_is_bounded)
{
	const struct change defer = { .kind = CHANGE_DEFERRED,
				      .cause = CAUSE_IS_LOOP };
	struct event ev[20];
	struct store_op op = { .verb = STORE_CHANGE,
			       .id = 1,
			       .changes = &defer,
			       .nchanges = 1,
			       .events = ev };
	unsigned kinds[EVENT_KINDS] = { 0 };
	struct message *m;
	struct err e;

	begin();
	for (size_t i = 0; i < ARRAY_LEN(ev); i++) {
		event_init(&ev[i]);
		ev[i].attempted = true;
	}
	enqueue(s, 1, 1, "x");
	ev[0].kind = EVENT_RECEIVED;
	ev[1].kind = EVENT_DELIVERED;
	op.nevents = 2;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(ev); i++)
		ev[i].kind = EVENT_DEFERRED;
	op.nevents = ARRAY_LEN(ev);
	for (unsigned i = 0; i < 30; i++)
		ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_int_eq(s->ops->history(s, 1, &m, count_kinds, kinds, &e),
			 ST_OK);
	message_free(m);
	ck_assert_uint_eq(kinds[EVENT_RECEIVED], 1);
	ck_assert_uint_eq(kinds[EVENT_DELIVERED], 1);
	ck_assert_uint_eq(kinds[EVENT_DEFERRED], 254);
	store_op_release(&op);
	for (size_t i = 0; i < ARRAY_LEN(ev); i++)
		event_release(&ev[i]);
	end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		the_queue_outlives_the_process,
		a_killed_process_leaves_what_was_committed,
		ids_never_repeat,
		more_ids_than_a_millisecond_has,
		unfinished_bodies_are_swept,
		nothing_is_left_behind,
		an_unknown_schema_is_refused,
		a_second_opener_is_refused,
		a_file_that_is_no_queue_is_refused,
		a_missing_directory_is_an_error,
		a_damaged_message_can_be_settled,
		a_damaged_recipient_becomes_a_failed_one,
		a_message_with_an_unseen_damaged_recipient_is_not_dropped,
		a_damaged_body_is_noticed,
		a_lost_piece_is_noticed,
		damaged_counters_do_not_stop_it,
		a_damaged_name_hides_no_mail,
		new_mail_is_refused_before_the_queue_is_full,
		a_full_map_fails_only_what_does_not_fit,
		a_commit_that_the_disk_refuses_is_tried_without_mail,
		a_full_disk_refuses_new_mail,
		history_is_bounded,
	};
	Suite *suite = suite_create("lmdb");
	TCase *t = tcase_create("lmdb");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	for (size_t i = 0; i < ARRAY_LEN(tests); i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
