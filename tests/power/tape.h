/* SPDX-License-Identifier: ISC */
/*
 * tape - what tests/power/record.c writes and tests/power/replay.c reads:
 * heads, each followed by `len` bytes.
 */
#ifndef TESTS_POWER_TAPE_H
#define TESTS_POWER_TAPE_H

#include <stdint.h>

enum tape_kind {
	TAPE_WRITE = 'W', /* bytes to offset `at`; from now on possible */
	TAPE_SYNCED_WRITE = 'M', /* the same by a descriptor with O_DSYNC ... */
	TAPE_WRITE_SYNCED = 'D', /* ... and now it is durable */
	TAPE_TRUNCATE = 'T', /* to `at` bytes */
	TAPE_SYNC = 'S', /* all before is durable */
	TAPE_ACCEPTED = 'A', /* 250 is about to be said for this id */
	TAPE_TAKEN = 'G', /* a next hop has said 250: "KEY a@b,c@d" */
};

struct tape {
	uint32_t kind, len;
	uint64_t at;
};

#endif
