/* SPDX-License-Identifier: ISC */
/*
 * stats - counters by label and histograms, and how Prometheus reads them
 * (text exposition format 0.0.4).
 *
 * A key of the counts is the number of the counter and the values of its
 * labels, each ended by NUL; sorted, all of one counter stand together.
 */
#include "daemon/stats.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/counts.h"

static const struct counter {
	const char *metric, *first, *second, *help;
} counters[] = {
#define COUNTER(name, metric, first, second, help) \
	[STAT_##name] = {metric, first, second, help},
#include "daemon/stats.def"
#undef COUNTER
};
_Static_assert(ARRAY_LEN(counters) == STATS, "a counter without a row");

static const double delivery_bounds[] = {
	0.01, 0.03, 0.1, 0.3, 1, 3, 10, 60, 300, 1800, 3600, 14400, 86400};
static const double commit_bounds[] = {0.0003, 0.001, 0.003, 0.01, 0.03,
				       0.1,    0.3,   1,     3,	   10};
static const double batch_bounds[] = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000};

struct stats {
	struct counts *counts; /* owned */
	struct histogram delivery, commit, batch;
};

struct stats *stats_new(void)
{
	struct stats *s = xcalloc(1, sizeof(*s));

	s->counts = counts_new();
	histogram_init(&s->delivery, delivery_bounds,
		       ARRAY_LEN(delivery_bounds));
	histogram_init(&s->commit, commit_bounds, ARRAY_LEN(commit_bounds));
	histogram_init(&s->batch, batch_bounds, ARRAY_LEN(batch_bounds));
	return s;
}

void stats_free(struct stats *s)
{
	if (s == NULL)
		return;
	counts_free(s->counts);
	free(s);
}

struct histogram *stats_delivery(struct stats *s)
{
	return &s->delivery;
}

struct histogram *stats_commit(struct stats *s)
{
	return &s->commit;
}

struct histogram *stats_batch(struct stats *s)
{
	return &s->batch;
}

enum { LABEL_MAX = 480, KEY_MAX = 2 * LABEL_MAX + 8 };

void stats_add(struct stats *s, enum stat what, const char *first,
	       const char *second, uint64_t n)
{
	char key[KEY_MAX];
	int len = snprintf(key, sizeof(key), "%c%.*s%c%.*s", 'A' + (int)what,
			   LABEL_MAX, first != NULL ? first : "", '\0',
			   LABEL_MAX, second != NULL ? second : "");

	counts_add(s->counts, (struct span){key, (size_t)len + 1}, n);
}

/* ------- the text */

bool stats_head(struct buf *out, const char *metric, const char *type,
		const char *help)
{
	return buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric, help,
			  metric, type);
}

bool stats_label(struct buf *out, const char *key, const char *value)
{
	bool fits = buf_printf(out, "%s=\"", key);

	for (; *value != '\0' && fits; value++) {
		if (*value == '\n')
			fits = buf_add(out, SPAN("\\n"));
		else if (*value == '"' || *value == '\\')
			fits = buf_printf(out, "\\%c", *value);
		else
			fits = buf_add(out, (struct span){value, 1});
	}
	return fits && buf_add(out, SPAN("\""));
}

struct printing {
	struct buf *out;
	unsigned next; /* the counter whose head comes next */
	bool fits;
};

/* The heads of all counters up to `last`; those without samples keep theirs,
 * so that the list of metrics is always whole. */
static void print_heads(struct printing *p, unsigned last)
{
	for (; p->next <= last && p->next < STATS; p->next++)
		p->fits = p->fits &&
			  stats_head(p->out, counters[p->next].metric,
				     "counter", counters[p->next].help);
}

static void print_one(void *arg, struct span key, uint64_t n)
{
	struct printing *p = arg;
	const struct counter *c;
	const char *first, *second;

	if (key.len == 0) /* beyond the bound of keys */
		return;
	print_heads(p, (unsigned)(key.at[0] - 'A'));
	c = &counters[key.at[0] - 'A'];
	first = key.at + 1;
	second = first + strlen(first) + 1;
	p->fits = p->fits && buf_printf(p->out, "%s{", c->metric) &&
		  stats_label(p->out, c->first, first);
	if (c->second != NULL)
		p->fits = p->fits && buf_add(p->out, SPAN(",")) &&
			  stats_label(p->out, c->second, second);
	p->fits = p->fits &&
		  buf_printf(p->out, "} %llu\n", (unsigned long long)n);
}

static bool print_histogram(struct buf *out, const char *metric,
			    const char *help, const struct histogram *h)
{
	unsigned long long all = (unsigned long long)histogram_at_most(h, h->n);
	bool fits = stats_head(out, metric, "histogram", help);

	for (size_t i = 0; i < h->n && fits; i++)
		fits = buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", metric,
				  h->bounds[i],
				  (unsigned long long)histogram_at_most(h, i));
	return fits &&
	       buf_printf(out,
			  "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n"
			  "%s_count %llu\n",
			  metric, all, metric, histogram_sum(h), metric, all);
}

bool stats_print(struct stats *s, struct buf *out)
{
	struct printing p = {.out = out, .fits = true};

	counts_each(s->counts, print_one, &p);
	print_heads(&p, STATS);
	return p.fits &&
	       print_histogram(out, "relayd_delivery_seconds",
			       "From acceptance to delivery of a recipient.",
			       &s->delivery) &&
	       print_histogram(out, "relayd_commit_seconds",
			       "Time of a synced transaction of the queue.",
			       &s->commit) &&
	       print_histogram(out, "relayd_commit_operations",
			       "Operations that shared a transaction.",
			       &s->batch);
}
