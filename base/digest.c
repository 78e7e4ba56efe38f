/* SPDX-License-Identifier: ISC */
/*
 * digest - a checksum over bytes that come in pieces; xxHash does the work.
 */
#include "base/digest.h"

#include <stdlib.h>
#include <xxhash.h>

struct digest {
	XXH3_state_t *state;
};

struct digest *digest_new(void)
{
	struct digest *d = xcalloc(1, sizeof(*d));

	/* It wants 64-byte alignment, which its own allocation has. */
	d->state = XXH3_createState();
	BUG_ON(!d->state);
	digest_reset(d);
	return d;
}

void digest_free(struct digest *d)
{
	if (!d)
		return;
	XXH3_freeState(d->state);
	free(d);
}

void digest_reset(struct digest *d)
{
	XXH3_64bits_reset(d->state);
}

void digest_add(struct digest *d, struct span bytes)
{
	if (bytes.len > 0)
		XXH3_64bits_update(d->state, bytes.at, bytes.len);
}

uint64_t digest_value(const struct digest *d)
{
	return XXH3_64bits_digest(d->state);
}

uint64_t digest_of(struct span bytes)
{
	return XXH3_64bits(bytes.at ? bytes.at : "", bytes.len);
}
