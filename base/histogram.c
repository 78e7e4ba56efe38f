/* SPDX-License-Identifier: ISC */
/*
 * histogram - buckets as atomic numbers.
 */
#include "base/histogram.h"

#include "base/base.h"

void histogram_init(struct histogram *h, const double *bounds, size_t n)
{
	BUG_ON(n > HISTOGRAM_BOUNDS_MAX);
	*h = (struct histogram){.bounds = bounds, .n = n};
}

void histogram_see(struct histogram *h, double value)
{
	size_t i = 0;

	while (i < h->n && value > h->bounds[i])
		i++;
	atomic_fetch_add(&h->counts[i], 1);
	atomic_fetch_add(&h->sum_millionths, (uint64_t)(value * 1e6));
}

uint64_t histogram_at_most(const struct histogram *h, size_t i)
{
	uint64_t sum = 0;

	for (size_t k = 0; k <= i; k++)
		sum += atomic_load(&h->counts[k]);
	return sum;
}

double histogram_sum(const struct histogram *h)
{
	return (double)atomic_load(&h->sum_millionths) / 1e6;
}
