/*
 * The other hosts of the cluster, as they are seen from here. Each has one redis and one sentinel; what supervisors need in order to act, they
 * have from these: the sentinels decide, and keep on their disks, who is master (agree.c, roles.c). What they say to each other comes on top
 * (voice.c, talk.c).
 *
 * Every PULSE_MS each of them is asked for a sign of life. A host of which neither has said anything for SILENT_MS is silent; when so many are
 * that those left are no majority, this host is isolated: on the other side of the cut a new master may be chosen at any moment. Then the
 * master that runs here takes no write any more. That does not wait for Sentinel, and it is not the only fence: min-replicas-to-write stands in
 * the server's own configuration (redis_conf.c).
 */
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_conf.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define PULSE_MS  100
#define SILENT_MS 400
#define LATE_MS   200 /* we were not there to listen: silence means nothing */
/* A pause of the master's writes; renewed, so that it ends some time after we do. */
#define PAUSE_MS       5000
#define PAUSE_AGAIN_MS 1000
#define PAUSE_TEXT     "5000"
#define LOST_MS        2000 /* silence that is told as an event */
#define UNSUPERVISED_MS                                                                            \
	10000 /* five times what a supervisor takes between two words: see picture.c */
#define ID_BYTES ((SENTINEL_ID_SIZE - 1) / 2)

/* ---- who they are ---- */

int
hosts_resolve(struct host *h, const char *address, const struct conf *conf, struct errmsg *err)
{
	struct endpoint ep = endpoint_tcp(address, 1);
	struct sockaddr_storage addr;
	char text[NI_MAXHOST];
	socklen_t len;
	int rc = endpoint_resolve(&ep, false, &addr, &len, err);

	if (rc == 0 && getnameinfo((struct sockaddr *)&addr, len, text, sizeof(text), NULL, 0,
			   NI_NUMERICHOST) != 0) {
		errmsg_set(err, "'%s' has no numeric form", address);
		rc = -EINVAL;
	}
	if (rc < 0) {
		errmsg_prefix(err, "peer-%s.address", h->name);
		return rc;
	}
	h->redis = endpoint_tcp(text, conf_redis_port_of(conf, h->name, 0));
	h->sentinel = endpoint_tcp(text, conf_sentinel_port_of(conf, h->name));
	return 0;
}

/* The same on every host, so that each knows the ids of all before it has heard of any. */
void
hosts_derive_id(struct host *h, const struct supervisor *s)
{
	char *text = xasprintf("holdfast sentinel\n%s\n%s\n%s", s->name, h->name, s->secret);
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (EVP_Digest(text, strlen(text), digest, &size, EVP_sha256(), NULL) != 1 ||
	    size < ID_BYTES) {
		memset(digest, 0, sizeof(digest));
	}
	for (size_t i = 0; i < ID_BYTES; i++) {
		(void)snprintf(h->id + 2 * i, 3, "%02x", digest[i]);
	}
	explicit_bzero(text, strlen(text));
	free(text);
}

int
hosts_compare(const void *a, const void *b)
{
	return strcmp(((const struct host *)a)->redis.host, ((const struct host *)b)->redis.host);
}

static struct host *
add_host(struct supervisor *s, const char *name, bool self)
{
	struct host *h = &s->hosts[s->host_count++];

	h->sup = s;
	h->self = self;
	(void)snprintf(h->name, sizeof(h->name), "%s", name);
	(void)snprintf(h->redis_name, sizeof(h->redis_name), "%s/redis-1", name);
	return h;
}

int
hosts_read(struct supervisor *s, struct errmsg *err)
{
	const struct conf *conf = s->conf;
	bool listed = false;
	int rc = 0;

	if (conf->peer_count == 0) {
		return 0;
	}
	s->hosts = xcalloc(conf->peer_count + 1, sizeof(*s->hosts));
	for (size_t i = 0; i < conf->peer_count && rc == 0; i++) {
		struct host *h = add_host(s, conf->peers[i].name, conf_peer_is_self(conf, i));

		listed = listed || h->self;
		rc = hosts_resolve(h, h->self ? s->address : conf->peers[i].address, conf, err);
	}
	if (rc == 0 && !listed) {
		rc = hosts_resolve(add_host(s, s->node, true), s->address, conf, err);
		/* The order of the file is not the same everywhere then. */
		qsort(s->hosts, s->host_count, sizeof(*s->hosts), hosts_compare);
	}
	for (size_t i = 0; i < s->host_count && rc == 0; i++) {
		hosts_derive_id(&s->hosts[i], s);
	}
	return rc;
}

bool
hosts_are_several(const struct supervisor *s)
{
	return s->host_count > 0;
}

bool
hosts_bar_sentinel(const struct supervisor *s)
{
	return hosts_are_several(s) && conf_is_durable(s->conf);
}

struct host *
hosts_at(struct supervisor *s, const struct endpoint *redis)
{
	for (size_t i = 0; i < s->host_count; i++) {
		if (endpoint_equal(&s->hosts[i].redis, redis)) {
			return &s->hosts[i];
		}
	}
	return NULL;
}

struct host *
hosts_find(struct supervisor *s, const char *name)
{
	for (size_t i = 0; i < s->host_count; i++) {
		if (strcmp(s->hosts[i].name, name) == 0 ||
		    strcmp(s->hosts[i].redis_name, name) == 0) {
			return &s->hosts[i];
		}
	}
	return NULL;
}

struct host *
hosts_named(const struct supervisor *s, const char *name)
{
	for (size_t i = 0; i < s->host_count; i++) {
		if (strcmp(s->hosts[i].name, name) == 0) {
			return &s->hosts[i];
		}
	}
	return NULL;
}

const char *
hosts_own_id(const struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		if (s->hosts[i].self) {
			return s->hosts[i].id;
		}
	}
	return NULL;
}

/* ---- what is seen of them ---- */

bool
hosts_is_synced(const struct host *h)
{
	const struct probe_view *v = h->probe != NULL ? probe_get(h->probe) : NULL;

	return v != NULL && v->answering && v->role == PROBE_REPLICA &&
	       v->sync == PROBE_SYNC_CONNECTED && h->sup->master_known &&
	       endpoint_equal(&v->master, &h->sup->master_at.at);
}

static bool
is_master(const struct host *h)
{
	const struct probe_view *v = h->probe != NULL ? probe_get(h->probe) : NULL;

	return v != NULL && v->answering && !v->loading && v->role == PROBE_MASTER;
}

const char *
hosts_refusal(const struct host *h)
{
	const struct probe_view *v = h->probe != NULL ? probe_get(h->probe) : NULL;
	struct link *l;
	const struct watcher_sentinel *w = h->self ? NULL : hosts_sentinel_view(h, &l);

	return (v != NULL && v->refused) || (w != NULL && w->refused)
		   ? "it does not take this host's secret: holdfast.secret has "
		     "to be the same on all hosts"
		   : NULL;
}

static void
on_probe(struct probe *p, void *owner, const struct probe_view *view)
{
	struct host *h = owner;
	bool linked = hosts_is_synced(h);

	h->was_synced = h->was_synced || linked;
	if (linked != h->linked) {
		h->linked = linked;
		h->unlinked_ms = clock_mono_ms();
	}
	suspect_on_host(h->sup, h);
	supervisor_touch(h->sup);
}

static const struct probe_ops probe_ops = {.on_change = on_probe};

void
hosts_on_master(struct supervisor *s)
{
	s->suspect_attempts = 0;
	for (size_t i = 0; i < s->host_count; i++) {
		s->hosts[i].linked = s->hosts[i].was_synced = hosts_is_synced(&s->hosts[i]);
		if (s->hosts[i].probe != NULL) {
			probe_ask(s->hosts[i].probe);
		}
	}
}

bool
hosts_is_heir(const struct host *h, uint64_t grace_ms)
{
	return !h->self && h->was_synced && link_is_up(probe_link(h->probe)) &&
	       (h->linked || clock_mono_ms() - h->unlinked_ms < grace_ms);
}

bool
hosts_is_excused(const struct host *h, const struct host *master, uint64_t grace_ms)
{
	uint64_t gone_ms = master == NULL || master->self ? 0 : hosts_silent_ms(master);
	uint64_t since_ms = clock_mono_ms() - h->sup->master_since_ms;

	return link_refused_ms(probe_link(h->probe)) >= MIN(grace_ms, since_ms) ||
	       hosts_silent_ms(h) >= gone_ms + grace_ms;
}

const struct watcher_sentinel *
hosts_sentinel_view(const struct host *h, struct link **ret_link)
{
	const struct watcher *w = h->sup->watcher;

	for (size_t i = 0; i < watcher_count(w); i++) {
		if (endpoint_equal(&watcher_get(w, i)->at, &h->sentinel)) {
			*ret_link = watcher_link(w, i);
			return watcher_get(w, i);
		}
	}
	*ret_link = NULL;
	return NULL;
}

struct link *
hosts_sentinel_link(const struct host *h)
{
	struct link *l;

	(void)hosts_sentinel_view(h, &l);
	return l;
}

uint64_t
hosts_silent_ms(const struct host *h)
{
	struct link *sentinel;

	(void)hosts_sentinel_view(h, &sentinel);
	return MIN(link_silent_ms(probe_link(h->probe)),
	    sentinel != NULL ? link_silent_ms(sentinel) : UINT64_MAX);
}

size_t
hosts_heard(const struct supervisor *s)
{
	size_t heard = 0;

	for (size_t i = 0; i < s->host_count; i++) {
		heard += s->hosts[i].self || !s->hosts[i].silent;
	}
	return heard;
}

size_t
hosts_heard_within(const struct supervisor *s, uint64_t ms)
{
	size_t heard = 0;

	for (size_t i = 0; i < s->host_count; i++) {
		heard += s->hosts[i].self || hosts_silent_ms(&s->hosts[i]) < ms;
	}
	return heard;
}

size_t
hosts_majority(const struct supervisor *s)
{
	return s->host_count / 2 + 1;
}

bool
hosts_majority_names(const struct supervisor *s, struct topo_master *ret_named)
{
	return hosts_heard(s) >= hosts_majority(s) && watcher_majority(s->watcher, ret_named) &&
	       ret_named->epoch > 0;
}

bool
hosts_may_be_master(const struct supervisor *s, const struct unit *u)
{
	struct topo_master named;

	return hosts_majority_names(s, &named) && endpoint_equal(&named.at, &u->at) &&
	       named.epoch >= s->master_at.epoch;
}

/* ---- alone ---- */

static void
on_demoted(void *arg, const struct redisReply *reply, int error)
{
	struct unit *u = arg;

	if (error == 0 && !reply_is_error(reply)) {
		/* What was held up in it is refused now, READONLY: it goes to the new one. */
		(void)link_send(probe_link(u->probe), 0, NULL, NULL, "CLIENT", "UNPAUSE", NULL);
	}
	probe_ask(u->probe);
}

struct unit *
hosts_own_redis(const struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS) {
			return s->units[i];
		}
	}
	return NULL;
}

static void
on_paused(void *arg, const struct redisReply *reply, int error)
{
	if (error == 0 && reply_is_ok(reply)) {
		parting_begin(arg);
	}
}

/* Renewed while we are alone; a replica's writes come from its master and are not held up. */
static void
pause_writes(struct supervisor *s)
{
	struct unit *u = hosts_own_redis(s);
	uint64_t now = clock_mono_ms();

	if (now - s->paused_ms < PAUSE_AGAIN_MS) {
		return;
	}
	s->paused_ms = now;
	workers_isolate(s, PAUSE_MS);
	if (u != NULL && u->probe != NULL) {
		(void)link_send(probe_link(u->probe), 0, on_paused, u, "CLIENT", "PAUSE",
		    PAUSE_TEXT, "WRITE", NULL);
	}
}

static void
begin_isolation(struct supervisor *s)
{
	s->isolated = true;
	s->isolated_ms = clock_mono_ms();
	s->paused_ms = 0;
	pause_writes(s);
	history_add(s->history, EVENT_HOSTS_ISOLATED, s->node,
	    json_pack("{s:i,s:i}", "heard", (int)hosts_heard(s), "hosts", (int)s->host_count),
	    "hears %zu of %zu hosts, itself included, and a majority is %zu: writes are paused "
	    "here, the others may have another master by now",
	    hosts_heard(s), s->host_count, hosts_majority(s));
}

/* Has a majority of the sentinels said since the isolation began that this is the master? What they said before is of no use. */
static bool
is_named_anew(struct supervisor *s, const struct topo_master *named)
{
	size_t count = watcher_count(s->watcher), anew = 0;

	for (size_t i = 0; i < count; i++) {
		const struct watcher_sentinel *v = watcher_get(s->watcher, i);

		anew += v->knows && v->answered_ms > s->isolated_ms &&
			v->names.epoch == named->epoch && endpoint_equal(&v->names.at, &named->at);
	}
	return anew > count / 2;
}

/* A majority is heard again: what it says now decides. */
static void
try_end_isolation(struct supervisor *s)
{
	struct unit *u = hosts_own_redis(s);
	struct topo_master named;
	char port[8];

	if (!hosts_majority_names(s, &named) || !endpoint_equal(&named.at, &s->master_at.at) ||
	    !is_named_anew(s, &named)) {
		watcher_ask(s->watcher);
		pause_writes(s); /* until they agree */
		return;
	}
	s->isolated = false;
	if (u != NULL && u->probe != NULL && !endpoint_equal(&named.at, &u->at)) {
		(void)snprintf(port, sizeof(port), "%u", named.at.port);
		(void)link_send(
		    probe_link(u->probe), 0, on_demoted, u, "REPLICAOF", named.at.host, port, NULL);
	} else if (u != NULL && u->probe != NULL) {
		(void)link_send(probe_link(u->probe), 0, NULL, NULL, "CLIENT", "UNPAUSE", NULL);
	}
	workers_hold(s, 0);
	history_add(s->history, EVENT_HOSTS_REJOINED, s->node, NULL,
	    "a majority of the hosts is heard again and names %s", ENDPOINT_TEXT(&named.at));
}

/* ---- the pulse ---- */

/* The last fault, of its sentinel rather than of its redis, which may wait for a reason of its own. */
static const char *
fault_of(const struct host *h)
{
	struct link *l;
	const struct watcher_sentinel *w = hosts_sentinel_view(h, &l);

	return w != NULL && w->why[0] != '\0' ? w->why : probe_get(h->probe)->why;
}

/* Its servers answer, and its supervisor, which says something every other second, does not. */
static void
note_supervisor(struct host *h)
{
	bool missing =
	    !h->silent && clock_mono_ms() - MAX(h->since_ms, h->picture_ms) >= UNSUPERVISED_MS;

	if (missing != h->unsupervised) {
		h->unsupervised = missing;
		supervisor_touch(h->sup);
	}
}

static void
note_host(struct host *h)
{
	uint64_t ms = hosts_silent_ms(h);
	bool lost = ms >= LOST_MS;

	if (h->silent && ms < SILENT_MS) {
		h->since_ms = clock_mono_ms();
	}
	h->silent = ms >= SILENT_MS;
	note_supervisor(h);
	if (hosts_refusal(h) != NULL && !h->refuses) {
		log_warn("host %s at %s: %s", h->name, h->redis.host, hosts_refusal(h));
		h->refuses = true;
	} else if (!h->silent && hosts_refusal(h) == NULL) {
		h->refuses = false;
	}
	if (lost == h->lost || (h->silent && !lost)) {
		return;
	}
	h->lost = lost;
	if (lost) {
		history_add(h->sup->history, EVENT_HOST_LOST, h->name, NULL,
		    "nothing has been heard of it for %d ms%s%s", LOST_MS,
		    fault_of(h)[0] != '\0' ? ": " : "", fault_of(h));
	} else {
		history_add(h->sup->history, EVENT_HOST_BACK, h->name, NULL, "it is heard again");
	}
	supervisor_touch(h->sup);
}

static void
ask_host(struct host *h)
{
	struct link *sentinel;

	(void)hosts_sentinel_view(h, &sentinel);
	if (sentinel != NULL && link_is_up(sentinel)) {
		(void)link_send(sentinel, 0, NULL, NULL, "PING", NULL);
	}
	if (link_is_up(probe_link(h->probe))) {
		(void)link_send(probe_link(h->probe), 0, NULL, NULL, "PING", NULL);
	}
}

bool
hosts_is_late(const struct supervisor *s)
{
	return clock_mono_ms() - s->pulse_ms >= PULSE_MS + LATE_MS;
}

static void
on_pulse(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct supervisor *s = w->data;
	bool late = hosts_is_late(s);

	s->pulse_ms = clock_mono_ms();
	for (size_t i = 0; i < s->host_count; i++) {
		if (!s->hosts[i].self) {
			ask_host(&s->hosts[i]);
		}
	}
	picture_pulse(s);
	remote_pulse(s);
	if (late || hosts_heard(s) < hosts_majority(s)) {
		s->awake_ms = s->pulse_ms; /* that a host was silent until now says nothing of it */
	}
	if (late || s->plan > PLAN_RUNNING) {
		return;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (!s->hosts[i].self) {
			note_host(&s->hosts[i]);
		}
	}
	parting_pulse(s);
	rolling_pulse(s);
	if (hosts_switch_pulse(s)) {
		return;
	}
	if (s->plan == PLAN_AGREEMENT) {
		agree_pulse(s);
	} else if (hosts_heard(s) >= hosts_majority(s)) {
		if (s->isolated) {
			try_end_isolation(s);
		} else {
			suspect_pulse(s);
		}
	} else if (!s->isolated) {
		begin_isolation(s);
	} else {
		pause_writes(s);
	}
}

/* A dead master may not start before a majority names it: whether it does is looked at again and again. */
void
hosts_tick(struct supervisor *s)
{
	struct unit *u = hosts_own_redis(s);

	if (hosts_are_several(s) && u != NULL && s->plan == PLAN_RUNNING && !s->succession) {
		process_kick(u->process);
	}
}

void
hosts_watch(struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		struct host *h = &s->hosts[i];
		struct probe_spec spec = {.kind = PROBE_REDIS,
		    .at = h->redis,
		    .user = INSTANCE_USER,
		    .password = s->secret,
		    .interval_ms = 250,
		    .answer_ms = 1000};

		if (!h->self) {
			h->probe = probe_new(s->loop, &spec, &probe_ops, h);
		}
	}
	if (hosts_are_several(s)) {
		voice_begin(s);
	}
}

void
hosts_begin(struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		s->hosts[i].silent = !s->hosts[i].self; /* until it is heard */
		s->hosts[i].lost = false;
	}
	if (hosts_are_several(s)) {
		talk_begin(s);
	}
	hosts_watch(s);
	ev_init(&s->pulse, on_pulse);
	s->pulse.data = s;
	suspect_init(s);
	if (hosts_are_several(s)) {
		s->pulse_ms = clock_mono_ms();
		ev_timer_set(&s->pulse, PULSE_MS / 1000., PULSE_MS / 1000.);
		ev_timer_start(loop_ev(s->loop), &s->pulse);
	}
}

void
hosts_fini(struct supervisor *s)
{
	if (s->host_count > 0) {
		ev_timer_stop(loop_ev(s->loop), &s->pulse);
		suspect_fini(s);
		members_fini(s);
		hosts_switch_fini(s);
		agree_fini(s);
		voice_fini(s);
		parting_fini(s);
		picture_fini(s);
		talk_fini(s);
	}
	for (size_t i = 0; i < s->host_count; i++) {
		probe_free(&s->hosts[i].probe);
		json_decref(s->hosts[i].picture);
	}
	free(s->hosts);
	s->hosts = NULL;
	s->host_count = 0;
}

/* ---- for people ---- */

static bool
knows_master(const struct host *h)
{
	struct link *l;
	const struct watcher_sentinel *v = hosts_sentinel_view(h, &l);

	return v != NULL && v->connected && v->knows;
}

void
hosts_add_reasons(const struct supervisor *s, json_t *reasons)
{
	char text[320];

	if (!hosts_are_several(s)) {
		return;
	}
	if (s->plan == PLAN_AGREEMENT) {
		(void)json_array_append_new(reasons, json_string(agree_reason(s)));
	}
	if (s->isolated) {
		(void)snprintf(text, sizeof(text),
		    "this host hears no majority of the %zu hosts: writes are paused here",
		    s->host_count);
		(void)json_array_append_new(reasons, json_string(text));
	}
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];
		const struct probe_view *v = h->self ? NULL : probe_get(h->probe);

		text[0] = '\0';
		if (h->self || (s->plan == PLAN_AGREEMENT && !h->silent)) {
			continue;
		}
		if (hosts_refusal(h) != NULL) {
			(void)snprintf(text, sizeof(text), "host %s cannot be reached: %s", h->name,
			    hosts_refusal(h));
		} else if (h->silent) {
			(void)snprintf(text, sizeof(text), "host %s cannot be reached%s%s", h->name,
			    fault_of(h)[0] != '\0' ? ": " : "", fault_of(h));
		} else if (!v->answering) {
			(void)snprintf(text, sizeof(text), "%s does not answer at %s: %s",
			    h->redis_name, ENDPOINT_TEXT(&h->redis), v->why);
		} else if (is_master(h) && !endpoint_equal(&h->redis, &s->master_at.at)) {
			(void)snprintf(text, sizeof(text),
			    "%s is a master of its own: does its configuration name the same "
			    "hosts?",
			    h->redis_name);
		} else if (!hosts_is_synced(h) &&
			   !(is_master(h) && endpoint_equal(&h->redis, &s->master_at.at))) {
			(void)snprintf(
			    text, sizeof(text), "%s is not in sync with the master", h->redis_name);
		} else if (!knows_master(h)) {
			(void)snprintf(text, sizeof(text),
			    "the sentinel of host %s does not answer, or knows of no master",
			    h->name);
		} else if (h->unsupervised) {
			(void)snprintf(text, sizeof(text),
			    "the supervisor of host %s is not heard: does `holdfast run` run "
			    "there?",
			    h->name);
		}
		if (text[0] != '\0') {
			(void)json_array_append_new(reasons, json_string(text));
		}
	}
}
