/* SPDX-License-Identifier: ISC */
/*
 * t_store.c - the contract of a store: how a message gets in, and what becomes
 * of its recipients.
 */
#include "tests/unit/queue/contract.h"

#include <signal.h>
#include <sys/resource.h>

/* ------- ids, bodies */

CONTRACT_TEST(ids_grow)
{
	uint64_t last = 0;

	for (unsigned i = 0; i < 10000; i++) {
		uint64_t id = s->ops->new_id(s);

		ck_assert_uint_gt(id, last);
		last = id;
	}
	/* Also when the clock is put back. */
	clock_set_test(1000, WALL_MS - 100000);
	ck_assert_uint_gt(s->ops->new_id(s), last);
}

CONTRACT_TEST(enqueue_in_one_piece)
{
	struct span body;
	struct message *m;

	enqueue(s, 5, 2, "Subject: x\r\n\r\nhello\r\n");
	m = load(s, 5);
	ck_assert_ptr_nonnull(m);
	ck_assert_uint_eq(m->id, 5);
	ck_assert_uint_eq(m->nrecipients, 2);
	ck_assert_str_eq(m->sender, "sender@example.org");
	ck_assert_str_eq(m->recipients[1].address, "rcpt1@example.org");
	ck_assert_str_eq(m->recipients[1].lane, "cloud");
	ck_assert_int_eq(m->recipients[1].due_ms, 50);
	message_free(m);
	body = read_body(s, 5, 100);
	ck_assert(span_eq(body, SPAN("Subject: x\r\n\r\nhello\r\n")));
	free((char *)(uintptr_t)body.at);
	ck_assert_uint_eq(totals(s).accepted, 2);
	ck_assert_uint_eq(totals(s).live[RCPT_QUEUED], 2);
}

CONTRACT_TEST(an_empty_body)
{
	enqueue(s, 5, 1, "");
	ck_assert_uint_eq(read_body(s, 5, 10).len, 0);
}

static char *make_bytes(size_t len)
{
	char *bytes = xcalloc(len + 1, 1);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (char)(i * 31 + i / 251);
	return bytes;
}

static void round_trip(uint64_t id, size_t len, size_t piece, size_t step)
{
	char *bytes = make_bytes(len);
	struct span all = {bytes, len}, got, rest = all;
	struct message *m = make_message(id, 1, all);

	while (rest.len > piece) {
		ck_assert_int_eq(put_body(s, id, len - rest.len,
					  (struct span){rest.at, piece}),
				 ST_OK);
		rest = span_skip(rest, piece);
	}
	ck_assert_int_eq(put_message(s, m, rest), ST_OK);
	message_free(m);
	got = read_body(s, id, step);
	ck_assert_uint_eq(got.len, len);
	ck_assert(len == 0 || memcmp(got.at, bytes, len) == 0);
	free((char *)(uintptr_t)got.at);
	free(bytes);
}

CONTRACT_TEST(bodies_in_pieces_of_any_size)
{
	static const size_t sizes[] = {1,    100,  1991,  1992,	 1993,	4071,
				       4072, 4073, 4096,  6063,	 6064,	6065,
				       8168, 8169, 65512, 65536, 65537, 100000};
	uint64_t id = 1;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++)
		round_trip(id++, 2 * sizes[i] + 3, sizes[i], 5000);
	round_trip(id++, 100, 1, 4096);
}

CONTRACT_TEST(a_body_of_five_megabytes)
{
	round_trip(1, 5 * 1024 * 1024, 64 * 1024, 16 * 1024);
	round_trip(2, 5 * 1024 * 1024, 5 * 1024 * 1024, 1000000);
	round_trip(3, 150 * 1000, 1500, 333);
}

CONTRACT_TEST(read_from_any_offset)
{
	char *bytes = make_bytes(20000);
	struct message *m = make_message(1, 1, (struct span){bytes, 20000});
	struct buf out;
	struct err e;

	ck_assert_int_eq(put_message(s, m, (struct span){bytes, 20000}), ST_OK);
	buf_init(&out, 300);
	for (size_t at = 0; at < 20000; at += 97) {
		size_t want = 20000 - at < 300 ? 20000 - at : 300;

		buf_clear(&out);
		ck_assert_int_eq(s->ops->read_body(s, 1, at, &out, &e), ST_OK);
		ck_assert_uint_ge(out.len, 1);
		ck_assert_uint_le(out.len, want);
		ck_assert_mem_eq(buf_span(&out).at, bytes + at, out.len);
	}
	buf_clear(&out);
	ck_assert_int_eq(s->ops->read_body(s, 1, 20000, &out, &e), ST_OK);
	ck_assert_int_eq(s->ops->read_body(s, 1, 90000, &out, &e), ST_OK);
	ck_assert_uint_eq(out.len, 0);
	ck_assert_int_eq(s->ops->read_body(s, 2, 0, &out, &e), ST_PERM);
	buf_release(&out);
	message_free(m);
	free(bytes);
}

CONTRACT_TEST(read_appends)
{
	struct buf out;
	struct err e;

	enqueue(s, 1, 1, "world");
	buf_init(&out, 100);
	ck_assert(buf_add(&out, SPAN("hello ")));
	ck_assert_int_eq(s->ops->read_body(s, 1, 0, &out, &e), ST_OK);
	ck_assert(span_eq(buf_span(&out), SPAN("hello world")));
	buf_release(&out);
}

CONTRACT_TEST(two_messages_interleaved)
{
	struct message *a = make_message(1, 1, SPAN("aaaaaaaaa"));
	struct message *b = make_message(2, 1, SPAN("bbbbbb"));
	struct span got;

	ck_assert_int_eq(put_body(s, 1, 0, SPAN("aaa")), ST_OK);
	ck_assert_int_eq(put_body(s, 2, 0, SPAN("bbb")), ST_OK);
	ck_assert_int_eq(put_body(s, 1, 3, SPAN("aaa")), ST_OK);
	ck_assert_int_eq(put_message(s, b, SPAN("bbb")), ST_OK);
	ck_assert_int_eq(put_message(s, a, SPAN("aaa")), ST_OK);
	got = read_body(s, 1, 2);
	ck_assert(span_eq(got, SPAN("aaaaaaaaa")));
	free((char *)(uintptr_t)got.at);
	got = read_body(s, 2, 100);
	ck_assert(span_eq(got, SPAN("bbbbbb")));
	free((char *)(uintptr_t)got.at);
	message_free(a);
	message_free(b);
}

CONTRACT_TEST(an_unfinished_message_is_not_seen)
{
	struct message *m;
	struct buf out;
	struct err e;

	ck_assert_int_eq(put_body(s, 1, 0, SPAN("abc")), ST_OK);
	ck_assert_ptr_null(load(s, 1));
	buf_init(&out, 10);
	ck_assert_int_eq(s->ops->read_body(s, 1, 0, &out, &e), ST_PERM);
	ck_assert_int_eq(s->ops->history(s, 1, &m, NULL, NULL, &e), ST_PERM);
	ck_assert_uint_eq(totals(s).accepted, 0);
	buf_release(&out);
}

CONTRACT_TEST(gaps_are_refused_for_now)
{
	struct message *m = make_message(1, 1, SPAN("abcdef"));

	ck_assert_int_eq(put_body(s, 1, 3, SPAN("def")), ST_TEMP);
	ck_assert_int_eq(put_body(s, 1, 0, SPAN("abc")), ST_OK);
	ck_assert_int_eq(put_body(s, 1, 0, SPAN("abc")), ST_TEMP);
	ck_assert_int_eq(put_body(s, 1, 4, SPAN("ef")), ST_TEMP);
	ck_assert_int_eq(put_message(s, m, SPAN("ef")), ST_TEMP);
	ck_assert_int_eq(put_message(s, m, SPAN("def")), ST_OK);
	message_free(m);
}

CONTRACT_TEST(a_body_of_the_wrong_length_is_refused)
{
	struct message *m = make_message(1, 1, SPAN("abc"));
	struct store_op op = {.verb = STORE_ENQUEUE,
			      .id = 1,
			      .body = SPAN("abcd"),
			      .message = m};

	ck_assert_int_eq(apply(s, &op), ST_TEMP);
	ck_assert_ptr_null(load(s, 1));
	message_free(m);
}

CONTRACT_TEST(an_id_is_accepted_once)
{
	struct message *m = make_message(1, 1, SPAN("abc"));

	ck_assert_int_eq(put_message(s, m, SPAN("abc")), ST_OK);
	ck_assert_int_eq(put_message(s, m, SPAN("abc")), ST_TEMP);
	ck_assert_int_eq(put_body(s, 1, 3, SPAN("x")), ST_TEMP);
	change(s, 1, (struct change){.kind = CHANGE_DELIVERED});
	ck_assert_ptr_null(load(s, 1));
	ck_assert_int_eq(put_message(s, m, SPAN("abc")), ST_TEMP);
	ck_assert_uint_eq(totals(s).accepted, 1);
	message_free(m);
}

CONTRACT_TEST(unsound_envelopes_are_refused)
{
	struct message *m = make_message(1, 0, SPAN("a"));
	char *long_name = xcalloc(STORE_NAME_MAX + 2, 1);

	memset(long_name, 'n', STORE_NAME_MAX + 1);
	ck_assert_int_eq(put_message(s, m, SPAN("a")), ST_TEMP);
	message_add(m, "a@x", long_name, "");
	ck_assert_int_eq(put_message(s, m, SPAN("a")), ST_TEMP);
	m->recipients[0].lane[STORE_NAME_MAX] = '\0';
	message_add(m, "b@x", "lane", "")->number = 0;
	ck_assert_int_eq(put_message(s, m, SPAN("a")), ST_TEMP);
	m->recipients[1].number = 1;
	ck_assert_int_eq(put_message(s, m, SPAN("a")), ST_OK);
	ck_assert_uint_eq(count_due(s, m->recipients[0].lane, WAIT_TIME), 1);
	free(long_name);
	message_free(m);
}

CONTRACT_TEST(drop_forgets_an_unfinished_message)
{
	struct store_op op = {.verb = STORE_DROP, .id = 1};

	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_int_eq(put_body(s, 1, 0, SPAN("abc")), ST_OK);
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_int_eq(put_body(s, 1, 3, SPAN("def")), ST_TEMP);
	ck_assert_int_eq(put_body(s, 1, 0, SPAN("abc")), ST_OK);
}

CONTRACT_TEST(drop_never_touches_an_accepted_message)
{
	struct store_op op = {.verb = STORE_DROP, .id = 1};
	struct span got;

	enqueue(s, 1, 1, "abc");
	ck_assert_int_eq(apply(s, &op), ST_PERM);
	got = read_body(s, 1, 10);
	ck_assert(span_eq(got, SPAN("abc")));
	free((char *)(uintptr_t)got.at);
}

/* ------- what becomes of recipients */

CONTRACT_TEST(delivered_and_gone)
{
	struct buf out;
	struct err e;

	enqueue(s, 1, 1, "abc");
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_DELIVERED,
						 .attempted = true}),
			  1);
	ck_assert_ptr_null(load(s, 1));
	buf_init(&out, 10);
	ck_assert_int_eq(s->ops->read_body(s, 1, 0, &out, &e), ST_PERM);
	buf_release(&out);
	ck_assert_uint_eq(totals(s).delivered, 1);
	ck_assert_uint_eq(totals(s).live[RCPT_DELIVERED], 0);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 0);
}

CONTRACT_TEST(delivered_one_by_one)
{
	enqueue(s, 1, 3, "abc");
	for (uint32_t i = 0; i < 3; i++) {
		ck_assert_uint_eq(totals(s).live[RCPT_DELIVERED], i);
		ck_assert_uint_eq(
			change(s, 1,
			       (struct change){.kind = CHANGE_DELIVERED,
					       .number = i}),
			1);
	}
	ck_assert_ptr_null(load(s, 1));
	ck_assert_uint_eq(totals(s).delivered, 3);
}

CONTRACT_TEST(delivered_and_kept)
{
	const struct change c = {.kind = CHANGE_DELIVERED};
	struct store_op op = {
		.verb = STORE_CHANGE, .id = 1, .changes = &c, .nchanges = 1};

	enqueue(s, 1, 1, "abc");
	ck_assert_int_eq(apply(s, &op), ST_OK);
	store_op_release(&op);
	ck_assert_int_eq(state_of(1, 0), RCPT_DELIVERED);
	ck_assert_uint_eq(totals(s).live[RCPT_DELIVERED], 1);
	/* A safety net: it can be sent again, when it is named. */
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_RESUBMIT,
						 .number = ALL_RECIPIENTS}),
			  0);
	ck_assert_uint_eq(
		change(s, 1, (struct change){.kind = CHANGE_RESUBMIT}), 1);
	ck_assert_int_eq(state_of(1, 0), RCPT_QUEUED);
}

CONTRACT_TEST(failed_keeps_the_body)
{
	struct span got;

	enqueue(s, 1, 2, "abc");
	change(s, 1, (struct change){.kind = CHANGE_DELIVERED});
	change(s, 1,
	       (struct change){.kind = CHANGE_FAILED,
			       .number = 1,
			       .cause = CAUSE_IS_PEER_REJECTED,
			       .destination = "cloud/h:25",
			       .reply = "550 no"});
	got = read_body(s, 1, 10);
	ck_assert(span_eq(got, SPAN("abc")));
	free((char *)(uintptr_t)got.at);
	ck_assert_int_eq(state_of(1, 0), RCPT_DELIVERED);
	ck_assert_int_eq(state_of(1, 1), RCPT_FAILED);
	ck_assert_uint_eq(totals(s).live[RCPT_FAILED], 1);
	ck_assert_uint_eq(totals(s).failed, 0);
}

CONTRACT_TEST(deferred_waits)
{
	int64_t due_ms;
	struct err e;

	enqueue(s, 1, 1, "abc");
	change(s, 1,
	       (struct change){.kind = CHANGE_DEFERRED,
			       .cause = CAUSE_IS_CONNECT_TIMEOUT,
			       .due_ms = 12345,
			       .destination = "cloud/h:25"});
	ck_assert_int_eq(state_of(1, 0), RCPT_DEFERRED);
	ck_assert_int_eq(s->ops->next_due(s, "cloud", WAIT_TIME, &due_ms, &e),
			 ST_OK);
	ck_assert_int_eq(due_ms, 12345);
	ck_assert_int_eq(
		s->ops->next_due(s, "cloud", WAIT_DESTINATION, &due_ms, &e),
		ST_OK);
	ck_assert(due_ms == INT64_MAX);
	change(s, 1,
	       (struct change){.kind = CHANGE_DEFERRED,
			       .cause = CAUSE_IS_TLS_PIN,
			       .wait = WAIT_DESTINATION,
			       .due_ms = 777});
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 0);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_DESTINATION), 1);
}

CONTRACT_TEST(expired_and_resubmitted)
{
	struct message *m;

	enqueue(s, 1, 1, "abc");
	change(s, 1,
	       (struct change){.kind = CHANGE_EXPIRED,
			       .cause = CAUSE_IS_EXPIRED,
			       .told = true});
	ck_assert_uint_eq(totals(s).live[RCPT_EXPIRED], 1);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 0);
	clock_set_test(1000, WALL_MS + 500);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_RESUBMIT,
						 .number = ALL_RECIPIENTS,
						 .lane = "new"}),
			  1);
	m = load(s, 1);
	ck_assert_int_eq(m->recipients[0].state, RCPT_QUEUED);
	ck_assert_int_eq(m->recipients[0].fresh_ms, WALL_MS + 500);
	ck_assert_int_eq(m->recipients[0].due_ms, WALL_MS + 500);
	ck_assert(!m->recipients[0].told);
	message_free(m);
	ck_assert_uint_eq(count_due(s, "new", WAIT_TIME), 1);
	ck_assert_uint_eq(totals(s).live[RCPT_QUEUED], 1);
	ck_assert_uint_eq(totals(s).live[RCPT_EXPIRED], 0);
}

CONTRACT_TEST(held_and_released)
{
	const struct change defer = {.kind = CHANGE_DEFERRED,
				     .cause = CAUSE_IS_PEER_DEFERRED,
				     .due_ms = 9,
				     .attempted = true};

	enqueue(s, 1, 1, "abc");
	ck_assert_uint_eq(change(s, 1, (struct change){.kind = CHANGE_HOLD}),
			  1);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 0);
	/* The attempt that was under way fails. */
	ck_assert_uint_eq(change(s, 1, defer), 1);
	ck_assert_int_eq(state_of(1, 0), RCPT_HELD);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 0);
	ck_assert_uint_eq(change(s, 1, (struct change){.kind = CHANGE_HOLD}),
			  0);
	ck_assert_uint_eq(change(s, 1, (struct change){.kind = CHANGE_RELEASE}),
			  1);
	ck_assert_int_eq(state_of(1, 0), RCPT_QUEUED);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
}

CONTRACT_TEST(a_held_one_may_be_delivered_after_all)
{
	enqueue(s, 1, 1, "abc");
	change(s, 1, (struct change){.kind = CHANGE_HOLD});
	ck_assert_uint_eq(
		change(s, 1, (struct change){.kind = CHANGE_DELIVERED}), 1);
	ck_assert_uint_eq(totals(s).delivered, 1);
}

CONTRACT_TEST(outcomes_do_not_touch_final_ones)
{
	enqueue(s, 1, 1, "abc");
	change(s, 1,
	       (struct change){.kind = CHANGE_FAILED, .cause = CAUSE_IS_LOOP});
	for (unsigned k = CHANGE_DELIVERED; k <= CHANGE_RELEASE; k++)
		ck_assert_uint_eq(
			change(s, 1,
			       (struct change){.kind = (enum change_kind)k}),
			0);
	ck_assert_int_eq(state_of(1, 0), RCPT_FAILED);
}

CONTRACT_TEST(removed)
{
	enqueue(s, 1, 2, "abc");
	ck_assert_uint_eq(
		change(s, 1,
		       (struct change){.kind = CHANGE_REMOVE, .number = 1}),
		1);
	ck_assert_uint_eq(totals(s).removed, 1);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
	/* The outcome of work that was under way finds nothing. */
	ck_assert_uint_eq(
		change(s, 1,
		       (struct change){.kind = CHANGE_DELIVERED, .number = 1}),
		0);
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_REMOVE,
						 .number = ALL_RECIPIENTS}),
			  1);
	ck_assert_uint_eq(totals(s).removed, 2);
	ck_assert_ptr_null(load(s, 1));
}

CONTRACT_TEST(removing_the_rest_settles_the_delivered)
{
	enqueue(s, 1, 2, "abc");
	change(s, 1, (struct change){.kind = CHANGE_DELIVERED});
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_REMOVE,
						 .number = ALL_RECIPIENTS}),
			  1);
	ck_assert_ptr_null(load(s, 1));
	ck_assert_uint_eq(totals(s).delivered, 1);
	ck_assert_uint_eq(totals(s).removed, 1);
}

CONTRACT_TEST(moved)
{
	enqueue(s, 1, 2, "abc");
	ck_assert_uint_eq(change(s, 1,
				 (struct change){.kind = CHANGE_MOVE,
						 .number = 1,
						 .lane = "other"}),
			  1);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
	ck_assert_uint_eq(count_due(s, "other", WAIT_TIME), 1);
}

CONTRACT_TEST(extended_and_told)
{
	struct message *m;

	enqueue(s, 1, 1, "abc");
	change(s, 1, (struct change){.kind = CHANGE_EXTEND, .by_ms = 1000});
	change(s, 1, (struct change){.kind = CHANGE_TOLD, .warned = true});
	m = load(s, 1);
	ck_assert_int_eq(m->recipients[0].fresh_ms, 1010);
	ck_assert(m->recipients[0].warned && !m->recipients[0].told);
	message_free(m);
}

CONTRACT_TEST(some_changes_apply_and_some_do_not)
{
	const struct change changes[] = {
		{.kind = CHANGE_DELIVERED, .number = 0},
		{.kind = CHANGE_RELEASE, .number = 1},
		{.kind = CHANGE_DELIVERED, .number = 9},
		{.kind = CHANGE_HOLD, .number = 2},
		{.kind = CHANGE_RELEASE, .number = 2},
	};
	struct store_op op = {.verb = STORE_CHANGE,
			      .id = 1,
			      .changes = changes,
			      .nchanges = ARRAY_LEN(changes)};

	enqueue(s, 1, 3, "abc");
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.done, 2);
	store_op_release(&op);
	ck_assert_int_eq(state_of(1, 0), RCPT_DELIVERED);
	ck_assert_int_eq(state_of(1, 1), RCPT_QUEUED);
	ck_assert_int_eq(state_of(1, 2), RCPT_QUEUED);
}

CONTRACT_TEST(no_change_of_an_unknown_message)
{
	const struct change c = {.kind = CHANGE_HOLD};
	struct store_op op = {
		.verb = STORE_CHANGE, .id = 1, .changes = &c, .nchanges = 1};

	ck_assert_int_eq(apply(s, &op), ST_PERM);
	ck_assert_int_eq(op.err.subject, 3);
	ck_assert_uint_eq(op.done, 0);
}

CONTRACT_TEST(a_failing_operation_leaves_its_neighbours_alone)
{
	struct message *a = make_message(1, 1, SPAN("abc"));
	struct message *b = make_message(2, 1, SPAN("abc"));
	const struct change c = {.kind = CHANGE_DELIVERED};
	struct store_op ops[] = {
		{.verb = STORE_ENQUEUE,
		 .id = 1,
		 .message = a,
		 .body = SPAN("abc")},
		{.verb = STORE_BODY, .id = 9, .at = 3, .body = SPAN("x")},
		{.verb = STORE_CHANGE, .id = 77, .changes = &c, .nchanges = 1},
		{.verb = STORE_CHANGE,
		 .id = 1,
		 .changes = &c,
		 .nchanges = 1,
		 .drop_delivered = true},
		{.verb = STORE_ENQUEUE,
		 .id = 2,
		 .message = b,
		 .body = SPAN("abc")},
	};
	static const enum status want[] = {ST_OK, ST_TEMP, ST_PERM, ST_OK,
					   ST_OK};
	struct store_op *list[ARRAY_LEN(ops)];

	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		list[i] = &ops[i];
	ck_assert_int_eq(s->ops->apply(s, list, ARRAY_LEN(ops)), ST_OK);
	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		ck_assert_int_eq(ops[i].status, want[i]);
		store_op_release(&ops[i]);
	}
	ck_assert_ptr_null(load(s, 1));
	ck_assert_int_eq(state_of(2, 0), RCPT_QUEUED);
	message_free(a);
	message_free(b);
}

/* ------- bounces */

static const struct change fail = {.kind = CHANGE_FAILED,
				   .cause = CAUSE_IS_PEER_REJECTED,
				   .told = true};

/* A failure of message 1 with bounces. */
static struct store_op bounce_op(const struct store_bounce *bounces, size_t n)
{
	return (struct store_op){.verb = STORE_CHANGE,
				 .id = 1,
				 .changes = &fail,
				 .nchanges = 1,
				 .drop_delivered = true,
				 .bounces = bounces,
				 .nbounces = n};
}

CONTRACT_TEST(a_failure_and_its_bounces_are_one)
{
	struct message *a = make_message(7, 1, SPAN("alas"));
	struct message *b = make_message(8, 2, SPAN("alas too"));
	const struct store_bounce bounces[] = {{a, SPAN("alas")},
					       {b, SPAN("alas too")}};
	struct store_op op = bounce_op(bounces, 2);
	struct span got;
	struct message *m;

	enqueue(s, 1, 1, "abc");
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.done, 1);
	ck_assert_uint_eq(op.nnews, 4);
	ck_assert(!op.news[0].due && op.news[0].id == 1);
	ck_assert(op.news[1].due && op.news[1].id == 7);
	ck_assert(op.news[2].due && op.news[2].id == 8);
	ck_assert(op.news[3].id == 8 && op.news[3].number == 1);
	ck_assert_str_eq(op.news[3].lane, "cloud");
	store_op_release(&op);
	m = load(s, 1);
	ck_assert_int_eq(m->recipients[0].state, RCPT_FAILED);
	ck_assert(m->recipients[0].told);
	message_free(m);
	got = read_body(s, 8, 3);
	ck_assert(span_eq(got, SPAN("alas too")));
	free((char *)(uintptr_t)got.at);
	ck_assert_uint_eq(totals(s).accepted, 4);
	ck_assert_uint_eq(totals(s).live[RCPT_FAILED], 1);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 3);
	/* And goes its way like any other. */
	change(s, 7, (struct change){.kind = CHANGE_DELIVERED});
	ck_assert_ptr_null(load(s, 7));
	ck_assert_uint_gt(s->ops->new_id(s), 8);
	message_free(a);
	message_free(b);
}

CONTRACT_TEST(no_bounce_where_nothing_changed)
{
	struct message *a = make_message(7, 1, SPAN("alas"));
	const struct store_bounce bounce = {a, SPAN("alas")};
	struct store_op op = bounce_op(&bounce, 1);
	const struct change warn = {.kind = CHANGE_TOLD, .warned = true};

	ck_assert_int_eq(apply(s, &op), ST_PERM);
	enqueue(s, 1, 1, "abc");
	op.changes = &warn;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(totals(s).accepted, 2);
	/* Nobody is warned twice. */
	a->id = 8;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.done, 0);
	ck_assert_uint_eq(op.nnews, 0);
	ck_assert_ptr_null(load(s, 8));
	op.changes = &fail;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(totals(s).accepted, 3);
	a->id = 9;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(totals(s).accepted, 3);
	store_op_release(&op);
	message_free(a);
}

static void neither(struct store_op *op, uint64_t accepted)
{
	ck_assert_int_eq(apply(s, op), ST_TEMP);
	ck_assert_uint_eq(op->done, 0);
	ck_assert_uint_eq(op->nnews, 0);
	ck_assert_int_eq(state_of(1, 0), RCPT_QUEUED);
	ck_assert_uint_eq(totals(s).accepted, accepted);
}

CONTRACT_TEST(a_bounce_that_cannot_be_kept_stops_the_failure)
{
	struct message *a = make_message(7, 1, SPAN("alas"));
	struct message *b = make_message(5, 1, SPAN("alas"));
	const struct store_bounce bounces[] = {{a, SPAN("alas")},
					       {b, SPAN("alas")}};
	struct store_op op = bounce_op(bounces, 2);

	enqueue(s, 1, 1, "abc");
	enqueue(s, 5, 1, "abc");
	neither(&op, 2);
	ck_assert_ptr_null(load(s, 7));
	b->id = 8;
	b->bytes = 3;
	neither(&op, 2);
	b->bytes = 4;
	free(b->recipients[0].address);
	b->recipients[0].address = xstrdup("");
	neither(&op, 2);
	message_free(a);
	message_free(b);
}

/* The next commit fails, as when the disk is ill. */
static void fail_commit(bool on)
{
	struct rlimit limit = {.rlim_cur = on ? 0 : RLIM_INFINITY,
			       .rlim_max = RLIM_INFINITY};

	if (dir == NULL) {
		store_mem_fail_commits(s, on);
		return;
	}
	signal(SIGXFSZ, SIG_IGN);
	ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

CONTRACT_TEST(both_or_neither_when_the_commit_fails)
{
	struct message *a = make_message(7, 1, SPAN("alas"));
	const struct store_bounce bounce = {a, SPAN("alas")};
	struct store_op op = bounce_op(&bounce, 1);

	enqueue(s, 1, 1, "abc");
	fail_commit(true);
	(void)apply(s, &op);
	fail_commit(false);
	ck_assert_int_eq(op.status, ST_TEMP);
	ck_assert_uint_eq(op.done, 0);
	ck_assert_uint_eq(op.nnews, 0);
	ck_assert_int_eq(state_of(1, 0), RCPT_QUEUED);
	ck_assert_ptr_null(load(s, 7));
	ck_assert_uint_eq(totals(s).accepted, 1);
	/* Until the disk is asked anew it counts as full. */
	clock_set_test(3000, WALL_MS);
	ck_assert_int_eq(apply(s, &op), ST_OK);
	store_op_release(&op);
	ck_assert_int_eq(state_of(1, 0), RCPT_FAILED);
	ck_assert_int_eq(state_of(7, 0), RCPT_QUEUED);
	message_free(a);
}

/* ------- imported mail comes in any state */

CONTRACT_TEST(enqueue_in_any_state)
{
	struct message *m = make_message(1, RCPT_STATES, SPAN("abc"));
	struct message *f = make_message(2, 1, SPAN("abc"));

	for (unsigned i = 0; i < RCPT_STATES; i++)
		m->recipients[i].state = (enum rcpt_state)i;
	f->recipients[0].state = RCPT_FAILED;
	f->recipients[0].since_ms = 70;
	ck_assert_int_eq(put_message(s, m, SPAN("abc")), ST_OK);
	ck_assert_int_eq(put_message(s, f, SPAN("abc")), ST_OK);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 2);
	ck_assert_uint_eq(trim(s, BEFORE(70, 0, 0), 9), 0);
	ck_assert_uint_eq(trim(s, BEFORE(71, 0, 0), 9), 1);
	ck_assert_ptr_null(load(s, 2));
	message_free(m);
	message_free(f);
}

CONTRACT_TEST(many_recipients)
{
	struct change changes[300];
	struct store_op op = {.verb = STORE_CHANGE,
			      .id = 1,
			      .changes = changes,
			      .nchanges = ARRAY_LEN(changes),
			      .drop_delivered = true};
	struct message *m = make_message(1, 300, SPAN("abc"));

	ck_assert_int_eq(put_message(s, m, SPAN("abc")), ST_OK);
	message_free(m);
	for (uint32_t i = 0; i < 300; i++)
		changes[i] = (struct change){.kind = CHANGE_DELIVERED,
					     .number = 299 - i};
	op.nchanges = 299;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.done, 299);
	ck_assert_uint_eq(op.nnews, 299);
	ck_assert_uint_eq(count_due(s, "cloud", WAIT_TIME), 1);
	store_op_release(&op);
	change(s, 1, (struct change){.kind = CHANGE_DELIVERED});
	ck_assert_ptr_null(load(s, 1));
	ck_assert_uint_eq(totals(s).delivered, 300);
}

int main(void)
{
	const TTest *const tests[] = {
		contract_ids_grow,
		contract_enqueue_in_one_piece,
		contract_an_empty_body,
		contract_bodies_in_pieces_of_any_size,
		contract_a_body_of_five_megabytes,
		contract_read_from_any_offset,
		contract_read_appends,
		contract_two_messages_interleaved,
		contract_an_unfinished_message_is_not_seen,
		contract_gaps_are_refused_for_now,
		contract_a_body_of_the_wrong_length_is_refused,
		contract_an_id_is_accepted_once,
		contract_unsound_envelopes_are_refused,
		contract_drop_forgets_an_unfinished_message,
		contract_drop_never_touches_an_accepted_message,
		contract_delivered_and_gone,
		contract_delivered_one_by_one,
		contract_delivered_and_kept,
		contract_failed_keeps_the_body,
		contract_deferred_waits,
		contract_expired_and_resubmitted,
		contract_held_and_released,
		contract_a_held_one_may_be_delivered_after_all,
		contract_outcomes_do_not_touch_final_ones,
		contract_removed,
		contract_removing_the_rest_settles_the_delivered,
		contract_moved,
		contract_extended_and_told,
		contract_some_changes_apply_and_some_do_not,
		contract_no_change_of_an_unknown_message,
		contract_a_failing_operation_leaves_its_neighbours_alone,
		contract_a_failure_and_its_bounces_are_one,
		contract_no_bounce_where_nothing_changed,
		contract_a_bounce_that_cannot_be_kept_stops_the_failure,
		contract_both_or_neither_when_the_commit_fails,
		contract_enqueue_in_any_state,
		contract_many_recipients,
	};

	return run_contract("store", tests, ARRAY_LEN(tests));
}
