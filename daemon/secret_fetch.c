/* SPDX-License-Identifier: ISC */
/*
 * secret_fetch - reads a secret from a file, or has a program print it.
 *
 * What is read goes into the secret's own memory directly: a buffer that
 * grows would leave copies behind.
 */
#include "daemon/secret_fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

enum {
	YOUNG_MS = 3000,
	ERRORS_MAX = 512,
	ARGUMENTS_MAX = 64,
	FIRST_FD = 3, /* beyond the standard ones */
};

/* Makes one line of what was read; what: "auth_secret_file /x". */
static enum status one_line(char *text, size_t len, const char *what,
			    struct err *e)
{
	while (len > 0 && (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	text[len] = '\0';
	if (len == 0)
		return err_temp(e, 7, 8, "%.200s gave nothing", what);
	if (strlen(text) != len || strpbrk(text, "\r\n"))
		return err_temp(e, 7, 8,
				"%.200s gave more than one line, or no text",
				what);
	return ST_OK;
}

/* ------- a file */

/* A file changed just now may change again without a new time. */
static struct file_stamp stamp_of(const struct stat *s)
{
	int64_t changed_ms = (int64_t)s->st_ctim.tv_sec * 1000;

	return (struct file_stamp){
		.known = clock_wall_ms() - changed_ms > YOUNG_MS,
		.device = s->st_dev,
		.inode = s->st_ino,
		.size = s->st_size,
		.changed = s->st_ctim,
	};
}

static bool is_same(const struct file_stamp *a, const struct file_stamp *b)
{
	return a->known && b->known && a->device == b->device &&
	       a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec &&
	       a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Returns how many bytes there were; at most size, -1: errno. */
static ssize_t read_all(int fd, char *at, size_t size)
{
	size_t len = 0;

	while (len < size) {
		ssize_t n = read(fd, at + len, size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		if (n == 0)
			break;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

static enum status read_line(char *text, size_t size, int fd, const char *what,
			     struct err *e)
{
	ssize_t n = read_all(fd, text, size);

	if (n < 0)
		return err_sys(e, errno, "%.150s", what);
	if ((size_t)n == size)
		return err_temp(e, 7, 8, "%.200s is too large", what);
	return one_line(text, (size_t)n, what, e);
}

enum status fetch_from_file(char *text, size_t size, const char *file,
			    const struct file_stamp *old,
			    struct file_stamp *now, struct err *e)
{
	char *what = xasprintf("auth_secret_file %s", file);
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	enum status st;
	struct stat s;

	if (fd < 0 || fstat(fd, &s) < 0) {
		st = err_sys(e, errno, "%.150s", what);
		goto out;
	}
	if (!S_ISREG(s.st_mode)) {
		st = err_temp(e, 7, 8, "%.200s is no file", what);
		goto out;
	}
	*now = stamp_of(&s);
	*text = '\0';
	st = ST_OK;
	if (!is_same(now, old))
		st = read_line(text, size, fd, what, e);
out:
	if (fd >= 0)
		close(fd);
	free(what);
	return st;
}

/* ------- a program */

struct program {
	pid_t pid;
	int out, err; /* our ends; -1: it has closed it */
	int64_t end_mono_ms;
	int stop_fd;
	char *text; /* borrowed: the secret's memory */
	size_t size, len;
	char errors[ERRORS_MAX + 1];
	size_t nerrors;
};

static void close_end(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Words at blanks; text is cut into them. */
static void split(char *text, char *argv[ARGUMENTS_MAX + 1])
{
	size_t n = 0;
	char *rest;

	for (char *word = strtok_r(text, " \t", &rest);
	     word && n < ARGUMENTS_MAX; word = strtok_r(NULL, " \t", &rest))
		argv[n++] = word;
	argv[n] = NULL;
}

static int spawn(pid_t *pid, char *const argv[], const int fds[2])
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
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null",
					 O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, fds[0], STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&files, fds[1], STDERR_FILENO);
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

static enum status start(struct program *p, const char *command, struct err *e)
{
	char *argv[ARGUMENTS_MAX + 1];
	char *words = xstrdup(command);
	int out[2] = {-1, -1}, errors[2] = {-1, -1};
	enum status st = ST_OK;
	int os = 0;

	split(words, argv);
	if (!argv[0])
		os = ENOENT;
	else if (pipe2(out, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
		os = errno;
	else
		os = spawn(&p->pid, argv, (const int[]){out[1], errors[1]});
	if (os != 0)
		st = err_sys(e, os, "auth_command %.150s", command);
	close_end(&out[1]);
	close_end(&errors[1]);
	if (st != ST_OK) {
		close_end(&out[0]);
		close_end(&errors[0]);
	}
	p->out = out[0];
	p->err = errors[0];
	free(words);
	return st;
}

static void take_text(struct program *p)
{
	ssize_t n = read(p->out, p->text + p->len, p->size - p->len);

	if (n > 0)
		p->len += (size_t)n;
	else if (n == 0 || errno != EINTR)
		close_end(&p->out);
	if (p->len == p->size)
		close_end(&p->out);
}

/* The beginning is kept, the rest read and thrown away. */
static void take_errors(struct program *p)
{
	char bytes[ERRORS_MAX];
	ssize_t n = read(p->err, bytes, sizeof(bytes));

	if (n == 0 || (n < 0 && errno != EINTR))
		close_end(&p->err);
	for (ssize_t i = 0; i < n && p->nerrors < ERRORS_MAX; i++)
		p->errors[p->nerrors++] = bytes[i];
}

/* Reads until the program has closed both; false: it has to be killed. */
static bool listen_to(struct program *p)
{
	while (p->out >= 0 || p->err >= 0) {
		struct pollfd fds[] = {
			{.fd = p->out, .events = POLLIN},
			{.fd = p->err, .events = POLLIN},
			{.fd = p->stop_fd, .events = POLLIN},
		};
		int64_t left_ms = p->end_mono_ms - clock_mono_ms();

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
			take_text(p);
		if (fds[1].revents)
			take_errors(p);
	}
	return true;
}

/* It may have closed its output long before it ends. */
static bool await_end(struct program *p, int *status)
{
	enum { PAUSE_MS = 10 };

	for (;;) {
		pid_t pid = waitpid(p->pid, status, WNOHANG);

		if (pid != 0)
			return pid == p->pid;
		struct pollfd stop = {.fd = p->stop_fd, .events = POLLIN};
		if (clock_mono_ms() >= p->end_mono_ms ||
		    poll(&stop, 1, PAUSE_MS) > 0)
			return false;
	}
}

static enum status judge(struct program *p, bool ended, int status,
			 const char *command, struct err *e)
{
	p->errors[p->nerrors] = '\0';
	p->errors[strcspn(p->errors, "\r\n")] = '\0';
	if (!ended)
		return err_temp(e, 7, 8,
				"auth_command %.150s did not end in time",
				command);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (p->len == p->size)
			return err_temp(e, 7, 8,
					"auth_command %.150s printed too much",
					command);
		char *what = xasprintf("auth_command %s", command);
		enum status st = one_line(p->text, p->len, what, e);
		free(what);
		return st;
	}
	if (*p->errors)
		return err_temp(e, 7, 8, "auth_command: %.220s", p->errors);
	if (WIFEXITED(status))
		return err_temp(e, 7, 8,
				"auth_command %.150s ended with status %d",
				command, WEXITSTATUS(status));
	return err_temp(e, 7, 8, "auth_command %.150s was ended by signal %d",
			command, WTERMSIG(status));
}

enum status fetch_from_program(char *text, size_t size, const char *command,
			       int64_t timeout_ms, int stop_fd, struct err *e)
{
	struct program p = {
		.end_mono_ms = clock_mono_ms() + timeout_ms,
		.stop_fd = stop_fd,
		.text = text,
		.size = size,
	};
	int status = 0;

	if (start(&p, command, e) != ST_OK)
		return ST_TEMP;
	bool ended = listen_to(&p) && await_end(&p, &status);
	close_end(&p.out);
	close_end(&p.err);
	if (!ended) {
		kill(-p.pid, SIGKILL);
		while (waitpid(p.pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	return judge(&p, ended, status, command, e);
}
