/* SPDX-License-Identifier: ISC */
/*
 * fuzz_address - paths, mailboxes and domains.
 */
#include "smtp/address.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { DETAIL = 3 };

static bool has_control(struct span s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.at[i] < ' ' || s.at[i] == 0x7f)
			return true;
	return false;
}

static void check_parts(const struct address *a)
{
	HOLDS(a->local.len <= LOCAL_PART_MAX && a->domain.len <= DOMAIN_MAX);
	HOLDS(!has_control(a->local) && !has_control(a->domain));
	HOLDS(a->domain.len == 0 || domain_valid(a->domain));
	HOLDS(address_is_ascii(a) ==
	      (fuzz_ascii(a->local) && fuzz_ascii(a->domain)));
}

/* An address is read as it was printed, alone and as a path. */
static void check_round_trip(const struct address *a)
{
	char *text = xasprintf("<%.*s@%.*s>", (int)a->local.len, a->local.at,
			       (int)a->domain.len, a->domain.at);
	struct span path = span_of(text);
	struct span inner = {path.at + 1, path.len - 2};
	char domain[DOMAIN_MAX + 1];
	struct address b, c;
	struct err e;

	HOLDS(path_parse(&path, DETAIL, &b, &e) == ST_OK && path.len == 0);
	HOLDS(address_parse(inner, &c));
	HOLDS(span_eq(a->local, b.local) && span_eq(a->domain, b.domain));
	HOLDS(span_eq(a->local, c.local) && span_eq(a->domain, c.domain));
	text[path.at - text - 1] = '\0';
	address_domain_lower(domain, text + 1);
	HOLDS(span_eq_nocase(span_of(domain), a->domain));
	free(text);
}

static void check_path(struct span in)
{
	struct span rest = in, alone;
	struct address a, b;
	struct err e;

	if (path_parse(&rest, DETAIL, &a, &e) != ST_OK) {
		HOLDS(span_eq(rest, in));
		HOLDS(e.status == ST_PERM && e.reply == 501);
		fuzz_printable(e.text);
		return;
	}
	alone = (struct span){in.at, in.len - rest.len};
	HOLDS(alone.len >= 2 && alone.len <= PATH_MAX_LEN);
	HOLDS(alone.at[0] == '<' && alone.at[alone.len - 1] == '>');
	/* What stands behind it makes no difference. */
	HOLDS(path_parse(&alone, DETAIL, &b, &e) == ST_OK && alone.len == 0);
	HOLDS(span_eq(a.local, b.local) && span_eq(a.domain, b.domain));
	check_parts(&a);
	if (a.domain.len > 0)
		check_round_trip(&a);
	else
		HOLDS(a.local.len == 0 ||
		      span_eq_nocase(a.local, SPAN("postmaster")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	char domain[DOMAIN_MAX + 1];
	char *text = span_dup(in);
	struct address a;

	check_path(in);
	if (address_parse(in, &a)) {
		HOLDS(a.local.len + 1 + a.domain.len == in.len);
		check_parts(&a);
		check_round_trip(&a);
	}
	if (domain_valid(in))
		HOLDS(in.len > 0 && in.len <= DOMAIN_MAX && !has_control(in));
	address_domain_lower(domain, text);
	HOLDS(strlen(domain) <= DOMAIN_MAX);
	free(text);
	return 0;
}
