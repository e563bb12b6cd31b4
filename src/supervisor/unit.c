#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "proc/procfs.h"
#include "supervisor/supervisor_priv.h"

#define BUSY_SHARE                                                                                 \
	4 /* a silent process that has worked for a fourth of the time is busy, not hung */
#define STOP_AGAIN_MS 500 /* see process_policy */

static const char *const kind_names[UNIT_KINDS] = {
    [UNIT_REDIS] = "redis",
    [UNIT_SENTINEL] = "sentinel",
    [UNIT_PROXY] = "proxy",
    [UNIT_HTTP] = "http",
};

const char *
unit_kind_name(enum unit_kind kind)
{
	return kind_names[kind];
}

static bool
is_server(const struct unit *u)
{
	return u->kind == UNIT_REDIS || u->kind == UNIT_SENTINEL;
}

static int
prepare(void *owner, struct process_launch *ret_launch, struct errmsg *err)
{
	struct unit *u = owner;

	return is_server(u) ? servers_prepare(u, ret_launch, err)
			    : workers_prepare(u, ret_launch, err);
}

static void
note_state(struct unit *u, enum process_state from, enum process_state to, const char *why)
{
	struct history *h = u->sup->history;
	long pid = (long)process_pid(u->process);

	switch (to) {
	case PROCESS_READY:
		history_add(h, EVENT_INSTANCE_READY, u->name,
		    json_pack("{s:i,s:I}", "pid", (int)pid, "took_ms",
			(json_int_t)process_uptime_ms(u->process)),
		    from == PROCESS_ADOPTED ? "taken over, it serves; up for %llu ms"
					    : "ready after %llu ms",
		    (unsigned long long)process_uptime_ms(u->process));
		break;
	case PROCESS_STOPPING:
		history_add(h, EVENT_INSTANCE_STOPPING, u->name,
		    json_pack("{s:i}", "pid", (int)pid), "told to stop");
		break;
	case PROCESS_STOPPED:
		if (from == PROCESS_STOPPING) {
			history_add(h, EVENT_INSTANCE_STOPPED, u->name, NULL, "stopped");
		}
		break;
	case PROCESS_FAILED:
		history_add(h, EVENT_INSTANCE_FAILED, u->name,
		    json_pack("{s:s}", "why", u->last_exit),
		    "%s (%s): given up; see `holdfast logs %s`, then `holdfast start %s`", why,
		    u->last_exit, u->name, u->name);
		break;
	case PROCESS_WAITING:
		log_notice("%s: %s", u->name, why); /* what is done about its end */
		break;
	default:
		log_info("%s: %s -> %s: %s", u->name, process_state_name(from),
		    process_state_name(to), why);
		break;
	}
}

static void
on_changed(void *owner, enum process_state from, enum process_state to, const char *why)
{
	struct unit *u = owner;

	if (to == PROCESS_ADOPTED && is_server(u)) {
		servers_started(u);
	}
	if (to == PROCESS_READY) {
		u->died_young = false;
	}
	note_state(u, from, to, why);
	if (to != PROCESS_STARTING) {
		unit_store(u);
	}
	control_unit_changed(u);
	supervisor_touch(u->sup);
}

static void
on_started(void *owner, pid_t pid)
{
	struct unit *u = owner;

	lastwords_started(u);
	history_add(u->sup->history, EVENT_INSTANCE_STARTING, u->name,
	    json_pack("{s:i}", "pid", (int)pid), "started as pid %ld", (long)pid);
	unit_store(u);
	if (is_server(u)) {
		servers_started(u);
	}
}

bool
unit_is_working(const struct unit *u, uint64_t within_ms)
{
	pid_t pid = process_pid(u->process);
	uint64_t worked_ms =
	    (procfs_cpu_ticks(pid) - u->silent_cpu_ticks) * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

	return worked_ms >= within_ms / BUSY_SHARE || procfs_is_runnable(pid);
}

/* Whose kill it was, or the person on call looks for somebody else's. */
static void
note_kill(struct unit *u, pid_t pid)
{
	enum process_state state = process_state(u->process);

	history_add(u->sup->history, EVENT_INSTANCE_KILLED, u->name,
	    json_pack("{s:i}", "pid", (int)pid), "%s, it was killed",
	    u->sup->plan_hurried        ? "told to stop twice"
	    : state == PROCESS_STOPPING ? "did not stop in time (holdfast.stop_timeout_s)"
	    : state == PROCESS_READY    ? "no longer fit to serve"
					: "did not get ready in time");
}

static void
on_exited(void *owner, pid_t pid, const char *how)
{
	struct unit *u = owner;
	bool wanted =
	    process_is_wanted(u->process) && process_state(u->process) != PROCESS_STOPPING;

	(void)snprintf(u->last_exit, sizeof(u->last_exit), "%s", how);
	if (wanted && pid != 0) {
		lastwords_ended(u, how);
	}
	if (pid != 0 && process_was_killed(u->process)) {
		note_kill(u, pid);
	}
	if (wanted) {
		/* Whether it is tried again or given up is told by what follows. */
		history_add(u->sup->history, EVENT_INSTANCE_EXITED, u->name,
		    json_pack("{s:i,s:s}", "pid", (int)pid, "how", how),
		    pid != 0 ? "ended although it should run: %s" : "could not be started: %s",
		    u->last_exit);
	}
	if (is_server(u)) {
		servers_ended(u);
	} else {
		workers_ended(u);
	}
	if (u->kind == UNIT_REDIS && wanted) {
		loaded_ended(u);
		damage_ended(u);
		succession_on_exit(u);
	}
}

static void
on_line(void *owner, struct slice line)
{
	struct unit *u = owner;
	int rc = logfile_line(u->log, line);

	(void)ring_add(u->sup->ring, u->name, line);
	lastwords_line(u, line);
	damage_line(u, line);
	loaded_line(u, line);
	if (rc < 0 && !u->log_failing) {
		log_warn(
		    "%s: its log cannot be written, `holdfast logs` still has the last lines: %s",
		    u->name, strerror(-rc));
	}
	u->log_failing = rc < 0;
	control_log_line(u->sup, u, line);
}

static const struct process_ops process_ops = {
    .prepare = prepare,
    .started = on_started,
    .changed = on_changed,
    .exited = on_exited,
    .line = on_line,
};

struct process_policy
unit_policy(const struct supervisor *s, enum unit_kind kind)
{
	struct process_policy policy = PROCESS_POLICY_DEFAULT;

	policy.stop_timeout_ms = s->conf->holdfast_stop_timeout_s * 1000;
	policy.stop_again_ms = kind == UNIT_REDIS ? STOP_AGAIN_MS : 0;
	policy.young_max = s->conf->holdfast_restart_max;
	policy.window_ms = s->conf->holdfast_restart_window_s * 1000;
	return policy;
}

static void
preload_line(void *arg, struct slice line)
{
	struct unit *u = arg;

	(void)ring_add(u->sup->ring, u->name, line);
}

/* Where a server is reached, and where it listens: at that very address if it is one of this host. */
static void
set_places(const char *host, const struct conf_list *bind, uint16_t port, uint16_t reached_port,
    struct endpoint *ret_at, struct endpoint *ret_listens)
{
	const char *other = NULL;
	bool here = false;

	for (size_t i = 0; i < bind->count; i++) {
		here = here || strcmp(bind->items[i], host) == 0;
		if (other == NULL && bind->items[i][0] != '-') {
			other = strcmp(bind->items[i], "*") == 0 ? "0.0.0.0" : bind->items[i];
		}
	}
	*ret_at = endpoint_tcp(host, reached_port);
	*ret_listens = endpoint_tcp(here || other == NULL ? host : other, port);
}

void
unit_find_places(const struct unit *u, const struct conf *conf, const char *address,
    struct endpoint *ret_at, struct endpoint *ret_listens)
{
	const char *node = conf->holdfast_node;
	unsigned i = u->number - 1;

	if (u->kind == UNIT_REDIS) {
		set_places(address, &conf->redis[i].bind, conf->redis[i].port,
		    conf_redis_port_of(conf, node, i), ret_at, ret_listens);
	} else {
		set_places(address, &conf->sentinel_bind, (uint16_t)(conf->sentinel_port + i),
		    (uint16_t)(conf_sentinel_port_of(conf, node) + i), ret_at, ret_listens);
	}
}

struct unit *
unit_new(struct supervisor *s, enum unit_kind kind, unsigned number)
{
	struct process_policy policy = unit_policy(s, kind);
	struct unit *u = xcalloc(1, sizeof(*u));
	char *log_path;

	*u = (struct unit){.sup = s, .kind = kind, .number = number};
	(void)snprintf(u->name, sizeof(u->name), "%s-%u", kind_names[kind], number);
	if (is_server(u)) {
		unit_find_places(u, s->conf, s->address, &u->at, &u->listens);
	}
	ondisk_init(u);
	u->dir = xasprintf("%s/%s", s->conf->data_dir, u->name);
	log_path = xasprintf("%s/log/%s.log", s->conf->data_dir, u->name);
	u->log =
	    logfile_new(log_path, s->conf->holdfast_log_file_bytes, s->conf->holdfast_log_files);
	logfile_tail(log_path, 16384, preload_line, u);
	free(log_path);
	u->process = process_new(s->loop, u->name, &policy, &process_ops, u);

	s->units = xreallocarray(s->units, s->unit_count + 1, sizeof(*s->units));
	s->units[s->unit_count++] = u;
	return u;
}

void
unit_free(struct unit **up)
{
	struct unit *u = *up;

	*up = NULL;
	if (u == NULL) {
		return;
	}
	ondisk_stop(u);
	loaded_fini(u);
	figures_forget(u->sup->figures, u);
	probe_free(&u->probe);
	ending_free(&u->ending);
	channel_close(&u->channel);
	process_free(&u->process);
	logfile_free(&u->log);
	json_decref(u->stats);
	free(u->dir);
	free(u->program);
	free(u->conf_path);
	free(u);
}

struct unit *
unit_find(struct supervisor *s, const char *name)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (strcmp(s->units[i]->name, name) == 0) {
			return s->units[i];
		}
	}
	return NULL;
}

struct unit *
unit_at(struct supervisor *s, const struct endpoint *at)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && endpoint_equal(&s->units[i]->at, at)) {
			return s->units[i];
		}
	}
	return NULL;
}

bool
unit_is_ready(const struct unit *u)
{
	return process_state(u->process) == PROCESS_READY;
}

const char *
unit_state_name(const struct unit *u)
{
	enum process_state state = process_state(u->process);

	/* Waiting for its restart is part of starting for those who look from outside. */
	return process_state_name(state == PROCESS_WAITING ? PROCESS_STARTING : state);
}

void
unit_store(struct unit *u)
{
	struct supervisor *s = u->sup;
	struct store_instance row = {
	    .pid = process_pid(u->process),
	    .start_ticks = process_start_ticks(u->process),
	    .port = u->at.port,
	    /* An orderly stop of everything is no wish that they stay down. */
	    .wanted_up = !u->held_down,
	    .restarts = process_restarts(u->process),
	};
	struct errmsg err = ERRMSG_NONE;

	if (s->store == NULL || u->leaving) {
		return;
	}
	(void)snprintf(row.name, sizeof(row.name), "%s", u->name);
	(void)snprintf(row.kind, sizeof(row.kind), "%s", kind_names[u->kind]);
	(void)snprintf(row.boot_id, sizeof(row.boot_id), "%s", s->boot_id);
	if (u->kind == UNIT_REDIS) {
		(void)snprintf(
		    row.role, sizeof(row.role), "%s", u == s->master ? "master" : "replica");
	}
	if (store_instance_put(s->store, &row, &err) == 0) {
		u->row_failing = false;
	} else if (!u->row_failing) {
		log_warn("%s: its row is not stored, written again when it changes: %s", u->name,
		    err.text);
		u->row_failing = true;
	}
}

const struct conf *
unit_conf_of(const struct unit *u)
{
	const struct supervisor *s = u->sup;

	if (u->kind != UNIT_REDIS || u->number <= s->conf->redis_instances) {
		return s->conf;
	}
	/* A reload that names fewer instances takes effect at the next start of everything. */
	for (size_t i = s->old_conf_count; i > 0; i--) {
		if (u->number <= s->old_confs[i - 1]->redis_instances) {
			return s->old_confs[i - 1];
		}
	}
	return s->conf;
}

const struct conf_redis *
unit_conf(const struct unit *u)
{
	const struct conf *conf = unit_conf_of(u);

	assert(u->kind == UNIT_REDIS && u->number <= conf->redis_instances);
	return &conf->redis[u->number - 1];
}
