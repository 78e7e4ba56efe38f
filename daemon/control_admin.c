/* SPDX-License-Identifier: ISC */
/*
 * control_admin - the endpoints that speak of the daemon itself: reload,
 * log-level.
 */
#include <stdio.h>

#include "daemon/audit.h"
#include "daemon/endpoint.h"

/* ------- configuration */

static void add_problem(void *arg, const char *line)
{
	json_array_append_new(arg, view_text(line));
}

static void drop(void *object)
{
	json_decref(object);
}

static void answer_reload(struct call *c)
{
	json_t *o = json_incref(c->state);
	bool fine = json_is_true(json_object_get(o, "reloaded"));

	call_answer(c, fine ? 200 : 409, o);
}

void endpoint_reload(struct call *c)
{
	json_t *problems = json_array();
	bool fine = c->conf->reload(c->conf->arg, add_problem, problems);
	json_t *o = json_object();

	if (!fine)
		json_object_set_new(o, "error",
				    json_string("the configuration was "
						"refused; the old one stays"));
	json_object_set_new(o, "reloaded", json_boolean(fine));
	json_object_set_new(o, "problems", problems);
	c->state = o;
	c->state_free = drop;
	audit_call(c, "reload", json_pack("{s:b}", "reloaded", fine),
		   answer_reload);
}

/* ------- log level */

static void answer_log_level(struct call *c)
{
	json_t *level = json_object_get(c->body, "level");

	call_answer(c, 200, json_pack("{s:O}", "level", level));
}

void endpoint_log_level(struct call *c)
{
	const char *word = json_string_value(json_object_get(c->body, "level"));
	char actor[CALL_ACTOR_MAX];
	enum log_level level;

	if (!word || !log_level_parse(word, &level)) {
		call_fail(c, 400, "level: wants debug, info, warn or error");
		return;
	}
	call_actor(c, actor);
	/* Said while at least one of the two levels shows it. */
	if (level < log_level())
		log_set_level(level);
	log_fact(LOG_INFO, 0, "log-level", F_STR("actor", actor),
		 F_STR("log_level", word));
	log_set_level(level);
	audit_call(c, "log-level", NULL, answer_log_level);
}
