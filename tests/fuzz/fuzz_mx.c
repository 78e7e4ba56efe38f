/* SPDX-License-Identifier: ISC */
/*
 * fuzz_mx - the answer of a name server to the question for MX records.
 *
 * The input: four bytes that shuffle, then the DNS message.
 */
#include "net/mx.h"

#include <stdlib.h>

#include "tests/fuzz/fuzz.h"

enum { TTL_MAX_S = 3600, HOSTS_MAX = 100 };

static void check_hosts(const struct mx_answer *a, const char *own_name)
{
	HOLDS((a->kind == MX_HOSTS) == (a->nhosts > 0));
	HOLDS(a->kind != MX_FAILED || a->lookup == LOOKUP_NODATA);
	HOLDS(a->nhosts <= HOSTS_MAX);
	for (size_t i = 0; i < a->nhosts; i++) {
		struct span host = span_of(a->hosts[i]);
		struct host_port hp;

		HOLDS(host.len > 0 && !span_ends_nocase(host, SPAN(".")));
		HOLDS(fuzz_ascii(host));
		fuzz_printable(a->hosts[i]);
		for (size_t c = 0; c < host.len; c++)
			HOLDS(host.at[c] < 'A' || host.at[c] > 'Z');
		/* It is a name, and never ours. */
		HOLDS(host_port_parse(a->hosts[i], PORT_SMTP, &hp));
		HOLDS(!hp.is_literal && hp.port == PORT_SMTP);
		free(hp.host);
		HOLDS(!span_eq_nocase(host, span_of(own_name)));
		for (size_t other = 0; other < i; other++)
			HOLDS(strcmp(a->hosts[i], a->hosts[other]) != 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char own_name[] = "relay.example";
	struct span in = fuzz_input(data, size);
	struct mx_answer a, again;
	uint32_t random = 0;

	for (int i = 0; i < 4; i++)
		random = random << 8 | fuzz_byte(&in);
	if (!mx_parse(in, own_name, random, &a))
		return 0;
	HOLDS(a.ttl_ms >= 1000 && a.ttl_ms <= (int64_t)TTL_MAX_S * 1000);
	check_hosts(&a, own_name);
	/* The shuffle changes the order and nothing else. */
	HOLDS(mx_parse(in, own_name, ~random, &again));
	HOLDS(again.kind == a.kind && again.ttl_ms == a.ttl_ms);
	HOLDS(again.nhosts == a.nhosts);
	mx_answer_release(&again);
	mx_answer_release(&a);
	return 0;
}
