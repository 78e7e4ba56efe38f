/* SPDX-License-Identifier: ISC */
/*
 * control - serves the control API: HTTP/1.1 and JSON on a UNIX socket.
 *
 * Here are the table of endpoints and the rights; daemon/call.h is what a
 * handler sees of a request, daemon/endpoint.h lists the handlers,
 * daemon/control_socket.c binds the socket.
 */
#include "daemon/control.h"

#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "daemon/endpoint.h"

enum {
	BODY_MAX_BYTES = 4 << 20, /* thousands of recipients, or of ids */
	HEADERS_MAX_BYTES = 16384,
	/* For a request to come in, and between pieces of an answer. */
	TIMEOUT_S = 60,
	/* At once: each may hold a page of the queue. */
	CALLS_MAX = 64,
};

struct control {
	struct control_conf conf;
	struct evhttp *http;
	struct call *calls;
};

/* ------- routing */

/* BYTES: its body is not JSON. */
enum right { MAY_READ, MAY_CHANGE, MAY_CHANGE_BYTES };

static const struct endpoint {
	enum evhttp_cmd_type method;
	/* A path that ends in a slash takes what follows as c->rest. */
	const char *path;
	enum right right;
	call_step *run;
} endpoints[] = {
	{EVHTTP_REQ_GET, "/v1/status", MAY_READ, endpoint_status},
	{EVHTTP_REQ_GET, "/v1/metrics", MAY_READ, endpoint_metrics},
	{EVHTTP_REQ_GET, "/v1/health", MAY_READ, endpoint_health},
	{EVHTTP_REQ_GET, "/v1/queue", MAY_READ, endpoint_list},
	{EVHTTP_REQ_GET, "/v1/queue/summary", MAY_READ, endpoint_summary},
	{EVHTTP_REQ_POST, "/v1/queue/resubmit", MAY_CHANGE, endpoint_resubmit},
	{EVHTTP_REQ_POST, "/v1/queue/hold", MAY_CHANGE, endpoint_hold},
	{EVHTTP_REQ_POST, "/v1/queue/release", MAY_CHANGE, endpoint_release},
	{EVHTTP_REQ_POST, "/v1/queue/remove", MAY_CHANGE, endpoint_remove},
	{EVHTTP_REQ_POST, "/v1/queue/extend", MAY_CHANGE, endpoint_extend},
	{EVHTTP_REQ_GET, "/v1/queue/", MAY_READ, endpoint_message},
	{EVHTTP_REQ_GET, "/v1/trace", MAY_READ, endpoint_trace_search},
	{EVHTTP_REQ_GET, "/v1/trace/", MAY_READ, endpoint_trace},
	{EVHTTP_REQ_GET, "/v1/verify", MAY_READ, endpoint_verify},
	{EVHTTP_REQ_GET, "/v1/check-queue", MAY_READ, endpoint_check_queue},
	{EVHTTP_REQ_POST, "/v1/import", MAY_CHANGE, endpoint_import},
	{EVHTTP_REQ_POST, "/v1/import/", MAY_CHANGE_BYTES,
	 endpoint_import_body},
	{EVHTTP_REQ_GET, "/v1/audit", MAY_READ, endpoint_audit},
	{EVHTTP_REQ_GET, "/v1/exceptions", MAY_READ, endpoint_exceptions},
	{EVHTTP_REQ_POST, "/v1/exceptions", MAY_CHANGE, endpoint_exception_add},
	{EVHTTP_REQ_POST, "/v1/exceptions/remove", MAY_CHANGE,
	 endpoint_exception_remove},
	{EVHTTP_REQ_GET, "/v1/certificates", MAY_READ, endpoint_certificates},
	{EVHTTP_REQ_GET, "/v1/destinations", MAY_READ, endpoint_destinations},
	{EVHTTP_REQ_POST, "/v1/destinations/probe", MAY_CHANGE, endpoint_probe},
	{EVHTTP_REQ_POST, "/v1/destinations/suspend", MAY_CHANGE,
	 endpoint_suspend},
	{EVHTTP_REQ_POST, "/v1/destinations/resume", MAY_CHANGE,
	 endpoint_resume},
	{EVHTTP_REQ_POST, "/v1/reload", MAY_CHANGE, endpoint_reload},
	{EVHTTP_REQ_POST, "/v1/log-level", MAY_CHANGE, endpoint_log_level},
	{EVHTTP_REQ_POST, "/v1/check-tls", MAY_CHANGE, endpoint_check_tls},
	{EVHTTP_REQ_GET, "/v1/check-config", MAY_READ, endpoint_check_config},
};

/* The part of path behind the endpoint's, or NULL if it is another's. */
static const char *path_rest(const struct endpoint *ep, const char *path)
{
	size_t len = strlen(ep->path);

	if (strncmp(path, ep->path, len) != 0)
		return NULL;
	if (ep->path[len - 1] == '/')
		return path[len] ? path + len : NULL;
	return path[len] ? NULL : path + len;
}

static const struct endpoint *find(enum evhttp_cmd_type method,
				   const char *path, const char **rest,
				   bool *known)
{
	*known = false;
	for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
		*rest = path_rest(&endpoints[i], path);
		if (!*rest)
			continue;
		*known = true;
		if (endpoints[i].method == method)
			return &endpoints[i];
	}
	return NULL;
}

static bool has_right(const struct call *c, enum right right)
{
	return right == MAY_READ || c->uid == 0 || c->uid == geteuid();
}

static bool read_query(struct call *c)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(c->req);
	const char *query = evhttp_uri_get_query(uri);

	return !query || query[0] == '\0' ||
	       evhttp_parse_query_str(query, &c->query) == 0;
}

/* No body is an empty object. */
static bool read_body(struct call *c)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(c->req);
	size_t len = evbuffer_get_length(in);

	if (len == 0)
		c->body = json_object();
	else
		c->body = json_loadb((const char *)evbuffer_pullup(in, -1), len,
				     JSON_REJECT_DUPLICATES, NULL);
	return json_is_object(c->body);
}

static void route(struct call *c, enum evhttp_cmd_type method, const char *path)
{
	const struct endpoint *ep;
	const char *rest;
	bool known;

	ep = find(method, path, &rest, &known);
	if (!ep) {
		if (known)
			call_fail(c, 405, "wrong method for %s", path);
		else
			call_fail(c, 404, "no such endpoint: %s", path);
		return;
	}
	if (!has_right(c, ep->right)) {
		call_fail(c, 403,
			  "not permitted: only root and the user of relayd "
			  "may change anything");
		return;
	}
	if (!read_query(c) ||
	    (method == EVHTTP_REQ_POST && ep->right != MAY_CHANGE_BYTES &&
	     !read_body(c))) {
		call_fail(c, 400, "the request is malformed");
		return;
	}
	c->rest = xstrdup(rest);
	ep->run(c);
}

static bool is_busy(const struct control *ctl)
{
	unsigned n = 0;

	for (const struct call *c = ctl->calls; c; c = c->next)
		n++;
	return n > CALLS_MAX;
}

static void on_request(struct evhttp_request *req, void *arg)
{
	struct control *ctl = arg;
	struct call *c = call_new(&ctl->calls, &ctl->conf, req);
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(req);
	const char *raw = uri ? evhttp_uri_get_path(uri) : NULL;
	size_t len = 0;
	char *path = raw ? evhttp_uridecode(raw, 0, &len) : NULL;

	if (is_busy(ctl))
		call_fail(c, 503, "too many requests at once");
	else if (!path || strlen(path) != len)
		call_fail(c, 400, "the request is malformed");
	else
		route(c, evhttp_request_get_command(req), path);
	free(path);
}

/* ------- lifetime */

enum status control_start(struct control **out, const struct control_conf *conf,
			  struct err *e)
{
	struct control *ctl = xcalloc(1, sizeof(*ctl));
	struct evconnlistener *listener;

	ctl->conf = *conf;
	ctl->conf.started_mono_ms = clock_mono_ms();
	ctl->http = evhttp_new(conf->base);
	listener = evconnlistener_new(
		conf->base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, conf->fd);
	if (!ctl->http || !listener ||
	    !evhttp_bind_listener(ctl->http, listener)) {
		if (listener)
			evconnlistener_free(listener);
		else
			close(conf->fd);
		if (ctl->http)
			evhttp_free(ctl->http);
		free(ctl);
		return err_temp(e, 3, 0, "serve the control socket: no memory");
	}
	evhttp_set_allowed_methods(ctl->http, EVHTTP_REQ_GET | EVHTTP_REQ_POST);
	evhttp_set_max_body_size(ctl->http, BODY_MAX_BYTES);
	evhttp_set_max_headers_size(ctl->http, HEADERS_MAX_BYTES);
	evhttp_set_timeout(ctl->http, TIMEOUT_S);
	evhttp_set_gencb(ctl->http, on_request, ctl);
	*out = ctl;
	return ST_OK;
}

/* So that relayctl finds nothing rather than a socket that nobody serves. */
static void unlink_socket(int fd)
{
	struct sockaddr_un sun;
	socklen_t len = sizeof(sun);

	if (getsockname(fd, (struct sockaddr *)&sun, &len) == 0 &&
	    sun.sun_family == AF_UNIX && sun.sun_path[0] == '/')
		unlink(sun.sun_path);
}

void control_stop(struct control *ctl)
{
	if (!ctl)
		return;
	unlink_socket(ctl->conf.fd);
	call_stop_all(&ctl->calls);
	evhttp_free(ctl->http);
	imports_free(ctl->conf.relay->imports);
	ctl->conf.relay->imports = NULL;
	free(ctl);
}
