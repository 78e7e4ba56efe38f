/* SPDX-License-Identifier: ISC */
/*
 * control_socket - binds the UNIX socket of the control API.
 */
#include <errno.h>
#include <grp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control.h"

enum { BACKLOG = 64 };

static enum status socket_address(struct sockaddr_un *sun, const char *path,
				  struct err *e)
{
	size_t len = strlen(path);

	*sun = (struct sockaddr_un){.sun_family = AF_UNIX};
	if (len >= sizeof(sun->sun_path))
		return err_perm(e, 3, 5, "control.socket: %s is too long",
				path);
	memcpy(sun->sun_path, path, len + 1);
	return ST_OK;
}

/* A socket that a crash left behind refuses connections. */
static bool is_stale(const struct sockaddr_un *sun)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	bool refused;

	if (fd < 0)
		return false;
	refused =
		connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) != 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return refused && lstat(sun->sun_path, &st) == 0 &&
	       S_ISSOCK(st.st_mode);
}

/* Nobody may connect before group and mode are right. */
static int bind_closed(int fd, const struct sockaddr_un *sun)
{
	mode_t mask = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)sun, sizeof(*sun));
	int os = errno;

	umask(mask);
	errno = os;
	return rc;
}

static enum status bind_path(int fd, const struct sockaddr_un *sun,
			     struct err *e)
{
	if (bind_closed(fd, sun) == 0)
		return ST_OK;
	if (errno != EADDRINUSE)
		return err_sys(e, errno, "bind %s", sun->sun_path);
	if (!is_stale(sun))
		return err_perm(e, 3, 5,
				"%s: another relayd serves it, or it is no "
				"socket",
				sun->sun_path);
	if (unlink(sun->sun_path) != 0)
		return err_sys(e, errno, "remove the stale %s", sun->sun_path);
	if (bind_closed(fd, sun) != 0)
		return err_sys(e, errno, "bind %s", sun->sun_path);
	return ST_OK;
}

/* A group that is missing closes relayctl to some, which is no reason not to
 * carry mail; nor is it for who tries relayd out without being root. */
static enum status give_to_group(const char *path, const char *name,
				 struct err *e)
{
	const struct group *group;

	if (name[0] == '\0')
		return ST_OK;
	group = getgrnam(name);
	if (group && chown(path, (uid_t)-1, group->gr_gid) == 0)
		return ST_OK;
	if (group && geteuid() == 0)
		return err_sys(e, errno, "chown %s", path);
	log_text(LOG_WARN, "control-group",
		 "%s: not given to the group %s (%s): only its owner and root "
		 "can use relayctl",
		 path, name, group ? "not a member" : "there is none");
	return ST_OK;
}

enum status control_bind(int *out_fd, const struct conf_control *conf,
			 struct err *e)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un sun;
	enum status st;

	if (fd < 0)
		return err_sys(e, errno, "open the control socket");
	st = socket_address(&sun, conf->socket, e);
	if (st == ST_OK)
		st = bind_path(fd, &sun, e);
	if (st != ST_OK)
		goto out;
	st = give_to_group(conf->socket, conf->group, e);
	if (st != ST_OK)
		goto out;
	if (chmod(conf->socket, 0660) != 0 || listen(fd, BACKLOG) != 0) {
		st = err_sys(e, errno, "listen at %s", conf->socket);
		goto out;
	}
	*out_fd = fd;
	fd = -1;
out:
	if (fd >= 0)
		close(fd);
	return st;
}
