/* SPDX-License-Identifier: ISC */
/*
 * fuzz_units - durations, sizes, ids, socket addresses, networks and domains as
 * people write them; text for a log.
 */
#include "base/units.h"

#include <stdlib.h>

#include "base/addr.h"
#include "net/domain.h"
#include "tests/fuzz/fuzz.h"

static void check_units(const char *text)
{
	char out[UNITS_TEXT_MAX], id_text[MSG_ID_LEN + 1];
	int64_t ms, ms_again;
	uint64_t bytes, id, id_again;

	if (duration_parse(text, &ms)) {
		HOLDS(ms >= 0);
		duration_text(out, ms);
		HOLDS(duration_parse(out, &ms_again) && ms_again == ms);
		duration_human(out, ms);
		HOLDS(out[0] != '\0');
	}
	if (size_parse(text, &bytes)) {
		size_human(out, bytes);
		HOLDS(out[0] != '\0');
	}
	if (msg_id_parse(text, &id)) {
		HOLDS(strlen(text) == MSG_ID_LEN);
		msg_id_text(id_text, id);
		HOLDS(msg_id_parse(id_text, &id_again) && id_again == id);
		HOLDS(span_eq_nocase(span_of(id_text), span_of(text)) ||
		      strpbrk(text, "oOiIlL") != NULL);
	}
}

static void check_addr(const char *text)
{
	char out[ADDR_TEXT_MAX], host[ADDR_TEXT_MAX], literal[ADDR_TEXT_MAX];
	struct network single;
	struct addr a, again;

	if (!addr_parse(text, PORT_SMTP, &a))
		return;
	addr_text(out, &a);
	HOLDS(addr_parse(out, 0, &again));
	HOLDS(addr_eq(&a, &again) && addr_port(&a) == addr_port(&again));
	addr_host_text(host, &a);
	addr_literal_text(literal, &a);
	HOLDS(literal[0] == '[' && literal[strlen(literal) - 1] == ']');
	/* A scope has no place in a network. */
	if (strchr(host, '%') == NULL) {
		HOLDS(network_parse(host, &single));
		HOLDS(network_has(&single, &a));
	}
	HOLDS(addr_host_key(&a).len == 4 || addr_host_key(&a).len == 16);
}

static void check_network(const char *text, const char *other)
{
	struct network n;
	struct addr a;

	if (!network_parse(text, &n))
		return;
	HOLDS(n.family == AF_INET || n.family == AF_INET6);
	HOLDS(n.bits <= (n.family == AF_INET ? 32u : 128u));
	if (addr_parse(other, PORT_SMTP, &a) && n.bits == 0)
		HOLDS(network_has(&n, &a) == (a.sa.sa_family == n.family));
}

static void check_host_port(const char *text)
{
	struct host_port hp, again;
	char *printed;

	if (!host_port_parse(text, PORT_SMTP, &hp))
		return;
	HOLDS(hp.host[0] != '\0');
	fuzz_printable(hp.host);
	printed = hp.is_literal ? xasprintf("[%s]:%u", hp.host, hp.port)
				: xasprintf("%s:%u", hp.host, hp.port);
	HOLDS(host_port_parse(printed, 0, &again));
	HOLDS(strcmp(hp.host, again.host) == 0 && hp.port == again.port);
	HOLDS(hp.is_literal == again.is_literal);
	free(printed);
	free(again.host);
	free(hp.host);
}

/* A form that stays as it is. */
static void check_domain(const char *text)
{
	char *ascii = domain_a_labels(text), *again;

	if (ascii == NULL)
		return;
	HOLDS(fuzz_ascii(span_of(ascii)));
	HOLDS(strpbrk(ascii, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == NULL);
	again = domain_plain(ascii);
	HOLDS(strcmp(ascii, again) == 0 || span_ends_nocase(span_of(ascii),
							    SPAN(".")));
	free(again);
	free(ascii);
}

static void check_escaped(struct span in)
{
	struct buf out;
	char *text;

	buf_init(&out, 4 * in.len + 1);
	HOLDS(buf_add_escaped(&out, in));
	text = span_dup(buf_span(&out));
	fuzz_printable(text);
	free(text);
	buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	char *first, *second;

	check_escaped(in);
	first = fuzz_string(&in);
	second = fuzz_string(&in);
	check_units(first);
	check_addr(first);
	check_network(first, second);
	check_host_port(first);
	check_domain(first);
	free(first);
	free(second);
	return 0;
}
