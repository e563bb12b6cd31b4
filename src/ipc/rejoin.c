#include "ipc/rejoin.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "ipc/channel.h"

#define REJOIN_MAGIC   0x52454a4fU
#define REJOIN_BACKLOG 8

struct rejoin {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	int fd;            /* owned */
	ev_io io;          /* active while there is no channel */
	char *path;        /* owned */
	struct stat file;  /* what we bound, so that we remove no other */
	rejoin_fn *fn;
	void *owner; /* borrowed (frees us before it goes) */
};

/* Room for the longest message, as channel_pair makes it. */
static void
make_room(int fd)
{
	int bytes = 2 * (int)IPC_MAX_BYTES;

	(void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
}

static bool
is_let_in(int fd)
{
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0);
}

static void
on_call(struct ev_loop *ev, ev_io *w, int revents)
{
	struct rejoin *r = OBJ_CAST((struct rejoin *)w->data, REJOIN_MAGIC);
	int fd = accept4(r->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd == -1) {
		return;
	}
	if (!is_let_in(fd)) {
		(void)close(fd);
		return;
	}
	make_room(fd);
	ev_io_stop(ev, w);
	r->fn(r->owner, fd);
}

int
rejoin_new(
    struct loop *loop, const char *name, rejoin_fn *fn, void *owner, struct rejoin **ret_rejoin)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct rejoin *r;
	struct stat st;
	mode_t mask;
	int fd, rc = 0;

	if ((size_t)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s.sock", name) >=
	    sizeof(addr.sun_path)) {
		return -ENAMETOOLONG;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1) {
		return -errno;
	}
	(void)unlink(addr.sun_path);
	mask = umask(0177);
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1 ||
	    listen(fd, REJOIN_BACKLOG) == -1 || lstat(addr.sun_path, &st) == -1) {
		rc = -errno;
	}
	(void)umask(mask);
	if (rc < 0) {
		(void)close(fd);
		return rc;
	}
	r = xcalloc(1, sizeof(*r));
	*r = (struct rejoin){.magic = REJOIN_MAGIC,
	    .loop = loop,
	    .fd = fd,
	    .path = xstrdup(addr.sun_path),
	    .file = st,
	    .fn = fn,
	    .owner = owner};
	ev_io_init(&r->io, on_call, fd, EV_READ);
	r->io.data = r;
	*ret_rejoin = r;
	return 0;
}

void
rejoin_accept(struct rejoin *r)
{
	ev_io_start(loop_ev(r->loop), &r->io);
}

static void
free_now(void *obj)
{
	struct rejoin *r = obj;

	r->magic = 0;
	free(r->path);
	free(r);
}

void
rejoin_free(struct rejoin **rp)
{
	struct rejoin *r = *rp;
	struct stat st;

	*rp = NULL;
	if (r == NULL) {
		return;
	}
	ev_io_stop(loop_ev(r->loop), &r->io);
	if (lstat(r->path, &st) == 0 && st.st_ino == r->file.st_ino &&
	    st.st_dev == r->file.st_dev) {
		(void)unlink(r->path);
	}
	(void)close(r->fd);
	loop_bury(r->loop, free_now, r);
}

int
rejoin_connect(const char *dir, const char *name, pid_t pid, int *ret_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t len = sizeof(peer);
	/* By way of its folder: the kernel takes 107 bytes of a path, but follows links in them. */
	int folder = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC), fd = -1, rc = 0;

	if (folder == -1) {
		return -errno;
	}
	(void)snprintf(
	    addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%.64s.sock", folder, name);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd == -1 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == -1 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == -1) {
		rc = -errno;
	} else if (peer.pid != pid) {
		rc = -ESRCH;
	}
	(void)close(folder);
	if (rc < 0) {
		if (fd != -1) {
			(void)close(fd);
		}
		return rc;
	}
	make_room(fd);
	*ret_fd = fd;
	return 0;
}

void
rejoin_remove(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s.sock", dir, name);

	(void)unlink(path);
	free(path);
}
