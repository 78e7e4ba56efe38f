/* SPDX-License-Identifier: ISC */
/*
 * message.c - the values of the queue, and the law of what may happen to a
 * recipient.
 *
 * The law is the table `rules`: a kind of change, the states it applies in,
 * and what it does.  Nothing else in the program sets a recipient's state.
 */
#include "queue/message.h"

#include <stdlib.h>

/* ------- words */

static const char *const state_words[RCPT_STATES + 1] = {
	[RCPT_QUEUED] = "queued",   [RCPT_DEFERRED] = "deferred",
	[RCPT_HELD] = "held",	    [RCPT_DELIVERED] = "delivered",
	[RCPT_EXPIRED] = "expired", [RCPT_FAILED] = "failed",
	[RCPT_STATES] = "removed",
};

const char *rcpt_state_word(enum rcpt_state s)
{
	BUG_ON((unsigned)s > RCPT_STATES);
	return state_words[s];
}

bool rcpt_state_parse(const char *word, enum rcpt_state *out)
{
	for (unsigned i = 0; i < RCPT_STATES; i++) {
		if (strcmp(word, state_words[i]) == 0) {
			*out = (enum rcpt_state)i;
			return true;
		}
	}
	return false;
}

static const char *const change_words[] = {
	[CHANGE_DELIVERED] = "deliver", [CHANGE_DEFERRED] = "defer",
	[CHANGE_FAILED] = "fail",	[CHANGE_EXPIRED] = "expire",
	[CHANGE_HOLD] = "hold",		[CHANGE_RELEASE] = "release",
	[CHANGE_RESUBMIT] = "resubmit", [CHANGE_REMOVE] = "remove",
	[CHANGE_MOVE] = "move",		[CHANGE_EXTEND] = "extend",
	[CHANGE_TOLD] = "tell",		[CHANGE_DISCARD] = "discard",
};
_Static_assert(ARRAY_LEN(change_words) == CHANGE_KINDS, "a change has no word");

const char *change_word(enum change_kind k)
{
	BUG_ON((unsigned)k >= CHANGE_KINDS);
	return change_words[k];
}

static const char *const event_words[] = {
	[EVENT_RECEIVED] = "received", [EVENT_DELIVERED] = "delivered",
	[EVENT_DEFERRED] = "deferred", [EVENT_FAILED] = "failed",
	[EVENT_EXPIRED] = "expired",   [EVENT_HELD] = "held",
	[EVENT_RELEASED] = "released", [EVENT_RESUBMITTED] = "resubmitted",
	[EVENT_REMOVED] = "removed",   [EVENT_MOVED] = "moved",
	[EVENT_EXTENDED] = "extended",
};
_Static_assert(ARRAY_LEN(event_words) == EVENT_KINDS, "an event has no word");

const char *event_word(enum event_kind k)
{
	BUG_ON((unsigned)k >= EVENT_KINDS);
	return event_words[k];
}

/* ------- values */

/* NULL leaves *to as it is. */
static void set_string(char **to, const char *from)
{
	char *old = *to;

	if (from == NULL)
		return;
	*to = xstrdup(from);
	free(old);
}

void recipient_init(struct recipient *r)
{
	*r = (struct recipient){.state = RCPT_QUEUED};
	set_string(&r->address, "");
	set_string(&r->orcpt, "");
	set_string(&r->lane, "");
	set_string(&r->destination, "");
	set_string(&r->reply, "");
}

void recipient_release(struct recipient *r)
{
	free(r->address);
	free(r->orcpt);
	free(r->lane);
	free(r->destination);
	free(r->reply);
	*r = (struct recipient){.state = RCPT_QUEUED};
}

void recipient_copy(struct recipient *to, const struct recipient *from)
{
	*to = *from;
	to->address = xstrdup(from->address);
	to->orcpt = xstrdup(from->orcpt);
	to->lane = xstrdup(from->lane);
	to->destination = xstrdup(from->destination);
	to->reply = xstrdup(from->reply);
}

/* The owned strings of a message, so that they are listed once. */
static const size_t message_strings[] = {
	offsetof(struct message, sender),
	offsetof(struct message, trace_field),
	offsetof(struct message, message_id),
	offsetof(struct message, listener),
	offsetof(struct message, source),
	offsetof(struct message, client),
	offsetof(struct message, helo),
	offsetof(struct message, tls),
	offsetof(struct message, envid),
	offsetof(struct message, ret),
};

static const size_t event_strings[] = {
	offsetof(struct event, route),	  offsetof(struct event, destination),
	offsetof(struct event, address),  offsetof(struct event, tls),
	offsetof(struct event, verified), offsetof(struct event, certificate),
	offsetof(struct event, status),	  offsetof(struct event, reply),
	offsetof(struct event, actor),
};

static char **string_at(void *object, size_t offset)
{
	return (char **)(void *)((char *)object + offset);
}

struct message *message_new(void)
{
	struct message *m = xcalloc(1, sizeof(*m));

	for (size_t i = 0; i < ARRAY_LEN(message_strings); i++)
		*string_at(m, message_strings[i]) = xstrdup("");
	return m;
}

void message_free(struct message *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->nrecipients; i++)
		recipient_release(&m->recipients[i]);
	free(m->recipients);
	for (size_t i = 0; i < ARRAY_LEN(message_strings); i++)
		free(*string_at(m, message_strings[i]));
	free(m);
}

struct message *message_copy(const struct message *m)
{
	struct message *copy = xcalloc(1, sizeof(*copy));

	*copy = *m;
	for (size_t i = 0; i < ARRAY_LEN(message_strings); i++) {
		char **s = string_at(copy, message_strings[i]);

		*s = xstrdup(*s);
	}
	copy->recipients = NULL;
	copy->nrecipients = 0;
	for (size_t i = 0; i < m->nrecipients; i++) {
		struct recipient r;

		recipient_copy(&r, &m->recipients[i]);
		message_adopt(copy, &r);
	}
	return copy;
}

void message_adopt(struct message *m, struct recipient *r)
{
	m->recipients = xrealloc(m->recipients, m->nrecipients + 1,
				 sizeof(*m->recipients));
	m->recipients[m->nrecipients++] = *r;
	*r = (struct recipient){.state = RCPT_QUEUED};
}

struct recipient *message_add(struct message *m, const char *address,
			      const char *lane, const char *destination)
{
	size_t n = m->nrecipients;
	struct recipient r;

	recipient_init(&r);
	r.number = n == 0 ? 0 : m->recipients[n - 1].number + 1;
	r.due_ms = r.since_ms = r.fresh_ms = m->received_ms;
	set_string(&r.address, address);
	set_string(&r.lane, lane);
	set_string(&r.destination, destination);
	message_adopt(m, &r);
	return &m->recipients[n];
}

struct recipient *message_recipient(const struct message *m, uint32_t number)
{
	for (size_t i = 0; i < m->nrecipients; i++)
		if (m->recipients[i].number == number)
			return &m->recipients[i];
	return NULL;
}

enum rcpt_state message_state(const struct message *m)
{
	static const enum rcpt_state order[] = {
		RCPT_QUEUED,  RCPT_DEFERRED, RCPT_HELD,
		RCPT_EXPIRED, RCPT_FAILED,   RCPT_DELIVERED,
	};
	_Static_assert(ARRAY_LEN(order) == RCPT_STATES, "a state has no rank");

	for (size_t i = 0; i < ARRAY_LEN(order); i++)
		for (size_t k = 0; k < m->nrecipients; k++)
			if (m->recipients[k].state == order[i])
				return order[i];
	return RCPT_STATES;
}

void event_init(struct event *ev)
{
	*ev = (struct event){.number = ALL_RECIPIENTS};
	for (size_t i = 0; i < ARRAY_LEN(event_strings); i++)
		*string_at(ev, event_strings[i]) = xstrdup("");
}

void event_release(struct event *ev)
{
	for (size_t i = 0; i < ARRAY_LEN(event_strings); i++)
		free(*string_at(ev, event_strings[i]));
	*ev = (struct event){.number = ALL_RECIPIENTS};
}

void event_copy(struct event *to, const struct event *from)
{
	*to = *from;
	for (size_t i = 0; i < ARRAY_LEN(event_strings); i++) {
		char **s = string_at(to, event_strings[i]);

		*s = xstrdup(*s);
	}
}

/* ------- what may happen to a recipient */

static void clock_stops(struct recipient *r, int64_t now_ms)
{
	if (r->clock_since_ms == 0)
		r->clock_since_ms = now_ms;
}

static int64_t clock_stood_ms(const struct recipient *r, int64_t now_ms)
{
	int64_t stood_ms = r->held_clock_ms;

	/* A wall clock that was put back takes nothing away. */
	if (r->clock_since_ms != 0 && now_ms > r->clock_since_ms)
		stood_ms += now_ms - r->clock_since_ms;
	return stood_ms;
}

static void clock_runs(struct recipient *r, int64_t now_ms)
{
	r->held_clock_ms = clock_stood_ms(r, now_ms);
	r->clock_since_ms = 0;
}

static void enter(struct recipient *r, enum rcpt_state state, int64_t now_ms)
{
	if (r->state != state)
		r->since_ms = now_ms;
	r->state = state;
}

/* What every outcome of an attempt leaves behind. */
static void note_attempt(struct recipient *r, const struct change *c)
{
	if (c->attempted && r->attempts < UINT32_MAX)
		r->attempts++;
	/* Once uncertain, always: a second copy may have arrived. */
	if (c->uncertain)
		r->uncertain = true;
}

static void settle(struct recipient *r, enum rcpt_state state, int64_t now_ms)
{
	enter(r, state, now_ms);
	r->wait = WAIT_TIME;
	clock_runs(r, now_ms);
}

static void delivered(struct recipient *r, const struct change *c,
		      int64_t now_ms)
{
	note_attempt(r, c);
	r->cause = CAUSE_IS_NONE;
	settle(r, RCPT_DELIVERED, now_ms);
}

static void deferred(struct recipient *r, const struct change *c,
		     int64_t now_ms)
{
	note_attempt(r, c);
	if (r->state == RCPT_HELD)
		return;
	enter(r, RCPT_DEFERRED, now_ms);
	r->cause = c->cause;
	r->wait = c->wait;
	r->due_ms = c->due_ms;
	if (c->stop_clock)
		clock_stops(r, now_ms);
	else
		clock_runs(r, now_ms);
}

static void failed(struct recipient *r, const struct change *c, int64_t now_ms)
{
	note_attempt(r, c);
	r->cause = c->cause;
	settle(r, RCPT_FAILED, now_ms);
}

static void expired(struct recipient *r, const struct change *c, int64_t now_ms)
{
	note_attempt(r, c);
	if (c->cause != CAUSE_IS_NONE)
		r->cause = c->cause;
	settle(r, RCPT_EXPIRED, now_ms);
}

static void hold(struct recipient *r, const struct change *c, int64_t now_ms)
{
	enter(r, RCPT_HELD, now_ms);
	r->cause = c->cause != CAUSE_IS_NONE ? c->cause : CAUSE_IS_HELD;
	r->wait = WAIT_TIME;
	clock_stops(r, now_ms);
}

static void queue_anew(struct recipient *r, const struct change *c,
		       int64_t now_ms)
{
	enter(r, RCPT_QUEUED, now_ms);
	clock_runs(r, now_ms);
	r->cause = CAUSE_IS_NONE;
	r->wait = WAIT_TIME;
	r->due_ms = c->due_ms > 0 ? c->due_ms : now_ms;
}

static void resubmit(struct recipient *r, const struct change *c,
		     int64_t now_ms)
{
	bool was_final = rcpt_state_is_final(r->state);

	queue_anew(r, c, now_ms);
	r->attempts = 0;
	if (!was_final)
		return;
	r->fresh_ms = now_ms;
	r->held_clock_ms = 0;
	r->told = r->warned = false;
}

static void removed(struct recipient *r, const struct change *c, int64_t now_ms)
{
	(void)r, (void)c, (void)now_ms;
}

static void move(struct recipient *r, const struct change *c, int64_t now_ms)
{
	if (r->state == RCPT_HELD)
		return;
	r->wait = c->wait;
	r->due_ms = c->due_ms > 0 ? c->due_ms : now_ms;
}

static void extend(struct recipient *r, const struct change *c, int64_t now_ms)
{
	(void)now_ms;
	if (__builtin_add_overflow(r->fresh_ms, c->by_ms, &r->fresh_ms))
		r->fresh_ms = c->by_ms > 0 ? INT64_MAX : 0;
}

static void told(struct recipient *r, const struct change *c, int64_t now_ms)
{
	(void)r, (void)c, (void)now_ms;
}

static void discard(struct recipient *r, const struct change *c, int64_t now_ms)
{
	(void)c;
	r->cause = CAUSE_IS_HELD;
	settle(r, RCPT_FAILED, now_ms);
}

#define IN(state) (1U << RCPT_##state)
#define IN_WAITING (IN(QUEUED) | IN(DEFERRED))
#define IN_OPEN (IN_WAITING | IN(HELD))
#define IN_ALL ((1U << RCPT_STATES) - 1)

static const struct rule {
	unsigned states; /* in which it applies */
	void (*apply)(struct recipient *r, const struct change *c,
		      int64_t now_ms);
} rules[] = {
	[CHANGE_DELIVERED] = {IN_OPEN, delivered},
	[CHANGE_DEFERRED] = {IN_OPEN, deferred},
	[CHANGE_FAILED] = {IN_OPEN, failed},
	[CHANGE_EXPIRED] = {IN_OPEN, expired},
	[CHANGE_HOLD] = {IN_WAITING, hold},
	[CHANGE_RELEASE] = {IN(HELD), queue_anew},
	[CHANGE_RESUBMIT] = {IN_ALL, resubmit},
	[CHANGE_REMOVE] = {IN_ALL, removed},
	[CHANGE_MOVE] = {IN_OPEN, move},
	[CHANGE_EXTEND] = {IN_OPEN, extend},
	[CHANGE_TOLD] = {IN_ALL, told},
	[CHANGE_DISCARD] = {IN_OPEN, discard},
};
_Static_assert(ARRAY_LEN(rules) == CHANGE_KINDS, "a change has no rule");

bool recipient_is_discarded(const struct recipient *r)
{
	return r->state == RCPT_FAILED && r->cause == CAUSE_IS_HELD;
}

static bool applies(const struct recipient *r, const struct change *c)
{
	if (c->kind == CHANGE_DELIVERED && recipient_is_discarded(r))
		return true;
	if ((rules[c->kind].states & (1U << r->state)) == 0)
		return false;
	if (c->unsettled && rcpt_state_is_final(r->state))
		return false;
	if ((c->kind == CHANGE_RESUBMIT || c->kind == CHANGE_REMOVE) &&
	    r->state == RCPT_DELIVERED && c->number == ALL_RECIPIENTS)
		return false;
	if (c->kind == CHANGE_RESUBMIT && r->address[0] == '\0')
		return false;
	/* One notice of a delay is enough, and none when it is over. */
	if (c->kind == CHANGE_TOLD && c->warned &&
	    (r->warned || rcpt_state_is_final(r->state)))
		return false;
	if (c->kind == CHANGE_MOVE &&
	    (c->lane == NULL || strcmp(c->lane, r->lane) == 0))
		return false;
	return true;
}

bool recipient_change(struct recipient *r, const struct change *c,
		      int64_t now_ms)
{
	BUG_ON((unsigned)c->kind >= CHANGE_KINDS);
	if (!applies(r, c))
		return false;
	rules[c->kind].apply(r, c, now_ms);
	set_string(&r->lane, c->lane);
	set_string(&r->destination, c->destination);
	if (c->reply != NULL) {
		char *reply =
			xstrndup(c->reply, strnlen(c->reply, REPLY_KEPT_MAX));

		free(r->reply);
		r->reply = reply;
	}
	if (c->told)
		r->told = true;
	if (c->warned)
		r->warned = true;
	return true;
}

static int64_t add_clamped(int64_t a, int64_t b)
{
	int64_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return b > 0 ? INT64_MAX : INT64_MIN;
	return sum;
}

int64_t recipient_expires_ms(const struct recipient *r, int64_t lifetime_ms,
			     int64_t hold_clock_ms, int64_t now_ms)
{
	int64_t stood_ms = clock_stood_ms(r, now_ms);

	if (stood_ms > hold_clock_ms)
		stood_ms = hold_clock_ms;
	return add_clamped(add_clamped(r->fresh_ms, lifetime_ms), stood_ms);
}
