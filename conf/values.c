/* SPDX-License-Identifier: ISC */
/*
 * values - the text of an option as the member of struct conf it stands for.
 *
 * One row per type: how large a value is, how it is parsed, what it owns, and
 * how its form is described to people.
 */
#include "conf/values.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "base/base64.h"
#include "base/units.h"

struct word {
	const char *word;
	unsigned value;
};

struct type_row {
	size_t size;
	bool (*parse)(const struct option *o, const char *text, void *out);
	void (*release)(void *value); /* NULL: owns nothing */
	const char *form; /* "a duration such as ..." */
	const struct word *words; /* in place of parse and form */
};

static void lower(char *s)
{
	for (; *s; s++)
		if (*s >= 'A' && *s <= 'Z')
			*s = (char)(*s + ('a' - 'A'));
}

static void release_string(void *value)
{
	free(*(char **)value);
}

static bool parse_string(const struct option *o, const char *text, void *out)
{
	int64_t len = (int64_t)strlen(text);

	if (len < o->low || len > o->high)
		return false;
	*(char **)out = xstrdup(text);
	return true;
}

bool value_is_host_name(const char *text)
{
	struct host_port hp;
	size_t len = strlen(text);

	if (len == 0 || strpbrk(text, ":[") || text[len - 1] == '.')
		return false;
	if (!host_port_parse(text, PORT_SMTP, &hp))
		return false;
	free(hp.host);
	return !hp.is_literal;
}

static bool parse_hostname(const struct option *o, const char *text, void *out)
{
	(void)o;
	if (!value_is_host_name(text))
		return false;
	*(char **)out = xstrdup(text);
	return true;
}

/* smtp/ is the judge of addresses; this keeps typing errors out. */
static bool parse_mailbox(const struct option *o, const char *text, void *out)
{
	const char *at = strrchr(text, '@');

	(void)o;
	if (!at || at == text || strpbrk(text, " \t<>,;\"\\"))
		return false;
	if (at[1] != '[' && !value_is_host_name(at + 1))
		return false;
	*(char **)out = xstrdup(text);
	return true;
}

static bool parse_bool(const struct option *o, const char *text, void *out)
{
	static const char *const yes[] = {"true", "on", "yes"};
	static const char *const no[] = {"false", "off", "no"};

	(void)o;
	for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
		bool is_yes = strcmp(text, yes[i]) == 0;

		if (is_yes || strcmp(text, no[i]) == 0) {
			*(bool *)out = is_yes;
			return true;
		}
	}
	return false;
}

static bool number(const char *text, uint64_t *out)
{
	size_t len = strlen(text);

	return len > 0 && strspn(text, "0123456789") == len &&
	       size_parse(text, out);
}

static bool within(const struct option *o, uint64_t n)
{
	return n >= (uint64_t)o->low && n <= (uint64_t)o->high;
}

static bool parse_count(const struct option *o, const char *text, void *out)
{
	uint64_t n;

	if (!number(text, &n) || !within(o, n))
		return false;
	*(unsigned *)out = (unsigned)n;
	return true;
}

static bool parse_size(const struct option *o, const char *text, void *out)
{
	uint64_t n;

	if (!size_parse(text, &n) || !within(o, n))
		return false;
	*(uint64_t *)out = n;
	return true;
}

static bool parse_duration(const struct option *o, const char *text, void *out)
{
	int64_t ms;

	if (!duration_parse(text, &ms) || ms < o->low || ms > o->high)
		return false;
	*(int64_t *)out = ms;
	return true;
}

/* Nothing looser than forced can be meant: the listener's holds already. */
static bool parse_source_tls(const struct option *o, const char *text,
			     void *out)
{
	(void)o;
	if (strcmp(text, "forced") != 0)
		return false;
	*(bool *)out = true;
	return true;
}

static bool parse_min_tls(const struct option *o, const char *text, void *out)
{
	(void)o;
	if (strcmp(text, "1.2") != 0 && strcmp(text, "1.3") != 0)
		return false;
	*(char **)out = xstrdup(text);
	return true;
}

static bool parse_address(const struct option *o, const char *text, void *out)
{
	struct addr a;

	(void)o;
	if (!addr_parse(text, PORT_SMTP, &a) || addr_port(&a) == 0)
		return false;
	*(struct addr *)out = a;
	return true;
}

static bool parse_serve(const struct option *o, const char *text, void *out)
{
	if (*text != '\0')
		return parse_address(o, text, out);
	*(struct addr *)out = (struct addr){.len = 0};
	return true;
}

static bool parse_network(const struct option *o, const char *text, void *out)
{
	(void)o;
	return network_parse(text, out);
}

static bool parse_host(const struct option *o, const char *text, void *out)
{
	struct host_port hp;

	(void)o;
	if (!host_port_parse(text, PORT_SMTP, &hp))
		return false;
	lower(hp.host);
	*(struct host_port *)out = hp;
	return true;
}

static void release_host(void *value)
{
	free(((struct host_port *)value)->host);
}

static bool is_suffix_pattern(const char *text)
{
	return text[0] == '*' && text[1] == '.' && value_is_host_name(text + 2);
}

/* RFC 5321 4.1.3, in the form that mail addresses bear. */
static bool is_address_literal(const char *text)
{
	char literal[ADDR_TEXT_MAX];
	size_t len = strlen(text);
	struct host_port hp;
	struct addr a;
	bool same;

	if (len < 3 || text[0] != '[' || text[len - 1] != ']')
		return false;
	if (!host_port_parse(text, PORT_SMTP, &hp))
		return false;
	same = addr_parse(hp.host, PORT_SMTP, &a);
	free(hp.host);
	if (!same)
		return false;
	addr_literal_text(literal, &a);
	return strcasecmp(literal, text) == 0;
}

static bool parse_domain(const struct option *o, const char *text, void *out)
{
	(void)o;
	if (strcmp(text, "*") != 0 && !is_suffix_pattern(text) &&
	    !value_is_host_name(text) && !is_address_literal(text))
		return false;
	*(char **)out = xstrdup(text);
	lower(*(char **)out);
	return true;
}

static bool parse_name(const struct option *o, const char *text, void *out)
{
	(void)o;
	if (!is_suffix_pattern(text) && !value_is_host_name(text))
		return false;
	*(char **)out = xstrdup(text);
	lower(*(char **)out);
	return true;
}

/* Pairs of digits, with or without colons between them. */
static bool parse_hex(const char *text, uint8_t out[32])
{
	for (size_t i = 0; i < 32; i++) {
		const char pair[] = {text[0], text[0] ? text[1] : '\0', '\0'};

		if (!isxdigit((unsigned char)pair[0]) ||
		    !isxdigit((unsigned char)pair[1]))
			return false;
		out[i] = (uint8_t)strtoul(pair, NULL, 16);
		text += 2;
		if (*text == ':' && i < 31)
			text++;
	}
	return *text == '\0';
}

/* Base64 of exactly 32 bytes. */
static bool parse_base64(const char *text, uint8_t out[32])
{
	struct buf bytes;
	bool ok;

	buf_init(&bytes, 32);
	ok = base64_decode(&bytes, span_of(text)) && bytes.len == 32;
	if (ok)
		memcpy(out, buf_span(&bytes).at, 32);
	buf_release(&bytes);
	return ok;
}

bool pin_parse(const char *text, uint8_t out[32])
{
	static const char *const prefixes[] = {"sha256:", "sha256//"};
	uint8_t pin[32];

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (strncmp(text, prefixes[i], strlen(prefixes[i])) == 0) {
			text += strlen(prefixes[i]);
			break;
		}
	if (!parse_hex(text, pin) && !parse_base64(text, pin))
		return false;
	memcpy(out, pin, 32);
	return true;
}

static bool parse_pin(const struct option *o, const char *text, void *out)
{
	(void)o;
	return pin_parse(text, out);
}

static const struct word levels[] = {
	{"debug", LOG_DEBUG}, {"info", LOG_INFO}, {"warn", LOG_WARN},
	{"error", LOG_ERROR}, {NULL, 0},
};
static const struct word formats[] = {
	{"logfmt", LOG_LOGFMT},
	{"json", LOG_JSON},
	{NULL, 0},
};
static const struct word tls_words[] = {
	{"off", CONF_TLS_OFF},
	{"opportunistic", CONF_TLS_OPPORTUNISTIC},
	{"forced", CONF_TLS_FORCED},
	{"implicit", CONF_TLS_IMPLICIT},
	{NULL, 0},
};
static const struct word route_tls_words[] = {
	{"off", CONF_TLS_OFF},
	{"opportunistic", CONF_TLS_OPPORTUNISTIC},
	{"forced", CONF_TLS_FORCED},
	{NULL, 0},
};
static const struct word verify_words[] = {
	{"none", CONF_VERIFY_NONE},
	{"ca", CONF_VERIFY_CA},
	{"name", CONF_VERIFY_NAME},
	{NULL, 0},
};
static const struct word client_cert_words[] = {
	{"none", CONF_CLIENT_CERT_NONE},
	{"request", CONF_CLIENT_CERT_REQUEST},
	{"require", CONF_CLIENT_CERT_REQUIRE},
	{NULL, 0},
};
static const struct word crl_words[] = {
	{"off", CONF_CRL_OFF},
	{"warn", CONF_CRL_WARN},
	{"require", CONF_CRL_REQUIRE},
	{NULL, 0},
};
static const struct word chunking_words[] = {
	{"off", CONF_CHUNKING_OFF},
	{"strict", CONF_CHUNKING_STRICT},
	{"passthrough", CONF_CHUNKING_PASSTHROUGH},
	{NULL, 0},
};
static const struct word auth_words[] = {
	{"off", CONF_AUTH_OFF},
	{"plain", CONF_AUTH_PLAIN},
	{"login", CONF_AUTH_LOGIN},
	{"xoauth2", CONF_AUTH_XOAUTH2},
	{NULL, 0},
};

#define WORDS(table)                                       \
	{                                                  \
		.size = sizeof(unsigned), .words = (table) \
	}
#define FORM_DURATION "a duration such as 30s, 5m or 4h"

static const struct type_row types[] = {
	[TYPE_STRING] = {sizeof(char *), parse_string, release_string, NULL,
			 NULL},
	[TYPE_HOSTNAME] = {sizeof(char *), parse_hostname, release_string,
			   "a host name", NULL},
	[TYPE_MAILBOX] = {sizeof(char *), parse_mailbox, release_string,
			  "a mail address", NULL},
	[TYPE_BOOL] = {sizeof(bool), parse_bool, NULL, "true or false", NULL},
	[TYPE_COUNT] = {sizeof(unsigned), parse_count, NULL, "a number", NULL},
	[TYPE_DURATION] = {sizeof(int64_t), parse_duration, NULL, FORM_DURATION,
			   NULL},
	[TYPE_SIZE] = {sizeof(uint64_t), parse_size, NULL,
		       "a size such as 64K, 150M or 16G", NULL},
	[TYPE_LEVEL] = WORDS(levels),
	[TYPE_FORMAT] = WORDS(formats),
	[TYPE_TLS] = WORDS(tls_words),
	[TYPE_ROUTE_TLS] = WORDS(route_tls_words),
	[TYPE_SOURCE_TLS] = {sizeof(bool), parse_source_tls, NULL,
			     "\"forced\" or nothing: it may be stricter than "
			     "the listener's, never looser",
			     NULL},
	[TYPE_VERIFY] = WORDS(verify_words),
	[TYPE_CLIENT_CERT] = WORDS(client_cert_words),
	[TYPE_CRL] = WORDS(crl_words),
	[TYPE_MIN_TLS] = {sizeof(char *), parse_min_tls, release_string,
			  "1.2 or 1.3", NULL},
	[TYPE_CHUNKING] = WORDS(chunking_words),
	[TYPE_AUTH] = WORDS(auth_words),
	[TYPE_IDENTITY] = {.size = sizeof(void *), .form = "identity"},
	[TYPE_TRUST] = {.size = sizeof(void *), .form = "trust"},
	[TYPE_SERVE] = {sizeof(struct addr), parse_serve, NULL,
			"an address with a port, such as 127.0.0.1:9925, or "
			"nothing",
			NULL},
	[TYPE_STRINGS] = {sizeof(char *), parse_string, release_string, NULL,
			  NULL},
	[TYPE_DURATIONS] = {sizeof(int64_t), parse_duration, NULL,
			    FORM_DURATION, NULL},
	[TYPE_ADDRESSES] = {sizeof(struct addr), parse_address, NULL,
			    "addresses such as 192.0.2.1:25 or [::]:25", NULL},
	[TYPE_NETWORKS] = {sizeof(struct network), parse_network, NULL,
			   "networks such as 10.0.0.0/8 or 2001:db8::/32, "
			   "with no bit set beyond the prefix",
			   NULL},
	[TYPE_HOSTS] = {sizeof(struct host_port), parse_host, release_host,
			"next hops such as mx.example.com, mx.example.com:587 "
			"or [192.0.2.1]:25",
			NULL},
	[TYPE_DOMAINS] = {sizeof(char *), parse_domain, release_string,
			  "domains such as example.com, *.example.com, * or "
			  "[192.0.2.1]",
			  NULL},
	[TYPE_NAMES] = {sizeof(char *), parse_name, release_string,
			"certificate names such as mx.example.com or "
			"*.example.com",
			NULL},
	[TYPE_PINS] = {32, parse_pin, NULL,
		       "SHA-256 pins: 64 hex digits or base64 of 32 bytes",
		       NULL},
	[TYPE_IDENTITIES] = {.size = sizeof(void *), .form = "identity"},
};

_Static_assert(ARRAY_LEN(types) == TYPE_ROWS, "a type without a row");

static const struct type_row *row_of(const struct option *o)
{
	BUG_ON((size_t)o->type >= TYPE_ROWS);
	return &types[o->type];
}

static bool find_identity(const struct conf *c, const char *name, void *out)
{
	for (size_t i = 0; i < c->nidentities; i++)
		if (strcmp(c->identities[i].name, name) == 0) {
			*(const struct conf_identity **)out = &c->identities[i];
			return true;
		}
	return false;
}

static bool find_trust(const struct conf *c, const char *name, void *out)
{
	for (size_t i = 0; i < c->ntrusts; i++)
		if (strcmp(c->trusts[i].name, name) == 0) {
			*(const struct conf_trust **)out = &c->trusts[i];
			return true;
		}
	return false;
}

bool value_is_reference(const struct option *o)
{
	return o->type == TYPE_IDENTITY || o->type == TYPE_IDENTITIES ||
	       o->type == TYPE_TRUST;
}

static bool parse_word(const struct word *words, const char *text, void *out)
{
	for (; words->word; words++)
		if (strcmp(words->word, text) == 0) {
			memcpy(out, &words->value, sizeof(words->value));
			return true;
		}
	return false;
}

bool value_parse(const struct option *o, const struct conf *c, const char *text,
		 void *out)
{
	const struct type_row *row = row_of(o);

	if (value_is_reference(o)) {
		BUG_ON(!c);
		return o->type == TYPE_TRUST ? find_trust(c, text, out)
					     : find_identity(c, text, out);
	}
	if (row->words)
		return parse_word(row->words, text, out);
	return row->parse(o, text, out);
}

size_t value_size(const struct option *o)
{
	return row_of(o)->size;
}

void value_release(const struct option *o, void *value)
{
	if (row_of(o)->release)
		row_of(o)->release(value);
}

/* "off, warn or require" */
static char *join(const struct word *words)
{
	struct buf b;
	bool ok = true;

	buf_init(&b, 1024);
	for (size_t i = 0; words[i].word; i++) {
		const char *glue = !words[i + 1].word ? " or " : ", ";

		ok = ok &&
		     buf_printf(&b, "%s%s", i > 0 ? glue : "", words[i].word);
	}
	BUG_ON(!ok);
	return buf_string(&b);
}

/* The bounds, where text has the right form but is beyond them. */
static char *bounds(const struct option *o, const char *text)
{
	char low[UNITS_TEXT_MAX], high[UNITS_TEXT_MAX];
	uint64_t size;
	int64_t ms;

	if ((o->type == TYPE_DURATION || o->type == TYPE_DURATIONS) &&
	    duration_parse(text, &ms)) {
		duration_text(low, o->low);
		duration_text(high, o->high);
		return xasprintf("a duration from %s to %s", low, high);
	}
	if (o->type == TYPE_SIZE && size_parse(text, &size)) {
		size_human(low, (uint64_t)o->low);
		size_human(high, (uint64_t)o->high);
		return xasprintf("a size from %s to %s", low, high);
	}
	if (o->type == TYPE_COUNT)
		return xasprintf("a number from %" PRId64 " to %" PRId64,
				 o->low, o->high);
	return NULL;
}

static char *form(const struct option *o, const char *text)
{
	const struct type_row *row = row_of(o);
	char *s = bounds(o, text);

	if (s)
		return s;
	if (row->words)
		return join(row->words);
	if (row->form)
		return xstrdup(row->form);
	if (*text == '\0')
		return xstrdup("a value");
	return xasprintf("at most %" PRId64 " bytes", o->high);
}

char *value_refusal(const struct option *o, const char *text)
{
	char *expected, *s;

	if (value_is_reference(o))
		return xasprintf("names %s \"%.100s\", which is not defined",
				 row_of(o)->form, text);
	expected = form(o, text);
	s = xasprintf("expects %s, not \"%.100s\"", expected, text);
	free(expected);
	return s;
}

void list_put(void *field, void *at, size_t n)
{
	memcpy(field, &at, sizeof(at));
	memcpy((char *)field + sizeof(at), &n, sizeof(n));
}

void *list_get(const void *field, size_t *n)
{
	void *at;

	memcpy(&at, field, sizeof(at));
	memcpy(n, (const char *)field + sizeof(at), sizeof(*n));
	return at;
}
