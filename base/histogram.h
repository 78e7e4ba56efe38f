/* SPDX-License-Identifier: ISC */
/*
 * histogram - how often a value fell under each of some bounds.
 *
 *	static const double bounds[] = {0.001, 0.01, 0.1};
 *	histogram_init(&h, bounds, ARRAY_LEN(bounds));
 *
 * Thread: any, without a lock: a reader may see an observation in one number
 *         and not yet in the other.
 */
#ifndef BASE_HISTOGRAM_H
#define BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BOUNDS_MAX = 24 };

struct histogram {
	const double *bounds; /* rising; borrowed */
	size_t n;
	/* The last counts what is over all bounds. */
	_Atomic uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
	_Atomic uint64_t sum_millionths;
};

void histogram_init(struct histogram *h, const double *bounds, size_t n);
/* value: not negative. */
void histogram_see(struct histogram *h, double value);
/* How many were at most bounds[i]; i = n: all. */
uint64_t histogram_at_most(const struct histogram *h, size_t i);
double histogram_sum(const struct histogram *h);

#endif
