/* SPDX-License-Identifier: ISC */
/*
 * t_reads.c - the contract of a store: what can be asked of it, what it tells,
 * and what it forgets.
 */
#include "base/units.h"
#include "tests/unit/queue/contract.h"

/* ------- news */

static void check_news(struct store_op *op, size_t at, bool due,
		       const char *lane, int64_t due_ms)
{
	ck_assert_uint_lt(at, op->nnews);
	ck_assert_uint_eq(op->news[at].id, op->id);
	ck_assert_int_eq(op->news[at].due, due);
	ck_assert_str_eq(op->news[at].lane, lane);
	if (due)
		ck_assert_int_eq(op->news[at].due_ms, due_ms);
}

CONTRACT_TEST(news_of_the_schedule)
{
	struct message *m = make_message(1, 2, SPAN("abc"));
	struct change c = {.kind = CHANGE_DEFERRED,
			   .number = 1,
			   .cause = CAUSE_IS_LOOP,
			   .due_ms = 99};
	struct store_op op = {.verb = STORE_ENQUEUE,
			      .id = 1,
			      .message = m,
			      .body = SPAN("abc")};

	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.nnews, 2);
	check_news(&op, 0, true, "cloud", 10);
	check_news(&op, 1, true, "cloud", 10);
	ck_assert_uint_eq(op.news[1].number, 1);
	op.verb = STORE_CHANGE;
	op.changes = &c;
	op.nchanges = 1;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.nnews, 1);
	check_news(&op, 0, true, "cloud", 99);
	/* The same once more: nothing is new. */
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.nnews, 0);
	c = (struct change){
		.kind = CHANGE_MOVE, .number = 1, .lane = "new", .due_ms = 100};
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.nnews, 2);
	check_news(&op, 0, false, "cloud", 0);
	check_news(&op, 1, true, "new", 100);
	c = (struct change){.kind = CHANGE_HOLD, .number = 1};
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.nnews, 1);
	check_news(&op, 0, false, "new", 0);
	c.kind = CHANGE_RELEASE;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	check_news(&op, 0, true, "new", WALL_MS);
	c.kind = CHANGE_DELIVERED;
	c.number = ALL_RECIPIENTS;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.nnews, 2);
	check_news(&op, 0, false, "cloud", 0);
	check_news(&op, 1, false, "new", 0);
	store_op_release(&op);
	message_free(m);
}

/* ------- reads */

static void defer(uint64_t id, uint32_t number, const char *lane,
		  int64_t due_ms)
{
	change(s, id,
	       (struct change){.kind = CHANGE_DEFERRED,
			       .number = number,
			       .cause = CAUSE_IS_PEER_DEFERRED,
			       .due_ms = due_ms,
			       .lane = lane,
			       .destination = "d"});
}

CONTRACT_TEST(due_in_order_and_by_cursor)
{
	struct due due[3], *after = NULL, last;
	int64_t before = INT64_MIN;
	size_t n, all = 0;
	struct err e;

	for (uint64_t id = 1; id <= 10; id++) {
		enqueue(s, id, 2, "x");
		defer(id, 0, NULL, 1000 - (int64_t)id * 7 % 5);
		defer(id, 1, id % 2 == 0 ? "other" : NULL, -5);
	}
	do {
		ck_assert_int_eq(s->ops->due(s, "cloud", WAIT_TIME, INT64_MAX,
					     after, due, 3, &n, &e),
				 ST_OK);
		for (size_t i = 0; i < n; i++) {
			ck_assert_int_ge(due[i].due_ms, before);
			before = due[i].due_ms;
		}
		all += n;
		if (n > 0) {
			last = due[n - 1];
			after = &last;
		}
	} while (n > 0);
	ck_assert_uint_eq(all, 15);
	ck_assert_int_eq(
		s->ops->due(s, "cloud", WAIT_TIME, -5, NULL, due, 3, &n, &e),
		ST_OK);
	ck_assert_uint_eq(n, 3);
	ck_assert_uint_eq(due[0].id, 1);
	ck_assert_uint_eq(due[1].id, 3);
	ck_assert_int_eq(
		s->ops->due(s, "cloud", WAIT_TIME, -6, NULL, due, 3, &n, &e),
		ST_OK);
	ck_assert_uint_eq(n, 0);
	/* A cursor whose recipient is gone still holds the place. */
	last = (struct due){.id = 2, .number = 0, .due_ms = -5};
	ck_assert_int_eq(s->ops->due(s, "cloud", WAIT_TIME, INT64_MAX, &last,
				     due, 1, &n, &e),
			 ST_OK);
	ck_assert_uint_eq(due[0].id, 3);
	ck_assert_int_eq(s->ops->due(s, "nobody", WAIT_TIME, INT64_MAX, NULL,
				     due, 3, &n, &e),
			 ST_OK);
	ck_assert_uint_eq(n, 0);
}

CONTRACT_TEST(a_message_stands_together)
{
	struct due due[6];
	struct err e;
	size_t n;

	for (uint64_t id = 1; id <= 2; id++) {
		enqueue(s, id, 3, "x");
		for (uint32_t i = 0; i < 3; i++)
			defer(id, i, NULL, 50);
	}
	ck_assert_int_eq(
		s->ops->due(s, "cloud", WAIT_TIME, 50, NULL, due, 6, &n, &e),
		ST_OK);
	ck_assert_uint_eq(n, 6);
	for (size_t i = 0; i < 6; i++) {
		ck_assert_uint_eq(due[i].id, 1 + i / 3);
		ck_assert_uint_eq(due[i].number, i % 3);
	}
}

static size_t count_lanes(const char *wanted)
{
	char **lanes;
	struct err e;
	size_t n = 0;
	bool found = false;

	ck_assert_int_eq(s->ops->lanes(s, &lanes, &e), ST_OK);
	for (; lanes[n] != NULL; n++) {
		found = found || strcmp(lanes[n], wanted) == 0;
		free(lanes[n]);
	}
	free(lanes);
	ck_assert(found == (n > 0));
	return n;
}

CONTRACT_TEST(lanes_that_have_mail)
{
	ck_assert_uint_eq(count_lanes("cloud"), 0);
	enqueue(s, 1, 3, "x");
	ck_assert_uint_eq(count_lanes("cloud"), 1);
	defer(1, 0, "a", 1);
	defer(1, 1, "b/example.org", 1);
	ck_assert_uint_eq(count_lanes("b/example.org"), 3);
	change(s, 1, (struct change){.kind = CHANGE_HOLD});
	ck_assert_uint_eq(count_lanes("b/example.org"), 2);
	change(s, 1,
	       (struct change){.kind = CHANGE_DELIVERED,
			       .number = ALL_RECIPIENTS});
	ck_assert_uint_eq(count_lanes("cloud"), 0);
}

struct seen {
	uint64_t ids[64];
	size_t n, stop_at;
};

static bool see(void *arg, const struct message *m)
{
	struct seen *seen = arg;

	seen->ids[seen->n++] = m->id;
	return seen->n != seen->stop_at;
}

CONTRACT_TEST(scan_by_cursor)
{
	struct seen seen = {.n = 0};
	uint64_t cursor = 0;
	bool more = true;
	struct err e;

	for (uint64_t id = 10; id > 0; id--)
		enqueue(s, id * 3, 1, "x");
	change(s, 9, (struct change){.kind = CHANGE_DELIVERED});
	for (unsigned round = 0; more; round++) {
		ck_assert_uint_lt(round, 5);
		ck_assert_int_eq(
			s->ops->scan(s, &cursor, 4, &more, see, &seen, &e),
			ST_OK);
		ck_assert_uint_eq(cursor, seen.ids[seen.n - 1]);
	}
	ck_assert_uint_eq(seen.n, 9);
	for (size_t i = 1; i < seen.n; i++)
		ck_assert_uint_gt(seen.ids[i], seen.ids[i - 1]);
	ck_assert_uint_eq(seen.ids[2], 12);
	seen = (struct seen){.stop_at = 2};
	cursor = 12;
	ck_assert_int_eq(s->ops->scan(s, &cursor, 9, &more, see, &seen, &e),
			 ST_OK);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_uint_eq(cursor, 18);
	ck_assert(more);
	cursor = 30;
	ck_assert_int_eq(s->ops->scan(s, &cursor, 9, &more, see, &seen, &e),
			 ST_OK);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert(!more);
}

CONTRACT_TEST(members_by_cursor)
{
	struct due out[4], after;
	struct err e;
	size_t n;

	for (uint64_t id = 1; id <= 5; id++) {
		enqueue(s, id, 2, "x");
		defer(id, 1, NULL, 100 - (int64_t)id);
	}
	ck_assert_int_eq(s->ops->members(s, RCPT_DEFERRED,
					 CAUSE_IS_PEER_DEFERRED, "d", NULL, out,
					 4, &n, &e),
			 ST_OK);
	ck_assert_uint_eq(n, 4);
	for (size_t i = 0; i < n; i++) {
		ck_assert_uint_eq(out[i].id, i + 1);
		ck_assert_uint_eq(out[i].number, 1);
	}
	after = out[3];
	ck_assert_int_eq(s->ops->members(s, RCPT_DEFERRED,
					 CAUSE_IS_PEER_DEFERRED, "d", &after,
					 out, 4, &n, &e),
			 ST_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(out[0].id, 5);
	ck_assert_int_eq(s->ops->members(s, RCPT_DEFERRED, CAUSE_IS_LOOP, "d",
					 NULL, out, 4, &n, &e),
			 ST_OK);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(s->ops->members(s, RCPT_QUEUED, CAUSE_IS_NONE, "",
					 NULL, out, 4, &n, &e),
			 ST_OK);
	ck_assert_uint_eq(n, 4);
}

CONTRACT_TEST(groups_count_messages_once)
{
	struct group *groups;
	struct err e;
	size_t n;

	enqueue(s, 1, 3, "12345");
	enqueue(s, 2, 1, "123");
	ck_assert_int_eq(s->ops->groups(s, &groups, &n, &e), ST_OK);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(groups[0].messages, 2);
	ck_assert_uint_eq(groups[0].recipients, 4);
	ck_assert_uint_eq(groups[0].bytes, 8);
	ck_assert_int_eq(groups[0].oldest_ms, 10);
	free_groups(groups, n);
	defer(1, 0, NULL, 9);
	defer(1, 1, NULL, 9);
	ck_assert_int_eq(s->ops->groups(s, &groups, &n, &e), ST_OK);
	ck_assert_uint_eq(n, 2);
	for (size_t i = 0; i < n; i++) {
		bool queued = groups[i].state == RCPT_QUEUED;

		ck_assert_uint_eq(groups[i].messages, queued ? 2 : 1);
		ck_assert_uint_eq(groups[i].recipients, 2);
		ck_assert_uint_eq(groups[i].bytes, queued ? 8 : 5);
	}
	free_groups(groups, n);
}

static size_t find_ids(const char *message_id, uint64_t *first)
{
	uint64_t *ids;
	struct err e;
	size_t n;

	ck_assert_int_eq(s->ops->find(s, message_id, &ids, &n, &e), ST_OK);
	if (n > 0)
		*first = ids[0];
	free(ids);
	return n;
}

CONTRACT_TEST(find_by_message_id)
{
	struct message *m = make_message(8, 1, SPAN("x"));
	uint64_t first = 0;

	enqueue(s, 7, 1, "x");
	ck_assert_uint_eq(find_ids("id-7@example.org", &first), 1);
	ck_assert_uint_eq(first, 7);
	/* A copy that came a second time. */
	set_string(&m->message_id, "id-7@example.org");
	ck_assert_int_eq(put_message(s, m, SPAN("x")), ST_OK);
	ck_assert_uint_eq(find_ids("id-7@example.org", &first), 2);
	ck_assert_uint_eq(find_ids("ID-7@example.org", &first), 0);
	ck_assert_uint_eq(find_ids("", &first), 0);
	change(s, 7, (struct change){.kind = CHANGE_DELIVERED});
	ck_assert_uint_eq(find_ids("id-7@example.org", &first), 2);
	message_free(m);
}

/* ------- history */

static struct event make_event(enum event_kind kind, uint32_t number)
{
	struct event ev;

	event_init(&ev);
	ev.kind = kind;
	ev.number = number;
	set_string(&ev.reply, event_word(kind));
	return ev;
}

struct events {
	enum event_kind kinds[300];
	size_t n, stop_at;
};

static bool see_event(void *arg, const struct event *ev)
{
	struct events *seen = arg;

	ck_assert_str_eq(ev->reply, event_word(ev->kind));
	seen->kinds[seen->n++] = ev->kind;
	return seen->n != seen->stop_at;
}

static enum status history(uint64_t id, struct message **m,
			   struct events *events)
{
	struct err e;

	*m = NULL;
	events->n = 0;
	return s->ops->history(s, id, m, see_event, events, &e);
}

CONTRACT_TEST(history_after_settling)
{
	struct event ev[] = {make_event(EVENT_RECEIVED, ALL_RECIPIENTS),
			     make_event(EVENT_DEFERRED, 0),
			     make_event(EVENT_DELIVERED, 0)};
	struct message *m = make_message(1, 2, SPAN("abc"));
	const struct change c = {.kind = CHANGE_DELIVERED,
				 .number = ALL_RECIPIENTS,
				 .destination = "cloud/h:25",
				 .reply = "250 ok"};
	struct store_op ops[] = {
		{.verb = STORE_ENQUEUE,
		 .id = 1,
		 .message = m,
		 .body = SPAN("abc"),
		 .events = ev,
		 .nevents = 2},
		{.verb = STORE_CHANGE,
		 .id = 1,
		 .changes = &c,
		 .nchanges = 1,
		 .events = ev + 2,
		 .nevents = 1,
		 .drop_delivered = true},
	};
	struct events seen = {.n = 0};

	for (size_t i = 0; i < 2; i++) {
		ck_assert_int_eq(apply(s, &ops[i]), ST_OK);
		store_op_release(&ops[i]);
	}
	message_free(m);
	ck_assert_ptr_null(load(s, 1));
	ck_assert_int_eq(history(1, &m, &seen), ST_OK);
	ck_assert_uint_eq(seen.n, 3);
	for (size_t i = 0; i < 3; i++)
		ck_assert_int_eq(seen.kinds[i], ev[i].kind);
	ck_assert_uint_eq(m->nrecipients, 2);
	ck_assert_int_eq(m->recipients[1].state, RCPT_DELIVERED);
	ck_assert_str_eq(m->recipients[1].destination, "cloud/h:25");
	ck_assert_str_eq(m->recipients[1].lane, "cloud");
	ck_assert_str_eq(m->recipients[1].reply, "250 ok");
	message_free(m);
	seen.stop_at = 1;
	ck_assert_int_eq(history(1, &m, &seen), ST_OK);
	ck_assert_uint_eq(seen.n, 1);
	message_free(m);
	ck_assert_int_eq(history(2, &m, &seen), ST_PERM);
	for (size_t i = 0; i < 3; i++)
		event_release(&ev[i]);
}

CONTRACT_TEST(only_what_happened_is_history)
{
	struct event ev[] = {make_event(EVENT_HELD, ALL_RECIPIENTS),
			     make_event(EVENT_DEFERRED, 0),
			     make_event(EVENT_RELEASED, 1)};
	const struct change c[] = {{.kind = CHANGE_RELEASE, .number = 0},
				   {.kind = CHANGE_RELEASE, .number = 1}};
	struct store_op op = {.verb = STORE_CHANGE,
			      .id = 1,
			      .changes = c,
			      .nchanges = 2,
			      .events = ev,
			      .nevents = 3};
	struct events seen = {.n = 0};
	struct message *m;

	/* Nothing is held; but the attempt was made. */
	ev[1].attempted = true;
	enqueue(s, 1, 2, "abc");
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_uint_eq(op.done, 0);
	ck_assert_int_eq(history(1, &m, &seen), ST_OK);
	message_free(m);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_int_eq(seen.kinds[0], EVENT_DEFERRED);
	change(s, 1, (struct change){.kind = CHANGE_HOLD, .number = 1});
	ev[1].attempted = false;
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_int_eq(history(1, &m, &seen), ST_OK);
	message_free(m);
	ck_assert_uint_eq(seen.n, 3);
	ck_assert_int_eq(seen.kinds[2], EVENT_RELEASED);
	store_op_release(&op);
	for (size_t i = 0; i < 3; i++)
		event_release(&ev[i]);
}

CONTRACT_TEST(history_of_a_removed_message)
{
	struct events seen = {.n = 0};
	struct message *m;

	enqueue(s, 1, 1, "abc");
	change(s, 1, (struct change){.kind = CHANGE_REMOVE});
	ck_assert_int_eq(history(1, &m, &seen), ST_OK);
	ck_assert_uint_eq(m->nrecipients, 0);
	ck_assert_int_eq(message_state(m), RCPT_STATES);
	ck_assert_str_eq(m->sender, "sender@example.org");
	message_free(m);
}

/* ------- trim */

CONTRACT_TEST(trim_of_expired_mail)
{
	struct events seen = {.n = 0};
	struct message *m;

	for (uint64_t id = 1; id <= 4; id++) {
		enqueue(s, id, 1, "x");
		clock_set_test(1000, WALL_MS + (int64_t)id * 10);
		if (id < 4)
			change(s, id, (struct change){.kind = CHANGE_EXPIRED});
	}
	ck_assert_uint_eq(
		trim(s, BEFORE(WALL_MS + 10, INT64_MAX, INT64_MAX), 9), 0);
	ck_assert_uint_eq(trim(s, BEFORE(WALL_MS + 30, 0, 0), 1), 1);
	ck_assert_ptr_null(load(s, 1));
	ck_assert_uint_eq(trim(s, BEFORE(WALL_MS + 30, 0, 0), 9), 1);
	ck_assert_ptr_null(load(s, 2));
	ck_assert_int_eq(state_of(3, 0), RCPT_EXPIRED);
	ck_assert_uint_eq(totals(s).expired, 2);
	ck_assert_uint_eq(totals(s).live[RCPT_EXPIRED], 1);
	/* Its history has its own time, from now. */
	ck_assert_uint_eq(trim(s, BEFORE(0, 0, WALL_MS + 40), 9), 0);
	ck_assert_int_eq(history(1, &m, &seen), ST_OK);
	ck_assert_int_eq(m->recipients[0].state, RCPT_EXPIRED);
	message_free(m);
	ck_assert_uint_eq(trim(s, BEFORE(0, 0, WALL_MS + 41), 9), 2);
	ck_assert_int_eq(history(1, &m, &seen), ST_PERM);
	ck_assert_int_eq(state_of(4, 0), RCPT_QUEUED);
	ck_assert_uint_eq(totals(s).expired, 2);
}

static bool note_id(void *arg, const struct message *m)
{
	uint64_t *digits = arg;

	*digits = *digits * 10 + m->id;
	return true;
}

CONTRACT_TEST(scan_of_what_is_settled)
{
	uint64_t cursor = 0, seen = 0;
	bool more = true;
	struct err e;

	for (uint64_t id = 1; id <= 5; id++)
		enqueue(s, id, 1, "x");
	for (uint64_t id = 1; id <= 5; id += 2)
		change(s, id, (struct change){.kind = CHANGE_EXPIRED});
	ck_assert_int_eq(s->ops->scan_settled(s, &cursor, 9, &more, note_id,
					      &seen, &e),
			 ST_OK);
	ck_assert(!more);
	ck_assert_uint_eq(seen, 0);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, 0, 0), 9), 3);
	cursor = 0;
	ck_assert_int_eq(s->ops->scan_settled(s, &cursor, 2, &more, note_id,
					      &seen, &e),
			 ST_OK);
	ck_assert(more);
	ck_assert_uint_eq(seen, 13);
	ck_assert_int_eq(s->ops->scan_settled(s, &cursor, 2, &more, note_id,
					      &seen, &e),
			 ST_OK);
	ck_assert(!more);
	ck_assert_uint_eq(seen, 135);
	cursor = seen = 0;
	ck_assert_int_eq(s->ops->scan(s, &cursor, 9, &more, note_id, &seen, &e),
			 ST_OK);
	ck_assert_uint_eq(seen, 24);
}

/* What is counted is what a trim then takes. */
CONTRACT_TEST(fading_mail_is_counted)
{
	struct fading f = {.over = false};
	struct err e;

	ck_assert_int_eq(s->ops->fading(s, INT64_MAX, 9, &f, &e), ST_OK);
	ck_assert(f.over);
	ck_assert_int_eq(f.oldest_ms, 0);
	for (uint64_t id = 1; id <= 5; id++) {
		enqueue(s, id, 2, "x");
		clock_set_test(1000, WALL_MS + (int64_t)id * 10);
		if (id < 5)
			change(s, id, (struct change){
					      .kind = CHANGE_FAILED,
					      .number = ALL_RECIPIENTS});
	}
	f = (struct fading){.over = false};
	for (int n = 0; !f.over; n++) {
		ck_assert_int_lt(n, 9);
		ck_assert_int_eq(
			s->ops->fading(s, WALL_MS + 31, 2, &f, &e), ST_OK);
	}
	ck_assert_int_eq(f.oldest_ms, WALL_MS + 10);
	ck_assert_uint_eq(f.messages, 3);
	ck_assert_uint_eq(f.recipients, 6);
	f = (struct fading){.over = false};
	ck_assert_int_eq(s->ops->fading(s, WALL_MS, 2, &f, &e), ST_OK);
	ck_assert(f.over);
	ck_assert_uint_eq(f.messages, 0);
	ck_assert_int_eq(f.oldest_ms, WALL_MS + 10);
	ck_assert_uint_eq(trim(s, BEFORE(WALL_MS + 31, 0, 0), 9), 3);
}

CONTRACT_TEST(trim_of_removed_mail)
{
	struct totals t;

	enqueue(s, 1, 2, "abc");
	change(s, 1, (struct change){.kind = CHANGE_FAILED, .number = 0});
	change(s, 1, (struct change){.kind = CHANGE_DISCARD, .number = 1});
	t = totals(s);
	ck_assert_uint_eq(t.live[RCPT_FAILED], 2);
	ck_assert_uint_eq(t.removed, 0);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, 0, 0), 9), 1);
	ck_assert_ptr_null(load(s, 1));
	t = totals(s);
	ck_assert_uint_eq(t.failed, 1);
	ck_assert_uint_eq(t.removed, 1);
	ck_assert(store_conserved(&t));
}

CONTRACT_TEST(trim_of_delivered_mail)
{
	const struct change c = {.kind = CHANGE_DELIVERED,
				 .number = ALL_RECIPIENTS};
	struct store_op op = {
		.verb = STORE_CHANGE, .id = 1, .changes = &c, .nchanges = 1};
	uint64_t first;

	enqueue(s, 1, 2, "x");
	ck_assert_int_eq(apply(s, &op), ST_OK);
	store_op_release(&op);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, WALL_MS, 0), 9), 0);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, WALL_MS + 1, 0), 9), 1);
	ck_assert_ptr_null(load(s, 1));
	ck_assert_uint_eq(totals(s).delivered, 2);
	ck_assert_uint_eq(find_ids("id-1@example.org", &first), 1);
	ck_assert_uint_eq(trim(s, BEFORE(0, 0, INT64_MAX), 9), 1);
	ck_assert_uint_eq(find_ids("id-1@example.org", &first), 0);
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, INT64_MAX, INT64_MAX), 9),
			  0);
}

CONTRACT_TEST(resubmitted_mail_is_not_trimmed)
{
	enqueue(s, 1, 2, "x");
	change(s, 1,
	       (struct change){.kind = CHANGE_EXPIRED,
			       .number = ALL_RECIPIENTS});
	change(s, 1, (struct change){.kind = CHANGE_RESUBMIT});
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, INT64_MAX, INT64_MAX), 9),
			  0);
	change(s, 1, (struct change){.kind = CHANGE_DELIVERED});
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, 0, 0), 9), 1);
	ck_assert_uint_eq(totals(s).expired, 1);
	ck_assert_uint_eq(totals(s).delivered, 1);
}

/* ------- destinations */

CONTRACT_TEST(destinations_are_remembered)
{
	char a[] = "cloud/a:25", b[] = "cloud/b:25", reply[] = "421 no",
	     reason[] = "maintenance", none[] = "";
	struct destination_record d[] = {
		{.name = b,
		 .failing = true,
		 .cause = CAUSE_IS_TLS_PIN,
		 .since_ms = 5,
		 .reply = reply,
		 .reason = none},
		{.name = a,
		 .suspended = true,
		 .cause = CAUSE_IS_SUSPENDED,
		 .until_ms = 9,
		 .reply = none,
		 .reason = reason},
	};
	struct destination_record *list;
	struct store_op op = {.verb = STORE_DESTINATION};
	struct err e;
	size_t n;

	for (size_t i = 0; i < 2; i++) {
		op.destination = &d[i];
		ck_assert_int_eq(apply(s, &op), ST_OK);
	}
	d[0].since_ms = 6;
	op.destination = &d[0];
	ck_assert_int_eq(apply(s, &op), ST_OK);
	ck_assert_int_eq(s->ops->destinations(s, &list, &n, &e), ST_OK);
	ck_assert_uint_eq(n, 2);
	ck_assert_str_eq(list[0].name, a);
	ck_assert(list[0].suspended && !list[0].failing);
	ck_assert_str_eq(list[0].reason, reason);
	ck_assert_int_eq(list[0].until_ms, 9);
	ck_assert_str_eq(list[1].name, b);
	ck_assert_int_eq(list[1].since_ms, 6);
	ck_assert_str_eq(list[1].reply, reply);
	for (size_t i = 0; i < n; i++)
		destination_record_release(&list[i]);
	free(list);
	for (size_t i = 0; i < 2; i++) {
		d[i].failing = d[i].suspended = false;
		op.destination = &d[i];
		ck_assert_int_eq(apply(s, &op), ST_OK);
	}
	ck_assert_int_eq(s->ops->destinations(s, &list, &n, &e), ST_OK);
	ck_assert_uint_eq(n, 0);
	free(list);
}

/* ------- records */

static void keep(enum record_kind kind, const char *key, const char *value)
{
	struct store_record r = {kind, xstrdup(key),
				 value != NULL ? xstrdup(value) : NULL};
	struct store_op op = {.verb = STORE_RECORD, .record = &r};

	ck_assert_int_eq(apply(s, &op), ST_OK);
	store_record_release(&r);
}

/* The values, one behind the other. */
static const char *kept(enum record_kind kind, enum record_order order,
			const char *after, size_t max)
{
	static char text[64];
	struct store_record *list;
	size_t len = 0, n;
	struct err e;

	text[0] = '\0';
	ck_assert_int_eq(s->ops->records(s, kind, order, after, max, &list, &n,
					 &e),
			 ST_OK);
	for (size_t i = 0; i < n; i++) {
		ck_assert_int_eq(list[i].kind, kind);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
					list[i].value);
		ck_assert_uint_lt(len, sizeof(text));
		store_record_release(&list[i]);
	}
	free(list);
	return text;
}

CONTRACT_TEST(records_in_order_and_by_cursor)
{
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_FALLING, NULL, 9), "");
	keep(RECORD_EXCEPTION, "b", "B");
	keep(RECORD_AUDIT, "2", "two");
	keep(RECORD_AUDIT, "1", "one");
	keep(RECORD_AUDIT, "3", "three");
	keep(RECORD_PEER_CERT, "a", "A");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_RISING, NULL, 9),
			 "onetwothree");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_FALLING, NULL, 9),
			 "threetwoone");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_FALLING, NULL, 2),
			 "threetwo");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_RISING, "1", 1), "two");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_FALLING, "2", 9), "one");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_FALLING, "29", 9),
			 "twoone");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_RISING, "29", 9), "three");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_RISING, "3", 9), "");
	ck_assert_str_eq(kept(RECORD_AUDIT, RECORDS_FALLING, "1", 9), "");
	ck_assert_str_eq(kept(RECORD_EXCEPTION, RECORDS_RISING, "a", 9), "B");
}

CONTRACT_TEST(records_are_replaced_and_forgotten)
{
	struct store_record r = {RECORD_AUDIT, xstrdup(""), NULL};
	struct store_op op = {.verb = STORE_RECORD, .record = &r};

	keep(RECORD_EXCEPTION, "b", "old");
	keep(RECORD_EXCEPTION, "b", "new");
	ck_assert_str_eq(kept(RECORD_EXCEPTION, RECORDS_RISING, NULL, 9),
			 "new");
	keep(RECORD_EXCEPTION, "a", NULL);
	keep(RECORD_EXCEPTION, "b", NULL);
	ck_assert_str_eq(kept(RECORD_EXCEPTION, RECORDS_RISING, NULL, 9), "");
	ck_assert_int_eq(apply(s, &op), ST_PERM);
	store_record_release(&r);
}

/* A transcript comes with the change that it tells of, and goes with the
 * history. */
CONTRACT_TEST(transcripts_live_as_long_as_history)
{
	struct store_record r = {RECORD_TRANSCRIPT, NULL, NULL};
	struct change c = {.kind = CHANGE_FAILED};
	struct event ev;
	struct store_op op = {.verb = STORE_CHANGE,
			      .changes = &c,
			      .nchanges = 1,
			      .events = &ev,
			      .nevents = 1,
			      .record = &r};

	event_init(&ev);
	ev.kind = EVENT_FAILED;
	for (op.id = 1; op.id <= 2; op.id++) {
		char id[MSG_ID_LEN + 1];

		enqueue(s, op.id, 1, "x");
		msg_id_text(id, op.id);
		/* The third one neither applies nor was an attempt. */
		for (int n = 1; n <= 3; n++) {
			ev.attempted = n < 3;
			r.key = xasprintf("%s/%d", id, n);
			r.value = xasprintf("%d%d", (int)op.id, n);
			ck_assert_int_eq(apply(s, &op), ST_OK);
			store_record_release(&r);
			r.kind = RECORD_TRANSCRIPT;
		}
	}
	event_release(&ev);
	ck_assert_str_eq(kept(RECORD_TRANSCRIPT, RECORDS_RISING, NULL, 9),
			 "11122122");
	ck_assert_uint_eq(trim(s, BEFORE(INT64_MAX, 0, 0), 9), 2);
	ck_assert_str_eq(kept(RECORD_TRANSCRIPT, RECORDS_RISING, NULL, 9),
			 "11122122");
	ck_assert_uint_eq(trim(s, BEFORE(0, 0, INT64_MAX), 1), 1);
	ck_assert_str_eq(kept(RECORD_TRANSCRIPT, RECORDS_RISING, NULL, 9),
			 "2122");
	ck_assert_uint_eq(trim(s, BEFORE(0, 0, INT64_MAX), 9), 1);
	ck_assert_str_eq(kept(RECORD_TRANSCRIPT, RECORDS_RISING, NULL, 9), "");
}

CONTRACT_TEST(space_is_told)
{
	struct store_space space;

	s->ops->space(s, &space);
	ck_assert(!space.full);
	ck_assert_uint_lt(space.used_bytes, space.max_bytes);
	ck_assert_uint_gt(space.free_disk_bytes, 0);
}

int main(void)
{
	const TTest *const tests[] = {
		contract_news_of_the_schedule,
		contract_due_in_order_and_by_cursor,
		contract_a_message_stands_together,
		contract_lanes_that_have_mail,
		contract_scan_by_cursor,
		contract_members_by_cursor,
		contract_groups_count_messages_once,
		contract_find_by_message_id,
		contract_history_after_settling,
		contract_only_what_happened_is_history,
		contract_history_of_a_removed_message,
		contract_trim_of_expired_mail,
		contract_scan_of_what_is_settled,
		contract_fading_mail_is_counted, contract_trim_of_removed_mail,
		contract_trim_of_delivered_mail,
		contract_resubmitted_mail_is_not_trimmed,
		contract_destinations_are_remembered,
		contract_records_in_order_and_by_cursor,
		contract_records_are_replaced_and_forgotten,
		contract_transcripts_live_as_long_as_history,
		contract_space_is_told,
	};

	return run_contract("reads", tests, ARRAY_LEN(tests));
}
