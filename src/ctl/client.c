/*
 * The client's side, for processes without a loop: it blocks in poll, bounded by the caller's time.
 * The reply may be large (a history), so lines are collected in a capped buffer.
 */
#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "ctl/ctl.h"
#include "ctl/ctl_priv.h"

#define LINE_MAX_BYTES  ((size_t)16 * 1024 * 1024) /* a status has a few KiB */
#define READ_BYTES      ((size_t)64 * 1024)
#define CONNECT_TIME_MS 5000

struct ctl_client {
	int fd;        /* owned */
	struct buf in; /* what came and is not returned yet */
	size_t looked; /* bytes of it known to hold no newline */
	int exit_code; /* of the last error */
};

static int
not_running(const char *dir, struct errmsg *err)
{
	errmsg_set(err, "nobody supervises %s: start it with `holdfast run -d %s`", dir, dir);
	return -ENOTCONN;
}

/* Waits for `events` on the fd until `deadline` (0: for ever). 0, -ETIMEDOUT, -EINTR. */
static int
wait_for(int fd, short events, uint64_t deadline)
{
	struct pollfd p = {.fd = fd, .events = events};
	int wait_ms = -1, n;

	if (deadline > 0) {
		uint64_t now = clock_mono_ms();

		wait_ms = now >= deadline ? 0 : (int)MIN(deadline - now, (uint64_t)INT32_MAX);
	}
	n = poll(&p, 1, wait_ms);
	if (n == -1) {
		return -errno;
	}
	return n == 0 ? -ETIMEDOUT : 0;
}

static int
connect_socket(const char *path, int *ret_fd, struct errmsg *err)
{
	struct sockaddr_storage addr;
	struct endpoint ep;
	socklen_t len;
	int folder, fd = -1, rc = ctl_socket_endpoint(path, &ep, &folder, err);

	if (rc < 0) {
		return rc;
	}
	rc = endpoint_resolve(&ep, true, &addr, &len, err);
	if (rc == 0) {
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd == -1 || connect(fd, (struct sockaddr *)&addr, len) == -1) {
			rc = -errno;
			errmsg_set(err, "cannot connect to %s: %m", path);
		}
	}
	if (rc < 0 && fd != -1) {
		(void)close(fd);
	}
	if (folder != -1) {
		(void)close(folder);
	}
	if (rc == 0) {
		*ret_fd = fd;
	}
	return rc;
}

int
ctl_client_open(const char *dir, struct ctl_client **ret_client, struct errmsg *err)
{
	char *path = xasprintf("%s/" CTL_SOCKET_NAME, dir);
	struct timeval bound = {.tv_sec = CONNECT_TIME_MS / 1000};
	struct ctl_client *c;
	int fd = -1, rc = connect_socket(path, &fd, err);

	free(path);
	if (rc == -ENOENT || rc == -ECONNREFUSED || rc == -ENOTDIR) {
		return not_running(dir, err);
	}
	if (rc == -EACCES) {
		errmsg_set(err,
		    "the supervisor of %s belongs to another user: ask as that user, or as root",
		    dir);
	}
	if (rc < 0) {
		return rc;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &bound, sizeof(bound));
	c = xcalloc(1, sizeof(*c));
	c->fd = fd;
	c->exit_code = CTL_EXIT_FAILED;
	buf_init(&c->in, LINE_MAX_BYTES);
	*ret_client = c;
	return 0;
}

void
ctl_client_close(struct ctl_client **cp)
{
	struct ctl_client *c = *cp;

	*cp = NULL;
	if (c != NULL) {
		(void)close(c->fd);
		buf_fini(&c->in);
		free(c);
	}
}

int
ctl_client_exit(const struct ctl_client *c)
{
	return c->exit_code;
}

int
ctl_client_fd(const struct ctl_client *c)
{
	return c->fd;
}

int
ctl_client_send(struct ctl_client *c, const char *cmd, json_t *args, struct errmsg *err)
{
	json_t *doc = json_object();
	struct buf line;
	int rc;

	(void)json_object_set_new(doc, "cmd", json_string(cmd));
	if (args != NULL) {
		(void)json_object_set_new(doc, "args", args);
	}
	buf_init(&line, CTL_REQUEST_MAX);
	rc = ctl_add_line(&line, doc);
	if (rc < 0) {
		errmsg_set(err, "the request is too large");
	}
	while (rc == 0 && buf_len(&line) > 0) {
		ssize_t n = send(c->fd, buf_slice(&line).ptr, buf_len(&line), MSG_NOSIGNAL);

		if (n >= 0) {
			buf_consume(&line, (size_t)n);
		} else if (errno == EPIPE || errno == ECONNRESET) {
			break; /* it may have said why: ctl_client_next reads that */
		} else if (errno != EINTR) {
			rc = errno == EAGAIN ? -ETIMEDOUT : -errno;
			errmsg_set(
			    err, "the supervisor does not take the request: %s", strerror(-rc));
		}
	}
	c->exit_code = CTL_EXIT_FAILED;
	buf_fini(&line);
	json_decref(doc);
	return rc;
}

/* A whole line into *ret_line (borrowed until the next read). 0, or as ctl_client_next. */
static int
read_line(struct ctl_client *c, uint64_t deadline, struct slice *ret_line, struct errmsg *err)
{
	for (;;) {
		struct slice held = buf_slice(&c->in);
		const uint8_t *end = NULL;
		ssize_t n;
		int rc;

		if (held.len > c->looked) {
			end = memchr(held.ptr + c->looked, '\n', held.len - c->looked);
		}
		if (end != NULL) {
			*ret_line = (struct slice){held.ptr, (size_t)(end - held.ptr)};
			c->looked = 0;
			return 0;
		}
		c->looked = held.len;
		rc = wait_for(c->fd, POLLIN, deadline);
		if (rc < 0) {
			errmsg_set(err, rc == -ETIMEDOUT
					    ? "the supervisor does not answer: see its log"
					    : "interrupted");
			return rc;
		}
		if (buf_reserve(&c->in, READ_BYTES) < 0) {
			errmsg_set(err, "the supervisor's answer is too long");
			return -EPROTO;
		}
		n = read(c->fd, buf_tail(&c->in), READ_BYTES);
		if (n > 0) {
			buf_commit(&c->in, (size_t)n);
		} else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
			errmsg_set(err, "the supervisor went away");
			return -EPIPE;
		}
	}
}

/* What kind of line it is. */
static int
judge(struct ctl_client *c, const json_t *line, struct errmsg *err)
{
	const json_t *ok = json_object_get(line, "ok");
	const char *words = json_string_value(json_object_get(line, "error"));
	json_int_t exit_code = json_integer_value(json_object_get(line, "exit"));

	if (ok == NULL) {
		return CTL_LINE;
	}
	if (json_is_true(ok)) {
		return CTL_END;
	}
	c->exit_code = exit_code > 0 && exit_code < 256 ? (int)exit_code : CTL_EXIT_FAILED;
	errmsg_set(err, "%s", words != NULL ? words : "the supervisor refused without a reason");
	return -EREMOTEIO;
}

int
ctl_client_next(struct ctl_client *c, uint64_t timeout_ms, json_t **ret_line, struct errmsg *err)
{
	uint64_t deadline = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
	struct slice text;
	json_t *line;
	int rc = read_line(c, deadline, &text, err);

	if (rc < 0) {
		return rc;
	}
	line = json_loadb((const char *)text.ptr, text.len, 0, NULL);
	buf_consume(&c->in, text.len + 1);
	if (!json_is_object(line)) {
		json_decref(line);
		errmsg_set(err, "the supervisor answers in a way that this holdfast does not know");
		return -EPROTO;
	}
	*ret_line = line;
	return judge(c, line, err);
}

int
ctl_client_call(struct ctl_client *c, const char *cmd, json_t *args, uint64_t timeout_ms,
    json_t **ret_reply, struct errmsg *err)
{
	uint64_t deadline = timeout_ms > 0 ? clock_mono_ms() + timeout_ms : 0;
	int rc = ctl_client_send(c, cmd, args, err);

	while (rc == 0) {
		uint64_t now = clock_mono_ms();
		json_t *line = NULL;

		rc = ctl_client_next(
		    c, deadline == 0 ? 0 : MAX(deadline, now + 1) - now, &line, err);
		if (rc != CTL_LINE) {
			*ret_reply = line;
			return rc;
		}
		json_decref(line);
		rc = 0;
	}
	return rc;
}
