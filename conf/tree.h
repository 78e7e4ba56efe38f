/* SPDX-License-Identifier: ISC */
/*
 * tree - what stands in relayd.conf, as written: sections, options, values,
 * and the place of each.  The only part that knows libconfuse.
 *
 * Thread: one at a time; libconfuse keeps its state in globals.
 * Owns:   the tree owns all text but the names of files, which
 *         conf_strings `files` of tree_read() collects for its owner.
 */
#ifndef CONF_TREE_H
#define CONF_TREE_H

#include "conf/complain.h"
#include "conf/options.h"

struct value {
	char *text; /* owned */
	struct conf_place place;
};

struct setting {
	struct value *values; /* owned */
	size_t nvalues;
	bool written; /* even if with no value: {} */
};

struct section {
	enum kind kind;
	char *title; /* owned; "" without one */
	struct conf_place place;
	struct setting *settings; /* owned; one per option of the kind */
	struct section *subs; /* owned; in the order of the file */
	size_t nsubs;
};

/* Reads file and what it includes.  False when it could not be read to its
 * end, after a complaint; root then holds what was read before.  Untitled
 * sections are there even when they are not written. */
MUST_USE bool tree_read(struct section *root, const char *file,
			struct conf_strings *files, struct complaints *to);
/* Sets an option to a value as --set gives it: as it is, or, if it begins with
 * a brace or a quote, as it would be written in the file. */
MUST_USE bool tree_set(struct section *s, size_t option, const char *value,
		       struct conf_place place, struct complaints *to);
void tree_release(struct section *root);

struct setting *section_setting(const struct section *s, size_t option);
/* The first value's place; the section's if there is none. */
struct conf_place section_place(const struct section *s, size_t option);
bool section_has(const struct section *s, size_t option);

/* Remembers a file's name for the places in it. */
const char *files_add(struct conf_strings *files, const char *name);

#endif
