/* SPDX-License-Identifier: ISC */
/*
 * privs - gives up what a relay does not need.
 *
 * Under the systemd unit we never are root, and nothing here changes the
 * user.  Started as root (a container, an init script), root is used to bind
 * the ports and to make two directories, and then given up for good; the
 * certificates, keys and the queue are opened as the user, so that whatever
 * could be started can also be reloaded.
 */
#include "daemon/privs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum {
	QUEUE_MODE = 0700,
	CONTROL_MODE = 0755, /* group members go through to it */
};

void privs_limit(void)
{
	struct rlimit files;

	umask(0077);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#ifndef DEBUG
	/* Developers want core files, and LeakSanitizer traces itself. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

enum status privs_find(struct privs *out, const struct conf *conf,
		       struct err *e)
{
	const struct passwd *pw;

	*out = (struct privs){.user = conf->user};
	if (geteuid() != 0)
		return ST_OK;
	errno = 0;
	pw = getpwnam(conf->user);
	if (!pw)
		return err_perm(e, 3, 5,
				"%s: started as root, but there is no user "
				"\"%s\" to become: create it, or set user",
				conf->file, conf->user);
	out->uid = pw->pw_uid;
	out->gid = pw->pw_gid;
	out->drop = pw->pw_uid != 0;
	return ST_OK;
}

/* ------- directories */

static bool dir_is_empty(int fd)
{
	int copy = openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = copy < 0 ? NULL : fdopendir(copy);
	const struct dirent *entry;
	bool empty = true;

	if (!dir) {
		if (copy >= 0)
			close(copy);
		return false;
	}
	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 ||
			strcmp(entry->d_name, "..") == 0;
	closedir(dir);
	return empty;
}

/* An empty directory is taken over; one with content might be anybody's, and
 * is not. */
static enum status own_dir(const struct privs *p, const char *path,
			   struct err *e)
{
	enum status st = ST_OK;
	struct stat sb;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, errno, "open %s", path);
	if (fstat(fd, &sb) < 0) {
		st = err_sys(e, errno, "look at %s", path);
		goto out;
	}
	if (sb.st_uid == p->uid)
		goto out;
	if (!dir_is_empty(fd))
		st = err_perm(e, 3, 5, "%s belongs to uid %u: chown -R %s %s",
			      path, (unsigned)sb.st_uid, p->user, path);
	else if (fchown(fd, p->uid, p->gid) < 0)
		st = err_sys(e, errno, "chown %s", path);
out:
	close(fd);
	return st;
}

/* *made: it was not there. */
static enum status make_dir(const char *path, mode_t mode, bool *made,
			    struct err *e)
{
	*made = mkdir(path, mode) == 0;
	if (!*made && errno != EEXIST)
		return err_sys(e, errno, "create %s", path);
	/* The umask took bits away. */
	if (*made && chmod(path, mode) < 0)
		return err_sys(e, errno, "chmod %s", path);
	return ST_OK;
}

static enum status prepare_control(const struct privs *p, const char *socket,
				   struct err *e)
{
	const char *slash = strrchr(socket, '/');
	enum status st;
	char *dir;
	bool made;

	if (!slash || slash == socket)
		return ST_OK;
	dir = xstrndup(socket, (size_t)(slash - socket));
	st = make_dir(dir, CONTROL_MODE, &made, e);
	if (st == ST_OK && made && p->drop)
		st = own_dir(p, dir, e);
	free(dir);
	return st;
}

enum status privs_prepare(const struct privs *p, const struct conf *conf,
			  struct err *e)
{
	enum status st;
	bool made;

	st = make_dir(conf->queue.path, QUEUE_MODE, &made, e);
	if (st == ST_OK && p->drop)
		st = own_dir(p, conf->queue.path, e);
	if (st == ST_OK)
		st = prepare_control(p, conf->control.socket, e);
	return st;
}

void privs_give(const struct privs *p, const char *path)
{
	/* If it does not work the socket is only left behind at the end. */
	if (p->drop && lchown(path, p->uid, (gid_t)-1) < 0)
		return;
}

enum status privs_drop(const struct privs *p, struct err *e)
{
	if (!p->drop)
		return ST_OK;
	/* With the user's other groups: `ssl-cert` may own the keys. */
	if (initgroups(p->user, p->gid) < 0 ||
	    setresgid(p->gid, p->gid, p->gid) < 0 ||
	    setresuid(p->uid, p->uid, p->uid) < 0)
		return err_sys(e, errno, "become user %s", p->user);
	BUG_ON(setuid(0) == 0);
	return ST_OK;
}
