/* SPDX-License-Identifier: ISC */
/*
 * log - one line, one fact, to standard error; logfmt or JSON.
 *
 * A line has a time, a level, the message it speaks of (if any), the event,
 * and fields.  Values are escaped here and nowhere else, so peer bytes may be
 * passed as they are.  Keys equal the JSON keys of relayctl.
 *
 *	log_fact(LOG_INFO, id, "delivered", F_STR("rcpt", rcpt),
 *		 F_INT("attempts", n));
 *
 * gives
 *
 *	time=... level=info msg=01J... event=delivered rcpt=a@b attempts=1
 *
 * Thread: any; a line is one write(2).  Lower layers do not log: the place
 * that decides does, once.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/bytes.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
	const char *key;                 /* NULL ends a list */
	enum { LOG_STR, LOG_INT, LOG_SECONDS } type;
	struct span str;                 /* LOG_STR; at == NULL: left out */
	int64_t     num;                 /* LOG_INT, LOG_SECONDS (in ms) */
};

#define F_STR(k, s)                                                            \
	(struct log_field){ .key = (k), .type = LOG_STR, .str = span_of(s) }
#define F_SPAN(k, s)                                                           \
	(struct log_field){ .key = (k), .type = LOG_STR, .str = (s) }
#define F_INT(k, n)                                                            \
	(struct log_field){ .key = (k), .type = LOG_INT, .num = (int64_t)(n) }
/* milliseconds, printed as seconds with three decimals */
#define F_SECONDS(k, ms)                                                       \
	(struct log_field){ .key = (k), .type = LOG_SECONDS, .num = (ms) }

/* msg_id 0: the fact is about no message.  At least one field. */
#define log_fact(level, msg_id, event, ...)                                    \
	log_fields(level, msg_id, event,                                       \
		   (const struct log_field[]){ __VA_ARGS__, { .key = NULL } })
void log_fields(enum log_level level, uint64_t msg_id, const char *event,
		const struct log_field *fields);
/* A fact with a sentence as its only field, text="...". */
void log_text(enum log_level level, const char *event, const char *fmt, ...)
	PRINTF(3, 4);

void log_set_level(enum log_level level);
enum log_level log_level(void);
bool log_enabled(enum log_level level);
void log_set_format(enum log_format format);
MUST_USE bool log_level_parse(const char *word, enum log_level *out);
const char *log_level_word(enum log_level level);

/* Writes the last lines (64 of any level) to fd, for the report of a bug. */
void log_dump(int fd);

#endif
