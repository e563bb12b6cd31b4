#include "supervisor/supervisor.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/acquaint.h"
#include "instance/claim.h"
#include "instance/redis_conf.h"
#include "net/listener.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/legacy.h"
#include "supervisor/lock.h"
#include "supervisor/supervisor_priv.h"

#define SUPERVISOR_MAGIC 0x53555056U
#define RING_BYTES       ((size_t)512 * 1024)
#define TICK_S           1.
#define SELF_EXE         "/proc/self/exe"
#define CLAIM_KEY        "claim.id" /* in the state database */

void
supervisor_touch(struct supervisor *s)
{
	loop_hook_ask(s->loop, &s->check);
}

/* Units that were to leave and have stopped go now, outside their own callbacks. */
static void
free_left(struct supervisor *s)
{
	for (size_t i = s->unit_count; i > 0; i--) {
		struct unit *u = s->units[i - 1];

		if (u->leaving && !process_runs(u->process) &&
		    process_state(u->process) == PROCESS_STOPPED) {
			memmove(&s->units[i - 1], &s->units[i],
			    (s->unit_count - i) * sizeof(*s->units));
			s->unit_count--;
			control_unit_gone(u);
			unit_free(&u);
		}
	}
}

static void
on_check(void *arg)
{
	struct supervisor *s = OBJ_CAST((struct supervisor *)arg, SUPERVISOR_MAGIC);

	free_left(s);
	succession_look_for_orphans(s);
	plan_check(s);
	health_check(s);
	removal_check(s);
	rolling_check(s);
	relocate_check(s);
	watch_touch(s);
	picture_touch(s);
}

static void
on_event(void *arg, const struct store_event *event)
{
	const struct supervisor *s = arg;

	timeline_on_event(arg, event);
	picture_touch(arg);
	/* the last ones come when the history is ended */
	if (s->history != NULL && history_fault(s->history) != NULL) {
		supervisor_touch(arg);
	}
}

static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	servers_tick(w->data);
	if (history_try_again(((struct supervisor *)w->data)->history)) {
		supervisor_touch(w->data);
	}
	damage_tick(w->data);
	loaded_tick(w->data);
	roles_tick(w->data);
	hosts_tick(w->data);
	members_tick(w->data);
	hosts_modules_tick(w->data);
	workers_tick(w->data);
	backup_tick(w->data);
	service_tick(w->data);
	figures_tick(((struct supervisor *)w->data)->figures);
}

static void
on_stop_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
	struct supervisor *s = w->data;

	if (s->plan <= PLAN_RUNNING) {
		history_add(s->history, EVENT_SUPERVISOR_STOPPING, s->node,
		    json_pack("{s:s}", "signal", strsignal(w->signum)),
		    "told to stop (%s): stopping in order", strsignal(w->signum));
		rolling_stop(s);
		backup_stop(s);
		handover_cancel(s, "everything is being stopped, the handover was given up");
	}
	plan_stop(s);
}

static void
on_reload_signal(struct ev_loop *ev, ev_signal *w, int revents)
{
	reload(w->data, NULL);
}

static void
on_watch_change(void *arg, size_t i, const struct watcher_sentinel *view)
{
	suspect_on_sentinel(arg, view);
	if (hosts_are_several(arg)) {
		servers_follow_patience(arg);
	}
	supervisor_touch(arg);
}

/* Under the id of this folder, so that what the sentinels have promised to a supervisor before us is ours. */
static void
make_claim(struct supervisor *s)
{
	char *stored = NULL, id[CLAIM_ID_SIZE];
	struct errmsg err = ERRMSG_NONE;

	if (store_meta_get(s->store, CLAIM_KEY, &stored, NULL) == 0 &&
	    strlen(stored) == CLAIM_ID_SIZE - 1) {
		(void)snprintf(id, sizeof(id), "%s", stored);
	} else {
		sentinel_conf_new_id(id);
		if (store_meta_put(s->store, CLAIM_KEY, id, true, &err) < 0) {
			log_warn("the id of this supervisor is not stored, votes are asked for "
				 "under another one next time: %s",
			    err.text);
		}
	}
	free(stored);
	s->claim = claim_new(s->watcher, id);
}

static void
start_watcher(struct supervisor *s)
{
	struct endpoint sentinels[WATCHER_MAX_SENTINELS];
	struct watcher_spec spec = {.name = s->name, .sentinels = sentinels};

	if (hosts_are_several(s)) {
		spec.user = INSTANCE_USER;
		spec.password = s->secret;
	}

	for (size_t i = 0; i < s->unit_count && spec.count < ARRAY_LEN(sentinels); i++) {
		if (s->units[i]->kind == UNIT_SENTINEL) {
			sentinels[spec.count++] = s->units[i]->at;
		}
	}
	for (size_t i = 0; i < s->host_count && spec.count < ARRAY_LEN(sentinels); i++) {
		if (!s->hosts[i].self) {
			sentinels[spec.count++] = s->hosts[i].sentinel;
		}
	}
	s->watcher = watcher_new(s->loop, s->topo, &spec);
	s->watch = (struct watcher_observer){.on_change = on_watch_change, .arg = s};
	list_init(&s->watch.link);
	make_claim(s);
	watcher_watch(s->watcher, &s->watch);
	if (hosts_are_several(s)) {
		s->acquaint = acquaint_new(s->loop, s->watcher, s->name);
	}
}

static void
read_boot_id(struct supervisor *s)
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd != -1 ? read(fd, s->boot_id, sizeof(s->boot_id) - 1) : -1;

	s->boot_id[n > 0 ? n : 0] = '\0';
	s->boot_id[strcspn(s->boot_id, "\n")] = '\0';
	if (fd != -1) {
		(void)close(fd);
	}
}

/* The file may have been replaced already: its path is what counts, `upgrade` begins there. */
static void
find_self(struct supervisor *s)
{
	static const char gone[] = " (deleted)";
	char path[PATH_MAX];
	ssize_t n = readlink(SELF_EXE, path, sizeof(path) - 1);
	size_t len = n > 0 ? (size_t)n : 0, gone_len = sizeof(gone) - 1;

	path[len] = '\0';
	if (len > gone_len && strcmp(path + len - gone_len, gone) == 0) {
		path[len - gone_len] = '\0';
	}
	s->self = xstrdup(len > 0 ? path : SELF_EXE);
}

const char *
supervisor_program(const struct supervisor *s)
{
	struct stat here, own;

	return stat(s->self, &here) == 0 && stat(SELF_EXE, &own) == 0 &&
		       here.st_ino == own.st_ino && here.st_dev == own.st_dev
		   ? s->self
		   : SELF_EXE;
}

static int
find_address(struct supervisor *s, struct errmsg *err)
{
	struct endpoint ep = endpoint_tcp(s->conf->holdfast_address, 1);
	struct sockaddr_storage addr;
	char host[NI_MAXHOST];
	socklen_t len;
	int rc;

	rc = endpoint_resolve(&ep, false, &addr, &len, err);
	if (rc < 0) {
		errmsg_prefix(err, "holdfast.address");
		return rc;
	}
	if (getnameinfo(
		(struct sockaddr *)&addr, len, host, sizeof(host), NULL, 0, NI_NUMERICHOST) != 0) {
		errmsg_set(
		    err, "holdfast.address '%s' has no numeric form", s->conf->holdfast_address);
		return -EINVAL;
	}
	s->address = xstrdup(host);
	return 0;
}

static int
open_store(struct supervisor *s, struct errmsg *err)
{
	char *path = xasprintf("%s/state.db", s->conf->data_dir);
	struct store_report report;
	int rc = store_open(path, &s->store, &report, err);

	free(path);
	if (rc < 0) {
		return rc;
	}
	store_events_keep(s->store, s->conf->holdfast_events_max);
	history_attach(s->history, s->store);
	figures_attach(s->figures);
	if (report.opened == STORE_RESET) {
		history_add(s->history, EVENT_STATE_DAMAGED, s->node,
		    json_pack("{s:s,s:s}", "why", report.why, "set_aside", report.set_aside),
		    "the state database was damaged (%s), it is set aside as %s and made anew from "
		    "what the "
		    "sentinels and servers say",
		    report.why, report.set_aside);
	} else if (report.migrated_from != 0) {
		history_add(s->history, EVENT_STATE_MIGRATED, s->node,
		    json_pack("{s:i}", "from", (int)report.migrated_from),
		    "state database brought up from schema %u", report.migrated_from);
	}
	return 0;
}

/* The cluster's name is also Sentinel's master name, and stands in files that are written once. */
static int
check_name(struct supervisor *s, struct errmsg *err)
{
	char *name = NULL;
	int rc = store_meta_get(s->store, "cluster", &name, err);

	if (rc == -ENOENT) {
		rc = store_meta_put(s->store, "cluster", s->name, true, err);
	} else if (rc == 0 && strcmp(name, s->name) != 0) {
		errmsg_set(err,
		    "the data folder %s belongs to the cluster '%s', not '%s': set holdfast.name "
		    "back, or "
		    "name another folder with -d",
		    s->conf->data_dir, name, s->name);
		rc = -EINVAL;
	}
	free(name);
	return rc;
}

static void
make_units(struct supervisor *s)
{
	for (unsigned i = 1; i <= s->conf->redis_instances; i++) {
		(void)unit_new(s, UNIT_REDIS, i);
	}
	for (unsigned i = 1; i <= s->conf->sentinel_instances; i++) {
		(void)unit_new(s, UNIT_SENTINEL, i);
	}
	for (unsigned i = 1; i <= s->conf->proxy_workers && workers_are_wanted(s, UNIT_PROXY);
	     i++) {
		(void)unit_new(s, UNIT_PROXY, i);
	}
	for (unsigned i = 1; i <= s->conf->http_workers && s->conf->http_listen.count > 0; i++) {
		(void)unit_new(s, UNIT_HTTP, i);
	}
}

/* A port that somebody else holds is said now, not by a server that dies of it again and again. */
static int
probe_ports(struct supervisor *s, struct errmsg *err)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		int rc;

		if (u->at.port == 0 || process_runs(u->process)) {
			continue;
		}
		rc = listener_probe(&u->listens, err);
		if (rc < 0) {
			errmsg_prefix(err, "%s", u->name);
			return rc;
		}
	}
	return 0;
}

static int
check_programs(struct supervisor *s, struct errmsg *err)
{
	char *server = NULL, *sentinel = NULL;
	bool flag;
	int rc = 0;

	for (unsigned i = 0; i < s->conf->redis_instances && rc == 0; i++) {
		free(server);
		server = NULL;
		rc = conf_find_server(s->conf->redis[i].server, &server, err);
	}
	if (rc == 0) {
		rc = conf_find_sentinel(s->conf->sentinel_server, server, &sentinel, &flag, err);
	}
	free(server);
	free(sentinel);
	return rc;
}

/* Until somebody watches them: to process 1, as we are in a container, the kernel would not even deliver those that nobody handles. */
static void
hold_signals(void)
{
	sigset_t ours;

	(void)sigemptyset(&ours);
	(void)sigaddset(&ours, SIGTERM);
	(void)sigaddset(&ours, SIGINT);
	(void)sigaddset(&ours, SIGHUP);
	(void)sigprocmask(SIG_BLOCK, &ours, NULL);
}

static void
watch_signals(struct supervisor *s)
{
	sigset_t none;

	ev_signal_init(&s->sigterm, on_stop_signal, SIGTERM);
	ev_signal_init(&s->sigint, on_stop_signal, SIGINT);
	ev_signal_init(&s->sighup, on_reload_signal, SIGHUP);
	s->sigterm.data = s->sigint.data = s->sighup.data = s;
	ev_signal_start(loop_ev(s->loop), &s->sigterm);
	ev_signal_start(loop_ev(s->loop), &s->sigint);
	ev_signal_start(loop_ev(s->loop), &s->sighup);
	/* Those that came while another binary took our predecessor's place, too. */
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* From the lock to the first process. */
static int
begin(struct supervisor *s, struct errmsg *err)
{
	int rc;

	if (s->legacy != NULL) {
		rc = lock_inherit(s->conf->data_dir, s->legacy->lock_fd, &s->lock_fd, err);
		s->legacy->lock_fd = -1;
	} else {
		rc = lock_folder(s->conf->data_dir, &s->lock_fd, err);
	}
	if (rc == 0) {
		rc = find_address(s, err);
	}
	if (rc == 0) {
		rc = check_programs(s, err);
	}
	if (rc == 0) {
		rc = s->conf->holdfast_secret != NULL
			 ? lock_share_secret(
			       s->conf->data_dir, s->conf->holdfast_secret, &s->secret, err)
			 : lock_secret(s->conf->data_dir, &s->secret, err);
	}
	if (rc == 0) {
		rc = hosts_trust(s, err);
	}
	if (rc == 0) {
		rc = hosts_read(s, err);
	}
	if (rc == 0) {
		rc = open_store(s, err);
	}
	if (rc == 0) {
		rc = check_name(s, err);
	}
	if (rc == 0) {
		rc = members_check_start(s, err);
	}
	if (rc < 0) {
		return rc;
	}
	modules_begin(s);
	watch_signals(s);
	make_units(s);
	backup_init(s);
	history_add(s->history, EVENT_SUPERVISOR_STARTED, s->node,
	    json_pack("{s:i,s:s}", "pid", (int)getpid(), "dir", s->conf->data_dir),
	    "started as pid %ld in %s", (long)getpid(), s->conf->data_dir);
	start_watcher(s);
	hosts_begin(s);
	roles_init(s);
	(void)resume_adopt(s);
	rc = modules_settle(s, err);
	if (rc == 0) {
		rc = resume_decide(s, err);
	}
	if (rc == 0) {
		resume_end_leftovers(s);
		rc = probe_ports(s, err);
	}
	if (rc == 0) {
		rc = workers_bind(s, err);
	}
	if (rc == 0) {
		workers_let_in(s);
		rc = control_open(s, err);
	}
	if (rc == 0) {
		rejoin_all_begin(s);
		upgrade_arrived(s);
	}
	return rc;
}

static void
finish(struct supervisor *s)
{
	control_close(s);
	timeline_fini(s);
	remote_fini(s);
	asked_free(s);
	watch_free(s);
	figures_free(&s->figures);
	upgrade_free(&s->upgrade);
	relocate_fini(s);
	rolling_free(s);
	backup_fini(s);
	service_fini(s);
	modules_fini(s);
	if (s->watcher != NULL) {
		roles_fini(s);
	}
	if (s->watcher != NULL) {
		watcher_unwatch(&s->watch);
	}
	hosts_fini(s);
	claim_free(&s->claim);
	acquaint_free(&s->acquaint);
	watcher_free(&s->watcher);
	for (size_t i = s->unit_count; i > 0; i--) {
		unit_free(&s->units[i - 1]);
	}
	loop_hook_cancel(&s->check);
	history_free(&s->history);
	store_close(&s->store);
	topo_free(&s->topo);
	ring_free(&s->ring);
	loop_free(&s->loop);
	for (size_t i = 0; i < s->door_count; i++) {
		(void)close(s->doors[i].fd);
		/* workers from before that go on without us still listen there */
		if (s->doors[i].at.kind == ENDPOINT_UNIX &&
		    (!s->doors[i].handed || s->plan == PLAN_STOPPED)) {
			(void)unlink(s->doors[i].at.host);
		}
	}
	crowd_fini(s);
	if (s->lock_fd != -1) {
		(void)close(s->lock_fd);
	}
	for (size_t i = 0; i < s->old_conf_count; i++) {
		conf_free(&s->old_confs[i]);
	}
	conf_free(&s->conf);
	if (s->secret != NULL) {
		explicit_bzero(s->secret, strlen(s->secret));
	}
	free(s->secret);
	free(s->old_confs);
	free(s->units);
	free(s->doors);
	for (size_t i = 0; i < s->leftover_count; i++) {
		if (s->leftovers[i].pidfd != -1) {
			(void)close(s->leftovers[i].pidfd);
		}
	}
	free(s->leftovers);
	free(s->moves);
	free(s->self);
	legacy_strings_free(s->argv);
	legacy_free(&s->legacy, true);
	free(s->address);
	s->magic = 0;
	free(s);
}

static struct supervisor *
make(struct conf *conf, const struct conf_sources *sources, char *const *argv)
{
	struct supervisor *s = xcalloc(1, sizeof(*s));

	*s = (struct supervisor){.magic = SUPERVISOR_MAGIC,
	    .sources = sources,
	    .conf = conf,
	    .name = conf->holdfast_name,
	    .node = conf->holdfast_node,
	    .lock_fd = -1,
	    .plan = conf->peer_count > 0 ? PLAN_AGREEMENT : PLAN_MASTER,
	    .argv = legacy_strings_dup(argv),
	    .legacy = legacy_find(),
	    .started_ms = clock_mono_ms()};
	s->loop = loop_new();
	s->history = history_new(s->loop, s->node);
	s->ring = ring_new(RING_BYTES);
	s->topo = topo_new();
	list_init(&s->waiters);
	list_init(&s->log_followers);
	list_init(&s->plans);
	timeline_init(s);
	remote_init(s);
	watch_init(s);
	history_on_told(s->history, on_event, s);
	s->figures = figures_new(s);
	loop_hook_init(&s->check, on_check, s);
	read_boot_id(s);
	find_self(s);
	service_init(s);
	return s;
}

int
supervisor_run(struct conf *conf, const struct conf_sources *sources, char *const *argv)
{
	struct supervisor *s = make(conf, sources, argv);
	struct errmsg err = ERRMSG_NONE;
	enum log_level level = LOG_NOTICE;
	int code = 0;

	hold_signals();
	(void)log_level_parse(conf->holdfast_log_level, &level);
	log_setup(level, strcmp(conf->holdfast_log_format, "json") == 0, NULL);
	if (begin(s, &err) < 0) {
		(void)fprintf(stderr, "holdfast: %s\n", err.text);
		history_flush(s->history);
		supervisor_give_back(err.text);
		code = 1;
	} else {
		ev_timer_init(&s->tick, on_tick, TICK_S, TICK_S);
		s->tick.data = s;
		ev_timer_start(loop_ev(s->loop), &s->tick);
		plan_begin(s);
		loop_run(s->loop);
		/* An orderly stop of everything is no wish that anything stays down. */
		for (size_t i = 0; i < s->unit_count; i++) {
			s->units[i]->held_down = false;
			unit_store(s->units[i]);
		}
		history_add(
		    s->history, EVENT_SUPERVISOR_STOPPED, s->node, NULL, "everything has stopped");
	}
	finish(s);
	return code;
}
