/* SPDX-License-Identifier: ISC */
/*
 * view - records of the queue as the JSON objects of the control API.
 *
 * The keys are a contract with scripts (relayctl(8)).  Texts are always
 * strings, "" when there is nothing to say; times are RFC 3339 UTC or null;
 * durations are seconds, sizes bytes.  Bytes of a peer that are no UTF-8 are
 * written as \xNN.
 *
 * Thread: none; pure.
 */
#ifndef DAEMON_VIEW_H
#define DAEMON_VIEW_H

#include <jansson.h>

#include "daemon/dispatch.h"
#include "daemon/filter.h"
#include "queue/store.h"

/* What a record is seen by; all borrowed. */
struct view {
	int64_t now_ms;
	const struct conf *conf;         /* today's */
	const struct due *active;        /* in the dispatcher's hands, by id */
	size_t nactive;
	const struct destination_view *destinations;
	size_t ndestinations;
};

json_t *view_text(const char *s);
json_t *view_bytes(struct span s);
json_t *view_time(int64_t wall_ms);      /* 0: null */
json_t *view_seconds(int64_t ms);
json_t *view_id(uint64_t id);

/* The state that users see. */
enum rcpt_state view_state(const struct view *v, uint64_t id,
			   const struct recipient *r);
/* 0: no further try is planned. */
int64_t view_next_attempt_ms(const struct view *v, uint64_t id,
			     const struct recipient *r);
/* 0: it does not expire any more. */
int64_t view_expires_ms(const struct view *v, const struct recipient *r);

/* What the recipients of a message that match a filter have in common. */
struct digested {
	size_t n;                        /* how many match; 0: none */
	const struct recipient *first;   /* the least final one, borrowed */
	enum rcpt_state state;           /* its state */
	uint32_t attempts;               /* the most */
	int64_t next_attempt_ms;         /* the earliest; 0: none */
	int64_t expires_ms;              /* the earliest; 0: none */
	bool uncertain;                  /* any */
};
void view_digest(const struct view *v, const struct message *m,
		 const struct filter *f, struct digested *out);

/* A line of `queue list`: speaks of the recipients that match f; NULL when
 * none does. */
json_t *view_message_row(const struct view *v, const struct message *m,
			 const struct filter *f);
/* All of `queue show` but the headers. */
json_t *view_message(const struct view *v, const struct message *m);

/* Lines of `trace`. */
json_t *view_received(const struct message *m);
json_t *view_event(const struct message *m, const struct event *ev);
/* Of a RECORD_TRANSCRIPT; NULL: it is none. */
json_t *view_transcript(uint64_t id, const char *record);

/* The sentinel's verdict, with the sums it comes from. */
json_t *view_sentinel(const struct sentinel_view *s);

json_t *view_destination(const struct destination_view *d);

#endif
