/* SPDX-License-Identifier: ISC */
/*
 * detach - two forks and a pipe.
 *
 * The log goes to standard error, always (base/log).  In the background that
 * is kept where it leads to a file.  A terminal or a pipe is let go of, or
 * whoever waits for its end would wait as long as we live (ssh, ansible); it
 * is replaced by a stream to the journal.
 */
#include "daemon/detach.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <syslog.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

/* What the background process writes into the pipe: READY or a reason. */
static const char READY[] = "\n";

void detach_keep_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

/* The first process: waits and tells. */
static _Noreturn void wait_and_exit(pid_t child, int pipe_fd)
{
	char why[ERR_TEXT_MAX + 1];
	size_t len = 0;
	ssize_t n;

	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
	while (len < sizeof(why) - 1) {
		n = read(pipe_fd, why + len, sizeof(why) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	why[len] = '\0';
	if (strcmp(why, READY) == 0)
		_exit(EXIT_SUCCESS);
	fprintf(stderr, "relayd: %s\n",
		len > 0 ? why : "ended while it started");
	_exit(EXIT_FAILURE);
}

static void to_null(int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, fd);
	close(null);
}

enum status detach_begin(int *out_waiter, struct err *e)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return err_sys(e, errno, "open a pipe");
	pid = fork();
	if (pid < 0) {
		enum status st = err_sys(e, errno, "fork");

		close(fds[0]);
		close(fds[1]);
		return st;
	}
	if (pid > 0) {
		close(fds[1]);
		wait_and_exit(pid, fds[0]);
	}
	close(fds[0]);
	/* A session of our own; then no leader of it, so that no terminal we
	 * might open can become ours. */
	setsid();
	pid = fork();
	if (pid < 0) {
		detach_failed(fds[1], "fork failed");
		_exit(EXIT_FAILURE);
	}
	if (pid > 0)
		_exit(EXIT_SUCCESS);
	to_null(STDIN_FILENO);
	to_null(STDOUT_FILENO);
	*out_waiter = fds[1];
	return ST_OK;
}

static void say(int waiter, const char *text)
{
	/* Nobody waits any more if this fails, and that is fine. */
	ssize_t n = write(waiter, text, strlen(text));

	(void)n;
	close(waiter);
}

static void let_go_of_stderr(void)
{
	struct stat sb;
	int journal;

	if (fstat(STDERR_FILENO, &sb) == 0 &&
	    (S_ISREG(sb.st_mode) ||
	     (S_ISCHR(sb.st_mode) && !isatty(STDERR_FILENO))))
		return;
	journal = sd_journal_stream_fd("relayd", LOG_INFO, 0);
	if (journal >= 0) {
		dup2(journal, STDERR_FILENO);
		close(journal);
		return;
	}
	fputs("relayd: there is no journal here, the log is thrown away: "
	      "use -f, or lead standard error to a file\n",
	      stderr);
	to_null(STDERR_FILENO);
}

void detach_ready(int waiter)
{
	let_go_of_stderr();
	say(waiter, READY);
}

void detach_failed(int waiter, const char *why)
{
	say(waiter, why);
}
