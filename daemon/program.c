/* SPDX-License-Identifier: ISC */
/*
 * program.c - spawn, listen, wait.
 *
 * The input is small enough to lie in the pipe before the program begins, so
 * nobody waits for it to be read.
 */
#include "daemon/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum { FIRST_FD = 3 /* beyond the standard ones */ };

struct running {
	const struct program *program;
	struct program_end *end;
	pid_t pid;
	int out, err; /* our ends; -1: it has closed it */
	int64_t end_mono_ms;
	size_t nerrors;
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void program_split(char *text, char *argv[PROGRAM_ARGUMENTS_MAX + 1])
{
	size_t n = 0;
	char *rest;

	for (char *word = strtok_r(text, " \t", &rest);
	     word && n < PROGRAM_ARGUMENTS_MAX;
	     word = strtok_r(NULL, " \t", &rest))
		argv[n++] = word;
	argv[n] = NULL;
}

/* ------- start */

static int spawn(pid_t *pid, char *const argv[], const int fds[3])
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t how;
	sigset_t none, normal;
	int os;

	sigemptyset(&none);
	sigemptyset(&normal);
	sigaddset(&normal, SIGPIPE);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&how);
	for (int i = 0; i < FIRST_FD; i++)
		posix_spawn_file_actions_adddup2(&files, fds[i], i);
	posix_spawn_file_actions_addclosefrom_np(&files, FIRST_FD);
	posix_spawnattr_setflags(&how, POSIX_SPAWN_SETPGROUP |
					       POSIX_SPAWN_SETSIGMASK |
					       POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setpgroup(&how, 0);
	posix_spawnattr_setsigmask(&how, &none);
	posix_spawnattr_setsigdefault(&how, &normal);
	os = posix_spawn(pid, argv[0], &files, &how, argv, environ);
	posix_spawnattr_destroy(&how);
	posix_spawn_file_actions_destroy(&files);
	return os;
}

/* A pipe with all of the input, whose other end is closed already; -1:
 * errno. */
static int open_input(struct span input)
{
	int fds[2];

	BUG_ON(input.len > PROGRAM_INPUT_MAX);
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -1;
	if (input.len > 0 &&
	    write(fds[1], input.at, input.len) != (ssize_t)input.len)
		close_end(&fds[0]);
	close(fds[1]);
	return fds[0];
}

static enum status start(struct running *r, struct err *e)
{
	int in = open_input(r->program->input);
	int out[2] = {-1, -1}, errors[2] = {-1, -1};
	int os = 0;

	if (!r->program->argv[0])
		os = ENOENT;
	else if (in < 0 || pipe2(out, O_CLOEXEC) < 0 ||
		 pipe2(errors, O_CLOEXEC) < 0)
		os = errno;
	else
		os = spawn(&r->pid, r->program->argv,
			   (const int[]){in, out[1], errors[1]});
	close_end(&in);
	close_end(&out[1]);
	close_end(&errors[1]);
	if (os != 0) {
		close_end(&out[0]);
		close_end(&errors[0]);
		return err_sys(e, os, "start it");
	}
	r->out = out[0];
	r->err = errors[0];
	return ST_OK;
}

/* ------- what it says */

static void take_text(struct running *r)
{
	const struct program *p = r->program;
	struct program_end *end = r->end;
	char away[512];
	ssize_t n;

	if (p->out)
		n = read(r->out, p->out + end->out_len,
			 p->out_size - end->out_len);
	else
		n = read(r->out, away, sizeof(away));
	if (n == 0 || (n < 0 && errno != EINTR))
		close_end(&r->out);
	if (n > 0 && p->out)
		end->out_len += (size_t)n;
	if (p->out && end->out_len == p->out_size)
		close_end(&r->out);
}

/* The beginning is kept, the rest read and thrown away. */
static void take_errors(struct running *r)
{
	char bytes[PROGRAM_ERRORS_MAX];
	ssize_t n = read(r->err, bytes, sizeof(bytes));

	if (n == 0 || (n < 0 && errno != EINTR))
		close_end(&r->err);
	for (ssize_t i = 0; i < n && r->nerrors < PROGRAM_ERRORS_MAX; i++)
		r->end->errors[r->nerrors++] = bytes[i];
}

/* Reads until the program has closed both; false: it has to be killed. */
static bool listen_to(struct running *r)
{
	while (r->out >= 0 || r->err >= 0) {
		struct pollfd fds[] = {
			{.fd = r->out, .events = POLLIN},
			{.fd = r->err, .events = POLLIN},
			{.fd = r->program->stop_fd, .events = POLLIN},
		};
		int64_t left_ms = r->end_mono_ms - clock_mono_ms();

		if (left_ms <= 0)
			return false;
		if (poll(fds, ARRAY_LEN(fds), (int)left_ms) < 0) {
			if (errno == EINTR)
				continue;
			return false;
		}
		if (fds[2].revents)
			return false;
		if (fds[0].revents)
			take_text(r);
		if (fds[1].revents)
			take_errors(r);
	}
	return true;
}

/* It may have closed its output long before it ends. */
static bool await_end(struct running *r)
{
	enum { PAUSE_MS = 10 };

	for (;;) {
		pid_t pid = waitpid(r->pid, &r->end->status, WNOHANG);

		if (pid != 0)
			return pid == r->pid;
		struct pollfd stop = {.fd = r->program->stop_fd,
				      .events = POLLIN};
		if (clock_mono_ms() >= r->end_mono_ms ||
		    poll(&stop, 1, PAUSE_MS) > 0)
			return false;
	}
}

enum status program_run(const struct program *p, struct program_end *end,
			struct err *e)
{
	struct running r = {
		.program = p,
		.end = end,
		.end_mono_ms = clock_mono_ms() + p->timeout_ms,
	};

	*end = (struct program_end){.in_time = false};
	if (start(&r, e) != ST_OK)
		return ST_TEMP;
	end->in_time = listen_to(&r) && await_end(&r);
	close_end(&r.out);
	close_end(&r.err);
	if (!end->in_time) {
		kill(-r.pid, SIGKILL);
		while (waitpid(r.pid, &end->status, 0) < 0 && errno == EINTR)
			;
	}
	end->errors[strcspn(end->errors, "\r\n")] = '\0';
	return ST_OK;
}
