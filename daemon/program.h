/* SPDX-License-Identifier: ISC */
/*
 * program - runs a program of the administrator's and waits for its end: its
 * input, what it printed, the beginning of its complaints, a deadline.
 *
 * Thread: one that may wait.
 */
#ifndef DAEMON_PROGRAM_H
#define DAEMON_PROGRAM_H

#include "base/bytes.h"
#include "base/err.h"

enum {
	PROGRAM_ARGUMENTS_MAX = 64,
	PROGRAM_INPUT_MAX = 32 * 1024,
	PROGRAM_ERRORS_MAX = 512,
};

struct program {
	char *const *argv; /* argv[0]: its path; borrowed */
	struct span input; /* borrowed; PROGRAM_INPUT_MAX at the most */
	char *out; /* what it prints goes here and nowhere else; NULL: away */
	size_t out_size; /* it is not read beyond that */
	int64_t timeout_ms;
	int stop_fd; /* readable: stop waiting */
};

struct program_end {
	bool in_time; /* else it was killed, with its group */
	int status; /* of waitpid() */
	size_t out_len;
	char errors[PROGRAM_ERRORS_MAX + 1]; /* the first line; "" if none */
};

/* ST_TEMP: it can't be started; text says why without its name. */
MUST_USE enum status program_run(const struct program *p,
				 struct program_end *end, struct err *e);

/* Cuts text into words at blanks. */
void program_split(char *text, char *argv[PROGRAM_ARGUMENTS_MAX + 1]);

#endif
