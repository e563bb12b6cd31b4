#include "proc/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "proc/spawn.h"

/* Milliseconds to the deadline, for poll; 0 when it has passed. */
static int
left_ms(uint64_t deadline_ms)
{
	uint64_t now = clock_mono_ms();

	return now < deadline_ms ? (int)(deadline_ms - now) : 0;
}

/* Until the program closes its output. 0, -ETIMEDOUT, -ENOBUFS. */
static int
read_all(int fd, uint64_t deadline_ms, struct buf *out)
{
	uint8_t bytes[4096];

	while (true) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int rc = poll(&p, 1, left_ms(deadline_ms));
		ssize_t n;

		if (rc == 0) {
			return -ETIMEDOUT;
		}
		n = rc == 1 ? read(fd, bytes, sizeof(bytes)) : -1;
		if (n == 0) {
			return 0;
		}
		if (n > 0) {
			rc = buf_add(out, bytes, (size_t)n);
		} else {
			rc = errno == EINTR || errno == EAGAIN ? 0 : -errno;
		}
		if (rc < 0) {
			return rc;
		}
	}
}

/* Waits for its end, but not beyond the deadline: then it is killed. */
static int
reap(pid_t pid, uint64_t deadline_ms, int *ret_status)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	int status, ready = 0;

	if (p.fd != -1) {
		do {
			ready = poll(&p, 1, left_ms(deadline_ms));
		} while (ready == -1 && errno == EINTR);
		(void)close(p.fd);
	}
	if (ready != 1) {
		(void)kill(-pid, SIGKILL); /* its whole session: it may have children */
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
	}
	if (ready != 1) {
		return -ETIMEDOUT;
	}
	if (!WIFEXITED(status)) {
		return -ECHILD;
	}
	*ret_status = WEXITSTATUS(status);
	return 0;
}

int
capture(const char *path, char *const *argv, uint64_t timeout_ms, struct buf *out, int *ret_status,
    struct errmsg *err)
{
	uint64_t deadline_ms = clock_mono_ms() + timeout_ms;
	int fds[2], rc, reaped;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1) {
		rc = -errno;
		errmsg_set(err, "%s cannot be run: %s", path, strerror(-rc));
		return rc;
	}
	rc =
	    spawn(&(struct spawn_spec){.path = path, .argv = argv, .out_fd = fds[1], .pass_fd = -1},
		&pid, err);
	(void)close(fds[1]);
	if (rc == 0) {
		rc = read_all(fds[0], deadline_ms, out);
		if (rc < 0) {
			(void)kill(-pid, SIGKILL);
		}
		reaped = reap(pid, deadline_ms, ret_status);
		rc = rc == 0 ? reaped : rc;
		if (rc < 0) {
			errmsg_set(err, "%s %s", path,
			    rc == -ETIMEDOUT ? "did not end in time"
			    : rc == -ECHILD  ? "was ended by a signal"
			    : rc == -ENOBUFS ? "said too much"
					     : strerror(-rc));
		}
	}
	(void)close(fds[0]);
	return rc;
}
