/* A changed configuration, while everything runs: read all, check all, compare, apply what can change alive, say what needs a restart. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

static void
reject(struct supervisor *s, struct ctl_request *req, const struct conf_faults *faults)
{
	json_t *list = json_array();

	for (size_t i = 0; i < faults->count; i++) {
		log_error("configuration: %s", faults->items[i]);
		(void)json_array_append_new(list, json_string(faults->items[i]));
	}
	history_add(s->history, EVENT_CONFIG_REJECTED, s->node, json_pack("{s:O}", "faults", list),
	    "the changed configuration has %zu faults, the old one stays: %s", faults->count,
	    faults->count > 0 ? faults->items[0] : "");
	if (req != NULL) {
		ctl_fail_with(req, CTL_EXIT_CONFIG, json_pack("{s:O}", "faults", list),
		    "the configuration has %zu faults, the old one stays", faults->count);
	}
	json_decref(list);
}

static void
apply_to_supervisor(struct supervisor *s)
{
	enum log_level level = LOG_NOTICE;

	(void)log_level_parse(s->conf->holdfast_log_level, &level);
	log_setup(level, strcmp(s->conf->holdfast_log_format, "json") == 0, NULL);
	store_events_keep(s->store, s->conf->holdfast_events_max);
	workers_let_in(s);
	for (size_t i = 0; i < s->unit_count; i++) {
		struct process_policy policy = unit_policy(s, s->units[i]->kind);

		process_set_policy(s->units[i]->process, &policy);
		logfile_set_limits(s->units[i]->log, s->conf->holdfast_log_file_bytes,
		    s->conf->holdfast_log_files);
	}
}

static bool
says(struct slice text, const char *words)
{
	return memmem(text.ptr, text.len, words, strlen(words)) != NULL;
}

/* No such directive, in the words of 7 and of 6; rename-command may stand in a file alone. */
static bool
is_unknown(struct slice said)
{
	return !says(said, "rename-command") &&
	       (says(said, "Unknown option") || says(said, "Unsupported CONFIG parameter"));
}

static void
on_set(void *arg, const struct redisReply *reply, int error)
{
	struct unit *u = arg;

	if (error == 0 && reply_is_error(reply) && is_unknown(reply_text(reply))) {
		history_add(u->sup->history, EVENT_CONFIG_REJECTED, u->sup->node, NULL,
		    "%s does not know a setting of the configuration, and will not start with it: "
		    "take it "
		    "out, and reload: %s",
		    u->name, LOG_QUOTE(reply_text(reply)));
	} else if (error != 0 || reply_is_error(reply)) {
		log_warn(
		    "%s: a changed setting was not taken, it takes effect at its next start: %s",
		    u->name, error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	}
}

static void
set_on_sentinels(struct supervisor *s, const char *name, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_SENTINEL && u->probe != NULL && unit_is_ready(u)) {
			(void)link_send(probe_link(u->probe), 0, on_set, u, "SENTINEL", "SET",
			    s->name, name, text, NULL);
		}
	}
}

void
reload_down_after(struct supervisor *s)
{
	set_on_sentinels(s, "down-after-milliseconds", servers_down_after_ms(s));
}

static void
set_on_redis(struct supervisor *s, const struct conf_change *change)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && u->probe != NULL && unit_is_ready(u) &&
		    (change->redis == 0 || change->redis == u->number)) {
			(void)link_send(probe_link(u->probe), 0, on_set, u, "CONFIG", "SET",
			    change->directive, change->value, NULL);
		}
	}
}

/* One change that may be applied alive. False: it needs a restart after all. */
static bool
apply_alive(struct supervisor *s, const struct conf_change *change)
{
	switch (change->target) {
	case CONF_REDIS:
		if (change->directive == NULL || change->value == NULL) {
			return false; /* a directive that left the file: its default is the server's to know */
		}
		set_on_redis(s, change);
		return true;
	case CONF_SENTINEL:
		set_on_sentinels(s, "quorum", s->conf->sentinel_quorum);
		reload_down_after(s);
		set_on_sentinels(s, "failover-timeout", s->conf->sentinel_failover_timeout_ms);
		return true;
	default:
		return true; /* applied as a whole below */
	}
}

static size_t
count_kind(const struct supervisor *s, enum unit_kind kind)
{
	size_t n = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		n += s->units[i]->kind == kind && !s->units[i]->leaving ? 1 : 0;
	}
	return n;
}

static void
set_worker_count(struct supervisor *s, enum unit_kind kind, unsigned wanted)
{
	struct errmsg err = ERRMSG_NONE;

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == kind && u->number > wanted && !u->leaving) {
			u->leaving = true;
			if (store_instance_delete(s->store, u->name, &err) < 0) {
				log_warn("%s: its row stays in the state database: %s", u->name,
				    err.text);
			}
			process_down(u->process);
		} else if (u->kind == kind && u->number <= wanted && u->leaving) {
			u->leaving = false;
			process_up(u->process);
		}
	}
	while (count_kind(s, kind) < wanted) {
		process_up(unit_new(s, kind, (unsigned)count_kind(s, kind) + 1)->process);
	}
}

static void
bring_workers(struct supervisor *s)
{
	set_worker_count(
	    s, UNIT_PROXY, workers_are_wanted(s, UNIT_PROXY) ? s->conf->proxy_workers : 0);
	set_worker_count(s, UNIT_HTTP, s->conf->http_listen.count > 0 ? s->conf->http_workers : 0);
}

/*
 * Lets go of old configurations that no unit looks at any more (unit_conf_of); the first one stays, since name and node are
 * borrowed from it.
 */
static void
prune_old_confs(struct supervisor *s)
{
	unsigned most = s->conf->redis_instances;
	size_t kept = s->old_conf_count;

	for (size_t i = s->old_conf_count; i > 1; i--) {
		struct conf *old = s->old_confs[i - 1];

		if (old->redis_instances > most) {
			most = old->redis_instances;
			s->old_confs[--kept] = old;
		} else {
			conf_free(&old);
		}
	}
	/* what was kept lies at the end now, in order */
	memmove(&s->old_confs[1], &s->old_confs[kept],
	    (s->old_conf_count - kept) * sizeof(*s->old_confs));
	s->old_conf_count -= kept - 1;
}

static bool
asks_for_modules(const struct conf_changes *changes)
{
	static const char *const heads[] = {"redis.module", "module-", "redis.server", "redis-"};

	for (size_t i = 0; i < changes->count; i++) {
		for (size_t k = 0; k < ARRAY_LEN(heads); k++) {
			if (strncmp(changes->items[i].option, heads[k], strlen(heads[k])) == 0) {
				return true;
			}
		}
	}
	return false;
}

static bool
has_alive(const struct conf_changes *changes, const char *option)
{
	for (size_t i = 0; i < changes->count; i++) {
		if (changes->items[i].alive && strcmp(changes->items[i].option, option) == 0) {
			return true;
		}
	}
	return false;
}

/* Is TLS between hosts to begin, or to end? */
static bool
is_switch(const struct supervisor *s, const struct conf *conf)
{
	return hosts_are_several(s) && conf->peer_count > 0 &&
	       conf_hosts_use_tls(conf) != conf_hosts_use_tls(s->conf);
}

static void
apply(struct supervisor *s, struct conf *conf, bool members, json_t *applied, json_t *restart)
{
	struct conf_changes changes;

	conf_diff(s->conf, conf, &changes);
	if (changes.count == 0) {
		conf_changes_fini(&changes);
		conf_free(&conf);
		return;
	}
	s->old_confs = xreallocarray(s->old_confs, s->old_conf_count + 1, sizeof(*s->old_confs));
	s->old_confs[s->old_conf_count++] = s->conf;
	s->conf = conf;
	for (size_t i = 0; i < changes.count; i++) {
		const struct conf_change *c = &changes.items[i];
		bool alive = (c->alive && apply_alive(s, c)) ||
			     (members && strncmp(c->option, "peer-", 5) == 0);

		(void)json_array_append_new(alive ? applied : restart,
		    json_pack("{s:s,s:s,s:s,s:s}", "option", c->option, "from", c->from, "to",
			c->to, "restart", alive ? "" : conf_target_name(c->target)));
	}
	apply_to_supervisor(s);
	if (members) {
		members_apply(s);
	}
	if (has_alive(&changes, "redis.tls_cert")) {
		hosts_renew(s);
	}
	if (asks_for_modules(&changes)) {
		modules_judge_again(s);
	}
	servers_on_reload(s);
	workers_tell_conf(s);
	bring_workers(s);
	conf_changes_fini(&changes);
	prune_old_confs(s);
}

/* Does any of it take effect with a restart of the servers? */
static bool
rolling_helps(const json_t *restart)
{
	for (size_t i = 0; i < json_array_size(restart); i++) {
		const char *what =
		    json_string_value(json_object_get(json_array_get(restart, i), "restart"));

		if (what != NULL && (strcmp(what, conf_target_name(CONF_REDIS)) == 0 ||
					strcmp(what, conf_target_name(CONF_SENTINEL)) == 0)) {
			return true;
		}
	}
	return false;
}

void
reload(struct supervisor *s, struct ctl_request *req)
{
	json_t *applied = json_array(), *restart = json_array();
	enum members_answer members = MEMBERS_SAME;
	struct conf_faults faults;
	struct conf *conf;

	if (s->plan > PLAN_RUNNING) {
		/* Nothing may be started now: the step that would stop it is over. */
		log_notice("told to reload, left alone since everything is being stopped");
		if (req != NULL) {
			ctl_fail(req, CTL_EXIT_NOT_READY, "everything is being stopped");
		}
		json_decref(applied);
		json_decref(restart);
		return;
	}
	service_reload(s, false);
	conf_faults_init(&faults);
	if (conf_load(s->sources, &conf, &faults) < 0) {
		reject(s, req, &faults);
	} else if (is_switch(s, conf)) {
		hosts_switch_prepare(s, conf, req);
		conf_free(&conf);
	} else if ((members = members_check(s, conf, req, &faults)) == MEMBERS_REFUSED) {
		conf_free(&conf);
		reject(s, req, &faults);
	} else if (members == MEMBERS_WAIT || members == MEMBERS_TAKEN) {
		if (members == MEMBERS_WAIT) {
			conf_free(&conf);
		}
	} else {
		hosts_switch_fini(s); /* what waited is not wanted any more */
		apply(s, conf, members == MEMBERS_CHANGE, applied, restart);
		history_add(s->history, EVENT_CONFIG_RELOADED, s->node,
		    json_pack("{s:O,s:O}", "applied", applied, "restart_needed", restart),
		    "configuration read again: %zu changes applied, %zu need a restart%s",
		    json_array_size(applied), json_array_size(restart),
		    rolling_helps(restart) ? " (`holdfast restart --rolling`)" : "");
		if (req != NULL) {
			ctl_done(req,
			    json_pack("{s:O,s:O}", "applied", applied, "restart_needed", restart));
		}
	}
	service_reload(s, true);
	conf_faults_fini(&faults);
	json_decref(applied);
	json_decref(restart);
}
