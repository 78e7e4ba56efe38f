/* SPDX-License-Identifier: ISC */
/*
 * command - splits a command line into its words.
 */
#include "smtp/command.h"

static bool is_control(char c)
{
	unsigned char u = (unsigned char)c;

	return (u < 0x20 && u != '\t') || u == 0x7f;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

bool command_parse(struct span line, struct command *out)
{
	size_t n = 0;

	for (size_t i = 0; i < line.len; i++)
		if (is_control(line.at[i]))
			return false;
	while (n < line.len && !is_blank(line.at[n]))
		n++;
	if (n == 0)
		return false;
	out->verb = (struct span){line.at, n};
	out->args = span_trim(span_skip(line, n));
	return true;
}

/* The next run of non-spaces, behind at least one space; an empty one at the
 * end of *s. False: there is no space where one must be. */
static bool word_take(struct span *s, struct span *out)
{
	size_t n = 0, start;

	while (n < s->len && s->at[n] == ' ')
		n++;
	if (n == 0 && s->len > 0)
		return false;
	start = n;
	while (n < s->len && s->at[n] != ' ')
		n++;
	*out = (struct span){s->at + start, n - start};
	*s = span_skip(*s, n);
	return true;
}

/* RFC 5321 4.1.2 esmtp-value, with the UTF-8 of RFC 6531 3.3. */
static bool value_valid(struct span s)
{
	while (s.len > 0) {
		size_t n = span_utf8(s);
		char c = s.at[0];

		if (n == 0 || (n == 1 && (c <= ' ' || c == '=' || c > '~')))
			return false;
		s = span_skip(s, n);
	}
	return true;
}

/* RFC 5321 4.1.2: esmtp-param. */
static bool param_parse(struct span word, struct param *out)
{
	size_t n = 0;

	while (n < word.len &&
	       (is_alnum(word.at[n]) || (n > 0 && word.at[n] == '-')))
		n++;
	out->keyword = (struct span){word.at, n};
	out->value = span_skip(word, n + 1);
	out->has_value = n < word.len;
	if (n == 0 || (n < word.len && word.at[n] != '='))
		return false;
	if (out->has_value && out->value.len == 0)
		return false;
	return value_valid(out->value);
}

static bool param_is_known(const struct param *params, size_t n,
			   struct span keyword)
{
	for (size_t i = 0; i < n; i++)
		if (span_eq_nocase(params[i].keyword, keyword))
			return true;
	return false;
}

static enum status refuse(struct err *e, const char *text)
{
	enum status st = err_perm(e, 5, 4, "%s", text);

	e->reply = 501;
	return st;
}

enum status params_parse(struct span s, struct param out[COMMAND_PARAMS_MAX],
			 size_t *n, struct err *e)
{
	size_t count = 0;

	while (s.len > 0) {
		struct span word;
		struct param p;

		if (!word_take(&s, &word))
			return refuse(e, "Parameters begin behind a space");
		if (word.len == 0)
			break;
		if (!param_parse(word, &p))
			return refuse(e, "Bad syntax of a parameter");
		if (param_is_known(out, count, p.keyword))
			return refuse(e, "A parameter was given twice");
		if (count == COMMAND_PARAMS_MAX)
			return refuse(e, "Too many parameters");
		out[count++] = p;
	}
	*n = count;
	return ST_OK;
}

bool number_parse(struct span s, uint64_t *out)
{
	uint64_t n = 0;

	if (s.len == 0 || s.len > 20)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		uint64_t digit = (uint64_t)(s.at[i] - '0');

		if (s.at[i] < '0' || s.at[i] > '9' ||
		    n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	*out = n;
	return true;
}
