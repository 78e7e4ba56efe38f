/* SPDX-License-Identifier: ISC */
/*
 * complain - says what is wrong with a configuration, and where.
 */
#include "conf/complain.h"

#include <stdio.h>
#include <stdlib.h>

enum { COMPLAINT_MAX = 4096 };

void complain_v(struct complaints *to, struct conf_place place, const char *fmt,
		va_list ap)
{
	struct buf line;
	char *text = NULL;
	bool fits;

	BUG_ON(vasprintf(&text, fmt, ap) < 0);
	buf_init(&line, COMPLAINT_MAX);
	fits = buf_add_escaped(&line, span_of(place.file));
	if (place.line > 0)
		fits = fits && buf_printf(&line, ":%d", place.line);
	fits = fits && buf_add(&line, SPAN(": ")) &&
	       buf_add_escaped(&line, span_of(text));
	if (!fits && !buf_add(&line, SPAN("...")))
		buf_clear(&line);
	free(text);
	text = buf_string(&line);
	to->count++;
	to->say(to->arg, text);
	free(text);
}

void complain(struct complaints *to, struct conf_place place, const char *fmt,
	      ...)
{
	va_list ap;

	va_start(ap, fmt);
	complain_v(to, place, fmt, ap);
	va_end(ap);
}
