/* SPDX-License-Identifier: ISC */
/*
 * import - the command that takes mail from files of an export.
 *
 * The daemon decides which messages it wants and whether they are whole; here
 * they are only handed over, a piece at a time.  What it refuses is named, and
 * the others are taken.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/units.h"
#include "ctl/command.h"
#include "ctl/human.h"

enum {
	PIECE_BYTES = 256 * 1024,
	PROGRESS_EVERY = 50,
	NAME_TEXT_MAX = 256,
};

struct import {
	struct context *x;
	const char *dir;
	int dirfd;
	char batch[UNITS_TEXT_MAX];
	int64_t messages, recipients, present, refused;
	bool progress, shown;
	int code; /* EXIT_DONE, or why it cannot go on */
};

static void refuse(struct import *im, const char *name, const char *text)
{
	if (im->shown)
		fputs("\r\033[K", stderr);
	im->shown = false;
	complain("%s/%s: %s", im->dir, name, text);
	im->refused++;
}

/* Did the daemon say yes?  Without a daemon there is nothing more to do. */
static bool agreed(struct import *im, const char *name, const struct answer *a)
{
	if (a->outcome == OUTCOME_OK)
		return true;
	if (a->outcome == OUTCOME_NO_DAEMON || a->http == 403 || a->http == 0) {
		im->code = report(a);
		return false;
	}
	refuse(im, name, a->error);
	return false;
}

/* ------- the body */

static bool send_piece(struct import *im, const char *name, const char *id,
		       struct span bytes, uint64_t at, bool end)
{
	char where[UNITS_TEXT_MAX];
	struct target t;
	struct answer a;
	bool fine;

	snprintf(where, sizeof(where), "%" PRIu64, at);
	target_init(&t, im->x->client, "/v1/import");
	target_part(&t, id);
	target_query(&t, "at", where);
	target_query(&t, "batch", im->batch);
	if (end)
		target_query(&t, "end", "true");
	request_send_bytes(&t, bytes, &a);
	fine = agreed(im, name, &a);
	answer_release(&a);
	target_release(&t);
	return fine;
}

static bool send_body(struct import *im, const char *name, FILE *in,
		      const char *id, uint64_t size)
{
	char *piece = xcalloc(1, PIECE_BYTES);
	uint64_t at = 0;
	bool fine = true, end = false;

	while (fine && !end) {
		size_t n = fread(piece, 1, PIECE_BYTES, in);

		if (ferror(in)) {
			refuse(im, name, strerror(errno));
			fine = false;
			break;
		}
		/* One that is too long is for the daemon to refuse. */
		end = at + n == size || feof(in);
		fine = send_piece(im, name, id, (struct span){piece, n}, at,
				  end);
		at += n;
	}
	free(piece);
	return fine;
}

/* ------- one message */

static json_t *read_parcel(struct import *im, const char *name)
{
	int fd = openat(im->dirfd, name, O_RDONLY | O_CLOEXEC);
	FILE *in = fd < 0 ? NULL : fdopen(fd, "r");
	json_error_t error;
	json_t *o = NULL;

	if (!in) {
		refuse(im, name, strerror(errno));
		return NULL;
	}
	o = json_loadf(in, JSON_REJECT_DUPLICATES, &error);
	fclose(in);
	if (json_is_object(o))
		return o;
	json_decref(o);
	refuse(im, name, "damaged: no JSON object");
	return NULL;
}

/* "ID.json" -> "ID.eml" */
static FILE *open_body(struct import *im, const char *name)
{
	size_t stem = strlen(name) - strlen(".json");
	char body[NAME_TEXT_MAX];
	FILE *in;
	int fd;

	snprintf(body, sizeof(body), "%.*s.eml", (int)stem, name);
	fd = openat(im->dirfd, body, O_RDONLY | O_CLOEXEC);
	in = fd < 0 ? NULL : fdopen(fd, "r");
	if (!in)
		refuse(im, body, strerror(errno));
	return in;
}

/* What the daemon says to the parcel; false: it was refused. */
static bool offer(struct import *im, const char *name, const json_t *parcel,
		  struct answer *a)
{
	struct target t;

	target_init(&t, im->x->client, "/v1/import");
	if (im->x->args.values[OPTION_AGAIN])
		target_query(&t, "again", "true");
	if (im->x->args.values[OPTION_DRY_RUN])
		target_query(&t, "dry_run", "true");
	request_send(&t, parcel, NULL, a);
	target_release(&t);
	return agreed(im, name, a);
}

static void import_message(struct import *im, const char *name)
{
	json_t *parcel = read_parcel(im, name);
	FILE *in = parcel ? open_body(im, name) : NULL;
	struct answer a = {0};
	bool dry = im->x->args.values[OPTION_DRY_RUN] != NULL;

	if (!in || !offer(im, name, parcel, &a))
		goto out;
	if (strcmp(text_of(a.object, "state"), "present") == 0) {
		im->present++;
		goto out;
	}
	if (dry || send_body(im, name, in, text_of(a.object, "id"),
			     (uint64_t)number_of(parcel, "size"))) {
		im->messages++;
		im->recipients += number_of(a.object, "recipients");
	}
out:
	answer_release(&a);
	json_decref(parcel);
	if (in)
		fclose(in);
}

/* ------- the command */

static int is_parcel(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 5 && entry->d_name[0] != '.' &&
	       strcmp(entry->d_name + len - 5, ".json") == 0;
}

static void print_outcome(const struct import *im)
{
	char recipients[HUMAN_TEXT_MAX], messages[HUMAN_TEXT_MAX];
	bool dry = im->x->args.values[OPTION_DRY_RUN] != NULL;

	if (im->x->args.json) {
		json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:I, s:b}", "verb",
				      "import", "messages",
				      (json_int_t)im->messages, "recipients",
				      (json_int_t)im->recipients, "present",
				      (json_int_t)im->present, "refused",
				      (json_int_t)im->refused, "dry_run", dry);

		print_json(o);
		json_decref(o);
		return;
	}
	human_count(recipients, im->recipients, "recipient");
	human_count(messages, im->messages, "message");
	printf("%s %s in %s\n", dry ? "would import" : "imported", recipients,
	       messages);
	if (im->present > 0)
		printf("%" PRId64 " skipped: in the queue, or settled here\n",
		       im->present);
	if (im->refused > 0)
		printf("%" PRId64 " refused\n", im->refused);
}

static void import_each(struct import *im, struct dirent **names, int n)
{
	for (int i = 0; i < n; i++) {
		if (im->code == EXIT_DONE)
			import_message(im, names[i]->d_name);
		free(names[i]);
		if (!im->progress || (i + 1) % PROGRESS_EVERY != 0)
			continue;
		fprintf(stderr, "\rimported %d of %d ...", i + 1, n);
		fflush(stderr);
		im->shown = true;
	}
	if (im->shown)
		fputs("\r\033[K", stderr);
}

int run_queue_import(struct context *x)
{
	struct import im = {
		.x = x,
		.dir = x->args.rest[0],
		.progress = isatty(STDERR_FILENO) && !x->args.json,
	};
	struct dirent **names;
	uint64_t random;
	int n;

	im.dirfd = open(im.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	n = im.dirfd < 0 ? -1 : scandir(im.dir, &names, is_parcel, alphasort);
	if (n < 0) {
		complain("%s: %s", im.dir, strerror(errno));
		if (im.dirfd >= 0)
			close(im.dirfd);
		return EXIT_REFUSED;
	}
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		random = (uint64_t)x->now_ms;
	snprintf(im.batch, sizeof(im.batch), "%016" PRIx64, random);
	import_each(&im, names, n);
	free(names);
	close(im.dirfd);
	if (im.code != EXIT_DONE)
		return im.code;
	print_outcome(&im);
	return im.refused > 0 ? EXIT_REFUSED : EXIT_DONE;
}
