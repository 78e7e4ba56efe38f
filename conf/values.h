/* SPDX-License-Identifier: ISC */
/*
 * values - the text of an option as the member of struct conf it stands for.
 */
#ifndef CONF_VALUES_H
#define CONF_VALUES_H

#include "conf/options.h"

/* One value (an element, for lists) to *out, which is of the type's size and
 * left alone when false.  Names of sections are looked up in c. */
MUST_USE bool value_parse(const struct option *o, const struct conf *c,
			  const char *text, void *out);
size_t value_size(const struct option *o);
/* Frees what the value owns. */
void value_release(const struct option *o, void *value);
/* Does it refer to another section? */
bool value_is_reference(const struct option *o);
/* "expects a duration such as 30s, not "5x"": why text was refused. */
MUST_USE char *value_refusal(const struct option *o, const char *text);

/* Lists are a pointer and, behind it, a count; the array is owned. */
void list_put(void *field, void *at, size_t n);
void *list_get(const void *field, size_t *n);

bool value_is_host_name(const char *text);
/* SHA-256 in hex or base64, also behind "sha256:"; false: it is none, and out
 * is left alone. */
MUST_USE bool pin_parse(const char *text, uint8_t out[32]);

#endif
