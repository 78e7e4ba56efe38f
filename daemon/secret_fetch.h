/* SPDX-License-Identifier: ISC */
/*
 * secret_fetch - reads a secret from a file, or has a program print it.
 *
 * Both fill `text`, of size bytes, with the one line they found, without its
 * end; no copy of it stays anywhere else.  ST_TEMP otherwise; e->text is for
 * the administrator and never has a part of the secret.
 *
 * Thread: one that may wait.
 */
#ifndef DAEMON_SECRET_FETCH_H
#define DAEMON_SECRET_FETCH_H

#include <sys/types.h>
#include <time.h>

#include "base/err.h"

/* By what a file is known to be the same still. */
struct file_stamp {
	bool   known;
	dev_t  device;
	ino_t  inode;
	off_t  size;
	struct timespec changed;
};

/* Where the file is the same as *old says, text is "" and *now is *old. */
MUST_USE enum status fetch_from_file(char *text, size_t size, const char *file,
				     const struct file_stamp *old,
				     struct file_stamp *now, struct err *e);
/* The command's words are separated by blanks.  The program is killed with
 * its group after timeout_ms, or when stop_fd becomes readable. */
MUST_USE enum status fetch_from_program(char *text, size_t size,
					const char *command,
					int64_t timeout_ms, int stop_fd,
					struct err *e);

#endif
