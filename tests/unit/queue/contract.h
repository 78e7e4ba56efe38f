/* SPDX-License-Identifier: ISC */
/*
 * contract - the frame of tests that run over every back end of a store.
 *
 * CONTRACT_TEST(name) { ... } is a test that finds an empty store in `s`; at
 * its end the totals must be conserved and the groups equal a count from
 * scratch.
 */
#ifndef TESTS_UNIT_QUEUE_CONTRACT_H
#define TESTS_UNIT_QUEUE_CONTRACT_H

#include "tests/support/store_mem.h"
#include "tests/unit/queue/help.h"

enum { MEM, LMDB, BACK_ENDS };

static const int64_t WALL_MS = INT64_C(1700000000000);

static struct store *s;
static char *dir;

static inline void open_store(int which)
{
	struct store_conf conf = {.max_bytes = 64 * 1024 * 1024};
	struct err e;

	clock_set_test(1000, WALL_MS);
	if (which == MEM) {
		s = store_mem_open();
		return;
	}
	dir = make_dir();
	conf.path = dir;
	ck_assert_int_eq(store_lmdb_open(&s, &conf, &e), ST_OK);
}

/* ------- groups from scratch */

struct recount {
	struct group groups[256];
	size_t n;
};

static inline struct group *find_group(struct recount *rc,
				       const struct recipient *r)
{
	for (size_t i = 0; i < rc->n; i++) {
		struct group *g = &rc->groups[i];

		if (g->state == r->state && g->cause == r->cause &&
		    strcmp(g->destination, r->destination) == 0)
			return g;
	}
	ck_assert_uint_lt(rc->n, ARRAY_LEN(rc->groups));
	rc->groups[rc->n] =
		(struct group){.state = r->state, .cause = r->cause};
	rc->groups[rc->n].destination = xstrdup(r->destination);
	return &rc->groups[rc->n++];
}

static inline bool recount_one(void *arg, const struct message *m)
{
	struct group *counted[64] = {NULL};
	struct recount *rc = arg;

	for (size_t i = 0; i < m->nrecipients; i++) {
		struct group *g = find_group(rc, &m->recipients[i]);
		bool again = false;

		g->recipients++;
		if (g->oldest_ms == 0)
			g->oldest_ms = m->received_ms;
		for (size_t k = 0; k < i; k++)
			again = again || counted[k] == g;
		counted[i] = g;
		if (!again) {
			g->messages++;
			g->bytes += m->bytes;
		}
	}
	return true;
}

static inline void check_members(const struct group *g)
{
	struct due *members = xcalloc(g->recipients + 1, sizeof(*members));
	struct err e;
	size_t n;

	ck_assert_int_eq(s->ops->members(s, g->state, g->cause, g->destination,
					 NULL, members, g->recipients + 1, &n,
					 &e),
			 ST_OK);
	ck_assert_uint_eq(n, g->recipients);
	for (size_t i = 1; i < n; i++)
		ck_assert(members[i - 1].id < members[i].id ||
			  (members[i - 1].id == members[i].id &&
			   members[i - 1].number < members[i].number));
	free(members);
}

static inline void check_groups(void)
{
	struct recount *rc = xcalloc(1, sizeof(*rc));
	struct group *groups;
	uint64_t cursor = 0;
	bool more = true;
	struct err e;
	size_t n;

	while (more)
		ck_assert_int_eq(
			s->ops->scan(s, &cursor, 7, &more, recount_one, rc, &e),
			ST_OK);
	ck_assert_int_eq(s->ops->groups(s, &groups, &n, &e), ST_OK);
	ck_assert_uint_eq(n, rc->n);
	for (size_t i = 0; i < n; i++) {
		const struct recipient like = {.state = groups[i].state,
					       .cause = groups[i].cause,
					       .destination =
						       groups[i].destination};
		struct group *g = find_group(rc, &like);

		ck_assert_uint_eq(g->messages, groups[i].messages);
		ck_assert_uint_eq(g->recipients, groups[i].recipients);
		ck_assert_uint_eq(g->bytes, groups[i].bytes);
		ck_assert_int_eq(g->oldest_ms, groups[i].oldest_ms);
		check_members(g);
	}
	free_groups(groups, n);
	for (size_t i = 0; i < rc->n; i++)
		free(rc->groups[i].destination);
	free(rc);
}

static inline void close_store(void)
{
	(void)totals(s);
	check_groups();
	s->ops->close(s);
	s = NULL;
	if (dir != NULL)
		remove_dir(dir);
	dir = NULL;
	clock_set_test(-1, -1);
}

#define CONTRACT_TEST(name)         \
	static void name(void);     \
	START_TEST(contract_##name) \
	{                           \
		open_store(_i);     \
		name();             \
		close_store();      \
	}                           \
	END_TEST                    \
	static void name(void)

static inline enum rcpt_state state_of(uint64_t id, uint32_t number)
{
	struct message *m = load(s, id);
	enum rcpt_state state;

	ck_assert_ptr_nonnull(m);
	ck_assert_ptr_nonnull(message_recipient(m, number));
	state = message_recipient(m, number)->state;
	message_free(m);
	return state;
}

/* Runs tests, each with every back end; the exit status. */
static inline int run_contract(const char *name, const TTest *const *tests,
			       size_t n)
{
	Suite *suite = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	for (size_t i = 0; i < n; i++)
		tcase_add_loop_test(t, tests[i], 0, BACK_ENDS);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
