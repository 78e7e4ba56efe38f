/* SPDX-License-Identifier: ISC */
/*
 * lane - all mail of one route: what of it is in hand, and who of its
 * destinations may have it.
 *
 * The schedule is on disk; a lane holds at most a few hundred jobs of it, read
 * ahead.  Every recipient in hand is in the table of `active` ones, so that
 * reading the schedule again never gives it out twice: from the moment it was
 * read until its outcome is durable.
 *
 * Thread: dispatch.
 */
#ifndef DAEMON_LANE_H
#define DAEMON_LANE_H

#include <uthash.h>

#include "daemon/destination.h"

enum {
	LANE_READY_MAX = 512,            /* jobs in hand */
	LANE_READ_MAX = 256,             /* recipients read at once */
	JOB_RECIPIENTS_MAX = 100,        /* in one transaction */
	GIVE_MAX = 16,                   /* jobs in one throw */
};

/* Where a recipient in hand is. */
enum active_place {
	ACTIVE_READY,                    /* waits in its lane */
	ACTIVE_GIVEN,                    /* with a worker */
	ACTIVE_BLOCKED,                  /* is being deferred by us */
};

struct active_key {
	uint64_t id;
	uint32_t number;
	uint32_t zero;                   /* the key has no padding */
};

struct active {
	struct active_key key;
	enum active_place place;
	struct lane      *lane;
	UT_hash_handle    hh;
};

struct lane {
	char *name;                      /* owned */
	const struct conf_route *route;  /* NULL: no route of this name today */
	const char *domain;              /* part of name: MX decides; else NULL */
	struct destination **destinations;       /* owned, in order to try */
	size_t ndestinations;
	bool    asking;                  /* an MX query is under way */
	int64_t hosts_until_mono_ms;     /* MX: the answer holds; 0: ask */
	bool    refused;                 /* MX: the domain takes no mail: ... */
	struct failure refusal;          /* ... why, for good */
	struct job *ready, **ready_end;
	size_t nready;
	size_t nblocked;                 /* recipients being deferred by us */
	bool more_due;                   /* WAIT_TIME: the disk may have more */
	bool more_waiting;               /* WAIT_DESTINATION: likewise */
	bool more_far;                   /* WAIT_TIME: there may be times that
					    only another clock could set */
	bool waiting_seen;               /* mail waits for a destination */
	int64_t next_due_wall_ms;        /* of WAIT_TIME; INT64_MAX: none */
	struct delivery *parked;         /* connected, waiting for work */
	unsigned deliveries;             /* parked ones and those away */

	/* dispatch_sentinel.c */
	int64_t looked_mono_ms;
	int64_t suspect_mono_ms;         /* looks overdue since; 0: does not */
	size_t  overdue;                 /* recipients, or more */
	int64_t overdue_since_ms;        /* wall: the first was due */

	size_t  agenda_place;            /* agenda's; 0: not in it */
	int64_t look_mono_ms;            /* agenda's: when to look at it */
	UT_hash_handle hh;
};

MUST_USE struct lane *lane_new(const char *name);
/* Nothing of it may be away. */
void lane_free(struct lane *l);

/* Takes today's route and its destinations; those that are still the same
 * keep their state.  Where MX decides they stay until the next answer. */
void lane_set_route(struct lane *l, const struct conf_route *route);
/* MX: the hosts of an answer, in order; strings are copied. */
void lane_set_hosts(struct lane *l, char *const *hosts, size_t n,
		    uint16_t port);
/* MX: a destination of the lane's own name, which it may have already, stands for
 * those that are not known; borrowed. */
struct destination *lane_stand_in(struct lane *l);
/* The same, failing: the question failed. */
void lane_set_unknown(struct lane *l, const struct failure *f,
		      int64_t probe_ms, int64_t mono_ms, int64_t wall_ms);
/* Is it a destination of that kind? */
bool lane_is_unknown(const struct lane *l, const struct destination *d);
struct destination *lane_destination(struct lane *l, const char *name);
/* Nothing of it is in hand, under way, or known to wait. */
bool lane_is_idle(const struct lane *l);
/* What is in hand and not yet given. */
void lane_add_ready(struct lane *l, struct job *j);
void lane_return_ready(struct lane *l, struct job **list);
struct job *lane_take_ready(struct lane *l);

#endif
