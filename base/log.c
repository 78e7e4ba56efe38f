/* SPDX-License-Identifier: ISC */
/*
 * log - builds a line, remembers it, writes it if its level is wanted.
 *
 * A line is complete before it is written, so nothing is locked while
 * standard error blocks.  Values and lines have a maximum; a field that does
 * not fit is left out whole, so that a JSON line is always valid JSON.
 *
 * The ring keeps lines of every level: when something breaks, the debug lines
 * before it are there, whatever the level was.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"

enum {
	VALUE_MAX = 2048, /* bytes of a value before escaping */
	LINE_MAX_BYTES = 16384,
	LINE_USUAL_BYTES = 512,
	LINE_END_ROOM = 2, /* "}" and the line end */
	RING_LINES = 64,
	RING_LINE_MAX = 1024, /* longer lines are cut in the ring */
};

static _Atomic int wanted_level = LOG_INFO;
static _Atomic int line_format = LOG_LOGFMT;

static pthread_mutex_t ring_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char lines[RING_LINES][RING_LINE_MAX];
	size_t lens[RING_LINES];
	size_t next; /* counts all lines ever */
} ring; /* under ring_lock */

static const char *const level_words[] = {
	[LOG_DEBUG] = "debug",
	[LOG_INFO] = "info",
	[LOG_WARN] = "warn",
	[LOG_ERROR] = "error",
};

void log_set_level(enum log_level level)
{
	atomic_store(&wanted_level, (int)level);
}

enum log_level log_level(void)
{
	return (enum log_level)atomic_load(&wanted_level);
}

bool log_enabled(enum log_level level)
{
	return level >= log_level();
}

void log_set_format(enum log_format format)
{
	atomic_store(&line_format, (int)format);
}

bool log_level_parse(const char *word, enum log_level *out)
{
	for (size_t i = 0; i < ARRAY_LEN(level_words); i++)
		if (strcmp(word, level_words[i]) == 0) {
			*out = (enum log_level)i;
			return true;
		}
	return false;
}

const char *log_level_word(enum log_level level)
{
	BUG_ON((size_t)level >= ARRAY_LEN(level_words));
	return level_words[level];
}

/* At most VALUE_MAX bytes of s, and no UTF-8 character cut in two. */
static struct span cut(struct span s)
{
	if (s.len <= VALUE_MAX)
		return s;
	s.len = VALUE_MAX;
	while (s.len > 0 && ((unsigned char)s.at[s.len] & 0xC0) == 0x80)
		s.len--;
	return s;
}

static bool needs_quotes(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c <= ' ' || c > '~' || c == '"' || c == '=' || c == '\\')
			return true;
	}
	return s.len == 0;
}

/* buf_add_escaped() knows nothing of quotes: they are put in between. */
static bool add_quoted(struct buf *b, struct span s)
{
	if (!buf_add(b, SPAN("\"")))
		return false;
	while (s.len > 0) {
		const char *quote = memchr(s.at, '"', s.len);
		size_t len = quote ? (size_t)(quote - s.at) : s.len;

		if (!buf_add_escaped(b, (struct span){s.at, len}))
			return false;
		if (quote && !buf_add(b, SPAN("\\\"")))
			return false;
		s = span_skip(s, quote ? len + 1 : len);
	}
	return buf_add(b, SPAN("\""));
}

/* RFC 8259 section 7 for the first character of *s, which it skips. */
static bool add_json_char(struct buf *b, struct span *s)
{
	unsigned char c = (unsigned char)s->at[0];
	size_t len = span_utf8(*s);
	bool fits;

	if (len == 0)
		fits = buf_printf(b, "\\\\x%02x", c);
	else if (c == '"' || c == '\\')
		fits = buf_printf(b, "\\%c", c);
	else if (c == '\n')
		fits = buf_add(b, SPAN("\\n"));
	else if (c == '\r')
		fits = buf_add(b, SPAN("\\r"));
	else if (c == '\t')
		fits = buf_add(b, SPAN("\\t"));
	else if (c < 0x20 || c == 0x7F)
		fits = buf_printf(b, "\\u%04x", c);
	else if (len == 2 && c == 0xC2 && (unsigned char)s->at[1] < 0xA0)
		fits = buf_printf(b, "\\u%04x", (unsigned char)s->at[1]);
	else
		fits = buf_add(b, (struct span){s->at, len});
	*s = span_skip(*s, len ? len : 1);
	return fits;
}

static bool add_json_string(struct buf *b, struct span s)
{
	bool fits = buf_add(b, SPAN("\""));

	while (fits && s.len > 0)
		fits = add_json_char(b, &s);
	return fits && buf_add(b, SPAN("\""));
}

static bool add_string(struct buf *b, enum log_format format, struct span s)
{
	s = cut(s);
	if (format == LOG_JSON)
		return add_json_string(b, s);
	if (needs_quotes(s))
		return add_quoted(b, s);
	return buf_add(b, s);
}

static bool add_seconds(struct buf *b, int64_t ms)
{
	const char *sign = ms < 0 ? "-" : "";
	uint64_t size_ms = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

	return buf_printf(b, "%s%" PRIu64 ".%03" PRIu64, sign, size_ms / 1000,
			  size_ms % 1000);
}

static bool add_value(struct buf *b, enum log_format format,
		      const struct log_field *f)
{
	switch (f->type) {
	case LOG_STR:
		return add_string(b, format, f->str);
	case LOG_INT:
		return buf_printf(b, "%" PRId64, f->num);
	case LOG_SECONDS:
		return add_seconds(b, f->num);
	}
	return false;
}

static void add_field(struct buf *b, enum log_format format,
		      const struct log_field *f)
{
	size_t before = b->len;
	bool fits;

	if (f->type == LOG_STR && !f->str.at)
		return;
	if (format == LOG_JSON)
		fits = buf_add(b, before ? SPAN(",\"") : SPAN("{\"")) &&
		       buf_add(b, span_of(f->key)) && buf_add(b, SPAN("\":"));
	else
		fits = (!before || buf_add(b, SPAN(" "))) &&
		       buf_add(b, span_of(f->key)) && buf_add(b, SPAN("="));
	if (!fits || !add_value(b, format, f))
		b->len = before;
}

static void remember(struct span line)
{
	size_t len = line.len < RING_LINE_MAX ? line.len : RING_LINE_MAX;
	size_t at;

	pthread_mutex_lock(&ring_lock);
	at = ring.next++ % RING_LINES;
	memcpy(ring.lines[at], line.at, len);
	ring.lines[at][len - 1] = '\n';
	ring.lens[at] = len;
	pthread_mutex_unlock(&ring_lock);
}

/* Nobody can be told when standard error is gone. */
static void write_line(int fd, struct span line)
{
	ssize_t n;

	do
		n = write(fd, line.at, line.len);
	while (n < 0 && errno == EINTR);
}

static void add_head(struct buf *b, enum log_format format,
		     enum log_level level, uint64_t msg_id)
{
	char time[CLOCK_RFC3339_MAX];
	char id[MSG_ID_LEN + 1];

	clock_rfc3339(time, clock_wall_ms());
	add_field(b, format, &F_STR("time", time));
	add_field(b, format, &F_STR("level", log_level_word(level)));
	if (msg_id != 0) {
		msg_id_text(id, msg_id);
		add_field(b, format, &F_STR("msg", id));
	}
}

void log_fields(enum log_level level, uint64_t msg_id, const char *event,
		const struct log_field *fields)
{
	enum log_format format = (enum log_format)atomic_load(&line_format);
	struct buf line;
	bool fits;

	buf_init(&line, LINE_MAX_BYTES);
	BUG_ON(!buf_room(&line, LINE_USUAL_BYTES));
	add_head(&line, format, level, msg_id);
	add_field(&line, format, &F_STR("event", event));
	for (; fields->key; fields++)
		add_field(&line, format, fields);
	line.max += LINE_END_ROOM;
	fits = buf_add(&line, format == LOG_JSON ? SPAN("}\n") : SPAN("\n"));
	BUG_ON(!fits);
	remember(buf_span(&line));
	if (log_enabled(level))
		write_line(STDERR_FILENO, buf_span(&line));
	buf_release(&line);
}

void log_text(enum log_level level, const char *event, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	BUG_ON(len < 0);
	log_fact(level, 0, event, F_STR("text", text));
	free(text);
}

/*
 * The caller may have died within the lock: then the ring is read without
 * it, and a torn line is better than none.
 */
void log_dump(int fd)
{
	bool locked = pthread_mutex_trylock(&ring_lock) == 0;
	size_t count = ring.next < RING_LINES ? ring.next : RING_LINES;

	for (size_t i = ring.next - count; count > 0; i++, count--)
		write_line(fd, (struct span){ring.lines[i % RING_LINES],
					     ring.lens[i % RING_LINES]});
	if (locked)
		pthread_mutex_unlock(&ring_lock);
}
