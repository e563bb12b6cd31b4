/*
 * Workers of an earlier supervisor: they are called over their own socket (ipc/rejoin.h), hand over what they listen on, and are taken over with
 * their clients. One that does not answer or no longer fits is ended by resume.c; what it handed over stays open meanwhile.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/rejoin.h"
#include "supervisor/supervisor_priv.h"

void
rejoin_unit_call(struct unit *u, pid_t pid)
{
	int fd = -1, rc = rejoin_connect(u->sup->conf->data_dir, u->name, pid, &fd);

	u->strange = u->heard = false;
	if (rc < 0) {
		log_info("%s: cannot be called: %s pid=%ld", u->name, strerror(-rc), (long)pid);
		return;
	}
	workers_join(u, fd);
}

const char *
rejoin_unit_hear(struct unit *u, uint64_t deadline_ms)
{
	while (u->channel != NULL && !u->heard) {
		uint64_t now = clock_mono_ms();

		/* The time is all callers' own: what has arrived is read also when it is over. */
		if (channel_wait(u->channel, now < deadline_ms ? deadline_ms - now : 0) < 0) {
			break;
		}
	}
	if (u->channel == NULL || !u->heard) {
		return "it does not answer, another takes its place";
	}
	return u->strange ? "it listens where the configuration no longer wants it" : NULL;
}

void
rejoin_on_name(struct unit *u, const struct channel_msg *msg)
{
	if (msg->arg_count < 2) {
		return;
	}
	u->strange = u->strange || strcmp(msg->args[0], u->name) != 0;
	(void)snprintf(u->version, sizeof(u->version), "%s", msg->args[1]);
}

static bool
is_listening(int fd)
{
	int listens = 0;
	socklen_t len = sizeof(listens);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens != 0;
}

/* Sets the option of `door` to ours of that name, if we want it to lead there. */
static bool
find_wanted(const struct supervisor *s, const char *option, struct door *door)
{
	struct door wanted;

	for (size_t i = 0; workers_wanted_door(s, door->kind, i, &wanted); i++) {
		if (strcmp(wanted.option, option) == 0 && endpoint_equal(&wanted.at, &door->at)) {
			door->option = wanted.option;
			return true;
		}
	}
	return false;
}

void
rejoin_on_door(struct unit *u, struct channel_msg *msg)
{
	struct supervisor *s = u->sup;
	struct door door = {.kind = u->kind, .handed = true};

	if (u->heard || msg->arg_count < 2) {
		return;
	}
	if (msg->fd_count < 1 || !is_listening(msg->fds[0]) ||
	    endpoint_parse(msg->args[1], 0, &door.at, NULL) < 0 ||
	    !find_wanted(s, msg->args[0], &door)) {
		u->strange = true;
		return;
	}
	if (!workers_have_door(s, u->kind, &door.at)) { /* another worker may have it as well */
		door.fd = msg->fds[0];
		msg->fds[0] = -1;
		workers_add_door(s, &door);
	}
}

static bool
is_bound_to(int fd, const struct endpoint *at)
{
	struct sockaddr_storage own = {0}, wanted = {0};
	socklen_t own_len = sizeof(own), len = 0;

	if (getsockname(fd, (struct sockaddr *)&own, &own_len) == -1 ||
	    endpoint_resolve(at, false, &wanted, &len, NULL) < 0 ||
	    own.ss_family != wanted.ss_family) {
		return false;
	}
	return own.ss_family == AF_UNIX ? strcmp(((struct sockaddr_un *)&own)->sun_path,
					      ((struct sockaddr_un *)&wanted)->sun_path) == 0
					: own_len == len && memcmp(&own, &wanted, len) == 0;
}

/* One that is wanted and that we do not have yet becomes ours. */
static void
keep_door(struct unit *u, int fd)
{
	struct door door;

	for (size_t i = 0; is_listening(fd) && workers_wanted_door(u->sup, u->kind, i, &door);
	     i++) {
		if (!workers_have_door(u->sup, u->kind, &door.at) && is_bound_to(fd, &door.at)) {
			door.fd = fd;
			door.handed = true;
			workers_add_door(u->sup, &door);
			return;
		}
	}
	(void)close(fd);
}

void
rejoin_unit_rob(struct unit *u, pid_t pid)
{
	int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct dirent *entry;
	char path[64];
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%ld/fd", (long)pid);
	dir = opendir(path);
	while (pidfd != -1 && dir != NULL && (entry = readdir(dir)) != NULL) {
		uint64_t number;
		int fd;

		if (slice_to_u64(slice_str(entry->d_name), &number) && number <= INT32_MAX) {
			fd = (int)syscall(SYS_pidfd_getfd, pidfd, (int)number, 0);
			if (fd != -1) {
				keep_door(u, fd);
			}
		}
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
	if (pidfd != -1) {
		(void)close(pidfd);
	}
}

void
rejoin_on_end(struct unit *u)
{
	u->heard = true;
}

/* A changed option takes effect at its start only. */
void
rejoin_on_unfit(struct unit *u, const struct channel_msg *msg)
{
	if (!process_is_wanted(u->process)) {
		return; /* it is to end anyway */
	}
	history_add(u->sup->history, EVENT_INSTANCE_REPLACED, u->name,
	    json_pack("{s:s}", "option", msg->arg_count > 0 ? msg->args[0] : ""),
	    "another takes its place, since %s has changed",
	    msg->arg_count > 0 ? msg->args[0] : "the configuration");
	process_restart(u->process);
}

bool
rejoin_is_outdated(const struct unit *u)
{
	return process_runs(u->process) && u->version[0] != '\0' &&
	       strcmp(u->version, PACKAGE_VERSION) != 0;
}

void
rejoin_all_begin(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->channel == NULL) {
			continue;
		}
		if (rejoin_is_outdated(u)) {
			history_add(s->history, EVENT_INSTANCE_OUTDATED, u->name,
			    json_pack("{s:s}", "version", u->version),
			    "still runs holdfast %s until it is restarted", u->version);
		}
		if (workers_tell_all(u) < 0) {
			log_warn(
			    "%s: could not be told its configuration, killed and started again",
			    u->name);
			process_kill(u->process);
		}
	}
}
