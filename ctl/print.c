/* SPDX-License-Identifier: ISC */
/*
 * print - tables for people: aligned, cut to the width of the terminal.
 *
 * A character is taken to be one column wide: right for Latin, Greek and
 * Cyrillic; East Asian text only shifts its own line.
 */
#include "ctl/print.h"

#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	FIRST_PAGE = 500, /* rows that decide the widths */
	CELL_MAX = 4096,
	WIDTH_MIN = 20,
	WIDTH_USUAL = 80,
	NOTE_INDENT = 3,
};

/* A row, or a note to the row before. */
struct line {
	char *cells[TABLE_COLUMNS_MAX]; /* owned, escaped; a note has two */
	bool is_note;
};

struct table {
	FILE *out;
	const struct column *columns;
	size_t n;
	unsigned width;
	size_t rows; /* added so far */

	struct line *page; /* owned; NULL when printed */
	size_t nlines;
	unsigned widths[TABLE_COLUMNS_MAX]; /* 0: left out */
};

/* ------- text */

static char *escape(const char *text)
{
	struct span s = {text, strnlen(text, CELL_MAX)};
	struct buf b;

	buf_init(&b, (size_t)CELL_MAX * 4);
	BUG_ON(!buf_add_escaped(&b, s));
	return buf_string(&b);
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static unsigned columns_of(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += !is_continuation(*text);
	return n;
}

/* How many bytes the first n characters take. */
static size_t bytes_of(const char *text, unsigned n)
{
	size_t i = 0;

	while (text[i]) {
		if (!is_continuation(text[i]) && n-- == 0)
			break;
		i++;
	}
	return i;
}

void print_text(FILE *out, const char *text)
{
	char *escaped = escape(text);

	fputs(escaped, out);
	free(escaped);
}

/* Tabs stand in headers and text, and do no harm. */
static void print_line_of_text(FILE *out, struct span line)
{
	struct buf b;

	buf_init(&b, line.len * 4 + 1);
	while (line.len > 0) {
		const char *tab = memchr(line.at, '\t', line.len);
		size_t n = tab ? (size_t)(tab - line.at) : line.len;

		BUG_ON(!buf_add_escaped(&b, (struct span){line.at, n}));
		line = span_skip(line, n);
		if (tab) {
			BUG_ON(!buf_add(&b, SPAN("\t")));
			line = span_skip(line, 1);
		}
	}
	fwrite(buf_span(&b).at, 1, b.len, out);
	fputc('\n', out);
	buf_release(&b);
}

void print_lines(FILE *out, const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		struct span line = {text, len};

		if (len > 0 && text[len - 1] == '\r')
			line.len--;
		print_line_of_text(out, line);
		text += len + (text[len] == '\n');
	}
}

void print_wrapped(FILE *out, const char *prefix, unsigned width,
		   const char *text)
{
	char *escaped = escape(text);
	const char *rest = escaped;
	unsigned hang = columns_of(prefix);
	unsigned room = width > hang + WIDTH_MIN ? width - hang : 0;

	fputs(prefix, out);
	while (room > 0 && columns_of(rest) > room) {
		size_t len = bytes_of(rest, room);
		size_t cut = len;

		while (cut > 0 && rest[cut] != ' ')
			cut--;
		if (cut == 0)
			cut = len;
		fprintf(out, "%.*s\n%*s", (int)cut, rest, (int)hang, "");
		rest += cut;
		rest += *rest == ' ';
	}
	fprintf(out, "%s\n", rest);
	free(escaped);
}

unsigned print_width(FILE *out)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;
	unsigned long n = 0;

	if (isatty(fileno(out)) && ioctl(fileno(out), TIOCGWINSZ, &size) == 0)
		n = size.ws_col;
	if (n == 0 && columns && columns[0] >= '1' && columns[0] <= '9')
		n = strtoul(columns, NULL, 10);
	if (n == 0)
		return isatty(fileno(out)) ? WIDTH_USUAL : 0;
	if (n > 100000)
		return 0;
	return n < WIDTH_MIN ? WIDTH_MIN : (unsigned)n;
}

/* ------- widths */

static void natural_widths(struct table *t)
{
	for (size_t c = 0; c < t->n; c++) {
		t->widths[c] = columns_of(t->columns[c].title);
		for (size_t i = 0; i < t->nlines; i++) {
			unsigned w;

			if (t->page[i].is_note)
				continue;
			w = columns_of(t->page[i].cells[c]);
			if (w > t->widths[c])
				t->widths[c] = w;
		}
	}
}

static unsigned total_width(const struct table *t)
{
	unsigned total = 0;

	for (size_t c = 0; c < t->n; c++)
		if (t->widths[c] > 0)
			total += t->widths[c] + (total > 0);
	return total;
}

/* Takes one from the widest that may give; false: none may. */
static bool shrink(struct table *t)
{
	size_t widest = t->n;

	for (size_t c = 0; c < t->n; c++) {
		if (t->columns[c].min == 0 || t->widths[c] <= t->columns[c].min)
			continue;
		if (widest == t->n || t->widths[c] > t->widths[widest])
			widest = c;
	}
	if (widest == t->n)
		return false;
	t->widths[widest]--;
	return true;
}

static bool drop(struct table *t, bool *dropped)
{
	size_t first = t->n;

	for (size_t c = 0; c < t->n; c++) {
		if (dropped[c] || t->columns[c].drop == 0)
			continue;
		if (first == t->n ||
		    t->columns[c].drop > t->columns[first].drop)
			first = c;
	}
	if (first == t->n)
		return false;
	dropped[first] = true;
	return true;
}

static void choose_widths(struct table *t)
{
	bool dropped[TABLE_COLUMNS_MAX] = {false};

	do {
		natural_widths(t);
		for (size_t c = 0; c < t->n; c++)
			if (dropped[c])
				t->widths[c] = 0;
		if (t->width == 0)
			return;
		while (total_width(t) > t->width && shrink(t))
			continue;
	} while (total_width(t) > t->width && drop(t, dropped));
}

/* ------- lines */

/* One that was cut ends in '+'. */
static void print_cell(const struct table *t, size_t c, const char *cell,
		       bool last)
{
	unsigned width = t->widths[c], used = columns_of(cell);
	int pad;

	if (used > width && t->width > 0) {
		fwrite(cell, 1, bytes_of(cell, width - 1), t->out);
		fputc('+', t->out);
		return;
	}
	pad = used < width ? (int)(width - used) : 0;
	if (t->columns[c].align == COLUMN_RIGHT)
		fprintf(t->out, "%*s%s", pad, "", cell);
	else
		fprintf(t->out, "%s%*s", cell, last ? 0 : pad, "");
}

static void print_cells(const struct table *t, char *const *cells)
{
	size_t last = 0;
	bool any = false;

	/* No blanks at the end of a line. */
	for (size_t c = 0; c < t->n; c++)
		if (t->widths[c] > 0 && cells[c][0] != '\0')
			last = c;
	for (size_t c = 0; c <= last; c++) {
		if (t->widths[c] == 0)
			continue;
		if (any)
			fputc(' ', t->out);
		print_cell(t, c, cells[c], c == last);
		any = true;
	}
	fputc('\n', t->out);
}

static void print_line(const struct table *t, const struct line *l)
{
	if (l->is_note)
		print_wrapped(t->out, l->cells[0], t->width, l->cells[1]);
	else
		print_cells(t, l->cells);
}

static void line_release(struct line *l)
{
	for (size_t c = 0; c < TABLE_COLUMNS_MAX; c++)
		free(l->cells[c]);
}

static void print_titles(const struct table *t)
{
	char *titles[TABLE_COLUMNS_MAX];

	for (size_t c = 0; c < t->n; c++)
		titles[c] = xstrdup(t->columns[c].title);
	print_cells(t, titles);
	for (size_t c = 0; c < t->n; c++)
		free(titles[c]);
}

static void print_page(struct table *t)
{
	choose_widths(t);
	if (t->rows > 0)
		print_titles(t);
	for (size_t i = 0; i < t->nlines; i++) {
		print_line(t, &t->page[i]);
		line_release(&t->page[i]);
	}
	free(t->page);
	t->page = NULL;
}

static void add_line(struct table *t, struct line *l)
{
	if (!t->page) {
		print_line(t, l);
		line_release(l);
		return;
	}
	t->page[t->nlines++] = *l;
	if (t->nlines == FIRST_PAGE)
		print_page(t);
}

/* ------- tables */

struct table *table_new(FILE *out, const struct column *columns,
			size_t ncolumns, unsigned width)
{
	struct table *t = xcalloc(1, sizeof(*t));

	BUG_ON(ncolumns == 0 || ncolumns > TABLE_COLUMNS_MAX);
	t->out = out;
	t->columns = columns;
	t->n = ncolumns;
	t->width = width;
	t->page = xcalloc(FIRST_PAGE, sizeof(*t->page));
	return t;
}

void table_add(struct table *t, const char *const *cells)
{
	struct line l = {.is_note = false};

	for (size_t c = 0; c < t->n; c++)
		l.cells[c] = escape(cells[c] ? cells[c] : "");
	t->rows++;
	add_line(t, &l);
}

void table_note(struct table *t, const char *label, const char *text)
{
	struct line l = {.is_note = true};

	if (!text || text[0] == '\0')
		return;
	/* Printed by print_wrapped(), which escapes. */
	l.cells[0] = xasprintf("%*s%s: ", NOTE_INDENT, "", label);
	l.cells[1] = xstrdup(text);
	add_line(t, &l);
}

size_t table_end(struct table *t)
{
	size_t rows = t->rows;

	if (t->page)
		print_page(t);
	free(t);
	return rows;
}
