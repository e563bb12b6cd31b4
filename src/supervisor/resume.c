/*
 * What was before: which processes still run, and who was master. An instance never becomes master on the strength of its own old redis.conf; the
 * sentinels' files and the state database decide, the higher epoch first.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_data.h"
#include "proc/procfs.h"
#include "supervisor/decision.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define LEFTOVER_STOP_MS 5000
#define REJOIN_MS        2000 /* a worker that is well answers in a turn of its loop */
#define LEFTOVER_AGAIN_MS                                                                          \
	500 /* redis-server refuses the signal while it writes its first AOF, and forgets it */
#define FACT_NODES SENTINEL_MAX_KNOWN

/* ---- processes of an earlier supervisor ---- */

/* The words of a process' command line, each ending with NUL. 0: it has none. */
static size_t
read_command(pid_t pid, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%ld/cmdline", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd != -1 ? read(fd, text, size - 1) : -1;
	if (fd != -1) {
		(void)close(fd);
	}
	text[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

static bool
is_server(const struct unit *u)
{
	return u->kind == UNIT_REDIS || u->kind == UNIT_SENTINEL;
}

/* Somebody's shell may stand in the folder as well. Redis writes its title over argv, beginning with the name we gave it. */
static bool
is_server_command(const struct unit *u, const char *text)
{
	const char *name = u->kind == UNIT_REDIS ? "redis-server" : "redis-sentinel";
	size_t len = strlen(name);

	return strncmp(text, name, len) == 0 && (text[len] == '\0' || text[len] == ' ');
}

static bool
is_worker_command(const struct unit *u, const char *text, size_t size)
{
	const char *const want[] = {NULL, unit_kind_name(u->kind), "--worker", u->name};
	const char *p = text;

	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		if (p >= text + size || (want[i] != NULL && strcmp(p, want[i]) != 0)) {
			return false;
		}
		p += strlen(p) + 1;
	}
	return true;
}

static bool
is_ours(const struct unit *u, pid_t pid, const struct stat *folder)
{
	char path[64], text[4096];
	struct stat cwd;
	uint64_t ticks;
	size_t size;

	(void)snprintf(path, sizeof(path), "/proc/%ld/cwd", (long)pid);
	if (pid == getpid() || stat(path, &cwd) == -1 || cwd.st_dev != folder->st_dev ||
	    cwd.st_ino != folder->st_ino || getsid(pid) != pid ||
	    procfs_start_ticks(pid, &ticks) < 0) {
		return false;
	}
	size = read_command(pid, text, sizeof(text));
	return is_server(u) ? is_server_command(u, text) : is_worker_command(u, text, size);
}

/*
 * A process that one of our kind has started for this unit: leader of a session of its own, working in the unit's folder
 * (workers: in the data folder), with the command line we give it. It is found also when the state database is lost.
 */
static pid_t
find_process(const struct unit *u)
{
	const char *path = is_server(u) ? u->dir : u->sup->conf->data_dir;
	struct dirent *entry;
	struct stat folder;
	pid_t found = 0;
	uint64_t number;
	DIR *dir;

	if (stat(path, &folder) == -1) {
		return 0;
	}
	dir = opendir("/proc");
	while (dir != NULL && found == 0 && (entry = readdir(dir)) != NULL) {
		if (slice_to_u64(slice_str(entry->d_name), &number) && number <= INT32_MAX &&
		    is_ours(u, (pid_t)number, &folder)) {
			found = (pid_t)number;
		}
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
	return found;
}

/* The process that the row is about still runs. */
static bool
row_runs(const struct supervisor *s, const struct store_instance *row)
{
	return row->pid > 0 && strcmp(row->boot_id, s->boot_id) == 0 &&
	       procfs_is_same(row->pid, row->start_ticks);
}

/* The pid and start time of the unit's process from before; false when none runs. */
static bool
find_before(struct unit *u, pid_t *ret_pid, uint64_t *ret_ticks)
{
	struct supervisor *s = u->sup;
	struct store_instance row;

	if (store_instance_get(s->store, u->name, &row, NULL) == 0) {
		process_set_restarts(u->process, (unsigned)row.restarts);
		u->held_down = !row.wanted_up; /* an orderly end of everything has set it up */
		if (row_runs(s, &row)) {
			*ret_pid = row.pid;
			*ret_ticks = row.start_ticks;
			return true;
		}
	}
	*ret_pid = find_process(u);
	return *ret_pid != 0 && procfs_start_ticks(*ret_pid, ret_ticks) == 0;
}

static void
note_leftover(struct supervisor *s, const char *name, const char *kind, pid_t pid, const char *why)
{
	struct leftover *l;

	s->leftovers = xreallocarray(s->leftovers, s->leftover_count + 1, sizeof(*s->leftovers));
	l = &s->leftovers[s->leftover_count++];
	*l = (struct leftover){.pid = pid, .redis = strcmp(kind, "redis") == 0, .why = why};
	(void)snprintf(l->name, sizeof(l->name), "%s", name);
	l->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
}

struct missing {
	struct supervisor *sup;
	struct store_instance *rows;
	size_t count;
};

static bool
collect_missing(void *arg, const struct store_instance *row)
{
	struct missing *m = arg;

	if (unit_find(m->sup, row->name) == NULL) {
		m->rows = xreallocarray(m->rows, m->count + 1, sizeof(*m->rows));
		m->rows[m->count++] = *row;
	}
	return true;
}

static void
find_missing(struct supervisor *s, struct missing *ret_missing)
{
	struct errmsg err = ERRMSG_NONE;

	*ret_missing = (struct missing){.sup = s};
	if (store_instance_each(s->store, collect_missing, ret_missing, &err) < 0) {
		log_warn("instances that the configuration no longer has are not looked for: %s",
		    err.text);
	}
}

/* Instances that the configuration no longer has, and that may run nevertheless. */
static void
find_unwanted(struct supervisor *s)
{
	struct missing m;

	find_missing(s, &m);
	for (size_t i = 0; i < m.count; i++) {
		if (row_runs(s, &m.rows[i])) {
			note_leftover(s, m.rows[i].name, m.rows[i].kind, m.rows[i].pid,
			    "the configuration no longer has it");
		}
	}
	free(m.rows);
}

/* A process from before. */
struct before {
	pid_t pid; /* 0: none */
	uint64_t ticks;
};

/* Takes one over; a worker that does not fit and what listens elsewhere than it should are noted to be ended. */
static bool
adopt_one(struct unit *u, const struct before *b, uint64_t deadline_ms)
{
	struct supervisor *s = u->sup;
	const char *why = is_server(u) ? NULL : rejoin_unit_hear(u, deadline_ms);

	if (why == NULL && s->move_count > 0) {
		why = "addresses have changed, it is started anew";
	}
	if (why != NULL) {
		if (!is_server(u) && !u->heard) {
			rejoin_unit_rob(u, b->pid);
		}
		channel_close(&u->channel);
		note_leftover(s, u->name, unit_kind_name(u->kind), b->pid, why);
		return false;
	}
	if (process_adopt(u->process, b->pid, b->ticks) < 0) {
		channel_close(&u->channel);
		return false;
	}
	if (u->held_down) {
		process_down(u->process);
	} else {
		process_up(u->process);
	}
	return true;
}

static void note_moves(struct supervisor *s);

size_t
resume_adopt(struct supervisor *s)
{
	struct before *before = xcalloc(s->unit_count, sizeof(*before));
	json_t *names = json_array();
	size_t adopted = 0;
	uint64_t deadline_ms;

	note_moves(s); /* first: what is adopted writes its row anew */
	for (size_t i = 0; i < s->unit_count; i++) {
		if (!find_before(s->units[i], &before[i].pid, &before[i].ticks)) {
			before[i].pid = 0;
		} else if (!is_server(s->units[i])) {
			rejoin_unit_call(s->units[i], before[i].pid);
		}
	}
	deadline_ms = clock_mono_ms() + REJOIN_MS;
	for (size_t i = 0; i < s->unit_count; i++) {
		if (before[i].pid != 0 && adopt_one(s->units[i], &before[i], deadline_ms)) {
			adopted++;
			(void)json_array_append_new(names, json_string(s->units[i]->name));
		}
	}
	free(before);
	find_unwanted(s);
	if (adopted > 0) {
		history_add(s->history, EVENT_SUPERVISOR_ADOPTED, s->node,
		    json_pack("{s:O}", "instances", names),
		    "%zu instances run since before and were taken over", adopted);
	}
	json_decref(names);
	return adopted;
}

/* Until it has ended or the deadline has passed. */
static bool
wait_for_end(int pidfd, uint64_t deadline_ms)
{
	struct pollfd wait = {.fd = pidfd, .events = POLLIN};
	uint64_t now;
	int rc;

	do {
		now = clock_mono_ms();
		rc = poll(&wait, 1, now < deadline_ms ? (int)(deadline_ms - now) : 0);
	} while (rc == -1 && errno == EINTR);
	return rc == 1;
}

/* One that is stopped (SIGSTOP) hears of it once it goes on. */
static void
tell_to_stop(const struct leftover *l)
{
	(void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGTERM, NULL, 0);
	(void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGCONT, NULL, 0);
}

/* Tells it to stop, again and again until it has ended or the deadline has passed. */
static bool
stop_and_wait(const struct leftover *l, uint64_t deadline_ms)
{
	uint64_t now = clock_mono_ms();

	do {
		tell_to_stop(l);
		if (wait_for_end(l->pidfd, MIN(now + LEFTOVER_AGAIN_MS, deadline_ms))) {
			return true;
		}
		now = clock_mono_ms();
	} while (now < deadline_ms);
	return false;
}

/* Redis last: what asks it, and what would elect another, has ended before. */
static void
end_leftovers(struct supervisor *s, bool redis)
{
	uint64_t deadline_ms =
	    clock_mono_ms() + (redis ? s->conf->holdfast_stop_timeout_s * 1000 : LEFTOVER_STOP_MS);

	for (size_t i = 0; i < s->leftover_count; i++) {
		struct leftover *l = &s->leftovers[i];

		if (l->redis == redis && l->pidfd != -1) {
			log_notice("%s: runs since before and is ended: %s pid=%ld", l->name,
			    l->why, (long)l->pid);
			tell_to_stop(l);
		}
	}
	for (size_t i = 0; i < s->leftover_count; i++) {
		struct leftover *l = &s->leftovers[i];

		if (l->redis != redis || l->pidfd == -1) {
			continue;
		}
		if (!stop_and_wait(l, deadline_ms)) {
			log_warn("%s: does not end, it is killed pid=%ld", l->name, (long)l->pid);
			(void)syscall(SYS_pidfd_send_signal, l->pidfd, SIGKILL, NULL, 0);
			(void)wait_for_end(l->pidfd, clock_mono_ms() + LEFTOVER_STOP_MS);
		}
		(void)close(l->pidfd);
		l->pidfd = -1;
	}
}

void
resume_end_leftovers(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;
	struct missing m;

	end_leftovers(s, false);
	end_leftovers(s, true);
	/* Nobody could prove to be ready while we waited: what was adopted has all its time yet. */
	ev_now_update(loop_ev(s->loop));
	for (size_t i = 0; i < s->unit_count; i++) {
		process_progress(s->units[i]->process);
	}
	find_missing(s, &m);
	for (size_t i = 0; i < m.count; i++) {
		if (store_instance_delete(s->store, m.rows[i].name, &err) < 0) {
			log_warn("%s: its row stays in the state database: %s", m.rows[i].name,
			    err.text);
		}
	}
	free(m.rows);
}

/* ---- who is master ---- */

/* Where the instance was reached in the last run, if that differs from now: Sentinel still knows it there. */
static void
note_moves(struct supervisor *s)
{
	struct store_master before;
	/* Our own address is known from the master, if that was one of ours. */
	bool known =
	    store_master_get(s->store, s->name, &before, NULL) == 0 && before.instance[0] != '\0';

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		struct store_instance row;
		struct endpoint old;

		if (!is_server(u) || store_instance_get(s->store, u->name, &row, NULL) < 0 ||
		    row.port == 0) {
			continue;
		}
		old = endpoint_tcp(known ? before.host : s->address, row.port);
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

/* All that was found. */
struct facts {
	struct unit *units[FACT_NODES]; /* redis instances, in the order of `nodes` */
	struct decision_node nodes[FACT_NODES];
	size_t node_count;
	struct decision_word words[FACT_NODES + 1];
	size_t word_count;
	char left[STORE_NAME_SIZE]; /* the last master, when the configuration no longer has it */
};

static size_t
node_of(const struct facts *f, const struct unit *u)
{
	for (size_t i = 0; i < f->node_count; i++) {
		if (f->units[i] == u) {
			return i;
		}
	}
	return DECISION_NONE;
}

static void
collect_files(struct supervisor *s, struct facts *f)
{
	for (size_t i = 0; i < s->unit_count && f->word_count < FACT_NODES; i++) {
		const struct unit *u = s->units[i];
		struct sentinel_memory memory;
		size_t node;

		if (u->kind != UNIT_SENTINEL ||
		    sentinel_conf_read(u->dir, s->name, &memory, NULL) < 0) {
			continue;
		}
		node = node_of(f, unit_at_or_moved(s, &memory.master.at));
		if (node == DECISION_NONE) {
			log_warn("%s: its file names a master that is none of ours, left out: %s",
			    u->name, ENDPOINT_TEXT(&memory.master.at));
		}
		f->words[f->word_count++] =
		    (struct decision_word){.node = node, .epoch = memory.master.epoch};
	}
}

/* What was decided before in this run counts as written, although the database may still wait for it: roles.c, on_settle. */
static void
collect_state(struct supervisor *s, struct facts *f)
{
	struct decision_word *w = &f->words[f->word_count];
	struct store_master before;

	if (s->master != NULL) {
		*w = (struct decision_word){
		    .node = node_of(f, s->master), .epoch = s->master_at.epoch, .from_state = true};
		f->word_count++;
		return;
	}
	if (store_master_get(s->store, s->name, &before, NULL) < 0) {
		return;
	}
	*w = (struct decision_word){.node = node_of(f, unit_find(s, before.instance)),
	    .epoch = before.epoch,
	    .from_state = true};
	if (w->node == DECISION_NONE && before.instance[0] != '\0') {
		char *dir = xasprintf("%s/%s", s->conf->data_dir, before.instance);

		w->left_data = servers_folder_time(dir) > 0;
		(void)snprintf(f->left, sizeof(f->left), "%s", before.instance);
		free(dir);
	}
	f->word_count++;
}

/* A snapshot without an append-only file is what is left of an instance's data, as long as another has the whole. */
static void
leave_out_snapshots(struct facts *f)
{
	bool whole[FACT_NODES], any = false;

	for (size_t i = 0; i < f->node_count; i++) {
		whole[i] =
		    !unit_conf(f->units[i])->appendonly || servers_aof_time(f->units[i]->dir) > 0;
		any = any || (whole[i] && f->nodes[i].data_time > 0);
	}
	for (size_t i = 0; i < f->node_count; i++) {
		if (any && !whole[i]) {
			f->nodes[i].data_time = 0;
		}
	}
}

static void
collect(struct supervisor *s, struct facts *f)
{
	for (size_t i = 0; i < s->unit_count && f->node_count < FACT_NODES; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS) {
			f->units[f->node_count] = u;
			f->nodes[f->node_count++] = (struct decision_node){
			    .runs = process_runs(u->process),
			    .data_time = servers_folder_time(u->dir),
			    .damaged = u->damaged,
			};
		}
	}
	leave_out_snapshots(f);
	collect_files(s, f);
	collect_state(s, f);
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

/* The master died while no supervisor ran, and what runs can replace it. */
static bool
has_successors(const struct supervisor *s)
{
	size_t replicas = 0, sentinels = 0, all = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];
		bool runs = process_runs(u->process);

		replicas += u->kind == UNIT_REDIS && u != s->master && runs ? 1 : 0;
		sentinels += u->kind == UNIT_SENTINEL && runs ? 1 : 0;
		all += u->kind == UNIT_SENTINEL ? 1 : 0;
	}
	return s->master != NULL && !process_runs(s->master->process) && replicas > 0 &&
	       sentinels * 2 > all;
}

/* Whose data goes on where that of the named master ends: files of servers that do not run can be compared. */
static void
compare_data(struct facts *f, size_t named)
{
	for (size_t i = 0; i < f->node_count; i++) {
		if (i != named && !f->nodes[i].runs && !f->nodes[named].runs) {
			f->nodes[i].ahead =
			    redis_data_ahead(f->units[i]->dir, f->units[named]->dir);
		}
	}
}

static int
decide(struct facts *f, struct decision *ret_decision)
{
	int rc = decision_make(f->nodes, f->node_count, f->words, f->word_count, ret_decision);

	if (rc == 0 && (ret_decision->reason == DECISION_SENTINELS ||
			   ret_decision->reason == DECISION_STATE)) {
		compare_data(f, ret_decision->node);
		rc = decision_make(f->nodes, f->node_count, f->words, f->word_count, ret_decision);
	}
	return rc;
}

static void
tell_decision(struct supervisor *s, const struct facts *f, const struct decision *d)
{
	const struct unit *u = f->units[d->node];
	const char *instead = d->instead_of != DECISION_NONE ? f->units[d->instead_of]->name : NULL;
	json_t *detail = json_pack("{s:s,s:I}", "on_word_of", decision_reason_text(d->reason),
	    "epoch", (json_int_t)d->epoch);

	if (instead != NULL) {
		(void)json_object_set_new(detail, "instead_of", json_string(instead));
	}
	if (d->reason == DECISION_AHEAD) {
		(void)json_object_set_new(
		    detail, "ahead_bytes", json_integer((json_int_t)f->nodes[d->node].ahead));
	}
	if (instead != NULL) {
		log_warn("%s was the last master; %s takes its place on the word of %s", instead,
		    u->name, decision_reason_text(d->reason));
	}
	history_add(s->history, EVENT_MASTER_DECIDED, u->name, detail,
	    "is master to begin with%s%s, on the word of %s, epoch %llu",
	    instead != NULL ? " instead of " : "", instead != NULL ? instead : "",
	    decision_reason_text(d->reason), (unsigned long long)d->epoch);
}

/* Makes the decision true for topo, and for the files of sentinels that say otherwise. */
static void
begin_with(struct supervisor *s, const struct facts *f, const struct decision *d)
{
	struct unit *u = f->units[d->node];
	struct topo_master master = {.at = u->at, .epoch = d->epoch};

	if (u->held_down) {
		log_notice("%s: an operator had stopped it, it is started since it is the master",
		    u->name);
		u->held_down = false;
		if (process_runs(u->process)) {
			process_up(u->process); /* again, once it has stopped */
		}
	}
	tell_decision(s, f, d);
	(void)topo_offer(s->topo, &master, TOPO_FROM_STATE);
	overrule_files(s);
}

int
resume_decide(struct supervisor *s, struct errmsg *err)
{
	struct facts f = {.node_count = 0};
	struct decision d;
	int rc;

	if (hosts_are_several(s)) {
		agree_remember(s);
		return 0; /* the majority decides, see agree.c */
	}
	collect(s, &f);
	rc = decide(&f, &d);
	if (rc == -EBUSY) {
		errmsg_set(err,
		    "%s was the last master and has data, but the configuration no longer has it: "
		    "set "
		    "redis.instances back, hand over with `holdfast failover`, then take it away",
		    f.left);
		return rc;
	}
	if (rc < 0) {
		errmsg_set(err,
		    "there is no redis instance to begin with: set redis.instances to 1 or more");
		return rc;
	}
	begin_with(s, &f, &d);
	if (has_successors(s)) {
		s->orphaned = true;
		succession_begin(s, "died while no supervisor ran: a replica takes over; "
				    "it comes back as a replica");
	}
	return 0;
}

bool
resume_decide_again(struct supervisor *s)
{
	struct facts f = {.node_count = 0};
	struct decision d;

	if (s->plan != PLAN_MASTER || hosts_are_several(s)) {
		return false; /* it is for the sentinels to say */
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_SENTINEL && process_runs(s->units[i]->process)) {
			return false;
		}
	}
	collect(s, &f);
	if (decision_make(f.nodes, f.node_count, f.words, f.word_count, &d) < 0 ||
	    d.reason != DECISION_DAMAGED) {
		return false;
	}
	begin_with(s, &f, &d);
	process_up(f.units[d.node]->process);
	return true;
}
