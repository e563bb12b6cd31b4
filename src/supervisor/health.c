/* Ready or not, and why: looked at once a turn when anything changed, told in events, in `status`, and at the first time on the terminal. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/claim.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

static const char *const health_names[] = {
    [HEALTH_STARTING] = "starting",
    [HEALTH_READY] = "ready",
    [HEALTH_DEGRADED] = "degraded",
    [HEALTH_STOPPING] = "stopping",
};

static void ATTR_PRINTF(2, 3) add_reason(json_t *reasons, const char *fmt, ...)
{
	char text[640];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(reasons, json_string(text));
}

static void
check_unit(const struct supervisor *s, const struct unit *u, json_t *reasons)
{
	if (u->leaving || u->held_down) {
		return; /* wanted down */
	}
	if (u->kind == UNIT_REDIS && process_state(u->process) != PROCESS_FAILED &&
	    loaded_fault(u) != NULL) {
		add_reason(reasons, "%s: %s", u->name, loaded_fault(u));
	} else if (process_state(u->process) == PROCESS_FAILED) {
		add_reason(reasons, "%s has failed: %s", u->name, u->last_exit);
	} else if (!unit_is_ready(u) && u->died_young) {
		add_reason(
		    reasons, "%s is %s; before, it %s", u->name, unit_state_name(u), u->last_exit);
	} else if (!unit_is_ready(u)) {
		add_reason(reasons, "%s is %s", u->name, unit_state_name(u));
	} else if (u->kind == UNIT_REDIS && u == s->master && !servers_is_master(u)) {
		add_reason(reasons, "%s is named master but does not answer as one", u->name);
	} else if (u->kind == UNIT_REDIS && u != s->master && !servers_is_synced(u)) {
		add_reason(reasons, "%s is not in sync with the master", u->name);
	} else if (u->kind == UNIT_REDIS && u != s->master && !u->ondisk.complete) {
		add_reason(reasons, "%s still writes its copy of the data to disk", u->name);
	} else if ((u->kind == UNIT_PROXY || u->kind == UNIT_HTTP) && !workers_route(u)) {
		add_reason(reasons, "%s does not route: %s", u->name,
		    u->no_route[0] != '\0' ? u->no_route : "it is connecting");
	}
}

/* All that keeps us from being ready: the caller's reference. */
static json_t *
find_reasons(const struct supervisor *s)
{
	json_t *reasons = json_array();

	for (size_t i = 0; i < s->unit_count; i++) {
		check_unit(s, s->units[i], reasons);
	}
	if (history_fault(s->history) != NULL) {
		add_reason(
		    reasons, "roles and events are not stored: %s", history_fault(s->history));
	}
	hosts_add_reasons(s, reasons);
	if (hosts_are_several(s) ? !s->master_known || s->master_at.epoch == 0
				 : s->master == NULL || s->master->held_down) {
		add_reason(reasons, "there is no master");
	}
	if (s->modules_why[0] != '\0') {
		add_reason(reasons, "%s", s->modules_why);
	}
	if (!roles_sentinels_agree(s)) {
		add_reason(reasons, "the sentinels do not all name the same master");
	}
	return reasons;
}

/* What a person types to reach this program: its bare name only where the shell finds one. */
static const char *
command_name(const struct supervisor *s)
{
	const char *path = getenv("PATH");

	while (path != NULL && *path != '\0') {
		size_t len = strcspn(path, ":");
		char *file = xasprintf("%.*s/holdfast", (int)len, path);
		bool found = access(file, X_OK) == 0;

		free(file);
		if (found) {
			return "holdfast";
		}
		path += len + (path[len] == ':' ? 1 : 0);
	}
	return s->self;
}

/* At most a screenful: what runs where, and what to try next. */
static void
say_how_to_use(struct supervisor *s)
{
	const char *proxy = s->conf->proxy_listen.count > 0 ? s->conf->proxy_listen.items[0] : NULL;
	const char *http = s->conf->http_listen.count > 0 ? s->conf->http_listen.items[0] : NULL;
	struct endpoint ep;

	if (s->told_how_to_use) {
		return;
	}
	s->told_how_to_use = true;
	(void)printf("\nholdfast %s is ready after %.1f s: %s on %s\n\n", PACKAGE_VERSION,
	    (double)(clock_mono_ms() - s->started_ms) / 1000., s->name, s->node);
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS || u->kind == UNIT_SENTINEL) {
			(void)printf("  %-12s %-22s %s\n", u->name, ENDPOINT_TEXT(&u->at),
			    u->kind == UNIT_SENTINEL ? ""
			    : u == s->master         ? "master"
						     : "replica");
		}
	}
	for (size_t i = 0; i < s->door_count; i++) {
		(void)printf("  %-12s %-22s %s\n", unit_kind_name(s->doors[i].kind),
		    ENDPOINT_TEXT(&s->doors[i].at),
		    strcmp(s->doors[i].option, "proxy.durable_listen") == 0
			? "the same; a write counts when replicas have it"
		    : strcmp(s->doors[i].option, "proxy.read_listen") == 0
			? "reads only, from replicas"
		    : s->doors[i].kind == UNIT_PROXY ? "always leads to the master"
						     : "Redis over HTTP");
	}
	(void)printf("  %-12s %s\n\n", "data", s->conf->data_dir);
	(void)printf("From another terminal:\n");
	if (proxy != NULL && endpoint_parse(proxy, 0, &ep, NULL) == 0 && ep.kind == ENDPOINT_TCP &&
	    !ep.proxied) {
		(void)printf("  redis-cli %s-h %s -p %u set hello world\n", ep.tls ? "--tls " : "",
		    ep.host, ep.port);
	}
	if (http != NULL && endpoint_parse(http, 0, &ep, NULL) == 0 && ep.kind == ENDPOINT_TCP &&
	    !ep.proxied) {
		(void)printf(
		    "  curl http%s://%s:%u/GET/hello\n", ep.tls ? "s" : "", ep.host, ep.port);
	}
	(void)printf("  %s status -d %s\n", command_name(s), s->conf->data_dir);
	(void)printf("Ctrl-C stops everything in order.\n\n");
	(void)fflush(stdout);
}

static void
set_health(struct supervisor *s, enum health health, json_t *reasons)
{
	if (s->health == health) {
		return;
	}
	s->health = health;
	if (health == HEALTH_READY) {
		history_add(s->history, EVENT_SUPERVISOR_READY, s->node,
		    json_pack("{s:I}", "uptime_ms", (json_int_t)(clock_mono_ms() - s->started_ms)),
		    "ready: %s takes writes, all instances are ready", roles_master_name(s));
		s->was_ready = true;
		say_how_to_use(s);
	} else if (health == HEALTH_DEGRADED) {
		const char *first = json_string_value(json_array_get(reasons, 0));

		history_add(s->history, EVENT_SUPERVISOR_DEGRADED, s->node,
		    json_pack("{s:O}", "reasons", reasons), "degraded: %s%s",
		    first != NULL ? first : "", json_array_size(reasons) > 1 ? ", and more" : "");
	}
}

void
health_check(struct supervisor *s)
{
	json_t *reasons;

	if (s->plan > PLAN_RUNNING) {
		s->health = HEALTH_STOPPING;
		service_state(s, NULL);
		return;
	}
	reasons = find_reasons(s);
	if (json_array_size(reasons) == 0 && s->plan == PLAN_RUNNING) {
		set_health(s, HEALTH_READY, reasons);
		/*
		 * With several hosts no votes in advance: a sentinel that has voted begins no failover of its own for a while, and that is what is left when
		 * a host dies.
		 */
		if (!hosts_are_several(s)) {
			claim_run(s->claim);
		}
	} else if (s->was_ready || s->plan == PLAN_RUNNING) {
		set_health(s, HEALTH_DEGRADED, reasons);
	}
	service_state(s, reasons);
	json_decref(reasons);
}

static json_t *
role_json(const struct supervisor *s, const struct unit *u)
{
	const struct probe_view *v = u->probe != NULL ? probe_get(u->probe) : NULL;

	if (u->kind != UNIT_REDIS || !unit_is_ready(u) || v == NULL || !v->answering ||
	    probe_role_name(v->role) == NULL) {
		return json_null();
	}
	return json_string(probe_role_name(v->role));
}

int64_t
health_lag(const struct supervisor *s, const struct unit *u)
{
	const struct probe_view *mine, *its;

	if (u->kind == UNIT_REDIS && hosts_are_several(s)) {
		const struct host *h = hosts_named(s, s->node);

		return h != NULL ? picture_lag(h) : -1;
	}
	if (u->kind != UNIT_REDIS || u == s->master || s->master == NULL || !servers_is_synced(u) ||
	    !servers_is_master(s->master)) {
		return -1;
	}
	mine = probe_get(u->probe);
	its = probe_get(s->master->probe);
	return its->offset > mine->offset ? (int64_t)(its->offset - mine->offset) : 0;
}

static uint16_t
unit_port(const struct supervisor *s, const struct unit *u)
{
	if (u->at.port != 0) {
		return u->at.port;
	}
	for (size_t i = 0; i < s->door_count; i++) {
		if (s->doors[i].kind == u->kind && s->doors[i].at.kind == ENDPOINT_TCP) {
			return s->doors[i].at.port;
		}
	}
	return 0;
}

/* Under the names of their options: not every door is for every command. */
static void
add_doors(const struct supervisor *s, enum unit_kind kind, json_t *o)
{
	(void)json_object_set_new(o, "listen", json_array());
	for (size_t i = 0; i < s->door_count; i++) {
		const struct door *door = &s->doors[i];
		const char *key = strchr(door->option, '.') + 1;

		if (door->kind != kind) {
			continue;
		}
		if (json_object_get(o, key) == NULL) {
			(void)json_object_set_new(o, key, json_array());
		}
		(void)json_array_append_new(
		    json_object_get(o, key), json_string(ENDPOINT_TEXT(&door->at)));
	}
}

static json_t *
unit_json(const struct supervisor *s, const struct unit *u)
{
	json_t *o = json_pack("{s:s,s:s,s:s,s:s}", "name", u->name, "kind", unit_kind_name(u->kind),
	    "state", unit_state_name(u), "wanted", u->leaving || u->held_down ? "down" : "up");
	pid_t pid = process_pid(u->process);
	int64_t lag = health_lag(s, u);

	(void)json_object_set_new(o, "pid", pid != 0 ? json_integer(pid) : json_null());
	(void)json_object_set_new(o, "port", json_integer(unit_port(s, u)));
	(void)json_object_set_new(o, "role", role_json(s, u));
	(void)json_object_set_new(o, "restarts", json_integer(process_restarts(u->process)));
	(void)json_object_set_new(
	    o, "uptime_ms", json_integer((json_int_t)process_uptime_ms(u->process)));
	(void)json_object_set_new(o, "lag_bytes", lag >= 0 ? json_integer(lag) : json_null());
	(void)json_object_set_new(o, "modules", loaded_json(u));
	if (u->stats != NULL) {
		(void)json_object_set(o, "stats", u->stats);
	}
	if (u->at.port != 0) {
		(void)json_object_set_new(o, "host", json_string(u->at.host));
	} else {
		add_doors(s, u->kind, o);
	}
	if (u->kind == UNIT_REDIS && !unit_is_ready(u) && u == s->master && s->succession) {
		(void)json_object_set_new(o, "note", json_string("waits for its successor"));
	} else if (process_state(u->process) == PROCESS_FAILED) {
		(void)json_object_set_new(o, "note", json_string(u->last_exit));
	} else if (u->kind == UNIT_REDIS && loaded_fault(u) != NULL) {
		(void)json_object_set_new(o, "note", json_string(loaded_fault(u)));
	} else if (rejoin_is_outdated(u)) {
		char note[96];

		(void)snprintf(
		    note, sizeof(note), "runs holdfast %s until it is restarted", u->version);
		(void)json_object_set_new(o, "note", json_string(note));
	}
	return o;
}

json_t *
health_instances(const struct supervisor *s)
{
	json_t *instances = json_array();

	for (size_t i = 0; i < s->unit_count; i++) {
		if (!s->units[i]->leaving) {
			(void)json_array_append_new(instances, unit_json(s, s->units[i]));
		}
	}
	return instances;
}

json_t *
health_reasons(const struct supervisor *s)
{
	return s->plan <= PLAN_RUNNING ? find_reasons(s) : json_array();
}

const char *
health_name(const struct supervisor *s)
{
	return health_names[s->health];
}

json_t *
health_status(struct supervisor *s)
{
	json_t *master = json_null(), *status;

	if (s->master_known && (!hosts_are_several(s) || s->master_at.epoch > 0)) {
		struct host *h = hosts_at(s, &s->master_at.at);

		master = json_pack("{s:s?,s:s,s:i,s:I}", "name",
		    s->master != NULL ? s->master->name
		    : h != NULL       ? h->redis_name
				      : NULL,
		    "host", s->master_at.at.host, "port", (int)s->master_at.at.port, "epoch",
		    (json_int_t)s->master_at.epoch);
		if (h != NULL) {
			(void)json_object_set_new(master, "node", json_string(h->name));
		}
	}
	status = json_pack("{s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:I,s:f}", "name", s->name, "node",
	    s->node, "version", PACKAGE_VERSION, "state", health_names[s->health], "reasons",
	    health_reasons(s), "master", master, "instances", health_instances(s), "uptime_ms",
	    (json_int_t)(clock_mono_ms() - s->started_ms), "time", (double)clock_wall_ms() / 1000.);
	(void)json_object_set_new(status, "doors", doors_json(s));
	if (hosts_are_several(s)) {
		(void)json_object_set_new(status, "hosts", hosts_json(s));
	}
	return status;
}
