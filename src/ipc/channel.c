#include "ipc/channel.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"

#define CHANNEL_MAGIC   0x4348414eU
#define QUEUE_MAX_BYTES ((size_t)4 * 1024 * 1024)
#define MSG_FDS         ARRAY_LEN(((struct channel_msg *)NULL)->fds)
/* Messages taken in one wake-up, so that one peer cannot keep the loop. */
#define READS_PER_TURN 16

/* On the wire: the verb and each argument, a NUL after each of them. */
struct outgoing {
	struct list link;
	int fd; /* owned: a duplicate; -1: none */
	size_t len;
	char bytes[];
};

struct channel {
	uint32_t magic;
	int fd;            /* owned; -1 once closed */
	struct loop *loop; /* borrowed (outlives all) */
	ev_io read_io, write_io;
	struct list queue; /* struct outgoing.link, in order */
	size_t queued_bytes;
	const struct channel_ops *ops; /* borrowed (static) */
	void *owner;                   /* borrowed (closes the channel before it goes) */
	bool gone;                     /* the peer is; nothing is sent or read any more */
};

static void
queue_drop(struct channel *ch, struct outgoing *out)
{
	list_del(&out->link);
	ch->queued_bytes -= out->len;
	if (out->fd != -1) {
		(void)close(out->fd);
	}
	free(out);
}

static void
queue_clear(struct channel *ch)
{
	while (!list_is_empty(&ch->queue)) {
		queue_drop(ch, CONTAINER_OF(ch->queue.next, struct outgoing, link));
	}
}

/* One sendmsg. 0, or negative errno. */
static int
send_now(int sock, const char *bytes, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (char *)(uintptr_t)bytes, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd != -1) {
		struct cmsghdr *c;

		msg.msg_control = control.bytes;
		msg.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n == -1 && errno == EINTR);
	return n == -1 ? -errno : 0;
}

/*
 * The peer is gone for sending. What it said before is still to be read, and the end of that is
 * where on_gone comes from: so only the queue goes here.
 */
static int
lose_peer(struct channel *ch)
{
	queue_clear(ch);
	ev_io_stop(loop_ev(ch->loop), &ch->write_io);
	ch->gone = true;
	return -EPIPE;
}

static void
on_writable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct channel *ch = OBJ_CAST((struct channel *)w->data, CHANNEL_MAGIC);

	while (!list_is_empty(&ch->queue)) {
		struct outgoing *out = CONTAINER_OF(ch->queue.next, struct outgoing, link);
		int err = send_now(ch->fd, out->bytes, out->len, out->fd);

		if (err == -EAGAIN) {
			return;
		}
		if (err == -EPIPE || err == -ECONNRESET) {
			(void)lose_peer(ch);
			return;
		}
		/* Anything else is about this message alone (too big for the socket, no room for
		 * another descriptor): the ones behind it must not wait for it for ever. */
		queue_drop(ch, out);
	}
	ev_io_stop(loop_ev(ch->loop), &ch->write_io);
}

static int
enqueue(struct channel *ch, const char *bytes, size_t len, int fd)
{
	struct outgoing *out;
	int dup_fd = -1;

	if (ch->queued_bytes + len > QUEUE_MAX_BYTES) {
		return -ENOBUFS;
	}
	if (fd != -1) {
		dup_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (dup_fd == -1) {
			return -errno;
		}
	}
	out = xcalloc(1, sizeof(*out) + len);
	list_init(&out->link);
	out->fd = dup_fd;
	out->len = len;
	memcpy(out->bytes, bytes, len);
	list_push(&ch->queue, &out->link);
	ch->queued_bytes += len;
	ev_io_start(loop_ev(ch->loop), &ch->write_io);
	return 0;
}

static char *
add_word(char *to, const char *word)
{
	size_t size = strlen(word) + 1;

	memcpy(to, word, size);
	return to + size;
}

int
channel_sendv(struct channel *ch, int fd, const char *verb, const char *const *args, size_t count)
{
	size_t len = strlen(verb) + 1;
	char *bytes, *to;
	int err;

	if (ch->gone || ch->fd == -1) {
		return -EPIPE;
	}
	for (size_t i = 0; i < count; i++) {
		len += strlen(args[i]) + 1;
	}
	if (len > IPC_MAX_BYTES || count > IPC_MAX_ARGS) {
		return -EMSGSIZE;
	}
	bytes = xcalloc(1, len);
	to = add_word(bytes, verb);
	for (size_t i = 0; i < count; i++) {
		to = add_word(to, args[i]);
	}
	err = list_is_empty(&ch->queue) ? send_now(ch->fd, bytes, len, fd) : -EAGAIN;
	if (err == -EAGAIN) {
		err = enqueue(ch, bytes, len, fd);
	} else if (err == -EPIPE || err == -ECONNRESET) {
		err = lose_peer(ch);
	}
	explicit_bzero(bytes, len); /* `secret`, `config` */
	free(bytes);
	return err;
}

int
channel_send(struct channel *ch, int fd, const char *verb, ...)
{
	const char *args[IPC_MAX_ARGS + 1];
	size_t count = 0;
	va_list ap;

	va_start(ap, verb);
	while (count <= IPC_MAX_ARGS && (args[count] = va_arg(ap, const char *)) != NULL) {
		count++;
	}
	va_end(ap);
	return channel_sendv(ch, fd, verb, args, count);
}

/* All descriptors that came along; those beyond what a message may carry are closed. True when none
 * was lost. */
static bool
take_fds(struct msghdr *msg, struct channel_msg *ret_msg)
{
	bool whole = (msg->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
			continue;
		}
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (ret_msg->fd_count < MSG_FDS) {
				ret_msg->fds[ret_msg->fd_count++] = fd;
			} else {
				(void)close(fd);
				whole = false;
			}
		}
	}
	return whole;
}

static void
close_fds(struct channel_msg *msg)
{
	for (size_t i = 0; i < msg->fd_count; i++) {
		if (msg->fds[i] >= 0) {
			(void)close(msg->fds[i]);
		}
	}
}

/* False when the bytes are no message: no NUL at the end, no verb, too many arguments. */
static bool
split(const char *bytes, size_t len, struct channel_msg *ret_msg)
{
	size_t at = 0;

	if (len == 0 || bytes[len - 1] != '\0' || bytes[0] == '\0') {
		return false;
	}
	ret_msg->verb = bytes;
	for (at = strlen(bytes) + 1; at < len; at += strlen(bytes + at) + 1) {
		if (ret_msg->arg_count == IPC_MAX_ARGS) {
			return false;
		}
		ret_msg->args[ret_msg->arg_count++] = bytes + at;
	}
	return true;
}

/*
 * Reads one datagram and delivers it; what is no message is dropped. 1: go on, 0: nothing there,
 * -EPIPE: the end.
 */
static int
read_one(struct channel *ch)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * MSG_FDS)];
	} control;
	struct channel_msg in = {.verb = NULL};
	struct iovec iov = {.iov_len = 0};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = sizeof(control.bytes)};
	ssize_t size, n;
	char *bytes;

	/* The length first: most messages are short, and 128 KiB for each would be waste. */
	size = recv(ch->fd, NULL, 0, MSG_PEEK | MSG_TRUNC | MSG_DONTWAIT);
	if (size == -1) {
		if (errno == ECONNRESET || errno == EINTR) {
			return 1; /* said once: it left ours unread; what it wrote still comes */
		}
		return errno == EAGAIN ? 0 : -EPIPE;
	}
	if (size == 0) {
		return -EPIPE;
	}
	iov.iov_len = MIN((size_t)size, IPC_MAX_BYTES);
	bytes = xcalloc(1, iov.iov_len);
	iov.iov_base = bytes;
	n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (n > 0) {
		bool whole = take_fds(&msg, &in) && (msg.msg_flags & MSG_TRUNC) == 0;

		if (whole && split(bytes, (size_t)n, &in)) {
			ch->ops->on_msg(ch, ch->owner, &in);
		}
		close_fds(&in);
	}
	explicit_bzero(bytes, iov.iov_len);
	free(bytes);
	return 1;
}

static void
end_reading(struct channel *ch)
{
	ev_io_stop(loop_ev(ch->loop), &ch->read_io);
	(void)lose_peer(ch);
	if (ch->ops->on_gone != NULL) {
		ch->ops->on_gone(ch, ch->owner);
	}
}

static void
on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct channel *ch = OBJ_CAST((struct channel *)w->data, CHANNEL_MAGIC);
	int more = 1;

	for (int i = 0; more == 1 && i < READS_PER_TURN && ch->fd != -1; i++) {
		more = read_one(ch);
	}
	if (more < 0 && ch->fd != -1) {
		end_reading(ch);
	}
}

int
channel_wait(struct channel *ch, uint64_t timeout_ms)
{
	uint64_t deadline = clock_mono_ms() + timeout_ms;

	for (;;) {
		struct pollfd wait = {.fd = ch->fd, .events = POLLIN};
		uint64_t now = clock_mono_ms();
		int rc = poll(&wait, 1, now < deadline ? (int)(deadline - now) : 0);

		if (rc == 0) {
			return -ETIMEDOUT;
		}
		if (rc == -1 && errno == EINTR) {
			continue;
		}
		rc = rc == -1 ? -EPIPE : read_one(ch);
		if (rc == 1) {
			return 0;
		}
		if (rc < 0) {
			end_reading(ch);
			return -EPIPE;
		}
	}
}

int
channel_pair(int *ret_ours, int *ret_workers)
{
	int fds[2], bytes = 2 * (int)IPC_MAX_BYTES;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) == -1) {
		return -errno;
	}
	/* Room for the longest message, whatever this host's default is. */
	for (int i = 0; i < 2; i++) {
		(void)setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
	}
	*ret_ours = fds[0];
	*ret_workers = fds[1];
	return 0;
}

struct channel *
channel_new(struct loop *loop, int fd, const struct channel_ops *ops, void *owner)
{
	struct channel *ch = xcalloc(1, sizeof(*ch));

	ch->magic = CHANNEL_MAGIC;
	ch->fd = fd;
	ch->loop = loop;
	ch->ops = ops;
	ch->owner = owner;
	list_init(&ch->queue);
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* a worker's came through exec */
	ev_io_init(&ch->read_io, on_readable, fd, EV_READ);
	ch->read_io.data = ch;
	ev_io_init(&ch->write_io, on_writable, fd, EV_WRITE);
	ch->write_io.data = ch;
	ev_io_start(loop_ev(loop), &ch->read_io);
	return ch;
}

static void
free_now(void *obj)
{
	struct channel *ch = obj;

	ch->magic = 0;
	free(ch);
}

void
channel_close(struct channel **chp)
{
	struct channel *ch = *chp;

	*chp = NULL;
	if (ch == NULL || ch->fd == -1) {
		return;
	}
	ev_io_stop(loop_ev(ch->loop), &ch->read_io);
	ev_io_stop(loop_ev(ch->loop), &ch->write_io);
	queue_clear(ch);
	(void)close(ch->fd);
	ch->fd = -1;
	loop_bury(ch->loop, free_now, ch);
}
