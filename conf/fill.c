/* SPDX-License-Identifier: ISC */
/*
 * fill - turns the written options into the members of struct conf.
 *
 * The options' table says for each where its member is and how it is parsed,
 * so one loop fills every section, and another one frees it.
 */
#include "conf/fill.h"

#include <stdio.h>
#include <stdlib.h>

#include "conf/values.h"

enum { PRESET_MAX = 256 };

/* list_put() relies on it. */
#define COUNT_FOLLOWS(type, at, n)                                  \
	_Static_assert(offsetof(type, n) ==                         \
			       offsetof(type, at) + sizeof(void *), \
		       "a list's count stands behind its pointer")
COUNT_FOLLOWS(struct conf_strings, at, n);
COUNT_FOLLOWS(struct conf_durations, at_ms, n);
COUNT_FOLLOWS(struct conf_listener, addresses, naddresses);
COUNT_FOLLOWS(struct conf_listener, identities, nidentities);
COUNT_FOLLOWS(struct conf_listener, proxies, nproxies);
COUNT_FOLLOWS(struct conf_source, networks, nnetworks);
COUNT_FOLLOWS(struct conf_route, hosts, nhosts);
COUNT_FOLLOWS(struct conf_route, pins, npins);
_Static_assert(sizeof(enum conf_tls) == sizeof(unsigned) &&
		       sizeof(enum log_level) == sizeof(unsigned),
	       "words are stored as unsigned");

struct filling {
	struct conf *conf;
	enum fill_extent extent;
	struct complaints *to;
};

void complain_of(struct complaints *to, const struct section *s, size_t option,
		 const char *fmt, ...)
{
	const struct kind_row *row = kind_row(s->kind);
	struct conf_place place = s->place;
	char *text = NULL;
	va_list ap;

	if (option < OPTION_COUNT)
		place = section_place(s, option);
	va_start(ap, fmt);
	BUG_ON(vasprintf(&text, fmt, ap) < 0);
	va_end(ap);
	if (row->titled)
		complain(to, place, "%s \"%s\": %s", row->word, s->title, text);
	else
		complain(to, place, "%s%s%s", row->word, *row->word ? "." : "",
			 text);
	free(text);
}

static void complain_of_value(struct filling *f, const struct section *s,
			      const struct option *o, const struct value *v)
{
	const struct kind_row *row = kind_row(s->kind);
	char *why = value_refusal(o, v->text);

	if (row->titled)
		complain(f->to, v->place, "%s \"%s\": %s %s", row->word,
			 s->title, o->name, why);
	else
		complain(f->to, v->place, "%s%s%s %s", row->word,
			 *row->word ? "." : "", o->name, why);
	free(why);
}

/* Parses the values of a setting one behind the other into at. */
static size_t parse_values(struct filling *f, const struct section *s,
			   size_t option, char *at)
{
	const struct setting *set = section_setting(s, option);
	const struct option *o = option_row(option);
	size_t size = value_size(o), n = 0;

	for (size_t i = 0; i < set->nvalues; i++) {
		const struct value *v = &set->values[i];

		if (value_parse(o, f->conf, v->text, at + n * size))
			n++;
		else
			complain_of_value(f, s, o, v);
	}
	return n;
}

static size_t parse_preset(struct filling *f, const struct option *o, char *at)
{
	char words[PRESET_MAX];
	size_t n = 0;
	char *word, *rest;

	snprintf(words, sizeof(words), "%s", o->preset);
	word = option_is_list(o) ? strtok_r(words, " ", &rest) : words;
	while (word) {
		BUG_ON(!value_parse(o, f->conf, word, at + n * value_size(o)));
		n++;
		word = option_is_list(o) ? strtok_r(NULL, " ", &rest) : NULL;
	}
	return n;
}

static size_t count_words(const char *s)
{
	size_t n = 1;

	for (; *s; s++)
		n += *s == ' ';
	return n;
}

static void fill_list(struct filling *f, const struct section *s, size_t option,
		      char *base)
{
	const struct option *o = option_row(option);
	const struct setting *set = section_setting(s, option);
	size_t most = set->nvalues, n = 0;
	char *at = NULL;

	if (!set->written && o->preset)
		most = count_words(o->preset);
	if (most > 0)
		at = xcalloc(most, value_size(o));
	if (set->written && at)
		n = parse_values(f, s, option, at);
	else if (!set->written && o->preset)
		n = parse_preset(f, o, at);
	if (n == 0) {
		free(at);
		at = NULL;
	}
	list_put(base + o->field, at, n);
}

static void fill_scalar(struct filling *f, const struct section *s,
			size_t option, char *base)
{
	const struct option *o = option_row(option);
	char *at = base + o->field;

	if (section_has(s, option))
		(void)parse_values(f, s, option, at);
	else if (o->preset)
		(void)parse_preset(f, o, at);
}

static void fill_option(struct filling *f, const struct section *s,
			size_t option, char *base)
{
	const struct option *o = option_row(option);

	if (f->extent == FILL_VALUES_ONLY && value_is_reference(o))
		return;
	if (option_is_list(o))
		fill_list(f, s, option, base);
	else
		fill_scalar(f, s, option, base);
}

static void fill_section(struct filling *f, const struct section *s, void *base)
{
	const struct kind_row *row = kind_row(s->kind);

	for (size_t i = row->first; i < row->end; i++)
		fill_option(f, s, i, base);
	if (!row->titled)
		return;
	*(char **)(void *)((char *)base + row->name) = xstrdup(s->title);
	*(struct conf_place *)(void *)((char *)base + row->place) = s->place;
}

static size_t count_subs(const struct section *s, enum kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s->nsubs; i++)
		n += s->subs[i].kind == kind;
	return n;
}

/* Fills all sections of a kind into a new array. */
static void *fill_subs(struct filling *f, const struct section *s,
		       enum kind kind, size_t *n)
{
	const struct kind_row *row = kind_row(kind);
	size_t count = count_subs(s, kind);
	char *at = count > 0 ? xcalloc(count, row->size) : NULL;

	*n = 0;
	for (size_t i = 0; i < s->nsubs; i++)
		if (s->subs[i].kind == kind)
			fill_section(f, &s->subs[i], at + row->size * (*n)++);
	return at;
}

static void fill_sources(struct filling *f, const struct section *root)
{
	struct conf_listener *l = f->conf->listeners;

	for (size_t i = 0; i < root->nsubs; i++) {
		if (root->subs[i].kind != KIND_listener)
			continue;
		l->sources =
			fill_subs(f, &root->subs[i], KIND_source, &l->nsources);
		l++;
	}
}

static void *base_of(struct conf *c, enum kind kind)
{
	if (kind == KIND_queue)
		return &c->queue;
	if (kind == KIND_control)
		return &c->control;
	return c;
}

/* A second section of the kind was complained of; only the first counts. */
static void fill_untitled(struct filling *f, const struct section *root,
			  enum kind kind)
{
	for (size_t i = 0; i < root->nsubs; i++)
		if (root->subs[i].kind == kind) {
			fill_section(f, &root->subs[i], base_of(f->conf, kind));
			return;
		}
}

void fill_conf(struct conf *c, const struct section *root,
	       enum fill_extent extent, struct complaints *to)
{
	struct filling f = {c, extent, to};

	fill_section(&f, root, c);
	fill_untitled(&f, root, KIND_log);
	fill_untitled(&f, root, KIND_queue);
	fill_untitled(&f, root, KIND_control);
	/* what is referred to before what refers to it */
	c->identities = fill_subs(&f, root, KIND_identity, &c->nidentities);
	c->trusts = fill_subs(&f, root, KIND_trust, &c->ntrusts);
	c->listeners = fill_subs(&f, root, KIND_listener, &c->nlisteners);
	fill_sources(&f, root);
	c->routes = fill_subs(&f, root, KIND_route, &c->nroutes);
}

static void release_option(const struct option *o, char *base)
{
	size_t n;
	char *at;

	if (!option_is_list(o)) {
		value_release(o, base + o->field);
		return;
	}
	at = list_get(base + o->field, &n);
	for (size_t i = 0; i < n; i++)
		value_release(o, at + i * value_size(o));
	free(at);
}

static void release_section(enum kind kind, void *base)
{
	const struct kind_row *row = kind_row(kind);

	for (size_t i = row->first; i < row->end; i++)
		release_option(option_row(i), base);
	if (row->titled)
		free(*(char **)(void *)((char *)base + row->name));
}

static void release_array(enum kind kind, void *array, size_t n)
{
	for (size_t i = 0; i < n; i++)
		release_section(kind, (char *)array + i * kind_row(kind)->size);
	free(array);
}

void fill_release(struct conf *c)
{
	release_section(KIND_main, c);
	release_section(KIND_log, c);
	release_section(KIND_queue, &c->queue);
	release_section(KIND_control, &c->control);
	release_array(KIND_identity, c->identities, c->nidentities);
	release_array(KIND_trust, c->trusts, c->ntrusts);
	for (size_t i = 0; i < c->nlisteners; i++)
		release_array(KIND_source, c->listeners[i].sources,
			      c->listeners[i].nsources);
	release_array(KIND_listener, c->listeners, c->nlisteners);
	release_array(KIND_route, c->routes, c->nroutes);
}
