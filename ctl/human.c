/* SPDX-License-Identifier: ISC */
/*
 * human - times of the control API as people read them.
 */
#include "ctl/human.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

int64_t human_parse_ms(const char *rfc3339)
{
	struct tm tm = {0};
	const char *rest;

	if (!rfc3339)
		return 0;
	rest = strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &tm);
	if (!rest || (*rest != '.' && *rest != 'Z'))
		return 0;
	return (int64_t)timegm(&tm) * 1000;
}

void human_short(char out[HUMAN_TEXT_MAX], int64_t ms)
{
	int64_t s = ms > 0 ? ms / 1000 : 0;

	if (s < 60)
		snprintf(out, HUMAN_TEXT_MAX, "%" PRId64 "s", s);
	else if (s < 3600)
		snprintf(out, HUMAN_TEXT_MAX, "%" PRId64 "m", s / 60);
	else if (s < INT64_C(48) * 3600)
		snprintf(out, HUMAN_TEXT_MAX, "%" PRId64 "h", s / 3600);
	else
		snprintf(out, HUMAN_TEXT_MAX, "%" PRId64 "d", s / 86400);
}

void human_ago(char out[HUMAN_TEXT_MAX], int64_t wall_ms, int64_t now_ms)
{
	char text[HUMAN_TEXT_MAX];

	if (wall_ms == 0) {
		snprintf(out, HUMAN_TEXT_MAX, "-");
		return;
	}
	human_short(text, now_ms - wall_ms);
	if (now_ms - wall_ms < 1000)
		snprintf(out, HUMAN_TEXT_MAX, "just now");
	else
		snprintf(out, HUMAN_TEXT_MAX, "%.32s ago", text);
}

/* A try that is due is "now": it waits for its turn. */
void human_in(char out[HUMAN_TEXT_MAX], int64_t wall_ms, int64_t now_ms)
{
	char text[HUMAN_TEXT_MAX];

	if (wall_ms == 0) {
		snprintf(out, HUMAN_TEXT_MAX, "-");
		return;
	}
	human_short(text, wall_ms - now_ms);
	if (wall_ms - now_ms < 1000)
		snprintf(out, HUMAN_TEXT_MAX, "now");
	else
		snprintf(out, HUMAN_TEXT_MAX, "in %.32s", text);
}

void human_clock(char out[HUMAN_TEXT_MAX], int64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (wall_ms == 0 || !localtime_r(&t, &tm) ||
	    strftime(out, HUMAN_TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, HUMAN_TEXT_MAX, "-");
}

void human_count(char out[HUMAN_TEXT_MAX], int64_t n, const char *noun)
{
	snprintf(out, HUMAN_TEXT_MAX, "%" PRId64 " %.20s%s", n, noun,
		 n == 1 ? "" : "s");
}
