/* SPDX-License-Identifier: ISC */
/*
 * cert - the command that lists certificates: our own, and what peers and
 * clients have shown last.
 */
#include <stdio.h>

#include "ctl/command.h"
#include "ctl/human.h"
#include "ctl/print.h"

static const struct column columns[] = {
	{.title = "KIND"},
	{.title = "NAME", .min = 12},
	{.title = "DAYS LEFT", .align = COLUMN_RIGHT},
	{.title = "NOT AFTER", .drop = 2},
	{.title = "CRL", .drop = 1},
	{.title = "SUBJECT", .min = 12},
	{.title = "ISSUER", .min = 12, .drop = 3},
	{.title = "NAMES", .min = 12},
	{.title = "ADDRESS", .drop = 4},
	{.title = "SEEN", .align = COLUMN_RIGHT, .drop = 5},
};

void certificate_left(char out[32], const json_t *cert)
{
	int64_t days = number_of(cert, "days_left");

	if (json_is_null(json_object_get(cert, "days_left")))
		snprintf(out, 32, "-");
	else if (days < 0)
		snprintf(out, 32, "EXPIRED");
	else
		snprintf(out, 32, "%lld", (long long)days);
}

const char *certificate_remedy(const json_t *cert)
{
	const char *stage = text_of(cert, "stage");

	if (stage[0] == '\0' || strcmp(stage, "third") == 0)
		return NULL;
	/* It shows one of our own. */
	if (strcmp(text_of(cert, "kind"), "listener") == 0)
		return NULL;
	if (strcmp(text_of(cert, "kind"), "own") == 0)
		return "renew it and put it into its file, which is noticed by "
		       "itself";
	/* Nobody here minds. */
	if (!json_is_true(json_object_get(cert, "watched")))
		return NULL;
	return "ask whoever runs that server to renew it";
}

static void add_row(struct table *t, const json_t *row, int64_t now_ms)
{
	bool named = !json_is_false(json_object_get(row, "named"));
	const char *remedy = certificate_remedy(row);
	const char *ocsp = text_of(row, "ocsp");
	char left[32], seen[HUMAN_TEXT_MAX];

	certificate_left(left, row);
	human_ago(seen, time_of(row, "last_seen"), now_ms);
	table_add(t, (const char *[]){
			     text_of(row, "kind"), text_of(row, "name"), left,
			     text_of(row, "not_after"), text_of(row, "crl"),
			     text_of(row, "subject"), text_of(row, "issuer"),
			     text_of(row, "names"), text_of(row, "address"),
			     seen});
	table_note(t, "refused", text_of(row, "refused"));
	table_note(t, text_of(row, "outcome"), text_of(row, "text"));
	if (remedy)
		table_note(t, "remedy", remedy);
	if (strcmp(ocsp, "off") != 0 && strcmp(ocsp, "stapled") != 0)
		table_note(t, "not stapled", ocsp);
	if (!named)
		table_note(t, "names", "none of them is the one expected");
}

struct listing {
	struct table *table;
	int64_t now_ms;
};

static bool see_row(void *arg, const json_t *row, struct span text)
{
	const struct listing *l = arg;

	(void)text;
	add_row(l->table, row, l->now_ms);
	return true;
}

static int list_json(const struct target *t)
{
	const struct sink sink = {.line = print_json_line};
	struct answer a;
	int code;

	request_send(t, NULL, &sink, &a);
	code = report(&a);
	answer_release(&a);
	return code;
}

static int list_table(const struct context *x, const struct target *t)
{
	struct listing l = {.now_ms = x->now_ms};
	const struct sink sink = {.line = see_row, .arg = &l};
	struct answer a;
	int code;

	l.table = table_new(stdout, columns, ARRAY_LEN(columns), x->width);
	request_send(t, NULL, &sink, &a);
	code = report(&a);
	if (table_end(l.table) == 0 && code == EXIT_DONE && x->width > 0)
		puts("no certificates");
	answer_release(&a);
	return code;
}

int run_cert_list(struct context *x)
{
	struct target t;
	int code;

	target_init(&t, x->client, "/v1/certificates");
	code = x->args.json ? list_json(&t) : list_table(x, &t);
	target_release(&t);
	return code;
}
