/* SPDX-License-Identifier: ISC */
/*
 * scrape - a second door to two endpoints of the control API.
 */
#include "daemon/scrape.h"

#include <errno.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "daemon/endpoint.h"

enum {
	HEADERS_MAX_BYTES = 16384,
	TIMEOUT_S = 30,
	/* Whoever asks more often than it is answered gets 503. */
	CALLS_MAX = 8,
};

struct scrape {
	struct control_conf conf;
	struct evhttp *http;
	struct call *calls;
};

static bool is_busy(const struct scrape *s)
{
	unsigned n = 0;

	for (const struct call *c = s->calls; c != NULL; c = c->next)
		n++;
	return n > CALLS_MAX;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct scrape *s = arg;
	struct call *c = call_new(&s->calls, &s->conf, req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *path = uri != NULL ? evhttp_uri_get_path(uri) : NULL;

	if (is_busy(s))
		call_fail(c, 503, "too many requests at once");
	else if (path != NULL && strcmp(path, "/metrics") == 0)
		endpoint_metrics(c);
	else if (path != NULL && strcmp(path, "/healthz") == 0)
		endpoint_health(c);
	else
		call_fail(c, 404, "here are /metrics and /healthz");
}

enum status scrape_start(struct scrape **out, const struct addr *at,
			 const struct control_conf *conf, struct err *e)
{
	struct scrape *s = xcalloc(1, sizeof(*s));
	struct evconnlistener *listener;
	char text[ADDR_TEXT_MAX];

	addr_text(text, at);
	s->conf = *conf;
	s->conf.started_mono_ms = clock_mono_ms();
	s->http = evhttp_new(conf->base);
	errno = 0;
	listener = evconnlistener_new_bind(conf->base, NULL, NULL,
					   LEV_OPT_CLOSE_ON_FREE |
						   LEV_OPT_CLOSE_ON_EXEC |
						   LEV_OPT_REUSEABLE,
					   -1, &at->sa, (int)at->len);
	if (listener == NULL || s->http == NULL ||
	    evhttp_bind_listener(s->http, listener) == NULL) {
		err_sys(e, errno != 0 ? errno : ENOMEM, "serve metrics at %s",
			text);
		if (listener != NULL)
			evconnlistener_free(listener);
		if (s->http != NULL)
			evhttp_free(s->http);
		free(s);
		return ST_TEMP;
	}
	evhttp_set_allowed_methods(s->http, EVHTTP_REQ_GET);
	evhttp_set_max_body_size(s->http, 0);
	evhttp_set_max_headers_size(s->http, HEADERS_MAX_BYTES);
	evhttp_set_timeout(s->http, TIMEOUT_S);
	evhttp_set_gencb(s->http, on_request, s);
	*out = s;
	return ST_OK;
}

void scrape_stop(struct scrape *s)
{
	if (s == NULL)
		return;
	call_stop_all(&s->calls);
	evhttp_free(s->http);
	free(s);
}
