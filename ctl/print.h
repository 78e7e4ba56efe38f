/* SPDX-License-Identifier: ISC */
/*
 * print - tables for people: aligned, cut to the width of the terminal.
 *
 * The first rows are kept until there are enough to choose the widths of the
 * columns (or the table ends); the rest is printed as it comes, so memory
 * stays bounded however long a list is.  Everything printed is escaped: it
 * may be bytes of a peer.
 *
 * Without a width limit (a pipe) nothing is cut.
 *
 * Thread: none.
 */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include <stdio.h>

#include "base/bytes.h"

enum { TABLE_COLUMNS_MAX = 16 };

struct column {
	const char *title;
	enum { COLUMN_LEFT, COLUMN_RIGHT } align;
	unsigned min;                    /* may be cut down to it; 0: never */
	unsigned drop;                   /* when too narrow for all, the highest
					    is left out first; 0: never */
};

struct table;

/* columns are borrowed; width 0: no limit. */
MUST_USE struct table *table_new(FILE *out, const struct column *columns,
				 size_t ncolumns, unsigned width);
/* As many cells as columns; NULL is empty. Copied. */
void table_add(struct table *t, const char *const *cells);
/* A line below the row added last, wrapped: "   remedy: text". An empty text
 * is left out. */
void table_note(struct table *t, const char *label, const char *text);
/* Prints what is left and frees it; how many rows there were. */
size_t table_end(struct table *t);

/* Of the terminal at out, or $COLUMNS, or 80; 0 for a pipe without
 * $COLUMNS. */
unsigned print_width(FILE *out);
/* Escaped, on one line. */
void print_text(FILE *out, const char *text);
/* Several lines of a message: line ends stay, the rest is escaped. */
void print_lines(FILE *out, const char *text);
/* The text behind a prefix, wrapped at width with a hanging indent. */
void print_wrapped(FILE *out, const char *prefix, unsigned width,
		   const char *text);

#endif
