/* The control commands: what the command line (and later the page) may ask of the supervisor. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define LOG_LINES_DEFAULT 100
#define LOG_LINES_MOST    10000

/* A request that is answered once its unit is what it shall be. */
struct waiter {
	struct list link;
	struct ctl_request *req; /* borrowed; on_gone removes us before it goes */
	struct unit *unit;       /* borrowed; a unit that is freed answers its waiters */
	bool for_stop;
};

struct log_follower {
	struct list link;
	struct ctl_request *req; /* borrowed likewise */
	char name[RING_NAME_SIZE];
	bool all;
};

static void
on_ping(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_done(req, NULL);
}

static void
on_status(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_done(req,
	    json_pack("{s:o,s:o*}", "status", health_status(owner), "tls", hosts_tls_json(owner)));
}

static void
on_events(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;

	history_on_events(s->history, req, args);
}

/* ---- logs ---- */

static json_t *
log_json(const char *name, struct slice text)
{
	char *line = xstrndup((const char *)text.ptr, text.len);
	json_t *value = json_string(line);

	if (value == NULL) {
		/* not UTF-8: printable form */
		char quoted[4096];

		value = json_string(log_quote(text, quoted, sizeof(quoted)));
	}
	free(line);
	return json_pack("{s:{s:s,s:o}}", "log", "name", name, "line", value);
}

static void
send_ring_line(void *arg, const struct ring_line *line)
{
	(void)ctl_send(arg, log_json(line->name, line->text));
}

static void
on_log_follower_gone(struct ctl_request *req, void *arg)
{
	struct log_follower *f = arg;

	list_del(&f->link);
	free(f);
}

static void
on_logs(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	const char *name = ctl_arg_text(args, "name");
	struct log_follower *f;

	if (name != NULL && unit_find(s, name) == NULL) {
		ctl_fail(req, CTL_EXIT_FAILED,
		    "there is no instance '%s': `holdfast status` names them", name);
		return;
	}
	ring_each(s->ring, name,
	    MIN(ctl_arg_count(args, "n", LOG_LINES_DEFAULT), (uint64_t)LOG_LINES_MOST),
	    send_ring_line, req);
	if (!ctl_arg_bool(args, "follow")) {
		ctl_done(req, NULL);
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->req = req;
	f->all = name == NULL;
	(void)snprintf(f->name, sizeof(f->name), "%s", name != NULL ? name : "");
	list_push(&s->log_followers, &f->link);
	ctl_on_gone(req, on_log_follower_gone, f);
}

void
control_log_line(struct supervisor *s, const struct unit *u, struct slice line)
{
	list_for_each_safe (it, next, &s->log_followers) {
		struct log_follower *f = CONTAINER_OF(it, struct log_follower, link);

		if (f->all || strcmp(f->name, u->name) == 0) {
			(void)ctl_send(f->req, log_json(u->name, line));
		}
	}
}

/* ---- start, stop, restart ---- */

static void
on_waiter_gone(struct ctl_request *req, void *arg)
{
	struct waiter *w = arg;

	list_del(&w->link);
	free(w);
}

static void
wait_for(struct supervisor *s, struct ctl_request *req, struct unit *u, bool for_stop)
{
	struct waiter *w = xcalloc(1, sizeof(*w));

	*w = (struct waiter){.req = req, .unit = u, .for_stop = for_stop};
	list_push(&s->waiters, &w->link);
	ctl_on_gone(req, on_waiter_gone, w);
}

/* Ends the waiter; its request is answered by the caller. */
static struct ctl_request *
end_waiter(struct waiter *w)
{
	struct ctl_request *req = w->req;

	list_del(&w->link);
	free(w);
	return req;
}

void
control_unit_changed(struct unit *u)
{
	enum process_state state = process_state(u->process);

	list_for_each_safe (it, next, &u->sup->waiters) {
		struct waiter *w = CONTAINER_OF(it, struct waiter, link);

		if (w->unit != u) {
			continue;
		}
		if (!w->for_stop && state == PROCESS_READY) {
			ctl_done(end_waiter(w), NULL);
		} else if (w->for_stop && state == PROCESS_STOPPED) {
			ctl_done(end_waiter(w), NULL);
		} else if (state == PROCESS_FAILED) {
			ctl_fail(end_waiter(w), CTL_EXIT_FAILED,
			    "%s has failed (%s): see `holdfast logs %s`", u->name, u->last_exit,
			    u->name);
		} else if (!w->for_stop && state == PROCESS_STOPPED &&
			   !process_is_wanted(u->process)) {
			ctl_fail(
			    end_waiter(w), CTL_EXIT_FAILED, "%s was stopped meanwhile", u->name);
		}
	}
}

void
control_unit_gone(struct unit *u)
{
	list_for_each_safe (it, next, &u->sup->waiters) {
		struct waiter *w = CONTAINER_OF(it, struct waiter, link);

		if (w->unit == u) {
			ctl_fail(end_waiter(w), CTL_EXIT_FAILED,
			    "%s is no longer wanted by the configuration", u->name);
		}
	}
}

void
control_switch_failed(struct supervisor *s, struct unit *u, const char *why)
{
	list_for_each_safe (it, next, &s->waiters) {
		struct waiter *w = CONTAINER_OF(it, struct waiter, link);

		if (w->unit == u) {
			ctl_fail(end_waiter(w), CTL_EXIT_FAILED,
			    "%s is the master and could not hand over, nothing was stopped: %s",
			    u->name, why);
		}
	}
}

/* The unit a command names, if commands may be carried out now; else the request was answered. */
static struct unit *
find_named(struct supervisor *s, struct ctl_request *req, const json_t *args)
{
	const char *name = ctl_arg_text(args, "name");
	struct unit *u = unit_find(s, name);

	if (u == NULL || u->leaving) {
		ctl_fail(req, CTL_EXIT_FAILED,
		    "there is no instance '%s': `holdfast status` names them", name);
		return NULL;
	}
	if (s->plan > PLAN_RUNNING) {
		ctl_fail(req, CTL_EXIT_NOT_READY, "everything is being stopped");
		return NULL;
	}
	return u;
}

static void
on_start(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	struct unit *u = find_named(s, req, args);

	if (u == NULL) {
		return;
	}
	asked_note(s, req, u->name, "start");
	u->held_down = false;
	unit_store(u);
	if (unit_is_ready(u)) {
		ctl_done(req, NULL);
		return;
	}
	wait_for(s, req, u, false);
	u->loaded.needs[0] = '\0'; /* asked for by a person: it is tried */
	process_up(u->process);
}

/* It would take what we stop for a failure of its own. */
static bool
refuse_while_rolling(const struct supervisor *s, struct ctl_request *req)
{
	if (s->rolling != NULL) {
		ctl_fail(req, CTL_EXIT_FAILED,
		    "a rolling restart is under way: wait until it is done (`holdfast events -f`)");
	}
	return s->rolling != NULL;
}

static void
stop_or_restart(struct supervisor *s, struct ctl_request *req, struct unit *u, bool restart)
{
	struct errmsg err = ERRMSG_NONE;

	if (refuse_while_rolling(s, req)) {
		return;
	}
	asked_note(s, req, u->name, restart ? "restart" : "stop");
	if (handover_is_possible(s, u)) {
		if (handover_switch(s, NULL, NULL, u, restart, &err) < 0) {
			ctl_fail(req, CTL_EXIT_FAILED, "%s is the master and cannot hand over: %s",
			    u->name, err.text);
			return;
		}
		wait_for(s, req, u, !restart);
		return;
	}
	if (u == s->master && !restart && process_runs(u->process)) {
		ctl_fail(req, CTL_EXIT_FAILED,
		    "%s is the master and no replica is in sync: start a replica first, or stop "
		    "everything",
		    u->name);
		return;
	}
	u->held_down = !restart;
	if (restart) {
		process_restart(u->process);
		wait_for(s, req, u, false);
	} else if (process_runs(u->process) || process_is_wanted(u->process)) {
		wait_for(s, req, u, true);
		process_down(u->process);
	} else {
		unit_store(u);
		ctl_done(req, NULL);
	}
}

static void
on_stop(struct ctl_request *req, const json_t *args, void *owner)
{
	struct unit *u = find_named(owner, req, args);

	if (u != NULL) {
		stop_or_restart(owner, req, u, false);
	}
}

static void
on_restart(struct ctl_request *req, const json_t *args, void *owner)
{
	struct unit *u = find_named(owner, req, args);

	if (u != NULL) {
		stop_or_restart(owner, req, u, true);
	}
}

/* ---- failover, reload ---- */

static void
on_failover_gone(struct ctl_request *req, void *arg)
{
	struct supervisor *s = arg;

	s->failover_req = NULL; /* it goes on without anybody to tell */
}

static void
on_failover(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	const char *to = ctl_arg_text(args, "to");
	struct unit *target = to != NULL ? unit_find(s, to) : NULL;
	const struct host *host = to != NULL ? hosts_find(s, to) : NULL;
	struct errmsg err = ERRMSG_NONE;

	if (to != NULL && (target == NULL || target->kind != UNIT_REDIS) && host == NULL) {
		ctl_fail(req, CTL_EXIT_FAILED,
		    "there is no redis instance%s '%s': `holdfast status` names them",
		    hosts_are_several(s) ? " or host" : "", to);
		return;
	}
	if (target != NULL) {
		to = target->name; /* the request's own words end with it */
	} else if (host != NULL) {
		to = host->self ? "redis-1" : host->redis_name;
	}
	if (s->plan != PLAN_RUNNING) {
		ctl_fail(req, CTL_EXIT_NOT_READY,
		    "not everything was started yet: try again once it is ready");
		return;
	}
	if (ctl_arg_bool(args, "dry")) {
		asked_plan(s, req, target);
		return;
	}
	if (refuse_while_rolling(s, req)) {
		return;
	}
	asked_note(
	    s, req, s->node, "hand over%s%s", to != NULL ? " to " : "", to != NULL ? to : "");
	if (handover_switch(s, to, req, NULL, false, &err) < 0) {
		ctl_fail(req, CTL_EXIT_FAILED, "%s", err.text);
		return;
	}
	ctl_on_gone(req, on_failover_gone, s);
}

static void
on_rolling(struct ctl_request *req, const json_t *args, void *owner)
{
	rolling_begin(owner, req, ctl_arg_bool(args, "detach"));
}

static void
on_reload(struct ctl_request *req, const json_t *args, void *owner)
{
	asked_note(owner, req, ((struct supervisor *)owner)->node, "read the configuration again");
	reload(owner, req);
}

static void
on_upgrade(struct ctl_request *req, const json_t *args, void *owner)
{
	upgrade_begin(owner, req, ctl_arg_text(args, "binary"));
}

static void
on_modules(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_done(req, json_pack("{s:o}", "modules", modules_json(owner)));
}

static void
on_backup(struct ctl_request *req, const json_t *args, void *owner)
{
	backup_begin(owner, req);
}

static const struct ctl_command commands[] = {
    {"ping", on_ping},
    {"status", on_status},
    {"events", on_events},
    {"logs", on_logs},
    {"start", on_start},
    {"stop", on_stop},
    {"restart", on_restart},
    {"rolling", on_rolling},
    {"failover", on_failover},
    {"reload", on_reload},
    {"modules", on_modules},
    {"upgrade", on_upgrade},
    {"backup", on_backup},
    {"note", asked_on_note},
    {"watch", watch_on_watch},
    {"history", figures_on_history},
    {"metrics", figures_on_metrics},
};

int
control_open(struct supervisor *s, struct errmsg *err)
{
	char *path = xasprintf("%s/" CTL_SOCKET_NAME, s->conf->data_dir);

	s->ctl = ctl_server_new(s->loop, path, commands, ARRAY_LEN(commands), s, err);
	free(path);
	return s->ctl != NULL ? 0 : -1;
}

void
control_close(struct supervisor *s)
{
	ctl_server_free(&s->ctl);
	while (!list_is_empty(&s->waiters)) {
		free(CONTAINER_OF(list_shift(&s->waiters), struct waiter, link));
	}
	while (!list_is_empty(&s->log_followers)) {
		free(CONTAINER_OF(list_shift(&s->log_followers), struct log_follower, link));
	}
}
