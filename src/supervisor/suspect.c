/*
 * Is the master's host dead, or its server? Several hosts only; a master on this host is seen to die by its supervisor (roles.c).
 *
 * The master's own supervisor publishes a beat on it, which its replicas pass on to their clients: so it is heard here on every replica, and says
 * that this replica's host still hears the master. The host is taken for dead when, for SUSPECT_MS and a bit more for each place in the file,
 *   - neither its redis nor its sentinel has said anything,
 *   - and not even its kernel has acknowledged what was sent there, which it does for a process that is only busy or stopped (or, both
 *     connections are broken for longer),
 *   - and no replica that can be heard has heard a beat.
 * The server alone is taken for dead when it cannot be connected to for so long that its own supervisor would have replaced it, and no
 * replica is linked to it. Nothing else counts: a master that is busy has until Sentinel's down-after.
 *
 * On the same channel a supervisor that leads a planned switchover tells the others' proxies to hold, through its own redis: "hold EPOCH NODE". One that
 * comes late, when the master is another one already, is not heeded.
 *
 * What follows is a takeover with votes first, and a freeze (failover_freeze.c). If it comes to nothing there is a pause, for each host another one.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_conf.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define SUSPECT_MS 500
#define RANK_MS    100
#define BROKEN_MS  1500 /* no connection: a reset, or a cut for so long that they were given up */
#define BEAT_MS    300  /* without one: that replica does not hear the master */
#define AGAIN_MS   1000 /* after an attempt that came to nothing, and RETRY_MS for each place */
#define RETRY_MS   300
/* For one master; each vote keeps Sentinel's own failover, which is left then, back. */
#define ATTEMPTS_MAX 4
#define HOLD_MS      5000 /* longer than any pause of a switchover */
#define CHANNEL      "__holdfast__:beat"
#define BEAT         "beat"

static const char *const channels[] = {CHANNEL, NULL};

static void
format_hold(const struct supervisor *s, const char *node, bool hold, char *text, size_t size)
{
	if (hold) {
		(void)snprintf(
		    text, size, "hold %llu %s", (unsigned long long)s->master_at.epoch, node);
	} else {
		(void)snprintf(text, size, "release %s", node);
	}
}

static void
on_beat(struct link *l, void *owner, const struct redisReply *message)
{
	struct host *h = owner;
	struct slice text = reply_text(reply_at(message, 2));
	char hold[128], release[128];

	/* From that node's own redis only: another one's passes it on, too. */
	format_hold(h->sup, h->name, true, hold, sizeof(hold));
	format_hold(h->sup, h->name, false, release, sizeof(release));
	if (slice_eq(text, BEAT)) {
		h->beat_ms = clock_mono_ms();
	} else if (!h->self && !h->sup->isolated && slice_eq(text, hold)) {
		workers_hold(h->sup, HOLD_MS);
	} else if (!h->self && !h->sup->isolated && slice_eq(text, release)) {
		workers_hold(h->sup, 0);
	}
}

void
suspect_tell_hold(struct supervisor *s, uint64_t ms)
{
	char text[128];

	format_hold(s, s->node, ms > 0, text, sizeof(text));
	if (s->voice != NULL && link_is_up(s->voice)) {
		(void)link_send(s->voice, 0, NULL, NULL, "PUBLISH", CHANNEL, text, NULL);
	}
}

static const struct link_ops ear_ops = {.on_push = on_beat};
static const struct link_ops voice_ops = {.on_up = NULL};

void
suspect_begin(struct supervisor *s)
{
	struct link_spec spec = {
	    .user = INSTANCE_USER, .password = s->secret, .retry_max_ms = 500, .stall_ms = 3000};

	for (size_t i = 0; i < s->host_count; i++) {
		spec.at = s->hosts[i].redis;
		if (s->hosts[i].self) {
			s->voice = link_new(s->loop, &spec, &voice_ops, s);
		}
	}
	spec.channels = channels;
	for (size_t i = 0; i < s->host_count; i++) {
		spec.at = s->hosts[i].redis;
		s->hosts[i].ear = link_new(s->loop, &spec, &ear_ops, &s->hosts[i]);
	}
}

void
suspect_fini(struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		link_free(&s->hosts[i].ear);
	}
	link_free(&s->voice);
}

static size_t
own_rank(const struct supervisor *s)
{
	size_t i = 0;

	while (i < s->host_count && !s->hosts[i].self) {
		i++;
	}
	return i;
}

/* Does the redis of `h` still hear the master at `master`? */
static bool
hears(const struct supervisor *s, const struct host *h, const struct host *master)
{
	if (h == master || h->silent) {
		return false;
	}
	return clock_mono_ms() - h->beat_ms < BEAT_MS;
}

static bool
is_linked(const struct supervisor *s, const struct host *h)
{
	if (!h->self) {
		return h->linked && !h->silent;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && s->units[i]->linked) {
			return true;
		}
	}
	return false;
}

static bool
is_host_dead(const struct supervisor *s, const struct host *m, uint64_t longer_ms)
{
	uint64_t silent = hosts_silent_ms(m);
	struct link *redis = probe_link(m->probe), *sentinel = hosts_sentinel_link(m);
	bool up = link_is_up(redis) || (sentinel != NULL && link_is_up(sentinel));

	if (silent < (up ? SUSPECT_MS : BROKEN_MS) + longer_ms ||
	    (link_is_up(redis) && !link_is_unheard(redis)) ||
	    (sentinel != NULL && link_is_up(sentinel) && !link_is_unheard(sentinel))) {
		return false;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (hears(s, &s->hosts[i], m)) {
			return false;
		}
	}
	return true;
}

static bool
is_server_dead(const struct supervisor *s, const struct host *m, uint64_t longer_ms)
{
	if (link_is_up(probe_link(m->probe)) ||
	    link_silent_ms(probe_link(m->probe)) < BROKEN_MS + longer_ms) {
		return false;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (&s->hosts[i] != m &&
		    (is_linked(s, &s->hosts[i]) || hears(s, &s->hosts[i], m))) {
			return false;
		}
	}
	return true;
}

bool
suspect_is_dead(const struct supervisor *s, const struct host *m)
{
	return is_host_dead(s, m, 0) || is_server_dead(s, m, 0);
}

void
suspect_pulse(struct supervisor *s)
{
	struct host *m =
	    s->master_known ? hosts_at((struct supervisor *)s, &s->master_at.at) : NULL;
	uint64_t now = clock_mono_ms(), rank = own_rank(s);
	struct errmsg err = ERRMSG_NONE;
	struct topo_master named;

	if (s->master != NULL && link_is_up(s->voice)) {
		(void)link_send(s->voice, 0, NULL, NULL, "PUBLISH", CHANNEL, BEAT, NULL);
	}
	if (m == NULL || m->self || s->plan != PLAN_RUNNING || s->failover != NULL ||
	    hosts_heard(s) < hosts_majority(s) || now < s->suspect_after_ms ||
	    s->suspect_attempts >= ATTEMPTS_MAX || !roles_have_heir(s) ||
	    !watcher_majority(s->watcher, &named) || !endpoint_equal(&named.at, &m->redis) ||
	    (!is_host_dead(s, m, rank * RANK_MS) && !is_server_dead(s, m, rank * RANK_MS))) {
		return;
	}
	s->suspect_attempts++;
	s->suspect_after_ms = now + AGAIN_MS + rank * RETRY_MS;
	if (!roles_take_over_from(s, m, AGAIN_MS / 2 + rank * RETRY_MS, &err)) {
		log_notice("%s: the sentinels are left to find out by themselves: %s",
		    m->redis_name, err.text);
	}
}
