/* SPDX-License-Identifier: ISC */
/*
 * drift - notices that somebody set the clock, and how old mail really is.
 */
#include "daemon/drift.h"

int64_t drift_look(struct drift *d, int64_t mono_ms, int64_t wall_ms)
{
	int64_t offset_ms = wall_ms - mono_ms;
	int64_t jump_ms = d->known ? offset_ms - d->offset_ms : 0;

	d->known = true;
	d->offset_ms = offset_ms;
	if (jump_ms >= -DRIFT_JUMP_MS && jump_ms <= DRIFT_JUMP_MS)
		return 0;
	d->skipped_ms += jump_ms;
	if (d->skipped_ms < 0)
		d->skipped_ms = 0;
	return jump_ms;
}
