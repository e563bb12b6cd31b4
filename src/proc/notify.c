#include "proc/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"

#define MESSAGE_MAX 1024

struct notify {
	int fd; /* owned; -1: nobody listens */
	struct sockaddr_un to;
	socklen_t to_len;
	uint64_t watchdog_us;
};

/* A path, or a name in the abstract space (with @ for its first byte). False: no such address. */
static bool
read_address(const char *text, struct notify *n)
{
	size_t len = strlen(text);

	if ((text[0] != '/' && text[0] != '@') || len < 2 || len >= sizeof(n->to.sun_path)) {
		return false;
	}
	n->to.sun_family = AF_UNIX;
	memcpy(n->to.sun_path, text, len);
	n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	if (text[0] == '@') {
		n->to.sun_path[0] = '\0';
	}
	return true;
}

static uint64_t
read_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t us, whose;

	if (usec == NULL || !slice_to_u64(slice_str(usec), &us)) {
		return 0;
	}
	if (pid != NULL && (!slice_to_u64(slice_str(pid), &whose) || whose != (uint64_t)getpid())) {
		return 0;
	}
	return us;
}

struct notify *
notify_new(void)
{
	const char *socket_name = getenv("NOTIFY_SOCKET");
	struct notify *n = xcalloc(1, sizeof(*n));

	n->fd = -1;
	if (socket_name != NULL && read_address(socket_name, n)) {
		n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	}
	if (n->fd != -1) {
		n->watchdog_us = read_watchdog();
	}
	return n;
}

void
notify_free(struct notify **np)
{
	struct notify *n = *np;

	*np = NULL;
	if (n == NULL) {
		return;
	}
	if (n->fd != -1) {
		(void)close(n->fd);
	}
	free(n);
}

bool
notify_is_on(const struct notify *n)
{
	return n->fd != -1;
}

uint64_t
notify_watchdog_us(const struct notify *n)
{
	return n->watchdog_us;
}

void
notify_send(struct notify *n, const char *fmt, ...)
{
	char text[MESSAGE_MAX];
	size_t len;
	va_list ap;

	if (n->fd == -1) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	len = strlen(text);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)text[i] < ' ' && text[i] != '\n') {
			text[i] = ' ';
		}
	}
	(void)sendto(n->fd, text, len, MSG_NOSIGNAL, (struct sockaddr *)&n->to, n->to_len);
}
