/* SPDX-License-Identifier: ISC */
/*
 * pace - how fast a service may be spoken to, whatever its hosts are called.
 */
#include "daemon/pace.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DOUBLED_MAX = 4, /* times that a pause doubles */
	REST_MAX_MS = 60 * 60 * 1000, /* then a limit is forgotten */
	LONG_PAUSE_MS = 10 * 60 * 1000,
};

/* Services whose hosts have many names.  Exchange Online counts for ten
 * minutes and more. */
static const struct {
	const char *suffix, *service;
	int64_t pause_min_ms;
} services[] = {
	{".mail.protection.outlook.com", "mail.protection.outlook.com",
	 LONG_PAUSE_MS},
	{".mx.microsoft", "mail.protection.outlook.com", LONG_PAUSE_MS},
};

char *pace_service(const char *host, unsigned port)
{
	struct span name = span_of(host);
	char *service;

	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (span_ends_nocase(name, span_of(services[i].suffix)))
			return xstrdup(services[i].service);
	service = xasprintf("%s:%u", host, port);
	for (char *c = service; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	return service;
}

static int64_t pause_min_ms(const char *service)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++)
		if (strcmp(services[i].service, service) == 0)
			return services[i].pause_min_ms;
	return 0;
}

struct pace *pace_new(const char *service)
{
	struct pace *p = xcalloc(1, sizeof(*p));

	p->service = xstrdup(service);
	p->reply = xstrdup("");
	return p;
}

void pace_free(struct pace *p)
{
	free(p->service);
	free(p->reply);
	free(p);
}

bool pace_is_paused(const struct pace *p, int64_t mono_ms)
{
	return mono_ms < p->pause_until_mono_ms;
}

bool pace_slow(struct pace *p, const struct failure *f, int64_t unit_ms,
	       int64_t mono_ms)
{
	int64_t least_ms = pause_min_ms(p->service);
	int64_t pause_ms = unit_ms > least_ms ? unit_ms : least_ms;

	if (pace_is_paused(p, mono_ms))
		return false;
	if (p->limit == 0 || p->connections < p->limit)
		p->limit = p->connections;
	p->limit = p->limit > 1 ? p->limit / 2 : 1;
	p->successes = 0;
	p->pause_until_mono_ms = mono_ms + (pause_ms << p->pauses);
	if (p->pauses < DOUBLED_MAX)
		p->pauses++;
	snprintf(p->enhanced, sizeof(p->enhanced), "%s", f->enhanced);
	free(p->reply);
	p->reply = xstrdup(f->reply);
	return true;
}

void pace_succeeded(struct pace *p, unsigned n, unsigned max)
{
	if (p->limit == 0)
		return;
	p->successes += n;
	while (p->limit != 0 && p->successes >= p->limit) {
		p->successes -= p->limit;
		p->limit++;
		p->pauses = 0;
		if (p->limit >= max)
			p->limit = 0;
	}
}

void pace_resume(struct pace *p)
{
	p->pause_until_mono_ms = 0;
}

bool pace_may_open(const struct pace *p, int64_t mono_ms)
{
	return !pace_is_paused(p, mono_ms) &&
	       (p->limit == 0 || p->connections < p->limit);
}

bool pace_may_use(const struct pace *p, int64_t mono_ms)
{
	return !pace_is_paused(p, mono_ms) &&
	       (p->limit == 0 || p->connections <= p->limit);
}

bool pace_is_idle(const struct pace *p, int64_t mono_ms)
{
	return p->connections == 0 &&
	       (p->limit == 0 ||
		mono_ms >= p->pause_until_mono_ms + REST_MAX_MS);
}

void pace_failure(const struct pace *p, struct failure *out)
{
	*out = (struct failure){
		.status = ST_TEMP,
		.reach = AT_DESTINATION,
		.cause = CAUSE_IS_PEER_THROTTLED,
	};
	/* RFC 3463: X.4.5, mail system congestion. */
	snprintf(out->enhanced, sizeof(out->enhanced), "%s",
		 p->enhanced[0] ? p->enhanced : "4.4.5");
	snprintf(out->reply, sizeof(out->reply), "%s", p->reply);
}
