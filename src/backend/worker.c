#include "backend/worker.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "backend/refusal.h"
#include "backend/worker_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

#define REPORT_MAX (IPC_MAX_BYTES - 1024)
#define REPORT_S   1.

/* ---- what the supervisor is told ---- */

static void
on_route(void *arg, const struct endpoint *master)
{
	struct worker *w = OBJ_CAST((struct worker *)arg, WORKER_MAGIC);
	struct topo_master known;
	char port[8], epoch[24];

	if (w->channel == NULL) {
		log_notice("commands go to %s", ENDPOINT_TEXT(master));
		return;
	}
	(void)snprintf(port, sizeof(port), "%u", master->port);
	(void)snprintf(epoch, sizeof(epoch), "%llu",
	    topo_master(w->topo, &known) ? (unsigned long long)known.epoch : 0);
	(void)channel_send(w->channel, -1, "route", master->host, port, epoch, NULL);
}

static void
on_noroute(void *arg, const char *why)
{
	struct worker *w = OBJ_CAST((struct worker *)arg, WORKER_MAGIC);

	if (w->channel == NULL) {
		log_warn("no master to send to, commands are held: %s", why);
		return;
	}
	(void)channel_send(w->channel, -1, "noroute", why, NULL);
}

static void
on_prepared(void *arg)
{
	struct worker *w = OBJ_CAST((struct worker *)arg, WORKER_MAGIC);

	if (w->channel != NULL) {
		(void)channel_send(w->channel, -1, "prepared", NULL);
	}
}

static void
on_report(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct worker *w = OBJ_CAST((struct worker *)t->data, WORKER_MAGIC);
	struct buf text;

	if (w->channel != NULL) {
		(void)channel_send(w->channel, -1, "alive", NULL);
	}
	buf_init(&text, REPORT_MAX);
	if (w->channel != NULL && w->ops->report(w->state, !w->reported, &text) &&
	    buf_add(&text, "", 1) == 0) {
		w->reported = channel_send(w->channel, -1, "stats",
				  (const char *)buf_slice(&text).ptr, NULL) == 0;
	}
	buf_fini(&text);
}

/* ---- the end ---- */

void
worker_drained(struct worker *w)
{
	loop_stop(w->loop);
}

static void
on_drain_end(struct ev_loop *ev, ev_timer *t, int revents)
{
	struct worker *w = OBJ_CAST((struct worker *)t->data, WORKER_MAGIC);

	log_warn("some clients did not finish in time, they are closed");
	worker_drained(w);
}

void
worker_drain(struct worker *w, uint64_t longest_ms)
{
	if (w->draining) {
		return;
	}
	w->draining = true;
	rejoin_free(&w->rejoin);
	for (size_t i = 0; i < w->door_count; i++) {
		listener_free(&w->doors[i]->listener);
	}
	arrivals_free(&w->arrivals);
	if (!w->started) {
		worker_drained(w);
		return;
	}
	ev_timer_set(&w->drain_end, (double)longest_ms / 1000., 0.);
	ev_timer_start(loop_ev(w->loop), &w->drain_end);
	w->ops->drain(w->state);
}

static void
on_stop_signal(struct ev_loop *ev, ev_signal *s, int revents)
{
	struct worker *w = OBJ_CAST((struct worker *)s->data, WORKER_MAGIC);

	worker_drain(w, WORKER_DRAIN_MS);
}

/* ---- another supervisor ---- */

static const struct channel_ops channel_ops;

/* The old supervisor is gone and another has come: it is told who we are and what we hold. */
static void
on_rejoin(void *owner, int fd)
{
	struct worker *w = OBJ_CAST((struct worker *)owner, WORKER_MAGIC);

	w->channel = channel_new(w->loop, fd, &channel_ops, w);
	others_set_channel(w->others, w->channel);
	w->reported = false;
	w->rejoined = true;
	(void)channel_send(w->channel, -1, "name", w->name, PACKAGE_VERSION, NULL);
	for (size_t i = 0; i < w->door_count; i++) {
		const struct door_watch *d = w->doors[i];

		(void)channel_send(
		    w->channel, d->fd, "door", w->ops->doors[d->door].option, d->address, NULL);
	}
	if (w->share != NULL) {
		(void)channel_send(w->channel, w->share_fd, "share", NULL);
	}
	(void)channel_send(w->channel, -1, "end", NULL);
}

static void
open_rejoin(struct worker *w)
{
	int rc = w->supervised ? rejoin_new(w->loop, w->name, on_rejoin, w, &w->rejoin) : 0;

	if (rc < 0) {
		log_warn("a supervisor that is started anew will not find this worker and start "
			 "another in its place: cannot listen on %s.sock: %s",
		    w->name, strerror(-rc));
	} else if (w->rejoin != NULL && w->channel == NULL) {
		rejoin_accept(w->rejoin);
	}
}

static bool
is_door(const struct worker *w, const char *option)
{
	for (unsigned i = 0; w->ops->doors[i].option != NULL; i++) {
		if (strcmp(w->ops->doors[i].option, option) == 0) {
			return true;
		}
	}
	return false;
}

/*
 * Does the configuration of the new supervisor differ in what takes effect at a start only? It is told so
 * then. What we listen on is for it to compare: a further address needs no other worker.
 */
static bool
is_unfit(struct worker *w)
{
	struct conf_changes changes;
	bool unfit = false;

	conf_diff(w->conf, w->next_conf, &changes);
	for (size_t i = 0; i < changes.count && !unfit; i++) {
		const struct conf_change *c = &changes.items[i];

		unfit = !c->alive && strcmp(conf_target_name(c->target), w->ops->role) == 0 &&
			!is_door(w, c->option);
		if (unfit) {
			(void)channel_send(w->channel, -1, "unfit", c->option, NULL);
		}
	}
	conf_changes_fini(&changes);
	return unfit;
}

/* Tells the supervisor what a worker tells that has begun, and from now on each change. */
static void
report(struct worker *w)
{
	if (w->channel != NULL) {
		(void)channel_send(w->channel, -1, "ready", NULL);
	}
	w->route_watch = (struct backend_watcher){
	    .on_route = on_route, .on_noroute = on_noroute, .on_prepared = on_prepared, .arg = w};
	list_init(&w->route_watch.link);
	backend_watch(w->backend, &w->route_watch);
}

/* ---- beginning ---- */

static void
configure_backend(struct worker *w)
{
	const struct backend_conf conf = {.hold_ms = w->conf->proxy_hold_ms,
	    .fence = (unsigned)conf_host_count(w->conf) / 2,
	    .near = w->near,
	    .near_count = w->near_count,
	    .client_name = "holdfast"};
	enum log_level level = LOG_NOTICE;

	refusal_set_fenced(conf.fence > 0);
	(void)log_level_parse(w->conf->holdfast_log_level, &level);
	log_setup(level, strcmp(w->conf->holdfast_log_format, "json") == 0, w->name);
	if (w->backend == NULL) {
		w->backend = backend_new(w->loop, w->topo, &conf);
		backend_set_secret(w->backend, w->user, worker_secret(w));
	} else {
		backend_configure(w->backend, &conf);
	}
}

/* Several hosts: as whom the servers and sentinels are reached, where that is by TLS. */
static int
join_hosts(const struct worker *w, struct errmsg *err)
{
	const struct tls_files files = conf_hosts_tls(w->conf);

	if (!w->supervised) {
		return 0;
	}
	conn_connect_by_tls(conf_hosts_use_tls(w->conf));
	return conf_hosts_use_tls(w->conf) ? tls_set_client(&files, err) : 0;
}

/* Several hosts: the sentinels know the supervisor's user. Those of a host alone do not. */
static void
set_watch_user(struct worker *w)
{
	bool several = w->supervised && w->conf->peer_count > 0;
	char *user = w->watch_user, *secret = w->watch_secret;

	if (several == (user != NULL)) {
		return;
	}
	w->watch_user = several ? xstrdup(w->user) : NULL;
	w->watch_secret = several ? xstrdup(w->secret) : NULL;
	watcher_set_user(w->watcher, w->watch_user, w->watch_secret);
	if (secret != NULL) {
		explicit_bzero(secret, strlen(secret));
	}
	free(secret);
	free(user);
}

static int
start(struct worker *w, struct errmsg *err)
{
	struct watcher_spec spec = {.sentinels = w->sentinels, .count = w->sentinel_count};
	int rc;

	if (w->conf == NULL) {
		errmsg_set(err, "no configuration came from the supervisor");
		return -EINVAL;
	}
	configure_backend(w);
	worker_set_trusted(w);
	w->master_name = xstrdup(w->conf->holdfast_name);
	spec.name = w->master_name;
	rc = join_hosts(w, err);
	if (rc == 0) {
		rc = worker_load_tls(w, err);
	}
	if (rc < 0) {
		return rc;
	}
	w->watcher = watcher_new(w->loop, w->topo, &spec);
	set_watch_user(w);
	if (!w->supervised) {
		sentinel_log_begin(&w->sentinel_log, w->watcher);
	}
	rc = w->ops->start(w, &w->state, err);
	if (rc < 0) {
		return rc;
	}
	w->started = true;
	worker_set_doors(w);
	open_rejoin(w);
	if (w->supervised && w->ops->report != NULL) {
		ev_timer_start(loop_ev(w->loop), &w->report);
	}
	report(w);
	return 0;
}

void
worker_go(struct worker *w)
{
	struct errmsg err = ERRMSG_NONE;
	bool again = w->rejoined;

	w->rejoined = false;
	if (again && w->next_conf != NULL && is_unfit(w)) {
		conf_free(&w->next_conf);
		return; /* as we are until we are told to stop */
	}
	if (w->next_conf != NULL) {
		struct conf *old = w->conf;

		w->conf = w->next_conf;
		w->next_conf = NULL;
		if (w->started) {
			configure_backend(w);
			if (w->ops->apply != NULL) {
				w->ops->apply(w->state);
			}
		}
		if (w->started && !w->draining) { /* else nobody arrives any more */
			worker_set_trusted(w);
			if (worker_load_tls(w, &err) < 0) {
				log_error("clients are shown the old certificate: %s", err.text);
			}
			if (join_hosts(w, &err) < 0) {
				log_error("servers are shown the old certificate: %s", err.text);
			}
			set_watch_user(w);
		}
		conf_free(&old);
	}
	if (!w->started && !w->draining && start(w, &err) < 0) {
		log_error("cannot begin: %s", err.text);
		w->exit_code = 1;
		loop_stop(w->loop);
	} else if (again && w->started) {
		backend_unwatch(&w->route_watch);
		report(w);
	}
}

/* ---- the channel ---- */

static void
on_asked(void *arg, const char *const *words, size_t count, struct buf *out)
{
	struct worker *w = OBJ_CAST((struct worker *)arg, WORKER_MAGIC);

	if (w->started && w->ops->asked != NULL) {
		w->ops->asked(w->state, words, count, out);
	}
}

static void
on_gone(struct channel *ch, void *owner)
{
	struct worker *w = OBJ_CAST((struct worker *)owner, WORKER_MAGIC);

	channel_close(&w->channel);
	others_set_channel(w->others, NULL);
	if (!w->started) {
		loop_stop(w->loop); /* nobody will ever say `go` */
		w->exit_code = 1;
		return;
	}
	w->rejoined = false;
	log_warn("the supervisor is gone, serving goes on without it");
	if (w->rejoin != NULL) {
		rejoin_accept(w->rejoin);
	}
}

static const struct channel_ops channel_ops = {.on_msg = worker_on_msg, .on_gone = on_gone};

/* ---- life ---- */

/* Whose servers are taken for what they say, and as whom they are reached. */
static int
trust_servers(const struct conf *conf, struct errmsg *err)
{
	struct tls_files files = {conf->redis_tls_cert, conf->redis_tls_key, conf->redis_tls_ca};

	if (files.ca == NULL) {
		return 0;
	}
	if ((files.cert == NULL) != (files.key == NULL)) {
		errmsg_set(
		    err, "redis.tls_cert and redis.tls_key go together: name both files, or none");
		return -EINVAL;
	}
	return tls_set_client(&files, err);
}

static int
begin_alone(struct worker *w, const struct worker_args *args, struct errmsg *err)
{
	int rc = 0;

	w->conf = args->conf;
	rc = trust_servers(w->conf, err);
	for (size_t i = 0; i < args->sentinel_count && i < WATCHER_MAX_SENTINELS && rc == 0; i++) {
		rc = endpoint_parse(
		    args->sentinels[i], 26379, &w->sentinels[w->sentinel_count++], err);
		if (rc == 0 && w->sentinels[i].tls && w->conf->redis_tls_ca == NULL) {
			errmsg_set(err,
			    "to reach %s by TLS it must be known whose certificates to trust: set "
			    "redis.tls_ca",
			    args->sentinels[i]);
			rc = -EINVAL;
		}
	}
	for (unsigned i = 0; w->ops->doors[i].option != NULL; i++) {
		const struct conf_list *list = w->ops->doors[i].addresses(w->conf);
		unsigned mode = (unsigned)strtoul(w->ops->unix_mode(w->conf), NULL, 8);

		for (size_t k = 0; k < list->count && rc == 0; k++) {
			struct endpoint at;
			int fd = -1;

			rc = endpoint_parse(list->items[k], 0, &at, err);
			if (rc == 0) {
				rc = listener_bind(&at, &fd, err);
			}
			if (rc == 0) {
				rc = listener_let_in(&at, mode, err);
			}
			if (rc == 0) {
				rc = worker_open_door(w, w->ops->doors[i].option, NULL, &at, fd);
			}
		}
	}
	return rc < 0 ? rc : start(w, err);
}

static void
watch_signals(struct worker *w)
{
	ev_signal_init(&w->sigterm, on_stop_signal, SIGTERM);
	ev_signal_init(&w->sigint, on_stop_signal, SIGINT);
	w->sigterm.data = w->sigint.data = w;
	ev_signal_start(loop_ev(w->loop), &w->sigterm);
	/* Under a supervisor Ctrl-C is its business. */
	if (w->supervised) {
		(void)signal(SIGINT, SIG_IGN);
	} else {
		ev_signal_start(loop_ev(w->loop), &w->sigint);
	}
	ev_init(&w->drain_end, on_drain_end);
	w->drain_end.data = w;
	ev_timer_init(&w->report, on_report, REPORT_S, REPORT_S);
	w->report.data = w;
}

static void
finish(struct worker *w)
{
	rejoin_free(&w->rejoin);
	for (size_t i = 0; i < w->door_count; i++) {
		listener_free(&w->doors[i]->listener);
	}
	arrivals_free(&w->arrivals);
	others_set_channel(w->others, NULL);
	tls_server_free(&w->tls);
	if (w->started) {
		w->ops->stop(w->state);
		backend_unwatch(&w->route_watch);
	}
	ev_timer_stop(loop_ev(w->loop), &w->drain_end);
	ev_timer_stop(loop_ev(w->loop), &w->report);
	sentinel_log_end(&w->sentinel_log);
	watcher_free(&w->watcher);
	backend_free(&w->backend);
	topo_free(&w->topo);
	channel_close(&w->channel);
	others_free(&w->others);
	if (w->share != NULL) {
		share_clear(w->share, w->slot);
		share_close(&w->share);
		(void)close(w->share_fd);
	}
	ev_signal_stop(loop_ev(w->loop), &w->sigterm);
	ev_signal_stop(loop_ev(w->loop), &w->sigint);
	loop_free(&w->loop);
	for (size_t i = 0; i < w->door_count; i++) {
		free(w->doors[i]->address);
		free(w->doors[i]);
	}
	free(w->doors);
	conf_free(&w->conf);
	conf_free(&w->next_conf);
	if (w->secret != NULL) {
		explicit_bzero(w->secret, strlen(w->secret));
	}
	free(w->secret);
	free(w->user);
	if (w->watch_secret != NULL) {
		explicit_bzero(w->watch_secret, strlen(w->watch_secret));
	}
	free(w->watch_secret);
	free(w->watch_user);
	free(w->master_name);
	free(w->name);
	w->magic = 0;
	free(w);
}

/* Somebody may have typed --worker. */
static bool
has_channel(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	return getsockopt(IPC_WORKER_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

int
worker_main(const struct worker_args *args, const struct worker_ops *ops)
{
	struct worker *w = xcalloc(1, sizeof(*w));
	struct errmsg err = ERRMSG_NONE;
	int code;

	*w = (struct worker){.magic = WORKER_MAGIC, .ops = ops, .supervised = args->name != NULL};
	w->name = xstrdup(args->name != NULL ? args->name : ops->role);
	log_setup(LOG_NOTICE, false, w->name);
	w->loop = loop_new();
	w->topo = topo_new();
	w->arrivals = arrivals_new(w->loop, &worker_arrival_ops, w);
	w->others = others_new(w->loop, on_asked, w);
	watch_signals(w);
	if (w->supervised && !has_channel()) {
		(void)fprintf(stderr,
		    "holdfast: --worker is for the supervisor's own use: run alone with "
		    "--sentinel HOST:PORT\n");
		w->exit_code = 2;
	} else if (w->supervised) {
		w->channel = channel_new(w->loop, IPC_WORKER_FD, &channel_ops, w);
		others_set_channel(w->others, w->channel);
		loop_run(w->loop);
	} else if (begin_alone(w, args, &err) < 0) {
		(void)fprintf(stderr, "holdfast: %s\n", err.text);
		w->exit_code = 1;
	} else {
		loop_run(w->loop);
	}
	code = w->exit_code;
	finish(w);
	return code;
}

struct loop *
worker_loop(const struct worker *w)
{
	return w->loop;
}

struct backend *
worker_backend(const struct worker *w)
{
	return w->backend;
}

struct others *
worker_others(const struct worker *w)
{
	return w->others;
}

struct share *
worker_share(const struct worker *w)
{
	return w->share;
}

unsigned
worker_slot(const struct worker *w)
{
	return w->slot;
}

const struct backend_near *
worker_near(const struct worker *w, size_t *ret_count)
{
	*ret_count = w->near_count;
	return w->near;
}

struct topo *
worker_topo(const struct worker *w)
{
	return w->topo;
}

const char *
worker_user(const struct worker *w)
{
	return w->user;
}

const char *
worker_secret(const struct worker *w)
{
	/* alone there is no user of ours: the user default may ask for ROLE, too */
	return w->supervised ? w->secret : w->conf->redis_password;
}

const struct conf *
worker_conf(const struct worker *w)
{
	return w->conf;
}

const char *
worker_name(const struct worker *w)
{
	return w->name;
}

bool
worker_is_supervised(const struct worker *w)
{
	return w->supervised;
}
