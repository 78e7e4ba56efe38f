/* SPDX-License-Identifier: ISC */
/*
 * finding - keeps what was found, and says it.
 */
#include "daemon/finding.h"

#include <stdio.h>
#include <stdlib.h>

#include "daemon/view.h"

static const char *const step_words[STEPS] = {
	[STEP_RESOLVE] = "resolve",   [STEP_CONNECT] = "connect",
	[STEP_BANNER] = "banner",     [STEP_EHLO] = "EHLO",
	[STEP_STARTTLS] = "STARTTLS", [STEP_HANDSHAKE] = "handshake",
	[STEP_CHAIN] = "chain",	      [STEP_NAMES] = "names",
	[STEP_DATES] = "dates",	      [STEP_CRL] = "CRL",
	[STEP_AUTH] = "AUTH",
};

static const char *const result_words[] = {
	[STEP_SKIPPED] = "skipped",
	[STEP_OK] = "ok",
	[STEP_WARN] = "warn",
	[STEP_FAIL] = "fail",
};

void finding_release(struct finding *f)
{
	free(f->address);
	for (size_t i = 0; i < STEPS; i++)
		free(f->steps[i].text);
}

/* Replies have several lines; here they stand in one. */
static void flatten(char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '\n')
			*text = ' ';
}

void finding_set(struct finding *f, enum finding_step step,
		 enum finding_result result, const char *fmt, ...)
{
	char text[REPLY_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	flatten(text);
	free(f->steps[step].text);
	f->steps[step].text = xstrdup(text);
	f->steps[step].result = result;
}

void finding_reached(struct finding *f, enum finding_step step)
{
	for (size_t i = 0; i < step; i++)
		if (f->steps[i].result == STEP_SKIPPED)
			f->steps[i].result = STEP_OK;
}

static json_t *show_steps(const struct finding *f)
{
	json_t *list = json_array();

	for (size_t i = 0; i < STEPS; i++) {
		const char *text = f->steps[i].text;
		json_t *o = json_object();

		json_object_set_new(o, "step", json_string(step_words[i]));
		json_object_set_new(
			o, "result",
			json_string(result_words[f->steps[i].result]));
		json_object_set_new(o, "text", view_text(text ? text : ""));
		json_array_append_new(list, o);
	}
	return list;
}

json_t *finding_show(const struct finding *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "address", json_string(f->address));
	json_object_set_new(o, "healthy",
			    json_boolean(f->failure.cause == CAUSE_IS_NONE));
	json_object_set_new(
		o, "diagnosis",
		json_string(diagnosis_word(f->diagnosis, f->failure.cause)));
	json_object_set_new(o, "cause",
			    json_string(cause_word(f->failure.cause)));
	json_object_set_new(o, "reply", view_text(f->failure.reply));
	json_object_set_new(o, "steps", show_steps(f));
	return o;
}

enum diagnosis finding_conclude(const struct finding *list, size_t n,
				const struct finding **worst)
{
	size_t ill = 0;

	*worst = NULL;
	for (size_t i = 0; i < n; i++) {
		if (list[i].failure.cause == CAUSE_IS_NONE)
			continue;
		if (ill++ == 0)
			*worst = &list[i];
	}
	if (ill == 0)
		return DIAGNOSIS_HEALTHY;
	return ill < n ? DIAGNOSIS_IS_BAD_NODE : (*worst)->diagnosis;
}
