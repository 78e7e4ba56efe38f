/* SPDX-License-Identifier: ISC */
/*
 * err - fills error values with one clean line of text.
 */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

static bool is_control(struct span s, size_t len)
{
	unsigned char c = (unsigned char)s.at[0];

	if (len < 2)
		return c < 0x20 || c > 0x7E;
	return c == 0xC2 && (unsigned char)s.at[1] < 0xA0;
}

/* Also replaces what is not UTF-8, such as a character cut at the end. */
static void clean(char *text)
{
	struct span s;
	char *at = text;

	for (s = span_of(text); s.len > 0;) {
		size_t len = span_utf8(s);

		if (len == 0)
			len = 1;
		if (is_control(s, span_utf8(s)))
			memset(at, '?', len);
		at += len;
		s = span_skip(s, len);
	}
}

static enum status fill(struct err *e, const char *fmt, va_list ap)
	__attribute__((format(printf, 2, 0)));

static enum status fill(struct err *e, const char *fmt, va_list ap)
{
	int len = vsnprintf(e->text, sizeof(e->text), fmt, ap);

	if (len <= 0)
		snprintf(e->text, sizeof(e->text), "unknown error");
	clean(e->text);
	return e->status;
}

static void start(struct err *e, enum status st, int subject, int detail)
{
	BUG_ON(subject < 0 || subject > 7 || detail < 0 || detail > 255);
	*e = (struct err){.status = st,
			  .subject = (uint8_t)subject,
			  .detail = (uint8_t)detail};
}

enum status err_temp(struct err *e, int subject, int detail, const char *fmt,
		     ...)
{
	va_list ap;

	start(e, ST_TEMP, subject, detail);
	va_start(ap, fmt);
	fill(e, fmt, ap);
	va_end(ap);
	return ST_TEMP;
}

enum status err_perm(struct err *e, int subject, int detail, const char *fmt,
		     ...)
{
	va_list ap;

	start(e, ST_PERM, subject, detail);
	va_start(ap, fmt);
	fill(e, fmt, ap);
	va_end(ap);
	return ST_PERM;
}

enum status err_sys(struct err *e, int os, const char *fmt, ...)
{
	bool full = os == ENOSPC || os == EDQUOT;
	const char *why = strerrordesc_np(os);
	struct err what;
	va_list ap;

	start(&what, ST_TEMP, 3, full ? 1 : 0);
	va_start(ap, fmt);
	fill(&what, fmt, ap);
	va_end(ap);
	*e = what;
	e->os = os;
	if (snprintf(e->text, sizeof(e->text), "%s: %s", what.text,
		     why ? why : "unknown error") >= (int)sizeof(e->text))
		clean(e->text);
	return ST_TEMP;
}
