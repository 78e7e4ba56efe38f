/* SPDX-License-Identifier: ISC */
/*
 * t_message.c - the values of the queue, and every change in every state.
 */
#include <check.h>
#include <stdlib.h>

#include "queue/message.h"

enum { NOW = 1000000 };

static struct recipient make(enum rcpt_state state)
{
	struct recipient r;

	recipient_init(&r);
	r.state = state;
	free(r.address);
	r.address = xstrdup("a@example.org");
	free(r.lane);
	r.lane = xstrdup("cloud");
	r.since_ms = r.fresh_ms = 500;
	r.attempts = 3;
	return r;
}

START_TEST(words_go_both_ways)
{
	enum rcpt_state s = RCPT_STATES;

	for (unsigned i = 0; i < RCPT_STATES; i++) {
		ck_assert(rcpt_state_parse(rcpt_state_word((enum rcpt_state)i),
					   &s));
		ck_assert_int_eq((int)s, (int)i);
	}
	ck_assert(!rcpt_state_parse("removed", &s));
	ck_assert(!rcpt_state_parse("", &s));
	ck_assert_str_eq(rcpt_state_word(RCPT_STATES), "removed");
	for (unsigned i = 0; i < CHANGE_KINDS; i++)
		ck_assert(change_word((enum change_kind)i)[0] != '\0');
	for (unsigned i = 0; i < EVENT_KINDS; i++)
		ck_assert(event_word((enum event_kind)i)[0] != '\0');
}
END_TEST

/* The law, written a second time: states a kind applies in (Queued, deFerred,
 * Held, Delivered, Expired, faiLed), when named by number and when by "all". */
static const struct {
	enum change_kind kind;
	const char *by_number, *by_all;
} law[] = {
	{CHANGE_DELIVERED, "QFH", "QFH"},
	{CHANGE_DEFERRED, "QFH", "QFH"},
	{CHANGE_FAILED, "QFH", "QFH"},
	{CHANGE_EXPIRED, "QFH", "QFH"},
	{CHANGE_HOLD, "QF", "QF"},
	{CHANGE_RELEASE, "H", "H"},
	{CHANGE_RESUBMIT, "QFHDEL", "QFHEL"},
	{CHANGE_REMOVE, "QFHDEL", "QFHEL"},
	{CHANGE_MOVE, "QFH", "QFH"},
	{CHANGE_EXTEND, "QFH", "QFH"},
	{CHANGE_TOLD, "QFHDEL", "QFHDEL"},
	{CHANGE_DISCARD, "QFH", "QFH"},
};

START_TEST(every_change_in_every_state)
{
	static const char letters[] = "QFHDEL";

	ck_assert_uint_eq(ARRAY_LEN(law), CHANGE_KINDS);
	for (unsigned k = 0; k < CHANGE_KINDS; k++) {
		for (unsigned s = 0; s < RCPT_STATES; s++) {
			struct change c = {.kind = law[k].kind,
					   .lane = "elsewhere"};
			struct recipient r = make((enum rcpt_state)s);

			ck_assert_int_eq(recipient_change(&r, &c, NOW),
					 strchr(law[k].by_number, letters[s]) !=
						 NULL);
			recipient_release(&r);
			r = make((enum rcpt_state)s);
			c.number = ALL_RECIPIENTS;
			ck_assert_int_eq(recipient_change(&r, &c, NOW),
					 strchr(law[k].by_all, letters[s]) !=
						 NULL);
			recipient_release(&r);
		}
	}
}
END_TEST

START_TEST(what_does_not_apply_changes_nothing)
{
	struct recipient r = make(RCPT_FAILED);
	const struct change c = {.kind = CHANGE_DELIVERED,
				 .attempted = true,
				 .uncertain = true,
				 .told = true,
				 .lane = "x",
				 .reply = "250 ok"};

	ck_assert(!recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_FAILED);
	ck_assert_uint_eq(r.attempts, 3);
	ck_assert(!r.uncertain && !r.told);
	ck_assert_str_eq(r.lane, "cloud");
	ck_assert_str_eq(r.reply, "");
	recipient_release(&r);
}
END_TEST

START_TEST(what_was_removed_may_still_arrive)
{
	struct recipient r = make(RCPT_DEFERRED);
	struct change c = {.kind = CHANGE_DISCARD, .reply = "removed"};

	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_FAILED);
	ck_assert_int_eq(r.cause, CAUSE_IS_HELD);
	ck_assert_int_eq(r.since_ms, NOW);
	ck_assert(recipient_is_discarded(&r));
	c = (struct change){.kind = CHANGE_DEFERRED, .attempted = true};
	ck_assert(!recipient_change(&r, &c, NOW));
	c.kind = CHANGE_DELIVERED;
	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_DELIVERED);
	ck_assert(!recipient_is_discarded(&r));
	recipient_release(&r);

	r = make(RCPT_HELD);
	c = (struct change){.kind = CHANGE_DISCARD};
	ck_assert(recipient_change(&r, &c, NOW));
	c.kind = CHANGE_RESUBMIT;
	ck_assert(recipient_change(&r, &c, NOW + 1));
	ck_assert_int_eq(r.state, RCPT_QUEUED);
	recipient_release(&r);
}
END_TEST

START_TEST(deferral)
{
	struct recipient r = make(RCPT_QUEUED);
	struct change c = {.kind = CHANGE_DEFERRED,
			   .cause = CAUSE_IS_TLS_CERT_EXPIRED,
			   .wait = WAIT_DESTINATION,
			   .due_ms = NOW + 60000,
			   .attempted = true,
			   .stop_clock = true,
			   .destination = "cloud/mx:25",
			   .reply = "451 later"};

	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_DEFERRED);
	ck_assert_int_eq(r.cause, CAUSE_IS_TLS_CERT_EXPIRED);
	ck_assert_int_eq(r.wait, WAIT_DESTINATION);
	ck_assert_int_eq(r.due_ms, NOW + 60000);
	ck_assert_int_eq(r.since_ms, NOW);
	ck_assert_uint_eq(r.attempts, 4);
	ck_assert_int_eq(r.clock_since_ms, NOW);
	ck_assert_str_eq(r.destination, "cloud/mx:25");
	ck_assert_str_eq(r.reply, "451 later");
	/* A second one leaves the time it has been deferred since. */
	c.stop_clock = false;
	c.attempted = false;
	ck_assert(recipient_change(&r, &c, NOW + 1000));
	ck_assert_int_eq(r.since_ms, NOW);
	ck_assert_uint_eq(r.attempts, 4);
	ck_assert_int_eq(r.clock_since_ms, 0);
	ck_assert_int_eq(r.held_clock_ms, 1000);
	recipient_release(&r);
}
END_TEST

START_TEST(deferral_leaves_a_held_one_held)
{
	struct recipient r = make(RCPT_QUEUED);
	const struct change hold = {.kind = CHANGE_HOLD};
	const struct change defer = {.kind = CHANGE_DEFERRED,
				     .cause = CAUSE_IS_CONNECT_TIMEOUT,
				     .due_ms = 5,
				     .attempted = true,
				     .uncertain = true};

	ck_assert(recipient_change(&r, &hold, NOW));
	ck_assert_int_eq(r.cause, CAUSE_IS_HELD);
	ck_assert(recipient_change(&r, &defer, NOW + 1));
	ck_assert_int_eq(r.state, RCPT_HELD);
	ck_assert_int_eq(r.cause, CAUSE_IS_HELD);
	ck_assert_int_eq(r.since_ms, NOW);
	ck_assert_int_eq(r.due_ms, 0);
	ck_assert_uint_eq(r.attempts, 4);
	ck_assert(r.uncertain);
	ck_assert_int_ne(r.clock_since_ms, 0);
	recipient_release(&r);
}
END_TEST

START_TEST(release_queues_at_once)
{
	struct recipient r = make(RCPT_DEFERRED);
	const struct change hold = {.kind = CHANGE_HOLD};
	const struct change release = {.kind = CHANGE_RELEASE};

	ck_assert(recipient_change(&r, &hold, NOW));
	ck_assert(recipient_change(&r, &release, NOW + 50));
	ck_assert_int_eq(r.state, RCPT_QUEUED);
	ck_assert_int_eq(r.cause, CAUSE_IS_NONE);
	ck_assert_int_eq(r.due_ms, NOW + 50);
	ck_assert_uint_eq(r.attempts, 3);
	ck_assert_int_eq(r.held_clock_ms, 50);
	ck_assert_int_eq(r.clock_since_ms, 0);
	recipient_release(&r);
}
END_TEST

START_TEST(resubmit_of_a_deferred_one)
{
	struct recipient r = make(RCPT_DEFERRED);
	const struct change c = {.kind = CHANGE_RESUBMIT,
				 .number = ALL_RECIPIENTS,
				 .lane = "other"};

	r.wait = WAIT_DESTINATION;
	r.warned = r.uncertain = true;
	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_QUEUED);
	ck_assert_int_eq(r.wait, WAIT_TIME);
	ck_assert_int_eq(r.due_ms, NOW);
	ck_assert_uint_eq(r.attempts, 0);
	ck_assert_int_eq(r.fresh_ms, 500);
	ck_assert_str_eq(r.lane, "other");
	ck_assert(r.warned && r.uncertain);
	recipient_release(&r);
}
END_TEST

START_TEST(resubmit_of_an_expired_one_gives_a_fresh_lifetime)
{
	struct recipient r = make(RCPT_EXPIRED);
	const struct change c = {.kind = CHANGE_RESUBMIT};

	r.told = r.warned = true;
	r.held_clock_ms = 77;
	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_QUEUED);
	ck_assert_int_eq(r.fresh_ms, NOW);
	ck_assert_int_eq(r.held_clock_ms, 0);
	ck_assert(!r.told && !r.warned);
	recipient_release(&r);
}
END_TEST

/* It waited when an operator chose it, and was settled before that could be
 * written: no second copy, no removal of what has arrived. */
START_TEST(nothing_meant_for_one_that_waited_applies_to_a_final_one)
{
	static const enum change_kind kinds[] = {CHANGE_RESUBMIT,
						 CHANGE_REMOVE};

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const struct change c = {.kind = kinds[i], .unsettled = true};
		struct recipient waits = make(RCPT_DEFERRED);
		struct recipient arrived = make(RCPT_DELIVERED);
		struct recipient expired = make(RCPT_EXPIRED);

		ck_assert(recipient_change(&waits, &c, NOW));
		ck_assert(!recipient_change(&arrived, &c, NOW));
		ck_assert_int_eq(arrived.state, RCPT_DELIVERED);
		ck_assert(!recipient_change(&expired, &c, NOW));
		recipient_release(&waits);
		recipient_release(&arrived);
		recipient_release(&expired);
	}
}
END_TEST

START_TEST(no_resubmit_without_an_address)
{
	struct recipient r;
	const struct change c = {.kind = CHANGE_RESUBMIT};

	recipient_init(&r);
	r.state = RCPT_FAILED;
	ck_assert(!recipient_change(&r, &c, NOW));
	recipient_release(&r);
}
END_TEST

START_TEST(expiry_keeps_the_cause_unless_told)
{
	struct recipient r = make(RCPT_DEFERRED);
	struct change c = {.kind = CHANGE_EXPIRED, .told = true};

	r.cause = CAUSE_IS_TLS_PIN;
	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_EXPIRED);
	ck_assert_int_eq(r.cause, CAUSE_IS_TLS_PIN);
	ck_assert(r.told);
	recipient_release(&r);
}
END_TEST

START_TEST(move_needs_another_lane)
{
	struct recipient r = make(RCPT_DEFERRED);
	struct change c = {.kind = CHANGE_MOVE, .lane = "cloud"};

	r.wait = WAIT_DESTINATION;
	ck_assert(!recipient_change(&r, &c, NOW));
	c.lane = NULL;
	ck_assert(!recipient_change(&r, &c, NOW));
	c.lane = "new";
	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_int_eq(r.state, RCPT_DEFERRED);
	ck_assert_int_eq(r.wait, WAIT_TIME);
	ck_assert_int_eq(r.due_ms, NOW);
	ck_assert_str_eq(r.lane, "new");
	recipient_release(&r);
}
END_TEST

START_TEST(a_reply_is_cut)
{
	struct recipient r = make(RCPT_QUEUED);
	char reply[2 * REPLY_KEPT_MAX + 1];
	const struct change c = {.kind = CHANGE_FAILED,
				 .cause = CAUSE_IS_PEER_REJECTED,
				 .reply = reply};

	memset(reply, 'x', sizeof(reply) - 1);
	reply[sizeof(reply) - 1] = '\0';
	ck_assert(recipient_change(&r, &c, NOW));
	ck_assert_uint_eq(strlen(r.reply), REPLY_KEPT_MAX);
	recipient_release(&r);
}
END_TEST

START_TEST(lifetime)
{
	struct recipient r = make(RCPT_DEFERRED);
	const struct change extend = {.kind = CHANGE_EXTEND, .by_ms = 40};
	const int64_t hold_ms = 1000;

	r.fresh_ms = 100;
	ck_assert_int_eq(recipient_expires_ms(&r, 50, hold_ms, 900), 150);
	r.clock_since_ms = 800;
	ck_assert_int_eq(recipient_expires_ms(&r, 50, hold_ms, 900), 250);
	r.held_clock_ms = 30;
	ck_assert_int_eq(recipient_expires_ms(&r, 50, hold_ms, 900), 280);
	/* Not beyond what is allowed, and not at all when it is off. */
	ck_assert_int_eq(recipient_expires_ms(&r, 50, hold_ms, 99999), 1150);
	ck_assert_int_eq(recipient_expires_ms(&r, 50, 0, 99999), 150);
	/* A clock that was put back takes nothing away. */
	ck_assert_int_eq(recipient_expires_ms(&r, 50, hold_ms, 10), 180);
	ck_assert_int_eq(recipient_expires_ms(&r, INT64_MAX, hold_ms, 900),
			 INT64_MAX);
	ck_assert(recipient_change(&r, &extend, NOW));
	ck_assert_int_eq(r.fresh_ms, 140);
	recipient_release(&r);
}
END_TEST

START_TEST(a_message_shows_its_least_final_state)
{
	struct message *m = message_new();

	ck_assert_int_eq(message_state(m), RCPT_STATES);
	message_add(m, "a@x", "l", "")->state = RCPT_DELIVERED;
	ck_assert_int_eq(message_state(m), RCPT_DELIVERED);
	message_add(m, "b@x", "l", "")->state = RCPT_FAILED;
	ck_assert_int_eq(message_state(m), RCPT_FAILED);
	message_add(m, "c@x", "l", "")->state = RCPT_HELD;
	ck_assert_int_eq(message_state(m), RCPT_HELD);
	message_add(m, "d@x", "l", "")->state = RCPT_DEFERRED;
	ck_assert_int_eq(message_state(m), RCPT_DEFERRED);
	ck_assert_uint_eq(m->recipients[3].number, 3);
	ck_assert_ptr_eq(message_recipient(m, 2), &m->recipients[2]);
	ck_assert_ptr_null(message_recipient(m, 4));
	message_free(m);
}
END_TEST

START_TEST(copies_are_deep)
{
	struct message *m = message_new(), *copy;
	struct event ev, other;

	m->received_ms = 7;
	free(m->sender);
	m->sender = xstrdup("s@x");
	message_add(m, "a@x", "lane", "dest");
	copy = message_copy(m);
	message_free(m);
	ck_assert_str_eq(copy->sender, "s@x");
	ck_assert_str_eq(copy->recipients[0].lane, "lane");
	ck_assert_int_eq(copy->recipients[0].due_ms, 7);
	message_free(copy);
	message_free(NULL);

	event_init(&ev);
	event_copy(&other, &ev);
	event_release(&ev);
	ck_assert_str_eq(other.actor, "");
	ck_assert_uint_eq(other.number, ALL_RECIPIENTS);
	event_release(&other);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("message");
	TCase *t = tcase_create("message");
	SRunner *runner;
	int failed;

	tcase_add_test(t, words_go_both_ways);
	tcase_add_test(t, every_change_in_every_state);
	tcase_add_test(t, what_does_not_apply_changes_nothing);
	tcase_add_test(t, what_was_removed_may_still_arrive);
	tcase_add_test(t, deferral);
	tcase_add_test(t, deferral_leaves_a_held_one_held);
	tcase_add_test(t, release_queues_at_once);
	tcase_add_test(t, resubmit_of_a_deferred_one);
	tcase_add_test(t, resubmit_of_an_expired_one_gives_a_fresh_lifetime);
	tcase_add_test(
		t, nothing_meant_for_one_that_waited_applies_to_a_final_one);
	tcase_add_test(t, no_resubmit_without_an_address);
	tcase_add_test(t, expiry_keeps_the_cause_unless_told);
	tcase_add_test(t, move_needs_another_lane);
	tcase_add_test(t, a_reply_is_cut);
	tcase_add_test(t, lifetime);
	tcase_add_test(t, a_message_shows_its_least_final_state);
	tcase_add_test(t, copies_are_deep);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
