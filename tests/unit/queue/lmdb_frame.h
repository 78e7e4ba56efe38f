/* SPDX-License-Identifier: ISC */
/*
 * lmdb_frame - a store on disk that tests may close, damage and open again.
 *
 * Damage is done by opening the environment itself, between two openings of
 * the store, and writing over rows.
 */
#ifndef TESTS_UNIT_QUEUE_LMDB_FRAME_H
#define TESTS_UNIT_QUEUE_LMDB_FRAME_H

#include <check.h>
#include <lmdb.h>
#include <stdlib.h>

#include "tests/unit/queue/help.h"

static const int64_t WALL_MS = INT64_C(1700000000000);

static char *dir;
static struct store *s;

static inline enum status try_open(uint64_t max_bytes, struct err *e)
{
	const struct store_conf conf = {.path = dir, .max_bytes = max_bytes};

	return store_lmdb_open(&s, &conf, e);
}

static inline void open_store(void)
{
	struct err e;

	ck_assert_msg(try_open(64 * 1024 * 1024, &e) == ST_OK, "%s", e.text);
}

static inline void close_store(void)
{
	s->ops->close(s);
	s = NULL;
}

static inline void begin(void)
{
	clock_set_test(1000, WALL_MS);
	dir = make_dir();
	open_store();
}

static inline void end(void)
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

static inline void in_table(const char *table, with_table *run, void *arg)
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
static inline void turn_bit(MDB_txn *txn, MDB_dbi dbi, void *arg)
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

static inline void damage(const char *table, unsigned nth)
{
	close_store();
	in_table(table, turn_bit, &nth);
	open_store();
}

static inline void delete_first(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	MDB_cursor *cursor;
	MDB_val key, value;

	(void)arg;
	ck_assert_int_eq(mdb_cursor_open(txn, dbi, &cursor), 0);
	ck_assert_int_eq(mdb_cursor_get(cursor, &key, &value, MDB_LAST), 0);
	ck_assert_int_eq(mdb_cursor_del(cursor, 0), 0);
	mdb_cursor_close(cursor);
}

static inline void count_rows(MDB_txn *txn, MDB_dbi dbi, void *arg)
{
	MDB_stat stat;

	ck_assert_int_eq(mdb_stat(txn, dbi, &stat), 0);
	*(size_t *)arg = stat.ms_entries;
}

static inline size_t rows_of(const char *table)
{
	size_t n = 0;

	close_store();
	in_table(table, count_rows, &n);
	open_store();
	return n;
}

/* Runs tests; the exit status. */
static inline int run_tests(const char *name, const TTest *const *tests,
			    size_t n)
{
	Suite *suite = suite_create(name);
	TCase *t = tcase_create(name);
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	for (size_t i = 0; i < n; i++)
		tcase_add_test(t, tests[i]);
	suite_add_tcase(suite, t);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}

#endif
