/* SPDX-License-Identifier: ISC */
/*
 * human - times of the control API as people read them.
 *
 * Thread: none; pure but for the time zone.
 */
#ifndef CTL_HUMAN_H
#define CTL_HUMAN_H

#include "base/base.h"

enum { HUMAN_TEXT_MAX = 48 };

/* RFC 3339 UTC, as the daemon writes it; 0 for NULL or anything else. */
int64_t human_parse_ms(const char *rfc3339);
/* One unit, for narrow columns: "45s", "3m", "2h", "4d". */
void human_short(char out[HUMAN_TEXT_MAX], int64_t ms);
/* "3m ago", "just now"; "-" for 0. */
void human_ago(char out[HUMAN_TEXT_MAX], int64_t wall_ms, int64_t now_ms);
/* "in 2m", "now"; "-" for 0. */
void human_in(char out[HUMAN_TEXT_MAX], int64_t wall_ms, int64_t now_ms);
/* "2026-11-23 17:41:05", local time; "-" for 0. */
void human_clock(char out[HUMAN_TEXT_MAX], int64_t wall_ms);
/* "1 message", "3 messages" */
void human_count(char out[HUMAN_TEXT_MAX], int64_t n, const char *noun);

#endif
