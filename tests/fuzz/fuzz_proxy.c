/* SPDX-License-Identifier: ISC */
/*
 * fuzz_proxy - the header of a proxy, in pieces.
 */
#include "net/proxy.h"

#include "tests/fuzz/fuzz.h"

static void check_client(const struct proxy_header *h)
{
	char text[ADDR_TEXT_MAX];
	struct addr again;

	if (h->is_local)
		return;
	addr_text(text, &h->client);
	HOLDS(addr_parse(text, 0, &again));
	HOLDS(addr_eq(&again, &h->client));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	struct proxy_header h, shorter;
	enum proxy_result result = proxy_parse(in, &h);

	if (result == PROXY_DONE) {
		HOLDS(h.len > 0 && h.len <= in.len);
		HOLDS(h.len <= PROXY_HEADER_MAX);
		check_client(&h);
	}
	if (result == PROXY_MORE)
		HOLDS(in.len < PROXY_HEADER_MAX);
	/* With less of it nothing else comes out, only later; and what is bad
	 * stays bad. */
	for (size_t n = 0; n < in.len; n++) {
		switch (proxy_parse((struct span){in.at, n}, &shorter)) {
		case PROXY_MORE:
			HOLDS(result != PROXY_DONE || n < h.len);
			break;
		case PROXY_DONE:
			HOLDS(result == PROXY_DONE && n >= h.len);
			HOLDS(shorter.len == h.len);
			HOLDS(shorter.is_local == h.is_local);
			HOLDS(h.is_local ||
			      addr_eq(&shorter.client, &h.client));
			break;
		case PROXY_BAD:
			HOLDS(result == PROXY_BAD);
			break;
		}
	}
	return 0;
}
