/* SPDX-License-Identifier: ISC */
/*
 * sasl - decodes the answers of a client that logs in.
 */
#include "smtp/sasl.h"

#include <stdlib.h>

#include "base/base64.h"

void sasl_init(struct sasl *x)
{
	*x = (struct sasl){.step = SASL_PLAIN};
}

static void wipe(char **s)
{
	if (*s != NULL)
		explicit_bzero(*s, strlen(*s));
	free(*s);
	*s = NULL;
}

void sasl_release(struct sasl *x)
{
	wipe(&x->user);
	wipe(&x->password);
	sasl_init(x);
}

bool sasl_begin(struct sasl *x, struct span mechanism)
{
	sasl_release(x);
	if (span_eq_nocase(mechanism, SPAN("LOGIN")))
		x->step = SASL_LOGIN_USER;
	else if (!span_eq_nocase(mechanism, SPAN("PLAIN")))
		return false;
	return true;
}

const char *sasl_challenge(const struct sasl *x)
{
	static const char *const challenges[] = {
		[SASL_PLAIN] = "",
		[SASL_LOGIN_USER] = "VXNlcm5hbWU6", /* Username: */
		[SASL_LOGIN_PASSWORD] = "UGFzc3dvcmQ6", /* Password: */
	};

	return challenges[x->step];
}

/* Takes what stands before the next NUL, and that. */
static bool take_field(struct span *s, struct span *out)
{
	const char *nul = s->len > 0 ? memchr(s->at, '\0', s->len) : NULL;

	if (nul == NULL)
		return false;
	*out = (struct span){s->at, (size_t)(nul - s->at)};
	*s = span_skip(*s, out->len + 1);
	return true;
}

/* RFC 4616 2: neither empty nor with NUL, and UTF-8. */
static bool is_word(struct span s)
{
	bool ok = s.len > 0;

	while (ok && s.len > 0) {
		size_t n = span_utf8(s);

		ok = n > 0 && s.at[0] != '\0';
		s = span_skip(s, n);
	}
	return ok;
}

/* [authzid] NUL authcid NUL password */
static enum sasl_result hear_plain(struct sasl *x, struct span s)
{
	struct span authzid, user;

	if (!take_field(&s, &authzid) || !take_field(&s, &user) ||
	    !is_word(user) || !is_word(s))
		return SASL_BROKEN;
	if (authzid.len > 0 && !span_eq(authzid, user))
		return SASL_REFUSED;
	x->user = span_dup(user);
	x->password = span_dup(s);
	return SASL_DONE;
}

static enum sasl_result hear_decoded(struct sasl *x, struct span s)
{
	enum sasl_result result = SASL_DONE;

	if (x->step == SASL_PLAIN)
		return hear_plain(x, s);
	if (!is_word(s))
		return SASL_BROKEN;
	if (x->step == SASL_LOGIN_USER) {
		x->user = span_dup(s);
		x->step = SASL_LOGIN_PASSWORD;
		result = SASL_CHALLENGES;
	} else {
		x->password = span_dup(s);
	}
	return result;
}

enum sasl_result sasl_hear(struct sasl *x, struct span answer, bool initial)
{
	enum sasl_result result = SASL_BROKEN;
	struct buf decoded;

	if (initial && span_eq(answer, SPAN("=")))
		answer = SPAN("");
	buf_init(&decoded, SASL_LINE_MAX);
	if (base64_decode(&decoded, answer))
		result = hear_decoded(x, buf_span(&decoded));
	if (decoded.len > 0)
		explicit_bzero(decoded.mem, decoded.cap);
	buf_release(&decoded);
	return result;
}
