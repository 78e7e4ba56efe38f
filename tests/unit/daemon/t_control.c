/* SPDX-License-Identifier: ISC */
/*
 * t_control - the control API over a real socket: a queue on disk, a writer,
 * the server on a thread of its own, and relayctl's requests as the client.
 * The dispatcher is a fake: it says what the test wants and counts questions.
 */
#include "daemon/control.h"
#include "daemon/stats.h"

#include <check.h>
#include <event2/event.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "ctl/request.h"
#include "daemon/dispatch.h"
#include "daemon/doctor.h"
#include "daemon/relay.h"
#include "queue/store.h"

enum { MANY = 300 };             /* more than a page */

static char dir[256];
static struct relay relay;
static struct snapshot snapshot;
static struct control *control;
static struct event_base *base;
static struct event *mail_event;
static pthread_t thread;
static struct client *client;

/* ------- a dispatcher */

static atomic_uint forgotten, probed;
static struct due in_hand[4];
static size_t nin_hand;

static char *text(const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

void dispatch_ask(struct dispatch *d, struct dispatch_question *q)
{
	(void)d;
	forgotten += q->order == ORDER_FORGET ||
		     q->order == ORDER_RESUBMIT_ENDS;
	probed += q->order == ORDER_PROBE;
	if (!q->pattern || strcmp(q->pattern, "cloud/mx:25") == 0) {
		q->views = xcalloc(1, sizeof(*q->views));
		q->nviews = 1;
		q->views[0] = (struct destination_view){
			.name = xstrdup("cloud/mx:25"),
			.lane = xstrdup("cloud"),
			.state = DESTINATION_FAILING,
			.cause = CAUSE_IS_TLS_CERT_EXPIRED,
			.reply = xstrdup("it \"expired\""),
		};
	}
	q->active = xcalloc(ARRAY_LEN(in_hand), sizeof(*q->active));
	memcpy(q->active, in_hand, sizeof(in_hand));
	q->nactive = nin_hand;
	mailbox_post(q->reply_to, &q->done);
}

void dispatch_question_release(struct dispatch_question *q)
{
	for (size_t i = 0; i < q->nviews; i++) {
		free(q->views[i].name);
		free(q->views[i].lane);
		free(q->views[i].reply);
	}
	free(q->views);
	free(q->active);
	q->views = NULL;
	q->active = NULL;
	q->nviews = q->nactive = 0;
}

/* Exceptions and the doctor are tested with a whole daemon. */
void doctor_send(struct examination *x, struct worker *w)
{
	(void)w;
	mailbox_post(x->reply_to, &x->done);
}

void examination_release(struct examination *x)
{
	(void)x;
}

void dispatch_exempt(struct dispatch *d, struct exception *x)
{
	(void)d;
	(void)x;
}

void dispatch_end_exception(struct dispatch *d, struct exception *x)
{
	(void)d;
	(void)x;
}

/* ------- the rest of a daemon */

static bool fake_reload(void *arg, conf_complain *complain, void *complain_arg)
{
	(void)arg;
	complain(complain_arg, "relayd.conf:3: no such option");
	return false;
}

static bool fake_check(void *arg, struct conf **out, conf_complain *complain,
		       void *complain_arg)
{
	(void)arg;
	(void)out;
	(void)complain;
	(void)complain_arg;
	return true;
}

static struct snapshot *fake_snapshot(void *arg)
{
	(void)arg;
	return &snapshot;
}

static void stderr_complain(void *arg, const char *line)
{
	(void)arg;
	fprintf(stderr, "%s\n", line);
}

static struct conf *read_conf(void)
{
	char *file = text("relayd.conf"), *socket = text("control.sock");
	FILE *f = fopen(file, "w");
	struct conf *conf;

	ck_assert_ptr_nonnull(f);
	fprintf(f,
		"hostname = \"relay.test\"\n"
		"queue { path = \"%s\" max_size = \"64M\" "
		"min_free_disk = \"0\" }\n"
		"control { socket = \"%s\" group = \"\" }\n"
		"listener \"in\" { address = { \"127.0.0.1:2525\" } "
		"tls = \"off\" }\n"
		"route \"cloud\" { domains = { \"*.com\" } "
		"hosts = { \"mx:25\" } tls = \"off\" }\n",
		dir, socket);
	fclose(f);
	conf = conf_read(file, NULL, 0, stderr_complain, NULL);
	ck_assert_ptr_nonnull(conf);
	free(file);
	free(socket);
	return conf;
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	mailbox_run(arg);
}

static void on_stop(struct note *note)
{
	(void)note;
	event_base_loopbreak(base);
}

static void *serve(void *arg)
{
	(void)arg;
	event_base_dispatch(base);
	return NULL;
}

/* Recipient 0 in the given state, the way it came there. */
static uint64_t enqueue(const char *sender, const char *recipient,
			enum rcpt_state state)
{
	static const char body[] = "Subject: t\r\nX: y\r\n\r\nhello\r\n";
	static const enum change_kind kinds[RCPT_STATES] = {
		[RCPT_DEFERRED] = CHANGE_DEFERRED,
		[RCPT_HELD] = CHANGE_HOLD,
		[RCPT_EXPIRED] = CHANGE_EXPIRED,
		[RCPT_FAILED] = CHANGE_FAILED,
	};
	struct store *s = relay.store;
	struct message *m = message_new();
	struct store_op op = { .verb = STORE_ENQUEUE };
	struct change ch = {
		.kind = kinds[state],
		.cause = state == RCPT_HELD ? CAUSE_IS_HELD
					    : CAUSE_IS_TLS_CERT_EXPIRED,
		.due_ms = clock_wall_ms() + 3600 * 1000,
		.attempted = true,
		.reply = "expired: \033[31m",
	};

	m->id = s->ops->new_id(s);
	m->received_ms = clock_wall_ms();
	m->bytes = sizeof(body) - 1;
	free(m->sender);
	m->sender = xstrdup(sender);
	free(m->message_id);
	m->message_id = xasprintf("%s/id", recipient);
	message_add(m, recipient, "cloud", "cloud/mx:25");
	op.id = m->id;
	op.message = m;
	op.body = (struct span){ body, sizeof(body) - 1 };
	s->ops->apply(s, (struct store_op *[]){ &op }, 1);
	ck_assert_msg(op.status == ST_OK, "%s", op.err.text);
	store_op_release(&op);
	if (state != RCPT_QUEUED) {
		op = (struct store_op){
			.verb = STORE_CHANGE,
			.id = m->id,
			.changes = &ch,
			.nchanges = 1,
		};
		s->ops->apply(s, (struct store_op *[]){ &op }, 1);
		ck_assert_uint_eq(op.done, 1);
		store_op_release(&op);
	}
	message_free(m);
	return op.id;
}

static void start_control(void)
{
	struct control_conf conf = {
		.base = base,
		.relay = &relay,
		.reload = fake_reload,
		.check = fake_check,
		.snapshot = fake_snapshot,
	};
	struct err e;

	ck_assert_msg(control_bind(&conf.fd, &snapshot.conf->control, &e) ==
			      ST_OK,
		      "%s", e.text);
	ck_assert(control_start(&control, &conf, &e) == ST_OK);
}

static void open_queue(void)
{
	struct store_conf store = { .path = dir, .max_bytes = 64 << 20 };
	const char *tmp = getenv("TMPDIR");
	struct err e;

	snprintf(dir, sizeof(dir), "%s/t_control.XXXXXX", tmp ? tmp : "/tmp");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	forgotten = probed = 0;
	nin_hand = 0;
	log_set_level(LOG_ERROR);
	snapshot.conf = read_conf();
	atomic_store(&snapshot.refs, 1);
	ck_assert_msg(store_lmdb_open(&relay.store, &store, &e) == ST_OK, "%s",
		      e.text);
	ck_assert(mailbox_open(&relay.main_mail, &e) == ST_OK);
	relay.stats = stats_new();
	base = event_base_new();
	mail_event = event_new(base, mailbox_fd(relay.main_mail),
			       EV_READ | EV_PERSIST, on_mail, relay.main_mail);
	event_add(mail_event, NULL);
}

/* From here on only the writer may apply. */
static void start(void)
{
	struct writer_conf writer = {
		.store = relay.store,
		.max_ops = 128,
		.max_bytes = 1 << 20,
	};
	char *socket = text("control.sock");
	struct err e;

	ck_assert(writer_start(&relay.writer, &writer, &e) == ST_OK);
	start_control();
	client = client_open(socket);
	free(socket);
	ck_assert_int_eq(pthread_create(&thread, NULL, serve, NULL), 0);
}

static void stop(void)
{
	struct note note = { .run = on_stop };
	char *command = xasprintf("rm -rf %s", dir);
	char *path = text("control.sock");

	mailbox_post(relay.main_mail, &note);
	pthread_join(thread, NULL);
	control_stop(control);
	/* Nobody is sent to a socket that nobody serves. */
	ck_assert_int_ne(access(path, F_OK), 0);
	free(path);
	writer_stop(relay.writer);
	while (mailbox_run(relay.main_mail) > 0)
		continue;
	event_free(mail_event);
	event_base_free(base);
	mailbox_close(relay.main_mail);
	stats_free(relay.stats);
	relay.store->ops->close(relay.store);
	conf_unref(snapshot.conf);
	client_close(client);
	ck_assert_int_eq(system(command), 0);
	free(command);
}

/* ------- asking */

struct lines {
	json_t *list;
	size_t enough;                   /* stop reading behind so many */
};

static bool on_line(void *arg, const json_t *object, struct span line)
{
	struct lines *l = arg;

	(void)line;
	json_array_append(l->list, (json_t *)object);
	return l->enough == 0 || json_array_size(l->list) < l->enough;
}

/* Lines of a path and a part behind it, unless NULL; the caller's. */
static json_t *get_part(const char *path, const char *part)
{
	struct lines l = { .list = json_array() };
	const struct sink sink = { .line = on_line, .arg = &l };
	struct target t;
	struct answer a;

	target_init(&t, client, path);
	if (part)
		target_part(&t, part);
	request_send(&t, NULL, &sink, &a);
	ck_assert_msg(a.outcome == OUTCOME_OK, "%s: %s", path, a.error);
	answer_release(&a);
	target_release(&t);
	return l.list;
}

static json_t *get(const char *path)
{
	return get_part(path, NULL);
}

static const char *word(const json_t *list, size_t i, const char *key)
{
	const json_t *row = json_array_get(list, i);
	const char *s = json_string_value(json_object_get(row, key));

	ck_assert_msg(s != NULL, "no text %s", key);
	return s;
}

/* The object at a path, which answers with this code; the caller's. */
static json_t *ask(const char *path, const char *body, long http)
{
	json_t *json = body ? json_loads(body, 0, NULL) : NULL, *o;
	struct target t;
	struct answer a;

	target_init(&t, client, path);
	request_send(&t, json, NULL, &a);
	ck_assert_msg(a.http == http, "%s: %ld %s", path, a.http, a.error);
	o = json_incref(a.object);
	answer_release(&a);
	target_release(&t);
	json_decref(json);
	return o;
}

static json_int_t number(const json_t *o, const char *key)
{
	const json_t *value = json_object_get(o, key);

	ck_assert_msg(json_is_integer(value), "no number %s", key);
	return json_integer_value(value);
}

static json_int_t count(const char *path)
{
	json_t *list = get(path);
	json_int_t n = (json_int_t)json_array_size(list);

	json_decref(list);
	return n;
}

static void expect_changed(const char *verb, const char *body, json_int_t n)
{
	char *path = xasprintf("/v1/queue/%s", verb);
	json_t *o = ask(path, body, n > 0 ? 200 : 409);

	ck_assert_str_eq(json_string_value(json_object_get(o, "verb")), verb);
	ck_assert_int_eq(number(o, "recipients"), n);
	ck_assert_int_eq(number(o, "messages"), n);
	json_decref(o);
	free(path);
}

/* ------- tests */

START_TEST(lists_filter_sort_and_stop)
{
	json_t *list;

	open_queue();
	enqueue("c@a.com", "x@b.com", RCPT_QUEUED);
	enqueue("a@a.com", "y@b.com", RCPT_DEFERRED);
	enqueue("b@a.com", "z@b.com", RCPT_HELD);
	start();
	ck_assert_int_eq(count("/v1/queue"), 3);
	ck_assert_int_eq(count("/v1/queue?state=deferred,held"), 2);
	ck_assert_int_eq(count("/v1/queue?cause=tls"), 1);
	ck_assert_int_eq(count("/v1/queue?recipient=x%40b.com"), 1);
	ck_assert_int_eq(count("/v1/queue?limit=2"), 2);
	ck_assert_int_eq(count("/v1/queue?sender=nobody"), 0);

	list = get("/v1/queue?sort=-sender&limit=2");
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(word(list, 0, "sender"), "c@a.com");
	ck_assert_str_eq(word(list, 1, "sender"), "b@a.com");
	json_decref(list);

	json_decref(ask("/v1/queue?colour=blue", NULL, 400));
	json_decref(ask("/v1/queue?cause=nonsense", NULL, 400));
	json_decref(ask("/v1/queue?sort=colour", NULL, 400));
	json_decref(ask("/v1/queue?limit=0", NULL, 400));
	json_decref(ask("/v1/queue?sort=size&limit=10001", NULL, 400));
	stop();
}
END_TEST

START_TEST(long_lists_are_streamed_and_may_be_left)
{
	struct lines l = { .list = json_array(), .enough = 10 };
	const struct sink sink = { .line = on_line, .arg = &l };
	struct target t;
	struct answer a;

	open_queue();
	for (int i = 0; i < MANY; i++)
		enqueue("a@a.com", "x@b.com", RCPT_QUEUED);
	start();
	ck_assert_int_eq(count("/v1/queue"), MANY);
	ck_assert_int_eq(count("/v1/queue?sort=-age"), MANY);
	ck_assert_int_eq(count("/v1/queue?sort=-received&limit=7"), 7);
	/* Readers that leave do no harm. */
	target_init(&t, client, "/v1/queue");
	for (int i = 0; i < 5; i++) {
		json_array_clear(l.list);
		request_send(&t, NULL, &sink, &a);
		ck_assert(a.outcome == OUTCOME_ENOUGH);
		answer_release(&a);
	}
	target_release(&t);
	json_decref(l.list);
	ck_assert_int_eq(count("/v1/queue"), MANY);
	stop();
}
END_TEST

START_TEST(verbs_change_what_was_chosen)
{
	json_t *o;

	open_queue();
	for (int i = 0; i < MANY; i++)
		enqueue("a@a.com", "x@b.com", RCPT_DEFERRED);
	enqueue("b@a.com", "y@b.com", RCPT_HELD);
	enqueue("b@a.com", "z@b.nowhere", RCPT_DEFERRED);
	start();
	expect_changed("hold", "{\"all\":true,\"dry_run\":true}", MANY + 1);
	ck_assert_int_eq(count("/v1/queue?state=held"), 1);

	o = ask("/v1/queue/resubmit", "{\"filter\":{\"cause\":\"tls\"}}", 200);
	ck_assert_int_eq(number(o, "recipients"), MANY);
	ck_assert_int_eq(number(json_object_get(o, "skipped"), "no-route"), 1);
	json_decref(o);
	ck_assert_uint_eq(forgotten, 1);
	ck_assert_int_eq(count("/v1/queue?state=queued"), MANY);

	o = ask("/v1/queue/resubmit", "{\"filter\":{\"sender\":\"b@*\"}}", 409);
	ck_assert_int_eq(number(json_object_get(o, "skipped"), "held"), 1);
	json_decref(o);
	expect_changed("hold", "{\"filter\":{\"sender\":\"a@*\"}}", MANY);
	expect_changed("release", "{\"all\":true}", MANY + 1);
	expect_changed("remove", "{\"filter\":{\"recipient\":\"x@*\"}}", MANY);
	expect_changed("remove", "{\"filter\":{\"recipient\":\"x@*\"}}", 0);
	ck_assert_int_eq(count("/v1/queue?state=failed&cause=held"), MANY);
	/* What was removed comes back only when it is asked for. */
	o = ask("/v1/queue/resubmit",
		"{\"states\":[\"failed\"],\"filter\":{\"sender\":\"a@*\"}}", 409);
	ck_assert_int_eq(number(json_object_get(o, "skipped"), "removed"),
			 MANY);
	json_decref(o);
	expect_changed("remove",
		       "{\"filter\":{\"recipient\":\"x@*\"},\"purge\":true}",
		       MANY);
	ck_assert_int_eq(count("/v1/queue"), 2);
	expect_changed("extend", "{\"all\":true,\"by\":\"2d\"}", 2);
	json_decref(ask("/v1/queue/extend", "{\"all\":true}", 400));
	json_decref(ask("/v1/queue/hold", "{\"all\":true,\"by\":\"2d\"}", 400));
	json_decref(
		ask("/v1/queue/hold", "{\"all\":true,\"purge\":true}", 400));
	json_decref(ask("/v1/queue/remove", "{}", 400));
	json_decref(ask("/v1/queue/remove", "[1]", 400));
	stop();
}
END_TEST

START_TEST(named_messages_and_active_ones)
{
	char id[MSG_ID_LEN + 1], *body;
	uint64_t expired, active;
	json_t *o;

	open_queue();
	expired = enqueue("a@a.com", "x@b.com", RCPT_EXPIRED);
	active = enqueue("a@a.com", "y@b.com", RCPT_QUEUED);
	in_hand[0].id = active;
	nin_hand = 1;
	start();
	ck_assert_int_eq(count("/v1/queue?state=active"), 1);
	ck_assert_int_eq(count("/v1/queue?state=queued"), 0);
	o = ask("/v1/queue/resubmit", "{\"all\":true}", 409);
	ck_assert_int_eq(number(json_object_get(o, "skipped"), "active"), 1);
	ck_assert_int_eq(number(json_object_get(o, "skipped"), "expired"), 1);
	json_decref(o);
	msg_id_text(id, expired);
	body = xasprintf("{\"ids\":[\"%s\",\"0000000000001\"]}", id);
	o = ask("/v1/queue/resubmit", body, 200);
	ck_assert_int_eq(number(o, "recipients"), 1);
	ck_assert_int_eq(number(json_object_get(o, "skipped"), "unknown"), 1);
	json_decref(o);
	free(body);
	o = ask("/v1/status", NULL, 200);
	ck_assert_int_eq(number(json_object_get(o, "recipients"), "active"), 1);
	ck_assert_int_eq(number(json_object_get(o, "messages"), "active"), 1);
	ck_assert_int_eq(number(json_object_get(o, "recipients"), "queued"), 1);
	ck_assert_int_eq(number(json_object_get(o, "recipients"), "expired"),
			 0);
	json_decref(o);
	stop();
}
END_TEST

START_TEST(progress_is_told)
{
	struct lines l = { .list = json_array() };
	const struct sink sink = { .line = on_line, .arg = &l };
	json_t *body = json_pack("{s:b, s:b}", "all", 1, "progress", 1);
	const json_t *last;
	struct target t;
	struct answer a;

	open_queue();
	for (int i = 0; i < MANY; i++)
		enqueue("a@a.com", "x@b.com", RCPT_DEFERRED);
	start();
	target_init(&t, client, "/v1/queue/hold");
	request_send(&t, body, &sink, &a);
	ck_assert(a.outcome == OUTCOME_OK);
	ck_assert_uint_gt(json_array_size(l.list), 1);
	last = json_array_get(l.list, json_array_size(l.list) - 1);
	ck_assert_int_eq(number(last, "recipients"), MANY);
	answer_release(&a);
	target_release(&t);
	json_decref(body);
	json_decref(l.list);
	stop();
}
END_TEST

static bool on_bytes(void *arg, struct span bytes)
{
	return buf_add(arg, bytes);
}

static void expect_bytes(const char *id, const char *part, const char *want)
{
	struct sink sink = { .bytes = on_bytes };
	struct target t;
	struct answer a;
	struct buf b;

	buf_init(&b, 4096);
	sink.arg = &b;
	target_init(&t, client, "/v1/queue");
	target_part(&t, id);
	target_part(&t, part);
	request_send(&t, NULL, &sink, &a);
	ck_assert_msg(a.outcome == OUTCOME_OK, "%s", a.error);
	ck_assert(span_eq(buf_span(&b), span_of(want)));
	buf_release(&b);
	answer_release(&a);
	target_release(&t);
}

START_TEST(a_message_is_shown)
{
	char id[MSG_ID_LEN + 1], *path;
	json_t *o;

	open_queue();
	msg_id_text(id, enqueue("a@a.com", "x@b.com", RCPT_DEFERRED));
	start();
	path = xasprintf("/v1/queue/%s", id);
	o = ask(path, NULL, 200);
	ck_assert_str_eq(json_string_value(json_object_get(o, "headers")),
			 "Subject: t\r\nX: y\r\n");
	ck_assert_uint_eq(json_array_size(json_object_get(o, "recipients")), 1);
	json_decref(o);
	free(path);
	expect_bytes(id, "raw", "Subject: t\r\nX: y\r\n\r\nhello\r\n");
	expect_bytes(id, "body", "hello\r\n");
	json_decref(ask("/v1/queue/0000000000001", NULL, 404));
	json_decref(ask("/v1/queue/nonsense", NULL, 404));
	stop();
}
END_TEST

START_TEST(history_is_found_by_either_id)
{
	char id[MSG_ID_LEN + 1];
	json_t *list;

	open_queue();
	enqueue("a@a.com", "x@b.com", RCPT_QUEUED);
	msg_id_text(id, enqueue("a@a.com", "x@b.com", RCPT_QUEUED));
	start();
	expect_changed("hold", "{\"all\":true}", 2);
	list = get_part("/v1/trace", id);
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_str_eq(word(list, 0, "event"), "received");
	ck_assert_str_eq(word(list, 1, "event"), "held");
	ck_assert_ptr_nonnull(strstr(word(list, 1, "actor"), "uid "));
	json_decref(list);

	/* Both bear the same Message-ID; it has a slash. */
	list = get_part("/v1/trace", "<x@b.com/id>");
	ck_assert_uint_eq(json_array_size(list), 4);
	json_decref(list);
	json_decref(ask("/v1/trace/unheard-of", NULL, 404));
	stop();
}
END_TEST

START_TEST(groups_are_counted)
{
	json_t *list;

	open_queue();
	for (int i = 0; i < 3; i++)
		enqueue("a@a.com", "x@b.com", RCPT_DEFERRED);
	enqueue("b@a.com", "y@c.com", RCPT_QUEUED);
	start();
	list = get("/v1/queue/summary");
	ck_assert_uint_eq(json_array_size(list), 2);
	ck_assert_int_eq(number(json_array_get(list, 0), "messages"), 3);
	ck_assert_str_eq(word(list, 0, "cause"), "tls-cert-expired");
	ck_assert_str_eq(word(list, 0, "reply"), "expired: \033[31m");
	ck_assert_str_ne(word(list, 0, "next_expiry"), "");
	json_decref(list);
	ck_assert_int_eq(count("/v1/queue/summary?by=domain"), 2);
	ck_assert_int_eq(count("/v1/queue/summary?by=sender,domain,cause"), 2);
	ck_assert_int_eq(count("/v1/queue/summary?cause=tls"), 1);
	json_decref(ask("/v1/queue/summary?by=colour", NULL, 400));
	stop();
}
END_TEST

START_TEST(the_daemon_answers_for_itself)
{
	json_t *o, *list;

	open_queue();
	enqueue("a@a.com", "x@b.com", RCPT_DEFERRED);
	start();
	o = ask("/v1/status", NULL, 200);
	ck_assert_int_eq(number(o, "pid"), getpid());
	ck_assert_int_eq(number(json_object_get(o, "messages"), "deferred"), 1);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "destinations")),
			  1);
	json_decref(o);
	list = get("/v1/destinations");
	ck_assert_int_eq(number(json_array_get(list, 0), "messages"), 1);
	json_decref(list);
	json_decref(ask("/v1/destinations/probe",
			"{\"destination\":\"cloud/mx:25\"}", 200));
	ck_assert_uint_eq(probed, 1);
	json_decref(ask("/v1/destinations/probe", "{\"destination\":\"no\"}",
			404));
	json_decref(ask("/v1/destinations/probe", "{}", 400));

	o = ask("/v1/reload", "{}", 409);
	ck_assert_uint_eq(json_array_size(json_object_get(o, "problems")), 1);
	json_decref(o);
	o = ask("/v1/check-config", NULL, 200);
	ck_assert(json_is_true(json_object_get(o, "ok")));
	json_decref(o);
	json_decref(ask("/v1/log-level", "{\"level\":\"warn\"}", 200));
	ck_assert(log_level() == LOG_WARN);
	json_decref(ask("/v1/log-level", "{\"level\":\"loud\"}", 400));
	json_decref(ask("/v1/nonsense", NULL, 404));
	json_decref(ask("/v1/reload", NULL, 405));
	json_decref(ask("/v1/status", "{}", 405));
	stop();
}
END_TEST

static long speak(const char *request, char *answer, size_t size)
{
	char *path = text("control.sock");
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	size_t len = 0;
	ssize_t n;

	memcpy(sun.sun_path, path, strlen(path) + 1);
	free(path);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	ck_assert_int_gt(write(fd, request, strlen(request)), 0);
	while (len + 1 < size && (n = read(fd, answer + len, size - 1 - len)) > 0)
		len += (size_t)n;
	answer[len] = '\0';
	close(fd);
	return len > 12 ? strtol(answer + 9, NULL, 10) : 0;
}

START_TEST(nonsense_is_refused)
{
	static const struct {
		const char *request;
		long http;
	} rows[] = {
		{ "GET /v1/queue/%00 HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "GET /v1/queue?limit HTTP/1.1\r\nHost: x\r\n\r\n", 400 },
		{ "POST /v1/reload HTTP/1.1\r\nHost: x\r\n"
		  "Content-Length: 3\r\n\r\n{[}",
		  400 },
		{ "POST /v1/reload HTTP/1.1\r\nHost: x\r\n"
		  "Content-Length: 99999999\r\n\r\n{",
		  413 },
		{ "GET /../v1/status HTTP/1.0\r\n\r\n", 404 },
	};
	char answer[8192];

	open_queue();
	start();
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		ck_assert_msg(speak(rows[i].request, answer, sizeof(answer)) ==
				      rows[i].http,
			      "%s: %s", rows[i].request, answer);
	ck_assert_int_eq(count("/v1/queue"), 0);
	stop();
}
END_TEST

/* The server stops while a list waits for its reader and a verb for the
 * writer. */
START_TEST(stopping_leaves_nothing_behind)
{
	char *path;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	static const char list[] = "GET /v1/queue HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char hold[] =
		"POST /v1/queue/hold HTTP/1.1\r\nHost: x\r\n"
		"Content-Length: 12\r\n\r\n{\"all\":true}";
	int fds[2];

	open_queue();
	path = text("control.sock");
	memcpy(sun.sun_path, path, strlen(path) + 1);
	for (int i = 0; i < MANY; i++)
		enqueue("a@a.com", "x@b.com", RCPT_QUEUED);
	start();
	for (int i = 0; i < 2; i++) {
		const char *request = i == 0 ? list : hold;
		char first;

		fds[i] = socket(AF_UNIX, SOCK_STREAM, 0);
		ck_assert_int_eq(connect(fds[i], (struct sockaddr *)&sun,
					 sizeof(sun)),
				 0);
		ck_assert_int_gt(write(fds[i], request, strlen(request)), 0);
		if (i == 0)
			ck_assert_int_eq(read(fds[i], &first, 1), 1);
	}
	stop();
	close(fds[0]);
	close(fds[1]);
	free(path);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("control");
	TCase *tc = tcase_create("control");
	SRunner *runner;
	int failed;

	/* As the daemon does: readers leave when they like. */
	signal(SIGPIPE, SIG_IGN);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, lists_filter_sort_and_stop);
	tcase_add_test(tc, long_lists_are_streamed_and_may_be_left);
	tcase_add_test(tc, verbs_change_what_was_chosen);
	tcase_add_test(tc, named_messages_and_active_ones);
	tcase_add_test(tc, progress_is_told);
	tcase_add_test(tc, a_message_is_shown);
	tcase_add_test(tc, history_is_found_by_either_id);
	tcase_add_test(tc, groups_are_counted);
	tcase_add_test(tc, the_daemon_answers_for_itself);
	tcase_add_test(tc, nonsense_is_refused);
	tcase_add_test(tc, stopping_leaves_nothing_behind);
	suite_add_tcase(suite, tc);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? 1 : 0;
}
