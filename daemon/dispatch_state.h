/* SPDX-License-Identifier: ISC */
/*
 * dispatch_state - what the files of dispatch share, and nobody else.
 *
 *	dispatch.c          the thread, its notes and its turn
 *	dispatch_lane.c     reads ahead, gives out, defers what is blocked
 *	dispatch_pace.c     services that ask us to slow down
 *	dispatch_mx.c       the hosts of lanes where MX decides
 *	dispatch_memory.c   what is written down of destinations
 *	dispatch_exception.c  what operators let destinations get away with
 *	dispatch_sentinel.c   watches that nothing is lost or forgotten
 *	dispatch_lists.c    revocation lists that change, or are not known
 *	dispatch_upkeep.c   expiry, trimming, moving mail to today's routes
 *	lane.c, destination.c   the pure parts
 *
 * Thread: dispatch.
 */
#ifndef DAEMON_DISPATCH_STATE_H
#define DAEMON_DISPATCH_STATE_H

#include <stdatomic.h>

#include "base/thread.h"
#include "daemon/agenda.h"
#include "daemon/drift.h"
#include "daemon/lane.h"
#include "daemon/pace.h"

struct dispatch {
	struct relay    *relay;
	struct thread   *thread;
	struct mailbox  *mail;
	struct snapshot *snapshot;       /* today's; owned reference */
	struct lane     *lanes;          /* hash */
	struct agenda    agenda;         /* of all lanes */
	struct active   *actives;        /* hash */
	size_t   next_worker;
	unsigned deliveries;             /* of all lanes */
	bool     stopping;               /* gives nothing out any more */
	bool     ending;                 /* nobody asks any more */
	struct note end;
	unsigned resubmits;              /* under way */
	struct mx_query *queries;        /* under way */
	struct pace     *paces;          /* hash; of services */
	int64_t  lists_mono_ms;          /* a revocation list changed last */
	struct suspension *suspensions;  /* hash, of every suspended name */
	unsigned dns_epoch;              /* answers asked for in another one
					    are forgotten */
	struct exception **exceptions;   /* owned references, array owned */
	size_t   nexceptions;
	struct drift drift;              /* of the wall clock */
	int64_t  wake_mono_ms;           /* when the next turn is due at the
					    latest */
	_Atomic int64_t turned_mono_ms;

	/* dispatch_sentinel.c */
	struct sentinel {
		int64_t next_mono_ms;
		int64_t checked_ms;      /* wall; 0: not yet */
		bool    broken;
		bool    full;            /* the queue was, at the last look */
		struct balance balance;
	} sentinel;

	/* dispatch_upkeep.c */
	bool     routes_changed;         /* mail may be in the wrong lane */
	uint64_t route_cursor;
	bool     upkeep_busy;            /* a TRIM is under way */
	int64_t  next_expiry_mono_ms, next_trim_mono_ms;
	struct warn_walk *warn_walks;    /* owned */
	size_t   nwarn_walks;
	struct snapshot  *warn_snapshot; /* that they follow; owned reference */

	/* dispatch_fading.c */
	struct {
		struct fading walk;      /* under way */
		struct fading_view view; /* the last one's result */
		int64_t next_mono_ms, said_mono_ms;
	} fading;
};

/* "Look again at this time, at the latest": in lane_advance() at that lane, else
 * at all that has a turn. */
void dispatch_wake_at(struct dispatch *d, int64_t mono_ms);
/* Something of the lane, or of all, has changed: it is looked at in the next
 * turn. */
void dispatch_touch(struct dispatch *d, struct lane *l);
void dispatch_touch_all(struct dispatch *d);
struct lane *dispatch_lane(struct dispatch *d, const char *name);
struct active *dispatch_active(struct dispatch *d, uint64_t id,
			       uint32_t number);
void dispatch_activate(struct dispatch *d, struct lane *l, uint64_t id,
		       uint32_t number);
void dispatch_release(struct dispatch *d, uint64_t id, uint32_t number);
/* Does the question's pattern match?  A name as it is does, too, brackets or
 * not. */
bool dispatch_asked_for(const struct dispatch_question *q, const char *name);

/* dispatch_memory.c */
void memory_open(struct dispatch *d);
void memory_close(struct dispatch *d);
/* Ends the suspensions whose time is over and that no lane has. */
void memory_turn(struct dispatch *d);
/* Suspends what is to be suspended of a lane's new destinations. */
void memory_apply(struct dispatch *d, struct lane *l);
/* A question: this suspended destination stands in the answer already ... */
void memory_shown(struct dispatch *d, const char *name);
/* ... and then those that no lane has. */
void memory_asked(struct dispatch *d, struct dispatch_question *q);
/* Writes its state down. */
void dispatch_remember(struct dispatch *d, const struct destination *dest);
void dispatch_suspend(struct dispatch *d, struct lane *l,
		      struct destination *dest,
		      const struct dispatch_question *q);
/* Ends a suspension; actor NULL: its time is over. */
void dispatch_resume(struct dispatch *d, struct lane *l,
		     struct destination *dest, const char *actor);

/* dispatch_lane.c */
/* Does what can be done for it. */
void lane_advance(struct dispatch *d, struct lane *l);
/* A delivery came back. */
void lane_returned(struct dispatch *d, struct delivery *delivery);
/* Says QUIT to every parked connection. */
void lane_unpark(struct lane *l);

/* dispatch_pace.c */
/* The pace of its service, with one connection more; until pace_leave. */
struct pace *pace_enter(struct dispatch *d, const struct destination *dest);
void pace_leave(struct dispatch *d, struct pace *p);
/* The first destination that is up and whose service does not pause; NULL:
 * none. */
struct destination *dispatch_up(struct dispatch *d, struct lane *l);
/* The pace of one that is up and whose service does pause; NULL: none. */
const struct pace *dispatch_pause(const struct dispatch *d,
				  const struct lane *l);
enum pace_use { PACE_OPEN, PACE_USE };
/* May another connection be opened, or one that there is be used?  If not, the
 * lane is looked at again when it may. */
bool dispatch_may(struct dispatch *d, const struct destination *dest,
		  enum pace_use use);
/* What the delivery met asks us to slow down. */
void dispatch_slow(struct dispatch *d, const struct destination *dest,
		   struct delivery *v);
/* No service pauses any more. */
void paces_resume(struct dispatch *d);
void pace_show(const struct dispatch *d, const struct destination *dest,
	       struct destination_view *view);
/* Forgets what has not been needed for long. */
void paces_trim(struct dispatch *d);
void paces_close(struct dispatch *d);

/* dispatch_mx.c: lanes where MX decides. */
/* Asks for the hosts unless it is known or asked already; false: nothing can be
 * done for the lane before the answer. */
bool lane_know_hosts(struct dispatch *d, struct lane *l);
/* The lane goes on with the next answer only. */
void lane_forget_hosts(struct lane *l);
/* Every lane and every worker forgets what DNS said. */
void dispatch_forget_dns(struct dispatch *d);

/* dispatch_exception.c */
void exceptions_open(struct dispatch *d);
/* Ends those whose time is over. */
void exceptions_turn(struct dispatch *d);
void exceptions_close(struct dispatch *d);
/* The one in force for it, borrowed; NULL: none, or its route has none. */
struct exception *dispatch_exception(const struct dispatch *d,
				     const struct destination *dest);

/* dispatch_sentinel.c */
void sentinel_turn(struct dispatch *d);
/* A question: what it has seen. */
void sentinel_asked(struct dispatch *d, struct dispatch_question *q);

/* dispatch_lists.c */
/* Probes now what failed for a list, if one came while it did. */
void dispatch_probe_for_lists(const struct dispatch *d,
			      struct destination *dest,
			      const struct delivery *v);
/* True: it failed only because a list is being fetched for the first time, and
 * it is tried again when that is there; in a few seconds at the latest. */
bool dispatch_awaits_lists(const struct dispatch *d, struct destination *dest,
			   const struct delivery *v);
/* Keeps what the delivery heard of the peer's certificate, and says it once. */
void dispatch_note_lists(struct destination *dest, struct delivery *v);

/* dispatch_upkeep.c */
/* dispatch_fading.c */
void fading_turn(struct dispatch *d);

/* dispatch_upkeep.c */
void upkeep_start(struct dispatch *d);
void upkeep_turn(struct dispatch *d);
void upkeep_stop(struct dispatch *d);

#endif
