/* SPDX-License-Identifier: ISC */
/*
 * reply - reads the replies of servers and writes our own.
 *
 * A reply is heard line by line; nothing is taken from the input before the
 * line is whole, so that it makes no difference how the bytes arrive.
 */
#include "smtp/reply.h"

#include <stdio.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* The code of a line; 0: there is none.  RFC 5321 4.2.1. */
static int code_parse(struct span line)
{
	if (line.len < 3 || line.at[0] < '2' || line.at[0] > '5' ||
	    !is_digit(line.at[1]) || !is_digit(line.at[2]))
		return 0;
	if (line.len > 3 && line.at[3] != ' ' && line.at[3] != '-')
		return 0;
	return (line.at[0] - '0') * 100 + (line.at[1] - '0') * 10 +
	       (line.at[2] - '0');
}

/* One to three digits at s->at[*i]; moves *i behind them. */
static bool number_parse(struct span s, size_t *i, uint16_t *out)
{
	size_t start = *i;
	uint16_t n = 0;

	while (*i < s.len && *i - start < 3 && is_digit(s.at[*i])) {
		n = (uint16_t)(n * 10 + (s.at[*i] - '0'));
		(*i)++;
	}
	*out = n;
	return *i > start;
}

/*
 * The enhanced code at the front of text (RFC 2034); returns its length with
 * the space behind it, 0 if there is none.  Its class may differ from that of
 * the reply ("451 5.7.3" is said in the field) and is kept as it came.
 */
static size_t enhanced_parse(struct span s, struct reply *out)
{
	struct reply r = {.code = 0};
	size_t i = 2;

	if (s.len < 5 || s.at[1] != '.' ||
	    (s.at[0] != '2' && s.at[0] != '4' && s.at[0] != '5'))
		return 0;
	if (!number_parse(s, &i, &r.subject) || i >= s.len || s.at[i] != '.')
		return 0;
	i++;
	if (!number_parse(s, &i, &r.detail) || (i < s.len && s.at[i] != ' '))
		return 0;
	out->class = (uint8_t)(s.at[0] - '0');
	out->subject = r.subject;
	out->detail = r.detail;
	return i < s.len ? i + 1 : i;
}

static void text_add(struct reply *r, struct span s)
{
	for (size_t i = 0; i < s.len && r->len + 1 < sizeof(r->text); i++)
		r->text[r->len++] = s.at[i] != '\0' ? s.at[i] : '?';
	r->text[r->len] = '\0';
}

static void reply_clear(struct reply *r)
{
	r->code = 0;
	r->class = 0;
	r->subject = r->detail = 0;
	r->len = 0;
	r->text[0] = '\0';
}

static void first_line(struct reply *r, struct span text)
{
	size_t n = enhanced_parse(text, r);

	text_add(r, span_skip(text, n));
}

static void further_line(struct reply *r, struct span text)
{
	struct reply code = {.code = 0};
	size_t n = enhanced_parse(text, &code);

	if (code.class != r->class || code.subject != r->subject ||
	    code.detail != r->detail)
		n = 0;
	text_add(r, SPAN("\n"));
	text_add(r, span_skip(text, n));
}

static enum reply_result broken(struct reply_parser *p, struct span what)
{
	reply_clear(&p->reply);
	text_add(&p->reply, what);
	p->started = false;
	return REPLY_BROKEN;
}

static enum reply_result line_heard(struct reply_parser *p, struct span line)
{
	int code = code_parse(line);
	struct span text = span_skip(line, 4);

	if (code == 0)
		return broken(p, line);
	if (!p->started) {
		reply_clear(&p->reply);
		p->reply.code = code;
		p->started = true;
		p->lines = 1;
		first_line(&p->reply, text);
	} else if (code != p->reply.code || p->lines == REPLY_LINES_MAX) {
		/* RFC 5321 4.2.1: the code is the same on each line.  Where it
		 * is not, nobody knows which one is meant. */
		return broken(p, line);
	} else {
		p->lines++;
		further_line(&p->reply, text);
	}
	if (line.len > 3 && line.at[3] == '-')
		return REPLY_MORE;
	p->started = false;
	return REPLY_DONE;
}

void reply_parser_init(struct reply_parser *p)
{
	reply_clear(&p->reply);
	p->lines = 0;
	p->started = false;
}

enum reply_result reply_parse(struct reply_parser *p, struct span *in)
{
	enum reply_result result = REPLY_MORE;

	while (result == REPLY_MORE && in->len > 0) {
		bool too_long = in->len >= REPLY_LINE_MAX;
		const char *lf = memchr(in->at, '\n',
					too_long ? REPLY_LINE_MAX : in->len);
		struct span line = *in;

		if (lf == NULL && !too_long)
			break;
		if (lf == NULL) {
			*in = span_skip(*in, in->len);
			return broken(p, line);
		}
		line.len = (size_t)(lf - in->at);
		*in = span_skip(*in, line.len + 1);
		if (line.len > 0 && line.at[line.len - 1] == '\r')
			line.len--;
		result = line_heard(p, line);
	}
	return result;
}

void reply_line(struct buf *out, const struct reply *r)
{
	char line[REPLY_TEXT_MAX + 32];
	size_t room = out->max - out->len;
	int head = 0;
	size_t len;

	if (r->class != 0)
		head = snprintf(line, sizeof(line), "%d %u.%u.%u ", r->code,
				r->class, r->subject, r->detail);
	else if (r->code != 0)
		head = snprintf(line, sizeof(line), "%d ", r->code);
	BUG_ON(head < 0);
	len = (size_t)head;
	for (size_t i = 0; i < r->len; i++)
		line[len++] = r->text[i] != '\n' ? r->text[i] : ' ';
	while (len > 0 && line[len - 1] == ' ')
		len--;
	BUG_ON(!buf_add(out, (struct span){line, len < room ? len : room}));
}

void reply_from_err(struct buf *out, const struct err *e)
{
	int code = e->reply;

	BUG_ON(e->status == ST_OK);
	if (code == 0)
		code = e->status == ST_TEMP ? 451 : 550;
	/* RFC 2034 3: the class is the first digit of the reply. */
	BUG_ON(!buf_printf(out, "%d %d.%u.%u %s\r\n", code, code / 100,
			   e->subject, e->detail, e->text));
}
