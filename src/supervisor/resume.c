/*
 * What was before: which processes still run, and who was master. An instance never becomes master on the strength of its own old redis.conf; the
 * sentinels' files and the state database decide, the higher epoch first.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "proc/procfs.h"
#include "supervisor/supervisor_priv.h"

#define OLD_WORKER_STOP_MS 5000

struct candidate {
	struct unit *unit; /* NULL: not one of ours */
	struct topo_master master;
	unsigned sentinels;  /* files that say so */
	const char *on_word; /* whose */
};

/* ---- adoption ---- */

static bool
link_is(pid_t pid, const char *what, const char *target)
{
	char path[64], text[4096];
	ssize_t n;

	(void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, what);
	n = readlink(path, text, sizeof(text) - 1);
	if (n <= 0) {
		return false;
	}
	text[n] = '\0';
	return strcmp(text, target) == 0;
}

/* Is the process' command line that of this worker? */
static bool
is_worker_command(pid_t pid, const struct unit *u)
{
	const char *const want[] = {NULL, unit_kind_name(u->kind), "--worker", u->name};
	char path[64], text[4096], *p = text;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd != -1 ? read(fd, text, sizeof(text) - 1) : -1;
	if (fd != -1) {
		(void)close(fd);
	}
	if (n <= 0) {
		return false;
	}
	text[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		if (p >= text + n || (want[i] != NULL && strcmp(p, want[i]) != 0)) {
			return false;
		}
		p += strlen(p) + 1;
	}
	return true;
}

/*
 * A process that one of our kind has started for this unit: leader of a session of its own, working in the unit's folder
 * (workers: in the data folder, with the worker's command line). It is found also when the state database is lost.
 */
static pid_t
find_process(const struct unit *u)
{
	const char *cwd =
	    u->kind == UNIT_REDIS || u->kind == UNIT_SENTINEL ? u->dir : u->sup->conf->data_dir;
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;
	uint64_t ticks;

	while (dir != NULL && found == 0 && (entry = readdir(dir)) != NULL) {
		uint64_t number;
		pid_t pid;

		if (!slice_to_u64(slice_str(entry->d_name), &number) || number > INT32_MAX) {
			continue;
		}
		pid = (pid_t)number;
		if (pid != getpid() && link_is(pid, "cwd", cwd) && getsid(pid) == pid &&
		    procfs_start_ticks(pid, &ticks) == 0 &&
		    (cwd == u->dir || is_worker_command(pid, u))) {
			found = pid;
		}
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
	return found;
}

/* The pid and start time of the unit's process from before; false when none runs. */
static bool
find_before(struct unit *u, pid_t *ret_pid, uint64_t *ret_ticks)
{
	struct supervisor *s = u->sup;
	struct store_instance row;

	if (store_instance_get(s->store, u->name, &row, NULL) == 0) {
		process_set_restarts(u->process, (unsigned)row.restarts);
		if (row.pid > 0 && strcmp(row.boot_id, s->boot_id) == 0 &&
		    procfs_is_same(row.pid, row.start_ticks)) {
			*ret_pid = row.pid;
			*ret_ticks = row.start_ticks;
			u->held_down = !row.wanted_up;
			return true;
		}
	}
	*ret_pid = find_process(u);
	return *ret_pid != 0 && procfs_start_ticks(*ret_pid, ret_ticks) == 0;
}

/* A worker of an earlier supervisor holds the sockets that we are going to open: it ends first. */
static void
end_old_worker(struct unit *u, pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd wait = {.fd = fd, .events = POLLIN};

	if (fd == -1) {
		return;
	}
	log_notice("%s: a worker of an earlier supervisor ends, a new one takes its place pid=%ld",
	    u->name, (long)pid);
	(void)kill(pid, SIGTERM);
	if (poll(&wait, 1, OLD_WORKER_STOP_MS) == 0) {
		(void)kill(pid, SIGKILL);
		(void)poll(&wait, 1, OLD_WORKER_STOP_MS);
	}
	(void)close(fd);
}

size_t
resume_adopt(struct supervisor *s)
{
	json_t *names = json_array();
	size_t adopted = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		uint64_t ticks;
		pid_t pid;

		if (!find_before(u, &pid, &ticks)) {
			continue;
		}
		if (u->kind == UNIT_PROXY || u->kind == UNIT_HTTP) {
			end_old_worker(u, pid);
			continue;
		}
		if (process_adopt(u->process, pid, ticks) == 0) {
			adopted++;
			(void)json_array_append_new(names, json_string(u->name));
			if (!u->held_down) {
				process_up(u->process);
			}
		}
	}
	if (adopted > 0) {
		history_add(s->history, EVENT_SUPERVISOR_ADOPTED, s->node,
		    json_pack("{s:O}", "instances", names),
		    "%zu instances run since before and were taken over", adopted);
	}
	json_decref(names);
	return adopted;
}

/* ---- who is master ---- */

/* Where the instance was reached in the last run, if that differs from now: Sentinel still knows it there. */
static void
note_moves(struct supervisor *s, const struct store_master *before)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		struct store_instance row;
		struct endpoint old;

		if (u->kind != UNIT_REDIS && u->kind != UNIT_SENTINEL) {
			continue;
		}
		if (store_instance_get(s->store, u->name, &row, NULL) < 0 || row.port == 0) {
			continue;
		}
		old = endpoint_tcp(before != NULL ? before->host : s->address, row.port);
		if (endpoint_equal(&old, &u->at)) {
			continue;
		}
		s->moves = xreallocarray(s->moves, s->move_count + 1, sizeof(*s->moves));
		s->moves[s->move_count++] = (struct sentinel_move){.from = old, .to = u->at};
	}
}

static struct unit *
unit_at_or_moved(struct supervisor *s, const struct endpoint *at)
{
	for (size_t i = 0; i < s->move_count; i++) {
		if (endpoint_equal(&s->moves[i].from, at)) {
			return unit_at(s, &s->moves[i].to);
		}
	}
	return unit_at(s, at);
}

/* Takes the word of one sentinel's file. Higher epoch wins; with an equal one, the majority of files, and files before the database. */
static void
consider(struct candidate *best, const struct candidate *c)
{
	if (best->on_word == NULL || c->master.epoch > best->master.epoch ||
	    (c->master.epoch == best->master.epoch && c->sentinels > best->sentinels)) {
		*best = *c;
	}
}

static void
ask_sentinel_files(struct supervisor *s, struct candidate *best)
{
	struct candidate seen[SENTINEL_MAX_KNOWN];
	size_t count = 0, k;

	for (size_t i = 0; i < s->unit_count && count < ARRAY_LEN(seen); i++) {
		struct unit *u = s->units[i];
		struct sentinel_memory memory;

		if (u->kind != UNIT_SENTINEL ||
		    sentinel_conf_read(u->dir, s->name, &memory, NULL) < 0) {
			continue;
		}
		for (k = 0; k < count; k++) {
			if (endpoint_equal(&seen[k].master.at, &memory.master.at) &&
			    seen[k].master.epoch == memory.master.epoch) {
				break;
			}
		}
		if (k == count) {
			seen[count++] = (struct candidate){.master = memory.master,
			    .unit = unit_at_or_moved(s, &memory.master.at),
			    .on_word = "the sentinels' files"};
		}
		seen[k].sentinels++;
	}
	for (k = 0; k < count; k++) {
		if (seen[k].unit != NULL) {
			seen[k].master.at = seen[k].unit->at;
			consider(best, &seen[k]);
		} else {
			log_warn(
			    "the sentinels' files name a master that is none of ours, left out: %s",
			    ENDPOINT_TEXT(&seen[k].master.at));
		}
	}
}

static struct unit *
newest_data(struct supervisor *s)
{
	struct unit *newest = NULL;

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && servers_data_time(u) > 0 &&
		    (newest == NULL || servers_data_time(u) > servers_data_time(newest))) {
			newest = u;
		}
	}
	return newest;
}

/* A sentinel's file that says otherwise is made anew, with its id, for the decided master. Live sentinels are left alone. */
static void
overrule_files(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		struct sentinel_memory memory;
		struct errmsg err = ERRMSG_NONE;
		char *key;

		if (u->kind != UNIT_SENTINEL || process_runs(u->process) ||
		    sentinel_conf_read(u->dir, s->name, &memory, NULL) < 0 ||
		    unit_at_or_moved(s, &memory.master.at) == s->master) {
			continue;
		}
		key = xasprintf("%s.id", u->name);
		if (store_meta_put(s->store, key, memory.id, true, &err) < 0 ||
		    sentinel_conf_set_aside(u->dir, &err) < 0) {
			log_warn("%s: its file names another master and cannot be replaced: %s",
			    u->name, err.text);
		}
		free(key);
	}
}

static void
decide(struct supervisor *s, const struct candidate *c)
{
	struct topo_master master = c->master;

	master.at = c->unit->at;
	history_add(s->history, EVENT_MASTER_DECIDED, c->unit->name,
	    json_pack("{s:s,s:I}", "on_word_of", c->on_word, "epoch", (json_int_t)master.epoch),
	    "is master to begin with, on the word of %s, epoch %llu", c->on_word,
	    (unsigned long long)master.epoch);
	(void)topo_offer(s->topo, &master, TOPO_FROM_STATE);
	overrule_files(s);
}

int
resume_decide(struct supervisor *s, struct errmsg *err)
{
	struct candidate best = {0};
	struct store_master before;
	bool has_before = store_master_get(s->store, s->name, &before, NULL) == 0;
	struct unit *newest;

	note_moves(s, has_before ? &before : NULL);
	ask_sentinel_files(s, &best);
	if (has_before) {
		struct candidate c = {.unit = unit_find(s, before.instance),
		    .master = {.epoch = before.epoch},
		    .on_word = "the state database"};

		if (c.unit != NULL && c.unit->kind == UNIT_REDIS) {
			consider(&best, &c);
		}
	}
	newest = newest_data(s);
	if (best.unit == NULL) {
		best = (struct candidate){.unit = newest != NULL ? newest : unit_find(s, "redis-1"),
		    .on_word = newest != NULL ? "its data, the newest here" : "an empty folder"};
	} else if (!process_runs(best.unit->process) && servers_data_time(best.unit) == 0 &&
		   newest != NULL) {
		/* Its replicas would copy the emptiness. */
		log_warn("%s was master but its data is gone: %s has the newest data and takes its "
			 "place",
		    best.unit->name, newest->name);
		best.unit = newest;
		best.master.epoch++;
		best.on_word = "its data, since the last master's is gone";
	}
	if (best.unit == NULL) {
		errmsg_set(err,
		    "there is no redis instance to begin with: set redis.instances to 1 or more");
		return -EINVAL;
	}
	decide(s, &best);
	return 0;
}
