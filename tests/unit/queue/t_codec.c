/* SPDX-License-Identifier: ISC */
/*
 * t_codec.c - rows survive the way there and back, and nothing else does.
 *
 * The second half gives the decoders rubbish: rows with any bit turned, cut
 * anywhere, and mutated rows whose checksum was made right again.
 */
#include <check.h>
#include <stdlib.h>

#include "base/digest.h"
#include "queue/codec.h"

static void set(char **to, const char *s)
{
	free(*to);
	*to = xstrdup(s);
}

static struct message *make_message(void)
{
	struct message *m = message_new();
	struct recipient *r;

	m->id = 42;
	m->received_ms = INT64_C(1700000000123);
	m->bytes = 150 * 1024 * 1024;
	m->checksum = UINT64_C(0xfedcba9876543210);
	m->smtputf8 = true;
	set(&m->sender, "sender@example.org");
	set(&m->trace_field, "Received: from x\r\n\tby y\r\n");
	set(&m->message_id, "abc@example.org");
	set(&m->ret, "HDRS");
	r = message_add(m, "one@example.org", "cloud", "");
	r = message_add(m, "two@example.org", "mx/a.example", "mx/h:25");
	r->number = 900;
	r->state = RCPT_DEFERRED;
	r->wait = WAIT_DESTINATION;
	r->cause = CAUSE_IS_HELD;
	r->attempts = UINT32_MAX;
	r->uncertain = r->warned = true;
	r->due_ms = INT64_MAX;
	r->since_ms = INT64_MIN;
	r->held_clock_ms = -1;
	set(&r->reply, "451 4.4.0 no \xc3\xa4");
	return m;
}

static struct event make_event(void)
{
	struct event ev;

	event_init(&ev);
	ev.kind = EVENT_DEFERRED;
	ev.time_ms = 99;
	ev.number = 7;
	ev.cause = CAUSE_IS_TLS_PIN;
	ev.attempted = true;
	ev.duration_ms = 1500;
	ev.bytes = 70000;
	set(&ev.route, "cloud");
	set(&ev.certificate, "CN=x");
	return ev;
}

static void check_recipient(const struct recipient *a,
			    const struct recipient *b)
{
	ck_assert_uint_eq(a->number, b->number);
	ck_assert_int_eq(a->state, b->state);
	ck_assert_int_eq(a->wait, b->wait);
	ck_assert_int_eq(a->cause, b->cause);
	ck_assert_uint_eq(a->attempts, b->attempts);
	ck_assert_uint_eq(a->notify, b->notify);
	ck_assert_int_eq(a->uncertain, b->uncertain);
	ck_assert_int_eq(a->told, b->told);
	ck_assert_int_eq(a->warned, b->warned);
	ck_assert_int_eq(a->due_ms, b->due_ms);
	ck_assert_int_eq(a->since_ms, b->since_ms);
	ck_assert_int_eq(a->fresh_ms, b->fresh_ms);
	ck_assert_int_eq(a->held_clock_ms, b->held_clock_ms);
	ck_assert_int_eq(a->clock_since_ms, b->clock_since_ms);
	ck_assert_str_eq(a->address, b->address);
	ck_assert_str_eq(a->orcpt, b->orcpt);
	ck_assert_str_eq(a->reply, b->reply);
}

static void check_message(const struct message *a, const struct message *b)
{
	ck_assert_uint_eq(a->id, b->id);
	ck_assert_int_eq(a->received_ms, b->received_ms);
	ck_assert_uint_eq(a->bytes, b->bytes);
	ck_assert_uint_eq(a->checksum, b->checksum);
	ck_assert_int_eq(a->has_8bit, b->has_8bit);
	ck_assert_int_eq(a->smtputf8, b->smtputf8);
	ck_assert_str_eq(a->sender, b->sender);
	ck_assert_str_eq(a->trace_field, b->trace_field);
	ck_assert_str_eq(a->message_id, b->message_id);
	ck_assert_str_eq(a->listener, b->listener);
	ck_assert_str_eq(a->source, b->source);
	ck_assert_str_eq(a->client, b->client);
	ck_assert_str_eq(a->helo, b->helo);
	ck_assert_str_eq(a->tls, b->tls);
	ck_assert_str_eq(a->envid, b->envid);
	ck_assert_str_eq(a->ret, b->ret);
}

START_TEST(message_there_and_back)
{
	struct message *m = make_message(), *out;
	struct buf row;

	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(message_encode(&row, m));
	ck_assert(message_decode(buf_span(&row), 42, &out));
	check_message(m, out);
	ck_assert_uint_eq(out->nrecipients, 0);
	message_free(out);
	message_free(m);
	buf_release(&row);
}
END_TEST

START_TEST(recipient_there_and_back)
{
	const struct recipient_names names = {5, UINT32_MAX};
	struct message *m = make_message();
	struct buf row;

	buf_init(&row, CODEC_ROW_MAX);
	for (size_t i = 0; i < m->nrecipients; i++) {
		const struct recipient *r = &m->recipients[i];
		struct recipient_names got;
		enum rcpt_state state;
		int64_t since_ms;
		struct recipient out;

		buf_clear(&row);
		ck_assert(recipient_encode(&row, r, &names));
		ck_assert(recipient_decode(buf_span(&row), r->number, &out,
					   &got));
		check_recipient(r, &out);
		ck_assert_uint_eq(got.lane, 5);
		ck_assert_uint_eq(got.destination, UINT32_MAX);
		recipient_release(&out);
		ck_assert(recipient_peek(buf_span(&row), &state, &since_ms));
		ck_assert_int_eq(state, r->state);
		ck_assert_int_eq(since_ms, r->since_ms);
	}
	message_free(m);
	buf_release(&row);
}
END_TEST

START_TEST(settled_there_and_back)
{
	struct message *m = make_message(), *out;
	struct buf row;

	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(settled_encode(&row, m));
	ck_assert(settled_decode(buf_span(&row), 42, &out));
	check_message(m, out);
	ck_assert_uint_eq(out->nrecipients, 2);
	for (size_t i = 0; i < 2; i++) {
		check_recipient(&m->recipients[i], &out->recipients[i]);
		ck_assert_str_eq(m->recipients[i].lane,
				 out->recipients[i].lane);
		ck_assert_str_eq(m->recipients[i].destination,
				 out->recipients[i].destination);
	}
	message_free(out);
	message_free(m);
	buf_release(&row);
}
END_TEST

START_TEST(event_there_and_back)
{
	struct event ev = make_event(), out;
	char *long_text = xcalloc(1, 5000);
	struct buf row;

	memset(long_text, 'r', 4999);
	set(&ev.reply, long_text);
	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(event_encode(&row, &ev));
	ck_assert(event_decode(buf_span(&row), &out));
	ck_assert_int_eq(out.kind, ev.kind);
	ck_assert_int_eq(out.time_ms, 99);
	ck_assert_uint_eq(out.number, 7);
	ck_assert_int_eq(out.cause, CAUSE_IS_TLS_PIN);
	ck_assert(out.attempted && !out.uncertain);
	ck_assert_int_eq(out.duration_ms, 1500);
	ck_assert_uint_eq(out.bytes, 70000);
	ck_assert_str_eq(out.route, "cloud");
	ck_assert_str_eq(out.certificate, "CN=x");
	ck_assert_uint_eq(strlen(out.reply), CODEC_EVENT_STRING_MAX);
	event_release(&out);
	event_release(&ev);
	free(long_text);
	buf_release(&row);
}
END_TEST

/* One that was written before there were bytes. */
START_TEST(event_of_version_1)
{
	static const char old[] = "\1\2\306\1\7\0\1\270\27"
				  "\0\0\0\0\0\0\0\0\0";
	struct buf row;
	struct event ev;
	uint64_t sum;

	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(buf_add(&row, (struct span){old, sizeof(old) - 1}));
	sum = digest_of(buf_span(&row));
	for (int i = 3; i >= 0; i--) {
		char c = (char)(sum >> (8 * i));

		ck_assert(buf_add(&row, (struct span){&c, 1}));
	}
	ck_assert(event_decode(buf_span(&row), &ev));
	ck_assert_int_eq(ev.kind, EVENT_DEFERRED);
	ck_assert_int_eq(ev.time_ms, 99);
	ck_assert_int_eq(ev.duration_ms, 1500);
	ck_assert_uint_eq(ev.bytes, 0);
	event_release(&ev);
	buf_release(&row);
}
END_TEST

START_TEST(small_rows_there_and_back)
{
	struct ledger l = {.last_id = UINT64_MAX, .last_name = 3}, l2;
	struct group_count c = {1, UINT64_MAX, 3}, c2;
	char reply[] = "421 busy", reason[] = "because";
	struct destination_record d = {.suspended = true,
				       .cause = CAUSE_IS_SUSPENDED,
				       .since_ms = 1,
				       .until_ms = -2,
				       .reply = reply,
				       .reason = reason},
				  d2;
	struct span text;
	uint64_t users;
	struct buf row;
	char *value;

	l.totals.accepted = 9;
	l.totals.live[RCPT_FAILED] = 4;
	l.totals.removed = 5;
	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(ledger_encode(&row, &l));
	ck_assert(ledger_decode(buf_span(&row), &l2));
	ck_assert_uint_eq(l2.last_id, UINT64_MAX);
	ck_assert_uint_eq(l2.last_name, 3);
	ck_assert_mem_eq(&l.totals, &l2.totals, sizeof(l.totals));
	buf_clear(&row);
	ck_assert(group_count_encode(&row, &c));
	ck_assert(group_count_decode(buf_span(&row), &c2));
	ck_assert_mem_eq(&c, &c2, sizeof(c));
	buf_clear(&row);
	ck_assert(destination_encode(&row, &d));
	ck_assert(destination_decode(buf_span(&row), SPAN("r/h:25"), &d2));
	ck_assert(d2.suspended && !d2.failing);
	ck_assert_int_eq(d2.until_ms, -2);
	ck_assert_str_eq(d2.name, "r/h:25");
	ck_assert_str_eq(d2.reply, "421 busy");
	ck_assert_str_eq(d2.reason, "because");
	destination_record_release(&d2);
	buf_clear(&row);
	ck_assert(record_encode(&row, "{}"));
	ck_assert(record_decode(buf_span(&row), &value));
	ck_assert_str_eq(value, "{}");
	free(value);
	buf_clear(&row);
	ck_assert(name_encode(&row, SPAN("mx/a"), 12));
	ck_assert(name_decode(buf_span(&row), &text, &users));
	ck_assert(span_eq(text, SPAN("mx/a")));
	ck_assert_uint_eq(users, 12);
	buf_release(&row);
}
END_TEST

START_TEST(what_is_too_long_is_not_encoded)
{
	struct message *m = message_new();
	char *s = xcalloc(1, CODEC_STRING_MAX + 2);
	struct buf row;

	memset(s, 'x', CODEC_STRING_MAX + 1);
	set(&m->sender, s);
	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(!message_encode(&row, m));
	m->sender[CODEC_STRING_MAX] = '\0';
	buf_clear(&row);
	ck_assert(message_encode(&row, m));
	buf_release(&row);
	buf_init(&row, 100);
	ck_assert(!message_encode(&row, m));
	buf_release(&row);
	free(s);
	message_free(m);
}
END_TEST

/* ------- rubbish */

/* Every decoder; how many took the row. */
static unsigned decode_all(struct span row)
{
	struct recipient_names names;
	struct destination_record d;
	struct group_count c;
	enum rcpt_state state;
	struct recipient r;
	struct message *m;
	struct ledger l;
	struct span text;
	struct event ev;
	uint64_t users;
	int64_t ms;
	unsigned n = 0;
	char *value;

	if (message_decode(row, 1, &m)) {
		message_free(m);
		n++;
	}
	if (settled_decode(row, 1, &m)) {
		message_free(m);
		n++;
	}
	if (recipient_decode(row, 1, &r, &names)) {
		recipient_release(&r);
		n++;
	}
	if (event_decode(row, &ev)) {
		event_release(&ev);
		n++;
	}
	if (destination_decode(row, SPAN("d"), &d)) {
		destination_record_release(&d);
		n++;
	}
	if (record_decode(row, &value)) {
		free(value);
		n++;
	}
	n += group_count_decode(row, &c) ? 1 : 0;
	n += ledger_decode(row, &l) ? 1 : 0;
	n += name_decode(row, &text, &users) ? 1 : 0;
	n += recipient_peek(row, &state, &ms) ? 1 : 0;
	return n;
}

static size_t make_rows(struct buf rows[5])
{
	const struct recipient_names names = {1, 2};
	const struct ledger l = {.last_id = 77};
	struct message *m = make_message();
	struct event ev = make_event();

	for (size_t i = 0; i < 5; i++)
		buf_init(&rows[i], CODEC_ROW_MAX);
	ck_assert(message_encode(&rows[0], m));
	ck_assert(settled_encode(&rows[1], m));
	ck_assert(recipient_encode(&rows[2], &m->recipients[1], &names));
	ck_assert(event_encode(&rows[3], &ev));
	ck_assert(ledger_encode(&rows[4], &l));
	event_release(&ev);
	message_free(m);
	return 5;
}

START_TEST(no_turned_bit_is_taken)
{
	struct buf rows[5];
	size_t n = make_rows(rows);

	for (size_t i = 0; i < n; i++) {
		struct span s = buf_span(&rows[i]);
		char *mem = span_dup(s);

		memcpy(mem, s.at, s.len);
		for (size_t bit = 0; bit < 8 * s.len; bit++) {
			mem[bit / 8] ^= (char)(1 << bit % 8);
			ck_assert_uint_eq(decode_all((struct span){mem, s.len}),
					  0);
			mem[bit / 8] ^= (char)(1 << bit % 8);
		}
		free(mem);
		buf_release(&rows[i]);
	}
}
END_TEST

START_TEST(no_cut_row_is_taken)
{
	struct buf rows[5];
	size_t n = make_rows(rows);

	for (size_t i = 0; i < n; i++) {
		struct span s = buf_span(&rows[i]);

		for (size_t len = 0; len < s.len; len++) {
			/* A block of its own, so that a read beyond is seen. */
			char *mem = xcalloc(len + 1, 1);

			memcpy(mem, s.at, len);
			mem = xrealloc(mem, len > 0 ? len : 1, 1);
			ck_assert_uint_eq(decode_all((struct span){mem, len}),
					  0);
			free(mem);
		}
		buf_release(&rows[i]);
	}
}
END_TEST

static void reseal(char *mem, size_t len)
{
	uint64_t sum = digest_of((struct span){mem, len - 4});

	for (unsigned i = 0; i < 4; i++)
		mem[len - 4 + i] = (char)(sum >> (8 * (3 - i)));
}

START_TEST(mutated_rows_do_no_harm)
{
	struct buf rows[5];
	size_t n = make_rows(rows);
	unsigned taken = 0;

	srandom(1);
	for (size_t i = 0; i < n; i++) {
		struct span s = buf_span(&rows[i]);

		for (unsigned round = 0; round < 4000; round++) {
			size_t len = 5 + (size_t)random() % (s.len - 4);
			char *mem = xcalloc(len, 1);

			memcpy(mem, s.at, len);
			for (long k = random() % 4; k >= 0; k--)
				mem[1 + (size_t)random() % (len - 4)] =
					(char)random();
			reseal(mem, len);
			taken += decode_all((struct span){mem, len});
			free(mem);
		}
		buf_release(&rows[i]);
	}
	ck_assert_uint_gt(taken, 0);
}
END_TEST

START_TEST(a_nul_in_a_string_is_refused)
{
	struct message *m = make_message();
	struct buf row;
	char *at;

	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(message_encode(&row, m));
	message_free(m);
	at = memmem(row.mem + row.head, row.len, "sender@", 7);
	ck_assert_ptr_nonnull(at);
	reseal(row.mem + row.head, row.len);
	ck_assert_uint_gt(decode_all(buf_span(&row)), 0);
	at[2] = '\0';
	reseal(row.mem + row.head, row.len);
	ck_assert(!message_decode(buf_span(&row), 1, &m));
	buf_release(&row);
}
END_TEST

START_TEST(bad_numbers_are_refused)
{
	struct message *m = make_message();
	const struct recipient_names names = {1, 2};
	struct buf row;

	buf_init(&row, CODEC_ROW_MAX);
	m->recipients[0].state = (enum rcpt_state)RCPT_STATES;
	ck_assert(recipient_encode(&row, &m->recipients[0], &names));
	ck_assert_uint_eq(decode_all(buf_span(&row)), 0);
	m->recipients[0].state = RCPT_QUEUED;
	m->recipients[0].cause = (enum cause)CAUSE_COUNT;
	buf_clear(&row);
	ck_assert(recipient_encode(&row, &m->recipients[0], &names));
	/* Only the peek, which does not look that far. */
	ck_assert_uint_eq(decode_all(buf_span(&row)), 1);
	message_free(m);
	buf_release(&row);
}
END_TEST

/* 0 as it is, and as it might be written in two bytes. */
START_TEST(a_number_has_one_form)
{
	const struct group_count empty = {0, 0, 0};
	struct group_count c;
	char longer[16];
	struct buf row;
	struct span s;

	buf_init(&row, CODEC_ROW_MAX);
	ck_assert(group_count_encode(&row, &empty));
	s = buf_span(&row);
	ck_assert(group_count_decode(s, &c));
	memcpy(longer, s.at, 1);
	memcpy(longer + 1, "\x80\0\0\0", 4);
	reseal(longer, s.len + 1);
	ck_assert(!group_count_decode((struct span){longer, s.len + 1}, &c));
	buf_release(&row);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("codec");
	TCase *t = tcase_create("codec");
	SRunner *runner;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, message_there_and_back);
	tcase_add_test(t, recipient_there_and_back);
	tcase_add_test(t, settled_there_and_back);
	tcase_add_test(t, event_there_and_back);
	tcase_add_test(t, event_of_version_1);
	tcase_add_test(t, small_rows_there_and_back);
	tcase_add_test(t, what_is_too_long_is_not_encoded);
	tcase_add_test(t, no_turned_bit_is_taken);
	tcase_add_test(t, no_cut_row_is_taken);
	tcase_add_test(t, mutated_rows_do_no_harm);
	tcase_add_test(t, a_nul_in_a_string_is_refused);
	tcase_add_test(t, bad_numbers_are_refused);
	tcase_add_test(t, a_number_has_one_form);
	suite_add_tcase(s, t);
	runner = srunner_create(s);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed != 0;
}
