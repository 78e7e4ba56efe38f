/* SPDX-License-Identifier: ISC */
/*
 * control_audit - the endpoint that lists who changed what, the newest first.
 */
#include <event2/buffer.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/units.h"
#include "daemon/endpoint.h"

enum { PAGE = 200 };

struct reading {
	struct evbuffer *out; /* owned */
	char *before; /* owned: the key of the last one sent; or NULL */
	uint64_t left; /* to be sent */
};

static void reading_free(void *state)
{
	struct reading *r = state;

	evbuffer_free(r->out);
	free(r->before);
	free(r);
}

static void send_page(struct call *c)
{
	struct store *store = c->relay->store;
	struct reading *r = c->state;
	size_t max = r->left < PAGE ? (size_t)r->left : PAGE;
	struct store_record *list;
	struct err e;
	size_t n;

	if (store->ops->records(store, RECORD_AUDIT, RECORDS_FALLING, r->before,
				max, &list, &n, &e) != ST_OK) {
		log_text(LOG_ERROR, "audit-unread", "%s", e.text);
		call_break(c);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		json_t *o = json_loads(list[i].value, 0, NULL);

		call_line(r->out, o);
		free(r->before);
		r->before = list[i].key;
		list[i].key = NULL;
		store_record_release(&list[i]);
	}
	free(list);
	r->left -= n;
	call_send(c, r->out, n < max || r->left == 0 ? call_end : send_page);
}

void endpoint_audit(struct call *c)
{
	const char *limit = call_param(c, "limit");
	const char *before = call_param(c, "before");
	struct reading *r = xcalloc(1, sizeof(*r));

	r->left = UINT64_MAX;
	r->out = evbuffer_new();
	BUG_ON(!r->out);
	c->state = r;
	c->state_free = reading_free;
	if (limit && (!size_parse(limit, &r->left) || r->left == 0)) {
		call_fail(c, 400, "limit \"%.40s\": wants a number", limit);
		return;
	}
	if (before) {
		uint64_t number;

		if (!size_parse(before, &number)) {
			call_fail(c, 400, "before \"%.40s\": wants a number",
				  before);
			return;
		}
		r->before = xasprintf("%016llx", (unsigned long long)number);
	}
	call_stream(c, "application/x-ndjson");
	send_page(c);
}
