/* SPDX-License-Identifier: ISC */
/*
 * scan - makes the text of a configuration fit for libconfuse.
 *
 * The lexer of libconfuse 3.3 has six habits that we keep from our users:
 *  - it counts a comment as several lines, so all places after it are wrong,
 *    and takes a comment within a list for a syntax error: comments are
 *    blanked here;
 *  - it drops what is in no token, so that an unquoted *.example.com becomes
 *    .example.com: refused;
 *  - after a string, or an escape in it, that it does not understand it stays
 *    within the string, also for the next file: refused;
 *  - a string may go on over the line's end, so a forgotten quote is found
 *    far from where it is: refused;
 *  - it takes the end of the file for the end of all sections, so that half
 *    of a file would do: refused;
 *  - it loses memory when the brackets of include() hold anything else than
 *    they should: refused.
 */
#include "conf/scan.h"

enum { BRACES_MAX = 8 };

struct scan {
	char *at, *end;
	bool in_word; /* the byte before is of a word */
	struct conf_place place;
	bool has_lines;
	int braces[BRACES_MAX]; /* the lines of the open ones */
	size_t nbraces;
	struct complaints *to;
};

static bool refuse(struct scan *s, int line, const char *text)
{
	struct conf_place place = {s->place.file, s->has_lines ? line : 0};

	complain(s->to, place, "%s", text);
	return false;
}

/* The byte n further on, '\0' behind the end. */
static char peek(const struct scan *s, size_t n)
{
	return n < (size_t)(s->end - s->at) ? s->at[n] : '\0';
}

static void skip_line_comment(struct scan *s)
{
	while (s->at < s->end && *s->at != '\n')
		*s->at++ = ' ';
}

static bool skip_block_comment(struct scan *s)
{
	int line = s->place.line;

	while (s->at < s->end && !(*s->at == '*' && peek(s, 1) == '/')) {
		if (*s->at == '\n')
			s->place.line++;
		else
			*s->at = ' ';
		s->at++;
	}
	if (s->at == s->end)
		return refuse(s, line, "this comment has no end");
	*s->at++ = ' ';
	*s->at++ = ' ';
	return true;
}

/* At "${": the lexer takes all up to the next brace, wherever that is. */
static bool skip_variable(struct scan *s)
{
	for (s->at += 2; s->at < s->end && *s->at != '}'; s->at++)
		if (strchr("\n\"'{", *s->at))
			break;
	if (peek(s, 0) != '}')
		return refuse(s, s->place.line,
			      "${ begins the name of an environment variable; "
			      "its } is missing");
	s->at++;
	return true;
}

/* At a backslash in a string. */
static bool skip_escape(struct scan *s, char quote)
{
	char c = peek(s, 1);

	if (quote == '"' && ((c >= '0' && c <= '9') || c == 'x'))
		return refuse(s, s->place.line,
			      "bytes by number are not understood in strings");
	if (c == '\n')
		s->place.line++;
	s->at += s->end - s->at > 1 ? 2 : 1;
	return true;
}

/* At the opening quote; leaves s behind the closing one. */
static bool skip_string(struct scan *s)
{
	char quote = *s->at++;
	int line = s->place.line;
	bool ok = true;

	while (ok && s->at < s->end && *s->at != quote && *s->at != '\n') {
		if (*s->at == '\\')
			ok = skip_escape(s, quote);
		else if (quote == '"' && *s->at == '$' && peek(s, 1) == '{')
			ok = skip_variable(s);
		else
			s->at++;
	}
	if (!ok)
		return false;
	if (peek(s, 0) != quote)
		return refuse(s, line,
			      "the closing quote of a string is "
			      "missing on this line");
	s->at++;
	return true;
}

static bool is_word_byte(char c)
{
	return !strchr(" #\"'\t\n\r={}()+,*", c);
}

static void skip_blanks(struct scan *s)
{
	while (peek(s, 0) == ' ' || peek(s, 0) == '\t')
		s->at++;
}

/* At a bracket: include() has the only ones. */
static bool skip_brackets(struct scan *s)
{
	s->in_word = false;
	s->at++;
	skip_blanks(s);
	if (peek(s, 0) == '"' || peek(s, 0) == '\'') {
		if (!skip_string(s))
			return false;
		skip_blanks(s);
		if (peek(s, 0) == ')') {
			s->at++;
			return true;
		}
	}
	return refuse(s, s->place.line,
		      "include expects one file name, in quotes");
}

/* Only what is left open matters; libconfuse finds the rest. */
static bool skip_brace(struct scan *s)
{
	s->in_word = false;
	if (*s->at++ == '{') {
		if (s->nbraces == BRACES_MAX)
			return refuse(s, s->place.line,
				      "too many { within "
				      "each other");
		s->braces[s->nbraces++] = s->place.line;
	} else if (s->nbraces > 0) {
		s->nbraces--;
	}
	return true;
}

static bool skip_plain(struct scan *s)
{
	char c = *s->at;

	if (c == '*' || (c == '+' && peek(s, 1) != '='))
		return refuse(s, s->place.line,
			      "a value with * or + must stand in quotes");
	s->in_word = is_word_byte(c);
	s->at++;
	return true;
}

static bool skip_one(struct scan *s)
{
	char c = *s->at, next = peek(s, 1);

	if (c == '#' || (c == '/' && next == '/' && !s->in_word)) {
		skip_line_comment(s);
	} else if (c == '/' && next == '*') {
		s->in_word = false;
		*s->at++ = ' ';
		*s->at++ = ' ';
		return skip_block_comment(s);
	} else if (c == '"' || c == '\'') {
		s->in_word = false;
		return skip_string(s);
	} else if (c == '$' && next == '{') {
		return skip_variable(s);
	} else if (c == '(') {
		return skip_brackets(s);
	} else if (c == '{' || c == '}') {
		return skip_brace(s);
	} else {
		if (c == '\n')
			s->place.line++;
		return skip_plain(s);
	}
	return true;
}

static bool has_no_controls(struct scan *s)
{
	int line = s->place.line;

	for (const char *at = s->at; at < s->end; at++) {
		unsigned char c = (unsigned char)*at;

		if (c == '\n')
			line++;
		else if ((c < 0x20 && c != '\t' && c != '\r') || c == 0x7F)
			return refuse(s, line,
				      "a control byte; is this a "
				      "text file?");
	}
	return true;
}

bool scan_text(char *text, size_t len, struct conf_place first,
	       struct complaints *to)
{
	struct scan s = {.at = text,
			 .end = text + len,
			 .place = first,
			 .has_lines = first.line > 0,
			 .to = to};

	if (!has_no_controls(&s))
		return false;
	while (s.at < s.end)
		if (!skip_one(&s))
			return false;
	if (s.nbraces > 0)
		return refuse(&s, s.braces[s.nbraces - 1],
			      "this { is never closed");
	return true;
}
