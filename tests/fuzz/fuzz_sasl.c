/* SPDX-License-Identifier: ISC */
/*
 * fuzz_sasl - what a client that logs in answers, and base64.
 *
 * The input: a mechanism, then its answers, each ended by LF; the first is an
 * initial one if it begins with '!'.
 */
#include "smtp/sasl.h"

#include "base/base64.h"
#include "tests/fuzz/fuzz.h"

static struct span take_line(struct span *in)
{
	const char *lf = in->len > 0 ? memchr(in->at, '\n', in->len) : NULL;
	struct span line = *in;

	if (lf != NULL)
		line.len = (size_t)(lf - line.at);
	*in = span_skip(*in, line.len + 1);
	return line;
}

/* What is decoded is encoded to the same; no text has two meanings, and only
 * the bits that padding throws away may differ. */
static void check_base64(struct span s)
{
	struct buf plain, text, again;

	buf_init(&plain, BASE64_MAX_BYTES);
	buf_init(&text, 2 * BASE64_MAX_BYTES);
	buf_init(&again, BASE64_MAX_BYTES);
	if (base64_decode(&plain, s)) {
		HOLDS(s.len % 4 == 0 && plain.len <= s.len / 4 * 3);
		HOLDS(base64_encode(&text, buf_span(&plain)));
		HOLDS(text.len == s.len);
		HOLDS(s.len < 4 ||
		      memcmp(buf_span(&text).at, s.at, s.len - 4) == 0);
	} else {
		HOLDS(plain.len == 0);
	}
	buf_clear(&text);
	HOLDS(base64_encode(&text, s));
	HOLDS(base64_decode(&again, buf_span(&text)));
	HOLDS(span_eq(buf_span(&again), s));
	buf_release(&plain);
	buf_release(&text);
	buf_release(&again);
}

static void check_known(const struct sasl *x)
{
	HOLDS(x->user != NULL && x->password != NULL);
	HOLDS(x->user[0] != '\0' && x->password[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct span mechanism = take_line(&in), answer;
	enum sasl_result result = SASL_CHALLENGES;
	unsigned heard = 0;
	struct sasl x;

	sasl_init(&x);
	if (sasl_begin(&x, mechanism)) {
		while (result == SASL_CHALLENGES && in.len > 0) {
			bool initial = heard == 0 && in.at[0] == '!';

			HOLDS(fuzz_ascii(span_of(sasl_challenge(&x))));
			in = span_skip(in, initial ? 1 : 0);
			answer = take_line(&in);
			check_base64(answer);
			result = sasl_hear(&x, answer, initial);
			HOLDS(++heard <= 2);
		}
		if (result == SASL_DONE)
			check_known(&x);
	}
	sasl_release(&x);
	HOLDS(x.user == NULL && x.password == NULL);
	return 0;
}
