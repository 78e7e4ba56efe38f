/* SPDX-License-Identifier: ISC */
/*
 * conf - the life of a configuration, and what is looked up in it.
 *
 * Reading goes in steps: tree.c has libconfuse parse the file, override.c
 * puts --set in, fill.c turns text into values, check.c compares the values.
 */
#include "conf/conf.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "conf/check.h"
#include "conf/fill.h"
#include "conf/override.h"

struct box {
	struct conf conf;
	atomic_uint refs;
	struct conf_strings files; /* names that places point to */
};

static struct box *box_of(struct conf *c)
{
	return CONTAINER_OF(c, struct box, conf);
}

struct conf *conf_ref(struct conf *c)
{
	atomic_fetch_add(&box_of(c)->refs, 1);
	return c;
}

void conf_unref(struct conf *c)
{
	struct box *box;

	if (!c)
		return;
	box = box_of(c);
	if (atomic_fetch_sub(&box->refs, 1) > 1)
		return;
	fill_release(c);
	free(c->file);
	for (size_t i = 0; i < box->files.n; i++)
		free(box->files.at[i]);
	free(box->files.at);
	free(box);
}

struct conf *conf_read(const char *file, const char *const *overrides,
		       size_t noverrides, conf_complain *say, void *arg)
{
	struct complaints to = {.say = say, .arg = arg};
	struct box *box = xcalloc(1, sizeof(*box));
	struct conf *c = &box->conf;
	struct section root;
	bool whole;

	atomic_init(&box->refs, 1);
	c->file = xstrdup(file);
	whole = tree_read(&root, file, &box->files, &to);
	for (size_t i = 0; whole && i < noverrides; i++)
		if (!override_apply(&root, overrides[i], &box->files, &to))
			BUG_ON(to.count == 0);
	fill_conf(c, &root, whole ? FILL_ALL : FILL_VALUES_ONLY, &to);
	if (whole)
		check_conf(c, &root, &to);
	else if (to.count == 0)
		complain(&to, root.place, "cannot be parsed");
	tree_release(&root);
	if (to.count > 0) {
		conf_unref(c);
		c = NULL;
	}
	return c;
}

const char *conf_tls_word(enum conf_tls t)
{
	static const char *const words[] = {
		[CONF_TLS_OFF] = "off",
		[CONF_TLS_OPPORTUNISTIC] = "opportunistic",
		[CONF_TLS_FORCED] = "forced",
		[CONF_TLS_IMPLICIT] = "implicit",
	};

	BUG_ON((size_t)t >= ARRAY_LEN(words));
	return words[t];
}

const char *conf_verify_word(enum conf_verify v)
{
	static const char *const words[] = {
		[CONF_VERIFY_NONE] = "none",
		[CONF_VERIFY_CA] = "ca",
		[CONF_VERIFY_NAME] = "name",
	};

	BUG_ON((size_t)v >= ARRAY_LEN(words));
	return words[v];
}

/* How well a pattern fits: 0 not at all, then "*", then the longer suffix,
 * then the exact name. */
static size_t fit(const char *pattern, const char *domain)
{
	size_t pattern_len = strlen(pattern), len = strlen(domain);
	const char *suffix = pattern + 1;

	if (strcmp(pattern, domain) == 0)
		return SIZE_MAX;
	if (strcmp(pattern, "*") == 0)
		return 1;
	if (pattern[0] != '*' || len < pattern_len)
		return 0;
	return strcmp(domain + len - strlen(suffix), suffix) == 0 ? pattern_len
								  : 0;
}

bool conf_domain_matches(const char *pattern, const char *domain)
{
	return fit(pattern, domain) > 0;
}

const struct conf_route *conf_route_for(const struct conf *c,
					const char *domain)
{
	const struct conf_route *best = NULL;
	size_t best_fit = 0;

	for (size_t i = 0; i < c->nroutes; i++) {
		const struct conf_strings *domains = &c->routes[i].domains;

		for (size_t d = 0; d < domains->n; d++) {
			size_t f = fit(domains->at[d], domain);

			if (f > best_fit) {
				best_fit = f;
				best = &c->routes[i];
			}
		}
	}
	return best;
}

const struct conf_route *conf_route_named(const struct conf *c,
					  const char *name)
{
	for (size_t i = 0; i < c->nroutes; i++)
		if (strcmp(c->routes[i].name, name) == 0)
			return &c->routes[i];
	return NULL;
}
