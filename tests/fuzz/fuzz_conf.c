/* SPDX-License-Identifier: ISC */
/*
 * fuzz_conf - the text of relayd.conf.
 *
 * The input: an override as --set gives it (a string, "" for none), then the
 * text.  It is a file in memory; what would include another one is passed by,
 * for the outcome would not depend on the input alone.
 */
#include "conf/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { COMPLAINT_MAX = 8192 };

static unsigned complaints;

static void on_complaint(void *arg, const char *line)
{
	(void)arg;
	complaints++;
	fuzz_printable(line);
	HOLDS(strlen(line) <= COMPLAINT_MAX);
	HOLDS(strstr(line, ": ") != NULL);
}

static struct conf *read_conf(const char *path, const char *override)
{
	struct conf *c;

	complaints = 0;
	c = conf_read(path, &override, *override != '\0', on_complaint, NULL);
	HOLDS((c == NULL) == (complaints > 0));
	return c;
}

static void check_conf(const struct conf *c)
{
	const struct conf_route *r;

	HOLDS(c->hostname != NULL && c->hostname[0] != '\0');
	fuzz_printable(c->hostname);
	for (size_t i = 0; i < c->nroutes; i++) {
		r = &c->routes[i];
		HOLDS(conf_route_named(c, r->name) == r);
		HOLDS(r->mx || r->nhosts > 0);
		for (size_t d = 0; d < r->domains.n; d++)
			HOLDS(conf_domain_matches("*", r->domains.at[d]));
	}
	r = conf_route_for(c, "example.com");
	HOLDS(r == NULL || r->domains.n > 0);
	for (size_t i = 0; i < c->nlisteners; i++)
		HOLDS(c->listeners[i].naddresses > 0);
}

static void read_text(struct span text, const char *override)
{
	int fd = memfd_create("relayd.conf", MFD_CLOEXEC);
	char path[64];
	struct conf *c, *again;

	BUG_ON(fd < 0 || write(fd, text.at, text.len) != (ssize_t)text.len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	c = read_conf(path, override);
	if (c != NULL) {
		check_conf(c);
		again = read_conf(path, override);
		HOLDS(again != NULL);
		HOLDS(conf_can_replace(c, again, on_complaint, NULL));
		conf_unref(again);
	}
	conf_unref(c);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = fuzz_input(data, size);
	char *override = fuzz_string(&in);

	if (in.len > 0 && memmem(in.at, in.len, "include", 7) == NULL &&
	    strstr(override, "include") == NULL)
		read_text(in, override);
	free(override);
	return 0;
}
