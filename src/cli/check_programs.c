/* The servers' programs: found, executable, and what version they say they are. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "cli/check.h"
#include "proc/spawn.h"

#define VERSION_TIMEOUT_MS 5000
#define VERSION_SIZE       64
#define OUTPUT_MAX         4096
/* ACL users are of 6.0, FAILOVER and the options of Sentinel that are used of 6.2. */
#define OLDEST_MAJOR 6
#define OLDEST_MINOR 2

/* Reads what the program says until it ends, says too much or the deadline comes. True at its end. */
static bool
read_output(int fd, uint64_t deadline_ms, char *text, size_t size)
{
	size_t len = 0;

	text[0] = '\0';
	while (len + 1 < size) {
		uint64_t now = clock_mono_ms();
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t n;

		if (now >= deadline_ms ||
		    (poll(&p, 1, (int)(deadline_ms - now)) == -1 && errno != EINTR)) {
			return false;
		}
		n = read(fd, text + len, size - 1 - len);
		if (n == 0) {
			return true;
		}
		len += n > 0 ? (size_t)n : 0;
		text[len] = '\0';
		if (n == -1 && errno != EINTR && errno != EAGAIN) {
			return false;
		}
	}
	return false;
}

/* Waits for the child to the deadline, then kills it. The exit status, or -1 when it had to be killed. */
static int
reap(pid_t pid, uint64_t deadline_ms)
{
	struct pollfd p = {.fd = (int)syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
	uint64_t now = clock_mono_ms();
	int status, ready = 0;

	if (p.fd != -1) {
		ready = poll(&p, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
		(void)close(p.fd);
	}
	if (ready != 1) {
		(void)kill(pid, SIGKILL);
	}
	while (waitpid(pid, &status, 0) == -1 && errno == EINTR) {
	}
	return ready == 1 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* "Redis server v=7.0.15 sha=…" and "Valkey server v=8.0.1 …" → "7.0.15". */
static bool
find_version(const char *text, char *version)
{
	const char *v = strstr(text, " v=");
	size_t len = v != NULL ? strspn(v + 3, "0123456789.") : 0;

	if (len == 0 || len >= VERSION_SIZE || !isdigit((unsigned char)v[3])) {
		return false;
	}
	(void)snprintf(version, VERSION_SIZE, "%.*s", (int)len, v + 3);
	return true;
}

int
check_version(const char *path, char *ret_version, struct errmsg *err)
{
	char *name = xstrdup(path), option[] = "--version", text[OUTPUT_MAX];
	char *argv[] = {name, option, NULL};
	uint64_t deadline_ms = clock_mono_ms() + VERSION_TIMEOUT_MS;
	int fds[2] = {-1, -1}, rc, status;
	bool ended;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) == -1) {
		rc = -errno;
		errmsg_set(err, "%s cannot be run: %s", path, strerror(-rc));
		goto out;
	}
	rc =
	    spawn(&(struct spawn_spec){.path = path, .argv = argv, .out_fd = fds[1], .pass_fd = -1},
		&pid, err);
	(void)close(fds[1]);
	fds[1] = -1;
	if (rc < 0) {
		goto out;
	}
	(void)fcntl(fds[0], F_SETFL, O_NONBLOCK);
	ended = read_output(fds[0], deadline_ms, text, sizeof(text));
	status = reap(pid, ended ? deadline_ms : 0);
	if (ended && status == 0 && find_version(text, ret_version)) {
		rc = 0;
	} else {
		rc = -EPROTO;
		errmsg_set(err, "%s --version %s: is it a redis server?%s%s", path,
		    status == -1 ? "did not end in time, or said too much" : "names no version",
		    text[0] != '\0' ? " It said " : "",
		    text[0] != '\0' ? LOG_QUOTE(slice_str(text)) : "");
	}
out:
	if (fds[0] != -1) {
		(void)close(fds[0]);
	}
	free(name);
	return rc;
}

static bool
is_too_old(const char *version)
{
	unsigned long major = strtoul(version, NULL, 10), minor = 0;
	const char *dot = strchr(version, '.');

	if (dot != NULL) {
		minor = strtoul(dot + 1, NULL, 10);
	}
	return major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR);
}

static void
check_program(const char *what, const char *path, const char *behind, struct conf_faults *faults)
{
	struct errmsg err = ERRMSG_NONE;
	char version[VERSION_SIZE] = "";

	if (check_version(path, version, &err) < 0) {
		conf_faults_add(faults, "%s", err.text);
	} else if (is_too_old(version)) {
		conf_faults_add(faults, "%s is version %s: %d.%d or newer is needed", path, version,
		    OLDEST_MAJOR, OLDEST_MINOR);
	} else {
		check_good(what, "%s%s, version %s", path, behind, version);
	}
}

void
check_programs(const struct conf *conf, struct conf_faults *faults)
{
	struct errmsg err = ERRMSG_NONE;
	char *server = NULL, *sentinel = NULL, *first = NULL;
	bool flag = false;

	for (unsigned n = 0; n < conf->redis_instances; n++) {
		if (conf_find_server(conf->redis[n].server, &server, &err) < 0) {
			conf_faults_add(faults, "%s", err.text);
			continue;
		}
		if (first == NULL || strcmp(first, server) != 0) {
			check_program("redis server", server, "", faults);
		}
		free(first);
		first = server;
		server = NULL;
	}
	free(first);
	if (conf_find_server(conf->redis_server, &server, &err) < 0 &&
	    conf->sentinel_server == NULL) {
		conf_faults_add(faults, "%s", err.text);
	} else if (conf_find_sentinel(conf->sentinel_server, server, &sentinel, &flag, &err) < 0) {
		conf_faults_add(faults, "%s", err.text);
	} else {
		check_program("sentinel", sentinel, flag ? " --sentinel" : "", faults);
	}
	free(sentinel);
	free(server);
}
