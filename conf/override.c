/* SPDX-License-Identifier: ISC */
/*
 * override - finds the option that a --set KEY=VALUE means.
 */
#include "conf/override.h"

#include <stdlib.h>

static bool find_option(enum kind kind, const char *name, size_t *out)
{
	const struct kind_row *row = kind_row(kind);

	for (size_t i = row->first; i < row->end; i++)
		if (strcmp(option_row(i)->name, name) == 0) {
			*out = i;
			return true;
		}
	return false;
}

/* Takes "word." from the front of *key. */
static bool take_word(const char **key, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(*key, word, len) != 0 || (*key)[len] != '.')
		return false;
	*key += len + 1;
	return true;
}

/* Titles may hold dots, so a key is compared with what there is instead of
 * being cut at its dots. */
static struct section *find(struct section *s, const char *key, size_t *option)
{
	if (find_option(s->kind, key, option))
		return s;
	for (size_t i = 0; i < s->nsubs; i++) {
		struct section *sub = &s->subs[i];
		const struct kind_row *row = kind_row(sub->kind);
		const char *rest = key;
		struct section *found;

		if (!take_word(&rest, row->word))
			continue;
		if (row->titled && !take_word(&rest, sub->title))
			continue;
		found = find(sub, rest, option);
		if (found)
			return found;
	}
	return NULL;
}

bool override_apply(struct section *root, const char *assignment,
		    struct conf_strings *files, struct complaints *to)
{
	const char *equals = strchr(assignment, '=');
	struct conf_place place = {.line = 0};
	struct section *s;
	char *key, *name;
	bool ok = false;
	size_t option;

	key = equals ? xstrndup(assignment, (size_t)(equals - assignment))
		     : xstrdup(assignment);
	name = xasprintf("--set %s", key);
	place.file = files_add(files, name);
	s = find(root, key, &option);
	if (!equals)
		complain(to, place, "expects KEY=VALUE");
	else if (!s)
		complain(to, place, "there is no such option or section");
	else
		ok = tree_set(s, option, equals + 1, place, to);
	free(key);
	free(name);
	return ok;
}
