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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/program.h"

enum { YOUNG_MS = 3000 };

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

static enum status judge(const struct program *p, const struct program_end *end,
			 const char *command, struct err *e)
{
	if (!end->in_time)
		return err_temp(e, 7, 8,
				"auth_command %.150s did not end in time",
				command);
	if (WIFEXITED(end->status) && WEXITSTATUS(end->status) == 0) {
		if (end->out_len == p->out_size)
			return err_temp(e, 7, 8,
					"auth_command %.150s printed too much",
					command);
		char *what = xasprintf("auth_command %s", command);
		enum status st = one_line(p->out, end->out_len, what, e);
		free(what);
		return st;
	}
	if (*end->errors)
		return err_temp(e, 7, 8, "auth_command: %.220s", end->errors);
	if (WIFEXITED(end->status))
		return err_temp(e, 7, 8,
				"auth_command %.150s ended with status %d",
				command, WEXITSTATUS(end->status));
	return err_temp(e, 7, 8, "auth_command %.150s was ended by signal %d",
			command, WTERMSIG(end->status));
}

enum status fetch_from_program(char *text, size_t size, const char *command,
			       int64_t timeout_ms, int stop_fd, struct err *e)
{
	char *argv[PROGRAM_ARGUMENTS_MAX + 1];
	char *words = xstrdup(command);
	const struct program p = {
		.argv = argv,
		.out = text,
		.out_size = size,
		.timeout_ms = timeout_ms,
		.stop_fd = stop_fd,
	};
	struct program_end end;
	struct err why;
	enum status st;

	program_split(words, argv);
	if (program_run(&p, &end, &why) == ST_OK)
		st = judge(&p, &end, command, e);
	else
		st = err_temp(e, 7, 8, "auth_command %.150s: %.100s", command,
			      why.text);
	free(words);
	return st;
}
