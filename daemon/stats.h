/* SPDX-License-Identifier: ISC */
/*
 * stats - what has happened since the start, counted for /metrics.
 *
 * daemon/stats.def lists the counters.  What is true now (the queue, the
 * destinations) is not counted but asked when somebody wants to know.
 *
 * Thread: any.
 */
#ifndef DAEMON_STATS_H
#define DAEMON_STATS_H

#include "base/bytes.h"
#include "base/histogram.h"

struct stats;

enum stat {
#define COUNTER(name, metric, first, second, help) STAT_##name,
#include "daemon/stats.def"
#undef COUNTER
	STATS
};

MUST_USE struct stats *stats_new(void);
void stats_free(struct stats *s); /* NULL is fine */

/* first, second: the values of the labels; NULL where there is none. */
void stats_add(struct stats *s, enum stat what, const char *first,
	       const char *second, uint64_t n);

/* From when a message was accepted until it was delivered, in seconds. */
struct histogram *stats_delivery(struct stats *s);
/* For the writer. */
struct histogram *stats_commit(struct stats *s); /* seconds */
struct histogram *stats_batch(struct stats *s); /* operations */

/* Appends all of them in the text format of Prometheus; false: no room. */
MUST_USE bool stats_print(struct stats *s, struct buf *out);

/* The lines above the samples of a metric; type: counter, gauge, histogram. */
MUST_USE bool stats_head(struct buf *out, const char *metric, const char *type,
			 const char *help);
/* key="value", with what may not stand between quotes escaped. */
MUST_USE bool stats_label(struct buf *out, const char *key, const char *value);

#endif
