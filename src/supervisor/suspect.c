/*
 * Is the master's host dead, or its server? Several hosts only; a master on this host is seen to die by its supervisor (succession.c).
 *
 * The master's own supervisor says a beat (voice.c), which its replicas pass on to their clients: so it is heard here on every replica, and says
 * that this replica's host still hears the master. The host is taken for dead when, for SUSPECT_MS and a bit more for each place in the file,
 *   - neither its redis nor its sentinel has said anything,
 *   - and not even its kernel has acknowledged what was sent there (or, both connections are broken for longer),
 *   - and no replica that can be heard has heard a beat.
 * The server alone is taken for dead when it cannot be connected to for so long that its own supervisor would have replaced it, and no
 * replica is linked to it. That is soon when its host's kernel says that nothing listens there: GONE_MS when nothing listens in the sentinel's place
 * either, so that the supervisor is likely to have died with them. A host whose kernel acknowledges, so that all its processes are busy, or stopped, has
 * Sentinel's down-after; then it is replaced from here, too, and not by Sentinel, which has nobody stop following it first: one that goes on in
 * that moment would have writes confirmed by a replica that is about to follow another.
 *
 * Where writes are acknowledged by replicas Sentinel promotes nobody by itself (hosts_bar_sentinel). That a majority of the sentinels holds the master for
 * down is evidence of its own then, and attempts do not end. Elsewhere it may come to a failover of Sentinel's own: each supervisor has its own replica
 * stop following as soon as it hears of that.
 *
 * A supervisor that leads a planned switchover tells the others' proxies to hold: "hold EPOCH". One that comes late, when the master is another one
 * already, is not heeded.
 *
 * What follows is a takeover with votes first, and a freeze (failover_freeze.c). If it comes to nothing there is a pause, for each host another one.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"

#define SUSPECT_MS 500
#define RANK_MS                                                                                    \
	150 /* two have heard it last up to a pulse apart; and the way to each other's sentinels */
#define BROKEN_MS 1500 /* no connection: a reset, or a cut for so long that they were given up */
#define GONE_MS                                                                                    \
	100 /* nothing listens: the host's supervisor takes less to replace its master, if it lives */
#define ORPHAN_MS  500  /* likewise, and it may well live, for its sentinel does */
#define BEAT_MS    300  /* without one: that replica does not hear the master */
#define FRESH_MS   250  /* two pulses: who has not heard a majority since may be cut off itself */
#define AGAIN_MS   1000 /* after an attempt that came to nothing, and RETRY_MS for each place */
#define RETRY_MS   300
#define DOUBT_MS   300 /* silence: from then on, and without a connection, it is looked at every */
#define LOOK_MS    10
#define LATE_LOOKS 5U /* this process has stood still for a moment */
/* For one master; each vote keeps Sentinel's own failover, which is left then, back. */
#define ATTEMPTS_MAX 4
#define SELDOM_SHIFT                                                                               \
	5U /* where Sentinel is barred we go on: each pause is twice as long, up to 32 s */
#define HOLD_MS 5000 /* longer than any pause of a switchover */

void
suspect_tell_hold(struct supervisor *s, uint64_t ms)
{
	if (ms > 0) {
		voice_say(s, "hold %llu", (unsigned long long)s->master_at.epoch);
	} else {
		voice_say(s, "release");
	}
}

void
suspect_on_words(struct host *ear, struct host *sender, const char *words)
{
	struct supervisor *s = ear->sup;
	char hold[64];

	(void)snprintf(hold, sizeof(hold), "hold %llu", (unsigned long long)s->master_at.epoch);
	if (strcmp(words, "beat") == 0) {
		/* of who is master now; one that was is not worth anything */
		if (s->master_known && endpoint_equal(&sender->redis, &s->master_at.at)) {
			ear->beat_ms = clock_mono_ms();
		}
	} else if (ear != sender || sender->self || s->isolated) {
		return; /* the rest counts from its own redis only: another one's passes it on, too */
	} else if (strcmp(words, hold) == 0) {
		workers_hold(s, HOLD_MS);
	} else if (strcmp(words, "release") == 0) {
		workers_hold(s, 0);
	} else if (!hosts_switch_on_words(sender, words)) {
		rolling_on_words(s, sender, words);
	}
}

/* Among those who could take over from `m`. */
static size_t
own_rank(const struct supervisor *s, const struct host *m)
{
	size_t rank = 0;

	for (size_t i = 0; i < s->host_count && !s->hosts[i].self; i++) {
		rank += &s->hosts[i] != m;
	}
	return rank;
}

/* Has the redis of `h` heard the master at `master` within so many ms? */
static bool
hears(const struct host *h, const struct host *master, uint64_t within_ms)
{
	return h != master && !h->silent && clock_mono_ms() - h->beat_ms < within_ms;
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

/* Only as far as we were there to hear anything. */
static uint64_t
listened_ms(const struct supervisor *s, uint64_t ms)
{
	return MIN(ms, clock_mono_ms() - s->awake_ms);
}

/* Its kernel acknowledges what is sent to it: its processes are busy, or stopped. */
static bool
is_acknowledging(const struct host *m)
{
	struct link *redis = probe_link(m->probe), *sentinel = hosts_sentinel_link(m);

	return (link_is_up(redis) && !link_is_unheard(redis, DOUBT_MS)) ||
	       (sentinel != NULL && link_is_up(sentinel) && !link_is_unheard(sentinel, DOUBT_MS));
}

static uint64_t
patience_ms(const struct supervisor *s, const struct host *m)
{
	struct link *sentinel = hosts_sentinel_link(m);

	if (!link_is_up(probe_link(m->probe)) && (sentinel == NULL || !link_is_up(sentinel))) {
		return BROKEN_MS;
	}
	return is_acknowledging(m) ? MAX(s->conf->sentinel_down_after_ms, SUSPECT_MS) : SUSPECT_MS;
}

static bool
is_host_dead(const struct supervisor *s, const struct host *m, uint64_t longer_ms)
{
	if (listened_ms(s, hosts_silent_ms(m)) < patience_ms(s, m) + longer_ms) {
		return false;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (hears(&s->hosts[i], m, BEAT_MS)) {
			return false;
		}
	}
	return true;
}

/* For how long nothing has listened in the place of its redis, if that is long enough; else 0. */
static uint64_t
gone_ms(const struct supervisor *s, const struct host *m, uint64_t longer_ms)
{
	const struct link *sentinel = hosts_sentinel_link(m);
	uint64_t ms = listened_ms(s, link_refused_ms(probe_link(m->probe)));
	bool alone = sentinel == NULL || link_refused_ms(sentinel) == 0;

	return ms >= (alone ? ORPHAN_MS : GONE_MS) + longer_ms ? ms : 0;
}

static bool
is_server_dead(const struct supervisor *s, const struct host *m, uint64_t longer_ms)
{
	uint64_t gone = gone_ms(s, m, longer_ms);

	if (link_is_up(probe_link(m->probe)) ||
	    (gone == 0 &&
		listened_ms(s, link_silent_ms(probe_link(m->probe))) < BROKEN_MS + longer_ms)) {
		return false;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		if (h != m &&
		    (is_linked(s, h) || hears(h, m, gone > 0 ? MIN(gone, BEAT_MS) : BEAT_MS))) {
			return false;
		}
	}
	return true;
}

/* What was seen a while ago is of no use any more: who listens there, and which replica is linked to it? */
static void
look_anew(struct supervisor *s, struct host *m)
{
	struct link *sentinel = hosts_sentinel_link(m);

	if (link_is_up(probe_link(m->probe))) {
		return;
	}
	link_kick(probe_link(m->probe));
	if (sentinel != NULL) {
		link_kick(sentinel);
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (s->hosts[i].probe != NULL && &s->hosts[i] != m) {
			probe_ask(s->hosts[i].probe);
		}
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && s->units[i]->probe != NULL) {
			probe_ask(s->units[i]->probe);
		}
	}
}

/* Do a majority's sentinels hold it for down? They ask by connections of their own, and wait for down-after. */
static bool
is_held_down(const struct supervisor *s, const struct host *m)
{
	size_t count = 0;

	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(s->watcher, i);

		count += v->connected && v->knows && v->s_down &&
			 endpoint_equal(&v->names.at, &m->redis);
	}
	return count > watcher_count(s->watcher) / 2;
}

/* By what it is taken for dead; NULL: it is not. */
static const char *
evidence(const struct supervisor *s, const struct host *m, uint64_t longer_ms)
{
	if (is_server_dead(s, m, longer_ms)) {
		return gone_ms(s, m, longer_ms) > 0 ? "nothing listens in its place"
						    : "it cannot be connected to";
	}
	if (is_host_dead(s, m, longer_ms)) {
		return is_acknowledging(m) ? "its host acknowledges and does not answer"
					   : "its host is silent";
	}
	if (hosts_bar_sentinel(s) && s->held_down_ms != 0 && is_held_down(s, m) &&
	    clock_mono_ms() - s->held_down_ms >= longer_ms) {
		return "a majority of the sentinels holds it for down";
	}
	return NULL;
}

bool
suspect_is_dead(const struct supervisor *s, const struct host *m)
{
	return evidence(s, m, 0) != NULL;
}

void
suspect_on_sentinel(struct supervisor *s, const struct watcher_sentinel *view)
{
	const struct probe_view *v;

	if (!hosts_are_several(s) || hosts_bar_sentinel(s) || !view->knows || !view->failover ||
	    s->plan != PLAN_RUNNING || s->failover != NULL || s->master != NULL ||
	    !s->master_known || s->left_epoch == s->master_at.epoch ||
	    !endpoint_equal(&view->names.at, &s->master_at.at)) {
		return;
	}
	s->left_epoch = s->master_at.epoch;
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		v = u->kind == UNIT_REDIS && u->probe != NULL ? probe_get(u->probe) : NULL;
		if (v != NULL && v->role == PROBE_REPLICA &&
		    endpoint_equal(&v->master, &s->master_at.at)) {
			log_notice("%s: follows %s no more, which Sentinel is about to replace",
			    u->name, ENDPOINT_TEXT(&v->master));
			(void)link_send(probe_link(u->probe), 0, NULL, NULL, "REPLICAOF",
			    FAILOVER_NOWHERE_HOST, FAILOVER_NOWHERE_PORT, NULL);
		}
	}
}

/* Where Sentinel is left in the end it is left alone then; else we go on for ever, and ever more seldom. */
static bool
may_try(const struct supervisor *s)
{
	return hosts_bar_sentinel(s) || s->suspect_attempts < ATTEMPTS_MAX;
}

static uint64_t
pause_ms(const struct supervisor *s, uint64_t rank)
{
	unsigned more = s->suspect_attempts > ATTEMPTS_MAX ? s->suspect_attempts - ATTEMPTS_MAX : 0;

	return ((uint64_t)AGAIN_MS << MIN(more, SELDOM_SHIFT)) + rank * RETRY_MS;
}

static void
note_held_down(struct supervisor *s, const struct host *m)
{
	if (!is_held_down(s, m)) {
		s->held_down_ms = 0;
	} else if (s->held_down_ms == 0) {
		s->held_down_ms = clock_mono_ms();
	}
}

/* The master, if it is on another host; NULL: it is not, or is not known. */
static struct host *
remote_master(struct supervisor *s)
{
	struct host *m = s->master_known ? hosts_at(s, &s->master_at.at) : NULL;

	return m != NULL && !m->self ? m : NULL;
}

/* One that must answer (hosts_is_excused) and is not reached: an attempt would only cost votes, and time. NULL: there is none. */
static const struct host *
find_missing(const struct supervisor *s, const struct host *m)
{
	for (size_t i = 0; hosts_bar_sentinel(s) && i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		if (!h->self && h != m && !succession_does_without(h) &&
		    !link_is_up(probe_link(h->probe))) {
			return h;
		}
	}
	return NULL;
}

/* Is somebody waited for? Said once for each death. */
static bool
must_wait(struct supervisor *s, const struct host *m)
{
	const struct host *missing = find_missing(s, m);

	if (missing != NULL && !s->suspect_waits) {
		log_warn("%s: nobody takes over yet: %s may have writes that no other has, and is "
			 "not reached: start it, or its network, again",
		    m->redis_name, missing->redis_name);
	}
	s->suspect_waits = missing != NULL;
	return missing != NULL;
}

static bool
is_in_doubt(const struct host *m)
{
	return !link_is_up(probe_link(m->probe)) || hosts_silent_ms(m) >= DOUBT_MS;
}

static void
judge(struct supervisor *s, struct host *m)
{
	uint64_t now = clock_mono_ms(), rank = own_rank(s, m);
	struct errmsg err = ERRMSG_NONE;
	struct topo_master named;
	const char *why;

	if (s->plan != PLAN_RUNNING || s->failover != NULL || s->isolated ||
	    hosts_heard_within(s, FRESH_MS) < hosts_majority(s) || now < s->suspect_after_ms ||
	    !may_try(s) || !(succession_has_heir(s) || succession_takes_all(s)) ||
	    !watcher_majority(s->watcher, &named) || !endpoint_equal(&named.at, &m->redis) ||
	    (why = evidence(s, m, rank * RANK_MS)) == NULL || must_wait(s, m)) {
		return;
	}
	s->suspect_attempts++;
	s->suspect_after_ms = now + pause_ms(s, rank);
	if (!handover_take_over_from(s, m, why, AGAIN_MS / 2 + rank * RETRY_MS, &err)) {
		log_notice("%s: %s: %s", m->redis_name,
		    hosts_bar_sentinel(s) ? "nobody takes over yet"
					  : "the sentinels are left to find out by themselves",
		    err.text);
	}
}

/* A pulse is a long time when everything else has been found out. */
static void
on_look(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct supervisor *s = timer->data;
	struct host *m = remote_master(s);

	uint64_t now = clock_mono_ms();
	bool late = now - s->looked_ms >= LATE_LOOKS * LOOK_MS;

	s->looked_ms = now;
	if (m == NULL || !is_in_doubt(m)) {
		ev_timer_stop(ev, timer);
	} else if (!late && !hosts_is_late(s)) { /* else what has come meanwhile is read first */
		judge(s, m);
	}
}

static void
look_closely(struct supervisor *s)
{
	if (!ev_is_active(&s->suspect)) {
		s->looked_ms =
		    clock_mono_ms(); /* the first look is not late for an earlier doubt */
		ev_timer_start(loop_ev(s->loop), &s->suspect);
	}
}

void
suspect_on_host(struct supervisor *s, struct host *h)
{
	bool up = link_is_up(probe_link(h->probe));

	if (h->broken && up) {
		h->broken = false;
	} else if (!h->broken && !up && h == remote_master(s)) {
		h->broken = true; /* once: what comes of it is looked at with each pulse */
		look_anew(s, h);
		look_closely(s);
	}
}

void
suspect_pulse(struct supervisor *s)
{
	struct host *m = remote_master(s);

	if (s->master != NULL) {
		voice_say(s, "beat");
	}
	if (m == NULL) {
		s->held_down_ms = 0;
		return;
	}
	look_anew(s, m);
	note_held_down(s, m);
	if (hosts_bar_sentinel(s) && evidence(s, m, 0) == NULL) {
		s->suspect_attempts = 0;
	}
	if (is_in_doubt(m)) {
		look_closely(s);
	} else {
		judge(s, m); /* by what the sentinels hold */
	}
}

void
suspect_init(struct supervisor *s)
{
	ev_timer_init(&s->suspect, on_look, LOOK_MS / 1000., LOOK_MS / 1000.);
	s->suspect.data = s;
}

void
suspect_fini(struct supervisor *s)
{
	ev_timer_stop(loop_ev(s->loop), &s->suspect);
}
