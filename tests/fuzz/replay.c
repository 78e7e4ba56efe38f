/* SPDX-License-Identifier: ISC */
/*
 * replay - runs a fuzz target with the inputs of its corpus, without libFuzzer.
 *
 *	fuzz_NAME [FILE ...]
 *
 * reads the files, or all of tests/fuzz/corpus/NAME, each whole and, if it is
 * short, cut at every length.  Each file is named before it is read, so that
 * the last name is that of the culprit; of files given as arguments the lengths
 * are, too.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { FILE_MAX_BYTES = 1024 * 1024, CUT_MAX_BYTES = 512 };

static bool shows_lengths;

/* In memory of its own, so that a sanitizer sees what is read behind it. */
static void feed(struct span s)
{
	uint8_t *copy = xmalloc(s.len > 0 ? s.len : 1);

	if (shows_lengths)
		printf("  %zu bytes\n", s.len);
	if (s.len > 0)
		memcpy(copy, s.at, s.len);
	(void)LLVMFuzzerTestOneInput(copy, s.len);
	free(copy);
}

static void replay(const char *path)
{
	FILE *f = fopen(path, "r");
	struct span s = {NULL, 0};
	char *bytes = xmalloc(FILE_MAX_BYTES);

	printf("%s\n", path);
	if (f == NULL) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		exit(1);
	}
	s = (struct span){bytes, fread(bytes, 1, FILE_MAX_BYTES, f)};
	fclose(f);
	feed(s);
	for (size_t n = 0; s.len <= CUT_MAX_BYTES && n < s.len; n++)
		feed((struct span){s.at, n});
	free(bytes);
}

static int is_input(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static unsigned replay_all(const char *target)
{
	struct dirent **names;
	char *dir = xasprintf("tests/fuzz/corpus/%s", target);
	int n = scandir(dir, &names, is_input, alphasort);

	if (n <= 0) {
		fprintf(stderr, "%s: no corpus\n", dir);
		exit(1);
	}
	for (int i = 0; i < n; i++) {
		char *path = xasprintf("%s/%s", dir, names[i]->d_name);

		replay(path);
		free(path);
		free(names[i]);
	}
	free(names);
	free(dir);
	return (unsigned)n;
}

int main(int argc, char **argv)
{
	const char *name = strrchr(argv[0], '/');
	unsigned n = (unsigned)argc - 1;

	name = name != NULL ? name + 1 : argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	shows_lengths = argc > 1;
	for (int i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc == 1)
		n = replay_all(name);
	printf("%u passed, 0 failed, 0 skipped\n", n);
	return 0;
}
