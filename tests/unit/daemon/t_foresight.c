/* SPDX-License-Identifier: ISC */
/*
 * t_foresight - which part of a life is left, and what is news.
 */
#include "daemon/foresight.h"

#include <check.h>
#include <stdlib.h>

#define DAY (INT64_C(24) * 3600 * 1000)

/* ------- stages */

static const struct {
	int64_t life, left;
	enum stage stage;
	int64_t next_left; /* of life when the next begins; -1: none */
} stage_rows[] = {
	{90 * DAY, 90 * DAY, STAGE_FRESH, 30 * DAY},
	{90 * DAY, 30 * DAY + 1, STAGE_FRESH, 30 * DAY},
	{90 * DAY, 30 * DAY, STAGE_THIRD, 15 * DAY},
	{90 * DAY, 15 * DAY + 1, STAGE_THIRD, 15 * DAY},
	{90 * DAY, 15 * DAY, STAGE_SIXTH, 15 * DAY / 2},
	{90 * DAY, 15 * DAY / 2, STAGE_TWELFTH, 0},
	{90 * DAY, 1, STAGE_TWELFTH, 0},
	{90 * DAY, 0, STAGE_EXPIRED, -1},
	{90 * DAY, -400 * DAY, STAGE_EXPIRED, -1},
	/* Not valid yet: its whole life and more is left. */
	{90 * DAY, 91 * DAY, STAGE_FRESH, 30 * DAY},
	{47 * DAY, 16 * DAY, STAGE_FRESH, 47 * DAY / 3},
	{360 * DAY, 100 * DAY, STAGE_THIRD, 60 * DAY},
	/* Seconds do as well. */
	{12000, 3999, STAGE_THIRD, 2000},
	{12000, 999, STAGE_TWELFTH, 0},
	/* Dates the wrong way round. */
	{-DAY, 1, STAGE_FRESH, 0},
	{-DAY, 0, STAGE_EXPIRED, -1},
	{0, 0, STAGE_EXPIRED, -1},
};

START_TEST(test_stage)
{
	const int64_t end = 20000 * DAY;
	const int64_t begin = end - stage_rows[_i].life;
	const int64_t now = end - stage_rows[_i].left;
	int64_t next = foresight_next_ms(begin, end, now);

	ck_assert_int_eq(foresight_stage(begin, end, now),
			 stage_rows[_i].stage);
	if (stage_rows[_i].next_left < 0) {
		ck_assert(next == INT64_MAX);
		return;
	}
	ck_assert(next == end - stage_rows[_i].next_left);
	ck_assert_int_gt(foresight_stage(begin, end, next),
			 stage_rows[_i].stage);
	ck_assert_int_eq(foresight_stage(begin, end, next - 1),
			 stage_rows[_i].stage);
}
END_TEST

START_TEST(test_words)
{
	ck_assert_str_eq(stage_word(STAGE_FRESH), "");
	for (enum stage s = STAGE_THIRD; s < STAGES; s++)
		ck_assert_str_ne(stage_word(s), "");
}
END_TEST

/* ------- news */

#define CERT(id, issuer, named) {id, issuer, named, false}

static const struct {
	struct outlook last;
	const char *previous;
	struct outlook now;
	unsigned news;
} news_rows[] = {
	{CERT("1", "CN=a", true), "", CERT("1", "CN=a", true), 0},
	{CERT("1", "CN=a", true), "", CERT("2", "CN=a", true), NEWS_OTHER},
	{CERT("1", "CN=a", true), "", CERT("2", "CN=b", true),
	 NEWS_OTHER | NEWS_ISSUER},
	{CERT("1", "CN=a", true), "", CERT("2", "CN=a", false),
	 NEWS_OTHER | NEWS_NAME_GONE},
	/* The same one, but the route expects another name. */
	{CERT("1", "CN=a", true), "", CERT("1", "CN=a", false), NEWS_NAME_GONE},
	/* Never had it: nothing has gone. */
	{CERT("1", "CN=a", false), "", CERT("2", "CN=a", false), NEWS_OTHER},
	{CERT("1", "CN=a", false), "", CERT("2", "CN=a", true), NEWS_OTHER},
	/* Nodes that take turns. */
	{CERT("2", "CN=b", true), "1", CERT("1", "CN=a", false), 0},
	{CERT("2", "CN=b", true), "1", CERT("3", "CN=a", true),
	 NEWS_OTHER | NEWS_ISSUER},
	{{"1", "CN=a", true, false}, "", {"1", "CN=a", true, true},
	 NEWS_CRL_STALE},
	{{"1", "CN=a", true, true}, "", {"1", "CN=a", true, true}, 0},
	{{"1", "CN=a", true, true}, "", {"1", "CN=a", true, false}, 0},
};

START_TEST(test_news)
{
	ck_assert_uint_eq(foresight_compare(&news_rows[_i].last,
					    news_rows[_i].previous,
					    &news_rows[_i].now),
			  news_rows[_i].news);
}
END_TEST

static const struct {
	const char *a, *b;
	bool same;
} houses[] = {
	{"CN=R10,O=Let's Encrypt,C=US", "CN=R11,O=Let's Encrypt,C=US", true},
	{"CN=R10,O=Let's Encrypt,C=US", "CN=x,O=DigiCert Inc,C=US", false},
	{"O=A,CN=1", "CN=2,O=A", true},
	{"CN=O\\,O=B,O=A", "CN=2,O=A", true},
	{"O=A\\,B", "O=A\\,C", false},
	{"CN=one", "CN=two", false},
	{"CN=one", "CN=one", true},
	{"CN=one", "CN=one,O=A", false},
	{"", "", true},
	{"", "O=", false},
	{"CN=\\", "CN=\\", true},
};

START_TEST(test_house)
{
	ck_assert_int_eq(foresight_same_house(houses[_i].a, houses[_i].b),
			 houses[_i].same);
	ck_assert_int_eq(foresight_same_house(houses[_i].b, houses[_i].a),
			 houses[_i].same);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("foresight");
	TCase *c = tcase_create("foresight");
	SRunner *r;
	int failed;

	tcase_add_loop_test(c, test_stage, 0, (int)ARRAY_LEN(stage_rows));
	tcase_add_test(c, test_words);
	tcase_add_loop_test(c, test_news, 0, (int)ARRAY_LEN(news_rows));
	tcase_add_loop_test(c, test_house, 0, (int)ARRAY_LEN(houses));
	suite_add_tcase(s, c);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
