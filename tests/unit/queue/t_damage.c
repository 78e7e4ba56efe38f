/* SPDX-License-Identifier: ISC */
/*
 * t_damage.c - rows that the disk has damaged are noticed, stop nothing else,
 * and hide no mail.
 */
#include "tests/unit/queue/lmdb_frame.h"

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
	const struct change failed = {.kind = CHANGE_FAILED,
				      .cause = CAUSE_IS_CORRUPT,
				      .number = ALL_RECIPIENTS};
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
	ck_assert_int_eq(
		s->ops->scan(s, &cursor, 99, &more, count_message, &n, &e),
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
	struct store_op op = {.verb = STORE_CHANGE, .id = 1};
	const struct change c = {.kind = CHANGE_DELIVERED, .number = 1};
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
	ck_assert_uint_eq(
		change(s, 1,
		       (struct change){.kind = CHANGE_RESUBMIT, .number = 1}),
		0);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_DELIVERED,
						 .number = ALL_RECIPIENTS}),
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
	ck_assert_uint_eq(
		change(s, 1, (struct change){.kind = CHANGE_DELIVERED}), 1);
	ck_assert_uint_eq(rows_of("message"), 1);
	ck_assert_uint_eq(
		change(s, 1,
		       (struct change){.kind = CHANGE_REMOVE, .number = 1}),
		1);
	ck_assert_uint_eq(totals(s).removed, 1);
	ck_assert_uint_eq(totals(s).delivered, 1);
	ck_assert_uint_eq(rows_of("message"), 0);
	ck_assert_uint_eq(rows_of("group"), 0);
	ck_assert_uint_eq(rows_of("due"), 0);
	end();
}
END_TEST

/* ------- verify */

static void see_fault(void *arg, uint64_t id, const char *text)
{
	(void)arg;
	(void)id;
	ck_assert(text[0] != '\0');
}

/* In portions of so many rows; the faults found. */
static uint64_t verify(size_t portion)
{
	struct store_check c;
	uint64_t faults;
	struct err e;

	store_check_init(&c);
	while (!c.over)
		ck_assert_int_eq(s->ops->verify(s, &c, portion, see_fault,
						NULL, &e),
				 ST_OK);
	ck_assert_uint_gt(c.rows, 0);
	faults = c.faults;
	store_check_release(&c);
	return faults;
}

/* Something in every table. */
static void fill(void)
{
	static char bytes[200000];
	struct span body = {bytes, sizeof(bytes)};
	struct message *m;
	struct destination_record d = {
		.name = (char *)"cloud/mx:25",
		.failing = true,
		.reply = (char *)"no",
		.reason = (char *)"",
	};
	struct store_record r = {
		.kind = RECORD_AUDIT,
		.key = (char *)"1",
		.value = (char *)"{}",
	};
	struct store_op op = {.verb = STORE_DESTINATION, .destination = &d};
	struct event ev;

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 255);
	m = make_message(3, 2, body);
	enqueue(s, 1, 3, "hello");
	enqueue(s, 2, 1, "hello");
	ck_assert_int_eq(put_message(s, m, body), ST_OK);
	change(s, 1, (struct change){.kind = CHANGE_EXPIRED, .number = 1});
	change(s, 1, (struct change){.kind = CHANGE_HOLD, .number = 2});
	ck_assert_int_eq(apply(s, &op), ST_OK);
	op = (struct store_op){.verb = STORE_RECORD, .record = &r};
	ck_assert_int_eq(apply(s, &op), ST_OK);
	event_init(&ev);
	ev.kind = EVENT_HELD;
	op = (struct store_op){
		.verb = STORE_CHANGE,
		.id = 2,
		.changes = &(struct change){.kind = CHANGE_DELIVERED},
		.nchanges = 1,
		.drop_delivered = true,
		.events = &ev,
		.nevents = 1,
	};
	ck_assert_int_eq(apply(s, &op), ST_OK);
	store_op_release(&op);
	event_release(&ev);
	message_free(m);
}

START_TEST(verify_finds_nothing_where_nothing_is)
{
	begin();
	ck_assert_uint_eq(verify(1000), 0);
	fill();
	ck_assert_uint_eq(verify(1000), 0);
	ck_assert_uint_eq(verify(1), 0);
	end();
}
END_TEST

static const struct {
	const char *table;
	with_table *harm;
	unsigned nth;
} harms[] = {
	{"message", turn_bit, 1},    {"message", delete_first, 0},
	{"recipient", turn_bit, 2},  {"recipient", delete_first, 0},
	{"name", turn_bit, 0},	     {"due", delete_first, 0},
	{"group", delete_first, 0},  {"count", turn_bit, 0},
	{"body", turn_bit, 1},	     {"body", delete_first, 0},
	{"event", turn_bit, 0},	     {"settled", turn_bit, 0},
	{"settled", delete_first, 0}, {"destination", turn_bit, 0},
	{"record", turn_bit, 0},
};

START_TEST(verify_finds_each_harm)
{
	for (size_t i = 0; i < ARRAY_LEN(harms); i++) {
		unsigned nth = harms[i].nth;

		begin();
		fill();
		close_store();
		in_table(harms[i].table, harms[i].harm, &nth);
		open_store();
		ck_assert_msg(verify(2) > 0, "%s", harms[i].table);
		close_store();
		remove_dir(dir);
		clock_set_test(-1, -1);
	}
}
END_TEST

START_TEST(the_books_balance)
{
	struct balance b;
	struct err e;
	unsigned nth = 0;

	begin();
	fill();
	ck_assert_int_eq(s->ops->balance(s, &b, &e), ST_OK);
	ck_assert(store_balanced(&b));
	ck_assert_uint_eq(b.counted[RCPT_HELD], 1);
	ck_assert_uint_eq(b.counted[RCPT_QUEUED], 3);
	close_store();
	in_table("count", turn_bit, &nth);
	open_store();
	ck_assert_int_eq(s->ops->balance(s, &b, &e), ST_OK);
	ck_assert(!store_balanced(&b));
	close_store();
	remove_dir(dir);
	clock_set_test(-1, -1);
}
END_TEST

START_TEST(a_damaged_body_is_noticed)
{
	char *bytes = xcalloc(20000, 1);
	struct message *m = make_message(1, 1, (struct span){bytes, 20000});
	struct buf out;
	struct err e;

	begin();
	ck_assert_int_eq(put_message(s, m, (struct span){bytes, 20000}), ST_OK);
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
	struct message *m = make_message(1, 1, (struct span){bytes, 100000});
	enum status st = ST_OK;
	uint64_t at = 0;
	struct buf out;
	struct err e;

	begin();
	ck_assert_int_eq(put_message(s, m, (struct span){bytes, 100000}),
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
	change(s, 2, (struct change){.kind = CHANGE_DELIVERED});
	damage("meta", 0); /* "ledger" */
	ck_assert_uint_eq(totals(s).live[RCPT_QUEUED], 2);
	damage("count", 0);
	change(s, 1,
	       (struct change){.kind = CHANGE_DELIVERED,
			       .number = ALL_RECIPIENTS});
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
	damage("name", 0); /* number -> text */
	ck_assert_int_eq(s->ops->lanes(s, &lanes, &e), ST_OK);
	ck_assert_ptr_nonnull(lanes[0]);
	ck_assert_ptr_null(lanes[1]);
	ck_assert_uint_eq(count_due(s, lanes[0], WAIT_TIME), 1);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_DEFERRED,
						 .due_ms = 5,
						 .cause = CAUSE_IS_LOOP}),
			  1);
	ck_assert_uint_eq(count_due(s, lanes[0], WAIT_TIME), 1);
	ck_assert_uint_eq(
		change(s, 1,
		       (struct change){.kind = CHANGE_MOVE, .lane = "fresh"}),
		1);
	ck_assert_uint_eq(count_due(s, "fresh", WAIT_TIME), 1);
	free(lanes[0]);
	free(lanes);
	end();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_damaged_message_can_be_settled,
		a_damaged_recipient_becomes_a_failed_one,
		a_message_with_an_unseen_damaged_recipient_is_not_dropped,
		verify_finds_nothing_where_nothing_is,
		verify_finds_each_harm,
		the_books_balance,
		a_damaged_body_is_noticed,
		a_lost_piece_is_noticed,
		damaged_counters_do_not_stop_it,
		a_damaged_name_hides_no_mail,
	};

	return run_tests("damage", tests, ARRAY_LEN(tests));
}
