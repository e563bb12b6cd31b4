#include "net/listener.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define ACCEPTS_A_TURN   64
#define OUT_OF_FDS_WAIT  0.1
#define LISTENER_BACKLOG 4096
#define LISTENER_MAGIC   0x4c53544eU

struct listener {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	ev_io io;
	ev_timer retry; /* accepts again after the fds ran out */
	int fd;         /* owned */
	bool paused;
	listener_accept_fn *accept_fn;
	void *owner; /* borrowed (outlives the listener) */
};

/* The inode of the listening socket on `port`, from /proc/net/tcp or tcp6; 0 when there is none. */
static unsigned long
listening_inode(const char *table, uint16_t port)
{
	unsigned long inode = 0;
	char line[512];
	FILE *f = fopen(table, "re");

	if (f == NULL) {
		return 0;
	}
	while (inode == 0 && fgets(line, sizeof(line), f) != NULL) {
		/* "  sl  local:port remote:port st tx:rx tr:when retrnsmt uid timeout inode"
		 * (proc(5)), 0A is LISTEN */
		char *colon = strchr(line, ':'), *field, *save = NULL;
		unsigned long number;
		int n = 0;

		colon = colon != NULL ? strchr(colon + 1, ':') : NULL;
		if (colon == NULL || strtoul(colon + 1, NULL, 16) != port) {
			continue;
		}
		for (field = strtok_r(colon + 1, " ", &save); field != NULL;
		     field = strtok_r(NULL, " ", &save), n++) {
			if (n == 2 && strcmp(field, "0A") != 0) {
				break;
			}
			if (n == 8) {
				number = strtoul(field, NULL, 10);
				inode = number;
				break;
			}
		}
	}
	(void)fclose(f);
	return inode;
}

static bool
process_holds(const char *pid, const char *socket_link)
{
	char path[512], target[64];
	bool holds = false;
	struct dirent *fd;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%.20s/fd", pid);
	dir = opendir(path);
	while (dir != NULL && !holds && (fd = readdir(dir)) != NULL) {
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/%.20s/fd/%.20s", pid, fd->d_name);
		n = readlink(path, target, sizeof(target) - 1);
		holds = n > 0 && (size_t)n == strlen(socket_link) &&
			memcmp(target, socket_link, (size_t)n) == 0;
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
	return holds;
}

char *
listener_holder(uint16_t port, char *text, size_t size)
{
	unsigned long inode = listening_inode("/proc/net/tcp", port);
	char link[64], path[64], comm[32] = "";
	struct dirent *entry;
	DIR *dir;

	text[0] = '\0';
	if (inode == 0) {
		inode = listening_inode("/proc/net/tcp6", port);
	}
	dir = inode != 0 ? opendir("/proc") : NULL;
	if (dir == NULL) {
		return text;
	}
	(void)snprintf(link, sizeof(link), "socket:[%lu]", inode);
	while ((entry = readdir(dir)) != NULL) {
		FILE *f;

		if (entry->d_name[0] < '1' || entry->d_name[0] > '9' ||
		    !process_holds(entry->d_name, link)) {
			continue;
		}
		(void)snprintf(path, sizeof(path), "/proc/%.20s/comm", entry->d_name);
		f = fopen(path, "re");
		if (f != NULL && fgets(comm, sizeof(comm), f) != NULL) {
			comm[strcspn(comm, "\n")] = '\0';
		}
		if (f != NULL) {
			(void)fclose(f);
		}
		(void)snprintf(text, size, "%s (pid %.20s)", comm, entry->d_name);
		break;
	}
	(void)closedir(dir);
	return text;
}

/* Removes a socket file that nobody listens on any more (left by kill -9). */
static void
remove_stale_socket(const struct sockaddr_storage *addr, socklen_t len, const char *path)
{
	struct stat st;
	int fd;

	if (lstat(path, &st) == -1 || !S_ISSOCK(st.st_mode)) {
		return;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd != -1 && connect(fd, (const struct sockaddr *)addr, len) == -1 &&
	    errno == ECONNREFUSED) {
		(void)unlink(path);
	}
	if (fd != -1) {
		(void)close(fd);
	}
}

/* What to do about it. */
static const char *
way_out(const struct endpoint *ep, int error)
{
	bool file = ep->kind == ENDPOINT_UNIX;

	switch (error) {
	case ENOENT:
	case ENOTDIR:
		return file ? ": make its folder first, or choose another path" : "";
	case EADDRINUSE:
		return file ? ": remove what is there, or end what listens there" : "";
	case EACCES:
	case EPERM:
		return file ? ": let this user write into its folder, or choose another path"
			    : ": choose a port of 1024 or above, or lower "
			      "net.ipv4.ip_unprivileged_port_start";
	case EROFS:
		return ": choose a folder that can be written";
	default:
		return "";
	}
}

static int
bind_failed(const struct endpoint *ep, int error, struct errmsg *err)
{
	char holder[64] = "";

	if (error == EADDRINUSE && ep->kind == ENDPOINT_TCP) {
		(void)listener_holder(ep->port, holder, sizeof(holder));
		errmsg_set(err,
		    "port %u on %s is already in use%s%s: stop that, or choose another port",
		    ep->port, ep->host, holder[0] != '\0' ? " by " : "", holder);
	} else {
		errmsg_set(err, "cannot listen on %s: %s%s", ENDPOINT_TEXT(ep), strerror(error),
		    way_out(ep, error));
	}
	return -error;
}

/* A socket file begins as its owner's, whatever the mask was: listener_let_in says who else may connect. */
static int
bind_private(int fd, const struct sockaddr_storage *addr, socklen_t len)
{
	mode_t mask = umask(0177);
	int rc = bind(fd, (const struct sockaddr *)addr, len), error = errno;

	(void)umask(mask);
	errno = error;
	return rc;
}

int
listener_let_in(const struct endpoint *ep, unsigned mode, struct errmsg *err)
{
	if (ep->kind == ENDPOINT_UNIX && chmod(ep->host, (mode_t)mode) == -1) {
		int error = errno;

		errmsg_set(
		    err, "cannot let others connect to %s: %s", ENDPOINT_TEXT(ep), strerror(error));
		return -error;
	}
	return 0;
}

int
listener_bind(const struct endpoint *ep, int *ret_fd, struct errmsg *err)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int rc, fd, on = 1;

	rc = endpoint_resolve(ep, false, &addr, &len, err);
	if (rc < 0) {
		return rc;
	}
	if (ep->kind == ENDPOINT_UNIX) {
		remove_stale_socket(&addr, len, ep->host);
	}
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		return bind_failed(ep, errno, err);
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (addr.ss_family == AF_INET6) {
		(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	}
	if (bind_private(fd, &addr, len) == -1 || listen(fd, LISTENER_BACKLOG) == -1) {
		int error = errno;

		(void)close(fd);
		return bind_failed(ep, error, err);
	}
	*ret_fd = fd;
	return 0;
}

int
listener_probe(const struct endpoint *ep, struct errmsg *err)
{
	int fd = -1, rc = listener_bind(ep, &fd, err);

	if (rc == 0) {
		(void)close(fd);
		if (ep->kind == ENDPOINT_UNIX) {
			(void)unlink(ep->host);
		}
	}
	return rc;
}

static void
update_watch(struct listener *l)
{
	if (l->paused || ev_is_active(&l->retry)) {
		ev_io_stop(loop_ev(l->loop), &l->io);
	} else {
		ev_io_start(loop_ev(l->loop), &l->io);
	}
}

static void
on_retry(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct listener *l = OBJ_CAST((struct listener *)w->data, LISTENER_MAGIC);

	ev_timer_stop(ev, w);
	update_watch(l);
}

static void
on_connection(struct ev_loop *ev, ev_io *w, int revents)
{
	struct listener *l = OBJ_CAST((struct listener *)w->data, LISTENER_MAGIC);
	int on = 1;

	for (int i = 0; i < ACCEPTS_A_TURN && !l->paused; i++) {
		int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd == -1) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM) {
				log_peer(LOG_WARN, "cannot accept, trying again in 100 ms: %s",
				    strerror(errno));
				ev_timer_set(&l->retry, OUT_OF_FDS_WAIT, 0.);
				ev_timer_start(ev, &l->retry);
				update_watch(l);
			} else if (errno == ECONNABORTED || errno == EINTR) {
				continue;
			}
			return;
		}
		/* fails on unix sockets, where nothing is delayed anyway */
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		l->accept_fn(l->owner, fd);
	}
}

struct listener *
listener_new(struct loop *loop, int fd, listener_accept_fn *accept_fn, void *owner)
{
	struct listener *l = xcalloc(1, sizeof(*l));

	*l = (struct listener){.magic = LISTENER_MAGIC,
	    .loop = loop,
	    .fd = fd,
	    .accept_fn = accept_fn,
	    .owner = owner};
	ev_io_init(&l->io, on_connection, fd, EV_READ);
	l->io.data = l;
	ev_init(&l->retry, on_retry);
	l->retry.data = l;
	update_watch(l);
	return l;
}

static void
free_now(void *obj)
{
	struct listener *l = obj;

	l->magic = 0;
	free(l);
}

void
listener_free(struct listener **lp)
{
	struct listener *l = *lp;

	*lp = NULL;
	if (l == NULL) {
		return;
	}
	l->paused = true;
	ev_io_stop(loop_ev(l->loop), &l->io);
	ev_timer_stop(loop_ev(l->loop), &l->retry);
	(void)close(l->fd);
	loop_bury(l->loop, free_now, l);
}

void
listener_pause(struct listener *l, bool paused)
{
	l->paused = paused;
	update_watch(l);
}
