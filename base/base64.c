/* SPDX-License-Identifier: ISC */
/*
 * base64 - what the C library has for it, made safe for spans.
 *
 * b64_pton() wants a string, and skips white space; what was copied is wiped,
 * for it may be a password.
 */
#include "base/base64.h"

#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>

bool base64_encode(struct buf *out, struct span s)
{
	size_t size = (s.len + 2) / 3 * 4 + 1;
	char *room;
	int n;

	if (s.len > BASE64_MAX_BYTES)
		return false;
	if (s.len == 0)
		return true;
	/* One byte more than stays: the NUL. */
	room = buf_room(out, size);
	if (room == NULL)
		return false;
	n = b64_ntop((const unsigned char *)s.at, s.len, room, size);
	BUG_ON(n < 0);
	buf_grew(out, (size_t)n);
	return true;
}

static bool has_space(struct span s)
{
	for (size_t i = 0; i < s.len; i++) {
		char c = s.at[i];

		if (c == ' ' || (c >= '\t' && c <= '\r') || c == '\0')
			return true;
	}
	return false;
}

bool base64_decode(struct buf *out, struct span s)
{
	/* Enough for the bytes of a last group that its padding takes away. */
	size_t size = s.len / 4 * 3 + 3;
	unsigned char *bytes;
	char *text;
	bool ok = false;
	int n;

	if (s.len > BASE64_MAX_BYTES || s.len % 4 != 0 || has_space(s))
		return false;
	text = span_dup(s);
	bytes = xmalloc(size);
	n = b64_pton(text, bytes, size);
	if (n >= 0)
		ok = buf_add(out,
			     (struct span){(const char *)bytes, (size_t)n});
	explicit_bzero(bytes, size);
	explicit_bzero(text, s.len);
	free(bytes);
	free(text);
	return ok;
}
