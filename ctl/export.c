/* SPDX-License-Identifier: ISC */
/*
 * export - the command that copies mail into files.
 *
 * ID.eml is written first, ID.json last, each under another name until it is
 * whole: where there is an ID.json the message is complete; and all of it is
 * on the disk when the command says so.  The list is read as it streams in,
 * over a connection of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"

enum { PROGRESS_EVERY = 50 };

struct export
{
	const struct context *x;
	struct client *client; /* owned: for messages, beside the list's */
	const char *dir;
	int dirfd;
	int64_t messages, gone, failed;
	uint64_t bytes;
	bool progress, shown;
	bool broken; /* the directory can't be written: stop */
};

static void show_progress(struct export *ex)
{
	if (!ex->progress || ex->messages % PROGRESS_EVERY != 0)
		return;
	fprintf(stderr, "\rexported %" PRId64 " messages ...", ex->messages);
	fflush(stderr);
	ex->shown = true;
}

static bool complain_of(struct export *ex, const char *name)
{
	complain("%s/%s: %s", ex->dir, name, strerror(errno));
	ex->broken = true;
	return false;
}

/* ------- one file */

struct file {
	char name[MSG_ID_LEN + 16], temp[MSG_ID_LEN + 16];
	FILE *out;
	uint64_t bytes;
};

static bool file_open(struct export *ex, struct file *f, const char *id,
		      const char *suffix)
{
	int fd;

	f->bytes = 0;
	snprintf(f->name, sizeof(f->name), "%.*s%s", MSG_ID_LEN, id, suffix);
	snprintf(f->temp, sizeof(f->temp), ".%.*s.tmp", MSG_ID_LEN, id);
	fd = openat(ex->dirfd, f->temp,
		    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
		    0600);
	f->out = fd < 0 ? NULL : fdopen(fd, "w");
	return f->out || complain_of(ex, f->temp);
}

/* Keeps it under its name, or not at all. */
static bool file_close(struct export *ex, struct file *f, bool keep)
{
	bool fine = !ferror(f->out) && fflush(f->out) == 0;

	fine = fclose(f->out) == 0 && fine;
	if (fine && keep &&
	    renameat(ex->dirfd, f->temp, ex->dirfd, f->name) == 0)
		return true;
	if (keep)
		(void)complain_of(ex, f->name);
	unlinkat(ex->dirfd, f->temp, 0);
	return false;
}

static bool write_bytes(void *arg, struct span bytes)
{
	struct file *f = arg;

	f->bytes += bytes.len;
	return fwrite(bytes.at, 1, bytes.len, f->out) == bytes.len;
}

/* ------- one message */

/* Gone meanwhile is no fault. */
static bool failed(struct export *ex, const struct answer *a, const char *id)
{
	if (a->outcome == OUTCOME_OK)
		return false;
	if (a->http == 404) {
		ex->gone++;
		return true;
	}
	complain("%s: %s", id, a->error ? a->error : "cannot be written");
	ex->failed++;
	return true;
}

static void ask(struct export *ex, const char *id, const char *part,
		const struct sink *sink, struct answer *a)
{
	struct target t;

	target_init(&t, ex->client, "/v1/queue");
	target_part(&t, id);
	target_part(&t, part);
	request_send(&t, NULL, sink, a);
	target_release(&t);
}

static bool write_eml(struct export *ex, const char *id, uint64_t size)
{
	struct file f;
	const struct sink sink = {.bytes = write_bytes, .arg = &f};
	struct answer a;
	bool bad;

	if (!file_open(ex, &f, id, ".eml"))
		return false;
	ask(ex, id, "raw", &sink, &a);
	bad = failed(ex, &a, id);
	if (!bad && f.bytes != size) {
		complain("%s: its body broke off", id);
		ex->failed++;
		bad = true;
	}
	answer_release(&a);
	ex->bytes += bad ? 0 : f.bytes;
	return file_close(ex, &f, !bad) && !bad;
}

static bool write_json(struct export *ex, const char *id, const json_t *parcel)
{
	struct file f;

	if (!file_open(ex, &f, id, ".json"))
		return false;
	if (json_dumpf(parcel, f.out, JSON_INDENT(1) | JSON_ENSURE_ASCII) == 0)
		fputc('\n', f.out);
	return file_close(ex, &f, true);
}

static void export_message(struct export *ex, const char *id)
{
	struct answer a;

	ask(ex, id, "export", NULL, &a);
	if (!failed(ex, &a, id) &&
	    write_eml(ex, id, (uint64_t)number_of(a.object, "size")) &&
	    write_json(ex, id, a.object)) {
		ex->messages++;
		show_progress(ex);
	}
	answer_release(&a);
}

static bool export_line(void *arg, const json_t *row, struct span text)
{
	struct export *ex = arg;

	(void)text;
	export_message(ex, text_of(row, "id"));
	return !ex->broken;
}

/* ------- the command */

static int open_dir(const char *dir)
{
	int fd;

	if (mkdir(dir, 0700) != 0 && errno != EEXIST) {
		complain("%s: %s", dir, strerror(errno));
		return -1;
	}
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		complain("%s: %s", dir, strerror(errno));
	return fd;
}

static void print_outcome(const struct export *ex)
{
	char messages[HUMAN_TEXT_MAX], size[UNITS_TEXT_MAX];

	if (ex->x->args.json) {
		json_t *o = json_pack(
			"{s:s, s:I, s:I, s:I, s:I}", "verb", "export",
			"messages", (json_int_t)ex->messages, "bytes",
			(json_int_t)ex->bytes, "gone", (json_int_t)ex->gone,
			"failed", (json_int_t)ex->failed);

		print_json(o);
		json_decref(o);
		return;
	}
	human_count(messages, ex->messages, "message");
	size_human(size, ex->bytes);
	printf("exported %s (%s)\n", messages, size);
	if (ex->gone > 0)
		printf("%" PRId64 " left the queue in the meantime\n",
		       ex->gone);
}

int run_queue_export(struct context *x)
{
	struct export ex = {
		.x = x,
		.dir = x->args.rest[0],
		.progress = isatty(STDERR_FILENO) && !x->args.json,
	};
	const struct sink sink = {.line = export_line, .arg = &ex};
	struct target t;
	struct answer a;
	int code;

	ex.dirfd = open_dir(ex.dir);
	if (ex.dirfd < 0)
		return EXIT_REFUSED;
	ex.client = client_beside(x->client);
	target_init(&t, x->client, "/v1/queue");
	args_to_query(&x->args, TAKES_FILTER, &t);
	request_send(&t, NULL, &sink, &a);
	if (ex.shown)
		fputs("\r\033[K", stderr);
	code = report(&a);
	if (syncfs(ex.dirfd) != 0)
		(void)complain_of(&ex, ".");
	if (code == EXIT_DONE)
		print_outcome(&ex);
	if (code == EXIT_DONE && (ex.broken || ex.failed > 0))
		code = EXIT_REFUSED;
	answer_release(&a);
	target_release(&t);
	client_close(ex.client);
	close(ex.dirfd);
	return code;
}
