/* SPDX-License-Identifier: ISC */
/*
 * control - serves the control API: HTTP/1.1 and JSON on a UNIX socket.
 *
 * Rights come from the peer's credentials: members of control.group may read;
 * root and the daemon's user may also change.  Lists are streamed in chunks,
 * a page of the store at a time, and wait for a slow reader.
 *
 * Thread: main.
 */
#ifndef DAEMON_CONTROL_H
#define DAEMON_CONTROL_H

/* Not daemon/relay.h: queue/store.h and grp.h both have a struct group. */
#include "conf/conf.h"

struct control;
struct event_base;
struct mirror;
struct relay;
struct renewal;
struct snapshot;

struct control_conf {
	struct event_base *base;
	struct relay      *relay;
	struct renewal    *renewal;      /* NULL: nobody watches the files */
	struct mirror     *mirror;       /* NULL: nobody looks at listeners */
	int                fd;           /* bound and listening; owned */
	/* Reload; false after complaints. */
	bool (*reload)(void *arg, conf_complain *complain, void *complain_arg);
	/* Check the file as `relayd -n` does; *out is an owned reference of what
	 * it says, untouched if it can't be read. */
	bool (*check)(void *arg, struct conf **out, conf_complain *complain,
		      void *complain_arg);
	/* Today's snapshot, borrowed. */
	struct snapshot *(*snapshot)(void *arg);
	void *arg;
	int64_t started_mono_ms;         /* control's own */
};

MUST_USE enum status control_start(struct control **out,
				   const struct control_conf *conf,
				   struct err *e);
/* The first to be stopped: what is under way comes back to main_mail, which
 * has to be run until the writer and the dispatcher have ended, and before
 * the base is freed. NULL is fine. */
void control_stop(struct control *c);

/* Binds conf->control.socket, mode 0660, with its group; removes a stale one
 * that nobody serves. */
MUST_USE enum status control_bind(int *out_fd, const struct conf_control *conf,
				  struct err *e);

#endif
