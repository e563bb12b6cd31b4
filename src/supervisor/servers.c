/* Redis and Sentinel instances: what their files must say before a start, and what their probes say afterwards. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_conf.h"
#include "net/listener.h"
#include "proc/ending.h"
#include "proc/procfs.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define PROBE_MS          1000
#define SENTINEL_INFO_MS  "1000" /* less than any down-after that makes sense; since Redis 7 */
#define PROBE_STARTING_MS 20
#define SILENT_ROUNDS                                                                              \
	2 /* so many missed probes are redis.probe_ms; two, so that one that we were too late to see counts for nothing */
#define END_WATCH_BYTES (UINT64_C(128) << 20) /* smaller ones are gone within about 10 ms */
#define END_WATCH_MS    5

static void
set_launch(struct unit *u, const char *conf_name, const char *argv0, bool sentinel_flag,
    struct process_launch *ret_launch)
{
	free(u->conf_path);
	u->conf_path = xasprintf("%s/%s", u->dir, conf_name);
	*ret_launch = (struct process_launch){
	    .program = u->program,
	    .argv = {argv0, u->conf_path, sentinel_flag ? "--sentinel" : NULL},
	    .cwd = u->dir,
	    .pass_fd = -1,
	};
}

static int
prepare_redis(struct unit *u, struct process_launch *ret_launch, struct errmsg *err)
{
	struct supervisor *s = u->sup;
	const struct endpoint *follow = NULL;
	const char *only[1];
	struct redis_spec *spec;
	char *program = NULL;
	int rc;

	rc = roles_for_start(u, &follow);
	if (rc == 0) {
		rc = modules_prepare(u, follow != NULL, err);
	}
	if (rc == 0) {
		rc = damage_prepare(u, follow != NULL, err);
	}
	if (rc == 0 && follow != NULL) {
		relocate_start(u);
	}
	if (rc == 0) {
		rc = listener_probe(
		    &u->listens, err); /* it would only die of it, and not say of whom */
	}
	if (rc == 0) {
		rc = conf_find_server(unit_conf(u)->server, &program, err);
	}
	if (rc < 0) {
		return rc;
	}
	free(u->program);
	u->program = program;
	spec = redis_spec_new(relocate_conf(u), u->number - 1, u->at.host, s->secret);
	if (u->misplaced) { /* it is master still where it was */
		only[0] = u->listens.host;
		spec->bind = only;
		spec->bind_count = 1;
	}
	spec->port = u->listens.port; /* fixed for our life, whatever a reload says */
	spec->announced_port = u->at.port;
	spec->modules = s->modules;
	spec->forgets_priority = u->loaded.demoted;
	u->unproven = hosts_are_several(s) && follow != NULL;
	if (u->unproven || hosts_bar_sentinel(s)) {
		redis_spec_demote(spec);
	}
	if (hosts_are_several(s)) {
		redis_spec_announce(spec, !u->unproven);
	}
	/* With appendonly redis reads no dump.rdb: switched on over a snapshot it would begin empty. */
	u->aof_later = unit_conf(u)->appendonly && servers_aof_time(u->dir) == 0 &&
		       servers_folder_time(u->dir) > 0;
	if (u->aof_later) {
		redis_spec_without_aof(spec);
	}
	rc = redis_conf_write(spec, follow, err);
	redis_spec_free(&spec);
	if (rc == 0) {
		set_launch(u, "redis.conf", "redis-server", false, ret_launch);
	}
	return rc;
}

/* The id of a sentinel, the same for all its life: from its file, the state database, else a new one that is stored. */
static void
find_id(struct supervisor *s, const struct unit *u, char ret_id[SENTINEL_ID_SIZE])
{
	char *key = xasprintf("%s.id", u->name), *id = NULL;
	struct sentinel_memory memory;
	struct errmsg err = ERRMSG_NONE;

	if (sentinel_conf_read(u->dir, s->name, &memory, NULL) == 0 && memory.id[0] != '\0') {
		(void)snprintf(ret_id, SENTINEL_ID_SIZE, "%s", memory.id);
	} else if (store_meta_get(s->store, key, &id, NULL) == 0 &&
		   strlen(id) == SENTINEL_ID_SIZE - 1) {
		(void)snprintf(ret_id, SENTINEL_ID_SIZE, "%s", id);
	} else if (hosts_own_id(s) != NULL) {
		(void)snprintf(ret_id, SENTINEL_ID_SIZE, "%s", hosts_own_id(s));
	} else {
		sentinel_conf_new_id(ret_id);
		if (store_meta_put(s->store, key, ret_id, true, &err) < 0) {
			log_warn("%s: its id is not stored: %s", u->name, err.text);
		}
	}
	free(id);
	free(key);
}

static void
add_hosts(struct supervisor *s, struct sentinel_memory *m)
{
	agree_placeholder(s, &m->master);
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		/* While nobody is master nobody is a replica: one that is none would be taken for a successor. */
		if (m->master.epoch > 0 && !endpoint_equal(&h->redis, &m->master.at)) {
			m->replicas[m->replica_count++] = h->redis;
		}
		if (!h->self) {
			m->sentinels[m->sentinel_count].at = h->sentinel;
			(void)snprintf(
			    m->sentinels[m->sentinel_count++].id, SENTINEL_ID_SIZE, "%s", h->id);
		}
	}
}

/* The file of a sentinel that has none: it is told at once whom there is, instead of waiting to hear of them. */
static int
create_sentinel_conf(struct unit *u, const struct sentinel_spec *spec, struct errmsg *err)
{
	struct supervisor *s = u->sup;
	struct sentinel_memory memory = {.master = s->master_at};

	find_id(s, u, memory.id);
	if (hosts_are_several(s)) {
		add_hosts(s, &memory);
		return sentinel_conf_create(spec, &memory, err);
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *other = s->units[i];

		if (other->kind == UNIT_REDIS && other != s->master &&
		    memory.replica_count < SENTINEL_MAX_KNOWN) {
			memory.replicas[memory.replica_count++] = other->at;
		} else if (other->kind == UNIT_SENTINEL && other != u &&
			   memory.sentinel_count < SENTINEL_MAX_KNOWN) {
			memory.sentinels[memory.sentinel_count].at = other->at;
			find_id(s, other, memory.sentinels[memory.sentinel_count++].id);
		}
	}
	return sentinel_conf_create(spec, &memory, err);
}

static int
prepare_sentinel_conf(struct unit *u, const struct sentinel_spec *spec, struct errmsg *err)
{
	struct supervisor *s = u->sup;
	struct sentinel_memory memory;
	struct errmsg why = ERRMSG_NONE;
	int rc;

	if (u->stray) {
		u->stray = false;
		rc = sentinel_conf_set_aside(u->dir, err);
		if (rc < 0 && rc != -ENOENT) {
			return rc;
		}
	}
	rc = sentinel_conf_read(u->dir, spec->master_name, &memory, &why);
	if (rc == 0 && s->host_count == 1 && memory.master.epoch == 0) {
		/* From before it was one of several hosts: see agree_placeholder. */
		rc = sentinel_conf_set_aside(u->dir, err);
		if (rc < 0) {
			return rc;
		}
		rc = -ENOENT;
	}
	if (rc == 0) {
		/* Once: an address that one instance has left may be another's now. */
		rc = sentinel_conf_adjust(spec, s->moves, u->moved ? 0 : s->move_count, &why);
		u->moved = u->moved || rc == 0;
	}
	if (rc == -EINVAL) {
		history_add(s->history, EVENT_STATE_DAMAGED, u->name,
		    json_pack("{s:s}", "why", why.text),
		    "its sentinel.conf is damaged, set aside and made anew: %s", why.text);
		rc = sentinel_conf_set_aside(u->dir, err);
		if (rc < 0) {
			return rc;
		}
		rc = -ENOENT;
	}
	if (rc == -ENOENT) {
		rc = create_sentinel_conf(u, spec, err);
		u->moved = u->moved || rc == 0; /* it knows the addresses of now */
		return rc;
	}
	if (rc < 0) {
		*err = why;
	}
	return rc;
}

static int
prepare_sentinel(struct unit *u, struct process_launch *ret_launch, struct errmsg *err)
{
	struct supervisor *s = u->sup;
	char *server = NULL, *program = NULL;
	struct endpoint *known;
	struct sentinel_spec *spec;
	bool flag = false;
	int rc;

	rc = listener_probe(&u->listens, err);
	if (rc == 0) {
		rc = conf_find_server(s->conf->redis_server, &server, err);
	}
	if (rc == 0) {
		rc = conf_find_sentinel(s->conf->sentinel_server, server, &program, &flag, err);
	}
	free(server);
	if (rc < 0) {
		return rc;
	}
	free(u->program);
	u->program = program;
	spec = sentinel_spec_new(s->conf, u->number - 1, s->address, s->secret);
	spec->port = u->listens.port;
	spec->announced_port = u->at.port;
	known = xcalloc(2 * s->host_count + s->unit_count, sizeof(*known));
	for (size_t i = 0; i < s->host_count; i++) {
		known[spec->known_count++] = s->hosts[i].redis;
		known[spec->known_count++] = s->hosts[i].sentinel;
	}
	for (size_t i = 0; i < s->unit_count && u->stale; i++) {
		known[spec->known_count++] = s->units[i]->at;
	}
	spec->known = hosts_are_several(s) || u->stale ? known : NULL;
	u->stale = false;
	rc = prepare_sentinel_conf(u, spec, err);
	sentinel_spec_free(&spec);
	free(known);
	if (rc == 0) {
		set_launch(u, "sentinel.conf", "redis-sentinel", flag, ret_launch);
	}
	return rc;
}

int
servers_prepare(struct unit *u, struct process_launch *ret_launch, struct errmsg *err)
{
	return u->kind == UNIT_REDIS ? prepare_redis(u, ret_launch, err)
				     : prepare_sentinel(u, ret_launch, err);
}

static void
note_link(struct unit *u, const struct probe_view *view)
{
	struct supervisor *s = u->sup;
	bool linked =
	    view->answering && view->role == PROBE_REPLICA && view->sync == PROBE_SYNC_CONNECTED;

	if (linked && s->master_known && endpoint_equal(&view->master, &s->master_at.at)) {
		u->was_synced = true;
	}
	if (hosts_are_several(s) && linked && u->was_synced) {
		loaded_prove(u);
	}
	if (linked == u->linked) {
		return;
	}
	u->linked = linked;
	ondisk_stop(u);
	u->unlinked_ms = clock_mono_ms();
	if (linked) {
		ondisk_begin(u);
		history_add(s->history, EVENT_LINK_UP, u->name,
		    json_pack("{s:s}", "master", ENDPOINT_TEXT(&view->master)), "follows %s",
		    ENDPOINT_TEXT(&view->master));
	} else if (view->answering && view->role == PROBE_REPLICA) {
		history_add(s->history, EVENT_LINK_DOWN, u->name,
		    json_pack("{s:s}", "master", ENDPOINT_TEXT(&view->master)),
		    "lost its link to %s, redis connects it again", ENDPOINT_TEXT(&view->master));
	}
}

/* How long a probe waits for its answer. */
static uint64_t
answer_ms(const struct unit *u)
{
	return u->kind == UNIT_REDIS ? u->sup->conf->redis_probe_ms / SILENT_ROUNDS : PROBE_MS;
}

static void
set_pace(struct unit *u)
{
	probe_set_interval(u->probe,
	    !u->settled             ? PROBE_STARTING_MS
	    : u->kind == UNIT_REDIS ? MIN(answer_ms(u), (uint64_t)PROBE_MS)
				    : PROBE_MS,
	    answer_ms(u));
}

/* Redis tells nobody that a replica's link came up: until it has, it is asked often. */
static void
pace(struct unit *u, bool settled)
{
	if (u->settled != settled) {
		u->settled = settled;
		set_pace(u);
	}
}

void
servers_on_reload(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->probe != NULL) {
			set_pace(s->units[i]);
		}
	}
}

/* ---- a master that does not answer, or is ending ---- */

/* What the sentinel at that address waits for; 0: it does not tell. */
static uint64_t
patience_of(const struct supervisor *s, const struct endpoint *sentinel)
{
	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(s->watcher, i);

		if (endpoint_equal(&v->at, sentinel)) {
			return v->connected && v->knows ? v->down_after_ms : 0;
		}
	}
	return 0;
}

/*
 * As long as the master works, the sentinels are not to take its silence for death either: those of its host are told so by its supervisor, and
 * those of other hosts by theirs, which see it there.
 */
uint64_t
servers_down_after_ms(const struct supervisor *s)
{
	for (size_t i = 0; s->master == NULL && s->master_known && i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		if (!h->self && endpoint_equal(&h->redis, &s->master_at.at)) {
			return MAX(s->conf->sentinel_down_after_ms, patience_of(s, &h->sentinel));
		}
	}
	return s->master != NULL && s->master->is_busy
		   ? MAX(s->conf->sentinel_down_after_ms, s->conf->redis_busy_ms)
		   : s->conf->sentinel_down_after_ms;
}

/* Each sentinel has asked it again by then (every second, sentinel.c): told before, it would go by the answer from before the long command. */
#define HEARD_AGAIN_MS 2000

static void
set_busy(struct unit *u, bool busy, uint64_t silent_ms)
{
	if (u->is_busy == busy) {
		return;
	}
	u->is_busy = busy;
	if (busy) {
		history_add(u->sup->history, EVENT_INSTANCE_SILENT, u->name,
		    json_pack("{s:I,s:b}", "silent_ms", (json_int_t)silent_ms, "busy", 1),
		    "does not answer but works: a long command, or a fork? It has time for %llu ms "
		    "(redis.busy_ms)",
		    (unsigned long long)u->sup->conf->redis_busy_ms);
	}
	reload_down_after(u->sup);
}

void
servers_follow_patience(struct supervisor *s)
{
	uint64_t wanted = servers_down_after_ms(s), has;

	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		has = u->kind == UNIT_SENTINEL ? patience_of(s, &u->at) : 0;
		if (has != 0 && has != wanted && unit_is_ready(u)) {
			reload_down_after(s);
			return;
		}
	}
}

static void
end_patience(struct unit *u)
{
	if (u->is_busy && u->answers_since_ms != 0 &&
	    clock_mono_ms() - u->answers_since_ms >= HEARD_AGAIN_MS) {
		set_busy(u, false, 0);
	}
}

static void
look_at_silence(struct unit *u, const struct probe_view *view)
{
	struct supervisor *s = u->sup;
	uint64_t silent_ms = view->missed * answer_ms(u);

	if (view->missed == 0 && !view->busy) {
		if (u->answers_since_ms == 0) {
			u->answers_since_ms = clock_mono_ms();
		}
		return;
	}
	u->answers_since_ms = 0;
	if (u != s->master || !unit_is_ready(u) || process_was_killed(u->process)) {
		return;
	}
	if (view->busy) {
		set_busy(u, true, silent_ms);
	} else if (view->missed < SILENT_ROUNDS) {
		u->silent_cpu_ticks = procfs_cpu_ticks(process_pid(u->process));
	} else if (silent_ms < s->conf->redis_busy_ms &&
		   unit_is_working(
		       u, silent_ms / SILENT_ROUNDS)) { /* since there is something to compare */
		set_busy(u, true, silent_ms);
	} else {
		succession_on_silence(u, silent_ms);
	}
}

static void
on_ending(void *arg)
{
	struct unit *u = arg;

	ending_free(&u->ending);
	succession_on_dying(u);
}

void
servers_watch_end(struct unit *u)
{
	pid_t pid = process_pid(u->process);

	if (u != u->sup->master || !unit_is_ready(u)) {
		ending_free(&u->ending);
	} else if (u->ending == NULL && ending_resident_bytes(pid) >= END_WATCH_BYTES) {
		u->ending = ending_watch(u->sup->loop, pid, END_WATCH_MS, on_ending, u);
	}
}

static void
on_aof_switched(void *arg, const struct redisReply *reply, int error)
{
	const struct unit *u = arg;

	if (error != 0 || reply_is_error(reply)) {
		log_warn("%s: could not be told to write its append-only file, it does at its next "
			 "start: %s",
		    u->name, error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	}
}

/* Its snapshot is read in: from now on the append-only file counts. */
static void
switch_aof_on(struct unit *u)
{
	if (link_send(probe_link(u->probe), 0, on_aof_switched, u, "CONFIG", "SET", "appendonly",
		"yes", NULL) == 0) {
		u->aof_later = false;
		log_notice(
		    "%s: had a snapshot and no append-only file yet, it is written now", u->name);
	}
}

static void
on_redis_change(struct probe *p, void *owner, const struct probe_view *view)
{
	struct unit *u = owner;

	if (view->loading) {
		process_progress(u->process);
	} else if (view->answering && view->role != PROBE_UNKNOWN) {
		process_ready(u->process);
		if (u->aof_later) {
			switch_aof_on(u);
		}
	}
	if (view->answering && !view->loading && view->role != PROBE_UNKNOWN) {
		loaded_on_answering(u);
	}
	note_link(u, view);
	look_at_silence(u, view);
	pace(u, probe_is_ready(view, PROBE_REDIS));
	supervisor_touch(u->sup);
}

static void
on_sentinel_change(struct probe *p, void *owner, const struct probe_view *view)
{
	struct unit *u = owner;
	struct errmsg err = ERRMSG_NONE;
	char *key;

	if (view->answering && view->knows) {
		process_ready(u->process);
		if (!u->settled) {
			watcher_ask(u->sup->watcher);
			/* Its own failover goes by what it has heard last: not ten seconds ago, or not before the master's death. */
			(void)link_send(probe_link(u->probe), 0, NULL, NULL, "SENTINEL", "DEBUG",
			    "INFO-PERIOD", SENTINEL_INFO_MS, NULL);
			/* one that was taken over may have been told to wait */
			if (view->down_after_ms != servers_down_after_ms(u->sup)) {
				reload_down_after(u->sup);
			}
		}
	}
	pace(u, probe_is_ready(view, PROBE_SENTINEL));
	if (view->id[0] != '\0') {
		/* If its file is ever lost, the same id saves the others a phantom. */
		key = xasprintf("%s.id", u->name);
		if (store_meta_put(u->sup->store, key, view->id, false, &err) < 0) {
			log_debug("%s: id not stored: %s", u->name, err.text);
		}
		free(key);
	}
	supervisor_touch(u->sup);
}

static const struct probe_ops redis_probe_ops = {.on_change = on_redis_change};
static const struct probe_ops sentinel_probe_ops = {.on_change = on_sentinel_change};

void
servers_started(struct unit *u)
{
	struct supervisor *s = u->sup;
	bool redis = u->kind == UNIT_REDIS;
	struct probe_spec spec = {
	    .kind = redis ? PROBE_REDIS : PROBE_SENTINEL,
	    .at = u->at,
	    .user = redis || hosts_are_several(s) ? INSTANCE_USER : NULL,
	    .password = redis || hosts_are_several(s) ? s->secret : NULL,
	    .master_name = s->name,
	    .interval_ms = PROBE_STARTING_MS,
	    .answer_ms = answer_ms(u),
	};

	u->linked = false;
	ondisk_stop(u);
	loaded_started(u);
	u->ondisk.complete = false;
	u->seen_offset = 0;
	u->was_synced = false;
	u->wrong_since_ms = 0;
	u->settled = false;
	if (u->probe == NULL) {
		u->probe =
		    probe_new(s->loop, &spec, redis ? &redis_probe_ops : &sentinel_probe_ops, u);
	} else {
		probe_rest(u->probe, false);
		set_pace(u);
	}
}

void
servers_ended(struct unit *u)
{
	u->linked = false;
	set_busy(u, false, 0);
	ondisk_stop(u);
	ending_free(&u->ending);
	if (u->probe != NULL) {
		u->seen_offset = probe_get(u->probe)->offset;
		probe_rest(u->probe, true);
	}
}

bool
servers_is_master(const struct unit *u)
{
	const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

	return v != NULL && unit_is_ready(u) && v->answering && !v->loading &&
	       v->role == PROBE_MASTER;
}

bool
servers_is_synced(const struct unit *u)
{
	const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

	return v != NULL && unit_is_ready(u) && v->answering && u->linked && u->sup->master_known &&
	       endpoint_equal(&v->master, &u->sup->master_at.at);
}

static bool
ends_with(const char *name, const char *end)
{
	size_t len = strlen(name), end_len = strlen(end);

	return len >= end_len && strcmp(name + len - end_len, end) == 0;
}

/* The newest change of a regular file in the folder whose name ends so; 0: there is none. */
static uint64_t
newest_in(const char *path, const char *end)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	uint64_t newest = 0;
	struct stat st;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (ends_with(entry->d_name, end) &&
		    fstatat(dirfd(dir), entry->d_name, &st, 0) == 0 && S_ISREG(st.st_mode) &&
		    st.st_size > 0) {
			newest = MAX(newest, (uint64_t)st.st_mtim.tv_sec * 1000000000 +
						 (uint64_t)st.st_mtim.tv_nsec);
		}
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
	return newest;
}

/* A probe that sees the same as before says nothing: that the data is still being read in, or that it answers again, is asked for. */
void
servers_tick(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && u->probe != NULL && probe_get(u->probe)->loading) {
			process_progress(u->process);
		}
		if (u->kind == UNIT_REDIS) {
			servers_watch_end(u);
			end_patience(u);
		}
	}
}

uint64_t
servers_aof_time(const char *dir)
{
	char *aof = xasprintf("%s/appendonlydir", dir);
	/* Without its manifest redis takes none of them for its own, and begins empty. */
	uint64_t newest = newest_in(aof, ".manifest") > 0 ? newest_in(aof, "") : 0;

	free(aof);
	return MAX(newest, newest_in(dir, "appendonly.aof")); /* redis before 7 */
}

uint64_t
servers_folder_time(const char *dir)
{
	return MAX(servers_aof_time(dir), newest_in(dir, "dump.rdb"));
}

bool
servers_keeps_data(const struct unit *u)
{
	const struct conf_redis *conf = unit_conf(u);
	const struct conf_directives *lists[] = {&conf->config, &unit_conf_of(u)->redis_config};

	if (conf->appendonly) {
		return servers_folder_time(u->dir) > 0;
	}
	/* What is said of the instance comes before what is said of all. */
	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (size_t k = 0; k < lists[i]->count; k++) {
			const struct conf_directive *d = &lists[i]->items[k];

			if (strcmp(d->name, "save") == 0) {
				return strspn(d->value, "\"' ") != strlen(d->value) &&
				       servers_folder_time(u->dir) > 0;
			}
		}
	}
	return servers_folder_time(u->dir) > 0;
}
