/* SPDX-License-Identifier: ISC */
/*
 * t_model.c - some thousand random operations, given to the LMDB store and to
 * the one in memory alike: they must answer the same, and then tell the same
 * of the queue, also after it was closed and opened again.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/store_mem.h"
#include "tests/unit/queue/help.h"

enum { OPS = 2400, CHECK_EVERY = 60, IDS = 40, BATCH_MAX = 8 };

static const char *const lanes[] = {"cloud", "mx/a.example", "mx/b.example",
				    "onprem"};
static const char *const destinations[] = {"", "cloud/h:25", "mx/x:25"};
static const enum cause causes[] = {CAUSE_IS_TLS_PIN, CAUSE_IS_LOOP,
				    CAUSE_IS_EXPIRED};

static struct store *mem, *lmdb;
static int64_t now_ms;

static unsigned pick(unsigned n)
{
	return (unsigned)random() % n;
}

/* ------- random operations */

/* What an operation borrows. */
struct case_op {
	struct store_op op;
	struct message *message;
	struct change changes[4];
	struct event events[2];
	char body[9000];
};

static void random_changes(struct case_op *c)
{
	c->op.nchanges = pick(4) == 0 ? pick(4) + 1 : 1;
	for (size_t i = 0; i < c->op.nchanges; i++) {
		struct change *x = &c->changes[i];

		*x = (struct change){
			.kind = (enum change_kind)pick(CHANGE_KINDS),
			.number = pick(4) == 0 ? ALL_RECIPIENTS : pick(5),
			.cause = causes[pick(ARRAY_LEN(causes))],
			.wait = pick(2) == 0 ? WAIT_TIME : WAIT_DESTINATION,
			.due_ms = pick(5) * 1000,
			.by_ms = pick(100),
			.attempted = pick(2) == 0,
			.stop_clock = pick(2) == 0,
			.told = pick(5) == 0,
		};
		if (pick(2) == 0)
			x->lane = lanes[pick(ARRAY_LEN(lanes))];
		if (pick(2) == 0)
			x->destination =
				destinations[pick(ARRAY_LEN(destinations))];
		if (pick(2) == 0)
			x->reply = "451 so";
	}
	c->op.changes = c->changes;
	c->op.drop_delivered = pick(3) != 0;
}

static void random_events(struct case_op *c)
{
	c->op.nevents = pick(3);
	for (size_t i = 0; i < c->op.nevents; i++) {
		event_init(&c->events[i]);
		c->events[i].kind = (enum event_kind)pick(EVENT_KINDS);
		c->events[i].time_ms = now_ms;
		c->events[i].number = pick(3) == 0 ? ALL_RECIPIENTS : pick(5);
		c->events[i].attempted = pick(2) == 0;
	}
	c->op.events = c->events;
}

static uint64_t body_so_far(uint64_t id, uint64_t *lengths)
{
	return pick(20) == 0 ? pick(100) : lengths[id];
}

static void random_body(struct case_op *c, uint64_t *lengths)
{
	size_t len = pick(3) == 0 ? pick(sizeof(c->body)) : pick(100);

	for (size_t i = 0; i < len; i++)
		c->body[i] = (char)(random() & 0xff);
	c->op.body = (struct span){c->body, len};
	c->op.at = body_so_far(c->op.id, lengths);
}

static void random_message(struct case_op *c)
{
	struct message *m = make_message(c->op.id, 0, SPAN(""));
	unsigned n = pick(4) + 1;

	m->bytes = c->op.at + c->op.body.len;
	for (unsigned i = 0; i < n; i++) {
		struct recipient *r = message_add(
			m, "a@x", lanes[pick(ARRAY_LEN(lanes))],
			destinations[pick(ARRAY_LEN(destinations))]);

		/* Numbers may have gaps. */
		r->number += i > 0 ? pick(2) : 0;
		r->due_ms = pick(5) * 1000;
	}
	c->message = m;
	c->op.message = m;
}

static void random_op(struct case_op *c, uint64_t *lengths)
{
	static const enum store_verb verbs[] = {
		STORE_BODY,    STORE_BODY,    STORE_DROP,   STORE_ENQUEUE,
		STORE_ENQUEUE, STORE_ENQUEUE, STORE_CHANGE, STORE_CHANGE,
		STORE_CHANGE,  STORE_CHANGE,  STORE_CHANGE, STORE_CHANGE,
		STORE_CHANGE,  STORE_CHANGE,  STORE_CHANGE, STORE_TRIM,
	};

	memset(c, 0, sizeof(*c));
	c->op.verb = verbs[pick(ARRAY_LEN(verbs))];
	c->op.id = pick(IDS) + 1;
	if (c->op.verb == STORE_BODY || c->op.verb == STORE_ENQUEUE)
		random_body(c, lengths);
	if (c->op.verb == STORE_ENQUEUE)
		random_message(c);
	if (c->op.verb == STORE_CHANGE)
		random_changes(c);
	if (c->op.verb == STORE_CHANGE || c->op.verb == STORE_ENQUEUE)
		random_events(c);
	if (c->op.verb == STORE_TRIM) {
		c->op.expired_before_ms = now_ms - (int64_t)pick(3000);
		c->op.delivered_before_ms = now_ms - (int64_t)pick(1000);
		c->op.trace_before_ms = now_ms - (int64_t)pick(2000);
		c->op.limit = pick(3);
	}
}

static void case_release(struct case_op *c)
{
	for (size_t i = 0; i < c->op.nevents; i++)
		event_release(&c->events[i]);
	message_free(c->message);
	store_op_release(&c->op);
}

static void note_length(const struct store_op *op, uint64_t *lengths)
{
	if (op->status != ST_OK)
		return;
	if (op->verb == STORE_BODY || op->verb == STORE_ENQUEUE)
		lengths[op->id] = op->at + op->body.len;
	if (op->verb == STORE_DROP)
		lengths[op->id] = 0;
}

/* ------- comparing results */

static int news_order(const void *va, const void *vb)
{
	const struct news *a = va, *b = vb;

	if (a->number != b->number)
		return a->number < b->number ? -1 : 1;
	return (int)a->due - (int)b->due;
}

static void compare_results(struct store_op *a, struct store_op *b)
{
	ck_assert_int_eq(a->status, b->status);
	ck_assert_uint_eq(a->done, b->done);
	ck_assert_uint_eq(a->nnews, b->nnews);
	if (a->nnews == 0)
		return;
	qsort(a->news, a->nnews, sizeof(*a->news), news_order);
	qsort(b->news, b->nnews, sizeof(*b->news), news_order);
	for (size_t i = 0; i < a->nnews; i++) {
		ck_assert_uint_eq(a->news[i].number, b->news[i].number);
		ck_assert_int_eq(a->news[i].due, b->news[i].due);
		ck_assert_int_eq(a->news[i].wait, b->news[i].wait);
		ck_assert_int_eq(a->news[i].due_ms, b->news[i].due_ms);
		ck_assert_str_eq(a->news[i].lane, b->news[i].lane);
	}
}

/* ------- comparing queues: both are printed, and the texts compared */

static void say(struct buf *out, const struct message *m)
{
	ck_assert(buf_printf(out, "message %llu %s %llu\n",
			     (unsigned long long)m->id, m->message_id,
			     (unsigned long long)m->bytes));
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];

		ck_assert(buf_printf(
			out,
			" %u %s %d %s %u %d%d%d %lld %lld %lld %lld %s>%s:%s\n",
			r->number, rcpt_state_word(r->state), (int)r->wait,
			cause_word(r->cause), r->attempts, r->uncertain,
			r->told, r->warned, (long long)r->due_ms,
			(long long)r->since_ms, (long long)r->fresh_ms,
			(long long)(r->held_clock_ms + r->clock_since_ms),
			r->lane, r->destination, r->reply));
	}
}

static bool say_message(void *arg, const struct message *m)
{
	say(arg, m);
	return true;
}

static bool say_event(void *arg, const struct event *ev)
{
	ck_assert(buf_printf(arg, "  %s %u %d\n", event_word(ev->kind),
			     ev->number, ev->attempted));
	return true;
}

static void say_due(struct store *s, struct buf *out)
{
	struct due due[IDS * 8];
	int64_t next_ms;
	struct err e;
	size_t n;

	for (size_t l = 0; l < 2 * ARRAY_LEN(lanes); l++) {
		const char *lane = lanes[l / 2];
		enum rcpt_wait wait = l % 2 == 0 ? WAIT_TIME : WAIT_DESTINATION;

		ck_assert_int_eq(s->ops->due(s, lane, wait, INT64_MAX, NULL,
					     due, ARRAY_LEN(due), &n, &e),
				 ST_OK);
		ck_assert_int_eq(s->ops->next_due(s, lane, wait, &next_ms, &e),
				 ST_OK);
		ck_assert(buf_printf(out, "lane %s %d %lld\n", lane, (int)wait,
				     (long long)next_ms));
		for (size_t i = 0; i < n; i++)
			ck_assert(buf_printf(out, " %llu %u %lld\n",
					     (unsigned long long)due[i].id,
					     due[i].number,
					     (long long)due[i].due_ms));
	}
}

static int group_order(const void *va, const void *vb)
{
	const struct group *a = va, *b = vb;

	if (a->state != b->state)
		return a->state < b->state ? -1 : 1;
	if (a->cause != b->cause)
		return a->cause < b->cause ? -1 : 1;
	return strcmp(a->destination, b->destination);
}

static void say_groups(struct store *s, struct buf *out)
{
	struct due members[IDS * 8];
	struct group *groups;
	struct err e;
	size_t n, k;

	ck_assert_int_eq(s->ops->groups(s, &groups, &n, &e), ST_OK);
	if (n > 0)
		qsort(groups, n, sizeof(*groups), group_order);
	for (size_t i = 0; i < n; i++) {
		const struct group *g = &groups[i];

		ck_assert(buf_printf(
			out, "group %d %d %s %llu %llu %llu %lld\n",
			(int)g->state, (int)g->cause, g->destination,
			(unsigned long long)g->messages,
			(unsigned long long)g->recipients,
			(unsigned long long)g->bytes, (long long)g->oldest_ms));
		ck_assert_int_eq(s->ops->members(s, g->state, g->cause,
						 g->destination, NULL, members,
						 ARRAY_LEN(members), &k, &e),
				 ST_OK);
		while (k-- > 0)
			ck_assert(buf_printf(out, " %llu %u\n",
					     (unsigned long long)members[k].id,
					     members[k].number));
	}
	free_groups(groups, n);
}

static int string_order(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void say_lanes(struct store *s, struct buf *out)
{
	char **list;
	struct err e;
	size_t n = 0;

	ck_assert_int_eq(s->ops->lanes(s, &list, &e), ST_OK);
	while (list[n] != NULL)
		n++;
	qsort(list, n, sizeof(*list), string_order);
	for (size_t i = 0; i < n; i++) {
		ck_assert(buf_printf(out, "has %s\n", list[i]));
		free(list[i]);
	}
	free(list);
}

static void say_ids(struct store *s, struct buf *out)
{
	for (uint64_t id = 1; id <= IDS; id++) {
		char name[32];
		struct message *m;
		uint64_t *ids;
		struct err e;
		size_t n;

		ck_assert(buf_printf(out, "history %llu\n",
				     (unsigned long long)id));
		if (s->ops->history(s, id, &m, say_event, out, &e) == ST_OK) {
			say(out, m);
			message_free(m);
		}
		(void)snprintf(name, sizeof(name), "id-%llu@example.org",
			       (unsigned long long)id);
		ck_assert_int_eq(s->ops->find(s, name, &ids, &n, &e), ST_OK);
		ck_assert(buf_printf(out, "found %zu\n", n));
		free(ids);
	}
}

static char *say_all(struct store *s)
{
	const struct totals t = totals(s);
	uint64_t cursor = 0;
	struct buf out;
	bool more = true;
	struct err e;

	buf_init(&out, 16 * 1024 * 1024);
	while (more)
		ck_assert_int_eq(s->ops->scan(s, &cursor, 3, &more, say_message,
					      &out, &e),
				 ST_OK);
	ck_assert(buf_printf(
		&out, "totals %llu %llu %llu %llu %llu\n",
		(unsigned long long)t.accepted, (unsigned long long)t.delivered,
		(unsigned long long)t.expired, (unsigned long long)t.failed,
		(unsigned long long)t.removed));
	for (unsigned i = 0; i < RCPT_STATES; i++)
		ck_assert(buf_printf(&out, " %llu",
				     (unsigned long long)t.live[i]));
	say_due(s, &out);
	say_groups(s, &out);
	say_lanes(s, &out);
	say_ids(s, &out);
	return buf_string(&out);
}

static void compare_bodies(void)
{
	for (uint64_t id = 1; id <= IDS; id++) {
		struct message *m = load(mem, id);
		struct span a, b;

		if (m == NULL)
			continue;
		message_free(m);
		a = read_body(mem, id, 100000);
		b = read_body(lmdb, id, 700);
		ck_assert(span_eq(a, b));
		free((char *)(uintptr_t)a.at);
		free((char *)(uintptr_t)b.at);
	}
}

static void compare_queues(void)
{
	char *a = say_all(mem), *b = say_all(lmdb);

	ck_assert_str_eq(a, b);
	free(a);
	free(b);
	compare_bodies();
}

/* ------- the test */

static void run_batch(uint64_t *lengths)
{
	struct case_op *cases = xcalloc(BATCH_MAX, sizeof(*cases));
	struct store_op copies[BATCH_MAX];
	struct store_op *a[BATCH_MAX], *b[BATCH_MAX];
	size_t n = pick(BATCH_MAX) + 1;

	for (size_t i = 0; i < n; i++) {
		random_op(&cases[i], lengths);
		copies[i] = cases[i].op;
		a[i] = &cases[i].op;
		b[i] = &copies[i];
		/* Body lengths are known only after the op. */
		ck_assert_int_eq(mem->ops->apply(mem, &a[i], 1), ST_OK);
		note_length(a[i], lengths);
	}
	ck_assert_int_eq(lmdb->ops->apply(lmdb, b, n), ST_OK);
	for (size_t i = 0; i < n; i++) {
		compare_results(a[i], b[i]);
		store_op_release(b[i]);
		case_release(&cases[i]);
	}
	free(cases);
}

static void open_lmdb(char *dir)
{
	const struct store_conf conf = {.path = dir,
					.max_bytes = 64 * 1024 * 1024};
	struct err e;

	ck_assert_msg(store_lmdb_open(&lmdb, &conf, &e) == ST_OK, "%s", e.text);
}

/* What the sweep at start does to the store in memory. */
static void sweep_mem(uint64_t *lengths)
{
	for (uint64_t id = 1; id <= IDS; id++) {
		struct store_op drop = {.verb = STORE_DROP, .id = id};

		(void)apply(mem, &drop);
		note_length(&drop, lengths);
	}
}

START_TEST(both_say_the_same)
{
	uint64_t lengths[IDS + 1] = {0};
	char *dir = make_dir();

	srandom((unsigned)_i + 1);
	now_ms = INT64_C(1700000000000);
	clock_set_test(1000, now_ms);
	mem = store_mem_open();
	open_lmdb(dir);
	for (unsigned i = 0; i < OPS / (BATCH_MAX / 2) / 2; i++) {
		now_ms += pick(50);
		clock_set_test(1000, now_ms);
		run_batch(lengths);
		if (i % (CHECK_EVERY / 4) == 0)
			compare_queues();
		if (i % CHECK_EVERY == CHECK_EVERY - 1) {
			lmdb->ops->close(lmdb);
			open_lmdb(dir);
			sweep_mem(lengths);
		}
	}
	compare_queues();
	mem->ops->close(mem);
	lmdb->ops->close(lmdb);
	remove_dir(dir);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("model");
	TCase *t = tcase_create("model");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 120);
	tcase_add_loop_test(t, both_say_the_same, 0, 4);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
