/* SPDX-License-Identifier: ISC */
/*
 * t_lmdb.c - what only the LMDB store can show: that the queue outlives the
 * process, what it refuses, and what happens when it is full.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/queue/lmdb_frame.h"

/* ------- over a restart */

START_TEST(the_queue_outlives_the_process)
{
	struct message *m;
	struct span got;

	begin();
	enqueue(s, 1, 2, "hello");
	enqueue(s, 2, 1, "x");
	change(s, 1,
	       (struct change){.kind = CHANGE_DEFERRED,
			       .cause = CAUSE_IS_TLS_PIN,
			       .wait = WAIT_DESTINATION,
			       .due_ms = 99,
			       .destination = "cloud/h:25"});
	change(s, 2, (struct change){.kind = CHANGE_DELIVERED});
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
		_exit(0); /* without closing anything */
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
		ck_assert_int_eq(put_body(s, id, 0, (struct span){bytes, 5000}),
				 ST_OK);
	ck_assert_int_eq(put_body(s, 200, 0, (struct span){bytes, 100000}),
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
		"message", "recipient", "name", "due",
		"group",   "count",	"body", "event",
		"partial", "settled",	"keep", "message_id",
	};

	begin();
	for (uint64_t id = 1; id <= 20; id++) {
		enqueue(s, id, 3, "abc");
		change(s, id,
		       (struct change){.kind = CHANGE_DEFERRED,
				       .number = ALL_RECIPIENTS,
				       .cause = CAUSE_IS_LOOP,
				       .lane = "mx/a",
				       .destination = "mx/h:25"});
		change(s, id,
		       (struct change){.kind = id % 2 == 0 ? CHANGE_EXPIRED
							   : CHANGE_DELIVERED,
				       .number = ALL_RECIPIENTS});
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
	MDB_val key = {strlen(name), name}, value = {4, arg};

	ck_assert_int_eq(mdb_put(txn, dbi, &key, &value, 0), 0);
}

START_TEST(an_unknown_schema_is_refused)
{
	char later[] = {0, 0, 0, 99}, known[] = {0, 0, 0, 1};
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
	const struct store_conf conf = {.path = "/nonexistent/relayd",
					.max_bytes = 1 << 26};
	struct err e;

	ck_assert_int_eq(store_lmdb_open(&s, &conf, &e), ST_TEMP);
	ck_assert_int_eq(e.subject, 3);
}
END_TEST

/* ------- full */

/* Fills the queue with messages of 64 KiB; how many were taken. */
static uint64_t fill(struct err *e)
{
	struct span body = {xcalloc(65536, 1), 65536};
	uint64_t id = 0;
	enum status st;

	do {
		struct message *m = make_message(++id, 1, body);
		struct store_op op = {.verb = STORE_ENQUEUE,
				      .id = id,
				      .body = body,
				      .message = m};

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
		       (struct change){.kind = CHANGE_DEFERRED,
				       .cause = CAUSE_IS_TLS_PIN,
				       .wait = WAIT_DESTINATION,
				       .destination = "cloud/h:25",
				       .reply = "451 4.4.0 not now"});
	for (uint64_t id = 1; id <= n; id++)
		change(s, id, (struct change){.kind = CHANGE_DELIVERED});
	/* And then there is room again. */
	clock_set_test(3000, WALL_MS);
	s->ops->space(s, &space);
	ck_assert(!space.full);
	ck_assert_int_eq(put_body(s, 20000, 0, SPAN("x")), ST_OK);
	end();
}
END_TEST

/* A history that is larger than the whole map. */
static struct event *make_events(size_t n)
{
	struct event *events = xcalloc(n, sizeof(*events));
	char text[1001];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (size_t i = 0; i < n; i++) {
		event_init(&events[i]);
		events[i].kind = EVENT_DELIVERED;
		events[i].attempted = true;
		set_string(&events[i].reply, text);
		set_string(&events[i].certificate, text);
		set_string(&events[i].route, text);
		set_string(&events[i].tls, text);
	}
	return events;
}

START_TEST(a_full_map_fails_only_what_does_not_fit)
{
	enum { NEVENTS = 4000 };
	struct event *events = make_events(NEVENTS);
	const struct change c = {.kind = CHANGE_DELIVERED};
	struct message *m = make_message(51, 1, SPAN("x"));
	struct store_op ops[] = {
		{.verb = STORE_CHANGE, .id = 1, .changes = &c, .nchanges = 1},
		{.verb = STORE_CHANGE,
		 .id = 3,
		 .changes = &c,
		 .nchanges = 1,
		 .events = events,
		 .nevents = NEVENTS},
		{.verb = STORE_ENQUEUE,
		 .id = 51,
		 .body = SPAN("x"),
		 .message = m},
		{.verb = STORE_CHANGE, .id = 2, .changes = &c, .nchanges = 1},
	};
	struct store_op *list[] = {&ops[0], &ops[1], &ops[2], &ops[3]};
	struct err e;

	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	ck_assert_int_eq(try_open(12 * 1024 * 1024, &e), ST_OK);
	for (uint64_t id = 1; id <= 3; id++)
		enqueue(s, id, 1, "x");
	ck_assert_int_eq(s->ops->apply(s, list, 4), ST_OK);
	ck_assert_int_eq(ops[0].status, ST_OK);
	ck_assert_int_eq(ops[1].status, ST_TEMP);
	ck_assert_int_eq(ops[1].err.reply, 452);
	ck_assert_int_eq(ops[1].err.detail, 1);
	ck_assert_uint_eq(ops[1].done, 0);
	ck_assert_uint_eq(ops[1].nnews, 0);
	ck_assert_int_eq(ops[2].status, ST_OK);
	ck_assert_int_eq(ops[3].status, ST_OK);
	ck_assert_uint_eq(totals(s).live[RCPT_DELIVERED], 2);
	ck_assert_uint_eq(totals(s).live[RCPT_QUEUED], 2);
	for (size_t i = 0; i < 4; i++)
		store_op_release(&ops[i]);
	for (size_t i = 0; i < NEVENTS; i++)
		event_release(&events[i]);
	free(events);
	message_free(m);
	end();
}
END_TEST

START_TEST(what_would_take_the_reserve_is_refused)
{
	struct span body = {xcalloc(14 * 1024 * 1024, 1), 14 * 1024 * 1024};
	struct message *m = make_message(50, 1, body);
	struct err e;

	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	ck_assert_int_eq(try_open(20 * 1024 * 1024, &e), ST_OK);
	ck_assert_int_eq(put_message(s, m, body), ST_TEMP);
	ck_assert_ptr_null(load(s, 50));
	enqueue(s, 1, 1, "x");
	message_free(m);
	free((char *)(uintptr_t)body.at);
	end();
}
END_TEST

static void limit_file(rlim_t bytes)
{
	struct rlimit limit = {.rlim_max = RLIM_INFINITY};

	limit.rlim_cur = bytes;
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_commit_that_the_disk_refuses_is_tried_without_mail)
{
	struct span body = {xcalloc(8 * 1024 * 1024, 1), 8 * 1024 * 1024};
	const struct change c = {.kind = CHANGE_DELIVERED};
	struct message *m = make_message(50, 1, body);
	struct store_op ops[] = {
		{.verb = STORE_CHANGE,
		 .id = 19,
		 .changes = &c,
		 .nchanges = 1,
		 .drop_delivered = true},
		{.verb = STORE_ENQUEUE, .id = 50, .body = body, .message = m},
		{.verb = STORE_CHANGE,
		 .id = 20,
		 .changes = &c,
		 .nchanges = 1,
		 .drop_delivered = true},
	};
	struct store_op *list[] = {&ops[0], &ops[1], &ops[2]};
	struct span part = {body.at, 65536};
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
	struct store_conf conf = {.max_bytes = 1 << 26,
				  .min_free_disk_bytes = UINT64_MAX};
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

/* ------- many threads */

enum { READERS = 3, MESSAGES = 150 };

struct reader {
	pthread_t thread;
	_Atomic bool *stop;
	uint64_t last_id;
	bool ids_grow, conserved;
};

static bool see(void *arg, const struct message *m)
{
	struct reader *r = arg;

	if (m->nrecipients != 2)
		r->conserved = false;
	return true;
}

static void *read_on(void *arg)
{
	struct reader *r = arg;
	struct due due[10];
	struct store_space space;
	struct totals t;
	struct err e;
	uint64_t id;
	bool more;
	size_t n;

	while (!atomic_load(r->stop)) {
		uint64_t cursor = 0;

		id = s->ops->new_id(s);
		r->ids_grow = r->ids_grow && id > r->last_id;
		r->last_id = id;
		if (s->ops->totals(s, &t, &e) != ST_OK || !store_conserved(&t))
			r->conserved = false;
		if (s->ops->scan(s, &cursor, 50, &more, see, r, &e) != ST_OK ||
		    s->ops->due(s, "cloud", WAIT_TIME, INT64_MAX, NULL, due,
				ARRAY_LEN(due), &n, &e) != ST_OK)
			r->conserved = false;
		s->ops->space(s, &space);
	}
	return NULL;
}

START_TEST(readers_see_whole_transactions)
{
	struct reader readers[READERS];
	_Atomic bool stop = false;

	begin();
	clock_set_test(-1, -1);
	for (size_t i = 0; i < READERS; i++) {
		readers[i] = (struct reader){
			.stop = &stop, .ids_grow = true, .conserved = true};
		ck_assert_int_eq(pthread_create(&readers[i].thread, NULL,
						read_on, &readers[i]),
				 0);
	}
	for (uint64_t id = 1; id <= MESSAGES; id++) {
		enqueue(s, id, 2, "hello");
		if (id > 10)
			change(s, id - 10,
			       (struct change){.kind = CHANGE_DELIVERED,
					       .number = ALL_RECIPIENTS});
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(readers[i].thread, NULL);
		ck_assert(readers[i].ids_grow);
		ck_assert(readers[i].conserved);
	}
	ck_assert_uint_eq(totals(s).delivered, 2 * (MESSAGES - 10));
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
	const struct change defer = {.kind = CHANGE_DEFERRED,
				     .cause = CAUSE_IS_LOOP};
	struct event ev[20];
	struct store_op op = {.verb = STORE_CHANGE,
			      .id = 1,
			      .changes = &defer,
			      .nchanges = 1,
			      .events = ev};
	unsigned kinds[EVENT_KINDS] = {0};
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
		new_mail_is_refused_before_the_queue_is_full,
		a_full_map_fails_only_what_does_not_fit,
		what_would_take_the_reserve_is_refused,
		a_commit_that_the_disk_refuses_is_tried_without_mail,
		a_full_disk_refuses_new_mail,
		readers_see_whole_transactions,
		history_is_bounded,
	};

	return run_tests("lmdb", tests, ARRAY_LEN(tests));
}
