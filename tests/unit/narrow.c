#include "narrow.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

static const struct fake *target; /* NULL: all sockets are as they are */
static size_t room;

static bool
leads_there(int fd)
{
	struct sockaddr_in peer = {0};
	socklen_t len = sizeof(peer);

	return getpeername(fd, (struct sockaddr *)&peer, &len) == 0 && peer.sin_family == AF_INET &&
	       ntohs(peer.sin_port) == fake_at(target)->port;
}

/* The linker's names. */
ssize_t __real_send(int fd, const void *bytes, size_t len, int flags);
ssize_t __wrap_send(int fd, const void *bytes, size_t len, int flags);

ssize_t
__wrap_send(int fd, const void *bytes, size_t len, int flags)
{
	ssize_t n;

	if (target == NULL || !leads_there(fd)) {
		return __real_send(fd, bytes, len, flags);
	}
	if (room == 0) {
		errno = EAGAIN;
		return -1;
	}
	n = __real_send(fd, bytes, len < room ? len : room, flags);
	room -= n > 0 ? (size_t)n : 0;
	return n;
}

void
narrow_begin(const struct fake *f, size_t bytes)
{
	target = f;
	room = bytes;
}

void
narrow_end(void)
{
	target = NULL;
}

bool
narrow_is_full(void *arg)
{
	return room == 0;
}
