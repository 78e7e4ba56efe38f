/* SPDX-License-Identifier: ISC */
/*
 * tree - what stands in relayd.conf, as libconfuse reads it.
 *
 * libconfuse knows the line only while it parses, so callbacks note it then:
 * on_value() after each value, on_start() where a section begins.  For the
 * latter every section has a list option with a preset, which libconfuse
 * parses at the opening brace; its name cannot be written in a file, because
 * scan_text() lets no control byte pass.  Afterwards values and notes are
 * copied to our own tree.  Callbacks get no argument of ours: hence `now`.
 *
 * All options are strings or lists of strings to libconfuse; what they mean
 * is decided later, so that one bad value does not hide the others.
 *
 * include() is ours: that of libconfuse is relative to the working directory
 * and leaves its stack of files behind after an error.
 */
#include "conf/tree.h"

#include <confuse.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/scan.h"

enum { FILE_MAX_BYTES = 16 << 20, INCLUDE_DEPTH_MAX = 10 };

#define START_OPTION "\001"

struct note {
	const void *what; /* cfg_opt_t, or cfg_t of a section */
	size_t index, order;
	const char *text; /* the value when noted */
	struct conf_place place;
};

struct reading {
	struct conf_strings *files;
	struct complaints *to;
	struct note *notes; /* owned */
	size_t nnotes;
	unsigned depth; /* of includes */
	const struct conf_place *place; /* of all, if set */
};

static struct reading *now;

const char *files_add(struct conf_strings *files, const char *name)
{
	for (size_t i = 0; i < files->n; i++)
		if (strcmp(files->at[i], name) == 0)
			return files->at[i];
	files->at = xrealloc(files->at, files->n + 1, sizeof(*files->at));
	files->at[files->n] = xstrdup(name);
	return files->at[files->n++];
}

/* ---------------------------------------------------------- while parsing */

static struct conf_place here(const cfg_t *cfg)
{
	if (now->place)
		return *now->place;
	return (struct conf_place){files_add(now->files, cfg->filename),
				   cfg->line};
}

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static void on_error(cfg_t *cfg, const char *fmt, va_list ap)
{
	char *text = NULL;

	BUG_ON(vasprintf(&text, fmt, ap) < 0);
	if (cfg->title)
		complain(now->to, here(cfg), "%s \"%s\": %s", cfg->name,
			 cfg->title, text);
	else if (strcmp(cfg->name, "root") != 0)
		complain(now->to, here(cfg), "%s: %s", cfg->name, text);
	else
		complain(now->to, here(cfg), "%s", text);
	free(text);
}

/* A value is announced again at the end of its list. */
static void add_note(const cfg_t *cfg, const void *what, size_t index,
		     const char *text)
{
	size_t n = now->nnotes;
	const struct note *last = n > 0 ? &now->notes[n - 1] : NULL;

	if (last && last->what == what && last->index == index &&
	    last->text == text)
		return;
	now->notes = xrealloc(now->notes, n + 1, sizeof(*now->notes));
	now->notes[now->nnotes++] = (struct note){
		.what = what,
		.index = index,
		.order = n,
		.text = text,
		.place = here(cfg),
	};
}

static int by_what(const void *va, const void *vb)
{
	const struct note *a = va, *b = vb;

	if (a->what != b->what)
		return (uintptr_t)a->what < (uintptr_t)b->what ? -1 : 1;
	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* The place of the last note about it: what was written twice holds as it was
 * written last.  The notes are sorted. */
static struct conf_place noted(const void *what, size_t index,
			       struct conf_place otherwise)
{
	const struct note key = {
		.what = what, .index = index, .order = SIZE_MAX};
	size_t low = 0, high = now->nnotes;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (by_what(&now->notes[middle], &key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0 || now->notes[low - 1].what != what ||
	    now->notes[low - 1].index != index)
		return otherwise;
	return now->notes[low - 1].place;
}

/* Called after every value, and once more at the end of a list. */
static int on_value(cfg_t *cfg, cfg_opt_t *opt)
{
	size_t last = cfg_opt_size(opt) - 1;

	add_note(cfg, opt, last, cfg_opt_getnstr(opt, (unsigned)last));
	return 0;
}

static int on_start(cfg_t *cfg, cfg_opt_t *opt)
{
	(void)opt;
	add_note(cfg, cfg, 0, NULL);
	return 0;
}

static bool read_all(int fd, struct buf *text)
{
	enum { PIECE = 65536 };
	ssize_t n;

	do {
		char *room = buf_room(text, PIECE);

		if (!room) {
			errno = EFBIG;
			return false;
		}
		n = read(fd, room, PIECE);
		if (n > 0)
			buf_grew(text, (size_t)n);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n == 0;
}

/* The file's content; false leaves errno. */
static bool load(const char *file, struct buf *text)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	bool ok;
	int os;

	if (fd < 0)
		return false;
	ok = read_all(fd, text);
	os = errno;
	close(fd);
	errno = os;
	return ok;
}

/* Parses text as content of the section, as if it stood in file. */
static bool parse_text(cfg_t *cfg, const char *file, struct buf *text)
{
	size_t len = text->len;
	char *content = buf_string(text);
	char *outer_file = cfg->filename;
	int outer_line = cfg->line;
	struct conf_place first = {file, 1};
	FILE *fp;
	bool ok;

	if (now->place)
		first = *now->place;
	ok = scan_text(content, len, first, now->to);
	if (ok && len > 0) {
		fp = fmemopen(content, len, "r");
		BUG_ON(!fp);
		cfg->filename = xstrdup(file);
		ok = cfg_parse_fp(cfg, fp) == CFG_SUCCESS;
		fclose(fp);
		free(cfg->filename);
		cfg->filename = outer_file;
		cfg->line = outer_line;
	}
	free(content);
	return ok;
}

/* `name` as written in `in`: relative to the folder of that file. */
static char *beside(const char *in, const char *name)
{
	const char *slash = strrchr(in, '/');

	if (*name == '/' || !slash)
		return xstrdup(name);
	return xasprintf("%.*s/%s", (int)(slash - in), in, name);
}

static int on_include(cfg_t *cfg, cfg_opt_t *opt, int argc, const char **argv)
{
	struct buf text;
	char *file;
	bool ok;

	(void)opt;
	BUG_ON(argc != 1); /* scan_text() lets nothing else pass */
	if (now->depth == INCLUDE_DEPTH_MAX) {
		cfg_error(cfg,
			  "include(\"%s\") is nested too deeply; does a "
			  "file include itself?",
			  argv[0]);
		return -1;
	}
	buf_init(&text, FILE_MAX_BYTES);
	file = beside(cfg->filename, argv[0]);
	ok = load(file, &text);
	if (!ok)
		cfg_error(cfg, "include(\"%s\"): cannot read %s: %s", argv[0],
			  file, strerror(errno));
	now->depth++;
	ok = ok && parse_text(cfg, files_add(now->files, file), &text);
	now->depth--;
	buf_release(&text);
	free(file);
	return ok ? 0 : -1;
}

/* ----------------------------------------------------------------- schema */

static size_t count_subkinds(enum kind kind)
{
	size_t n = 0;

	for (unsigned k = 0; k < KIND_COUNT; k++)
		n += kind_row((enum kind)k)->parent == kind;
	return n;
}

static cfg_opt_t string_opt(const struct option *o)
{
	cfg_opt_t opt = CFG_STR(o->name, NULL, CFGF_NODEFAULT);

	if (option_is_list(o))
		opt.flags |= CFGF_LIST;
	opt.validcb = on_value;
	return opt;
}

static cfg_opt_t *schema_new(enum kind kind);

/* Untitled sections may stand many times, too, so that a second one can be
 * refused instead of being mixed with the first. */
static cfg_opt_t section_opt(enum kind kind)
{
	const struct kind_row *row = kind_row(kind);
	cfg_opt_t opt = CFG_SEC(row->word, NULL, CFGF_MULTI);

	if (row->titled)
		opt.flags |= CFGF_TITLE | CFGF_NO_TITLE_DUPES;
	opt.subopts = schema_new(kind);
	return opt;
}

static cfg_opt_t *schema_new(enum kind kind)
{
	static char start_preset[] = "{x}";
	const struct kind_row *row = kind_row(kind);
	const cfg_opt_t include = CFG_FUNC("include", on_include);
	cfg_opt_t start = CFG_STR_LIST(START_OPTION, start_preset, CFGF_NONE);
	const cfg_opt_t end = CFG_END();
	cfg_opt_t *opts, *next;

	opts = xcalloc(row->end - row->first + count_subkinds(kind) + 3,
		       sizeof(*opts));
	next = opts;
	for (size_t i = row->first; i < row->end; i++)
		*next++ = string_opt(option_row(i));
	for (unsigned k = 0; k < KIND_COUNT; k++)
		if (kind_row((enum kind)k)->parent == kind)
			*next++ = section_opt((enum kind)k);
	*next++ = include;
	start.validcb = on_start;
	if (kind != KIND_main)
		*next++ = start;
	*next = end;
	return opts;
}

static void schema_free(cfg_opt_t *opts)
{
	for (cfg_opt_t *opt = opts; opt->name; opt++)
		if (opt->subopts)
			schema_free(opt->subopts);
	free(opts);
}

/* ------------------------------------------------------------------- tree */

static void section_init(struct section *s, enum kind kind, const char *title,
			 struct conf_place place)
{
	const struct kind_row *row = kind_row(kind);

	*s = (struct section){.kind = kind,
			      .title = xstrdup(title ? title : ""),
			      .place = place};
	s->settings = xcalloc(row->end - row->first, sizeof(*s->settings));
}

static struct section *section_add(struct section *parent, enum kind kind,
				   const char *title, struct conf_place place)
{
	struct section *s;

	parent->subs = xrealloc(parent->subs, parent->nsubs + 1,
				sizeof(*parent->subs));
	s = &parent->subs[parent->nsubs++];
	section_init(s, kind, title, place);
	return s;
}

struct setting *section_setting(const struct section *s, size_t option)
{
	const struct kind_row *row = kind_row(s->kind);

	BUG_ON(option < row->first || option >= row->end);
	return &s->settings[option - row->first];
}

struct conf_place section_place(const struct section *s, size_t option)
{
	const struct setting *set = section_setting(s, option);

	return set->nvalues > 0 ? set->values[0].place : s->place;
}

bool section_has(const struct section *s, size_t option)
{
	return section_setting(s, option)->nvalues > 0;
}

static void setting_clear(struct setting *set)
{
	for (size_t i = 0; i < set->nvalues; i++)
		free(set->values[i].text);
	free(set->values);
	*set = (struct setting){.written = false};
}

static void setting_add(struct setting *set, const char *text,
			struct conf_place place)
{
	set->values =
		xrealloc(set->values, set->nvalues + 1, sizeof(*set->values));
	set->values[set->nvalues++] =
		(struct value){.text = xstrdup(text), .place = place};
	set->written = true;
}

void tree_release(struct section *s)
{
	const struct kind_row *row = kind_row(s->kind);

	for (size_t i = row->first; s->settings && i < row->end; i++)
		setting_clear(section_setting(s, i));
	for (size_t i = 0; i < s->nsubs; i++)
		tree_release(&s->subs[i]);
	free(s->settings);
	free(s->subs);
	free(s->title);
	*s = (struct section){.kind = s->kind};
}

static void copy_setting(struct setting *set, cfg_opt_t *opt,
			 struct conf_place fallback)
{
	setting_clear(set);
	for (unsigned i = 0; i < cfg_opt_size(opt); i++)
		setting_add(set, cfg_opt_getnstr(opt, i),
			    noted(opt, i, fallback));
	set->written = (opt->flags & CFGF_MODIFIED) != 0;
}

static void copy_section(struct section *s, cfg_t *cfg);

static void copy_subs(struct section *s, enum kind kind, cfg_t *cfg)
{
	const struct kind_row *row = kind_row(kind);
	unsigned count = cfg_size(cfg, row->word);

	for (unsigned i = 0; i < count; i++) {
		cfg_t *sub = cfg_getnsec(cfg, row->word, i);
		struct conf_place place = noted(sub, 0, s->place);

		if (!row->titled && i > 0)
			complain(now->to, place,
				 "section %s appears twice; write all its "
				 "options in one",
				 row->word);
		copy_section(section_add(s, kind, sub->title, place), sub);
	}
	if (!row->titled && count == 0)
		section_add(s, kind, NULL, s->place);
}

static void copy_section(struct section *s, cfg_t *cfg)
{
	const struct kind_row *row = kind_row(s->kind);

	for (size_t i = row->first; i < row->end; i++)
		copy_setting(section_setting(s, i),
			     cfg_getopt(cfg, option_row(i)->name), s->place);
	for (unsigned k = 0; k < KIND_COUNT; k++)
		if (kind_row((enum kind)k)->parent == s->kind)
			copy_subs(s, (enum kind)k, cfg);
}

/* libconfuse returns NULL only when it has no memory. */
static cfg_t *parser_new(cfg_opt_t *schema)
{
	cfg_t *cfg = cfg_init(schema, CFGF_NONE);

	BUG_ON(!cfg);
	cfg_set_error_function(cfg, on_error);
	return cfg;
}

bool tree_read(struct section *root, const char *file,
	       struct conf_strings *files, struct complaints *to)
{
	struct conf_place whole = {files_add(files, file), 0};
	struct reading reading = {.files = files, .to = to};
	cfg_opt_t *schema = schema_new(KIND_main);
	struct buf text;
	cfg_t *cfg;
	bool ok;

	now = &reading;
	buf_init(&text, FILE_MAX_BYTES);
	cfg = parser_new(schema);
	section_init(root, KIND_main, NULL, whole);
	ok = load(file, &text);
	if (ok)
		ok = parse_text(cfg, whole.file, &text);
	else
		complain(to, whole, "cannot be read: %s", strerror(errno));
	if (reading.nnotes > 0)
		qsort(reading.notes, reading.nnotes, sizeof(*reading.notes),
		      by_what);
	copy_section(root, cfg);
	cfg_free(cfg);
	schema_free(schema);
	free(reading.notes);
	buf_release(&text);
	now = NULL;
	return ok;
}

/* Has libconfuse read `value` as it would after "name =" in a file. */
static bool set_parsed(struct setting *set, const struct option *o,
		       struct buf *text)
{
	cfg_opt_t schema[] = {string_opt(o), CFG_END()};
	cfg_t *cfg = parser_new(schema);
	bool ok;

	ok = parse_text(cfg, now->place->file, text);
	/* with no notes sorted, all values stand at the given place */
	now->nnotes = 0;
	if (ok)
		copy_setting(set, cfg_getopt(cfg, o->name), *now->place);
	cfg_free(cfg);
	return ok;
}

bool tree_set(struct section *s, size_t option, const char *value,
	      struct conf_place place, struct complaints *to)
{
	const struct option *o = option_row(option);
	struct setting *set = section_setting(s, option);
	struct conf_strings files = {.n = 0};
	struct reading reading = {.files = &files, .to = to, .place = &place};
	struct buf text;
	bool ok;

	if (!strchr("{\"'", *value) || *value == '\0') {
		setting_clear(set);
		setting_add(set, value, place);
		return true;
	}
	now = &reading;
	buf_init(&text, FILE_MAX_BYTES);
	ok = buf_printf(&text, "%s = %s", o->name, value);
	BUG_ON(!ok);
	ok = set_parsed(set, o, &text);
	buf_release(&text);
	free(reading.notes);
	now = NULL;
	return ok;
}
