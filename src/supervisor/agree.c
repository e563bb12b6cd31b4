/*
 * Several hosts: who is master to begin with. Nothing is started as a master, nor as anybody's replica, before a majority of all hosts' sentinels
 * names one master at an epoch above 0; and nothing is ever decided because time has passed.
 *
 *   fewer than a majority answer ........ wait, and say so
 *   some name a master at an epoch > 0 .. wait: sentinels tell each other, the highest epoch wins
 *   none does (the very first start) .... ask for votes at a new epoch; with a majority of them look once more; still nobody: tell the
 *                                         sentinels, in the words of their own protocol, that the master is our redis at that epoch
 *   there is only this host ............. its sentinel is told that at epoch 1 (agree_placeholder)
 *   a majority names one ................ done; the one that is named starts as master, even if that is us only then
 *
 * Each sentinel votes once for each epoch and keeps that on its disk (sentinel.c, sentinelVoteLeader), so an epoch has one winner. A winner that was held
 * up between its last look and its word could still be the second one: its word is not given when that look is older than FRESH_MS.
 * Who asks first is by the place in the file, so that votes are seldom split; who loses waits for longer, looks, and asks at a higher epoch.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/claim.h"
#include "instance/hello.h"
#include "instance/vote.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define RANK_MS   300
#define LOST_MS   500  /* before another attempt, and RANK_MS for each place */
#define ANSWER_MS 1500 /* a vote is a write to disk */
#define FRESH_MS  500
#define TOLD_MS   3000 /* until the sentinels say what they were told */
#define JOINED    "cluster.joined"

enum step { AGREE_IDLE, AGREE_VOTING, AGREE_LOOKING, AGREE_TOLD };

struct asked {
	struct agree *a; /* borrowed */
	size_t i;
	bool voted, undecided;
	char peer[HELLO_PEER_SIZE];
};

struct agree {
	struct supervisor *sup; /* borrowed */
	enum step step;
	uint64_t epoch;      /* asked for */
	uint64_t seen_epoch; /* the highest in an answer */
	uint64_t not_before_ms;
	uint64_t since_ms; /* of the step */
	unsigned pending;
	bool undecided; /* a majority answered and knew of no master, when looked at last */
	bool said_waiting, joined;
	char reason[400];
	struct asked asked[WATCHER_MAX_SENTINELS];
};

static struct agree *
get(struct supervisor *s)
{
	if (s->agree == NULL) {
		char *joined = NULL;

		s->agree = xcalloc(1, sizeof(*s->agree));
		s->agree->sup = s;
		s->agree->joined = store_meta_get(s->store, JOINED, &joined, NULL) == 0;
		free(joined);
	}
	return s->agree;
}

static size_t
own_rank(const struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		if (s->hosts[i].self) {
			return i;
		}
	}
	return s->host_count;
}

static bool
has_data(const struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && servers_folder_time(s->units[i]->dir) > 0) {
			return true;
		}
	}
	return false;
}

void
agree_placeholder(const struct supervisor *s, struct topo_master *ret_master)
{
	struct store_master before;

	/* A host alone is its own majority, and says so in a way that those who come later take up. */
	*ret_master =
	    (struct topo_master){.at = s->hosts[0].redis, .epoch = s->host_count == 1 ? 1 : 0};
	if (s->master_known && s->master_at.epoch > 0) {
		*ret_master = s->master_at;
	} else if (store_master_get(s->store, s->name, &before, NULL) == 0 && before.epoch > 0 &&
		   before.port != 0) {
		*ret_master = (struct topo_master){
		    .at = endpoint_tcp(before.host, before.port), .epoch = before.epoch};
	}
}

void
agree_remember(struct supervisor *s)
{
	struct topo_master before;

	agree_placeholder(s, &before);
	if (before.epoch > 0) {
		(void)topo_offer(s->topo, &before, TOPO_FROM_STATE);
	}
}

/* ---- looking ---- */

static bool
knows(const struct watcher_sentinel *v)
{
	return v->connected && v->knows;
}

/* How many answer, and does any of them know of a master? */
static size_t
count_answering(const struct supervisor *s, bool *ret_any_named)
{
	size_t count = 0;

	*ret_any_named = false;
	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(s->watcher, i);

		count += knows(v);
		*ret_any_named = *ret_any_named || (knows(v) && v->names.epoch > 0);
	}
	return count;
}

static void ATTR_PRINTF(2, 3) set_reason(struct agree *a, const char *fmt, ...)
{
	char text[sizeof(a->reason)];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (strcmp(text, a->reason) != 0) {
		(void)snprintf(a->reason, sizeof(a->reason), "%s", text);
		log_notice("%s", text);
		supervisor_touch(a->sup);
	}
}

static void
name_missing(const struct supervisor *s, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < s->host_count; i++) {
		for (size_t k = 0; k < watcher_count(s->watcher); k++) {
			const struct watcher_sentinel *v = watcher_get(s->watcher, k);

			if (endpoint_equal(&v->at, &s->hosts[i].sentinel) && !knows(v) &&
			    used < size) {
				const char *why = hosts_refusal(&s->hosts[i]);
				int n = snprintf(text + used, size - used, "%s%s%s%s%s",
				    used > 0 ? ", " : "", s->hosts[i].name, why != NULL ? " (" : "",
				    why != NULL ? why : "", why != NULL ? ")" : "");

				used += n > 0 ? (size_t)n : 0;
			}
		}
	}
}

/* ---- asking ---- */

static void
back_to_idle(struct agree *a)
{
	a->step = AGREE_IDLE;
	a->pending = 0;
	a->not_before_ms = clock_mono_ms() + LOST_MS + own_rank(a->sup) * RANK_MS;
	for (size_t i = 0; i < watcher_count(a->sup->watcher); i++) {
		for (size_t k = 0; k < WATCHER_MAX_SENTINELS; k++) {
			link_forget(watcher_link(a->sup->watcher, i), &a->asked[k]);
		}
	}
}

static void
tell(struct agree *a)
{
	struct supervisor *s = a->sup;
	const struct unit *u = hosts_own_redis(s);
	const struct topo_master master = {.at = u->at, .epoch = a->epoch};
	char hello[HELLO_SIZE];

	a->step = AGREE_TOLD;
	a->since_ms = clock_mono_ms();
	log_notice("a majority has voted for this host and nobody knows of a master: it is %s, "
		   "epoch %llu",
	    ENDPOINT_TEXT(&master.at), (unsigned long long)master.epoch);
	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		if (a->asked[i].peer[0] != '\0') {
			hello_format(hello, a->asked[i].peer, a->epoch, s->name, &master);
			(void)hello_send(watcher_link(s->watcher, i), hello, ANSWER_MS, NULL, NULL);
		}
	}
	watcher_ask(s->watcher);
}

/* The last look's answers are there. */
static void
looked(struct agree *a)
{
	size_t undecided = 0;
	bool any_named;

	for (size_t i = 0; i < watcher_count(a->sup->watcher); i++) {
		undecided += a->asked[i].undecided && a->asked[i].peer[0] != '\0';
	}
	(void)count_answering(a->sup, &any_named);
	if (!any_named && undecided >= hosts_majority(a->sup) &&
	    clock_mono_ms() - a->since_ms < FRESH_MS) {
		tell(a);
	} else {
		log_info("not decided: %zu sentinels know of no master epoch=%llu", undecided,
		    (unsigned long long)a->epoch);
		back_to_idle(a);
	}
}

static void
answered(struct agree *a)
{
	a->pending--;
	if (a->pending == 0) {
		looked(a);
	}
}

static void
on_peers(void *arg, const struct redisReply *reply, int error)
{
	struct asked *q = arg;

	q->peer[0] = '\0';
	if (error == 0 && !reply_is_error(reply)) {
		(void)hello_read_peer(reply, q->peer);
	}
	answered(q->a);
}

static void
on_master(void *arg, const struct redisReply *reply, int error)
{
	struct asked *q = arg;
	uint64_t epoch;

	q->undecided =
	    error == 0 && reply_u64(reply_field(reply, "config-epoch"), &epoch) && epoch == 0;
	answered(q->a);
}

static void
look_again(struct agree *a)
{
	struct supervisor *s = a->sup;

	a->step = AGREE_LOOKING;
	a->since_ms = clock_mono_ms();
	a->pending = 0;
	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		struct asked *q = &a->asked[i];
		struct link *l = watcher_link(s->watcher, i);

		q->undecided = false;
		q->peer[0] = '\0';
		if (!q->voted) {
			continue;
		}
		a->pending += link_send(l, ANSWER_MS, on_peers, q, "SENTINEL", "SENTINELS", s->name,
				  NULL) == 0;
		a->pending +=
		    link_send(l, ANSWER_MS, on_master, q, "SENTINEL", "MASTER", s->name, NULL) == 0;
	}
	if (a->pending == 0) {
		back_to_idle(a);
	}
}

static void
on_vote(void *arg, const struct redisReply *reply, int error)
{
	struct asked *q = arg;
	struct agree *a = q->a;
	size_t votes = 0;
	struct vote vote;

	if (error == 0 && vote_read(reply, &vote)) {
		q->voted = vote_is_for(&vote, claim_id(a->sup->claim), a->epoch);
		a->seen_epoch = MAX(a->seen_epoch, vote.epoch);
	}
	a->pending--;
	if (a->pending > 0) {
		return;
	}
	for (size_t i = 0; i < watcher_count(a->sup->watcher); i++) {
		votes += a->asked[i].voted;
	}
	if (votes >= hosts_majority(a->sup)) {
		look_again(a);
	} else {
		log_info("%zu of %zu votes, a majority is %zu epoch=%llu", votes,
		    a->sup->host_count, hosts_majority(a->sup), (unsigned long long)a->epoch);
		back_to_idle(a);
	}
}

static void
ask_for_votes(struct agree *a)
{
	struct supervisor *s = a->sup;

	a->step = AGREE_VOTING;
	a->since_ms = clock_mono_ms();
	a->epoch = MAX(a->epoch, a->seen_epoch) + 1;
	a->pending = 0;
	for (size_t i = 0; i < watcher_count(s->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(s->watcher, i);

		a->asked[i] = (struct asked){.a = a, .i = i};
		if (knows(v)) {
			a->pending +=
			    vote_ask(watcher_link(s->watcher, i), &v->names.at, a->epoch,
				claim_id(s->claim), ANSWER_MS, on_vote, &a->asked[i]) == 0;
		}
	}
	if (a->pending == 0) {
		back_to_idle(a);
	}
}

static void
try_first_start(struct agree *a)
{
	uint64_t now = clock_mono_ms();

	if (!a->undecided) {
		a->undecided = true;
		/* One that has data goes first: it may have run alone before. */
		a->not_before_ms = now + (has_data(a->sup) ? 0 : RANK_MS * (1 + own_rank(a->sup)));
		watcher_ask(a->sup->watcher);
	}
	if (a->step == AGREE_IDLE && now >= a->not_before_ms) {
		ask_for_votes(a);
	} else if (a->step == AGREE_TOLD && now - a->since_ms >= TOLD_MS) {
		back_to_idle(a);
	}
}

/* ---- the end ---- */

bool
agree_is_reached(struct supervisor *s)
{
	struct agree *a = get(s);
	const struct unit *u = hosts_own_redis(s);
	struct errmsg err = ERRMSG_NONE;
	struct topo_master named;

	if (!hosts_majority_names(s, &named) || !s->master_known ||
	    s->master_at.epoch != named.epoch || !endpoint_equal(&named.at, &s->master_at.at)) {
		return false;
	}
	if (!a->joined && has_data(s) && !endpoint_equal(&named.at, &u->at)) {
		set_reason(a,
		    "%s has data from before this host joined the cluster, and the master is %s: "
		    "to join, which throws that data away, move the folder %s elsewhere and start "
		    "again",
		    u->name, ENDPOINT_TEXT(&named.at), u->dir);
		return false;
	}
	if (!a->joined && store_meta_put(s->store, JOINED, "yes", true, &err) < 0) {
		log_warn("that this host is part of the cluster is not stored: %s", err.text);
	}
	a->joined = true;
	members_remember(s);
	back_to_idle(a);
	a->reason[0] = '\0';
	history_add(s->history, EVENT_HOSTS_AGREED, s->node,
	    json_pack("{s:s,s:i,s:I}", "host", named.at.host, "port", (int)named.at.port, "epoch",
		(json_int_t)named.epoch),
	    "a majority of the %zu hosts names %s as master, epoch %llu", s->host_count,
	    ENDPOINT_TEXT(&named.at), (unsigned long long)named.epoch);
	return true;
}

void
agree_pulse(struct supervisor *s)
{
	struct agree *a = get(s);
	bool any_named;
	size_t answering = count_answering(s, &any_named);
	char missing[300];

	supervisor_touch(s); /* plan_check asks agree_is_reached */
	if (answering < hosts_majority(s)) {
		name_missing(s, missing, sizeof(missing));
		set_reason(a,
		    "waits for a majority of the hosts, %zu of %zu: %zu can be reached, not %s",
		    hosts_majority(s), s->host_count, answering, missing);
		if (!a->said_waiting) {
			a->said_waiting = true;
			history_add(
			    s->history, EVENT_HOSTS_WAITING, s->node, NULL, "%s", a->reason);
		}
		a->undecided = false;
		if (a->step != AGREE_IDLE) {
			back_to_idle(a);
		}
	} else if (any_named) {
		a->undecided = false;
		if (a->step == AGREE_VOTING || a->step == AGREE_LOOKING) {
			back_to_idle(a);
		}
		if (strstr(a->reason, "has data") == NULL) {
			set_reason(a, "waits until a majority of the hosts names the same master");
		}
	} else {
		set_reason(a, "no host knows of a master yet: the hosts elect the first one");
		try_first_start(a);
	}
}

const char *
agree_reason(const struct supervisor *s)
{
	return s->agree != NULL && s->agree->reason[0] != '\0' ? s->agree->reason
							       : "looks for the other hosts";
}

void
agree_fini(struct supervisor *s)
{
	if (s->agree != NULL && s->watcher != NULL) {
		back_to_idle(s->agree);
	}
	free(s->agree);
	s->agree = NULL;
}
