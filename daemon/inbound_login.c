/* SPDX-License-Identifier: ISC */
/*
 * inbound_login - a password on its way to its judge and back.
 *
 * While it is judged the machine stands still and nothing is read.  If the
 * connection ends meanwhile, the session stays until the answer has come.
 */
#include "base/log.h"
#include "daemon/inbound_session.h"
#include "daemon/login.h"

static void log_login(const struct inbound *s, const char *user)
{
	char client[ADDR_TEXT_MAX];

	addr_text(client, &s->peer);
	log_fact(LOG_INFO, 0, "login", F_STR("listener", s->listener->name),
		 F_STR("client", client), F_STR("user", user));
}

static void refuse(struct inbound *s, uint16_t reply, const struct err *e)
{
	struct err said = *e;

	inbound_log_refusal(s, "AUTH", e);
	said.reply = reply;
	server_refuse(s->server, &said);
}

/* The client hears nothing of our files. */
static void refuse_for_now(struct inbound *s)
{
	struct err e;

	(void)!err_temp(&e, 7, 0, "Temporary authentication failure");
	refuse(s, 454, &e);
}

static void answer(struct inbound *s, const struct login_question *q)
{
	struct err e;

	switch (q->outcome) {
	case LOGIN_RIGHT:
		log_login(s, q->user);
		server_accept(s->server, NULL);
		return;
	case LOGIN_WRONG:
		(void)!err_perm(&e, 7, 8, "Authentication credentials invalid");
		refuse(s, 535, &e);
		return;
	case LOGIN_UNKNOWN:
		log_text(LOG_ERROR, "auth-file", "%s", q->error.text);
		refuse_for_now(s);
		return;
	}
}

static void on_judged(struct note *note)
{
	struct login_question *q =
		CONTAINER_OF(note, struct login_question, done);
	struct inbound *s = q->asker;

	s->login = NULL;
	if (!s->over)
		answer(s, q);
	login_question_free(q);
	inbound_caught_up(s);
}

void inbound_login_ask(struct inbound *s)
{
	struct login_question *q = login_question(
		s->listener->auth_file, server_auth_user(s->server),
		server_auth_password(s->server));

	q->reply_to = s->worker->mail;
	q->done.run = on_judged;
	q->asker = s;
	if (login_put(s->worker->relay->login, q)) {
		s->login = q;
		return;
	}
	login_question_free(q);
	refuse_for_now(s);
}

void inbound_login_drop(struct inbound *s)
{
	if (s->login)
		atomic_store(&s->login->dropped, true);
}
