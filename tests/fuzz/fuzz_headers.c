/* SPDX-License-Identifier: ISC */
/*
 * fuzz_headers - the trace field that we write, and a header section that
 * passes by.
 *
 * The input: three strings (what a client said with EHLO, a recipient, a
 * client's name in TLS), then a message.
 */
#include "smtp/headers.h"

#include <stdlib.h>

#include "smtp/address.h"
#include "tests/fuzz/fuzz.h"

enum {
	LINE_MAX_BYTES = 1000,
	HELO_MAX = 255,
	TLS_MAX = 128,
	WALL_MS = 1700000000,
};
static const char hostname[] = "relay.example";

static void scan(struct span s, enum fuzz_pace pace, struct header_scan *h)
{
	uint32_t state = (uint32_t)s.len;

	header_scan_init(h);
	h->own_name = hostname;
	while (s.len > 0) {
		size_t n = fuzz_piece(pace, &state, s.len);

		header_scan_feed(h, (struct span){s.at, n});
		s = span_skip(s, n);
	}
	header_scan_end(h);
	HOLDS(h->done && h->own <= h->received);
	HOLDS(strlen(h->message_id) < sizeof(h->message_id));
	HOLDS(strchr(h->message_id, '\n') == NULL);
}

/* Received fields at the most, counted in the simplest way: lines that begin
 * so, behind blanks too, to the first that is empty. */
static unsigned count_received(struct span s)
{
	unsigned n = 0;

	while (s.len > 0) {
		const char *lf = memchr(s.at, '\n', s.len);
		struct span line = s;

		if (lf != NULL)
			line.len = (size_t)(lf - s.at);
		s = span_skip(s, line.len + 1);
		if (span_starts_nocase(span_trim(line), SPAN("Received:")))
			n++;
		if (line.len == 0 || (line.len == 1 && line.at[0] == '\r'))
			break;
	}
	return n;
}

static void check_scan(struct span message)
{
	struct header_scan whole, h;

	scan(message, FUZZ_WHOLE, &whole);
	for (int i = 1; i < FUZZ_PACES; i++) {
		scan(message, (enum fuzz_pace)i, &h);
		HOLDS(h.received == whole.received && h.own == whole.own);
		HOLDS(strcmp(h.message_id, whole.message_id) == 0);
		header_scan_release(&h);
	}
	/* A line that is no field ends the section, too, and there may be
	 * white space before a colon. */
	if (fuzz_ascii(message))
		HOLDS(memmem(message.at, message.len, " :", 2) != NULL ||
		      memmem(message.at, message.len, "\t:", 2) != NULL ||
		      whole.received <= count_received(message));
	header_scan_release(&whole);
}

/* As the server takes it: helo_take(). */
static bool is_helo(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= ' ' || s[i] > '~')
			return false;
	return n <= HELO_MAX;
}

static bool is_cipher(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~')
			return false;
	return n <= TLS_MAX;
}

/* One field, and the loop detection finds it again. */
static void check_received(const char *helo, const char *recipient,
			   const char *tls)
{
	struct received r = {.helo = helo,
			     .client = "[192.0.2.1]",
			     .hostname = hostname,
			     .protocol = "ESMTPS",
			     .tls = *tls ? tls : NULL,
			     .id = "0123456789ABC",
			     .recipient = *recipient ? recipient : NULL,
			     .wall_ms = (int64_t)WALL_MS * 1000};
	struct header_scan h;
	struct buf out;
	struct span rest;

	buf_init(&out, RECEIVED_MAX);
	received_field(&out, &r);
	fuzz_lines(buf_span(&out), LINE_MAX_BYTES);
	rest = buf_span(&out);
	(void)fuzz_line(&rest);
	while (rest.len > 0)
		HOLDS(fuzz_line(&rest).at[0] == '\t');
	scan(buf_span(&out), FUZZ_WHOLE, &h);
	HOLDS(h.received == 1 && h.message_id[0] == '\0');
	HOLDS(h.own == 1);
	header_scan_release(&h);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	char *helo = fuzz_string(&in);
	char *recipient = fuzz_string(&in);
	char *tls = fuzz_string(&in);
	struct address a;

	if (*recipient && !address_parse(span_of(recipient), &a))
		*recipient = '\0';
	if (is_helo(helo) && is_cipher(tls))
		check_received(helo, recipient, tls);
	check_scan(in);
	free(helo);
	free(recipient);
	free(tls);
	return 0;
}
