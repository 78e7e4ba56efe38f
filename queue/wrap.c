/* SPDX-License-Identifier: ISC */
/*
 * wrap - words of others in lines that may stand in a message.
 */
#include "queue/wrap.h"

enum {
	COLUMN_MAX = 76,
	WORD_MAX = 900, /* a longer one is broken */
};

static void add(struct wrap *w, struct span s)
{
	if (buf_add(w->out, s))
		w->column += s.len;
}

static void new_line(struct wrap *w)
{
	add(w, SPAN("\r\n"));
	w->column = 0;
	add(w, span_of(w->indent));
}

void wrap_plain(struct wrap *w, const char *text)
{
	const char *last = strrchr(text, '\n');

	add(w, span_of(text));
	if (last != NULL)
		w->column = strlen(last + 1);
}

void wrap_end(struct wrap *w)
{
	add(w, SPAN("\r\n"));
	w->column = 0;
}

static bool is_blank(char c)
{
	return (unsigned char)c <= ' ' || c == 0x7f;
}

/* The next character of a word as it may be written; how many bytes of s it
 * takes. */
static size_t next_char(const struct wrap *w, struct span s, struct span *out)
{
	size_t n = (unsigned char)*s.at < 0x80 ? 1 : span_utf8(s);

	if (n == 1 || (n > 1 && w->utf8)) {
		*out = (struct span){s.at, n};
		return n;
	}
	*out = SPAN("?");
	return n > 0 ? n : 1;
}

static void add_word(struct wrap *w, struct span word)
{
	size_t indent = strlen(w->indent);

	if (w->column > indent && w->column + 1 + word.len > COLUMN_MAX)
		new_line(w);
	else if (w->column > indent)
		add(w, SPAN(" "));
	while (word.len > 0) {
		struct span c;

		if (w->column >= WORD_MAX)
			new_line(w);
		word = span_skip(word, next_char(w, word, &c));
		add(w, c);
	}
}

void wrap_words(struct wrap *w, struct span s, size_t max)
{
	if (s.len > max)
		s.len = max;
	while (s.len > 0) {
		size_t n = 0;

		while (n < s.len && !is_blank(s.at[n]))
			n++;
		if (n > 0)
			add_word(w, (struct span){s.at, n});
		while (n < s.len && is_blank(s.at[n]))
			n++;
		s = span_skip(s, n);
	}
}
