/* SPDX-License-Identifier: ISC */
/*
 * request - asks the daemon: HTTP over its UNIX socket.
 */
#include "ctl/request.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	LINE_MAX_BYTES = 16 << 20, /* a history of 1000 recipients */
	CONNECT_TIMEOUT_S = 10,
};

struct client {
	CURL *curl; /* owned */
	char *socket; /* owned */
};

struct client *client_open(const char *socket)
{
	struct client *c = xcalloc(1, sizeof(*c));

	BUG_ON(curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK);
	c->curl = curl_easy_init();
	BUG_ON(!c->curl);
	c->socket = xstrdup(socket);
	return c;
}

struct client *client_beside(const struct client *c)
{
	return client_open(c->socket);
}

void client_close(struct client *c)
{
	if (!c)
		return;
	curl_easy_cleanup(c->curl);
	curl_global_cleanup();
	free(c->socket);
	free(c);
}

/* ------- targets */

void target_init(struct target *t, struct client *c, const char *path)
{
	*t = (struct target){.client = c, .text = xstrdup(path)};
}

static char *percent(const struct target *t, const char *text)
{
	char *escaped =
		curl_easy_escape(t->client->curl, text, (int)strlen(text));
	char *copy;

	BUG_ON(!escaped);
	copy = xstrdup(escaped);
	curl_free(escaped);
	return copy;
}

void target_part(struct target *t, const char *part)
{
	char *old = t->text, *escaped = percent(t, part);

	t->text = xasprintf("%s/%s", old, escaped);
	free(old);
	free(escaped);
}

void target_query(struct target *t, const char *key, const char *value)
{
	char *old = t->text, *escaped = percent(t, value);

	t->text = xasprintf("%s%c%s=%s", old, t->has_query ? '&' : '?', key,
			    escaped);
	t->has_query = true;
	free(old);
	free(escaped);
}

void target_release(struct target *t)
{
	free(t->text);
}

/* ------- an answer as it comes in */

struct incoming {
	CURL *curl;
	const struct sink *sink;
	struct buf buf; /* an unfinished line, or the object */
	bool enough;
	bool broken; /* no JSON, or too long */
};

/* Whole lines at the front of the buffer. */
static bool take_lines(struct incoming *in)
{
	for (;;) {
		struct span s = buf_span(&in->buf);
		const char *end = s.len ? memchr(s.at, '\n', s.len) : NULL;
		struct span line = {s.at, end ? (size_t)(end - s.at) : 0};
		json_t *object;
		bool more;

		if (!end)
			return true;
		object = json_loadb(line.at, line.len, JSON_ALLOW_NUL, NULL);
		in->broken = !object;
		more = object && in->sink->line(in->sink->arg, object, line);
		json_decref(object);
		in->enough = !more && !in->broken;
		buf_take(&in->buf, line.len + 1);
		if (!more)
			return false;
	}
}

/* Does the answer go to the sink? A refusal never does. */
static bool is_wanted(const struct incoming *in)
{
	long http = 0;

	curl_easy_getinfo(in->curl, CURLINFO_RESPONSE_CODE, &http);
	return in->sink && http == 200;
}

static size_t on_data(char *at, size_t size, size_t n, void *arg)
{
	struct incoming *in = arg;
	struct span bytes = {at, size * n};

	if (is_wanted(in) && in->sink->bytes) {
		in->enough = !in->sink->bytes(in->sink->arg, bytes);
		return in->enough ? 0 : bytes.len;
	}
	if (!buf_add(&in->buf, bytes)) {
		in->broken = true;
		return 0;
	}
	if (is_wanted(in) && in->sink->line && !take_lines(in))
		return 0;
	return bytes.len;
}

/* ------- what it came to */

static void fail(struct answer *a, enum outcome outcome, char *text)
{
	a->outcome = outcome;
	free(a->error);
	a->error = text;
}

static void not_connected(const struct client *c, struct answer *a)
{
	if (access(c->socket, R_OK | W_OK) != 0 && errno == EACCES)
		fail(a, OUTCOME_REFUSED,
		     xasprintf("%s: permission denied: be root or a member of "
			       "relayd's control group",
			       c->socket));
	else
		fail(a, OUTCOME_NO_DAEMON,
		     xasprintf("%s: no daemon answers there; is relayd "
			       "running?",
			       c->socket));
}

static void judge_refusal(struct answer *a)
{
	const char *text =
		a->object
			? json_string_value(json_object_get(a->object, "error"))
			: NULL;

	fail(a, OUTCOME_REFUSED,
	     text ? xstrdup(text)
		  : xasprintf("the daemon answered with HTTP %ld", a->http));
}

static void judge(const struct client *c, const struct incoming *in,
		  CURLcode code, struct answer *a)
{
	struct span s = buf_span(&in->buf);
	bool wanted = is_wanted(in);

	curl_easy_getinfo(in->curl, CURLINFO_RESPONSE_CODE, &a->http);
	if (code == CURLE_COULDNT_CONNECT ||
	    (code == CURLE_OPERATION_TIMEDOUT && a->http == 0)) {
		not_connected(c, a);
	} else if (in->enough) {
		a->outcome = OUTCOME_ENOUGH;
	} else if (code != CURLE_OK || in->broken) {
		fail(a, OUTCOME_BROKEN,
		     xasprintf("the answer broke off: %s",
			       in->broken ? "it makes no sense"
					  : curl_easy_strerror(code)));
	} else if (!wanted) {
		a->object = json_loadb(s.at ? s.at : "", s.len, JSON_ALLOW_NUL,
				       NULL);
		if (a->http != 200)
			judge_refusal(a);
		else if (!a->object)
			fail(a, OUTCOME_BROKEN,
			     xstrdup("the daemon's answer is no JSON"));
	}
}

static void set_options(const struct target *t, struct incoming *in)
{
	CURL *curl = t->client->curl;
	/* The host is a formality: the socket decides who answers. */
	char *url = xasprintf("http://relayd%s", t->text);

	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, t->client->socket);
	/* Never what http_proxy says. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
	free(url);
}

/* body.at NULL: GET. */
static void send_body(const struct target *t, const char *type,
		      struct span body, const struct sink *sink,
		      struct answer *out)
{
	CURL *curl = t->client->curl;
	struct incoming in = {.curl = curl, .sink = sink};
	struct curl_slist *headers = NULL;

	*out = (struct answer){.outcome = OUTCOME_OK};
	buf_init(&in.buf, LINE_MAX_BYTES);
	set_options(t, &in);
	if (body.at) {
		/* The daemon begins at once: no "Expect: 100-continue". */
		headers = curl_slist_append(headers, "Expect:");
		headers = curl_slist_append(headers, type);
		curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
				 (curl_off_t)body.len);
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body.at);
	}
	judge(t->client, &in, curl_easy_perform(curl), out);
	curl_slist_free_all(headers);
	buf_release(&in.buf);
}

void request_send(const struct target *t, const json_t *body,
		  const struct sink *sink, struct answer *out)
{
	char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	struct span bytes = {text, text ? strlen(text) : 0};

	send_body(t, "Content-Type: application/json", bytes, sink, out);
	free(text);
}

void request_send_bytes(const struct target *t, struct span body,
			struct answer *out)
{
	struct span bytes = {body.at ? body.at : "", body.len};

	send_body(t, "Content-Type: application/octet-stream", bytes, NULL,
		  out);
}

void answer_release(struct answer *a)
{
	json_decref(a->object);
	free(a->error);
	*a = (struct answer){0};
}
