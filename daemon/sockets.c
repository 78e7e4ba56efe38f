/* SPDX-License-Identifier: ISC */
/*
 * sockets - takes over the sockets that systemd holds (sd_listen_fds(3)),
 * binds the others.
 *
 * They are matched by address, not by name: relayd.conf stays the only place
 * that says what listens where.
 */
#include "daemon/sockets.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"
#include "net/listener.h"

struct passed {
	int *fds; /* -1: taken by a listener */
	char **names; /* for the warning */
	size_t n;
};

static void passed_open(struct passed *p)
{
	int n = sd_listen_fds_with_names(1, &p->names);

	if (n <= 0)
		return;
	p->n = (size_t)n;
	p->fds = xcalloc(p->n, sizeof(*p->fds));
	for (size_t i = 0; i < p->n; i++)
		p->fds[i] = SD_LISTEN_FDS_START + (int)i;
}

static void passed_release(struct passed *p)
{
	for (size_t i = 0; i < p->n; i++) {
		if (p->fds[i] >= 0) {
			log_text(LOG_WARN, "socket-unused",
				 "systemd passed socket \"%s\", but no "
				 "listener has its address: closed",
				 p->names[i]);
			close(p->fds[i]);
		}
		free(p->names[i]);
	}
	free(p->names);
	free(p->fds);
}

/* -1: none has this address. */
static int passed_take(struct passed *p, const struct addr *addr)
{
	int fd = p->n > 0 ? listener_find(p->fds, p->n, addr) : -1;

	for (size_t i = 0; i < p->n; i++)
		if (p->fds[i] == fd)
			p->fds[i] = -1;
	return fd;
}

static enum status open_one(struct listening *l, struct passed *p,
			    struct err *e)
{
	int fd = passed_take(p, &l->addr);

	if (fd < 0)
		return listener_bind(&l->fd, &l->addr, e);
	/* systemd passes them as they were made: blocking. */
	if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
		close(fd);
		return err_temp(e, 3, 0, "a socket of systemd is unusable");
	}
	l->fd = fd;
	l->passed = true;
	return ST_OK;
}

static size_t count_addresses(const struct conf *conf)
{
	size_t n = 0;

	for (size_t i = 0; i < conf->nlisteners; i++)
		n += conf->listeners[i].naddresses;
	return n;
}

static enum status open_listener(struct relay *relay,
				 const struct conf_listener *listener,
				 struct passed *p, struct err *e)
{
	for (size_t i = 0; i < listener->naddresses; i++) {
		struct listening *l = &relay->listening[relay->nlistening];
		enum status st;

		l->addr = listener->addresses[i];
		st = open_one(l, p, e);
		if (st != ST_OK)
			return st;
		l->listener = xstrdup(listener->name);
		atomic_init(&l->connections, 0);
		relay->nlistening++;
	}
	return ST_OK;
}

enum status sockets_open(struct relay *relay, const struct conf *conf,
			 struct err *e)
{
	struct passed passed = {.n = 0};
	enum status st = ST_OK;

	relay->listening =
		xcalloc(count_addresses(conf) + 1, sizeof(*relay->listening));
	passed_open(&passed);
	for (size_t i = 0; i < conf->nlisteners && st == ST_OK; i++)
		st = open_listener(relay, &conf->listeners[i], &passed, e);
	passed_release(&passed);
	if (st != ST_OK)
		sockets_close(relay);
	return st;
}

void sockets_refuse(struct relay *relay)
{
	/* Linux stops listening; the descriptor stays for those who poll it. */
	for (size_t i = 0; i < relay->nlistening; i++)
		if (!relay->listening[i].passed)
			shutdown(relay->listening[i].fd, SHUT_RD);
}

void sockets_close(struct relay *relay)
{
	for (size_t i = 0; i < relay->nlistening; i++) {
		close(relay->listening[i].fd);
		free(relay->listening[i].listener);
	}
	free(relay->listening);
	relay->listening = NULL;
	relay->nlistening = 0;
}
