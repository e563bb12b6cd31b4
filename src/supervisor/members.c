/*
 * Hosts come and go while all runs: a section [peer-NAME] more or less, and a reload on each host that stays. One host at a time: then every majority of
 * the hosts before and every majority of those after have one in common, so that it does no harm that the others hear of it a little later.
 *
 *   more ... the newcomer runs already, with the new file, and follows the master as any replica does. We look at it; only when it is in sync and
 *            its sentinel names our master does it count. So it never takes part in a majority before it can say yes.
 *   less ... whoever is not the master. It counts no more from now on, and is stopped by its operator. Our sentinel forgets it once it is gone:
 *            its file is edited (servers.c), and for that it is started anew.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_conf.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define LOOK_MS    100
#define PATIENCE   50 /* looks: 5 s */
#define TIDY_MS    2000
#define ANSWER_MS  2000
#define REMEMBERED "cluster.hosts" /* "NAME=ADDRESS " of each */
#define MEMORY_MAX 8192

/* A newcomer that is looked at. */
struct members {
	struct supervisor *sup;  /* borrowed */
	struct ctl_request *req; /* borrowed; who asked for the reload, NULL */
	struct host host;        /* its probe is ours */
	struct link *sentinel;   /* owned */
	ev_timer timer;
	unsigned looks;
	bool named; /* its sentinel names our master */
	bool admitted;
};

/* ---- what differs ---- */

struct difference {
	const struct conf_peer *added; /* NULL: none */
	const struct host *removed;
	unsigned count;
	bool moved;
};

static struct difference
compare(struct supervisor *s, const struct conf *conf)
{
	struct difference d = {0};

	for (size_t i = 0; i < conf->peer_count; i++) {
		const struct conf_peer *now = &conf->peers[i],
				       *old = conf_peer_find(s->conf, now->name);

		if (hosts_find(s, now->name) == NULL) {
			d.added = now;
			d.count++;
		} else if (old != NULL && strcmp(old->address, now->address) != 0) {
			d.moved = true;
		}
	}
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		if (conf_peer_find(conf, h->name) == NULL &&
		    (!h->self || conf_peer_find(s->conf, h->name) != NULL)) {
			d.removed = h;
			d.count++;
		}
	}
	return d;
}

/* NULL: it may be tried. */
static const char *
find_obstacle(const struct supervisor *s, const struct conf *conf, const struct difference *d)
{
	const struct unit *u = hosts_own_redis(s);

	if (d->moved) {
		return "the address of a host cannot change while it is one: take its section out, "
		       "and put it in again with the new one";
	}
	if (d->count > 1) {
		return "hosts come and go one at a time: change one section [peer-NAME], reload on "
		       "every host, then the next";
	}
	if (d->removed != NULL && d->removed->self) {
		return "a host does not leave by a reload of its own: take its section out on the "
		       "others, then stop it";
	}
	if (s->plan != PLAN_RUNNING || s->failover != NULL || s->succession || s->isolated ||
	    s->rolling != NULL || !s->master_known) {
		return "hosts come and go when there is a master and nothing is being handed over "
		       "or restarted: "
		       "wait until `holdfast status` says ready";
	}
	if (d->removed != NULL && endpoint_equal(&d->removed->redis, &s->master_at.at)) {
		return "the host to be taken out is the master: hand over first (`holdfast "
		       "failover --to NAME`)";
	}
	if (u == NULL || conf->redis[0].port != u->listens.port) {
		return "ports do not change together with the hosts";
	}
	return NULL;
}

/* ---- a newcomer ---- */

static void
stop_looking(struct supervisor *s)
{
	struct members *m = s->members;

	s->members = NULL;
	if (m != NULL) {
		ev_timer_stop(loop_ev(s->loop), &m->timer);
		probe_free(&m->host.probe);
		link_free(&m->sentinel);
		loop_bury(s->loop, free, m); /* this may be one of its callbacks */
	}
}

void
members_fini(struct supervisor *s)
{
	stop_looking(s);
}

static bool
is_in_step(const struct members *m)
{
	return m->named && hosts_is_synced(&m->host);
}

static void
on_name(void *arg, const struct redisReply *reply, int error)
{
	struct members *m = arg;
	struct endpoint at;

	m->named = error == 0 && reply_endpoint(reply_at(reply, 0), reply_at(reply, 1), &at) &&
		   endpoint_equal(&at, &m->sup->master_at.at);
}

static void
give_up(struct members *m)
{
	struct supervisor *s = m->sup;
	struct ctl_request *req = m->req;
	const struct probe_view *v = probe_get(m->host.probe);
	char text[700];

	(void)snprintf(text, sizeof(text),
	    "the new host %s does not count: %s; start it with the same section first, wait until "
	    "it follows the master, then reload again; the old configuration stays",
	    m->host.name,
	    !v->answering                ? v->why
	    : !hosts_is_synced(&m->host) ? "its redis is not in sync with the master"
					 : "its sentinel does not answer, or names another master");
	stop_looking(s);
	log_error("configuration: %s", text);
	history_add(s->history, EVENT_CONFIG_REJECTED, s->node, NULL, "%s", text);
	if (req != NULL) {
		ctl_fail(req, CTL_EXIT_NOT_READY, "%s", text);
	}
}

static void
on_look(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct members *m = w->data;
	struct supervisor *s = m->sup;

	if (is_in_step(m)) {
		ev_timer_stop(ev, w);
		m->admitted = true;
		reload(s, m->req);
		stop_looking(s); /* whatever came of it */
		return;
	}
	if (++m->looks >= PATIENCE) {
		give_up(m);
		return;
	}
	if (link_is_up(m->sentinel)) {
		(void)link_send(m->sentinel, ANSWER_MS, on_name, m, "SENTINEL",
		    "GET-MASTER-ADDR-BY-NAME", s->name, NULL);
	}
}

static void
on_gone(struct ctl_request *req, void *arg)
{
	struct supervisor *s = arg;

	if (s->members != NULL && s->members->req == req) {
		s->members->req = NULL;
	}
}

static void
on_probe(struct probe *p, void *owner, const struct probe_view *view)
{
}

static const struct probe_ops probe_ops = {.on_change = on_probe};
static const struct link_ops link_ops = {.on_up = NULL};

static enum members_answer
begin_to_look(struct supervisor *s, const struct conf *conf, const struct conf_peer *peer,
    struct ctl_request *req, struct conf_faults *faults)
{
	struct members *m = xcalloc(1, sizeof(*m));
	struct errmsg err = ERRMSG_NONE;
	struct probe_spec probe = {.kind = PROBE_REDIS,
	    .user = INSTANCE_USER,
	    .password = s->secret,
	    .interval_ms = LOOK_MS,
	    .answer_ms = ANSWER_MS};
	struct link_spec link = {.user = INSTANCE_USER, .password = s->secret};

	*m = (struct members){.sup = s, .req = req, .host = {.sup = s}};
	(void)snprintf(m->host.name, sizeof(m->host.name), "%s", peer->name);
	(void)snprintf(m->host.redis_name, sizeof(m->host.redis_name), "%s/redis-1", peer->name);
	if (hosts_resolve(&m->host, peer->address, conf, &err) < 0) {
		conf_faults_add(faults, "%s", err.text);
		free(m);
		return MEMBERS_REFUSED;
	}
	hosts_derive_id(&m->host, s);
	probe.at = m->host.redis;
	link.at = m->host.sentinel;
	m->host.probe = probe_new(s->loop, &probe, &probe_ops, m);
	m->sentinel = link_new(s->loop, &link, &link_ops, m);
	ev_timer_init(&m->timer, on_look, LOOK_MS / 1000., LOOK_MS / 1000.);
	m->timer.data = m;
	ev_timer_start(loop_ev(s->loop), &m->timer);
	s->members = m;
	if (req != NULL) {
		ctl_on_gone(req, on_gone, s);
	}
	log_notice("the new host %s is looked at: it counts once it is in sync", m->host.name);
	return MEMBERS_WAIT;
}

enum members_answer
members_check(
    struct supervisor *s, struct conf *conf, struct ctl_request *req, struct conf_faults *faults)
{
	struct difference d;
	const char *obstacle;

	if (s->host_count == 0 || conf->peer_count == 0) {
		return (s->host_count > 0) != (conf->peer_count > 0)
			   ? relocate_begin(s, conf, req, faults)
			   : MEMBERS_SAME;
	}
	if (s->members != NULL && !s->members->admitted) {
		conf_faults_add(faults,
		    "the new host %s is being looked at since the last reload: wait for that",
		    s->members->host.name);
		return MEMBERS_REFUSED;
	}
	d = compare(s, conf);
	if (d.count == 0 && !d.moved) {
		stop_looking(s);
		return MEMBERS_SAME;
	}
	obstacle = find_obstacle(s, conf, &d);
	if (obstacle != NULL) {
		conf_faults_add(faults, "%s", obstacle);
		stop_looking(s);
		return MEMBERS_REFUSED;
	}
	if (d.added != NULL &&
	    (s->members == NULL || strcmp(s->members->host.name, d.added->name) != 0)) {
		stop_looking(s);
		return begin_to_look(s, conf, d.added, req, faults);
	}
	return MEMBERS_CHANGE;
}

/* ---- the change ---- */

/* What was known of it goes on; who looks at it is made anew, at its new place. */
static void
take_over(struct host *to, struct host *from)
{
	*to = *from;
	to->probe = NULL;
	to->ear = NULL;
	from->picture = NULL;
}

static void
tell_fence(struct supervisor *s)
{
	const struct conf_directives *own = &s->conf->redis[0].config;
	char count[24];

	for (size_t i = 0; i < own->count; i++) {
		if (strcasecmp(own->items[i].name, "min-replicas-to-write") == 0) {
			return; /* what the configuration says itself goes before, as at a start */
		}
	}
	(void)snprintf(count, sizeof(count), "%zu", s->host_count / 2);
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && u->probe != NULL && unit_is_ready(u)) {
			struct link *l = probe_link(u->probe);

			(void)link_send(l, 0, NULL, NULL, "CONFIG", "SET", "min-replicas-max-lag",
			    REDIS_CONF_FENCE_LAG_S, NULL);
			(void)link_send(l, 0, NULL, NULL, "CONFIG", "SET", "min-replicas-to-write",
			    count, NULL);
		}
	}
}

static void
watch_sentinels(struct supervisor *s)
{
	struct endpoint sentinels[WATCHER_MAX_SENTINELS];
	size_t count = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_SENTINEL) {
			sentinels[count++] = s->units[i]->at;
		}
	}
	for (size_t i = 0; i < s->host_count && count < ARRAY_LEN(sentinels); i++) {
		if (!s->hosts[i].self) {
			sentinels[count++] = s->hosts[i].sentinel;
		}
	}
	watcher_set_sentinels(s->watcher, sentinels, count);
	workers_tell_sentinels(s);
}

/* The hosts of the configuration, in its order; this one too if it has no section there. */
static void
fill(struct supervisor *s, struct host *old, size_t old_count)
{
	const struct conf *conf = s->conf;
	struct host *self = NULL;
	bool listed = false;

	for (size_t i = 0; i < conf->peer_count; i++) {
		for (size_t k = 0; k < old_count; k++) {
			if (strcmp(old[k].name, conf->peers[i].name) == 0) {
				listed = listed || old[k].self;
				take_over(&s->hosts[s->host_count++], &old[k]);
			}
		}
		if (s->members != NULL && strcmp(s->members->host.name, conf->peers[i].name) == 0) {
			take_over(&s->hosts[s->host_count++], &s->members->host);
		}
	}
	for (size_t k = 0; k < old_count; k++) {
		self = old[k].self ? &old[k] : self;
	}
	if (!listed && self != NULL) {
		take_over(&s->hosts[s->host_count++], self);
		qsort(s->hosts, s->host_count, sizeof(*s->hosts), hosts_compare);
	}
}

void
members_apply(struct supervisor *s)
{
	struct host *old = s->hosts;
	size_t old_count = s->host_count;

	voice_fini(s);
	s->hosts = xcalloc(s->conf->peer_count + 1, sizeof(*s->hosts));
	s->host_count = 0;
	fill(s, old, old_count);
	if (s->members != NULL) {
		history_add(s->history, EVENT_HOST_ADDED, s->members->host.name, NULL,
		    "it is in sync and counts from now on: there are %zu hosts", s->host_count);
	}
	for (size_t k = 0; k < old_count; k++) {
		probe_free(&old[k].probe);
		json_decref(old[k].picture); /* that of one which is none any more */
		if (hosts_find(s, old[k].name) == NULL) {
			history_add(s->history, EVENT_HOST_REMOVED, old[k].name, NULL,
			    "it does not count any more: there are %zu hosts", s->host_count);
		}
	}
	free(old);
	stop_looking(s);
	hosts_watch(s);
	watch_sentinels(s);
	tell_fence(s);
	members_remember(s);
	supervisor_touch(s);
}

/* ---- what this host remembers ---- */

void
members_remember(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;
	struct buf text;
	int rc = 0;

	buf_init(&text, MEMORY_MAX);
	for (size_t i = 0; i < s->host_count && rc == 0; i++) {
		rc = buf_addf(&text, "%s=%s ", s->hosts[i].name, s->hosts[i].redis.host);
	}
	rc = rc < 0 ? rc : buf_add(&text, "", 1);
	assert(rc == 0);
	if (store_meta_put(s->store, REMEMBERED,
		s->host_count > 0 ? (const char *)buf_slice(&text).ptr : NULL, true, &err) < 0) {
		log_warn("which hosts there are is not stored: %s", err.text);
	}
	buf_fini(&text);
}

/* By its name or its address: one of them may be new. */
static bool
is_still_there(const struct supervisor *s, const char *name, const char *address)
{
	bool is = s->host_count == 0 && strcmp(name, s->node) == 0;

	for (size_t i = 0; i < s->host_count; i++) {
		is = is || strcmp(s->hosts[i].name, name) == 0 ||
		     strcmp(s->hosts[i].redis.host, address) == 0;
	}
	return is;
}

int
members_check_start(struct supervisor *s, struct errmsg *err)
{
	char *text = NULL, *rest = NULL, missing[200] = "";
	size_t count = 0, gone = 0, used = 0;
	int rc = store_meta_get(s->store, REMEMBERED, &text, err);

	if (rc < 0) {
		return rc == -ENOENT ? 0 : rc;
	}
	for (char *name = strtok_r(text, " ", &rest); name != NULL;
	     name = strtok_r(NULL, " ", &rest)) {
		char *address = strchr(name, '=');

		if (address == NULL) {
			continue;
		}
		*address++ = '\0';
		count++;
		if (!is_still_there(s, name, address)) {
			gone++;
			if (used < sizeof(missing)) {
				int n = snprintf(missing + used, sizeof(missing) - used, "%s%s",
				    used > 0 ? ", " : "", name);

				used += n > 0 ? (size_t)n : 0;
			}
		}
	}
	free(text);
	if (count > 1 && gone >= count / 2 + 1) {
		errmsg_set(err,
		    "the configuration does not name the hosts %s any more, which are a majority "
		    "of those that were one cluster with this "
		    "host when it ran last, and may go on without it: put their sections "
		    "[peer-NAME] back. Only when they are gone for good, "
		    "and this host is to go on with the data that it has: move state.db and "
		    "sentinel-1 in %s away",
		    missing, s->conf->data_dir);
		return -EINVAL;
	}
	if (s->host_count == 0) {
		members_remember(s);
	}
	return 0;
}

/* ---- what our sentinel remembers ---- */

static bool
is_host_s(const struct supervisor *s, const struct redisReply *sentinel)
{
	struct endpoint at;

	if (!reply_endpoint(reply_field(sentinel, "ip"), reply_field(sentinel, "port"), &at)) {
		return true; /* not to be understood: left alone */
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (endpoint_equal(&s->hosts[i].sentinel, &at)) {
			return true;
		}
	}
	return false;
}

static bool
is_down(const struct redisReply *sentinel)
{
	struct slice flags = reply_text(reply_field(sentinel, "flags"));

	return flags.ptr != NULL && memmem(flags.ptr, flags.len, "s_down", 6) != NULL;
}

static void
on_sentinels(void *arg, const struct redisReply *reply, int error)
{
	struct unit *u = arg;
	struct supervisor *s = u->sup;

	for (size_t i = 0; error == 0 && i < reply_count(reply); i++) {
		const struct redisReply *one = reply_at(reply, i);

		if (!is_host_s(s, one) && is_down(one) && s->plan == PLAN_RUNNING &&
		    s->failover == NULL && s->health == HEALTH_READY) {
			log_notice(
			    "%s: started anew, to forget the sentinel of a host that is none "
			    "of the cluster any more",
			    u->name);
			process_restart(u->process);
			return;
		}
	}
}

void
members_tick(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();

	if (!hosts_are_several(s) || s->plan != PLAN_RUNNING || now - s->tidied_ms < TIDY_MS) {
		return;
	}
	s->tidied_ms = now;
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_SENTINEL && u->probe != NULL && unit_is_ready(u)) {
			(void)link_send(probe_link(u->probe), ANSWER_MS, on_sentinels, u,
			    "SENTINEL", "SENTINELS", s->name, NULL);
		}
	}
}
